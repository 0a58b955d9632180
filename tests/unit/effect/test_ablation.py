"""Concepts that go off one by one, and the thing itself."""

import pandas as pd
import pytest
from PIL import Image

from lcrp.effect import ablate_context, draw_ablation
from lcrp.effect.ablation import ABLATION_COLUMNS
from lcrp.errors import InputError

SETTINGS = {"images": 9, "minimum_images": 4, "margin": 0}


def ablated(world, rule, thing="buoy", concepts=(1, 2), **more):
    return ablate_context(
        world.explainer(rule), world.samples(), "boat", thing, "colours", concepts,
        settings=SETTINGS, **more,
    )  # fmt: skip


def test_the_needed_concept_and_the_thing_tell_alike(world):
    table = ablated(world, world.by_buoy)
    assert list(table.columns) == list(ABLATION_COLUMNS)
    shown = table[table["images"] == "with"].set_index("off")
    assert list(shown.index) == ["", "1", "1 2", "thing"]
    # Green is of no use; without yellow the logit falls from 6 to -2, as without the buoy.
    assert shown["change"].to_list() == pytest.approx([0, 0, -8 / 6, -8 / 6], abs=1e-5)
    assert shown["number"].to_list() == [9] * 4
    assert shown["error"].to_list() == pytest.approx([0] * 4, abs=1e-5)
    assert shown["probability"].iloc[0] > 0.9 > 0.1 > shown["probability"].iloc[-1]
    # Without a buoy it is no boat for this model.
    assert table.loc[table["images"] == "without", "number"].eq(0).all()


def test_a_concept_of_no_use_changes_nothing_with_or_without_the_thing(world):
    table = ablated(world, world.by_context)
    assert table["change"].to_list() == pytest.approx([0] * len(table), abs=1e-5)
    assert table.loc[table["off"] != "thing", "number"].eq(9).all()


def test_concepts_come_from_the_tables_where_none_are_named(world):
    class Tables:
        def concepts(self, label, layers):
            assert (label, layers) == ("boat", ["colours"])
            return pd.DataFrame(
                {"concept": [0, 1, 2, 3], "share": [0.5, 0.1, 0.3, 0.1],
                 "context_score": [0.0, 0.2, 0.9, 0.5]}
            )  # fmt: skip

    table = ablated(world, world.by_buoy, concepts=None, tables=Tables())
    assert table["off"].to_list()[:4] == ["", "2", "2 3", "2 3 1"]
    assert table["change"][1] == pytest.approx(-8 / 6)


def test_figure(world, tmp_path):
    draw_ablation(ablated(world, world.by_buoy), "$\\boat$ and buoy", tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 400


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"thing": "bouy"}, "thing 'bouy': not annotated in any image; use 'buoy'"),
        ({"concepts": (1, 9)}, "concept 9: colours has 4"),
        ({"concepts": None}, "concepts: none given"),
        ({"thing": "car"}, "recognised in no image that shows the thing"),
    ],
)
def test_what_cannot_be_ablated_is_said(world, more, message):
    with pytest.raises(InputError, match=message):
        ablated(world, world.by_buoy, **more)
    with pytest.raises(InputError, match="class 'boot': unknown; use 'boat'"):
        ablate_context(
            world.explainer(world.by_buoy), world.samples(), "boot", "buoy", "colours", (1,)
        )
