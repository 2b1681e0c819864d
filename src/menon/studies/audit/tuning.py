"""Side effects of tuning: the same questions to two models, paired by item, so that lost reasoning is seen."""

from collections.abc import Mapping, Sequence
from typing import Any

from menon.auditing.compare import Comparison, compare
from menon.auditing.probe import Answered
from menon.auditing.verdict import AuditConfig
from menon.core.errors import ConfigError
from menon.core.values import Grade, Problem
from menon.stats import holm


def tuning(
    first: Mapping[str, Sequence[Answered]], second: Mapping[str, Sequence[Answered]], config: AuditConfig
) -> dict[str, Any]:
    """Compare two models on every cell that both answered; p-values are adjusted by Holm over the cells."""
    cells: list[tuple[dict[str, Any], Comparison]] = []
    for probe, answers in first.items():
        one, two = _cells(answers), _cells(second.get(probe, ()))
        for key in one:
            if key not in two:
                continue
            task, condition, control = key
            try:
                found = compare(one[key], two[key], family=f"{task}, {condition}", alpha=config.error_rate * 2)
            except ConfigError:
                continue
            cells.append(({"probe": probe, "task": task, "condition": condition, "control": control}, found))
    adjusted = holm([row.p for _, row in cells]) if cells else []
    rows = [
        {**where, **row.to_json(), "p_adjusted": float(p), "distinguishable": bool(p <= row.alpha)}
        for (where, row), p in zip(cells, adjusted, strict=True)
    ]
    lost = [row for row in rows if row["distinguishable"] and row["difference"] < 0]
    won = [row for row in rows if row["distinguishable"] and row["difference"] > 0]
    return {"rows": rows, "sentence": _sentence(rows, lost, won)}


def _cells(answers: Sequence[Answered]) -> dict[tuple[str, str, bool], list[tuple[Problem, Grade]]]:
    cells: dict[tuple[str, str, bool], dict[str, tuple[Problem, Grade]]] = {}
    for item in answers:
        question = item.question
        cell = cells.setdefault((question.task, question.condition, question.control), {})
        cell.setdefault(question.problem.id, (question.problem, item.grade))
    return {key: list(cell.values()) for key, cell in cells.items()}


def _sentence(rows: Sequence[Any], lost: Sequence[Any], won: Sequence[Any]) -> str:
    if not rows:
        return "The two models answered no question in common."
    parts = [
        f"lower by {-100 * row['difference']:.0f} points ({row['task']}, {row['condition']})" for row in lost[:5]
    ] + [f"higher by {100 * row['difference']:.0f} points ({row['task']}, {row['condition']})" for row in won[:5]]
    if not parts:
        return f"On none of {len(rows)} cells can the two models be told apart."
    return f"Compared with the first model, the second is {'; '.join(parts)}."
