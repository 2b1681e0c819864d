"""What is compared between cells: an altered condition against its baseline, with the control beside it.

Contrasts are paired by item where the items are the same, and say so where they are not. A loss with a failed control
is reported as "did not understand the world".
Source: the default/counterfactual comparison and its comprehension check, Wu et al. 2023, arXiv:2307.02477.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from menon.auditing.cells import Cell, Scores, cells_of
from menon.auditing.probe import Effect
from menon.auditing.sentences import percent
from menon.auditing.verdict import AuditConfig, Finding, Label, cannot_tell
from menon.stats import (
    Interval,
    independent_difference,
    needed_n_half_width,
    paired_difference,
    ratio_limits,
)

__all__ = ["Cell", "Contrast", "cells_of", "contrast", "contrasts_of", "judge", "lost_share", "with_p_adjusted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One altered condition against the baseline of its task.

    `loss` is baseline minus altered accuracy, with limits and p-value; `share` the part of the baseline's success above
    chance that is lost (None where the baseline is not above chance). `p_adjusted` is filled by the caller (Holm).
    """

    probe: str
    task: str
    model: str
    cot: bool | None
    baseline: Cell
    altered: Cell
    control: Cell | None
    paired: bool
    n: int
    loss: float
    low: float
    high: float
    p: float
    share: Interval | None
    finding: Finding
    p_adjusted: float | None = None

    @property
    def understood(self) -> bool | None:
        return None if self.control is None else self.control.understood

    @property
    def sentence(self) -> str:
        way = {True: ", with working", False: ", answers only", None: ""}[self.cot]
        scores = (
            f"{percent(self.baseline.accuracy)} right in {self.baseline.condition}, "
            f"{percent(self.altered.accuracy)} in {self.altered.condition}"
        )
        check = "" if self.control is None else f"; comprehension check {percent(self.control.accuracy)}"
        return f"{self.task}{way}: {scores}{check}. {self.finding.reason[:1].upper()}{self.finding.reason[1:]}."

    def effect(self, *, primary: bool = False) -> Effect:
        """Return the contrast as a row of the forest plot."""
        return Effect(
            label=f"{self.task}: {self.baseline.condition} to {self.altered.condition}"
            + {True: ", with working", False: ", answers only", None: ""}[self.cot],
            value=self.loss,
            low=self.low,
            high=self.high,
            n=self.n,
            p=self.p,
            primary=primary,
            understood=self.understood,
            note="paired by item" if self.paired else "different items",
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "worlds",
            "probe": self.probe,
            "task": self.task,
            "model": self.model,
            "cot": self.cot,
            "baseline": self.baseline.id,
            "altered": self.altered.id,
            "control": None if self.control is None else self.control.id,
            "control_accuracy": None if self.control is None else self.control.accuracy,
            "understood": self.understood,
            "baseline_world": self.baseline.condition,
            "world": self.altered.condition,
            "paired": self.paired,
            "n": self.n,
            "loss": self.loss,
            "low": self.low,
            "high": self.high,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "share": None if self.share is None else self.share.to_json(),
            "verdict": str(self.finding.label),
            "reason": self.finding.reason,
            "needed": self.finding.needed,
            "sentence": self.sentence,
        }


def contrasts_of(
    cells: Sequence[Cell], *, config: AuditConfig | None = None, controls: dict[str, str] | None = None
) -> list[Contrast]:
    """Compare every altered cell with the baseline of its task, model and way of asking.

    The control of a cell is the control cell of the same task (or of `controls[task]`), condition and model, asked the
    same way where there is such a one.
    """
    config = config or AuditConfig()
    baselines = {(c.task, c.model, c.cot): c for c in cells if c.baseline and not c.control}
    found, scores = [], Scores()
    for cell in cells:
        if cell.control or cell.baseline or cell.accuracy is None:
            continue
        baseline = baselines.get((cell.task, cell.model, cell.cot))
        if baseline is not None and baseline.accuracy is not None:
            found.append(
                contrast(baseline, cell, _control_of(cell, cells, controls or {}), config=config, scores=scores)
            )
    return found


