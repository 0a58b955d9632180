"""Boxes as masks, their overlap, relevance outside a mask, when a prediction meets its object."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

# A prediction is about an annotated object from this IoU on: the paper's scripts keep it then.
MET = 0.3
# An object counts as found from this IoU on, as in mAP50.
FOUND = 0.5

# What stands where else the index of a class does.
UNLABELLED = -1  # ground that is annotated as nothing
NOTHING = -2  # no entry, where fewer things than places are named
OBJECT = -3  # the object of the target itself


def box_mask(boxes: Iterable, shape: tuple[int, int]) -> np.ndarray:
    """The pixels of boxes, each of which has one at least.

    Args:
        boxes: (n, 4) x1 y1 x2 y2 in pixels; a box ends where the next pixel begins.
        shape: (H, W) of the mask.

    Returns:
        (H, W) bool.
    """
    mask = np.zeros(shape, bool)
    for x1, y1, x2, y2 in np.asarray(boxes, dtype=float).reshape(-1, 4).round().astype(int):
        mask[max(y1, 0) : max(y2, y1 + 1, 0), max(x1, 0) : max(x2, x1 + 1, 0)] = True
    return mask


def box_overlaps(box: npt.ArrayLike, boxes: npt.ArrayLike) -> np.ndarray:
    """Intersection over union of a box with others.

    Args:
        box: (4,) x1 y1 x2 y2.
        boxes: (n, 4).

    Returns:
        (n,) float64.
    """
    one, others = np.asarray(box, dtype=float), np.asarray(boxes, dtype=float).reshape(-1, 4)
    low, high = np.maximum(others[:, :2], one[:2]), np.minimum(others[:, 2:], one[2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    return common / ((one[2:] - one[:2]).prod() + areas - common)


def outside_share(maps: npt.ArrayLike, mask: npt.ArrayLike) -> np.ndarray:
    """The context score of heatmaps: the share of their positive relevance outside a mask.

    C = sum R+ (1 - m) / sum R+, Dreyer et al., arXiv 2211.11426.

    Args:
        maps: (..., H, W) relevance, an array or a tensor on the CPU.
        mask: (H, W) bool, the object.

    Returns:
        (...) float64; NaN where there is no positive relevance.
    """
    maps, outside = np.asarray(maps, dtype=np.float64), ~np.asarray(mask, dtype=bool)
    positive = np.clip(maps, 0, None).reshape(*maps.shape[:-2], -1)
    total = positive.sum(axis=-1)
    share = positive @ outside.ravel().astype(np.float64)
    return np.divide(share, total, out=np.full_like(total, np.nan), where=total > 0)
