"""Boxes as masks, and what lies outside one."""

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from lcrp.object_masks import box_mask, box_overlaps, outside_share


def test_every_box_has_a_pixel_and_ends_where_the_next_begins():
    assert box_mask([[1, 2, 3, 5]], (6, 6)).sum() == 6
    assert box_mask([[1.2, 2.2, 1.3, 2.3]], (6, 6)).sum() == 1
    assert not box_mask([[-5, -5, -1, -1]], (6, 6)).any()
    assert box_mask([[0, 0, 2, 2], [1, 1, 9, 9]], (4, 4)).sum() == 4 + 9 - 1
    assert not box_mask([], (4, 4)).any()


def test_overlaps_are_those_of_torchvision():
    random = np.random.default_rng(0)
    corners = np.sort(random.random((40, 2, 2)), axis=1).reshape(40, 4)
    expected = box_iou(torch.from_numpy(corners[:1]), torch.from_numpy(corners))[0]
    assert box_overlaps(corners[0], corners).tolist() == expected.tolist()
    assert box_overlaps(corners[0], np.empty((0, 4))).shape == (0,)


@pytest.mark.parametrize("kind", [torch.tensor, np.array])
def test_share_outside_counts_positive_relevance_alone(kind):
    maps = kind([[[1.0, 3.0], [-5.0, 0.0]], [[0.0, -1.0], [0.0, 0.0]]])
    mask = kind([[True, False], [False, False]])
    np.testing.assert_allclose(outside_share(maps, mask), [0.75, np.nan])
    assert outside_share(maps[0], mask) == 0.75
