"""The items behind the numbers: what was asked, what was written, how it was graded; a fair sample of each cell."""

from collections.abc import Sequence
from typing import Any

from menon.auditing.contrasts import Cell
from menon.auditing.items import Pair
from menon.auditing.probe import Answered
from menon.core.seeds import content_id
from menon.core.values import Verdict
from menon.grading import extract_all
from menon.sampling.recording import prompt_text

LONGEST = 4000
SHORT = 400  # of an answer as it was read: a model that never stops may be read as one long answer


def item_json(answered: Answered) -> dict[str, Any]:
    """Return one item as the report shows it."""
    question, completion, grade = answered.question, answered.completion, answered.grade
    problem = question.problem
    return {
        "problem": problem.id,
        "completion": completion.id,
        "question": _cut(problem.question),
        "prompt": _cut(prompt_text(question.prompt)) if question.prompt is not None else None,
        "gold": _cut(problem.answer, SHORT),
        "text": _cut(completion.text),
        "reasoning": _cut(completion.reasoning),
        "verdict": grade.verdict.value,
        "answer": _cut(grade.answer, SHORT),
        "credit": grade.credit,
        "note": _cut(grade.note or completion.error, SHORT) or "",
        "extracted": _extracted(completion.text[-LONGEST:]) if problem.grader.startswith("number") else {},
        "role": question.role,
        "pair": question.pair,
        "template": problem.template,
        "model": answered.model,
    }


def _extracted(text: str) -> dict[str, str | None]:
    return {name: _cut(found, SHORT) for name, found in extract_all(text).items()}


def cell_items(cells: Sequence[Cell], count: int) -> dict[str, list[dict[str, Any]]]:
    """Return up to `count` items of each cell: every verdict in turn, in an order that only their ids decide."""
    return {cell.id: [item_json(answered) for answered in _spread(cell.answered, count)] for cell in cells}


def pair_items(pairs: Sequence[Pair], answered: Sequence[Answered], count: int) -> list[dict[str, Any]]:
    """Return up to `count` originals with their re-instantiations side by side, those that changed first."""
    by_problem: dict[str, list[Answered]] = {}
    for item in answered:
        by_problem.setdefault(item.question.problem.id, []).append(item)
    shown = []
    for pair in sorted(pairs, key=_order)[:count]:
        original = by_problem.get(pair.original.id)
        variants = [by_problem[p.id][0] for p, _ in pair.fresh if p.id in by_problem]
        if original:
            shown.append(
                {
                    "family": pair.original.family,
                    "template": pair.original.template,
                    "original": item_json(original[0]),
                    "variants": [item_json(item) for item in variants],
                }
            )
    return shown


def _order(pair: Pair) -> tuple[float, str]:
    outcome, fresh = pair.outcome(), pair.fresh_outcomes()
    loss = (outcome or 0.0) - (sum(fresh) / len(fresh) if fresh else 0.0)
    return -loss, content_id("shown", pair.original.id)


def _spread(answered: Sequence[Answered], count: int) -> list[Answered]:
    """Take from every verdict in turn."""
    groups: dict[Verdict, list[Answered]] = {}
    for item in sorted(answered, key=lambda a: content_id("shown", a.question.problem.id, a.completion.id)):
        groups.setdefault(item.grade.verdict, []).append(item)
    chosen: list[Answered] = []
    while len(chosen) < count and any(groups.values()):
        for group in groups.values():
            if group and len(chosen) < count:
                chosen.append(group.pop(0))
    return chosen


def _cut(text: str | None, longest: int = LONGEST) -> str | None:
    if text is None or len(text) <= longest:
        return text
    return f"{text[: longest // 2]}\n[... {len(text) - longest:,} characters left out ...]\n{text[-longest // 2 :]}"
