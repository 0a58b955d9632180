"""The HTML report of an experiment."""

from lcrp.report.build import build_report
from lcrp.report.inputs import ReportInputs

__all__ = ["ReportInputs", "build_report"]
