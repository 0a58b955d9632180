"""The clock of the benchmarks, and medians of what it says."""

import statistics
import time

import torch

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
_clock = CLOCKS["wall"]


def use_clock(name):
    """Measure by the wall clock, or by the processor's where other work runs as well."""
    global _clock
    _clock = CLOCKS[name]


def timed(run):
    """Seconds of one call."""
    start = _clock()
    run()
    return _clock() - start


@torch.no_grad()
def quickest(run, repeats=3):
    """Median seconds of a call that was warmed up."""
    run()
    return statistics.median(timed(run) for _ in range(repeats))
