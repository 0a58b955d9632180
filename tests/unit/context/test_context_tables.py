"""The tables: every class and target is there, with a value or a reason."""

import numpy as np
import pytest

from lcrp.context import aggregate, open_tables
from lcrp.errors import InputError
from lcrp.joined_tables import context_tables


def test_classes_and_instances_against_sums(random_store):
    tables = context_tables(random_store)
    total = inside = 0
    for layer in random_store.layers:
        recorded = random_store.layer(layer)
        total = total + recorded.relevance[...].astype(float).sum(1)
        inside = inside + recorded.inside[...].astype(float).sum(1)
    known = np.isfinite(inside)
    share = tables["instances"]["context_share"]
    np.testing.assert_allclose(share[known], 1 - inside[known] / total[known])
    assert share[~known].isna().all()
    assert (tables["instances"]["note"][~known] == "no annotated object").all()
    classes = tables["classes"].set_index(["class", "layer"])
    for index, name in enumerate(random_store.classes):
        rows = known & (random_store.targets["class"] == index)
        row = classes.loc[(name, "all")]
        expected = 1 - inside[rows].sum() / total[rows].sum()
        assert row["context_score"] == pytest.approx(expected)
        assert row["context_low"] < expected < row["context_high"]
        assert row["scored"] == rows.sum() and row["kind"] == "exact"


def test_leading_concepts(build_store):
    relevance = np.tile([4.0, 1.0, 3.0], (6, 1))
    inside = relevance * [1.0, 0.0, 0.0]
    tables = context_tables(build_store([(i, 1) for i in range(6)], relevance, inside))
    row = tables["classes"].set_index(["class", "layer"]).loc[("car", "conv")]
    assert row["leading_concepts"] == "2 (0.750), 1 (0.250)"
    instance = tables["instances"].iloc[0]
    assert (instance["leading_layer"], instance["leading_concept"]) == ("conv", 2)
    assert instance["leading_share"] == pytest.approx(3 / 8, abs=1e-4)
    assert instance["context_share"] == pytest.approx(0.5)


def test_nothing_is_dropped_silently(build_store):
    targets = [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1)]
    relevance = np.ones((8, 2))
    inside = np.full((8, 2), 0.25)
    inside[3] = np.nan
    relevance[4, 1] = np.nan
    cover = [0.1] * 5 + [1.0] + [0.1] * 2
    tables = context_tables(
        build_store(targets, relevance, inside, columns={"object_share": cover}),
        minimum_targets=3,
    )
    classes = tables["classes"].set_index(["class", "layer"])
    assert list(classes.index) == [
        (c, x) for c in ("boat", "car", "rider") for x in ("all", "conv")
    ]
    boat, car, rider = (classes.loc[(c, "all")] for c in ("boat", "car", "rider"))
    assert boat["note"] == "2 scored targets, the minimum is 3" and np.isnan(boat["context_score"])
    assert (boat["targets"], boat["scored"]) == (2, 2)
    assert (car["targets"], car["scored"]) == (6, 3) and car["context_score"] == 0.75
    assert rider["note"] == "no target" and rider["targets"] == 0
    notes = tables["instances"]["note"].tolist()
    assert notes[3:6] == [
        "no annotated object",
        "relevance is not finite",
        "the object covers the whole image",
    ]
    assert notes[:3] == ["", "", ""]
    few = tables["concepts"][tables["concepts"]["class"] == "boat"]
    assert len(few) == 2 and few["context_score"].isna().all() and (few["share"] == 0.5).all()
    assert (few["note"] == "2 scored targets, the minimum is 3").all()


def test_predictions_that_miss_their_object_have_no_score(build_store):
    iou = [0.9, 0.1, np.nan, 0.3, 0.5, 0.0]
    store = build_store(
        [(i, 0) for i in range(6)], np.ones((6, 1)), np.full((6, 1), 0.5), columns={"iou": iou}
    )
    tables = context_tables(store, minimum_targets=1)
    missed = "the prediction misses the annotated object"
    assert tables["instances"]["note"].tolist() == ["", missed, "", "", "", missed]
    assert tables["classes"]["scored"].iloc[0] == 4
    everything = context_tables(store, minimum_targets=1, minimum_iou=0)
    assert everything["classes"]["scored"].iloc[0] == 6


@pytest.mark.parametrize(
    ("inside", "cover", "note"),
    [(np.nan, 0.1, "no annotated object"), (1.0, 1.0, "the object covers the whole image")],
)
def test_class_without_any_scored_target(build_store, inside, cover, note):
    targets = [(i, 0) for i in range(6)]
    store = build_store(
        targets, np.ones((6, 1)), np.full((6, 1), inside), columns={"object_share": [cover] * 6}
    )
    tables = context_tables(store)
    assert tables["classes"]["note"].iloc[0] == note
    assert tables["concepts"]["note"].tolist() == [note]
    assert tables["concepts"]["context_score"].isna().all()


def test_no_targets_at_all(build_store):
    tables = context_tables(build_store([], np.empty((0, 2)), np.empty((0, 2))))
    assert (tables["classes"]["note"] == "no target").all() and len(tables["classes"]) == 6
    assert tables["concepts"].empty and tables["instances"].empty


def test_one_image_has_no_interval(build_store):
    store = build_store([(0, 0)] * 6, np.ones((6, 1)), np.full((6, 1), 0.5))
    row = context_tables(store)["classes"].iloc[0]
    assert row["context_score"] == 0.5 and np.isnan(row["context_low"])


def test_the_same_store_gives_the_same_bytes(tmp_path, random_store):
    for name in "ab":
        aggregate(random_store, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_layers_by_name_and_pattern(random_store):
    assert set(context_tables(random_store, ["a"])["concepts"]["layer"]) == {"a"}
    assert set(context_tables(random_store, "[b-z]*")["concepts"]["layer"]) == {"b"}
    with pytest.raises(InputError, match="no layer 'bb'; nearest: 'b'"):
        context_tables(random_store, ["a", "bb"])


def test_shards_and_other_files_are_refused(tmp_path, random_store):
    with pytest.raises(InputError, match="no context tables"):
        open_tables(random_store.path, random_store)
