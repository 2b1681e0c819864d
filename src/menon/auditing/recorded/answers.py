"""From a row's texts to an answer of an audit: completions as backends write them down, and their grades."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from menon.auditing.probe import Answered, Question
from menon.auditing.recorded.entries import Entry, one_of
from menon.core.values import Completion
from menon.grading import grade

TEXTS = ("response", "text", "completion", "output", "model_output", "prediction", "generation", "solution")
LISTS = ("responses", "completions", "outputs", "samples", "resps", "generations")
REASONING = ("reasoning", "reasoning_content", "thinking")
CUT = {"length", "max_tokens", "truncated"}
UNNAMED = "unnamed model"


class Unusable(ValueError):
    """A row cannot become an answer; the text says why. Never leaves this package."""


def completions(entry: Entry, key: str, names: tuple[str, ...] = (*TEXTS, *LISTS)) -> list[Completion]:
    """Return the responses of a row, one or several.

    Raises:
        Unusable: there is none, or it is no text.
    """
    values = entry.values
    model = model_of(entry)
    if isinstance(values.get("error"), str) and values["error"]:
        return [Completion(key=key, finish="error", error=values["error"], model=model)]
    found = one_of(values, names)
    texts = found if isinstance(found, list) and not _is_parts(found) else [found]
    if not texts:
        raise Unusable("no response: the list of responses is empty")
    finish = values.get("finish_reason", values.get("finish"))
    reasoning = one_of(values, REASONING)
    first = values.get("sample")
    start = first if isinstance(first, int) and not isinstance(first, bool) else 0
    return [
        Completion(
            key=key,
            sample=start + at,
            text=_text(text),
            reasoning=reasoning if isinstance(reasoning, str) and reasoning else None,
            finish="length" if finish in CUT else "stop",
            model=model,
        )
        for at, text in enumerate(texts)
    ]


def model_of(entry: Entry) -> str:
    """Return the model that a row names; `?model=NAME` names it for files that do not."""
    named = entry.values.get("model")
    return named if isinstance(named, str) and named else entry.model or UNNAMED


def answered(question: Question, completion: Completion, *, whole: bool = False) -> Answered:
    """Grade one completion; `whole` counts an answer with several parts only when all of them are right."""
    found = grade(question.problem, completion)
    if whole and found.credit is not None:
        found = replace(found, credit=None, note=f"{found.note}; {found.credit:.0%} of the parts are right")
    return Answered(question=question, completion=completion, grade=found, model=completion.model)


def _is_parts(found: list[Any]) -> bool:
    """Tell the content parts of one chat message from a list of responses."""
    return bool(found) and all(isinstance(part, Mapping) and "type" in part and "text" in part for part in found)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        inner = value.get("message", value)
        if isinstance(inner, Mapping) and isinstance(inner.get("content"), str):
            return inner["content"]
        if isinstance(value.get("text"), str):
            return value["text"]
    if isinstance(value, list) and _is_parts(value):
        return "".join(part["text"] for part in value if isinstance(part["text"], str))
    raise Unusable(f"no response: it is {value!r:.40}; allowed: text, a chat message, or a list of them")
