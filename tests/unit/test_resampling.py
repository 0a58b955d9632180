"""Intervals by resampling images, and chance by flipping signs."""

import numpy as np
import pytest
from scipy import stats

from lcrp.resampling import ImageBootstrap, quantiles, sign_flip


def test_quantiles_are_numpys():
    values = np.random.default_rng(0).normal(size=(101, 7)).astype(np.float32)
    values[::4, 2] = np.nan
    values[1:, 3] = np.nan
    values[:, 4] = np.nan
    low, high = quantiles(values, (0.025, 0.9))
    kept = [0, 1, 2, 5, 6]
    np.testing.assert_allclose(low[kept], np.nanquantile(values[:, kept], 0.025, axis=0), 1e-6)
    np.testing.assert_allclose(high[kept], np.nanquantile(values[:, kept], 0.9, axis=0), 1e-6)
    assert np.isnan(low[3]) and np.isnan(low[4])


def test_interval_of_a_ratio_against_its_standard_error():
    random = np.random.default_rng(1)
    whole = random.exponential(size=(400, 1))
    part = whole * random.random((400, 1))
    low, high = ImageBootstrap({7: 400}, 4000).interval(7, part, whole)
    ratio = part.sum() / whole.sum()
    error = np.sqrt(((part - ratio * whole) ** 2).sum()) / whole.sum()
    np.testing.assert_allclose(
        [low[0], high[0]], 1 - ratio + np.array([-1.96, 1.96]) * error, atol=0.004
    )


def test_draws_depend_on_group_and_seed_only():
    random = np.random.default_rng(2)
    whole, part = random.random((2, 30, 5))
    one = ImageBootstrap({1: 30, 2: 30}, 200)
    small = ImageBootstrap({1: 30}, 200)
    small._room = 0
    first = one.interval(1, part, whole)
    np.testing.assert_array_equal(first, small.interval(1, part, whole))
    np.testing.assert_array_equal(first, small.interval(1, part, whole))
    np.testing.assert_allclose(first[0][2:4], one.interval(1, part[:, 2:4], whole[:, 2:4])[0], 1e-5)
    assert not np.array_equal(first, ImageBootstrap({1: 30}, 200, seed=1).interval(1, part, whole))


def test_scale_does_not_matter():
    random = np.random.default_rng(4)
    whole = random.random((20, 1))
    part = whole * random.random((20, 1))
    bootstrap = ImageBootstrap({0: 20}, 300)
    low, _ = bootstrap.interval(0, part, whole)
    np.testing.assert_allclose(bootstrap.interval(0, part * 1e-30, whole * 1e-30)[0], low, 1e-5)


def test_too_little_to_tell():
    low, high = ImageBootstrap({0: 1}, 100).interval(0, np.ones((1, 2)), np.ones((1, 2)))
    assert np.isnan(low).all() and np.isnan(high).all()
    silent = np.zeros((5, 1))
    assert np.isnan(ImageBootstrap({0: 5}, 100).interval(0, silent, silent)[0]).all()


@pytest.mark.parametrize("count", [8, 16, 30])
def test_sign_flips_agree_with_an_independent_test(count):
    random = np.random.default_rng(count)
    for _ in range(5):
        values = random.normal(0.3, 0.6, count)
        expected = stats.permutation_test(
            (values,), np.mean, permutation_type="samples", alternative="greater",
            n_resamples=20000, rng=random,
        ).pvalue  # fmt: skip
        assert sign_flip(values, random, 20000) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("spread", ["normal", "rare", "skewed"])
@pytest.mark.parametrize("count", [8, 24])
def test_false_alarms_are_as_rare_as_promised(count, spread):
    random = np.random.default_rng(1)
    p = []
    for _ in range(600):
        noise = random.normal(0, 0.2, (2, count))
        if spread == "rare":  # most images do not react at all
            noise *= random.random((2, count)) < 0.2
        if spread == "skewed":  # effect and control alike, each far from symmetric
            noise = random.exponential(0.2, (2, count))
        p.append(sign_flip(noise[0] - noise[1], random, 400))
    p = np.array(p)
    for level in (0.01, 0.05, 0.2):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level / len(p))
    # and p is no more careful than it must be
    assert (p <= 0.3).mean() > 0.15


def test_effects_are_found():
    random = np.random.default_rng(2)
    p = [sign_flip(random.normal(0.4, 0.3, 12), random, 400) for _ in range(200)]
    assert np.mean(np.array(p) < 0.01) > 0.9


def test_no_difference_at_all_is_no_evidence():
    random = np.random.default_rng(0)
    assert sign_flip(np.zeros(9), random, 100) == 1
    assert sign_flip(np.zeros(40), random, 100) == 1
