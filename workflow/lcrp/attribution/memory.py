"""Memory: what happens to that of freed tensors, and how to tell that there is no more."""

import ctypes

import torch

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
KEPT = 1 << 30


def keep_freed_memory():
    """Let the process reuse the memory of freed tensors up to 1 GiB.

    By default glibc hands large blocks back to the kernel at once, which zeroes every page of
    the next one: a quarter of the time of an explanation. No effect with other C libraries.
    """
    try:
        tune = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    tune(MMAP_THRESHOLD, KEPT)
    tune(TRIM_THRESHOLD, KEPT)


def exhausted(error):
    """Whether an error says that there was not enough memory, on a GPU or elsewhere."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        "alloc" in text and "memory" in text
    )
