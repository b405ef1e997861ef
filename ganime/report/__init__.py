"""The report: one self-contained page that accounts for every image of a run."""

from ganime.report.funnel import Funnel, read_funnel
from ganime.report.inputs import ReportInputs
from ganime.report.page import build_report, report_key

__all__ = ["Funnel", "ReportInputs", "build_report", "read_funnel", "report_key"]
