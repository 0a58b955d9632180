"""Freed memory stays in the process."""

import platform
import resource
from types import SimpleNamespace

import pytest
import torch

from lcrp.attribution import Explainer, memory
from lcrp.attribution.memory import keep_freed_memory
from support.small_models import small_unet


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_large_tensors_are_not_fetched_from_the_kernel_again():
    keep_freed_memory()

    def pages_fetched():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.zeros(16 << 20)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    pages_fetched()
    assert min(pages_fetched() for _ in range(3)) < 1000  # of 16384


def test_an_explainer_leaves_the_memory_of_the_process_alone(monkeypatch):
    def never(_):
        raise AssertionError("the allocator was tuned")

    monkeypatch.setattr(memory, "ctypes", SimpleNamespace(CDLL=never))
    Explainer(small_unet(), device="cpu")
