"""How far pixels are from an object, in steps of its size: bands around it.

A pixel belongs to the innermost band that reaches it, so that each is counted once.
"""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from lcrp.object_masks import box_mask

# The edges of the bands: so many times the size of the object.
BANDS = (1.5, 2.0, 3.0)
BEYOND = len(BANDS) + 1


def bands_of_boxes(boxes: Iterable, shape: tuple[int, int]) -> np.ndarray:
    """Band of every pixel around boxes, each of which grows about its centre.

    Args:
        boxes: (n, 4) x1 y1 x2 y2 in pixels.
        shape: (H, W).

    Returns:
        (H, W) uint8: 0 in a box, 1 within 1.5 times its size, 2 within 2, 3 within 3, 4 beyond.
    """
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    bands = np.full(shape, BEYOND, np.uint8)
    for number, factor in reversed(list(enumerate(BANDS, 1))):
        bands[box_mask(np.hstack([centre - factor * half, centre + factor * half]), shape)] = number
    bands[box_mask(boxes, shape)] = 0
    return bands


def bands_of_mask(mask: np.ndarray) -> np.ndarray:
    """Band of every pixel around a mask.

    Each connected region of the mask grows by itself: by as many pixels on each side as a square
    of its area does.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) uint8, as `bands_of_boxes`; all `BEYOND` without any object.
    """
    mask = np.asarray(mask, dtype=bool)
    if not mask.any():
        return np.full(mask.shape, BEYOND, np.uint8)
    regions, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    sides = np.sqrt(np.bincount(regions.ravel()))
    distance, nearest = ndimage.distance_transform_edt(~mask, return_indices=True)
    side = sides[regions[tuple(nearest)]]
    edges = [(factor - 1) / 2 * side for factor in BANDS]
    return (distance > 0).astype(np.uint8) + sum(distance > edge for edge in edges).astype(np.uint8)
