"""What a measured difference is worth: intervals, chance, correction for many tests."""

from dataclasses import dataclass

import numpy as np

_ENUMERATED = 12  # with fewer images all sign patterns are tried
_AT_ONCE = 2**22


@dataclass(frozen=True)
class Contrast:
    """An effect over images, beside that of its control.

    Attributes:
        effect, low, high: mean drop, with its interval.
        control: mean drop under the control; NaN without one.
        difference: effect minus control; NaN without one.
        size: mean over standard deviation of the difference (of the effect, without a control).
        p: chance of a difference as large where there is none, one-sided; NaN without control.
    """

    effect: float
    low: float
    high: float
    control: float
    difference: float
    size: float
    p: float


def contrast(effect, control=None, *, draws=20000, confidence=0.95, seed=0):
    """A mean effect against its control.

    Args:
        effect: (n,) drops, one per image.
        control: (n,) drops of the same images under the control, or None.
        draws: of bootstrap and sign flips.
        confidence: of the interval.
        seed: of both.

    Returns:
        `Contrast`.
    """
    effect = np.asarray(effect, float)
    random = np.random.default_rng(seed)
    low, high = bootstrap_interval(effect, random, draws, confidence)
    if control is None:
        return Contrast(effect.mean(), low, high, np.nan, np.nan, _size(effect), np.nan)
    control = np.asarray(control, float)
    difference = effect - control
    return Contrast(
        effect.mean(),
        low,
        high,
        control.mean(),
        difference.mean(),
        _size(difference),
        sign_flip(difference, random, draws),
    )


def _size(values):
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return float(values.mean() / spread) if spread > 1e-9 else np.nan


def bootstrap_interval(values, random, draws, confidence):
    """Percentile interval of the mean, resampling images; NaN with fewer than two."""
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


def sign_flip(differences, random, draws):
    """Chance of a mean as large if each difference were as likely of the other sign.

    One-sided. All patterns of signs where they are few, else as many random ones as `draws`.
    """
    count = len(differences)
    seen = differences.sum()
    # Sums of the same numbers in another order may differ in the last bit.
    seen -= 1e-9 * np.abs(differences).sum()
    if count <= _ENUMERATED:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float((signs @ differences >= seen).mean())
    larger = 0
    for part in _parts(draws, count):
        signs = 1 - 2 * random.integers(0, 2, (part, count), dtype=np.int8)
        larger += int((signs @ differences >= seen).sum())
    return (larger + 1) / (draws + 1)


def _parts(draws, count):
    step = max(1, _AT_ONCE // count)
    return [min(step, draws - start) for start in range(0, draws, step)]


def holm(p):
    """Holm's step-down correction: the chance of any false confirmation among all tests.

    Args:
        p: (m,) chances; NaN for what was not tested, which stays NaN and does not count.

    Returns:
        (m,) adjusted chances, at most 1.
    """
    p = np.asarray(p, float)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return adjusted
