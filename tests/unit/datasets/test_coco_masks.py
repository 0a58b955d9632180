"""Segmentations as tools write them: masks, or one line that says what is wrong."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as run_lengths

from lcrp.datasets.coco_masks import draw_mask
from lcrp.errors import InputError

SIZE = (8, 12)
SQUARE = [2, 2, 6, 2, 6, 6, 2, 6]
wild = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(2**70), 2**70),
    st.floats(-20, 20),
    st.sampled_from([2e8, 1e300, -1e9, 2**31, 0.0]),
)


def drawn(segmentation):
    """The mask, None, or the message of the refusal."""
    try:
        return draw_mask(segmentation, SIZE, "a.json: annotation 1")
    except InputError as error:
        return str(error)


@given(st.lists(wild, max_size=14) | st.lists(st.lists(wild, max_size=10), max_size=3))
def test_any_polygon_is_a_mask_or_refused(polygons):
    found = drawn(polygons)
    if isinstance(found, str):
        assert found.startswith("a.json: annotation 1: ") and "\n" not in found
    else:
        assert found is None or (found.shape == SIZE and found.dtype == bool)


@pytest.mark.parametrize("value", [2e8, 1e300, -1e9, math.nan, math.inf, 10**400])
def test_wild_coordinates_are_refused_by_name(value):
    assert "far outside the image of 12 x 8 pixels" in drawn([[*SQUARE[:-1], value]])


@pytest.mark.parametrize(
    "written",
    [[SQUARE], SQUARE, [[[2, 2], [6, 2], [6, 6], [2, 6]]], [[2, 2], [6, 2], [6, 6], [2, 6]]],
    ids=["nested", "flat", "points", "points of one"],
)
def test_polygons_are_read_in_every_nesting(written):
    expected = np.zeros(SIZE, bool)
    expected[2:6, 2:6] = True
    assert (drawn(written) == expected).all()


@given(arrays(np.uint8, SIZE, elements=st.integers(0, 1)))
def test_run_lengths_are_read_as_text_and_as_numbers(mask):
    encoded = run_lengths.encode(np.asfortranarray(mask))
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *changes, len(flat)]).tolist()
    counts = [0, *counts] if flat[0] else counts
    for written in (encoded["counts"].decode(), counts):
        assert (drawn({"size": list(SIZE), "counts": written}) == mask.astype(bool)).all()


@given(st.lists(st.integers(-5, 200), max_size=8) | st.text(max_size=20))
def test_run_lengths_fill_the_image_or_are_refused(counts):
    found = drawn({"size": list(SIZE), "counts": counts})
    if isinstance(found, str):
        assert "run lengths do not add up to the 96 pixels" in found
    else:
        assert found.shape == SIZE
        assert not isinstance(counts, list) or sum(counts) == 96


@pytest.mark.parametrize("written", ["abc", 3, {"counts": [96]}, [["a", "b"] * 4], [[1, 2, 3] * 3]])
def test_what_is_no_segmentation_is_refused(written):
    assert "annotation 1: " in drawn(written)


@pytest.mark.parametrize("written", [None, [], "", [[]], [[1, 2, 3, 4]]])
def test_what_has_no_area_draws_nothing(written):
    assert drawn(written) is None
