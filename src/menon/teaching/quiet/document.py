"""One text to learn from, and how the columns of a row become it.

A row is a text (column `text`, else `content`, `passage` or `document`), chat `messages`, or a question with its
answer: question, rationale and answer in this order on lines of their own, or as a prompt style puts them. Questions
with choices are always put by a style, `commonsenseqa` unless another is given.
Left out: rows of preference data, turns of chats other than text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from menon.core.values import Problem
from menon.grading.numbers import canonical, parse_number
from menon.problems.corpus_files import row_text
from menon.problems.layouts import Unusable, detect
from menon.problems.prompts import COMMONSENSEQA, PromptStyle

ASKED = ("question", "problem", "prompt", "instruction", "input")
TOLD = ("rationale", "solution", "completion", "answer", "output", "response")
# In order of preference; the fields that speak for a layout when a map names them.
LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "messages": ("messages",),
    "choices": ("choices",),
    "question/answer": (*ASKED, *TOLD),
    "content": ("content",),
    "passage": ("passage",),
    "document": ("document",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text, and the parts of it that answer something as spans of characters (none: it is plain text).

    `turns` are the roles and contents of a chat; `text` joins them by line breaks. `place` names file and line.
    """

    text: str
    answers: tuple[tuple[int, int], ...] = ()
    turns: tuple[tuple[str, str], ...] = ()
    place: str = ""

    @property
    def content(self) -> str:
        """What makes two texts the same: the question where there is one, else the text; blanks do not count."""
        asked = self.text[: self.answers[0][0]] if self.answers else ""
        return " ".join((asked.strip() or self.text).split())


def fits(layout: str, values: Mapping[str, Any], style: PromptStyle | None) -> bool:
    """Say whether a row has the columns of `layout`, or those that the style needs."""
    if style is not None:
        return detect(values) is not None
    if layout == "messages":
        return isinstance(values.get("messages"), list)
    found = detect(values)
    if layout == "choices":
        return found is not None and found.name == "choices"
    if layout == "question/answer":
        return any(name in values for name in ASKED) and any(name in values for name in TOLD)
    return layout in values


def lay_out(values: Mapping[str, Any], layout: str, style: PromptStyle | None) -> Document:
    """Lay a row out; raises `Unusable` with the reason where it has nothing to learn from."""
    if style is not None or layout == "choices":
        return _styled(values, style or COMMONSENSEQA)
    if layout == "messages":
        return _chat(values.get("messages"))
    if layout == "question/answer":
        asked, told = (row_text(_texts_of(values, names)) for names in (ASKED, TOLD))
        if not asked or not told:
            raise Unusable(f"no {'answer' if asked else 'question'} in it")
        return _answered(f"{asked}\n", told)
    if layout not in values:
        raise Unusable(f"no column {layout!r}")
    text = row_text(_texts_of(values, (layout,)))
    if not text:
        raise Unusable("no text in it")
    return Document(text=text)


def _styled(values: Mapping[str, Any], style: PromptStyle) -> Document:
    layout = detect(values)
    if layout is None:
        raise Unusable("no question with an answer in it")
    try:
        draft = layout.draft(values)
    except Unusable as reason:
        raise Unusable(
            str(reason).partition("; allowed")[0]
        ) from None  # one reason for all rows, whatever their values
    problem = Problem(
        family="data",
        question=draft.question,
        answer=draft.answer,
        rationale=draft.rationale,
        choices=draft.choices,
    )
    direct = not draft.rationale
    completion = style.completion(problem, draft.rationale or "", draft.answer, direct=direct)
    return _answered(style.prompt(problem, direct=direct), completion)


def _answered(question: str, answer: str) -> Document:
    return Document(text=question + answer, answers=((len(question), len(question) + len(answer)),))


def _chat(messages: Any) -> Document:
    turns: list[tuple[str, str]] = []
    answers: list[tuple[int, int]] = []
    at = 0
    for turn in messages if isinstance(messages, list) else ():
        said = row_text({"text": turn.get("content")}) if isinstance(turn, Mapping) else ""
        if not said:
            continue
        if turn.get("role") == "assistant":
            answers.append((at, at + len(said)))
        turns.append((str(turn.get("role")), said))
        at += len(said) + 1
    if not turns:
        raise Unusable("no turn with text in it")
    return Document(text="\n".join(said for _, said in turns), answers=tuple(answers), turns=tuple(turns))


def _texts_of(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return some fields, numbers of JSON as text."""
    fields = {name: values[name] for name in names if values.get(name) is not None}
    for name, value in fields.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = parse_number(repr(value))
            fields[name] = str(value) if number is None else canonical(number)
    return fields
