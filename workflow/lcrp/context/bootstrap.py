"""Confidence intervals of ratios, by resampling images."""

import numpy as np

CACHE = 2**28


class ImageBootstrap:
    """Draws of images with replacement, the same ones for every layer and concept.

    groups: number of images per group (a class); draws: how many; seed: fixes them. The draws of
    a group depend on nothing but the seed, its key and its size.
    """

    def __init__(self, groups, draws, seed=0):
        self._sizes = dict(groups)
        self._draws = draws
        self._seed = seed
        self._cached = {}
        self._room = CACHE

    def _counts(self, key):
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

    def interval(self, key, part, whole, confidence=0.95):
        """Percentile interval of 1 - sum(part) / sum(whole).

        key: the group; part, whole: (images, columns), one row per image of the group. Returns
        two arrays (columns,): lower and upper end; NaN with fewer than two images, or where
        draws without any relevance leave too little to tell.
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


def quantiles(values, levels):
    """Quantiles along the first axis, NaN where less than half of the values are numbers.

    values (n, columns); levels: between 0 and 1. Returns one array (columns,) per level. Much
    faster than numpy.nanquantile, the same linear interpolation.
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
