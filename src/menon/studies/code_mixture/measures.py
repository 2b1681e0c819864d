"""From what the models answered to numbers per task: means over families, intervals over seeds, differences by seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from menon.auditing import AuditConfig, Item, audit_cells
from menon.core.values import Grade, Verdict
from menon.problems.known.families import family_of, originals
from menon.stats.means import mean_interval
from menon.studies.code_mixture.recipe import Tasks

Cell = dict[str, float | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something that is measured of every model; of `nats` less is better."""

    name: str
    title: str
    kind: Literal["share", "nats"] = "share"


TASKS = (
    Task(name="held_in", title="held-in procedures in text"),
    Task(name="code_only", title="code-only procedures asked in text"),
    Task(name="absent", title="absent procedures"),
    Task(name="facts", title="facts"),
    Task(name="direct", title="held-in answers without working"),
    Task(name="finish", title="programs finished"),
    Task(name="write", title="programs written"),
    Task(name="held_in_nats", title="loss on held-in solutions", kind="nats"),
    Task(name="code_only_nats", title="loss on code-only solutions in text", kind="nats"),
    Task(name="absent_nats", title="loss on absent solutions", kind="nats"),
)
LEAST_BASE = 0.1  # a share right below which a relative change is mostly noise
SHARES = tuple(task.name for task in TASKS if task.kind == "share")


def measures_of(answers: dict[str, Any], tasks: Tasks) -> dict[str, float]:
    """Return one number per task of one model's examination; families of a group count alike."""
    found = answers["tasks"]

    def mean(part: str, names: Sequence[str], of_nats: bool = False) -> float:
        cells = [found[f"{part}/{name}"] for name in names]
        return float(np.mean([cell["nats"] if of_nats else cell["right"] / cell["asked"] for cell in cells]))

    programs = (*tasks.held_in, *tasks.code_only)
    return {
        "held_in": mean("text", tasks.held_in),
        "code_only": mean("text", tasks.code_only),
        "absent": mean("text", tasks.absent),
        "facts": found["facts"]["right"] / found["facts"]["asked"],
        "direct": mean("direct", tasks.held_in),
        "finish": mean("finish", programs),
        "write": mean("write", programs),
        "held_in_nats": mean("text", tasks.held_in, True),
        "code_only_nats": mean("text", tasks.code_only, True),
        "absent_nats": mean("text", tasks.absent, True),
    }


def over_seeds(values: Sequence[float], *, share: bool = False) -> Cell:
    """Return the mean with Student's interval over seeds; that of a share of answers stays within 0 and 1."""
    interval = mean_interval(values)
    low, high = (limit if np.isfinite(limit) else None for limit in (interval.low, interval.high))
    if share:
        low, high = (None if limit is None else float(np.clip(limit, 0, 1)) for limit in (low, high))
    return {"value": interval.value, "low": low, "high": high, "n": interval.n}


def differences(ours: Sequence[float], others: Sequence[float]) -> Cell:
    """Return ours minus others, paired by seed."""
    return over_seeds([a - b for a, b in zip(ours, others, strict=True)])


def sign_of(cell: Cell) -> int:
    """Return 1 or -1 where the whole interval lies above or below zero, else 0; differences of exactly 0 are 0."""
    low, high = cell["low"], cell["high"]
    if low is None or high is None:
        return 0
    return 1 if low > 0 else -1 if high < 0 else 0


def audit_of(examined: Sequence[dict[str, Any]], tasks: Tasks) -> dict[str, Any]:
    """Audit an arm on its originals and their re-instantiations; outcomes are means over the seeds' models."""
    items = []
    for answers in examined:
        entries = iter(answers["audit"])
        for name in tasks.held_in:
            for original in originals(name, tasks.originals):
                entry = next(entries)
                items.append(Item(problem=original, grade=_grade(entry["original"]), role="original"))
                items += [
                    Item(
                        problem=family_of(name).variant(original, number),
                        grade=_grade(verdict),
                        role="fresh",
                        of=original.id,
                    )
                    for number, verdict in enumerate(entry["variants"])
                ]
    report = audit_cells(items, config=AuditConfig(controls=()))
    share = None if report.pooled is None else report.pooled.to_json()
    return {"verdict": str(report.finding.label), "reason": report.finding.reason, "share": share}


def _grade(verdict: str) -> Grade:
    return Grade(verdict=Verdict(verdict))
