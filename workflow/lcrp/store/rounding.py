"""Rounding of recorded numbers, so that they compress, to a stated relative error."""

import numpy as np

MANTISSA_BITS = 11
RELATIVE_ERROR = 2.0 ** -(MANTISSA_BITS + 1)


def relative_error(bits: int) -> float:
    """Largest relative error of numbers rounded to so many mantissa bits."""
    return 2.0 ** -(bits + 1)


def round_mantissa(values: np.ndarray, bits: int = MANTISSA_BITS) -> np.ndarray:
    """Round float32 numbers, half to even.

    Zero and infinities stay, every NaN becomes the one canonical NaN; subnormal numbers are kept
    exactly, and a number that would round to infinity is cut off instead. Rounding twice gives
    the same as rounding once.

    Args:
        values: array of any shape, read as float32.
        bits: how many explicit bits of the mantissa are kept.

    Returns:
        A new float32 array of that shape, whose normal numbers differ from the given ones by a
        relative error of at most 2 ** -(bits + 1).
    """
    values = np.ascontiguousarray(values, np.float32)
    drop = 23 - bits
    encoded = values.view(np.uint32)
    even = (encoded >> np.uint32(drop)) & np.uint32(1)
    half = np.uint32((1 << (drop - 1)) - 1)
    keep = ~np.uint32((1 << drop) - 1)
    rounded = ((encoded + half + even) & keep).view(np.float32)
    size = np.abs(values)
    exact = ~(size >= np.finfo(np.float32).tiny) | np.isinf(values)
    rounded = np.where(exact, values, rounded)
    overflow = np.isinf(rounded) & ~exact
    if overflow.any():
        rounded[overflow] = (encoded[overflow] & keep).view(np.float32)
    rounded[np.isnan(rounded)] = np.nan
    return rounded.reshape(values.shape)
