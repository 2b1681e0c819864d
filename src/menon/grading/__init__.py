"""Text to grade: the only place where model output is parsed, and the same grader for rewards and evaluation."""

from menon.grading.extract import EXTRACTORS, extract_all
from menon.grading.numbers import canonical, parse_number
from menon.grading.protocol import Grader
from menon.grading.regrading import Comparison, Disagreement, compare_graders, regrade
from menon.grading.steps import (
    StepReport,
    check_calculator_marks,
    check_columns,
    check_equations,
    check_steps,
    equation_list,
)
from menon.grading.verdicts import GRADERS, grade, open_grader, split_thinking

__all__ = [
    "EXTRACTORS",
    "GRADERS",
    "Comparison",
    "Disagreement",
    "Grader",
    "StepReport",
    "canonical",
    "check_calculator_marks",
    "check_columns",
    "check_equations",
    "check_steps",
    "compare_graders",
    "equation_list",
    "extract_all",
    "grade",
    "open_grader",
    "parse_number",
    "regrade",
    "split_thinking",
]
