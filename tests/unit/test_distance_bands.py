"""Bands around objects."""

import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays

from lcrp.distance_bands import BEYOND, bands_of_boxes, bands_of_mask


def test_boxes_grow_about_their_centres():
    bands = bands_of_boxes([[40, 40, 60, 48]], (100, 100))
    assert (bands == 0).sum() == 20 * 8
    assert (bands <= 1).sum() == 30 * 12
    assert (bands <= 2).sum() == 40 * 16
    assert (bands <= 3).sum() == 60 * 24
    assert bands[0, 0] == BEYOND


def test_a_square_grows_as_its_box_does():
    mask = np.zeros((101, 101), bool)
    mask[40:60, 40:60] = True
    row, expected = bands_of_mask(mask)[50], bands_of_boxes([[40, 40, 60, 60]], (101, 101))[50]
    np.testing.assert_array_equal(row, expected)


def test_small_region_does_not_reach_as_far_as_a_large_one():
    mask = np.zeros((60, 120), bool)
    mask[20:40, 10:30] = True
    mask[30, 90] = True
    bands = bands_of_mask(mask)
    assert bands[30, 34] == 1 and bands[30, 94] == BEYOND


@given(arrays(bool, (12, 15)))
def test_bands_are_around_the_mask_in_order(mask):
    bands = bands_of_mask(mask)
    assert ((bands == 0) == mask).all()
    assert bands.max() <= BEYOND


def test_without_an_object_everything_is_beyond():
    assert (bands_of_mask(np.zeros((3, 4), bool)) == BEYOND).all()
    assert (bands_of_boxes([], (3, 4)) == BEYOND).all()
