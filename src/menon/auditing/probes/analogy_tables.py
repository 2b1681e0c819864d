"""Tables and curves of the analogy probe: the model's accuracy by category with people and GPT-3 beside it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from menon.auditing.probe import Answered
from menon.auditing.probes.human import (
    FORMS,
    PEOPLE_LETTERS,
    PEOPLE_MATRICES,
    PER_CATEGORY,
    STEPS,
    Baseline,
    alphabet_baseline,
    count_baseline,
    letter_string_baseline,
    matrix_baseline,
)
from menon.core.values import Verdict
from menon.grading.tokens import tokens_of
from menon.stats import Interval, wilson, wilson_clustered

GENERALISATION_CURVE = "accuracy by number of generalisations"
MATRIX_CURVE = "accuracy of digit matrices by number of rules"
CHOSEN = "digit matrices, eight choices"
OWN_LETTERS = ("letter generalisations", "word sequences")
_ONE_RULE = ("row_constant", "col_constant", "dist3", "prog", "1-rule", "one_rule")

Group = tuple[str, str, str, str]  # kind, category, model, wording


def matrix_level(problem_type: str) -> str:
    """Return the level of a matrix from its published or our own name: "1-rule" to "3-rule", or "logic"."""
    if problem_type.startswith(_ONE_RULE):
        return "1-rule"
    for level, starts in (("2-rule", ("2-rule", "two_rule")), ("3-rule", ("3-rule", "three_rule"))):
        if problem_type.startswith(starts):
            return level
    return "logic"


def is_published_letters(item: Answered) -> bool:
    """Tell whether the question is a published letter string: task "letter-string", "letter-strings/pattern" ..."""
    return item.question.task.startswith("letter-string")


def wording_of(item: Answered) -> str:
    """Return the prompt form of a published letter string; empty for our own, which have one."""
    if not is_published_letters(item):
        return ""
    meta = item.question.problem.meta
    return str(meta.get("prompt_form") or meta.get("format") or item.question.condition)


def human_rows(answered: Iterable[Answered], level: float) -> list[dict[str, Any]]:
    """Return one row for each category that was asked; people's columns are None where no figure is published."""
    groups: defaultdict[Group, list[Answered]] = defaultdict(list)
    for item in _scored(answered):
        for kind, category in _categories(item):
            groups[kind, category, item.model, wording_of(item)].append(item)
    rows = []
    for (kind, category, model, wording), items in groups.items():
        found = _interval(items, level)
        people = _baseline(kind, category, wording)
        rows.append(
            {
                "kind": kind,
                "category": category,
                "wording": wording,
                "model": model,
                "n": found.n,
                "accuracy": found.value,
                "low": found.low,
                "high": found.high,
                "people": people.human if people else None,
                "number of people": people.people if people else None,
                "GPT-3": people.gpt3 if people else None,
                "GPT-4": people.others.get("GPT-4") if people else None,
                "source": people.source if people else "",
            }
        )
    return rows


def generalisation_curve(answered: Iterable[Answered], level: float) -> list[dict[str, Any]]:
    """Return accuracy against the number of generalisations for model, people and GPT-3; word sequences left out."""
    groups: defaultdict[tuple[str, str], dict[int, list[Answered]]] = defaultdict(lambda: defaultdict(list))
    for item in _scored(answered):
        count = _count(item)
        if count is not None:
            groups[item.model, wording_of(item)][count].append(item)
    if not groups:
        return []
    series = [_series(_named(model, wording), points, level) for (model, wording), points in groups.items()]
    xs = range(4)
    people = [(x, count_baseline(x).human, PEOPLE_LETTERS) for x in xs]
    published = [(x, count_baseline(x).gpt3 or 0.0, 6 * PER_CATEGORY) for x in xs]
    return [*series, _published("people (57)", people, level), _published("GPT-3", published, level)]


def matrix_curve(answered: Iterable[Answered], level: float) -> list[dict[str, Any]]:
    """Return accuracy against the number of rules, 1 to 3, for matrices that are written out."""
    groups: defaultdict[str, dict[int, list[Answered]]] = defaultdict(lambda: defaultdict(list))
    for item in _scored(answered):
        if _is_matrix(item) and item.question.task != CHOSEN:
            kind = matrix_level(_matrix_type(item))
            if kind != "logic":
                groups[item.model][int(kind[0])].append(item)
    if not groups:
        return []
    series = [_series(_named(model, ""), points, level) for model, points in groups.items()]
    known = [(x, found) for x in (1, 2, 3) if (found := matrix_baseline(f"{x}-rule")) is not None]
    people = [(x, found.human, PEOPLE_MATRICES) for x, found in known]
    return [*series, _published("people (43)", people, level)]


