"""What the relevance of a class lies on, against plain loops, and what chance would give."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcrp.context.pairs import chance_of_excess
from lcrp.joined_tables import context_tables
from support.small_stores import BOAT, CAR


def test_shares_of_a_class_on_its_things(harbour):
    table = context_tables(harbour)["pairs"].set_index(["class", "thing"])
    assert list(table.index) == [("boat", "unlabelled"), ("boat", "rider")]
    recorded = harbour.layer("conv")
    whole = recorded.relevance[...].astype(float).sum(axis=1)
    outside = whole - recorded.inside[...].astype(float).sum(axis=1)
    rider = table.loc[("boat", "rider")]
    assert (rider["targets"], rider["images"], rider["together"]) == (6, 6, 0.75)
    part = outside[2:].sum() / 3
    assert rider["share"] == pytest.approx(part / whole.sum(), rel=0.02)
    assert rider["share_together"] == pytest.approx(part / whole[2:].sum(), rel=0.02)
    assert rider["low"] < rider["share"] < rider["high"]
    # A sixth of the background is the rider's, a third of the relevance lies on it.
    assert rider["expected"] == pytest.approx(outside[2:].sum() / 6 / whole.sum())
    assert rider["lift"] == pytest.approx(2, rel=0.02)
    assert rider["p"] == 1 / 2**6
    rest = table.loc[("boat", "unlabelled")]
    assert rest["targets"] == 8
    assert rest["share"] + rider["share"] == pytest.approx(outside.sum() / whole.sum())
    assert rest["expected"] + rider["expected"] == pytest.approx(outside.sum() / whole.sum())
    assert rest["lift"] < 1 and rest["p"] == 1


def test_what_a_concept_lies_on(harbour):
    tables = context_tables(harbour)
    concepts = tables["concepts"].set_index("concept")
    assert concepts.loc[0, "lies_on"] == ""
    shares = dict(part.split(" (") for part in concepts.loc[3, "lies_on"].split(", "))
    assert list(shares) == ["unlabelled", "rider"]
    recorded = harbour.layer("conv")
    relevance = recorded.relevance[...][:, 3].astype(float)
    expected = relevance[2:].sum() / 3 / relevance.sum()
    assert float(shares["rider"][:-1]) == pytest.approx(expected, rel=0.03)
    instances = tables["instances"]["lies_on"]
    assert instances[0].startswith("unlabelled (") and "rider" not in instances[0]
    assert "rider (" in instances[5]


def test_things_with_few_targets_are_shown_without_a_score(harbour):
    table = context_tables(harbour, minimum_targets=7)["pairs"].set_index(["class", "thing"])
    rider = table.loc[("boat", "rider")]
    assert np.isnan(rider["share"]) and rider["images"] == 6
    assert rider["note"] == "6 scored targets with both, the minimum is 7"
    few = context_tables(harbour, minimum_targets=9)["pairs"]
    assert set(few["note"]) == {"8 scored targets, the minimum is 9"} and few["share"].isna().all()


def test_class_whose_objects_leave_no_background_has_a_row_that_says_so(build_store):
    pairs = pd.DataFrame({"target": [0], "thing": [CAR], "area": [0.0]})
    store = build_store(
        [(image, BOAT) for image in range(6)],
        np.ones((6, 2)),
        np.ones((6, 2)),
        pairs=pairs,
        on_thing={"conv": np.zeros((1, 2), np.float32)},
        columns={"object_share": 1.0, "background": 0.0},
    )
    (row,) = context_tables(store)["pairs"].to_dict("records")
    assert (row["class"], row["thing"], row["targets"]) == ("boat", "unlabelled", 0)
    assert np.isnan(row["share"]) and row["note"] == "the object covers the whole image"


def test_store_without_pairs_has_no_rows(random_store):
    assert context_tables(random_store)["pairs"].empty


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8))
def test_signs_are_all_counted(values):
    excess = np.array(values)
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(values))).reshape(len(values), -1)
    expected = (excess @ signs >= excess.sum() - 1e-12 * np.abs(excess).sum()).mean()
    assert chance_of_excess(excess) == pytest.approx(expected)


def test_no_excess_is_no_evidence():
    random = np.random.default_rng(1)
    found = [chance_of_excess(random.normal(size=40), seed) for seed in range(200)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)
    assert np.mean(np.array(found) < 0.1) < 0.17
    assert np.isnan(chance_of_excess(np.ones(1))) and chance_of_excess(np.full(40, 0.1)) < 0.001
