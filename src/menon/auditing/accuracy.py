"""Accuracy that is never one number: over all answers, over completed ones, and what was lost on the way.

A problem is the unit: several samples of one problem are averaged first. Requests that failed (`error`) say nothing
about the model, so they are counted beside the accuracy, not in it; `truncated` and `unparsed` count as not right.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from menon.core.values import Grade, Problem, Verdict
from menon.stats import Interval, wilson

COMPLETED = (Verdict.RIGHT, Verdict.WRONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Share of right answers among `n` problems with its Wilson limits.

    `value` is None and the limits are 0 and 1 when no problem was answered. `completed` is the accuracy over answers
    that came to an end and could be read; `truncated` and `unparsed` are shares of the answers; `errors` counts
    problems of which every request failed.
    """

    value: float | None
    low: float
    high: float
    n: int
    completed: Interval | None
    truncated: float
    unparsed: float
    errors: int

    @property
    def lost(self) -> float:
        """Share of the answers that were cut off or could not be read."""
        return self.truncated + self.unparsed

    @property
    def error_share(self) -> float:
        """Share of the problems of which every request failed."""
        return self.errors / (self.n + self.errors) if self.errors else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "truncated": self.truncated,
            "unparsed": self.unparsed,
            "errors": self.errors,
            "completed": None if self.completed is None else self.completed.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyAccuracy:
    """Accuracy of one family, as a whole and per difficulty (ascending)."""

    family: str
    overall: Accuracy
    by_difficulty: tuple[tuple[int, Accuracy], ...]

    @classmethod
    def empty(cls, family: str) -> "FamilyAccuracy":
        """Return the accuracy of a family of which nothing was asked."""
        return cls(family=family, overall=accuracy_of([]), by_difficulty=())

    def rows(self) -> list[dict[str, Any]]:
        """Return one JSON row per difficulty."""
        return [{"difficulty": difficulty, **accuracy.to_json()} for difficulty, accuracy in self.by_difficulty]


def score(grades: Sequence[Grade], *, completed_only: bool = False) -> float | None:
    """Return the share of right answers among `grades` without errors; None when nothing is left to count."""
    counted = [g for g in grades if g.verdict in COMPLETED or (not completed_only and g.verdict is not Verdict.ERROR)]
    return sum(g.right for g in counted) / len(counted) if counted else None


def accuracy_of(graded: Iterable[tuple[Problem, Grade]], *, level: float = 0.95) -> Accuracy:
    """Return the accuracy over `graded`; grades of one problem are averaged, so `n` counts distinct problems."""
    by_problem: defaultdict[str, list[Grade]] = defaultdict(list)
    for problem, grade in graded:
        by_problem[problem.id].append(grade)
    answered = [[g for g in grades if g.verdict is not Verdict.ERROR] for grades in by_problem.values()]
    answered = [grades for grades in answered if grades]
    n = len(answered)
    # Sums of shares such as 1/3 may exceed n by a rounding error.
    overall = wilson(min(n, sum(_share(grades, Verdict.RIGHT) for grades in answered)), n, level) if n else None
    finished = [share for grades in answered if (share := score(grades, completed_only=True)) is not None]
    return Accuracy(
        value=overall.value if overall else None,
        low=overall.low if overall else 0.0,
        high=overall.high if overall else 1.0,
        n=n,
        completed=wilson(min(len(finished), sum(finished)), len(finished), level) if finished else None,
        truncated=_mean_share(answered, Verdict.TRUNCATED),
        unparsed=_mean_share(answered, Verdict.UNPARSED),
        errors=len(by_problem) - n,
    )


def accuracy_table(graded: Iterable[tuple[Problem, Grade]], *, level: float = 0.95) -> dict[str, FamilyAccuracy]:
    """Return the accuracy of every family in `graded`, in order of first appearance, as a whole and per difficulty."""
    families: defaultdict[str, list[tuple[Problem, Grade]]] = defaultdict(list)
    for problem, grade in graded:
        families[problem.family].append((problem, grade))
    table = {}
    for family, rows in families.items():
        cells: defaultdict[int, list[tuple[Problem, Grade]]] = defaultdict(list)
        for row in rows:
            cells[row[0].difficulty].append(row)
        table[family] = FamilyAccuracy(
            family=family,
            overall=accuracy_of(rows, level=level),
            by_difficulty=tuple((d, accuracy_of(cells[d], level=level)) for d in sorted(cells)),
        )
    return table


def _share(grades: Sequence[Grade], verdict: Verdict) -> float:
    return sum(grade.verdict is verdict for grade in grades) / len(grades)


def _mean_share(answered: Sequence[Sequence[Grade]], verdict: Verdict) -> float:
    return sum(_share(grades, verdict) for grades in answered) / len(answered) if answered else 0.0