def usual_rows(answered: Iterable[Answered], level: float) -> list[dict[str, Any]]:
    """Return how often an answer in an altered alphabet was the one that the usual alphabet would give."""
    groups: defaultdict[str, list[bool]] = defaultdict(list)
    for item in _scored(answered):
        usual = item.question.problem.meta.get("as_if_usual")
        if usual and not item.question.control:
            given = tokens_of(item.grade.answer) if item.grade.answer else []
            groups[item.question.condition].append([t.casefold() for t in given] == usual.split())
    return [
        {"alphabet": condition, "n": len(hits), "as if usual": found.value, "low": found.low, "high": found.high}
        for condition, hits in groups.items()
        for found in [wilson(sum(hits), len(hits), level)]
    ]


def step_rows(answered: Iterable[Answered], level: float) -> list[dict[str, Any]]:
    """Return letter strings over shown alphabets by step, usual and altered, with published figures for altered."""
    groups: defaultdict[tuple[int, bool], list[Answered]] = defaultdict(list)
    for item in _scored(answered):
        step = item.question.problem.meta.get("step")
        if item.question.task == "letter strings" and isinstance(step, int):
            groups[step, item.question.baseline].append(item)
    rows = []
    for (step, usual), items in sorted(groups.items()):
        found, known = _interval(items, level), STEPS.get(step) if not usual else None
        rows.append(
            {
                "step": step,
                "alphabet": "usual" if usual else "altered",
                "n": found.n,
                "accuracy": found.value,
                "low": found.low,
                "high": found.high,
                "people": known[0] if known else None,
                "GPT-4": known[1] if known else None,
                "GPT-4 with code": known[2] if known else None,
            }
        )
    return rows


def _scored(answered: Iterable[Answered]) -> list[Answered]:
    return [a for a in answered if a.grade.verdict is not Verdict.ERROR and not a.question.control]


def _categories(item: Answered) -> list[tuple[str, str]]:
    """Return the kind and categories that an answer counts in; logic matrices count in two."""
    task, meta = item.question.task, item.question.problem.meta
    if task == "letter strings":
        return [("alphabets", item.question.condition)]
    if task in OWN_LETTERS or is_published_letters(item):
        return [("letter strings", str(meta.get("category", item.question.condition)))]
    if _is_matrix(item):
        name = _matrix_type(item)
        kind = "matrices, eight choices" if task == CHOSEN else "matrices"
        level = matrix_level(name)
        arranged = "permuted" if "permuted" in name else "aligned"
        return [(kind, level), *([(kind, f"logic, {arranged}")] if level == "logic" else [])]
    return []


def _is_matrix(item: Answered) -> bool:
    return item.question.task.startswith(("digit matrices", "digit-matrices"))


def _matrix_type(item: Answered) -> str:
    return str(item.question.problem.meta.get("category") or item.question.condition)


def _baseline(kind: str, category: str, wording: str) -> Baseline | None:
    lookups: dict[str, Callable[[], Baseline | None]] = {
        "alphabets": lambda: alphabet_baseline(category),
        "letter strings": lambda: letter_string_baseline(category, wording if wording in FORMS else "pattern"),
        "matrices": lambda: matrix_baseline(category),
        "matrices, eight choices": lambda: matrix_baseline(category, choices=True),
    }
    return lookups[kind]()


def _interval(items: Sequence[Answered], level: float) -> Interval:
    scores = [item.grade.score for item in items]
    return wilson_clustered(scores, [i.question.cluster or f"{n}" for n, i in enumerate(items)], level)


def _series(name: str, points: dict[int, list[Answered]], level: float) -> dict[str, Any]:
    rows = []
    for x, items in sorted(points.items()):
        found = _interval(items, level)
        rows.append({"x": x, "value": found.value, "low": found.low, "high": found.high, "n": found.n})
    return {"name": name, "points": rows}


def _published(name: str, points: Sequence[tuple[int, float, int]], level: float) -> dict[str, Any]:
    rows = []
    for x, value, n in points:
        found = wilson(value * n, n, level)
        rows.append({"x": x, "value": value, "low": found.low, "high": found.high, "n": n})
    return {"name": name, "points": rows}


def _named(model: str, wording: str) -> str:
    return ", ".join(part for part in (model or "model", wording) if part)


def _count(item: Answered) -> int | None:
    """Return the number of generalisations, given as a number, as names or in the condition; None for words."""
    task, meta = item.question.task, item.question.problem.meta
    category = str(meta.get("category", ""))
    if not (task == "letter generalisations" or is_published_letters(item)) or category.startswith("realworld"):
        return None
    given = meta.get("generalizations")
    if isinstance(given, list | tuple):
        return len(given)
    if isinstance(given, int):
        return given
    digit = item.question.condition[:1]
    return int(digit) if digit.isdigit() else None
