"""The rows with the largest values of every channel: exact, ties broken by row."""

import numpy as np


def top_rows(values: np.ndarray, k: int) -> np.ndarray:
    """Rows of the k largest values per channel.

    Args:
        values: (n, C) float; NaN never ranks.
        k: how many rows.

    Returns:
        (k, C) int32: the largest value first, equal values in the order of their rows, -1 where
        fewer than k values are numbers.
    """
    n, channels = values.shape
    result = np.full((k, channels), -1, np.int32)
    m = min(k, n)
    if m == 0 or channels == 0:
        return result
    # One contiguous row per channel; ascending order of the key is descending order of values.
    key = np.where(np.isnan(values), np.inf, -values).T.copy()
    if m < n:
        chosen = np.sort(np.argpartition(key, m - 1, axis=1)[:, :m], axis=1)
        # Where the last chosen value occurs again outside, the partition's choice is arbitrary.
        limit = np.take_along_axis(key, chosen, 1).max(1, keepdims=True)
        tied = np.flatnonzero((key <= limit).sum(1) > m)
        chosen[tied] = np.sort(np.argsort(key[tied], axis=1, kind="stable")[:, :m], axis=1)
    else:
        chosen = np.broadcast_to(np.arange(n), key.shape)
    keys = np.take_along_axis(key, chosen, 1)
    order = np.argsort(keys, axis=1, kind="stable")
    rows = np.take_along_axis(chosen, order, 1)
    numbers = ~np.isposinf(np.take_along_axis(keys, order, 1))
    # -inf is a value too: its key is +inf, as that of NaN, so it counts as no number.
    result[:m] = np.where(numbers, rows, -1).T
    return result


def normalised(relevance: np.ndarray, absolute_sum: np.ndarray) -> np.ndarray:
    """Relevance divided by the absolute sum of its target: (n, C) and (n,) to (n, C) float64.

    A target without any relevance has zero everywhere; one with a NaN is NaN everywhere.
    """
    divisor = np.where(absolute_sum == 0, 1.0, absolute_sum)
    return np.asarray(relevance, np.float64) / divisor[:, None]
