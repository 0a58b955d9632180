"""What a measured difference is worth: intervals, chance, correction for many tests."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lcrp.resampling import bootstrap_interval, sign_flip


@dataclass(frozen=True)
class Contrast:
    """An effect over images, beside that of its control.

    Attributes:
        effect: mean drop.
        low: lower end of its interval.
        high: upper end.
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


def contrast(
    effect: ArrayLike,
    control: ArrayLike | None = None,
    *,
    draws: int = 20000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Contrast:
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


def holm(p: ArrayLike) -> np.ndarray:
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
