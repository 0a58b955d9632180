"""Rounding to a stated relative error."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lcrp.store.rounding import MANTISSA_BITS, RELATIVE_ERROR, round_mantissa

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(deadline=None)
@given(arrays(np.float32, st.integers(0, 20), elements=FLOATS))
def test_error_is_within_what_is_stated(values):
    rounded = round_mantissa(values)
    normal = np.isfinite(values) & (np.abs(values) >= np.finfo(np.float32).tiny)
    largest = np.abs(values) > np.finfo(np.float32).max * (1 - 2 * RELATIVE_ERROR)
    error = np.abs(rounded[normal].astype(float) - values[normal])
    allowed = (
        np.where(largest[normal], 2, 1) * RELATIVE_ERROR * np.abs(values[normal].astype(float))
    )
    assert (error <= allowed).all()
    np.testing.assert_array_equal(rounded[~normal], values[~normal])


@settings(deadline=None)
@given(arrays(np.float32, st.integers(0, 20), elements=FLOATS))
def test_rounding_again_changes_nothing(values):
    once = round_mantissa(values)
    assert once.tobytes() == round_mantissa(once).tobytes()


def test_low_bits_are_zero_and_ties_go_to_even():
    step = 2.0**-MANTISSA_BITS
    values = np.float32([1 + step / 2, 1 + 3 * step / 2, 1 + step / 2 + 2.0**-23, -1 - step / 2])
    np.testing.assert_array_equal(round_mantissa(values), [1, 1 + 2 * step, 1 + step, -1])
    random = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    assert not (round_mantissa(random).view(np.uint32) & (2 ** (23 - MANTISSA_BITS) - 1)).any()


def test_every_nan_is_the_same():
    odd = np.array([0x7FC00001, 0xFFC00000, 0x7FFFFFFF], np.uint32).view(np.float32)
    assert len(set(round_mantissa(odd).view(np.uint32).tolist())) == 1
