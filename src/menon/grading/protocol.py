"""What a grader is: it finds the answer in a text and says whether it is the problem's.

Left out of graders: finish reasons, reasoning blocks and step checks; `verdicts.grade` does those once for all of them.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from menon.core.values import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """An answer as found in a text (None where there is none), the text before it, and how it was found."""

    answer: str | None
    rationale: str = ""
    note: str = ""


class Grader(Protocol):
    """One way to read answers and to compare them; used alike by rewards, filters and evaluation."""

    name: str

    def parse(self, problem: Problem, text: str) -> Parsed:
        """Find the answer in the visible text of a completion."""
        ...

    def accepts(self, problem: Problem, answer: str) -> bool:
        """Tell whether a parsed answer is the problem's.

        Raises:
            DataError: the problem's own answer is not of the kind this grader compares.
            CheckTimeout: the comparison was killed after its time limit.
            CheckFailed: the comparison broke down.
        """
        ...


@runtime_checkable
class GradesParts(Protocol):
    """A grader of answers with several parts, which can say how much of one is right."""

    def credit(self, problem: Problem, answer: str) -> float:
        """Return the share of the parts that are right, in [0, 1]; 1 exactly when the answer is accepted."""
        ...


class CheckTimeout(Exception):
    """A comparison took longer than its limit and was killed; becomes verdict `error`, never `wrong`."""


class CheckFailed(Exception):
    """A comparison broke down; becomes verdict `error`, never `wrong`."""
