"""What is flagged, for models of which it is known what they depend on."""

import cv2
import numpy as np
import pandas as pd
import pytest

from lcrp.configuration import Effect, parse_entries
from lcrp.effect import EFFECT_COLUMNS, measure_effects, write_examples
from lcrp.errors import InputError

SETTINGS = {"images": 12, "minimum_images": 6, "margin": 0}


def measured(world, rule, task="segmentation", scenes=None, **settings):
    scenes = world.samples() if scenes is None else scenes
    return measure_effects(world.explainer(rule, task), scenes, None, SETTINGS | settings)


def rows(effects, **wanted):
    table = effects.table
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_a_model_that_reads_the_context_is_flagged_and_no_other_class(world, task):
    effects = measured(world, world.by_context, task)
    assert list(effects.table.columns) == list(EFFECT_COLUMNS)
    background = rows(effects, intervention="other-class").set_index("class")
    assert background["confirmed"].to_dict() == {
        "boat": True, "car": True, "star": False, "buoy": False,
    }  # fmt: skip
    assert (background["images"] == 12).all()
    # every donor without boats has the other ground
    assert background.loc["boat", "effect"] > 0.9
    assert abs(background.loc["boat", "control"]) < 0.05
    assert background.loc["boat", "low"] <= background.loc["boat", "effect"]
    assert background.loc["boat", "logit_change"] == pytest.approx(-8, abs=0.1)
    if task == "detection":
        assert background.loc["boat", "detected_after"] == 0
    else:
        assert background["detected_after"].isna().all()
    # nothing that stands beside it matters
    assert not rows(effects, kind="thing")["confirmed"].any()
    assert rows(effects, kind="thing")["p"].notna().any()


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_a_thing_that_is_needed_is_named(world, task):
    effects = measured(world, world.by_buoy, task)
    things = rows(effects, kind="thing").set_index(["class", "thing"])
    assert things["confirmed"].sum() == 1
    assert things.loc[("boat", "buoy"), "confirmed"]
    assert things.loc[("boat", "buoy"), "effect"] > 0.9
    assert abs(things.loc[("boat", "buoy"), "control"]) < 0.1
    assert ("boat", "car") not in things.index  # never in one image


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_a_model_that_reads_the_shape_is_not_flagged(world, task):
    effects = measured(world, world.by_shape, task, minimum_images=4)
    assert not effects.table["confirmed"].any()
    assert not any(
        effects.table.loc[effects.table["intervention"].isin(["other-class", "removed"]), "p"]
        < 0.01
    )


def test_what_has_no_control_is_reported_and_never_confirmed(world):
    effects = measured(world, world.by_context)
    shown = rows(effects, intervention="mean").set_index("class")
    assert shown.loc["boat", "images"] == 12
    reported = effects.table["intervention"].isin(["same-class", "blur", "noise", "mean"])
    assert effects.table.loc[reported, "effect"].notna().all()
    assert effects.table.loc[reported, ["control", "p", "p_adjusted"]].isna().all(axis=None)
    assert not effects.table.loc[reported, "confirmed"].any()


def test_the_floor_and_the_correction_both_count(world):
    weak = measured(world, world.by_context, floor=0.999)
    assert not weak.table["confirmed"].any()
    strict = measured(world, world.by_context, alpha=1e-6)
    assert not strict.table["confirmed"].any()
    p = strict.table["p"].dropna()
    assert (strict.table["p_adjusted"].dropna() >= p).all()
    assert strict.table["p_adjusted"].min() == pytest.approx(p.min() * len(p))


def test_same_seed_same_table(world):
    first, again = (measured(world, world.by_context).table for _ in range(2))
    assert first.equals(again)


def test_classes_with_too_few_objects_are_listed(world):
    scenes = world.samples(20)
    effects = measured(world, world.by_context, scenes=scenes, minimum_images=9)
    star = rows(effects, **{"class": "star", "kind": "background"})
    assert len(star) == 1
    assert star["note"].item().startswith("7 recognised objects, the minimum is 9")
    assert star[["effect", "p"]].isna().all(axis=None)
    assert not star["confirmed"].item()
    assert rows(effects, **{"class": "boat", "intervention": "other-class"})["effect"].notna().all()


def test_objects_that_are_not_recognised_or_fill_the_image_are_counted(world):
    scenes = world.samples(24)
    everything = np.ones((world.SIZE, world.SIZE), bool)
    for scene in scenes[::2]:
        scene.things[0] = world.thing("boat", everything)
    effects = measured(world, world.by_context, scenes=scenes)
    boat = rows(effects, **{"class": "boat", "kind": "background"})
    assert "12 filling the image" in boat["note"].item()

    def blind(images):
        logits = world.by_context(images)
        logits[:, 1] = -9
        return logits

    effects = measured(world, blind)
    boat = rows(effects, **{"class": "boat", "kind": "background"})
    assert "not recognised" in boat["note"].item()


