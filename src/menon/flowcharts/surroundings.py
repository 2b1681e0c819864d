"""What an executor has around it: models, the question form, the sandbox, places to look things up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from menon.core.values import Problem
from menon.flowcharts.calling import Models
from menon.flowcharts.sandbox import Sandbox
from menon.problems.prompts import PLAIN, PromptStyle


class Place(Protocol):
    """Something in which texts can be looked up."""

    def find(self, query: str, k: int) -> Sequence[str]:
        """Return the best `k` texts for `query`, best first."""
        ...


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What all executions share.

    `style` is the model's question form (forms `worked` and `direct`); `grader` reads answers of executions without a
    problem of their own. `temperature` and `max_tokens` hold where a node sets none; `seed` changes what is sampled.
    """

    models: Models
    style: PromptStyle = PLAIN
    grader: str = "exact"
    family: str = "question"
    temperature: float = 0.0
    max_tokens: int | None = None
    seed: int = 0
    logprobs: bool = False
    stop: tuple[str, ...] = ()
    sandbox: Sandbox | None = None
    places: Mapping[str, Place] = field(default_factory=dict)

    def question(self, problem: Problem | None, text: str) -> Problem:
        """Return `text` as a problem: the execution's own when it is its question, else one of the same kind."""
        if problem is not None and text == problem.question:
            return problem
        if problem is not None:
            return Problem(family=problem.family, question=text, answer="", grader=_open(problem), split="asked")
        return Problem(family=self.family, question=text, answer="", grader=self.grader, split="asked")

    def graded(self, problem: Problem | None) -> Problem:
        """Return the problem whose grader reads answers."""
        return problem or Problem(family=self.family, question="", answer="", grader=self.grader)


def _open(problem: Problem) -> str:
    """Return the grader for a sub-question: choices belong to the question itself."""
    return "exact" if problem.grader == "choice" else problem.grader


class Remembered:
    """The memory of one execution: texts in the order kept; found by how many words they share with a query."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def keep(self, value: Any) -> None:
        self.texts.append(value if isinstance(value, str) else str(value))

    def find(self, query: str, k: int) -> list[str]:
        """Return the `k` texts that share most words with `query`, the latest first among equals."""
        words = set(query.lower().split())
        ranked = sorted(
            range(len(self.texts)), key=lambda place: (-len(words & set(self.texts[place].lower().split())), -place)
        )
        return [self.texts[place] for place in ranked[:k]]
