"""The part of a model's text that is meant to be read: reasoning blocks, broken characters and excess length left out.

Marks of reasoning other than `<think>` are written as `<think>` first, so that one rule splits them all
(`verdicts.split_thinking`). Of a harmony-format text the last final channel counts. Left out: what a reading is of.
"""

import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from menon.grading.verdicts import split_thinking

LONGEST = 200_000
LONGEST_SHOWN = 80
MOST_ALLOWED = 10
BINARY_SHARE = 0.1

_MARKS = re.compile(
    r"(?:<(/?)(?:think|thinking|thought|reasoning|seed:think)>|\[(/?)THINK\]|\u25c1(/?)think\u25b7)", re.I
)
_FINAL = "<|channel|>final<|message|>"
_SPECIAL = re.compile(r"<\|(?:return|end|im_end|eot_id|endoftext|end_of_text)\|>")
PLAIN_BELOW = 10_000  # characters; below every limit that callers set
_PLAIN = re.compile(r"[ -;=-Z\\^-z}~\t\n\r]*")  # no `<`, `[`, `{`, `|`, no control characters: no mark of any model
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FENCE = re.compile(r"[ \t]{0,12}(`{3,20}|~{3,20})[ \t]*([A-Za-z0-9_+.-]{0,30})")


@dataclass(frozen=True, slots=True)
class Read:
    """A value that was read, with a note on how where that is worth knowing."""

    value: Any
    note: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """Nothing could be read; `reason` is one sentence that says what was got and what is allowed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Visible:
    """The visible part of a text, not empty, with notes on what was changed."""

    text: str
    notes: tuple[str, ...] = ()

    def read(self, value: Any, note: str = "") -> Read:
        """Return a reading of this text with all that there is to note."""
        if not self.notes:
            return Read(value, note)
        return Read(value, "; ".join(part for part in (note, *self.notes) if part))


def visible(text: str, allowed: str, *, keep: str = "end", longest: int = LONGEST) -> Visible | Unread:
    """Return what of `text` is to be read; `keep` says which end of an overlong text stays ("start" or "end")."""
    if len(text) <= PLAIN_BELOW and text.isascii() and _PLAIN.fullmatch(text) and (rest := text.strip()):
        return Visible(rest)  # nothing that the rest of this function looks for; most replies are such
    notes: list[str] = []
    control = len(_CONTROL.findall(text))
    if control > BINARY_SHARE * len(text):
        return unread(
            text, f"which is binary: {control:,} of its {len(text):,} characters are control characters", allowed
        )
    if control:
        text = _CONTROL.sub("", text)
        notes.append(f"control characters left out: {control:,}")
    if (mended := without_surrogates(text)) != text:
        text = mended
        notes.append("lone surrogates replaced")
    rest, closed = _without_reasoning(text)
    if not closed:
        return unread(text, "which is a reasoning block without an end", allowed)
    rest = rest.strip()
    if not rest:
        got = "nothing after the reasoning" if text.strip() else "an empty text"
        return Unread(f"got {got}; allowed: {allowed}")
    if len(rest) > longest:
        notes.append(f"cut to the {'first' if keep == 'start' else 'last'} {longest:,} of {len(rest):,} characters")
        rest = rest[:longest] if keep == "start" else rest[-longest:]
    return Visible(rest, tuple(notes))


def _without_reasoning(text: str) -> tuple[str, bool]:
    """Return the text after its reasoning, and whether the reasoning came to an end."""
    _, final, answer = text.rpartition(_FINAL)
    text = answer if final else text
    text = _MARKS.sub(lambda mark: f"<{'/' if any(mark.groups()) else ''}think>", text)
    _, rest, closed = split_thinking(text)
    if closed and "<think>" in rest:  # a second block, which was broken off
        closed = False
    return _SPECIAL.sub("", rest), closed


def without_surrogates(text: str) -> str:
    """Return `text` as it can be written in UTF-8: halves that belong together joined, lone ones replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def unread(text: str, why: str, allowed: str) -> Unread:
    """Return the one sentence that says what was got, why it cannot be read, and what is allowed."""
    return Unread(f"got {shown(text)}, {why}; allowed: {allowed}")


def shown(value: Any) -> str:
    """Write a value on one short line; of a long text the beginning and the end."""
    if isinstance(value, str):
        value = value.strip()
        if len(value) > LONGEST_SHOWN:
            value = f"{value[: LONGEST_SHOWN // 2]} ... {value[-LONGEST_SHOWN // 2 :]}"
        return ascii(value) if _CONTROL.search(value) or without_surrogates(value) != value else repr(value)
    return reprlib.repr(value)


def listed(choices: Sequence[Any]) -> str:
    """Write choices with commas, the first ones of many."""
    named = ", ".join(shown(choice) for choice in choices[:MOST_ALLOWED])
    return named if len(choices) <= MOST_ALLOWED else f"{named} and {len(choices) - MOST_ALLOWED:,} more"


def fenced(text: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a text, in order, as (language in lower case, content); the last may be unclosed."""
    blocks: list[tuple[str, str]] = []
    fence, language, lines = "", "", []
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if not fence:
            if mark is not None:
                fence, language, lines = mark[1], mark[2].lower(), []
        elif mark is not None and mark[1].startswith(fence) and not line[mark.end(1) :].strip():
            blocks.append((language, "\n".join(lines)))
            fence = ""
        else:
            lines.append(line)
    if fence:
        blocks.append((language, "\n".join(lines)))
    return blocks
