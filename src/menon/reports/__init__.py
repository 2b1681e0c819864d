"""From a run directory to something people read: one self-contained HTML page, and a few lines for the terminal.

Reports read report.json and never call a model. Pictures are made in `charts`, `blocks` and `figures`.
"""

from menon.reports.arms import write_arms
from menon.reports.audit_page import summary as audit_summary
from menon.reports.audit_page import write_picture
from menon.reports.card import write_card
from menon.reports.chart_drawing import chart_svg
from menon.reports.page import render, write_report
from menon.reports.solve_page import write_solve_report
from menon.reports.terminal import summary

__all__ = [
    "audit_summary",
    "chart_svg",
    "render",
    "summary",
    "write_arms",
    "write_card",
    "write_picture",
    "write_report",
    "write_solve_report",
]
