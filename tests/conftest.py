"""Fixtures shared by all tests."""

import os
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where everything is installed, a test of SLURM or of the browser may not be skipped."""
    report = yield
    needed = "browser" in item.path.parts or "slurm" in item.path.name
    if report.skipped and needed and os.environ.get("LCRP_REQUIRE_ALL_TESTS"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, but LCRP_REQUIRE_ALL_TESTS is set: {reason}"
    return report
