"""Layout "counterfactual": rows {task, world, is_default, model, cot, item, prompt, response, gold}.

Tasks whose names end in "-ccc" are comprehension checks. Every row counts once: rows that repeat an item (several
samples, or operands drawn twice) are clustered by item. Items pair across worlds, except in arithmetic, where operands
were drawn for each base, so that they pair across models only.
Source: Wu et al. 2023, arXiv:2307.02477, and the released outputs of its models.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from menon.auditing.probe import Answered, Question
from menon.auditing.recorded.answers import TEXTS, Unusable, answered, completions
from menon.auditing.recorded.entries import Entry
from menon.auditing.recorded.gold import Way, answer_of, base_of, way_for
from menon.auditing.recorded.values import Part
from menon.core.errors import DataError
from menon.core.values import Problem

NAME = "counterfactual"
PROBE = "worlds"
DEFAULTS = ("base10", "real_world", "default", "original")  # where rows do not say which world is the default
CHECK = "-ccc"  # how names of comprehension checks end

Skipper = Callable[[Entry, str], None]


def fits(values: Mapping[str, Any]) -> bool:
    """Tell whether a row is of this layout."""
    return "task" in values and "gold" in values and "world" in values and any(name in values for name in TEXTS)


def read(entries: Iterable[Entry], skip: Skipper) -> list[Part]:
    """Grade the rows, one part per reading; bad rows go to `skip`."""
    kept = [entry for entry in entries if _usable(entry, skip)]
    ways = _ways(kept)
    seen: Counter[tuple[str, ...]] = Counter()
    parts: defaultdict[tuple[str, bool], list[Answered]] = defaultdict(list)
    for entry in kept:
        way = ways[_place(entry)]
        try:
            for question, completion in _questions(entry, way, seen):
                parts[way.reading, way.generic].append(answered(question, completion, whole=way.whole))
        except (Unusable, DataError) as error:
            skip(entry, str(error))
    return [
        Part(probe=PROBE, reading=reading, answered=tuple(rows), generic=generic)
        for (reading, generic), rows in parts.items()
    ]


def controls(tasks: Iterable[str]) -> dict[str, str]:
    """Return which comprehension check belongs to each task: "arithmetic-ccc" to "arithmetic-2digit"."""
    tasks = list(tasks)
    checks = {task.removesuffix(CHECK): task for task in tasks if task.endswith(CHECK)}
    return {
        task: check
        for task in tasks
        for stem, check in checks.items()
        if not task.endswith(CHECK) and (task == stem or task.startswith((f"{stem}-", f"{stem}_")))
    }


def _usable(entry: Entry, skip: Skipper) -> bool:
    if entry.values["gold"] is None or entry.values["gold"] == "":
        skip(entry, "no gold answer: field 'gold' is empty")
        return False
    return True


def _names(values: Mapping[str, Any]) -> tuple[str, str]:
    """Return task and world as texts."""
    task, world = ("default" if values[name] in (None, "") else str(values[name]) for name in ("task", "world"))
    return task, world


def _place(entry: Entry) -> tuple[str, int | None]:
    task, world = _names(entry.values)
    return task, base_of(world)


def _ways(entries: Iterable[Entry]) -> dict[tuple[str, int | None], Way]:
    golds: defaultdict[tuple[str, int | None], list[Any]] = defaultdict(list)
    for entry in entries:
        golds[_place(entry)].append(entry.values["gold"])
    return {
        (task, base): way_for(task, "" if base is None else f"base{base}", rows) for (task, base), rows in golds.items()
    }


def _questions(entry: Entry, way: Way, seen: Counter[tuple[str, ...]]):
    values = entry.values
    task, world = _names(values)
    prompt = values.get("prompt") if isinstance(values.get("prompt"), str) else ""
    item = str(values.get("item") if values.get("item") is not None else values.get("id", entry.line))
    cot = values.get("cot") if isinstance(values.get("cot"), bool) else None
    problem = Problem(
        family=task,
        question=prompt or item,
        answer=answer_of(values["gold"], way),
        world=world,
        choices=way.choices,
        grader=way.grader,
        meta={"item": item, "line": entry.line, "id": str(values.get("id", "")), **way.meta},
    )
    for completion in completions(entry, str(values.get("id") or f"{task}/{world}/{item}")):
        place = (task, world, item, completion.model, str(cot))
        seen[place] += 1
        occurrence = f"{item}#{seen[place]}"
        yield (
            Question(
                problem=problem,
                task=task,
                condition=world,
                baseline=values["is_default"] is True if "is_default" in values else world in DEFAULTS,
                control=task.endswith(CHECK),
                cot=cot,
                pair=f"{world}/{occurrence}" if task.startswith("arithmetic") else occurrence,
                cluster=item,
                prompt=prompt or None,
            ),
            completion,
        )
