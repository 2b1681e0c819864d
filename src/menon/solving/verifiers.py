"""Verifiers: objects that judge a text, its outcome and each of its steps in [0, 1].

arithmetic   the equations that the text states are true (needs no model, and no gold answer)
known        a stand-in of known quality that looks at the gold answer, to test what uses verifiers

A trained or remote verifier is any object with `judge`. Steps are those of `menon.grading.dependencies.steps_of`.
Sources: outcome and step scores as in Lightman et al. 2023, arXiv:2305.20050; `known` is the equal-variance normal
model of signal detection, whose area under the curve is Phi(d / sqrt 2).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import NormalDist
from typing import Protocol

from menon.core.errors import ConfigError
from menon.core.registry import Registry
from menon.core.seeds import rng_for
from menon.grading.arithmetic import NotArithmetic, evaluate, literals
from menon.grading.dependencies import equation_results, steps_of
from menon.grading.equations import question_numbers
from menon.grading.marks import check_calculator_marks, rounds_to
from menon.grading.numbers import parse_number
from menon.solving.decoders import answer_key
from menon.solving.pool import Pool

VERIFIERS = Registry(
    "verifiers",
    {"arithmetic": "menon.solving.verifiers:Arithmetic", "known": "menon.solving.verifiers:Known"},
    noun="verifier",
)

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How likely a text is right as a whole, and step by step; all in [0, 1]."""

    outcome: float
    steps: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for score in (self.outcome, *self.steps):
            if not 0 <= score <= 1:
                raise ConfigError(f"a verifier gave the score {score!r}; allowed: 0 to 1")


class Verifier(Protocol):
    """Judges one text; equal arguments give equal judgements."""

    def judge(self, question: str, text: str, answer: str | None) -> Judgement: ...


def judged(pool: Pool, questions: Mapping[str, str], verifier: Verifier) -> Pool:
    """Return the pool with the verifier's scores on every sample.

    Raises:
        ConfigError: a problem of the pool without a question.
    """
    scores = {}
    for sample in pool:
        if sample.problem not in questions:
            raise ConfigError(f"no question for problem {sample.problem!r}; give the text of every problem of the pool")
        found = verifier.judge(questions[sample.problem], sample.text, sample.answer)
        scores[sample.problem, sample.prompt, sample.index] = (found.outcome, found.steps)
    return pool.scored(scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """Is every equation of the text true, and is the answer among their results?

    A step scores 1 unless one of its equations or calculator marks is false; with `grounded` it also scores 0 if it
    works with a number that neither the question nor an earlier step has. The outcome is 1 if all steps score 1 and
    the answer, where it is a number, is the result of an equation or stands in a last step without one; 0 if not; 0.5
    if there is no equation to check.
    """

    grounded: bool = False

    def judge(self, question: str, text: str, answer: str | None) -> Judgement:
        known = set(question_numbers(question))
        results: list[Fraction] = []
        ending: list[Fraction] = []
        scores = []
        for step in steps_of(text):
            holds, found = self._check(step, known)
            known.update(found)
            results += found
            scores.append(float(holds))
            ending = found or question_numbers(step)
        if not results:
            return Judgement(outcome=0.5 if all(scores) else 0.0, steps=tuple(scores))
        value = None if answer is None else parse_number(answer)
        sound = all(scores) and (value is None or value in results or value in ending)
        return Judgement(outcome=float(sound), steps=tuple(scores))

    def _check(self, step: str, known: set[Fraction]) -> tuple[bool, list[Fraction]]:
        """Return whether a step holds, and the results that it writes."""
        marks = check_calculator_marks(step)
        holds = marks.sound or not marks.steps
        results: list[Fraction] = []
        for left, right in equation_results(step):
            written = parse_number(right)
            try:
                value, operands = evaluate(left), literals(left)
            except NotArithmetic:
                continue  # prose that only looks like an equation
            if written is None:
                continue
            holds = holds and (value == written or rounds_to(value, written, right))
            if self.grounded:
                holds = holds and all(operand in known or operand in results for operand in operands)
            results.append(written)
        return holds, results


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A stand-in whose quality is known, for tests; give it `auc` or `accuracy`.

    With `auc` the outcome is the calibrated probability of being right, given evidence that separates right from wrong
    answers with this area under the curve and that right and wrong are equally common. With `accuracy` it is 1 or 0,
    and true that often. Steps are judged for their arithmetic through the same noise. The noise hangs on the text.
    """

    gold: Mapping[str, str] = field(default_factory=dict)
    auc: float | None = None
    accuracy: float | None = None
    name: str = "known"

    def __post_init__(self) -> None:
        if (self.auc is None) == (self.accuracy is None):
            raise ConfigError(f"auc {self.auc!r} and accuracy {self.accuracy!r}; give exactly one of them")
        if self.auc is not None and not 0.5 <= self.auc < 1:
            raise ConfigError(f"auc is {self.auc!r}; allowed: 0.5 up to, not including, 1")
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise ConfigError(f"accuracy is {self.accuracy!r}; allowed: 0 to 1")

    def judge(self, question: str, text: str, answer: str | None) -> Judgement:
        """Judge a text.

        Raises:
            ConfigError: no gold answer is bound for the question.
        """
        if question not in self.gold:
            raise ConfigError(
                f"verifier 'known' has no gold answer for {question!r:.80}; bind gold={{question: answer}}"
            )
        right = answer is not None and answer_key(answer) == answer_key(self.gold[question])
        truth = Arithmetic().judge(question, text, None).steps
        steps = (self._seen(step == 1.0, question, text, place) for place, step in enumerate(truth))
        return Judgement(outcome=self._seen(right, question, text, "outcome"), steps=tuple(steps))

    def _seen(self, right: bool, question: str, text: str, place: int | str) -> float:
        rng = rng_for("known verifier", self.name, question, text, place)
        if self.accuracy is not None:
            return float(right == (rng.random() < self.accuracy))
        distance = math.sqrt(2) * _NORMAL.inv_cdf(self.auc or 0.5)
        evidence = _NORMAL.inv_cdf(min(max(rng.random(), 1e-12), 1 - 1e-12)) + distance * right
        return 1 / (1 + math.exp(-distance * (evidence - distance / 2)))
