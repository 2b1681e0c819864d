"""Cells and comparisons of recorded responses: world against world with the control beside it, model against model.

Model comparisons are paired by item: the same question in the same world, asked in the same way.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from menon.auditing.contrasts import Cell, Contrast, cells_of, contrasts_of
from menon.auditing.recorded.counterfactual import controls
from menon.auditing.recorded.values import Recorded
from menon.auditing.verdict import AuditConfig
from menon.core.values import Verdict
from menon.stats import needed_n_paired, paired_difference

GENERIC = "generic reading: "


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelContrast:
    """Two models on the same items: `difference` is the accuracy of `second` minus that of `first`.

    `needed` is about how many more items would show a difference of this size with probability 0.8 (None when it is
    shown already, or there is none).
    """

    probe: str
    task: str
    condition: str
    cot: bool | None
    control: bool
    first: Cell
    second: Cell
    n: int
    first_accuracy: float
    second_accuracy: float
    difference: float
    low: float
    high: float
    p: float
    needed: int | None = None
    p_adjusted: float | None = None

    @property
    def sentence(self) -> str:
        way = {True: ", with working", False: ", answers only", None: ""}[self.cot]
        scores = ", ".join(
            f"{cell.model} {_percent(accuracy)}"
            for cell, accuracy in ((self.first, self.first_accuracy), (self.second, self.second_accuracy))
        )
        points = f"{100 * self.difference:+.1f} points ({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        more = f"; not distinguishable, about {self.needed:,} more items are needed" if self.needed else ""
        return f"{self.task} in {self.condition}{way}, the same {self.n:,} items: {scores}; {points}{more}."

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "models",
            "probe": self.probe,
            "task": self.task,
            "world": self.condition,
            "cot": self.cot,
            "control": self.control,
            "first": self.first.id,
            "second": self.second.id,
            "first_model": self.first.model,
            "second_model": self.second.model,
            "paired": True,
            "n": self.n,
            "first_accuracy": self.first_accuracy,
            "second_accuracy": self.second_accuracy,
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "needed": self.needed,
            "sentence": self.sentence,
        }


def recorded_cells(recorded: Recorded, *, level: float = 0.95) -> list[Cell]:
    """Return the cells of all probes; the reading of a cell says so where it is a generic one."""
    return [
        cell
        for part in recorded.parts
        for cell in cells_of(
            part.probe, part.answered, level=level, reading=(GENERIC if part.generic else "") + part.reading
        )
    ]


def recorded_contrasts(cells: Sequence[Cell], *, config: AuditConfig | None = None) -> list[Contrast]:
    """Compare every altered world with the default one of its task, with its comprehension check beside it."""
    by_probe: defaultdict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_probe[cell.probe].append(cell)
    return [
        contrast
        for group in by_probe.values()
        for contrast in contrasts_of(group, config=config, controls=controls(dict.fromkeys(c.task for c in group)))
    ]


def model_contrasts(cells: Sequence[Cell], *, config: AuditConfig | None = None) -> list[ModelContrast]:
    """Compare every two models that answered the same items of a task in one world, asked in the same way."""
    config = config or AuditConfig()
    groups: defaultdict[tuple[Any, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.probe, cell.task, cell.condition, cell.cot, cell.control].append(cell)
    found = (_compared(one, two, config) for group in groups.values() for one, two in combinations(group, 2))
    return [contrast for contrast in found if contrast is not None]


def _compared(first: Cell, second: Cell, config: AuditConfig) -> ModelContrast | None:
    """Compare two cells on the items that both have; None where there is none."""
    one, two = _by_item(first), _by_item(second)
    common = [name for name in one if name in two]
    if not common:
        return None
    scores_1, scores_2 = [one[name][0] for name in common], [two[name][0] for name in common]
    clusters = [one[name][1] or name for name in common]
    result = paired_difference(scores_1, scores_2, clusters, seed=config.seed, level=config.level)
    shown = result.low > 0 or result.high < 0
    return ModelContrast(
        probe=first.probe,
        task=first.task,
        condition=first.condition,
        cot=first.cot,
        control=first.control,
        first=first,
        second=second,
        n=len(common),
        first_accuracy=fmean(scores_1),
        second_accuracy=fmean(scores_2),
        difference=result.value,
        low=result.low,
        high=result.high,
        p=result.p,
        needed=None if shown else _more(scores_1, scores_2),
    )


def _by_item(cell: Cell) -> dict[str, tuple[float, str]]:
    """Return mean score and cluster of every item that got an answer."""
    rows: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for item in cell.answered:
        if item.grade.verdict is not Verdict.ERROR:
            question = item.question
            rows[question.pair or question.problem.id].append((item.grade.score, question.cluster))
    return {name: (fmean(score for score, _ in scores), scores[0][1]) for name, scores in rows.items()}


def _more(first: Sequence[float], second: Sequence[float]) -> int | None:
    gained = fmean(a < b for a, b in zip(first, second, strict=True))
    lost = fmean(a > b for a, b in zip(first, second, strict=True))
    if gained == lost:
        return None
    return max(1, needed_n_paired(gained, lost) - len(first))


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
