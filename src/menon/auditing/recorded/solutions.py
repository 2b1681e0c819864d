"""Layout "responses by id": rows {id, model, solution} whose questions and gold answers stand in another file.

The problems come from the user (`--data FILE`) or from a data file beside the responses, and that is said. What
`menon` itself records (`record`, rows with a schema) reads the same way. Where most responses have a line `A: n`, as
the published solutions to GSM8K do, the number there is the answer; else the problem's own grader decides.
Source: Cobbe et al. 2021, arXiv:2110.14168, for the published solutions.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from menon.auditing.probe import Answered, Question
from menon.auditing.recorded.answers import LISTS, TEXTS, Unusable, answered, completions
from menon.auditing.recorded.entries import Entry, one_of
from menon.auditing.recorded.gold import AFTER_A
from menon.auditing.recorded.plain import PROBE, reading_of
from menon.auditing.recorded.values import Part
from menon.core.errors import DataError
from menon.core.values import Completion, Problem
from menon.grading.extract import after_a, readable
from menon.problems.datasets import load_problems

NAME = "responses by id"
KEYS = ("id", "key", "problem_id", "task_id")
BESIDE = ("test", "dev", "validation", "train", "problems", "questions")
SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet")
LOOKED_AT = 200

Skipper = Callable[[Entry, str], None]


def fits(values: Mapping[str, Any]) -> bool:
    """Tell whether a row is a response that names its problem by an id and does not ask it."""
    named = any(name in values for name in KEYS) and "question" not in values and "problem" not in values
    return named and any(name in values for name in (*TEXTS, *LISTS))


def beside(path: Path, keys: Iterable[str]) -> tuple[Path, tuple[Problem, ...]] | None:
    """Return the first data file beside `path` that holds one of the problems `keys`, with its problems."""
    wanted = {key.partition("/")[0] for key in keys}
    for stem in BESIDE:
        for suffix in SUFFIXES:
            candidate = path.with_name(stem + suffix)
            if candidate == path or not candidate.is_file():
                continue
            try:
                problems = load_problems(candidate).problems
            except DataError:
                continue
            if any(str(problem.meta.get("id")) in wanted or problem.id in wanted for problem in problems):
                return candidate, problems
    return None


def key_of(entry: Entry) -> str | None:
    """Return the id by which a row names its problem."""
    key = one_of(entry.values, KEYS)
    return None if key is None else str(key)


def read(entries: Sequence[Entry], skip: Skipper, problems: Iterable[Problem]) -> list[Part]:
    """Grade the rows against `problems`; rows without a known problem go to `skip`."""
    known = _by_id(problems)
    kept: list[tuple[Problem, Completion]] = []
    for entry in entries:
        key = key_of(entry)
        problem = known.get(key or "") or known.get((key or "").partition("/")[0])
        if key is None or problem is None:
            skip(entry, f"no gold answer: no problem has the id {key!r}; give the problems with --data FILE")
            continue
        try:
            kept += [(problem, completion) for completion in completions(entry, key)]
        except Unusable as error:
            skip(entry, str(error))
    after = _has_after_a([completion.text for _, completion in kept])
    parts: defaultdict[str, list[Answered]] = defaultdict(list)
    for problem, completion in kept:
        marked = after and problem.grader.partition("?")[0] == "number"
        shown = replace(problem, grader="number?extract=after_a") if marked else problem
        question = Question(
            problem=shown, task=problem.family, condition=problem.world, pair=problem.id, role="original"
        )
        parts[AFTER_A if marked else reading_of(shown)].append(answered(question, completion))
    return [Part(probe=PROBE, reading=reading, answered=tuple(rows)) for reading, rows in parts.items()]


def _by_id(problems: Iterable[Problem]) -> dict[str, Problem]:
    known: dict[str, Problem] = {}
    for problem in problems:
        known.setdefault(str(problem.meta.get("id", problem.id)), problem)
        known.setdefault(problem.id, problem)
    return known


def _has_after_a(texts: Sequence[str]) -> bool:
    """Tell whether most of the first responses hold a line `A: n`."""
    looked = texts[:LOOKED_AT]
    return bool(looked) and 2 * sum(after_a(readable(text)) is not None for text in looked) > len(looked)
