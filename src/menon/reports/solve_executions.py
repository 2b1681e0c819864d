"""Executions as a reader follows them: the path in one line, then every visit with its values, prompts and answers.

Texts are cut to a limit and say how long they were; the store has them whole. Everything shown is made visible text.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from menon.reports import formats
from menon.reports.formats import finite, visible
from menon.reports.reading import rows, section

EXPANDED = 200
LISTED = 2000
MOST_EVENTS = 300  # of one execution
MOST_EVENTS_IN_ALL = 6000
_MOST_STEPS = 40
_SHORT = 160
STATUSES = {"answered": "good", "partial": "mixed", "waiting": "mixed", "failed": "bad"}

Labels = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text as shown, and a remark when it was cut."""

    shown: str
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One visit of a node as the page lays it out; `depth` counts the calls around it."""

    address: str
    chart: str
    node: str
    kind: str
    depth: int
    took: str
    facts: str
    error: str
    replayed: bool
    reads: Sequence[tuple[str, Text]] = ()
    writes: Sequence[tuple[str, Text]] = ()
    prompt: Text | None = None
    completions: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One execution as the page lays it out."""

    key: str
    status: str
    verdict: str
    path: str
    facts: str
    question: Text
    gold: Text | None
    answer: Text | None
    note: Text | None
    stopped: str
    last: Sequence[tuple[str, Text]] = ()
    visits: Sequence[Visit] = ()
    left_out: int = 0


@dataclass(slots=True)
class Chosen:
    """The executions that a page opens, those that it lists, and how many more there are."""

    opened: list[Mapping[str, Any]] = field(default_factory=list)
    listed: list[Mapping[str, Any]] = field(default_factory=list)
    unlisted: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def chosen(executions: Iterable[Mapping[str, Any]], labels: Labels) -> Chosen:
    """Read the executions once: the first are kept whole, later ones as one line each, the rest are counted."""
    found, events = Chosen(), 0
    for execution in executions:
        for key in ("status", "verdict"):
            name = f"{key}:{execution.get(key)}"
            if execution.get(key):
                found.counts[name] = found.counts.get(name, 0) + 1
        mine = min(MOST_EVENTS, len(rows(execution, "events")))
        if len(found.opened) < EXPANDED and events + mine <= MOST_EVENTS_IN_ALL:
            events += mine
            found.opened.append(execution)
        elif len(found.listed) < LISTED:
            found.listed.append(_line(execution, labels))
        else:
            found.unlisted += 1
    return found


def _line(execution: Mapping[str, Any], labels: Labels) -> dict[str, str]:
    return {
        "key": _short(execution.get("key")),
        "status": _short(execution.get("status")),
        "verdict": _short(execution.get("verdict")),
        "question": _short(execution.get("question")),
        "answer": _short(execution.get("answer")),
        "path": _short(path_of(execution, labels)),
        "facts": _totals(section(execution, "totals")),
    }


def _short(value: Any) -> str:
    words = visible(" ".join(_written(value)[: 4 * _SHORT].split()))
    return words if len(words) <= _SHORT else words[: _SHORT - 1] + "…"


def told(execution: Mapping[str, Any], labels: Labels, limit: int) -> Told:
    """Return an execution ready to be laid out, no text longer than `limit` characters."""
    events = rows(execution, "events")
    exhausted = section(execution, "exhausted")
    return Told(
        key=_short(execution.get("key")),
        status=_short(execution.get("status")) or "unknown",
        verdict=_short(execution.get("verdict")),
        path=visible(path_of(execution, labels)),
        facts=_totals(section(execution, "totals")),
        question=text_of(execution.get("question"), limit),
        gold=_optional(execution.get("gold"), limit),
        answer=_optional(execution.get("answer"), limit),
        note=text_of(execution["note"], limit) if execution.get("note") else None,
        stopped=stopped(exhausted),
        last=_values(section(exhausted, "values"), limit),
        visits=[_visit(event, labels, limit) for event in events[:MOST_EVENTS]],
        left_out=max(0, len(events) - MOST_EVENTS),
    )


def least_size(executions: Iterable[Mapping[str, Any]], limit: int) -> int:
    """Return a lower bound of the characters that prompts and completions take at `limit`, without laying them out."""
    total = 0
    for execution in executions:
        for event in rows(execution, "events")[:MOST_EVENTS]:
            texts = [event.get("prompt")]
            for completion in rows(event, "completions"):
                texts += [completion.get("text"), completion.get("reasoning")]
            total += sum(min(limit, len(text)) for text in texts if isinstance(text, str))
    return total


def text_of(value: Any, limit: int) -> Text:
    """Return a value as text, cut to `limit` characters with a remark that tells its full length."""
    text = _written(value)
    if len(text) <= limit:
        return Text(shown=visible(text))
    remark = f"the first {formats.count(limit)} of {formats.count(len(text))} characters; the run's store has all"
    if not limit:
        remark = f"{formats.count(len(text))} characters, left out here; the run's store has them"
    return Text(shown=visible(text[:limit]), remark=remark)


def _optional(value: Any, limit: int) -> Text | None:
    return None if value is None else text_of(value, limit)


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):  # keys that JSON has no word for, or a value that holds itself
        return repr(value)


