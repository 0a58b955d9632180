"""Chance is told from effects as often as it should be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrp.effect.statistics import contrast, holm


def test_known_means_and_sizes():
    effect, control = np.array([0.5, 0.7, 0.6, 0.8]), np.array([0.1, 0.1, 0.2, 0.0])
    found = contrast(effect, control, draws=500)
    assert (found.effect, found.control) == (pytest.approx(0.65), pytest.approx(0.1))
    assert found.difference == pytest.approx(0.55)
    assert found.size == pytest.approx(0.55 / (effect - control).std(ddof=1))
    assert 0.5 <= found.low < found.effect < found.high <= 0.8
    assert found.p == 1 / 16  # of all 16 patterns of signs, the one that was seen
    alone = contrast(effect, draws=500)
    assert np.isnan([alone.control, alone.difference, alone.p]).all()
    assert alone.size == pytest.approx(0.65 / effect.std(ddof=1))
    assert np.isnan([contrast(effect[:1]).low, contrast(effect[:1]).size]).all()


def test_intervals_cover_the_mean():
    random = np.random.default_rng(3)
    covered = [
        found.low <= 0.3 <= found.high
        for found in (contrast(random.normal(0.3, 0.2, 24), draws=300, seed=s) for s in range(300))
    ]
    assert 0.89 < np.mean(covered) < 0.98


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, np.nan]) == pytest.approx(
        [0.03, 0.06, 0.06, np.nan], nan_ok=True
    )
    assert holm([0.9, 0.8]).tolist() == [1, 1]
    assert np.isnan(holm([np.nan])).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_keeps_order_and_never_helps(p):
    p = np.array(p)
    adjusted = holm(p)
    assert (adjusted >= p).all() and (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    # Between the correction by all tests and none at all.
    assert (adjusted <= np.minimum(p * len(p), 1) + 1e-12).all()
