"""From outcomes and events to report.json: grades, totals, what every node cost, and curves from the sample pool."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from menon.core.errors import ConfigError
from menon.core.values import Completion, Problem, Verdict
from menon.flowcharts.calling import Prices
from menon.flowcharts.chart import Chart
from menon.flowcharts.mermaid_writing import write
from menon.flowcharts.outcome import Outcome, Usage
from menon.flowcharts.prompts import show
from menon.grading import grade, open_grader
from menon.solving.curves import accuracy_curves
from menon.solving.pool import Pool, Sample
from menon.solving.verifiers import Verifier, judged
from menon.stats import wilson
from menon.store import EventLog
from menon.studies.solve.recipe import SolveRecipe

MOST_WRITTEN = 12  # charts written while a run went on that its report draws
DECODERS_PLAIN = ("first", "majority", "oracle")
DECODERS_JUDGED = ("verifier_weighted", "best_of_n", "best_of_n_min")


@dataclass(frozen=True, kw_only=True)
class Session:
    """What one session of a run has done; `written` are the charts that were values, `seconds` is its wall time."""

    recipe: SolveRecipe
    chart: Chart
    problems: Sequence[Problem]
    outcomes: Mapping[str, Outcome]
    log: EventLog
    prices: Prices
    verifier: Verifier
    written: Sequence[Chart] = ()
    seconds: float = 0.0


def assembled(session: Session) -> dict[str, Any]:
    """Return report.json."""
    recipe, chart, outcomes, log, prices = (
        session.recipe, session.chart, session.outcomes, session.log, session.prices
    )  # fmt: skip
    by_id = {problem.id: problem for problem in session.problems}
    verdicts = {key: verdict_of(by_id[origin(key)], outcome) for key, outcome in outcomes.items()}
    nodes, edges, reached = _spent(outcomes, log, prices)
    pool = sample_pool(by_id, outcomes, log)
    return {
        "kind": "solve",
        "study": "solve",
        "strategy": recipe.strategy,
        "title": chart.title,
        "source": chart.source,
        "model": recipe.model,
        "chart": chart_data(chart),
        "charts": [
            {"name": other.name, "title": other.title, **chart_data(other)}
            for other in (*_called(chart).values(), *session.written[:MOST_WRITTEN])
            if other.name in reached
        ],
        "written": len(session.written),
        "totals": _totals(outcomes, _shared_usage(log), session.seconds, bool(prices.prompt or prices.completion)),
        "accuracy": _accuracy(verdicts),
        "by_difficulty": _by_difficulty(by_id, verdicts),
        "nodes": nodes,
        "edges": edges,
        "curve": _curve(pool, by_id, session.verifier),
        "steps_table": None,
        "outcomes": [_told(by_id[origin(key)], outcome, verdicts[key]) for key, outcome in outcomes.items()],
    }


def origin(key: str) -> str:
    """Return the problem of an execution; a fork is named after its parent."""
    return key.partition("~")[0]


def verdict_of(problem: Problem, outcome: Outcome) -> Verdict | None:
    """Grade what a chart returned; None where there is no gold answer, or a person is waited for."""
    if not problem.answer or outcome.status == "waiting":
        return None
    if outcome.status == "failed":
        return Verdict.ERROR
    if outcome.status == "partial":
        return Verdict.TRUNCATED
    if outcome.answer is None or outcome.answer == "":
        return Verdict.UNPARSED
    text, grader = show(outcome.answer), open_grader(problem.grader)
    found = grader.parse(problem, text).answer
    return Verdict.RIGHT if grader.accepts(problem, text if found is None else found) else Verdict.WRONG


def chart_data(chart: Chart) -> dict[str, Any]:
    """Return a chart as the report draws it."""
    return {
        "file": chart.file.rpartition("/")[2],
        "text": chart.text,
        "mermaid": write(chart.diagram),
        "direction": chart.diagram.direction,
        "nodes": [{"id": node.id, "kind": node.kind.value, "label": node.label} for node in chart.nodes.values()],
        "edges": [{"source": edge.source, "target": edge.target, "label": edge.label} for edge in chart.edges],
    }


def told_executions(
    problems: Sequence[Problem], outcomes: Mapping[str, Outcome], log: EventLog
) -> Iterator[dict[str, Any]]:
    """Yield every execution with its events, in the order visited, for the report."""
    by_id = {problem.id: problem for problem in problems}
    for key, outcome in outcomes.items():
        problem = by_id[origin(key)]
        told = _told(problem, outcome, verdict_of(problem, outcome))
        yield {**told, "events": events_of(key, log)}
    for key in sorted(log.executions("visit") - set(outcomes)):
        if key.startswith("shared-"):
            data = json.loads(log.one("outcome", key) or "{}")
            yield {
                "key": key,
                "question": "(shared by all executions)",
                "gold": None,
                "answer": data.get("answer"),
                "status": data.get("status", "partial"),
                "verdict": None,
                "note": data.get("error", ""),
                "exhausted": data.get("exhausted"),
                "totals": {**data.get("usage", {}), "seconds": data.get("seconds", 0.0)},
                "events": events_of(key, log),
            }


def events_of(key: str, log: EventLog) -> list[dict[str, Any]]:
    """Return the visits of an execution in their order."""
    events = sorted((json.loads(data) for data in log.visits(key).values()), key=lambda event: event["position"])
    values: dict[str, dict[str, Any]] = defaultdict(dict)
    for event in events:
        frame = event["address"].rpartition("/")[0]
        event["reads"] = {name: values[frame][name] for name in event.pop("needs", []) if name in values[frame]}
        values[frame].update(event["writes"])
        took = event.get("took")
        event["branch"] = took[1] if took else ""
        event["took"] = (took[1] or took[0]) if took else None
        event.setdefault("prompt", None)
        event.setdefault("completions", [])
        event.setdefault("error", None)
        event.setdefault("replayed", False)
        event["began"] = event["position"]
    return events


def sample_pool(by_id: Mapping[str, Problem], outcomes: Mapping[str, Outcome], log: EventLog) -> Pool:
    """Return every completion of the problems' own questions as graded samples: one pool for all decoders."""
    samples = []
    for key in outcomes:
        problem = by_id[origin(key)]
        if not problem.answer or "~" in key:
            continue
        place: Counter[str] = Counter()
        for event in events_of(key, log):
            answers = [name for name, value in event["writes"].items() if isinstance(value, list)]
            if event["kind"] not in ("ask", "map") or len(event["completions"]) < 2 or not answers:
                continue
            for row in event["completions"]:
                samples.append(_sample(problem, key, place[key], row))
                place[key] += 1
    return Pool.of(samples)