def stopped(exhausted: Mapping[str, Any]) -> str:
    """Say in words which budget ended an execution, in which loop and at which node; empty when none did."""
    if not exhausted:
        return ""
    budget = visible(str(exhausted.get("budget") or "budget"))
    limit, spent = exhausted.get("limit"), exhausted.get("spent")
    node, loop = (visible(str(exhausted.get(key) or "")) for key in ("node", "loop"))
    whose = f"of the loop `{loop}`" if loop else "of this execution"
    if budget == "state":
        said = f"The loop `{loop}` came round in the same state"
    elif finite(limit) is None:
        said = f"The bound {whose} ({budget}) was reached"
    else:
        unit = budget.removesuffix("s") if finite(limit) == 1 else budget
        said = f"The budget {whose}, {_amount(limit)} {unit}, was used up"
    if finite(spent) is not None:
        said += f" ({_amount(spent)} {'times' if budget == 'state' else 'spent'})"
    return f"{said}{f' at the node `{node}`' if node else ''}."


def _amount(value: Any) -> str:
    number = finite(value) or 0.0
    return formats.count(number) if number == int(number) else f"{number:.3g}"


def path_of(execution: Mapping[str, Any], labels: Labels) -> str:
    """Return the outermost path, as in `draft → review[no] → revise → review[yes] → done`; a long one lacks its middle.

    Args:
        labels: the target of each label on the edges leaving a `CHART/NODE`; so a branch is told from a target.
    """
    events = [event for event in rows(execution, "events") if _is_outermost(str(event.get("address") or ""))]
    ways = [_way(event, labels) for event in events]
    steps = [f"{event.get('node')}{f'[{way[1]}]' if way[1] else ''}" for event, way in zip(events, ways, strict=True)]
    if ways and ways[-1][0] and execution.get("status") == "answered":  # else it was not reached
        steps.append(ways[-1][0])
    if len(steps) > _MOST_STEPS:
        half = _MOST_STEPS // 2
        steps = [*steps[:half], f"… {formats.count(len(steps) - 2 * half)} more …", *steps[-half:]]
    return " → ".join(steps)


def _is_outermost(address: str) -> bool:
    """Tell visits of the chart itself from those in a chart that it called, and from the items of a map."""
    return "/" not in address and not address.endswith("]")


def _way(event: Mapping[str, Any], labels: Labels) -> tuple[str, str]:
    """Return where an event went on to and the branch that it took, each empty where there is none.

    `took` is the branch, or the target of an edge without label, or a list of both.
    """
    took = event.get("took")
    if isinstance(took, list | tuple):
        target, label, *_ = [*(str(part or "") for part in took), "", ""]
        return target, label
    took = str(took or "")
    branches = labels.get(f"{event.get('chart')}/{event.get('node')}", {})
    return (branches[took], took) if took in branches else (took, "")


def _visit(event: Mapping[str, Any], labels: Labels, limit: int) -> Visit:
    address = str(event.get("address") or event.get("node") or "")
    target, branch = _way(event, labels)
    return Visit(
        address=_short(address),
        chart=_short(event.get("chart")),
        node=_short(event.get("node")),
        kind=_short(event.get("kind")),
        depth=min(6, address.count("/")),
        took=visible(f"takes “{branch}”" if branch else f"goes to {target}" if target else ""),
        facts=_visit_facts(event),
        error=text_of(event.get("error"), limit).shown,
        replayed=bool(event.get("replayed")),
        reads=_values(section(event, "reads"), limit),
        writes=_values(section(event, "writes"), limit),
        prompt=None if event.get("prompt") is None else text_of(event["prompt"], limit),
        completions=[_completion(row, limit) for row in rows(event, "completions")],
    )


def _values(values: Mapping[str, Any], limit: int) -> list[tuple[str, Text]]:
    return [(visible(str(name)), text_of(value, min(limit, 2000))) for name, value in values.items()]


def _completion(row: Mapping[str, Any], limit: int) -> dict[str, Any]:
    return {
        "text": text_of(row.get("text"), limit),
        "reasoning": text_of(row["reasoning"], limit) if row.get("reasoning") else None,
        "finish": _short(row.get("finish")),
        "error": text_of(row.get("error"), limit).shown,
        "tokens": _tokens(row),
    }


def _visit_facts(event: Mapping[str, Any]) -> str:
    calls = rows(event, "completions")
    spent = {key: sum(finite(c.get(key)) or 0 for c in calls) for key in ("prompt_tokens", "completion_tokens")}
    parts = [formats.duration(event.get("seconds"))] if finite(event.get("seconds")) is not None else []
    return " · ".join([*parts, *([_tokens(spent)] if calls else [])])


def _tokens(row: Mapping[str, Any]) -> str:
    prompt, completion = finite(row.get("prompt_tokens")), finite(row.get("completion_tokens"))
    if prompt is None and completion is None:
        return ""
    return f"{formats.count(prompt)} tokens in, {formats.count(completion)} out"


def _totals(totals: Mapping[str, Any]) -> str:
    """Write what an execution cost in one line."""
    parts = []
    for key in ("steps", "calls"):
        if (amount := finite(totals.get(key))) is not None:
            parts.append(f"{formats.count(amount)} {key[:-1] if amount == 1 else key}")
    parts.append(_tokens(totals))
    if finite(totals.get("seconds")) is not None:
        parts.append(formats.duration(totals["seconds"]))
    if finite(totals.get("money")) is not None:
        parts.append(f"{totals['money']:.4g} money")
    return " · ".join(part for part in parts if part)
