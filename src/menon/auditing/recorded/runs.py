"""Layout "menon records": graded completions as runs of Menon store and export them.

They carry the problem, its gold answer and its grader, so nothing is guessed; the stored verdict is not used.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from menon.auditing.probe import Answered, Question
from menon.auditing.recorded.answers import Unusable, answered, completions
from menon.auditing.recorded.entries import Entry
from menon.auditing.recorded.plain import PROBE, reading_of
from menon.auditing.recorded.values import Part
from menon.core.errors import DataError
from menon.core.values import Problem
from menon.problems import FAMILIES

NAME = "menon records"

Skipper = Callable[[Entry, str], None]


def fits(values: Mapping[str, Any]) -> bool:
    """Tell whether a row is a graded completion of a Menon run."""
    return all(name in values for name in ("family", "gold", "text", "verdict", "key"))


def read(entries: Iterable[Entry], skip: Skipper) -> list[Part]:
    """Grade the rows again with the graders of their problems."""
    parts: defaultdict[str, list[Answered]] = defaultdict(list)
    for entry in entries:
        try:
            problem = _problem(entry.values)
            question = Question(
                problem=problem, task=problem.family, condition=problem.world, pair=problem.id, role="original"
            )
            for completion in completions(entry, str(entry.values["key"]), ("text",)):
                parts[reading_of(problem)].append(answered(question, completion))
        except (Unusable, DataError) as error:
            skip(entry, str(error))
    return [Part(probe=PROBE, reading=reading, answered=tuple(rows)) for reading, rows in parts.items()]


def _problem(values: Mapping[str, Any]) -> Problem:
    for name in ("family", "question", "gold"):
        if not isinstance(values.get(name), str):
            raise Unusable(f"field {name!r} is {values.get(name)!r:.40}; allowed: text")
    grader = values.get("grader") or ("exact" if values["family"] in FAMILIES.names() else "")
    if not grader:
        raise Unusable("no grader: the record does not say how its family is graded")
    return Problem(
        family=values["family"],
        question=values["question"],
        answer=values["gold"],
        split=str(values.get("split") or "test"),
        difficulty=values["difficulty"] if isinstance(values.get("difficulty"), int) else 0,
        template=str(values.get("template") or ""),
        choices=tuple(values.get("choices") or ()),
        grader=grader,
        meta=values.get("meta") or {},
    )
