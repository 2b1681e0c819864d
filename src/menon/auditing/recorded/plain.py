"""Layout "questions with responses": any row with a question, a gold answer and a response, or a chat with a gold.

The question and the gold answer are found as in data files of problems (`problems.layouts`); the response is one of
the usual fields, or the last assistant turn of `messages`. Rows are grouped by their `task` and `world` where they
name them, else by file. The grader follows from the gold answers of a task.
Left out: preference data, several questions in one row.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from menon.auditing.probe import Answered, Question
from menon.auditing.recorded.answers import LISTS, TEXTS, Unusable, answered, completions
from menon.auditing.recorded.entries import Entry, one_of
from menon.auditing.recorded.gold import CHOICE, NUMBER, Way, answer_of, way_for
from menon.auditing.recorded.values import Part
from menon.core.errors import DataError
from menon.core.values import Problem
from menon.problems.layouts import Draft, detect
from menon.problems.layouts import Unusable as NoDraft
from menon.problems.rows import SUFFIXES

NAME = "questions with responses"
PROBE = "plain"
GOLDS = ("gold", "answer", "target", "expected", "reference", "answerKey", "label", "gold_answer")
QUESTIONS = ("question", "prompt", "input", "problem", "query", "instruction")
RESPONSES = (*(name for name in TEXTS if name != "solution"), *LISTS)

Skipper = Callable[[Entry, str], None]


def fits(values: Mapping[str, Any]) -> bool:
    """Tell whether a row holds a gold answer and a response."""
    return _gold_field(values) is not None and (_response_field(values) is not None or _is_chat(values))


def read(entries: Iterable[Entry], skip: Skipper) -> list[Part]:
    """Grade the rows, one part per reading; bad rows go to `skip`."""
    drafts: defaultdict[tuple[str, str], list[tuple[Entry, Draft]]] = defaultdict(list)
    for entry in entries:
        try:
            drafts[_place(entry)].append((entry, _draft(entry)))
        except (Unusable, NoDraft) as error:
            skip(entry, str(error))
    parts: defaultdict[tuple[str, bool], list[Answered]] = defaultdict(list)
    for (task, world), rows in drafts.items():
        way = _way(task, world, [draft for _, draft in rows])
        for entry, draft in rows:
            try:
                parts[way.reading, way.generic].extend(_answered(entry, draft, way, task, world))
            except (Unusable, DataError) as error:
                skip(entry, str(error))
    return [
        Part(probe=PROBE, reading=reading, answered=tuple(rows), generic=generic)
        for (reading, generic), rows in parts.items()
        if rows
    ]


def reading_of(problem: Problem) -> str:
    """Say in words how the grader of a problem reads an answer."""
    name = problem.grader.partition("?")[0]
    return {"number": NUMBER, "choice": CHOICE, "exact": "what follows the last '#', letter for letter"}.get(
        name, f"grader {problem.grader!r}"
    )


def file_stem(path: str) -> str:
    """Return a file's name without its endings."""
    name = Path(path).name
    for suffix in (".gz", *SUFFIXES):
        name = name.removesuffix(suffix)
    return name


def _place(entry: Entry) -> tuple[str, str]:
    task, world = entry.values.get("task"), entry.values.get("world")
    return (
        task if isinstance(task, str) and task else file_stem(entry.path),
        world if isinstance(world, str) and world else "default",
    )


def _gold_field(values: Mapping[str, Any]) -> str | None:
    return next((name for name in GOLDS if values.get(name) is not None), None)


def _response_field(values: Mapping[str, Any]) -> str | None:
    return next((name for name in RESPONSES if values.get(name) is not None), None)


def _is_chat(values: Mapping[str, Any]) -> bool:
    turns = values.get("messages")
    return isinstance(turns, list) and bool(turns) and _role(turns[-1]) == "assistant"


def _role(turn: Any) -> Any:
    return turn.get("role") if isinstance(turn, Mapping) else None


def _draft(entry: Entry) -> Draft:
    """Find question, gold answer and choices of a row."""
    values = dict(entry.values)
    gold = one_of(values, GOLDS)
    if gold is None or gold == "":
        raise Unusable("no gold answer: none of the fields " + ", ".join(GOLDS))
    question = one_of(values, QUESTIONS)
    if question is None and isinstance(values.get("messages"), list):
        question = next((t.get("content") for t in reversed(values["messages"]) if _role(t) == "user"), None)
    if isinstance(question, list):
        question = next((t.get("content") for t in reversed(question) if _role(t) == "user"), None)
    if values.get("choices") is not None or isinstance(question, Mapping) or _is_hashed(gold):
        kept = {"question": question, "answer": gold, "choices": values.get("choices")}
        layout = detect(kept)
        if layout is not None:
            return layout.draft(kept)
    if not isinstance(question, str) or not question.strip():
        name = values.get("id")
        if name is None:
            raise Unusable("no question: none of the fields " + ", ".join(QUESTIONS))
        question = str(name)
    return Draft(question=question.strip(), answer=answer_of(gold), meta={"gold": gold})


def _is_hashed(gold: Any) -> bool:
    return isinstance(gold, str) and "####" in gold


def _way(task: str, world: str, drafts: list[Draft]) -> Way:
    if all(draft.choices for draft in drafts):
        return Way(grader="choice", reading=CHOICE)
    way = way_for(task, world, [draft.meta.get("gold", draft.answer) for draft in drafts])
    return Way(grader=way.grader, reading=way.reading) if way.grader == "number" else way


def _answered(entry: Entry, draft: Draft, way: Way, task: str, world: str) -> list[Answered]:
    values = entry.values
    name = values.get("id", values.get("item"))
    problem = Problem(
        family=task,
        question=draft.question,
        answer=answer_of(draft.meta["gold"], way) if "gold" in draft.meta else draft.answer,
        world=world,
        choices=draft.choices or way.choices,
        grader=way.grader,
        meta={**way.meta, "line": entry.line, **({} if name is None else {"id": str(name)})},
    )
    question = Question(
        problem=problem,
        task=task,
        condition=world,
        baseline=values.get("is_default") is True,
        cot=values.get("cot") if isinstance(values.get("cot"), bool) else None,
        pair=str(values.get("item") or problem.id),
        role="original",
    )
    if _response_field(values) is None:  # a chat
        entry = replace(entry, values={**values, "response": values["messages"][-1].get("content")})
    found = completions(entry, str(name or problem.id), RESPONSES)
    return [answered(question, completion, whole=way.whole) for completion in found]
