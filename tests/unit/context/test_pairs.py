"""What the relevance of a class lies on, against plain loops, and what chance would give."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcrp.context import open_tables
from lcrp.context.aggregation import aggregate
from lcrp.context.pairs import chance_of_excess
from lcrp.errors import InputError
from lcrp.joined_tables import (
    JOINED_COLUMNS,
    context_tables,
    read_effects,
    with_effects,
    write_csv,
)

BOAT, CAR, RIDER = range(3)


@pytest.fixture
def harbour(build_store):
    """Boats of 8 images; in six of them a rider, on whom a third of what is outside lies."""
    random = np.random.default_rng(0)
    targets = [(image, BOAT) for image in range(8)]
    relevance = 1 + random.random((8, 4))
    inside = relevance * np.array([1.0, 0.5, 0.25, 0.0])
    pairs = pd.DataFrame({"target": range(2, 8), "thing": RIDER, "area": 0.125})
    on_thing = ((relevance - inside)[2:] / 3).astype(np.float32)
    return build_store(
        targets,
        relevance,
        inside,
        pairs=pairs,
        on_thing={"conv": on_thing},
        columns={"background": 0.75, "object_share": 0.25},
    )


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


EFFECTS = """kind,intervention,class,thing,layer,concepts,images,effect,low,high,control,\
difference,p,p_adjusted,confirmed,note
background,blur,boat,,,,8,0.5,0.4,0.6,0.1,0.4,0.001,0.01,false,
background,other-class,boat,,,,8,0.3,0.2,0.4,0.0,0.3,0.001,0.01,true,of few images
background,noise,rider,,,,8,0.9,0.8,1.0,0.1,0.8,0.001,0.01,true,
thing,removed,boat,rider,,,6,0.7,0.6,0.8,0.1,0.6,0.001,0.01,true,
"""


def test_effects_stand_beside_the_scores(tmp_path, harbour):
    (tmp_path / "effects.csv").write_text(EFFECTS)
    effects = read_effects(tmp_path / "effects.csv")
    aggregate(harbour, tmp_path / "context.zarr.zip")
    paths = {name: tmp_path / f"{name}.csv" for name in JOINED_COLUMNS}
    with open_tables(tmp_path / "context.zarr.zip", harbour) as tables:
        write_csv(tables, **paths, effects=effects)
    classes = pd.read_csv(paths["classes"])
    assert list(classes.columns) == list(JOINED_COLUMNS["classes"])
    # What noise behind it does to a rider is no effect of its context.
    assert classes["class"].tolist() == ["boat"] * 2 + ["car"] * 2 + ["rider"] * 2
    boat = classes[(classes["class"] == "boat") & (classes["layer"] == "all")].iloc[0]
    assert (boat["intervention"], boat["effect"], boat["confirmed"]) == ("other-class", 0.3, True)
    assert (boat["effect_low"], boat["effect_high"], boat["note"]) == (0.2, 0.4, "of few images")
    assert classes["effect"].notna().sum() == 1
    pairs = pd.read_csv(paths["pairs"])
    assert pairs["thing"].tolist() == ["rider", "unlabelled"]
    assert pairs["effect"].tolist()[0] == 0.7 and np.isnan(pairs["effect"][1])
    assert pairs["confirmed"][0] and pairs["p_adjusted"][0] == 0.01


def test_file_that_holds_no_effects_is_refused(tmp_path):
    (tmp_path / "effects.csv").write_text("class,effect\n")
    with pytest.raises(InputError, match="has no column kind"):
        read_effects(tmp_path / "effects.csv")


def test_without_effects_their_columns_are_empty(harbour):
    pairs = context_tables(harbour)["pairs"]
    assert pairs["effect"].isna().all() and (pairs["confirmed"] == "").all()
    again = with_effects(pairs.drop(columns="effect"), "pairs")
    assert list(again.columns) == list(JOINED_COLUMNS["pairs"])


def test_only_the_deciding_intervention_counts_and_tested_stuff_has_a_row(tmp_path):
    pairs = pd.DataFrame(
        {"class": ["boat"], "thing": ["buoy"], "images": [9], "share": [0.2], "note": [""]}
    ).reindex(columns=[c for c in JOINED_COLUMNS["pairs"] if c not in ("effect", "confirmed")])
    pairs["note"] = ""
    effects = pd.DataFrame(
        {
            "intervention": ["noise", "removed", "removed"],
            "class": "boat",
            "thing": ["", "buoy", "water"],
            "images": 12,
            "effect": [0.9, 0.1, 0.7],
            "confirmed": [False, False, True],
            "note": "",
        }
    )
    joined = with_effects(pairs, "pairs", effects).set_index("thing")
    assert list(joined.index) == ["water", "buoy"]
    assert joined.loc["water", "effect"] == 0.7 and joined.loc["water", "confirmed"] == "true"
    assert joined.loc["water", "images"] == 12 and joined["share"].isna().tolist() == [True, False]
