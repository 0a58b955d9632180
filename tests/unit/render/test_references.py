import cv2
import numpy as np
import pytest

from lcrp.render import References
from lcrp.render.references import crop_window, fingerprint, smoothed


def references(world, folder=None, explainer=None):
    return References(explainer or world.explainer, world.model, world.dataset, world.store, folder)


class Counting:
    """An explainer that counts what is asked of it."""

    def __init__(self, explainer):
        self.explainer, self.calls = explainer, []

    def __getattr__(self, name):
        self.calls.append(name)
        return getattr(self.explainer, name)


def test_references_are_the_best_targets_of_the_class(detected):
    layer = detected.store.layers[0]
    best = detected.store.best(layer, 4, class_index=1, k=3)
    found = references(detected).of(layer, [4], 1, 3)[4]
    positive = best[best["value"] > 0]
    assert [r.image_id for r in found] == positive["image_id"].tolist()
    np.testing.assert_allclose([r.value for r in found], positive["value"])
    assert {r.class_name for r in found} <= {"disc"}


def test_crop_is_cut_from_the_heatmap_of_the_strongest_neuron(detected):
    layer, concept = detected.store.layers[0], 4
    row = detected.store.best(layer, concept, class_index=1, k=1).iloc[0]
    picture = detected.dataset[row["image_id"]].image()
    images, geometry = detected.model.preprocess(picture)
    target = detected.explainer.predict(images[None]).targets(classes=[1])[0]
    heatmap = detected.explainer.conditional(target, layer, [concept], [row["position"]])[0]
    heatmap = geometry.map_to_original(heatmap.numpy())
    window = crop_window(smoothed(heatmap))
    found = references(detected).of(layer, [concept], 1, 1)[concept][0]
    assert found.window == window
    x1, y1, x2, y2 = window
    np.testing.assert_array_equal(found.picture, picture[y1:y2, x1:x2])
    # Relative to the neuron's own relevance, which the heatmap's scale is.
    scale = np.abs(heatmap[y1:y2, x1:x2]).max()
    expected = heatmap[y1:y2, x1:x2] / scale
    np.testing.assert_allclose(found.heatmap / np.abs(found.heatmap).max(), expected, atol=1e-4)
    assert found.relevant.any() and found.relevant.shape == found.picture.shape[:2]


@pytest.mark.parametrize("by", ["relevance", "activation"])
def test_second_time_costs_nothing(segmented, tmp_path, by):
    layer = segmented.store.layers[0]
    first = references(segmented, tmp_path).of(layer, [0, 1, 2], None, 3, by)
    counting = Counting(segmented.explainer)
    again = references(segmented, tmp_path, counting).of(layer, [2, 0], None, 2, by)
    assert counting.calls == []
    for concept in (0, 2):
        assert len(again[concept]) == len(first[concept][:2])
        for a, b in zip(first[concept], again[concept], strict=False):
            assert (a.image_id, a.window, a.problem) == (b.image_id, b.window, b.problem)
            if a.picture is not None:
                np.testing.assert_array_equal(a.picture, b.picture)
                np.testing.assert_array_equal(a.relevant, b.relevant)
                step = np.abs(a.heatmap).max() / 1024
                np.testing.assert_allclose(b.heatmap, a.heatmap, atol=0.51 * step)
    # More than was kept is computed, and so is what a full disk cut off.
    more = references(segmented, tmp_path, counting).of(layer, [0], None, 4, by)
    assert "forward" in counting.calls and len(more[0]) >= len(first[0])
    for kept in tmp_path.rglob("*.npz"):
        kept.write_bytes(kept.read_bytes()[:50])
    assert len(references(segmented, tmp_path).of(layer, [0], None, 4, by)[0]) == len(more[0])


def test_an_image_is_predicted_once_for_all_its_concepts(segmented):
    counting = Counting(segmented.explainer)
    references(segmented, explainer=counting).of(segmented.store.layers[0], range(4), None, 9)
    assert counting.calls.count("predict") <= len(segmented.dataset)


