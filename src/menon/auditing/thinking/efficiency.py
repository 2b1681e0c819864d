"""How much of an answer was needed: outcome and process efficiency, and what thinking on did to a right solution.

Tokens are those the backend counted, spread evenly over the characters, or words where it counted none.
Left out: distinctness by the place of a solution, which needs far more answers than an audit asks.
Source: Chen et al. 2024, arXiv:2412.21187, sections 2.2 to 2.4. Deviations: segmentation and strategies by rules (see
`menon.grading.solutions`); an answer without a right solution counts 0, as there, and one without any solution has no
process efficiency.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from menon.auditing.probe import Answered
from menon.core.values import Completion, Verdict
from menon.grading.solutions import Solution, solutions_in, thought_and_written
from menon.stats import Interval, wilson_clustered
from menon.stats.clusters import Clusters, generator, percentile_limits, resampled_totals

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """One answer: its solutions, and tokens up to the end of each; `counted` says that the backend counted them.

    `outcome` is the share of the tokens up to the end of the first right solution (0 without one), `process` that of
    solutions with a new method (None without solutions), `first_right` the place of the first right statement as a
    share of the text. `verdict` is the grade of the whole answer.
    """

    solutions: tuple[Solution, ...]
    tokens: float
    counted: bool
    outcome: float
    process: float | None
    first_right: float | None
    verdict: Verdict
    difficulty: int
    cluster: str

    @property
    def ended(self) -> bool:
        """Whether there is a final answer at all, right or wrong."""
        return self.verdict in (Verdict.RIGHT, Verdict.WRONG)

    @property
    def found(self) -> bool:
        return self.first_right is not None

    @property
    def talked_out(self) -> bool:
        """A right solution stands before a final answer that is wrong."""
        return self.found and self.verdict is Verdict.WRONG

    @property
    def found_late(self) -> bool:
        """The final answer is right and the first solution was not."""
        return self.verdict is Verdict.RIGHT and bool(self.solutions) and not self.solutions[0].right


def thinking_of(item: Answered) -> Thinking:
    """Measure one answer; the item must not be a failed request."""
    problem, completion = item.question.problem, item.completion
    text = thought_and_written(completion)
    final = item.grade.answer if item.grade.verdict in (Verdict.RIGHT, Verdict.WRONG) else None
    solutions = tuple(solutions_in(problem, text, final=final))
    spent = tokens_until(completion, text)
    total = spent(len(text))
    first = next((solution for solution in solutions if solution.right), None)
    process = None
    if solutions and total:
        process = sum(spent(s.end) - spent(s.start) for s in solutions if s.new) / total
    return Thinking(
        solutions=solutions,
        tokens=total,
        counted=completion.completion_tokens > 0,
        outcome=spent(first.end) / total if first and total else 0.0,
        process=process,
        first_right=spent(first.stop) / total if first and total else None,
        verdict=item.grade.verdict,
        difficulty=problem.difficulty,
        cluster=item.question.cluster or problem.id,
    )


def tokens_until(completion: Completion, text: str) -> Callable[[int], float]:
    """Return a function from a place in `text` to the tokens before it."""
    if completion.completion_tokens > 0:
        return lambda place: completion.completion_tokens * place / len(text) if text else 0.0
    starts = [word.start() for word in _WORD.finditer(text)]
    return lambda place: float(bisect_left(starts, place))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A measure over answers with its interval; `of` says over which answers."""

    name: str
    of: str
    interval: Interval
    unit: str = ""


def measures_of(answers: Sequence[Thinking], *, seed: int = 0, level: float = 0.95) -> list[Measure]:
    """Return every measure that these answers allow, in the order of the report."""
    rows: list[Measure] = []

    def share(name: str, of: str, kept: Sequence[Thinking], value: Callable[[Thinking], float]) -> None:
        if kept:
            interval = wilson_clustered([value(a) for a in kept], [a.cluster for a in kept], level)
            rows.append(Measure(name=name, of=of, interval=interval))

    def mean(name: str, value: Callable[[Thinking], float], unit: str) -> None:
        if answers:
            interval = mean_interval([value(a) for a in answers], [a.cluster for a in answers], name, seed, level)
            rows.append(Measure(name=name, of="all answers", interval=interval, unit=unit))

    found = [a for a in answers if a.found]
    right = [a for a in answers if a.verdict is Verdict.RIGHT and a.solutions]
    share("accuracy", "all answers", answers, lambda a: float(a.verdict is Verdict.RIGHT))
    share("outcome efficiency", "all answers", answers, lambda a: a.outcome)
    share("process efficiency", "answers with a solution", [a for a in answers if a.process is not None], _process)
    share("place of the first right statement", "answers with a right solution", found, _first_right)
    ended = [a for a in found if a.ended]
    share("right, then talked out of it", "finished answers with a right solution", ended, lambda a: a.talked_out)
    share("right, then no final answer", "answers with a right solution", found, lambda a: not a.ended)
    share("found late", "answers right in the end", right, lambda a: a.found_late)
    mean("solutions per answer", lambda a: float(len(a.solutions)), "solutions")
    unit = "tokens" if all(a.counted for a in answers) else "words"
    mean(f"{unit} per answer", lambda a: a.tokens, unit)
    return rows


def mean_interval(
    values: Sequence[float], clusters: Sequence[str], name: str, seed: int = 0, level: float = 0.95
) -> Interval:
    """Return the mean with a bootstrap interval over clusters, for quantities that are no shares."""
    values_N = np.asarray(values, dtype=np.float64)
    groups = Clusters.of(clusters, len(values_N))
    totals_GC = np.stack([groups.totals(values_N), groups.sizes], axis=1)
    draws_BC = resampled_totals(totals_GC, 2000, generator("thinking", name, seed))
    low, high = percentile_limits(draws_BC[:, 0] / draws_BC[:, 1], level)
    return Interval(value=float(values_N.mean()), low=low, high=high, n=len(values_N), level=level)


def _process(answer: Thinking) -> float:
    return answer.process or 0.0


def _first_right(answer: Thinking) -> float:
    return answer.first_right or 0.0
