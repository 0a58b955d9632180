"""The way between the pixels of an image and those of a network's input."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Geometry:
    """How a preprocessed input lies on the original image.

    Coordinates are continuous: pixel i covers [i, i + 1). Along each axis
    input = original * scale + offset.

    Attributes:
        original: (height, width) of the image.
        input: (height, width) of the network's input.
        scale: (x, y).
        offset: (x, y), positive where the input is padded and negative where it is cropped.
    """

    original: tuple[int, int]
    input: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]

    def boxes_to_input(self, boxes: npt.ArrayLike) -> np.ndarray:
        """Boxes (n, 4), x1 y1 x2 y2 in original pixels, in input pixels; float64, not clipped."""
        boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        return boxes * np.tile(self.scale, 2) + np.tile(self.offset, 2)

    def boxes_to_original(self, boxes: npt.ArrayLike) -> np.ndarray:
        """Boxes (n, 4), x1 y1 x2 y2 in input pixels, in original pixels; clipped to the image."""
        boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        boxes = (boxes - np.tile(self.offset, 2)) / np.tile(self.scale, 2)
        height, width = self.original
        return np.clip(boxes, 0.0, [width, height, width, height])

    def mask_to_input(self, mask: npt.ArrayLike, fill: float = 0) -> np.ndarray:
        """Mask or label map (h, w) of the image, as (H, W) of the input.

        Each input pixel takes the original pixel under its centre; padding takes `fill`.
        The type is kept.
        """
        mask = np.asarray(mask)
        if mask.shape != self.original:
            raise ValueError(f"mask of shape {mask.shape} for an image of {self.original}")
        rows, columns = (
            np.floor((np.arange(self.input[axis]) + 0.5 - offset) / scale).astype(np.int64)
            for axis, (scale, offset) in enumerate(self._rows_and_columns())
        )
        inside = _within(rows, self.original[0])[:, None] & _within(columns, self.original[1])
        picked = mask[
            np.clip(rows, 0, self.original[0] - 1)[:, None],
            np.clip(columns, 0, self.original[1] - 1),
        ]
        return np.where(inside, picked, np.asarray(fill, dtype=mask.dtype))

    def map_to_original(self, values: npt.ArrayLike) -> np.ndarray:
        """Map (H, W) of the input, such as a heatmap, as (h, w) of the image; float32.

        Bilinear between input pixels; padding is cut off, and parts of the image that the
        network did not see are 0.
        """
        given = np.asarray(values, dtype=np.float32)
        if given.shape != self.input:
            raise ValueError(f"map of shape {given.shape} for an input of {self.input}")
        (rows, row_weights, rows_seen), (columns, column_weights, columns_seen) = (
            _bilinear(self.original[axis], self._content(axis), scale, offset)
            for axis, (scale, offset) in enumerate(self._rows_and_columns())
        )
        above, below = given[rows[0]], given[rows[1]]
        lines = above * (1 - row_weights)[:, None] + below * row_weights[:, None]
        left, right = lines[:, columns[0]], lines[:, columns[1]]
        filled = left * (1 - column_weights) + right * column_weights
        return filled * (rows_seen[:, None] & columns_seen)

    def _rows_and_columns(self) -> Iterator[tuple[float, float]]:
        return zip(reversed(self.scale), reversed(self.offset), strict=True)

    def _content(self, axis: int) -> tuple[int, int]:
        """First and last input index along an axis that shows the image, not padding."""
        scale, offset = list(self._rows_and_columns())[axis]
        first = max(0, int(np.ceil(offset - 0.5)))
        last = int(np.ceil(offset + self.original[axis] * scale - 0.5)) - 1
        return first, max(first, min(self.input[axis] - 1, last))


def _within(indices: np.ndarray, length: int) -> np.ndarray:
    return (indices >= 0) & (indices < length)


def _bilinear(
    length: int, content: tuple[int, int], scale: float, offset: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices (2, length), weights of the second, and whether the network saw the pixel."""
    first, last = content
    position = (np.arange(length) + 0.5) * scale + offset
    seen = (position >= first) & (position <= last + 1)
    position = np.clip(position - 0.5, first, last)
    lower = np.floor(position).astype(np.int64)
    upper = np.minimum(lower + 1, last)
    return np.stack([lower, upper]), (position - lower).astype(np.float32), seen