def contrast(
    baseline: Cell,
    altered: Cell,
    control: Cell | None = None,
    *,
    config: AuditConfig,
    scores: "Scores | None" = None,
) -> Contrast:
    """Compare two cells, paired by `Question.pair` where at least half of the items of the smaller one pair up.

    `scores` keeps what was computed for a cell, for callers that compare it several times.
    """
    scores = scores or Scores()
    one, two = scores.by_pair(baseline), scores.by_pair(altered)
    common = [name for name in one if name in two]
    paired = bool(common) and len(common) >= 0.5 * min(baseline.n, altered.n)
    correlation = 0.0
    if paired:
        first, second = [one[name][0] for name in common], [two[name][0] for name in common]
        clusters = [one[name][1] or name for name in common]
        result = paired_difference(first, second, clusters, seed=config.seed, level=config.level)
        loss, low, high, p, n = -result.value, -result.high, -result.low, result.p, result.n
        correlation = _correlation(first, second)
    else:
        (first, labels_1), (second, labels_2) = scores.flat(baseline), scores.flat(altered)
        independent = independent_difference(first, second, labels_1, labels_2, level=config.level)
        loss, low, high, p = -independent.value, -independent.high, -independent.low, independent.p
        n = min(independent.n_first, independent.n_second)
    share = lost_share(baseline, altered, correlation)
    return Contrast(
        probe=altered.probe,
        task=altered.task,
        model=altered.model,
        cot=altered.cot,
        baseline=baseline,
        altered=altered,
        control=control,
        paired=paired,
        n=n,
        loss=loss,
        low=low,
        high=high,
        p=p,
        share=share,
        finding=judge(baseline, altered, control, share, config),
    )


def lost_share(baseline: Cell, altered: Cell, correlation: float = 0.0) -> Interval | None:
    """Return 1 - altered/baseline, both above chance, with square-and-add limits; None at or below chance."""
    first, second = baseline.interval, altered.interval
    if first is None or second is None or first.value <= baseline.chance:
        return None
    first, second = _above(first, baseline.chance), _above(second, altered.chance)
    low, high = ratio_limits(second, first, correlation)
    return Interval(value=1 - second.value / first.value, low=1 - high, high=1 - low, n=min(first.n, second.n))


def judge(baseline: Cell, altered: Cell, control: Cell | None, share: Interval | None, config: AuditConfig) -> Finding:
    """Return the verdict on one contrast, by the same regions as the recitation share (docs/statistics.md)."""
    for name, cell in (("baseline", baseline), (altered.condition, altered)):
        if cell.errors > config.max_errors * max(1, cell.n + cell.errors):
            return cannot_tell(f"{cell.errors} requests of the {name} failed")
        if cell.unparsed + cell.truncated > config.max_lost:
            return cannot_tell(
                f"{cell.unparsed + cell.truncated:.0%} of the answers in {cell.condition} were cut off or unreadable"
            )
    floor = baseline.chance + (1 - baseline.chance) * config.floor
    if baseline.high <= floor:
        return Finding(label=Label.CANNOT_DO, reason=f"accuracy in {baseline.condition} is below {floor:.0%}")
    if share is None:
        return cannot_tell(f"the model is not better than chance in {baseline.condition}")
    regions = config.regions()
    label = next((name for name, (low, high) in regions.items() if low <= share.low and share.high <= high), None)
    if label is Label.REASONS:
        return Finding(label=label, reason="nearly all of the success survives the change")
    if control is not None and control.understood is False:
        return cannot_tell(
            f"the model did not understand {altered.condition} (comprehension check "
            f"{percent(control.accuracy)}), so its loss there says nothing of reciting"
        )
    if label is None:
        return cannot_tell("the interval of the lost share does not fit in one verdict", _needed(share, config))
    lost = f"{percent(max(0.0, share.low))} to {percent(min(1.0, share.high))} of the success is lost with the change"
    return Finding(label=label, reason=lost)


def with_p_adjusted(contrasts: Sequence[Contrast], adjusted: Iterable[float]) -> tuple[Contrast, ...]:
    """Return the contrasts with their adjusted p-values."""
    return tuple(replace(row, p_adjusted=float(p)) for row, p in zip(contrasts, adjusted, strict=True))


def _control_of(cell: Cell, cells: Sequence[Cell], controls: dict[str, str]) -> Cell | None:
    task = controls.get(cell.task, cell.task)
    candidates = [
        c for c in cells if c.control and c.task == task and c.condition == cell.condition and c.model == cell.model
    ]
    same = [c for c in candidates if c.cot == cell.cot]
    return (same or candidates or [None])[0]


def _correlation(first: Sequence[float], second: Sequence[float]) -> float:
    mean_1, mean_2 = fmean(first), fmean(second)
    product = sum((a - mean_1) * (b - mean_2) for a, b in zip(first, second, strict=True))
    spread = (sum((a - mean_1) ** 2 for a in first) * sum((b - mean_2) ** 2 for b in second)) ** 0.5
    return product / spread if spread > 1e-12 else 0.0


def _above(interval: Interval, chance: float) -> Interval:
    return Interval(value=interval.value - chance, low=interval.low - chance, high=interval.high - chance, n=interval.n)


def _needed(share: Interval, config: AuditConfig) -> int | None:
    if not all(map(math.isfinite, (share.value, share.low, share.high))):
        return None
    sizes = [
        max(needed_n_half_width(share.n, half, room) for half, room in sides)
        for start, end in config.regions().values()
        if start < share.value < end
        for sides in [[(share.value - share.low, share.value - start), (share.high - share.value, end - share.value)]]
    ]
    return max(1, min(sizes) - share.n) if sizes else None
