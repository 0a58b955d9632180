"""The HTML report of an experiment."""

from lcrp.report.build import build_report

__all__ = ["build_report"]
