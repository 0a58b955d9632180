"""Boxes, masks and maps find their way between image and input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcrp.models.geometry import Geometry
from lcrp.models.preprocessing import cover, letterbox, stretch

SIDES = st.integers(2, 60)


def geometry(fit, image_size, size):
    return fit(np.zeros((*image_size, 3), np.uint8), size)[1]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([stretch, letterbox, cover]), SIDES, SIDES, SIDES, SIDES)
def test_boxes_return(fit, height, width, input_height, input_width):
    there = geometry(fit, (height, width), (input_height, input_width))
    boxes = np.array([[0, 0, width, height], [0.5, 0.25, width / 2, height / 3]])
    assert np.allclose(there.boxes_to_original(there.boxes_to_input(boxes)), boxes)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([stretch, letterbox]), SIDES, SIDES, SIDES, SIDES)
def test_a_constant_map_returns_as_a_constant(fit, height, width, input_height, input_width):
    there = geometry(fit, (height, width), (input_height, input_width))
    back = there.map_to_original(np.ones((input_height, input_width)))
    assert back.shape == (height, width)
    assert np.allclose(back, 1)


def test_padding_of_a_letterbox_does_not_leak_into_the_image():
    there = geometry(letterbox, (20, 40), (32, 32))
    content = there.mask_to_input(np.ones((20, 40), bool))
    assert content.sum() == 16 * 32 and content[8:24].all()
    assert np.allclose(there.map_to_original(np.where(content, 1.0, 100.0)), 1)


def test_what_a_crop_left_out_is_zero():
    there = geometry(cover, (20, 40), (20, 20))
    back = there.map_to_original(np.ones((20, 20)))
    assert back[:, 10:30].all() and back.sum() == 20 * 20
    labels = np.tile(np.arange(40, dtype=np.uint8), (20, 1))
    assert np.array_equal(there.mask_to_input(labels), labels[:, 10:30])


def test_labels_keep_their_type_and_padding_takes_the_fill():
    there = geometry(letterbox, (10, 20), (32, 32))
    labels = np.full((10, 20), 7, np.uint8)
    fitted = there.mask_to_input(labels, fill=255)
    assert fitted.dtype == np.uint8
    assert set(np.unique(fitted)) == {7, 255}


def test_masks_and_boxes_agree():
    there = geometry(letterbox, (37, 53), (64, 96))
    mask = np.zeros((37, 53), bool)
    mask[10:20, 5:40] = True
    rows, columns = there.mask_to_input(mask).nonzero()
    box = there.boxes_to_input([[5, 10, 40, 20]])[0]
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert np.abs(box - edges).max() <= 0.5


def test_a_ramp_is_interpolated_between_pixels():
    there = Geometry((1, 8), (1, 4), (0.5, 1.0), (0.0, 0.0))
    back = there.map_to_original(np.arange(4, dtype=float)[None])
    assert np.allclose(back[0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])


def test_boxes_are_clipped_to_the_image():
    there = geometry(stretch, (10, 20), (20, 40))
    assert there.boxes_to_original([[-5, -5, 100, 100]]).tolist() == [[0, 0, 20, 10]]
    assert there.boxes_to_original(np.zeros((0, 4))).shape == (0, 4)


def test_arrays_of_another_size_are_refused():
    there = geometry(stretch, (10, 20), (20, 40))
    with pytest.raises(ValueError, match="mask of shape"):
        there.mask_to_input(np.zeros((20, 10)))
    with pytest.raises(ValueError, match="map of shape"):
        there.map_to_original(np.zeros((10, 20)))