def test_several_are_found_as_each_alone(detected):
    layers = detected.store.layers[:2]
    keys = [(layer, concept, of) for layer in layers for concept in (1, 4) for of in (None, 1)]
    counting = Counting(detected.explainer)
    together = references(detected, explainer=counting).several(keys, 3)
    assert list(together) == keys
    assert counting.calls.count("predict") <= len(detected.dataset)
    for layer, concept, of in keys:
        alone = references(detected).of(layer, [concept], of, 3)[concept]
        for one, other in zip(together[layer, concept, of], alone, strict=True):
            assert (one.image_id, one.window, one.value) == (
                other.image_id, other.window, other.value
            )  # fmt: skip
            np.testing.assert_allclose(one.heatmap, other.heatmap, atol=1e-6)


def test_unreadable_image_becomes_a_tile_that_says_so(segmented, tmp_path, monkeypatch):
    layer = segmented.store.layers[0]
    best = segmented.store.best(layer, 0, k=3)["image_id"].iloc[0]
    path = segmented.dataset[best].path
    content = path.read_bytes()
    try:
        path.write_bytes(content[:40])
        found = references(segmented).of(layer, [0], None, 3)[0]
    finally:
        path.write_bytes(content)
    broken = [r for r in found if r.image_id == best]
    assert broken and all(r.picture is None and path.name in r.problem for r in broken)
    assert any(r.picture is not None for r in found if r.image_id != best)


def test_an_image_that_left_the_dataset(segmented, tmp_path):
    layer = segmented.store.layers[0]
    made = references(segmented)
    gone = segmented.store.best(layer, 0, k=1)["image_id"].iloc[0]
    del made.samples.rows[gone]
    found = made.of(layer, [0], None, 1)[0][0]
    assert "not in the dataset" in found.problem


def test_kept_references_belong_to_one_store(segmented, detected, tmp_path):
    assert fingerprint(segmented.store) == fingerprint(segmented.store)
    assert fingerprint(segmented.store) != fingerprint(detected.store)


def strength(shape, x, y, radius):
    heatmap = np.zeros(shape, np.float32)
    cv2.circle(heatmap, (x, y), radius, -1.0, -1)
    return smoothed(heatmap)


def test_crop_is_a_square_around_the_relevance():
    x1, y1, x2, y2 = crop_window(strength((200, 300), 150, 90, 20))
    assert x2 - x1 == y2 - y1
    assert abs((x1 + x2) / 2 - 150.5) <= 1 and abs((y1 + y2) / 2 - 90.5) <= 1
    assert 41 <= x2 - x1 <= 61


@pytest.mark.parametrize("x, y", [(0, 0), (299, 199), (299, 0), (150, 199)])
def test_crop_at_the_border_is_moved_inside(x, y):
    x1, y1, x2, y2 = crop_window(strength((200, 300), x, y, 20))
    assert 0 <= x1 < x2 <= 300 and 0 <= y1 < y2 <= 200
    assert x2 - x1 == y2 - y1


def test_crop_leaves_out_a_distant_speck_but_not_a_second_half():
    heatmap = np.zeros((200, 300), np.float32)
    cv2.circle(heatmap, (60, 60), 20, 1.0, -1)
    alone = crop_window(smoothed(heatmap))
    cv2.circle(heatmap, (280, 190), 2, 1.0, -1)
    assert crop_window(smoothed(heatmap)) == alone
    cv2.circle(heatmap, (250, 60), 15, 1.0, -1)
    x1, _, x2, _ = crop_window(smoothed(heatmap))
    assert x1 <= 40 and x2 >= 265


def test_crop_of_everything_is_cut_at_the_short_side():
    assert crop_window(np.ones((50, 300), np.float32)) == (0, 0, 300, 50)


def test_one_relevant_pixel_still_gives_a_picture_to_recognise():
    heatmap = np.zeros((400, 400), np.float32)
    heatmap[7, 390] = 1
    x1, y1, x2, y2 = crop_window(smoothed(heatmap))
    assert x2 - x1 == y2 - y1 >= 40


def test_no_relevance_no_crop():
    assert crop_window(smoothed(np.zeros((20, 20), np.float32))) is None
