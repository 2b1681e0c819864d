"""Grader "exact": the answer is what follows the last `#`, compared letter for letter.

This is the format of the embedded model (`rationale#answer`); `#### answer` reads the same way.
"""

from dataclasses import dataclass

from menon.core.values import Problem
from menon.grading.protocol import Parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactGrader:
    """Compare the text after the last `#` with the answer, spaces around both aside."""

    name: str = "exact"

    def parse(self, problem: Problem, text: str) -> Parsed:
        rationale, mark, answer = text.rpartition("#")
        if not mark:
            return Parsed(answer=None, rationale=text.strip(), note="no '#' before an answer")
        answer = answer.strip()
        if not answer:
            return Parsed(answer=None, rationale=rationale.rstrip("# \n"), note="nothing after the last '#'")
        return Parsed(answer=answer, rationale=rationale.rstrip("#").strip())

    def accepts(self, problem: Problem, answer: str) -> bool:
        return answer == problem.answer.strip()
