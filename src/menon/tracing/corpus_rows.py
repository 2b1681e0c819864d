"""What a row of a data file says as a training document: its text, its prompt, and labels.

The text is, in this order: prompt and completion; a field that is the whole text (text, content, passage, document);
chat turns, put into the tokenizer's template where it has one; else every known text field, joined in reading order.
All other short fields become labels; objects named meta, metadata or labels are opened. Dots lead into objects where a
column is named by hand (`source=meta.pile_set_name`). Left out: other languages' role names, images, tool calls.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from jinja2 import TemplateError

from menon.core.errors import ConfigError
from menon.core.seeds import content_id
from menon.problems.corpus_files import TEXT_FIELDS, row_text
from menon.tracing.values import TracedDocument

WHOLE = ("text", "content", "passage", "document")
NEEDED = (*WHOLE, "prompt", "completion", "messages")  # a row without one that was named by hand is no document
OPENED = ("meta", "metadata", "labels")
SOURCES = ("pile_set_name", "redpajama_set_name", "subset", "dataset", "domain")  # become `source` where there is none
MOST_LABELS = 24
LONGEST_LABEL = 200


class RowReader:
    """Makes documents of rows; `map` is our name of a field to the column that holds it."""

    def __init__(self, map: Mapping[str, str] | None = None, tokenizer: Any = None):
        self.map = dict(map or {})
        self.tokenizer = tokenizer

    def check(self, values: Mapping[str, Any], origin: str) -> None:
        """Raise `ConfigError` when `map` names a column that this (the first) row lacks."""
        for name, column in self.map.items():
            if lookup(values, column) is None:
                raise ConfigError(
                    f"--map {name}={column}: {origin} has no such column; its columns are: {', '.join(values)}"
                )

    def document(self, values: Mapping[str, Any], origin: str) -> TracedDocument | str:
        """Return the document of a row, or the reason why it is none."""
        for name, column in self.map.items():
            if name in NEEDED and lookup(values, column) is None:
                return f"no column {column!r}"
        values = self.mapped(values)
        try:
            found = self._text(values)
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            return f"its chat turns do not fit the tokenizer's template: {str(error)[:80]}"
        if found is None:
            return "no text in it"
        prompt, used = clean(found[0]), found[2]
        text = prompt + clean(found[1][len(found[0]) :])
        own = values.get("id")
        return TracedDocument(
            id=str(own) if isinstance(own, str | int) and str(own) else content_id("document", text),
            text=text,
            prompt=prompt,
            origin=origin,
            labels=self._labels(values, used),
        )

    def mapped(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row under our names of its fields."""
        if not self.map:
            return values
        moved = {name: lookup(values, column) for name, column in self.map.items()}
        taken = set(self.map.values())
        return {
            **{name: value for name, value in moved.items() if value is not None},
            **{name: value for name, value in values.items() if name not in taken and name not in moved},
        }

    def _text(self, values: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]] | None:
        """Return prompt, text (with the prompt) and the fields that gave them."""
        prompt, completion = values.get("prompt"), values.get("completion")
        if isinstance(prompt, list) and isinstance(completion, list):
            return *self.said([*prompt, *completion]), ("prompt", "completion")
        if isinstance(prompt, str) and isinstance(completion, str):
            return prompt, prompt + completion, ("prompt", "completion")
        for name in WHOLE:
            if isinstance(text := values.get(name), str):
                if isinstance(prompt, str) and prompt and text.startswith(prompt):
                    return prompt, text, (name, "prompt")
                return "", text, (name,)
        if isinstance(turns := values.get("messages"), list) and turns:
            return *self.said(turns), ("messages",)
        text = row_text(values)
        if not text:
            return None
        known = tuple(name for name in TEXT_FIELDS if values.get(name) is not None)
        return "", text, known or tuple(name for name, value in values.items() if not _scalar_number(value))

    def said(self, turns: list[Any]) -> tuple[str, str]:
        """Return a chat as (everything before the last answer, the whole)."""
        if not all(isinstance(turn, Mapping) and isinstance(turn.get("content"), str) for turn in turns):
            return "", row_text({"messages": turns})
        if not getattr(self.tokenizer, "chat_template", None):
            return "", "\n".join(turn["content"] for turn in turns)
        show = self.tokenizer.apply_chat_template
        text = show(turns, tokenize=False)
        if len(turns) < 2 or turns[-1].get("role") != "assistant":
            return "", text
        before = show(turns[:-1], tokenize=False, add_generation_prompt=True)
        return (before if text.startswith(before) else ""), text

    def _labels(self, values: Mapping[str, Any], used: Iterable[str]) -> dict[str, str]:
        unused = {name: value for name, value in values.items() if name not in used and name != "id"}
        labels: dict[str, str] = {}
        for name, value in _opened(unused):
            if len(labels) == MOST_LABELS:
                break
            text = _label(value)
            if text and len(text) <= LONGEST_LABEL and name not in labels:
                labels[name] = clean(text)
        if "source" not in labels:
            found = next((labels[name] for name in SOURCES if name in labels), None)
            if found:
                labels["source"] = found
        return labels


def lookup(values: Mapping[str, Any], name: str) -> Any:
    """Return the field `name`; dots lead into objects. None where there is none."""
    if name in values:
        return values[name]
    value: Any = values
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def clean(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can hold and no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _opened(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if name in OPENED and isinstance(value, str) and value.startswith("{"):
            with suppress(ValueError):
                value = json.loads(value)
        if name in OPENED and isinstance(value, Mapping):
            yield from value.items()
        else:
            yield name, value


def _label(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _scalar_number(value):
        return str(value)
    if isinstance(value, list | tuple) and all(isinstance(v, str) or _scalar_number(v) for v in value):
        return ",".join(str(v) for v in value)
    return ""


def _scalar_number(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