def _sample(problem: Problem, key: str, index: int, row: Mapping[str, Any]) -> Sample:
    completion = Completion(key=key, sample=index, text=row["text"], finish=row["finish"], error=row["error"])
    found = grade(problem, completion)
    usable = found.verdict in (Verdict.RIGHT, Verdict.WRONG)
    return Sample(
        problem=problem.id,
        index=index,
        text=row["text"],
        answer=found.answer if usable else None,
        tokens=row["completion_tokens"],
        right=found.right,
        finish=row["finish"],
        logp=row.get("logp"),
    )


def _curve(pool: Pool, by_id: Mapping[str, Problem], verifier: Verifier) -> list[dict[str, Any]] | None:
    if len(pool) == 0 or pool.smallest < 2:
        return None
    decoders = DECODERS_PLAIN
    if all(sample.logp is not None for sample in pool):
        decoders = (*decoders, "weighted")
    try:
        pool = judged(pool, {key: problem.question for key, problem in by_id.items()}, verifier)
        decoders = (*decoders, *DECODERS_JUDGED)
    except ConfigError:  # a verifier that cannot judge these texts
        pass
    rows = []
    for curve in accuracy_curves(pool, decoders):
        rows += [
            {
                "decoder": curve.decoder,
                "upper_bound": curve.upper_bound,
                "n": point.n,
                "tokens": point.tokens,
                "accuracy": point.accuracy.value,
                "low": point.accuracy.low,
                "high": point.accuracy.high,
            }
            for point in curve.points
        ]
    return rows


def _told(problem: Problem, outcome: Outcome, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "key": outcome.key,
        "question": problem.question,
        "gold": problem.answer or None,
        "difficulty": problem.difficulty,
        "answer": outcome.answer,
        "status": outcome.status,
        "verdict": verdict.value if verdict else None,
        "note": outcome.error,
        "address": outcome.address,
        "exhausted": asdict(outcome.exhausted) if outcome.exhausted else None,
        "waiting": [asdict(one) for one in outcome.waiting],
        "totals": {**asdict(outcome.usage), "seconds": outcome.seconds},
    }


