"""Shares of whole predictions."""

import numpy as np
import pandas as pd
import pytest

from lcrp.context.context_columns import NOTES
from lcrp.context.whole import OLD_STORE
from lcrp.joined_tables import context_tables

COUNT = 50


def columns(random):
    inside = random.random(COUNT)
    return {
        "started": 10.0,
        "landed": 2.0,
        "landed_inside": inside,
        "landed_to_1_5": 0.5,
        "landed_to_2": 0.1,
        "landed_to_3": 0.1,
        "object_share": random.uniform(0.01, 0.5, COUNT),
        "background": 0.5,
    }


@pytest.fixture
def whole_store(build_store):
    random = np.random.default_rng(0)
    rows = [(image, image % 2) for image in range(COUNT)]
    landed = np.tile([0.25, 0.75], (COUNT, 1))
    return build_store(
        rows, 3 * landed, landed / 2, landed={"conv": landed}, columns=columns(random)
    )


def test_shares_are_those_of_the_whole_prediction(whole_store):
    tables = context_tables(whole_store)
    inside = whole_store.targets["landed_inside"]
    instances = tables["instances"]
    np.testing.assert_allclose(instances["outside"], 1 - inside / 2)
    np.testing.assert_allclose(instances["far"], 1 - (inside + 0.5) / 2)
    np.testing.assert_allclose(instances["reaches_input"], 0.2)
    np.testing.assert_allclose(instances["leading_passes"], 0.5, rtol=1e-3)
    classes = tables["classes"].set_index(["class", "layer"])
    boat = classes.loc[("boat", "all")]
    assert boat["outside"] == pytest.approx(1 - inside[::2].mean() / 2)
    assert boat["outside_low"] < boat["outside"] < boat["outside_high"]
    assert boat["far"] == pytest.approx(boat["outside"] - 0.25)
    assert boat["reaches_input"] == pytest.approx(0.2) and np.isnan(boat["passes"])
    assert classes.loc[("boat", "conv"), "passes"] == pytest.approx(0.5, rel=1e-3)
    assert np.isnan(classes.loc[("boat", "conv"), "outside"])


def test_a_share_is_compared_with_other_classes_of_its_size(whole_store):
    instances = context_tables(whole_store)["instances"]
    area = np.log(whole_store.targets["object_share"].to_numpy())
    share, classes = instances["outside"].to_numpy(), instances["class"].to_numpy()
    for row in range(COUNT):
        others = np.flatnonzero(classes != classes[row])
        near = share[others[np.argsort(abs(area[others] - area[row]))[:20]]]
        assert instances["expected"][row] == pytest.approx(np.median(near))
        assert instances["unusual"][row] == pytest.approx(np.mean(near < share[row]))


def test_too_few_others_are_no_comparison(build_store):
    given = {name: value for name, value in columns(np.random.default_rng(1)).items()}
    given |= {"landed_inside": 1.0, "object_share": 0.1}
    store = build_store([(i, 0) for i in range(30)], np.ones((30, 1)), np.ones((30, 1)) / 2,
                        columns=given)  # fmt: skip
    assert context_tables(store)["instances"]["unusual"].isna().all()


def test_old_store_says_what_it_lacks(build_store, monkeypatch):
    monkeypatch.setattr("lcrp.store.records.SCHEMA", 1)
    store = build_store([(i, 0) for i in range(8)], np.ones((8, 1)), np.ones((8, 1)) / 2)
    tables = context_tables(store)
    assert tables["instances"]["outside"].isna().all()
    assert (tables["instances"]["note"] == OLD_STORE).all() and OLD_STORE not in NOTES
    whole = tables["classes"].set_index(["class", "layer"]).loc[("boat", "all")]
    assert np.isnan(whole["outside"]) and whole["note"] == OLD_STORE
    assert whole["context_score"] == pytest.approx(0.5)


def test_pairs_are_of_the_whole_prediction(build_store):
    pairs = pd.DataFrame({"target": range(8), "thing": 2, "area": 0.25, "landed": 0.6})
    given = columns(np.random.default_rng(2))
    given = {name: np.resize(values, 8) for name, values in given.items()}
    given |= {"landed_inside": np.full(8, 0.8)}
    store = build_store(
        [(i, 0) for i in range(8)], np.ones((8, 2)), np.ones((8, 2)) / 2, columns=given,
        pairs=pairs, on_thing={"conv": np.full((8, 2), 0.1, np.float32)},
    )  # fmt: skip
    tables = context_tables(store)
    table = tables["pairs"].set_index(["class", "thing"])
    assert table.loc[("boat", "rider"), "share"] == pytest.approx(0.3)
    assert table.loc[("boat", "unlabelled"), "share"] == pytest.approx(0.3)
    assert tables["instances"]["lies_on"][0] == "rider (0.300), unlabelled (0.300)"