def test_crowds_are_no_objects_but_can_be_painted_over(world):
    scenes = world.samples()
    for scene in scenes:
        for part in scene.things:
            part.crowd = part.class_name == "buoy"
    effects = measured(world, world.by_buoy, scenes=scenes)
    assert "buoy" not in set(effects.table["class"])
    assert rows(effects, thing="buoy", **{"class": "boat"})["confirmed"].all()


def test_stuff_can_be_what_is_leaned_on(world):
    scenes = world.samples()
    for scene in scenes:
        for part in [part for part in scene.things if part.class_name == "buoy"]:
            scene.things.remove(part)
            scene.stuff.append(world.thing("foam", part.mask()))
    things = rows(measured(world, world.by_buoy, scenes=scenes), kind="thing")
    assert things.loc[things["confirmed"], ["class", "thing"]].values.tolist() == [["boat", "foam"]]


def test_boxes_are_used_where_no_mask_is_annotated(world):
    effects = measured(world, world.by_context, scenes=world.samples(masked=False))
    background = rows(effects, intervention="other-class").set_index("class")
    assert background.loc["boat", "note"].startswith("12 cut out by their boxes")
    assert background["confirmed"].sum() == 2


def test_without_other_images_there_is_no_background_to_take(world):
    only_boats = world.samples()[::2]
    effects = measured(world, world.by_context, scenes=only_boats)
    boat = rows(effects, intervention="other-class", **{"class": "boat"})
    assert "no image without the class" in boat["note"].item()
    assert not boat["confirmed"].item()


def test_the_budget_is_kept(world):
    most = measured(world, world.by_context).passes
    for passes in (60, 150, 300, most):
        effects = measured(world, world.by_context, passes=passes)
        assert effects.passes <= passes
        assert (effects.table["images"] <= 12).all()
        beyond = effects.table["note"].str.contains(f"beyond the budget of {passes}")
        assert beyond.any() == (passes < most)
        assert effects.table.loc[beyond, "effect"].isna().all()


def test_unreadable_images_and_images_without_annotation_are_no_failure(world):
    scenes = world.samples()

    def broken():
        raise InputError("image.png: not an image; replace it")

    for scene in scenes[:6]:
        scene.image = broken
    assert measured(world, world.by_context, scenes=scenes).table["confirmed"].any()
    for scene in scenes:
        scene.things = []
    empty = measured(world, world.by_context, scenes=scenes)
    assert empty.table.empty and list(empty.table.columns) == list(EFFECT_COLUMNS)
    assert measured(world, world.by_context, scenes=[]).table.empty


def test_examples_show_the_object_before_and_after(world, tmp_path):
    scenes = world.samples()
    effects = measured(world, world.by_buoy, scenes=scenes)
    folder = tmp_path / "examples"
    table = write_examples(effects, scenes, folder)
    assert set(zip(table["class"], table["thing"], strict=True)) == {("boat", "buoy")}
    assert len(table) == 3
    assert table["image"].is_unique
    read = pd.read_csv(folder / "index.csv", dtype={"image": str})
    assert read["image"].tolist() == table["image"].tolist()
    for row in read.to_dict("records"):
        before, after = (
            cv2.imread(str(tmp_path / "examples" / row[k])) for k in ("before", "after")
        )
        original = scenes[int(row["image"])]
        assert np.array_equal(before[..., ::-1], original.image())
        x1, y1, x2, y2 = (int(row[k]) for k in ("x1", "y1", "x2", "y2"))
        assert np.array_equal(before[y1:y2, x1:x2], after[y1:y2, x1:x2])
        buoy = next(t.mask() for t in original.things if t.class_name == "buoy")
        assert (np.abs(before[buoy].astype(int) - after[buoy]).max(axis=1) > 50).mean() > 0.9
        assert row["probability_before"] > 0.9 > 0.1 > row["probability_after"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("images", 0),
        ("passes", 1.5),
        ("floor", 1.2),
        ("alpha", 0),
        ("margin", -1),
        ("images", True),
    ],
)
def test_settings_that_cannot_be_used_are_named(setting, value):
    with pytest.raises(InputError, match=f"effect: {setting}: "):
        parse_entries(Effect, {setting: value}, "effect")
    with pytest.raises(InputError, match=r"`minimum_images`, 9, is more than `images`, 4"):
        parse_entries(Effect, {"images": 4, "minimum_images": 9}, "effect")
