"""What a step check says, and how a rationale is cut into steps."""

import re
from dataclasses import dataclass

from menon.grading.numbers import plain


@dataclass(frozen=True, slots=True)
class StepReport:
    """Whether a rationale holds: `steps` counted, `first_bad` the 1-based step that fails, `reason` in words.

    `first_bad` is None when the steps are true one by one but not together (a number left out, another answer).
    """

    sound: bool
    steps: int
    first_bad: int | None = None
    reason: str = ""


class StepFails(Exception):
    """A step does not hold; the text says why. Never leaves `grading`."""


def split_steps(rationale: str) -> list[str]:
    """Split a rationale into steps at semicolons and line ends; empty ones are dropped."""
    return [step for part in re.split(r"[;\n]", plain(rationale)) if (step := part.strip())]
