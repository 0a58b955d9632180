"""Effects of interventions beside scores."""

import numpy as np
import pandas as pd
import pytest

from lcrp.context import aggregate, open_tables
from lcrp.errors import InputError
from lcrp.joined_tables import (
    JOINED_COLUMNS,
    context_tables,
    read_effects,
    with_effects,
    write_csv,
)

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


def test_without_effects_their_columns_are_empty(harbour):
    pairs = context_tables(harbour)["pairs"]
    assert pairs["effect"].isna().all() and (pairs["confirmed"] == "").all()
    again = with_effects(pairs.drop(columns="effect"), "pairs")
    assert list(again.columns) == list(JOINED_COLUMNS["pairs"])


def test_file_that_holds_no_effects_is_refused(tmp_path):
    (tmp_path / "effects.csv").write_text("class,effect\n")
    with pytest.raises(InputError, match="has no column kind"):
        read_effects(tmp_path / "effects.csv")


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
