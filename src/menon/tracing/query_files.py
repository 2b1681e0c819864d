"""Queries that people give: one on the command line, or a file of them.

A file (JSON lines, JSON, Parquet) has in each row prompt and completion; or a question with its answer, which a prompt
style lays out; or chat turns, the last answer of which is the completion; or a prompt alone. One query is
`PROMPT => COMPLETION`, a bare prompt, or a family's item as `chain:test:3`. What has no completion is marked with the
label `to_sample`, and the model writes it. Left out: several completions of one prompt in one row.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from menon.core.errors import ConfigError, DataError
from menon.core.values import Problem
from menon.problems import FAMILIES
from menon.problems.layouts import Unusable, detect
from menon.problems.prompts import PromptStyle
from menon.problems.rows import read_rows
from menon.problems.splits import SPLITS
from menon.tracing.corpus_rows import RowReader, clean
from menon.tracing.values import Query

ARROW = " => "
TO_SAMPLE = "to_sample"
COMPLETION_ID = re.compile(r"[0-9a-f]{6,20}")
_ITEM = re.compile(r"([a-z][a-z-]*):([a-z]+):(\d+)")
FORMS = "prompt and completion; question and answer; problem and solution; messages; or prompt alone"


def to_sample(query: Query) -> bool:
    """Say whether the model still has to write the completion."""
    return query.labels.get(TO_SAMPLE) == "yes"


def without_completion(query: Query) -> Query:
    """Return the query with its completion left to the model."""
    return replace(query, completion="", completion_ids=None, labels={**query.labels, TO_SAMPLE: "yes"})


def with_completion(query: Query, completion: str, ids: Sequence[int] | None = None) -> Query:
    """Return the query with what the model wrote."""
    labels = {name: value for name, value in query.labels.items() if name != TO_SAMPLE}
    return replace(
        query,
        completion=completion,
        completion_ids=None if ids is None else tuple(ids),
        labels={**labels, "by": "model"},
    )


def query_of_problem(problem: Problem, style: PromptStyle, *, direct: bool = False) -> Query:
    """Return a problem as a query: its reference working and answer, in the words of `style`.

    Without a reference working the model is to write it, unless the answer is asked for directly.
    """
    labels = {"family": problem.family, "split": problem.split, "problem": problem.id}
    if problem.difficulty:
        labels["difficulty"] = str(problem.difficulty)
    query = Query(
        prompt=style.prompt(problem, direct=direct),
        completion=style.completion(problem, problem.rationale or "", problem.answer, direct=direct),
        answer=problem.answer,
        task=problem.family,
        labels=labels,
    )
    return query if problem.rationale or direct else without_completion(query)


def read_query(text: str, style: PromptStyle, *, own_answer: bool = False) -> Query:
    """Return one query of the command line; `own_answer` leaves its completion to the model.

    Raises:
        ConfigError: nothing in it, an empty side of the arrow, or an item that no family has.
    """
    if not text.strip():
        raise ConfigError(f"the query is empty; allowed: 'PROMPT{ARROW}COMPLETION', a prompt, or FAMILY:SPLIT:INDEX")
    query = _one_query(text, style)
    return without_completion(query) if own_answer else query


def _one_query(text: str, style: PromptStyle) -> Query:
    if item := _ITEM.fullmatch(text.strip()):
        family, split, index = item[1], item[2], int(item[3])
        if family not in FAMILIES.names():
            raise ConfigError(f"query {text!r} names no family; allowed: {', '.join(FAMILIES.names())}")
        if split not in SPLITS:
            raise ConfigError(f"query {text!r} names no split; allowed: {', '.join(SPLITS)}")
        return query_of_problem(FAMILIES.get(family).problem(split, index), style)
    if ARROW not in text:
        return without_completion(Query(prompt=clean(text), completion=""))
    prompt, _, completion = clean(text).partition(ARROW)
    if not prompt or not completion:
        raise ConfigError(f"query {text!r} has nothing on one side of {ARROW!r}; give 'PROMPT{ARROW}COMPLETION'")
    return Query(prompt=prompt, completion=completion)


def read_queries(
    path: str | Path,
    style: PromptStyle,
    *,
    tokenizer: Any = None,
    map: Mapping[str, str] | None = None,
    limit: int = 0,
    own_answers: bool = False,
) -> list[Query]:
    """Read a file of queries.

    Args:
        tokenizer: one whose chat template lays out rows of chat turns.
        map: our name of a field to the column that holds it.
        limit: queries to take from the front; 0 takes all.
        own_answers: leave all completions to the model.
    Raises:
        DataError: a row that is no query (its line is named), the same query twice, or no row at all.
    """
    queries: dict[str, Query] = {}
    lines: dict[str, int] = {}
    reader = RowReader(map, tokenizer)
    for row in read_rows(path):
        place = f"{path}:{row.line}"
        if row.problem:
            raise DataError(f"{place}: {row.problem}; mend or remove the line")
        if not queries:
            reader.check(row.values, place)
        query = _row_query(reader.mapped(row.values), style, reader, place)
        query = without_completion(query) if own_answers else query
        if query.id in queries:
            raise DataError(f"{place}: the query {query.id!r} is that of line {lines[query.id]} too; give it once")
        queries[query.id], lines[query.id] = query, row.line
        if limit and len(queries) == limit:
            break
    if not queries:
        raise DataError(f"{str(path)!r} holds no query; allowed in a row: {FORMS}")
    return list(queries.values())


def _row_query(values: Mapping[str, Any], style: PromptStyle, reader: RowReader, place: str) -> Query:
    query = _laid_out(values, style, reader, place)
    answer, task = values.get("answer"), values.get("task")
    labels = dict(query.labels)
    for name, value in values.items():
        if isinstance(value, str | int | float) and name not in (*_TEXTS, *labels) and len(str(value)) <= 200:
            labels[name] = str(value)
    return replace(
        query,
        prompt=clean(query.prompt),
        completion=clean(query.completion),
        answer=query.answer or (str(answer) if isinstance(answer, str | int | float) else ""),
        task=query.task or (task if isinstance(task, str) else ""),
        labels=labels,
        name=str(values["id"]) if isinstance(values.get("id"), str | int) else "",
    )


_TEXTS = ("id", "prompt", "completion", "question", "answer", "problem", "solution", "rationale", "task", "text")


def _laid_out(values: Mapping[str, Any], style: PromptStyle, reader: RowReader, place: str) -> Query:
    prompt, completion = values.get("prompt"), values.get("completion")
    if isinstance(prompt, list):
        turns = [*prompt, *(completion if isinstance(completion, list) else [])]
        return _chat(turns, reader, place)
    if isinstance(prompt, str) and prompt:
        if completion is None:
            return without_completion(Query(prompt=prompt, completion=""))
        if not isinstance(completion, str) or not completion:
            raise DataError(f"{place}: completion is {completion!r:.60}; allowed: text, or leave the field out")
        return Query(prompt=prompt, completion=completion)
    if isinstance(values.get("messages"), list):
        return _chat(values["messages"], reader, place)
    layout = detect(values)
    if layout is None:
        question = values.get("question", values.get("problem"))
        if isinstance(question, str) and question:
            return without_completion(query_of_problem(_problem(values, question, ""), style))
        raise DataError(f"{place}: the fields {', '.join(values)} are no query; allowed: {FORMS}")
    try:
        draft = layout.draft(values)
    except Unusable as error:
        raise DataError(f"{place}: {error}") from None
    problem = replace(_problem(values, draft.question, draft.answer), rationale=draft.rationale, choices=draft.choices)
    return query_of_problem(problem, style, direct=not problem.rationale)


def _problem(values: Mapping[str, Any], question: str, answer: str) -> Problem:
    family = values.get("family")
    return Problem(family=family if isinstance(family, str) else "", question=question, answer=answer)


def _chat(turns: list[Any], reader: RowReader, place: str) -> Query:
    if not turns or not all(isinstance(t, Mapping) and isinstance(t.get("content"), str) for t in turns):
        raise DataError(f"{place}: chat turns need a role and a content that is text")
    answered = turns[-1].get("role") == "assistant"
    before = turns[:-1] if answered else turns
    if not before:
        raise DataError(f"{place}: nothing is asked before the answer")
    try:
        if getattr(reader.tokenizer, "chat_template", None):
            prompt = reader.tokenizer.apply_chat_template(before, tokenize=False, add_generation_prompt=True)
        else:
            prompt = "".join(f"{turn['content']}\n" for turn in before)
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{place}: its turns do not fit the tokenizer's template: {str(error)[:80]}") from error
    query = Query(prompt=prompt, completion=turns[-1]["content"] if answered else "")
    return query if query.completion else without_completion(query)
