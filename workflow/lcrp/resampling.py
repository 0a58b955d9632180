"""What chance alone would give: intervals by resampling images, p-values by flipping signs."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

CACHE = 2**28
_ENUMERATED = 12  # with at most so many images all patterns of signs are tried
_AT_ONCE = 2**22


class ImageBootstrap:
    """Confidence intervals of ratios, from draws of images that all layers and concepts share."""

    def __init__(self, groups: Mapping[int, int], draws: int, seed: int = 0):
        """The draws of a group depend on nothing but the seed, its key and its size.

        Args:
            groups: number of images per group (a class).
            draws: how often as many images are drawn, with replacement.
            seed: fixes them.
        """
        self._sizes = dict(groups)
        self._draws = draws
        self._seed = seed
        self._cached: dict[int, np.ndarray] = {}
        self._room = CACHE

    def _counts(self, key: int) -> np.ndarray:
        """How often each image is drawn: (draws, images) uint8."""
        if key in self._cached:
            return self._cached[key]
        size = self._sizes[key]
        random = np.random.default_rng([self._seed, key, size])
        counts = np.empty((self._draws, size), np.uint8)
        for row in counts:
            drawn = np.bincount(random.integers(0, size, size), minlength=size)
            row[:] = np.minimum(drawn, 255)
        if counts.nbytes <= self._room:
            self._room -= counts.nbytes
            self._cached[key] = counts
        return counts

    def interval(
        self, key: int, part: np.ndarray, whole: np.ndarray, confidence: float = 0.95
    ) -> Sequence[np.ndarray]:
        """Percentile interval of 1 - sum(part) / sum(whole).

        Args:
            key: the group.
            part: (images, columns), one row per image of the group.
            whole: (images, columns).
            confidence: of the interval.

        Returns:
            Lower and upper ends, (columns,) each; NaN with fewer than two images, or where less
            than half of the draws have any relevance.
        """
        images, columns = part.shape
        low = np.full(columns, np.nan)
        if images < 2 or columns == 0:
            return low, low.copy()
        scale = np.abs(whole).max(axis=0)
        scale[~(scale > 0)] = 1
        both = np.hstack([part / scale, whole / scale]).astype(np.float32)
        drawn = np.empty((self._draws, columns), np.float32)
        counts = self._counts(key)
        step = max(1, 2**24 // images)
        for start in range(0, self._draws, step):
            sums = counts[start : start + step].astype(np.float32) @ both
            with np.errstate(divide="ignore", invalid="ignore"):
                drawn[start : start + step] = 1 - sums[:, :columns] / sums[:, columns:]
        drawn[~np.isfinite(drawn)] = np.nan
        tail = (1 - confidence) / 2
        return quantiles(drawn, (tail, 1 - tail))


def quantiles(values: np.ndarray, levels: Sequence[float]) -> list[np.ndarray]:
    """Quantiles along the first axis, NaN where less than half of the values are numbers.

    The linear interpolation of numpy.nanquantile, but much faster.

    Args:
        values: (n, columns).
        levels: between 0 and 1.

    Returns:
        One array (columns,) per level.
    """
    # Sorting whole columns: NumPy does that with vector instructions, selection not.
    ordered = np.sort(values.T.copy(), axis=1)
    numbers = np.isfinite(ordered).sum(axis=1)
    last = np.maximum(numbers - 1, 0)
    results = []
    for level in levels:
        place = level * last
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, last)
        first = np.take_along_axis(ordered, below[:, None], 1)[:, 0].astype(np.float64)
        second = np.take_along_axis(ordered, above[:, None], 1)[:, 0].astype(np.float64)
        value = first + (place - below) * (second - first)
        results.append(np.where(2 * numbers >= len(values), value, np.nan))
    return results


def bootstrap_interval(
    values: np.ndarray, random: np.random.Generator, draws: int, confidence: float
) -> tuple[float, float]:
    """Percentile interval of a mean over images, by resampling them.

    Args:
        values: (n,) one per image.
        random: what is drawn from.
        draws: how often n images are drawn, with replacement.
        confidence: of the interval.

    Returns:
        Its ends; NaN with fewer than two images.
    """
    count = len(values)
    if count < 2:
        return np.nan, np.nan
    means = [
        values[random.integers(0, count, (part, count))].mean(axis=1)
        for part in _parts(draws, count)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), (tail, 1 - tail))
    return float(low), float(high)


def sign_flip(
    differences: ArrayLike, random: np.random.Generator, draws: int, kind: DTypeLike = np.int8
) -> float:
    """Chance of a sum as large if each difference were as likely of the other sign; one-sided.

    All patterns of signs are tried where they are few, else random ones.

    Args:
        differences: (n,) one per image, at least one.
        random: what is drawn from.
        draws: number of random patterns.
        kind: the integers that are drawn; a generator gives others for another type.
    """
    differences = np.asarray(differences, float)
    count = len(differences)
    seen = differences.sum()
    # Sums of the same numbers in another order may differ in the last bit.
    seen -= 1e-12 * np.abs(differences).sum()
    if count <= _ENUMERATED:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float((signs @ differences >= seen).mean())
    larger = 0
    for part in _parts(draws, count):
        signs = 1 - 2 * random.integers(0, 2, (part, count), dtype=kind)
        larger += int((signs @ differences >= seen).sum())
    return (larger + 1) / (draws + 1)


def _parts(draws: int, count: int) -> list[int]:
    step = max(1, _AT_ONCE // count)
    return [min(step, draws - start) for start in range(0, draws, step)]
