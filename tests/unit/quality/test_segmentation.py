"""Intersection over union on cases worked out by hand, and against a slow definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lcrp.models.geometry import Geometry
from lcrp.quality import Confusion, segmentation_quality
from lcrp.quality.predicting import labels_to_original

CLASSES = ("background", "cat", "dog", "owl")


def test_worked_example():
    annotated = np.array([[0, 0, 1, 1], [0, 0, 1, 255]])
    predicted = np.array([[0, 0, 1, 0], [0, 2, 1, 2]])
    summary, table = segmentation_quality([(annotated, predicted)], CLASSES)
    # background: 3 of 5, cat: 2 of 3, dog: predicted once, owl: nowhere
    assert table["IoU"].tolist()[:3] == pytest.approx([3 / 5, 2 / 3, 0])
    assert np.isnan(table["IoU"][3])
    assert table["pixels"].tolist() == [4, 3, 0, 0]
    assert summary["mIoU"] == pytest.approx((3 / 5 + 2 / 3 + 0) / 3)
    assert summary["pixel_accuracy"] == pytest.approx(5 / 7)


maps = arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 3, 255]))


@given(st.lists(st.tuples(maps, maps), min_size=1, max_size=3))
def test_agrees_with_the_definition(pairs):
    summary, table = segmentation_quality(pairs, CLASSES)
    annotated, predicted = (np.concatenate([p[i].ravel() for p in pairs]) for i in (0, 1))
    valid = (annotated != 255) & (predicted != 255)
    annotated, predicted = annotated[valid], predicted[valid]
    ious = []
    for k in range(len(CLASSES)):
        union = ((annotated == k) | (predicted == k)).sum()
        expected = ((annotated == k) & (predicted == k)).sum() / union if union else np.nan
        assert table["IoU"][k] == pytest.approx(expected, nan_ok=True)
        ious.append(expected)
    if len(annotated):
        assert summary["mIoU"] == pytest.approx(np.nanmean(ious))
        assert summary["pixel_accuracy"] == pytest.approx((annotated == predicted).mean())
    else:
        assert np.isnan(summary["mIoU"])


def test_images_add_up_in_any_order():
    random = np.random.default_rng(0)
    pairs = [random.integers(0, 4, (2, 7, 7)) for _ in range(4)]
    one, other = Confusion(CLASSES), Confusion(CLASSES)
    for pair in pairs:
        one.add(*pair)
    for pair in reversed(pairs):
        other.add(*pair)
    assert np.array_equal(one.counts, other.counts)


def test_class_map_goes_back_to_the_image():
    labels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    doubled = Geometry((8, 8), (4, 4), (0.5, 0.5), (0.0, 0.0))
    assert np.array_equal(labels_to_original(labels, doubled), labels.repeat(2, 0).repeat(2, 1))
    # the image is wider than what the network saw of it: one column left, one right
    cropped = Geometry((4, 6), (4, 4), (1.0, 1.0), (-1.0, 0.0))
    back = labels_to_original(labels, cropped)
    assert np.array_equal(back[:, 1:5], labels)
    assert (back[:, [0, 5]] == 255).all()
    padded = Geometry((2, 4), (4, 4), (1.0, 1.0), (0.0, 1.0))
    assert np.array_equal(labels_to_original(labels, padded), labels[1:3])
