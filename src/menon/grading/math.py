"""Grader "math": symbolic comparison by the optional package math-verify, in a process that can be killed.

Numbers that `number` can read are compared here and never reach the package (which calls 1e3 and 1000 different).
A comparison beyond `timeout_s` is verdict `error` with note "timeout", not `wrong`.
"""

import atexit
from dataclasses import dataclass, field
from importlib.util import find_spec

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.grading.extract import answer_text, readable
from menon.grading.killable import Worker
from menon.grading.numbers import canonical, parse_number
from menon.grading.protocol import Parsed

WORKER = "menon.grading.math_worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class MathGrader:
    """Compare expressions; `timeout_s` is the limit of one comparison in seconds."""

    timeout_s: float = 5.0
    name: str = "math"
    _worker: Worker = field(default_factory=lambda: Worker(WORKER), repr=False, compare=False)

    def __post_init__(self):
        if find_spec("math_verify") is None:
            raise ConfigError(
                "grader 'math' needs the package math-verify, which is not installed; "
                "run `pip install 'menon[math]'`, or use grader 'number'"
            )
        if float(self.timeout_s) <= 0:
            raise ConfigError(f"timeout_s of grader 'math' is {self.timeout_s!r}; allowed: seconds above 0")
        atexit.register(self.close)

    def parse(self, problem: Problem, text: str) -> Parsed:
        text = readable(text)
        found = answer_text(text)
        if found is None:
            return Parsed(answer=None, rationale=text.strip(), note="no marked answer")
        answer, start, note = found
        value = parse_number(answer)
        answer = canonical(value) if value is not None else answer
        return Parsed(answer=answer, rationale=text[:start].rstrip("# \n").lstrip(), note=note)

    def accepts(self, problem: Problem, answer: str) -> bool:
        ours, gold = parse_number(answer), parse_number(problem.answer)
        if ours is not None and gold is not None:
            return ours == gold
        if answer.strip() == problem.answer.strip():
            return True
        reply = self._worker.ask({"gold": problem.answer, "answer": answer}, timeout_s=float(self.timeout_s))
        return bool(reply["equal"])

    def close(self) -> None:
        """End the worker process."""
        self._worker.close()
