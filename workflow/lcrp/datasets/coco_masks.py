"""Polygons and run lengths as masks; what pycocotools would not survive is refused before."""

import math

import numpy as np
from pycocotools import mask as run_lengths

from lcrp.errors import InputError

# An outline may leave the image, but not by this many times its longer side: pycocotools writes
# every pixel of the outline down, in 32 bits.
_FAR = 10


def draw_mask(
    segmentation: list | dict | None, size: tuple[int, int], where: str
) -> np.ndarray | None:
    """The pixels of a COCO segmentation.

    Args:
        segmentation: polygons (x, y, x, y, ...; one or a list of them, also as pairs) or run
            lengths, as numbers or as COCO's text.
        size: (height, width) of the image.
        where: file and annotation, for errors.

    Returns:
        (h, w) bool; None where nothing is drawn.

    Raises:
        InputError: it is neither, of another size, or not of this image.
    """
    height, width = size
    if isinstance(segmentation, list):
        polygons = [_polygon(each, size, where) for each in _polygons(segmentation)]
        polygons = [polygon for polygon in polygons if len(polygon) >= 6]
        if not polygons:
            return None
        encoded = run_lengths.merge(run_lengths.frPyObjects(polygons, height, width))
    elif isinstance(segmentation, dict):
        encoded = _encoded(segmentation, size, where)
    elif segmentation is None or segmentation == "":
        return None
    else:
        raise _neither(where, f"it is {segmentation!r:.40}")
    return run_lengths.decode(encoded).astype(bool)


def _polygons(segmentation):
    """The polygons of a list: one of numbers, one of points, or several."""
    if segmentation and not isinstance(segmentation[0], list):
        return [segmentation]
    if segmentation and all(
        isinstance(point, list) and len(point) == 2 and not isinstance(point[0], list)
        for point in segmentation
    ):
        return [[value for point in segmentation for value in point]]
    return segmentation


def _polygon(given, size, where):
    if not isinstance(given, list):
        raise _neither(where, f"a polygon is {given!r:.40}")
    values = given
    if values and all(isinstance(point, list) for point in values):
        values = [value for point in values for value in point]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise _neither(where, "a coordinate is no number")
    if len(values) % 2:
        raise InputError(
            f"{where}: a polygon of {len(values)} numbers, which are no pairs of x and y; "
            "correct it"
        )
    furthest = _FAR * max(size)
    for value in values:
        # Whole numbers of any length are compared before they become floats.
        if not (-furthest <= value <= furthest + max(size)) or not math.isfinite(value):
            raise InputError(
                f"{where}: its outline has the coordinate {str(value)[:20]}, far outside the image "
                f"of {size[1]} x {size[0]} pixels; correct it"
            )
    return [float(value) for value in values]


def _encoded(segmentation, size, where):
    """Run lengths as pycocotools reads them, once they are known to fill the image."""
    if not {"size", "counts"} <= set(segmentation):
        raise _neither(where, "it has no `size` or no `counts`")
    if list(segmentation["size"]) != list(size):
        raise InputError(
            f"{where}: its mask has size {segmentation['size']}, its image {list(size)}; "
            "correct the annotation"
        )
    counts = segmentation["counts"]
    if isinstance(counts, str):
        counts = counts.encode("ascii", "replace")
    lengths = _decoded(counts) if isinstance(counts, bytes) else counts
    sound = isinstance(lengths, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in lengths
    )
    if not sound or sum(lengths) != size[0] * size[1]:
        raise InputError(
            f"{where}: its run lengths do not add up to the {size[0] * size[1]} pixels of its "
            "image; write the mask again"
        )
    return run_lengths.frPyObjects({"size": list(size), "counts": lengths}, *size)


def _decoded(text):
    """The run lengths in COCO's text: five bits a character, the sixth says that more follow.

    From the third on, a number is the difference to the one before the last.
    """
    lengths, place = [], 0
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            if place == len(text):
                return None
            character = text[place] - 48
            if not 0 <= character < 64:
                return None
            value |= (character & 0x1F) << shift
            more = bool(character & 0x20)
            place, shift = place + 1, shift + 5
            if not more and character & 0x10:
                value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
    return lengths


def _neither(where, why):
    return InputError(
        f"{where}: its segmentation is neither polygons nor run lengths ({why}); correct it"
    )
