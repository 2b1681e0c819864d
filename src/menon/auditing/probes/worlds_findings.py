"""What all worlds of an audit say together: the pooled loss, the verdict, and the sentence for a manager.

Worlds whose comprehension check failed are left out of the pooled loss and of the verdict, unless none is left.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import NormalDist, fmean

from menon.auditing.contrasts import Cell, Contrast
from menon.auditing.probe import Answered, Effect
from menon.auditing.verdict import AuditConfig, Finding, Label, cannot_tell, combine
from menon.core.values import Verdict
from menon.stats import paired_difference


def usable(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Return the contrasts whose world was understood or not checked; all of them where none was."""
    return [c for c in contrasts if c.understood is not False] or list(contrasts)


def pooled(contrasts: Sequence[Contrast], config: AuditConfig) -> Effect:
    """Return the mean loss over all items of the usable worlds, as the primary effect of the probe.

    Paired by item, with one cluster per item of the default world, where every contrast is paired; otherwise the
    contrasts are weighted by their items, and a default world that several of them share enters the error once.
    """
    rows = usable(contrasts)
    if all(row.paired for row in rows):
        value, low, high, p, n = _paired(rows, config)
        how = "paired by item"
    else:
        value, low, high, p, n = _unpaired(rows, config)
        how = "different items"
    left_out = len(contrasts) - len(rows)
    note = how + (f"; {left_out} worlds that were not understood are left out" if left_out else "")
    return Effect(
        label="all tasks: default to counterfactual worlds",
        value=value,
        low=low,
        high=high,
        n=n,
        p=p,
        primary=True,
        understood=None if all(r.understood is None for r in rows) else all(r.understood is not False for r in rows),
        note=note,
    )


def finding_of(contrasts: Sequence[Contrast]) -> Finding:
    """Return one verdict over tasks, each of which has one verdict over its worlds (and models, where several)."""
    understood = [c for c in contrasts if not _stopped_by_control(c)]
    if not understood:
        worst = min(contrasts, key=lambda c: 1.0 if c.control is None else c.control.accuracy or 0.0)
        return cannot_tell(f"no counterfactual world was understood; for example, {worst.finding.reason}")
    tasks: defaultdict[str, dict[str, Finding]] = defaultdict(dict)
    several = len({c.model for c in contrasts}) > 1
    for row in understood:
        task = f"{row.model}, {row.task}" if several else row.task
        way = {True: ", with working", False: ", answers only", None: ""}[row.cot]
        tasks[task][f"{row.altered.condition}{way}"] = row.finding
    return combine(
        {task: combine(findings) if len(findings) > 1 else _only(findings) for task, findings in tasks.items()}
    )


def sentence_of(contrasts: Sequence[Contrast], overall: Effect) -> str:
    """Return the probe's result in one or two sentences."""
    rows = usable(contrasts)
    weights = [row.n for row in rows]
    before = _mean([row.baseline.accuracy or 0.0 for row in rows], weights)
    after = _mean([row.altered.accuracy or 0.0 for row in rows], weights)
    tasks = len({row.task for row in rows})
    worlds = len({(row.task, row.altered.condition) for row in rows})
    moved = "falls" if after < before else "goes"
    text = (
        f"Over {_counted(tasks, 'task')} in {_counted(worlds, 'changed world')}, "
        f"accuracy {moved} from {before:.0%} under the usual rules to {after:.0%} under changed ones "
        f"(loss {_points(overall.value)} points, {_points(overall.low)} to {_points(overall.high)})."
    )
    failed = [row for row in contrasts if row.understood is False]
    checked = sum(row.control is not None for row in contrasts)
    if failed:
        names = ", ".join(dict.fromkeys(f"{row.task} in {row.altered.condition}" for row in failed))
        return f"{text} The comprehension check failed for {names}: the loss there says nothing of reciting."
    if checked == len(contrasts):
        return f"{text} The changed rules were understood: every comprehension check was passed."
    return text


def _stopped_by_control(contrast: Contrast) -> bool:
    """Tell whether a loss is left open because its world was not understood; a world without a loss is not."""
    return contrast.understood is False and contrast.finding.label is Label.CANNOT_TELL


def _only(findings: dict[str, Finding]) -> Finding:
    return next(iter(findings.values()))


def _paired(rows: Sequence[Contrast], config: AuditConfig) -> tuple[float, float, float, float, int]:
    before: list[float] = []
    after: list[float] = []
    clusters: list[str] = []
    for row in rows:
        one, two = _scores(row.baseline), _scores(row.altered)
        for pair in one:
            if pair in two:
                before.append(one[pair][0])
                after.append(two[pair][0])
                clusters.append(f"{row.model}\n{row.task}\n{one[pair][1] or pair}")
    result = paired_difference(before, after, clusters, seed=config.seed, level=config.level)
    return 0.0 - result.value, -result.high, -result.low, result.p, result.n


def _scores(cell: Cell) -> dict[str, tuple[float, str]]:
    """Return the mean score and the cluster of each pair name."""
    groups: defaultdict[str, list[Answered]] = defaultdict(list)
    for item in cell.answered:
        if item.question.pair and item.grade.verdict is not Verdict.ERROR:
            groups[item.question.pair].append(item)
    return {pair: (fmean(i.grade.score for i in items), items[0].question.cluster) for pair, items in groups.items()}


def _unpaired(rows: Sequence[Contrast], config: AuditConfig) -> tuple[float, float, float, float, int]:
    total = sum(row.n for row in rows)
    z = NormalDist().inv_cdf(0.5 + config.level / 2)
    parts: defaultdict[str, float] = defaultdict(float)
    cells: dict[str, Cell] = {}
    for row in rows:
        for cell, sign in ((row.baseline, 1), (row.altered, -1)):
            parts[cell.id] += sign * row.n / total
            cells[cell.id] = cell
    value = sum(weight * (cells[name].accuracy or 0.0) for name, weight in parts.items())
    error = math.sqrt(sum((weight * (cells[n].high - cells[n].low) / (2 * z)) ** 2 for n, weight in parts.items()))
    p = math.erfc(abs(value) / error / math.sqrt(2)) if error > 0 else 1.0
    return value, max(-1.0, value - z * error), min(1.0, value + z * error), p, total


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)


def _points(value: float) -> int:
    return round(100 * value)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
