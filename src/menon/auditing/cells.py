"""Cells: all answers of one model to one task in one condition, as an accuracy with what was lost on the way.

Several samples of one question are averaged first; questions of one cluster (a template, an alphabet) count together in
the interval. Left out: comparisons; they are in `contrasts`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from menon.auditing.probe import Answered
from menon.core.values import Verdict
from menon.stats import Interval, wilson_clustered

UNDERSTOOD_FROM = 0.8  # accuracy on the control, above chance, from which a world counts as understood
CellKey = tuple[str, str, str, bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Accuracy in one cell with its interval; `completed` counts only answers that came to an end and could be read.

    `n` counts questions with an answer; requests that failed are `errors`. `accuracy` is None without any answer.
    """

    probe: str
    task: str
    condition: str
    model: str
    cot: bool | None
    baseline: bool
    control: bool
    n: int
    accuracy: float | None
    low: float
    high: float
    completed: Interval | None
    unparsed: float
    truncated: float
    errors: int
    chance: float
    reading: str
    answered: tuple[Answered, ...]

    @property
    def id(self) -> str:
        working = {True: "cot", False: "direct", None: ""}[self.cot]
        check = "check" if self.control else ""
        return "/".join(part for part in (self.probe, self.task, self.condition, self.model, working, check) if part)

    @property
    def interval(self) -> Interval | None:
        if self.accuracy is None:
            return None
        return Interval(value=self.accuracy, low=self.low, high=self.high, n=self.n)

    @property
    def understood(self) -> bool | None:
        """For a control: True or False where the interval is on one side of the mark, else by the estimate."""
        if self.accuracy is None:
            return None
        return (self.accuracy - self.chance) / (1 - self.chance) >= UNDERSTOOD_FROM

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "probe": self.probe,
            "task": self.task,
            "world": self.condition,
            "model": self.model,
            "cot": self.cot,
            "baseline": self.baseline,
            "control": self.control,
            "n": self.n,
            "accuracy": self.accuracy,
            "low": self.low,
            "high": self.high,
            "completed": None if self.completed is None else self.completed.to_json(),
            "unparsed": self.unparsed,
            "truncated": self.truncated,
            "errors": self.errors,
            "chance": self.chance,
            "reading": self.reading,
        }


def cells_of(probe: str, answered: Iterable[Answered], *, level: float = 0.95, reading: str = "") -> list[Cell]:
    """Return the cells of `answered`, in order of first appearance; several samples of a question are averaged."""
    groups: defaultdict[tuple[CellKey, bool], list[Answered]] = defaultdict(list)
    for item in answered:
        question = item.question
        groups[(question.task, question.condition, item.model, question.cot), question.control].append(item)
    return [_cell(probe, key, control, items, level, reading) for (key, control), items in groups.items()]


def _cell(probe: str, key: CellKey, control: bool, items: Sequence[Answered], level: float, reading: str) -> Cell:
    task, condition, model, cot = key
    by_question: defaultdict[str, list[Answered]] = defaultdict(list)
    for item in items:
        by_question[_name_of(item)].append(item)
    kept = {
        name: answers
        for name, rows in by_question.items()
        if (answers := [row for row in rows if row.grade.verdict is not Verdict.ERROR])
    }
    scores = [mean_of([row.grade.score for row in rows]) for rows in kept.values()]
    labels = [rows[0].question.cluster or name for name, rows in kept.items()]
    overall = wilson_clustered(scores, labels, level) if scores else None
    finished = [
        (mean_of([row.grade.score for row in done]), label)
        for rows, label in zip(kept.values(), labels, strict=True)
        if (done := [row for row in rows if row.grade.verdict in (Verdict.RIGHT, Verdict.WRONG)])
    ]
    completed = wilson_clustered([s for s, _ in finished], [c for _, c in finished], level) if finished else None
    return Cell(
        probe=probe,
        task=task,
        condition=condition,
        model=model,
        cot=cot,
        baseline=items[0].question.baseline,
        control=control,
        n=len(kept),
        accuracy=overall.value if overall else None,
        low=overall.low if overall else 0.0,
        high=overall.high if overall else 1.0,
        completed=completed,
        unparsed=_share(kept.values(), Verdict.UNPARSED),
        truncated=_share(kept.values(), Verdict.TRUNCATED),
        errors=len(by_question) - len(kept),
        chance=fmean(_chance(item) for item in items),
        reading=reading,
        answered=tuple(items),
    )


def _chance(item: Answered) -> float:
    problem = item.question.problem
    stated = problem.meta.get("chance")
    if isinstance(stated, int | float):
        return float(stated)
    return 1 / len(problem.choices) if problem.choices else 0.0


def _share(groups: Iterable[Sequence[Answered]], verdict: Verdict) -> float:
    shares = [mean_of([row.grade.verdict is verdict for row in rows]) for rows in groups]
    return fmean(shares) if shares else 0.0


class Scores:
    """Mean scores of the questions of cells, computed once for each cell."""

    def __init__(self):
        self._scored: dict[int, tuple[Cell, list[tuple[str, float, str, str]]]] = {}
        self._paired: dict[int, dict[str, tuple[float, str]]] = {}

    def by_pair(self, cell: Cell) -> dict[str, tuple[float, str]]:
        """Return mean score and cluster for each pair name; questions of one pair name are averaged."""
        if id(cell) not in self._paired:
            groups: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
            for _, score, cluster, pair in self._of(cell):
                if pair:
                    groups[pair].append((score, cluster))
            self._paired[id(cell)] = {
                pair: (mean_of([score for score, _ in rows]), rows[0][1]) for pair, rows in groups.items()
            }
        return self._paired[id(cell)]

    def flat(self, cell: Cell) -> tuple[list[float], list[str]]:
        """Return the mean score of each question and its cluster."""
        rows = self._of(cell)
        return [score for _, score, _, _ in rows], [cluster or name for name, _, cluster, _ in rows]

    def _of(self, cell: Cell) -> list[tuple[str, float, str, str]]:
        """Return for each question its name, mean score, cluster and pair name; the cell is kept, as its id is used."""
        if id(cell) not in self._scored:
            rows: defaultdict[str, list[Answered]] = defaultdict(list)
            for item in cell.answered:
                if item.grade.verdict is not Verdict.ERROR:
                    rows[_name_of(item)].append(item)
            scored = [
                (name, mean_of([i.grade.score for i in items]), items[0].question.cluster, items[0].question.pair)
                for name, items in rows.items()
            ]
            self._scored[id(cell)] = cell, scored
        return self._scored[id(cell)][1]


def _name_of(item: Answered) -> str:
    question = item.question
    return f"{question.problem.id}\n{question.pair}\n{question.prompt}"


def mean_of(values: Sequence[float]) -> float:
    """Return the mean; most questions have one answer, for which nothing need be added."""
    return float(values[0]) if len(values) == 1 else fmean(values)
