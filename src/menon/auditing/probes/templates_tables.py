"""Tables of the probe of templates: per template, per set of instances, the match of difficulty, the clauses."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

from menon.auditing.items import Pair
from menon.auditing.match import match_difficulty
from menon.auditing.probe import Answered
from menon.auditing.verdict import AuditConfig
from menon.core.values import Problem, Verdict
from menon.problems.templates.family import SAME_STEPS

ORIGINAL = "original"
SHOWN = (ORIGINAL, *SAME_STEPS, "noop")
FEATURES = ("magnitude", "results", "carries")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Mean scores by arm, of one template (or of one instance of it) and one model."""

    item: str
    cluster: str
    model: str
    scores: dict[str, float]
    n: int


def outcomes_by_item(answered: Sequence[Answered], *, level: Literal["template", "item"]) -> list[Outcomes]:
    """Return mean scores by arm; requests that failed are left out."""
    groups: defaultdict[tuple[str, str, str], defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for answer in answered:
        if answer.grade.verdict is Verdict.ERROR:
            continue
        question = answer.question
        item = question.pair if level == "template" else str(question.problem.meta.get("item", question.pair))
        groups[item, question.cluster, answer.model][question.condition].append(answer.grade.score)
    return [
        Outcomes(
            item=item,
            cluster=cluster,
            model=model,
            scores={arm: fmean(scores) for arm, scores in arms.items()},
            n=sum(len(scores) for scores in arms.values()),
        )
        for (item, cluster, model), arms in groups.items()
    ]


def per_template(answered: Sequence[Answered]) -> list[dict[str, Any]]:
    """Return one row per template: the score on the original, and the share right in each arm; None without answers."""
    rows = outcomes_by_item(answered, level="template")
    several = len({row.model for row in rows}) > 1
    return [
        {
            "template": f"{row.item} ({row.model})" if several else row.item,
            **{arm: row.scores.get(arm) for arm in SHOWN},
            "n": row.n,
        }
        for row in rows
    ]


def set_rows(answered: Sequence[Answered]) -> list[dict[str, Any]]:
    """Return accuracy as the source reports it: mean and standard deviation over sets of one instance per template."""
    sets: defaultdict[tuple[str, str, str], defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for answer in answered:
        if answer.grade.verdict is not Verdict.ERROR:
            question = answer.question
            key = (answer.model, question.task, question.condition)
            sets[key][question.problem.index].append(answer.grade.score)
    rows = []
    for (model, task, arm), by_index in sets.items():
        # Sets to which some templates contribute nothing are other sets of problems, so only full ones are compared.
        size = max(len(scores) for scores in by_index.values())
        means = [fmean(scores) for scores in by_index.values() if len(scores) == size]
        rows.append(
            {
                "model": model,
                "task": task,
                "arm": arm,
                "sets": len(means),
                "questions per set": size,
                "mean": fmean(means),
                "std": stdev(means) if len(means) > 1 else None,
            }
        )
    return rows


def match_rows(answered: Sequence[Answered], config: AuditConfig) -> list[dict[str, Any]]:
    """Return how well instances match their originals, feature by feature, for the arms that should be as hard."""
    originals = {a.question.pair: a.question.problem for a in answered if a.question.condition == ORIGINAL}
    rows: list[dict[str, Any]] = []
    for arm in SAME_STEPS:
        fresh: defaultdict[str, dict[str, Problem]] = defaultdict(dict)
        for answer in answered:
            if answer.question.condition == arm:
                fresh[answer.question.pair][answer.question.problem.id] = answer.question.problem
        pairs = [
            Pair(original=original, grades=(), fresh=tuple((problem, ()) for problem in fresh[name].values()))
            for name, original in originals.items()
            if name in fresh
        ]
        if pairs:
            match = match_difficulty(pairs, tolerance=config.max_shift)
            rows += [{"arm": arm, **row} for row in match.to_json()["rows"]]
            rows += [{"arm": arm, **row} for row in _feature_rows(pairs, config.max_shift)]
    return rows


def clause_rows(answered: Sequence[Answered]) -> list[dict[str, Any]]:
    """Return the clauses that were put in, each with its category and the reason why it cannot matter."""
    rows = {}
    for answer in answered:
        clause = answer.question.problem.meta.get("clause")
        if isinstance(clause, dict):
            rows[answer.question.pair] = {
                "template": answer.question.pair,
                "clause": clause.get("text", ""),
                "category": clause.get("category", ""),
                "reason": clause.get("reason", ""),
            }
    return list(rows.values())


def _feature_rows(pairs: Sequence[Pair], tolerance: float) -> list[dict[str, Any]]:
    """Compare what was matched on: the size of given numbers and of results, and the carries."""
    rows = []
    for feature in FEATURES:
        both = [
            (original, fmean(fresh))
            for pair in pairs
            if (original := _feature(pair.original, feature)) is not None
            and (fresh := [v for problem, _ in pair.fresh if (v := _feature(problem, feature)) is not None])
        ]
        if not both:
            continue
        first, second = [one for one, _ in both], [two for _, two in both]
        mean = fmean(first)
        deviation = (fmean((value - mean) ** 2 for value in first)) ** 0.5
        shift = (fmean(second) - mean) / max(deviation, 0.1 * abs(mean), 1e-9)
        rows.append(
            {
                "feature": feature,
                "original": mean,
                "fresh": fmean(second),
                "shift": shift,
                "matched": abs(shift) <= tolerance,
            }
        )
    return rows


def _feature(problem: Problem, name: str) -> float | None:
    features = problem.meta.get("features")
    value = features.get(name) if isinstance(features, dict) else None
    return float(value) if isinstance(value, int | float) else None
