"""Freed memory stays in the process."""

import platform
import resource

import pytest
import torch

from lcrp.attribution.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_large_tensors_are_not_fetched_from_the_kernel_again():
    keep_freed_memory()

    def pages_fetched():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.zeros(16 << 20)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    pages_fetched()
    assert min(pages_fetched() for _ in range(3)) < 1000  # of 16384
