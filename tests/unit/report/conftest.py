"""A small experiment and its report, built once."""

import pytest

from lcrp.report import ReportInputs, build_report
from support.synthetic_experiment import experiment_of


@pytest.fixture(scope="session")
def experiment(tmp_path_factory):
    """Arguments of `ReportInputs.read`."""
    return experiment_of(tmp_path_factory.mktemp("experiment"))


@pytest.fixture(scope="session")
def report(experiment, tmp_path_factory):
    """Folder of a report with everything in it."""
    folder = tmp_path_factory.mktemp("built") / "report"
    build_report(folder, ReportInputs.read(**experiment))
    return folder
