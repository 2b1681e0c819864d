"""Grade stored completions again without sampling, and compare two graders item by item.

Completions are matched to problems by key: the problem's id, or the id that a data set gave it (`meta["id"]`), with
`/purpose` behind it or not.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from menon.core.values import Completion, Grade, Problem, Verdict
from menon.grading.verdicts import grade


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One completion that two graders judge differently."""

    problem: Problem
    completion: Completion
    first: Grade
    second: Grade


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two graders on the same completions: how often each pair of verdicts came, and every differing item."""

    first: str
    second: str
    count: int
    agreements: int
    table: dict[tuple[Verdict, Verdict], int]
    disagreements: tuple[Disagreement, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON values, completions by id."""
        return {
            "first": self.first,
            "second": self.second,
            "count": self.count,
            "agreements": self.agreements,
            "table": [{"first": a.value, "second": b.value, "count": n} for (a, b), n in sorted(self.table.items())],
            "disagreements": [
                {
                    "problem": item.problem.id,
                    "completion": item.completion.id,
                    "gold": item.problem.answer,
                    "first": {
                        "verdict": item.first.verdict.value,
                        "answer": item.first.answer,
                        "note": item.first.note,
                    },
                    "second": {
                        "verdict": item.second.verdict.value,
                        "answer": item.second.answer,
                        "note": item.second.note,
                    },
                }
                for item in self.disagreements
            ],
        }


def regrade(
    problems: Iterable[Problem], completions: Iterable[Completion], grader: str | None = None
) -> Iterator[tuple[Completion, Grade]]:
    """Yield every completion with its grade, in order; one without a problem is graded `error` and says so."""
    known = _by_key(problems)
    for completion in completions:
        problem = _problem_of(completion, known)
        if problem is None:
            yield completion, Grade(verdict=Verdict.ERROR, note=f"no problem has the key {completion.key!r}")
        else:
            yield completion, grade(problem, completion, grader=grader)


def compare_graders(
    problems: Iterable[Problem], completions: Iterable[Completion], first: str, second: str
) -> Comparison:
    """Grade everything with two graders (or two options of one) and list where verdicts differ.

    Completions without a problem are left out of the count.
    """
    known = _by_key(problems)
    table: Counter[tuple[Verdict, Verdict]] = Counter()
    differing = []
    for completion in completions:
        problem = _problem_of(completion, known)
        if problem is None:
            continue
        one, other = grade(problem, completion, grader=first), grade(problem, completion, grader=second)
        table[one.verdict, other.verdict] += 1
        if one.verdict is not other.verdict:
            differing.append(Disagreement(problem=problem, completion=completion, first=one, second=other))
    count = table.total()
    return Comparison(
        first=first,
        second=second,
        count=count,
        agreements=count - len(differing),
        table=dict(table),
        disagreements=tuple(differing),
    )


def _by_key(problems: Iterable[Problem]) -> dict[str, Problem]:
    known: dict[str, Problem] = {}
    for problem in problems:
        known[problem.id] = problem
        if (given := problem.meta.get("id")) is not None:
            known.setdefault(str(given), problem)
    return known


def _problem_of(completion: Completion, known: dict[str, Problem]) -> Problem | None:
    return known.get(completion.key) or known.get(completion.key.partition("/")[0])
