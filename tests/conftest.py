"""Fixtures shared by all tests, and how tests are spread over processes."""

import os

# Before torch is imported: on tensors of a few hundred numbers, threads only wait for each other.
for threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")
# Tests that run side by side share the cores.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("CORES", "1")

import gc
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root():
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared():
    """Reference data beside the repository: golden cases, real images, a real checkpoint."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no reference data at ../{folder.name}")
    return folder


@pytest.fixture(scope="module", autouse=True)
def memory_of_the_module():
    """Models that a module's fixtures have kept are gone when the next module begins."""
    yield
    gc.collect()


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that no process waits for another at the end."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test may not be skipped where what it needs has to be there.

    That is SLURM and the browser where everything optional is installed, and reference data
    where there are any.
    """
    report = yield
    if not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    optional = "browser" in item.path.parts or "slurm" in item.path.name
    if optional and os.environ.get("LCRP_REQUIRE_ALL_TESTS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but LCRP_REQUIRE_ALL_TESTS is set: {reason}"
    elif "shared" in getattr(item, "fixturenames", ()) and (ROOT.parent / "shared").is_dir():
        report.outcome = "failed"
        report.longrepr = f"skipped, but reference data lie beside the repository: {reason}"
    return report
