"""Is every step of a rationale true, and does it follow from the question? Checks that need no gold rationale.

A right answer from wrong steps is common where a hint is shown, and answer filters keep it. `Problem.meta["steps"]`
names the check of a problem: "equations", "columns" or "marks". `equation_list` is the key by which rationales are told
apart when duplicates are dropped.

Source: equation lists in RFT, Yuan et al. 2023, arXiv:2308.01825.
"""

import re
from collections.abc import Callable, Mapping

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.grading.columns import check_columns, is_column
from menon.grading.equations import canonical_equation, check_equations, equations_in
from menon.grading.marks import check_calculator_marks, marks
from menon.grading.numbers import plain
from menon.grading.step_report import StepReport, split_steps

__all__ = [
    "StepReport",
    "check_calculator_marks",
    "check_columns",
    "check_equations",
    "check_steps",
    "equation_list",
]


def check_steps(problem: Problem, rationale: str, answer: str | None) -> StepReport | None:
    """Run the check that the problem names; None where it names none or the rationale has nothing to check.

    Raises:
        ConfigError: the problem names a check that does not exist.
    """
    name = problem.meta.get("steps")
    if name is None:
        return None
    if name not in _CHECKS:
        raise ConfigError(f"problem {problem.id} names step check {name!r}; allowed: {', '.join(_CHECKS)}")
    return _CHECKS[name](problem, rationale, answer)


def _equations(problem: Problem, rationale: str, answer: str | None) -> StepReport:
    return check_equations(problem.question, rationale, answer=answer)


def _columns(problem: Problem, rationale: str, answer: str | None) -> StepReport:
    return check_columns(problem.question, rationale, problem.meta.get("base", 10), answer=answer)


def _marks(problem: Problem, rationale: str, answer: str | None) -> StepReport | None:
    report = check_calculator_marks(rationale)
    return report if report.steps else None


_CHECKS: Mapping[str, Callable[[Problem, str, str | None], StepReport | None]] = {
    "equations": _equations,
    "columns": _columns,
    "marks": _marks,
}


def equation_list(rationale: str) -> tuple[str, ...]:
    """Return the equations of a rationale, in order and in canonical spelling; equal lists are one path.

    Calculator marks are read where there are any, else column lines, else every `expression = number` of the text.
    """
    text = plain(rationale)
    marked = [mark for mark, _ in marks(text)]
    if marked:
        return tuple(canonical_equation(mark) for mark in marked)
    found: list[str] = []
    for step in split_steps(text):
        compact = re.sub(r"\s", "", step)
        found.extend([compact] if is_column(compact) else equations_in(step))
    return tuple(found)
