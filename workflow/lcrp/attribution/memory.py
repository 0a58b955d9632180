"""Memory: what happens to that of freed tensors, and how to tell that there is no more."""

import ctypes

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_KEPT = 1 << 30


def keep_freed_memory() -> None:
    """Let the process reuse the memory of freed tensors up to 1 GiB.

    By default glibc hands large blocks back to the kernel at once, which zeroes every page of
    the next one: a quarter of the time of an explanation. It changes the whole process for good,
    so programs call it where they begin; with other C libraries it does nothing.
    """
    try:
        tune = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    tune(_MMAP_THRESHOLD, _KEPT)
    tune(_TRIM_THRESHOLD, _KEPT)


def exhausted(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory, on a GPU or elsewhere."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        "alloc" in text and "memory" in text
    )