def _totals(outcomes: Mapping[str, Outcome], shared: Iterable[Usage], seconds: float, priced: bool) -> dict[str, Any]:
    statuses = Counter(outcome.status for outcome in outcomes.values())
    usages = [outcome.usage for outcome in outcomes.values()] + list(shared)
    return {
        "executions": len(outcomes),
        **{status: statuses.get(status, 0) for status in ("answered", "partial", "waiting", "failed")},
        **{
            name: sum(getattr(usage, name) for usage in usages)
            for name in ("steps", "calls", "prompt_tokens", "completion_tokens")
        },
        "seconds": round(seconds, 3),
        "money": round(sum(usage.money for usage in usages), 6) if priced else None,
    }


def _shared_usage(log: EventLog) -> Iterator[Usage]:
    """Yield what the executions that are shared by all others have spent."""
    for key in sorted(log.executions("outcome")):
        if key.startswith("shared-"):
            usage = json.loads(log.one("outcome", key) or "{}").get("usage", {})
            usage.pop("tokens", None)
            yield Usage(**usage)


def _accuracy(verdicts: Mapping[str, Verdict | None]) -> dict[str, Any] | None:
    graded = [verdict for verdict in verdicts.values() if verdict is not None]
    if not graded:
        return None
    right = sum(verdict is Verdict.RIGHT for verdict in graded)
    share = wilson(right, len(graded))
    return {
        "right": right,
        "graded": len(graded),
        "share": share.value,
        "low": share.low,
        "high": share.high,
        "verdicts": {verdict.value: graded.count(verdict) for verdict in Verdict},
    }


def _by_difficulty(by_id: Mapping[str, Problem], verdicts: Mapping[str, Verdict | None]) -> list[dict[str, Any]]:
    groups: dict[int, list[Verdict]] = defaultdict(list)
    for key, verdict in verdicts.items():
        if verdict is not None:
            groups[by_id[origin(key)].difficulty].append(verdict)
    if len(groups) < 2:
        return []
    rows = []
    for difficulty in sorted(groups):
        found = groups[difficulty]
        share = wilson(sum(verdict is Verdict.RIGHT for verdict in found), len(found))
        rows.append(
            {"difficulty": difficulty, "asked": len(found), "share": share.value, "low": share.low, "high": share.high}
        )
    return rows


def _spent(
    outcomes: Mapping[str, Outcome], log: EventLog, prices: Prices
) -> tuple[dict[str, Any], dict[str, int], set[str]]:
    """Return what each node cost, how often each edge was taken, and the charts that were reached."""
    nodes: dict[str, dict[str, Any]] = {}
    edges: Counter[str] = Counter()
    reached: set[str] = set()
    priced = bool(prices.prompt or prices.completion)
    shared = {key for key in log.executions("visit") if key.startswith("shared-")}
    for key in [*outcomes, *sorted(shared)]:
        for data in log.visits(key).values():
            event = json.loads(data)
            reached.add(event["chart"])
            row = nodes.setdefault(
                f"{event['chart']}/{event['node']}",
                dict.fromkeys(("visits", "calls", "prompt_tokens", "completion_tokens", "failed"), 0)
                | {"seconds": 0.0, "money": 0.0 if priced else None},
            )
            rows = event.get("completions") or []
            item = event["address"].endswith("]")
            asked = max((one["prompt_tokens"] for one in rows), default=0)
            wrote = sum(one["completion_tokens"] for one in rows)
            row["visits"] += not item
            row["calls"] += bool(rows)
            row["prompt_tokens"] += asked
            row["completion_tokens"] += wrote
            row["seconds"] = round(row["seconds"] + (0.0 if item else event["seconds"]), 6)
            if priced:
                row["money"] = round(row["money"] + prices.of(asked, wrote), 9)
            row["failed"] += bool(event.get("error"))
            for target, label in [event["took"]] if event.get("took") else event.get("forks", []):
                edges[f"{event['chart']}/{event['node']}>{target}>{label}"] += 1
    return nodes, dict(sorted(edges.items())), reached


def _called(chart: Chart) -> dict[str, Chart]:
    """Return the charts that a chart reaches, by their own names, itself left out."""
    found: dict[str, Chart] = {}
    waiting = list(chart.calls.values())
    while waiting:
        one = waiting.pop(0)
        if one is not chart and one.name not in found:
            found[one.name] = one
            waiting.extend(one.calls.values())
    return found
