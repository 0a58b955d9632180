"""What a scene shows, and what it keeps from its random numbers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lcrp.configuration import Scenes, parse_entries
from lcrp.errors import InputError
from lcrp.scenes import CONTEXTS, class_names, draw_scene, truth
from lcrp.scenes.outlines import AREA, OUTLINES, fill, texture, unit_outline
from lcrp.scenes.scene import Scene, Thing
from lcrp.scenes.strokes import stroke_field
from lcrp.scenes.world import BY_NAME, KINDS

OPTIONS = Scenes(seed=3, size=96)


def scenes(count=40, options=OPTIONS, split="test"):
    return [draw_scene(options, split, index) for index in range(count)]


def one_thing(name, context, options=OPTIONS):
    thing = Thing(name, 48.3, 47.6, 19.0, (203, 84, 72), 0)
    return Scene("test", 5, context, (thing,)).render(options)[:2]


def test_same_seed_same_scene_and_other_seed_another():
    first, again = draw_scene(OPTIONS, "train", 7), draw_scene(OPTIONS, "train", 7)
    assert first == again
    assert np.array_equal(first.render(OPTIONS)[0], again.render(OPTIONS)[0])
    assert draw_scene(OPTIONS.model_copy(update={"seed": 4}), "train", 7).things != first.things
    assert draw_scene(OPTIONS, "test", 7).things != first.things


def test_scene_does_not_depend_on_how_many_are_drawn():
    few, many = (OPTIONS.model_copy(update={"train": n}) for n in (8, 80))
    assert draw_scene(few, "train", 5) == draw_scene(many, "train", 5)


@pytest.mark.parametrize("twins", [("boat", "car"), ("balloon", "tree")])
def test_twins_look_exactly_alike(twins):
    pictures, masks = [], []
    for name in twins:
        image, (mask,) = one_thing(name, BY_NAME[name].context)
        pictures.append(image)
        masks.append(mask)
    assert np.array_equal(*masks)
    near = ndimage.binary_dilation(masks[0], iterations=2)
    assert np.array_equal(pictures[0][near], pictures[1][near])
    assert not np.array_equal(*pictures)


def test_twins_stand_on_their_context_only_and_shapes_on_every_one():
    found = {kind.name: set() for kind in KINDS}
    for scene in scenes(400):
        for thing in scene.things:
            found[thing.name].add(scene.context)
    for kind in KINDS:
        expected = {kind.context} if kind.context else {*CONTEXTS, None}
        assert found[kind.name] == expected, kind.name


def test_rider_nearly_always_has_its_bicycle():
    riders = [t.group for s in scenes(600) for t in s.things if t.name == "rider"]
    with_bicycle = sum(
        any(b.name == "bicycle" and b.group == r.group for b in s.things)
        for s in scenes(600)
        for r in s.things
        if r.name == "rider"
    )
    assert len(riders) > 40
    assert 0.88 < with_bicycle / len(riders) < 1
    assert any(
        "rider" not in {t.name for t in s.things} and "bicycle" in {t.name for t in s.things}
        for s in scenes(100)
    )


def test_one_to_three_objects_inside_and_apart():
    for scene in scenes():
        assert 1 <= len(scene.things) <= 4  # a bicycle may be the fourth
        _, masks, _ = scene.render(OPTIONS)
        for thing, mask in zip(scene.things, masks, strict=True):
            assert min(thing.box) >= 0
            assert max(thing.box) <= OPTIONS.size
            ys, xs = np.nonzero(mask)
            drawn = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            assert np.abs(np.subtract(drawn, thing.box)).max() < 1.6
        for a, first in enumerate(masks):
            for b, second in enumerate(masks[:a]):
                assert not (first & second).any()
                if scene.things[a].group != scene.things[b].group:
                    assert ndimage.distance_transform_edt(~first)[second].min() >= 4


@pytest.mark.parametrize("gap", [2, 4, 6])
def test_strokes_keep_off_the_objects(gap):
    options = OPTIONS.model_copy(update={"gap": gap})
    for scene in scenes(24, options):
        if scene.context is None:
            continue
        image, masks, strokes = scene.render(options)
        bare, _, nothing = replace(scene, context=None).render(options)
        # Where strokes are thin, rounding may hide them.
        seen = (image != bare).any(axis=2)
        assert not (seen & ~strokes).any() and seen[strokes].mean() > 0.9
        assert not nothing.any()
        distance = ndimage.distance_transform_edt(~np.any(masks, axis=0))
        assert strokes.mean() > 0.1
        assert distance[strokes].min() > gap
        # and they do come near
        assert distance[strokes].min() < gap + 6


def test_swapping_the_context_leaves_the_objects_as_they_are():
    for scene in scenes(24):
        if scene.context is None:
            continue
        swapped = scene.swapped()
        assert swapped.context != scene.context
        assert swapped.swapped() == scene
        (image, masks, _), (other, other_masks, _) = (
            drawn.render(OPTIONS) for drawn in (scene, swapped)
        )
        assert np.array_equal(masks, other_masks)
        near = ndimage.binary_dilation(np.any(masks, axis=0), iterations=2)
        assert np.array_equal(image[near], other[near])
        assert not np.array_equal(image, other)


def test_removing_companions_leaves_the_riders():
    scene = next(s for s in scenes(100) if s.without_companions())
    left = scene.without_companions()
    gone = set(scene.things) - set(left.things)
    assert {thing.name for thing in gone} == {"bicycle"}
    assert left.without_companions() is None
    assert [t for t in left.things if t.name == "rider"] == [
        t for t in scene.things if t.name == "rider"
    ]


def test_every_outline_covers_the_same_area():
    areas = []
    for name in OUTLINES:
        polygons, (width, height) = unit_outline(name)
        mask = fill([(polygon * 400) + 400 for polygon in polygons], 800, 800)
        areas.append(mask.sum() / 400**2)
        assert 0.75 < width < 1.5
        assert 0.5 < height < 1.3
    assert np.allclose(areas, AREA, rtol=0.02)


def test_textures_differ_and_stay_in_range():
    x, y = np.meshgrid(np.arange(-8, 8, 0.25), np.arange(-8, 8, 0.25))
    shades = {name: texture(name, x, y, 18.0) for name in OUTLINES}
    for shade in shades.values():
        assert shade.shape == x.shape
        assert np.abs(shade).max() <= 1
        assert shade.std() > 0.1
    assert len({shade.tobytes() for shade in shades.values()}) == len(OUTLINES)


def test_stroke_fields_differ_by_context_but_not_in_amount():
    taken = np.zeros((96, 96), bool)
    amounts = [
        stroke_field(context, 96, taken, 4, np.random.default_rng(0))[0].mean()
        for context in CONTEXTS
    ]
    assert len({round(float(amount), 6) for amount in amounts}) == len(CONTEXTS)
    assert max(amounts) < 2 * min(amounts)


def test_truth_says_what_depends_on_what():
    facts = truth(OPTIONS)
    kinds = [entry["kind"] for entry in facts["classes"].values()]
    assert kinds.count("context-dependent") == 4
    assert kinds.count("shape") >= 3
    assert kinds.count("companion") == 1
    for name, entry in facts["classes"].items():
        if entry["twin"]:
            other = facts["classes"][entry["twin"]]
            assert other["twin"] == name
            assert facts["swaps"][entry["context"]] == other["context"]
        if entry["companion"]:
            assert facts["classes"][entry["companion"]]["kind"] == "shape"


def test_merged_twins_share_a_label_and_need_no_context():
    facts = truth(OPTIONS.model_copy(update={"merge_twins": True}))
    assert tuple(facts["classes"]) == class_names(merge_twins=True)
    assert len(facts["classes"]) == len(class_names()) - 2
    assert all(entry["kind"] != "context-dependent" for entry in facts["classes"].values())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"sise": 96}, "scenes: sise: is no known entry"),
        ({"size": 20}, "scenes: size: `20`"),
        ({"train": "many"}, "scenes: train: `many`: must be a whole number"),
        ({"train": True}, "scenes: train: `True`: must be a whole number"),
        ({"plain": 1.5}, "scenes: plain: `1.5`"),
        ({"smallest": 22}, "scenes: `largest` is 21; choose 22"),
    ],
)
def test_wrong_options_are_named(config, message):
    with pytest.raises(InputError) as error:
        parse_entries(Scenes, config, "scenes")
    assert str(error.value).startswith(message)


def test_whole_numbers_are_shares_too():
    assert parse_entries(Scenes, {"plain": 0, "companion": 1}, "scenes").companion == 1


def test_training_scenes_come_in_pairs_that_differ_in_the_context_alone():
    scenes_with_strokes = 0
    for index in range(0, 60, 2):
        first, second = (draw_scene(OPTIONS, "train", i) for i in (index, index + 1))
        if first.context is None:
            assert second.context is None
            assert first.things != second.things
            continue
        scenes_with_strokes += 1
        assert first.swapped().context == second.context
        for one, other in zip(first.things, second.things, strict=True):
            assert replace(one, name=other.name) == other
            twin = BY_NAME[one.name].twin
            assert other.name == (twin or one.name)
    assert scenes_with_strokes > 15
