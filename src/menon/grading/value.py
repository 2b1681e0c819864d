"""Grader "value": a Python literal, compared as a value: whole numbers, floats, strings, lists, tuples, dicts, None.

Read by `ast.literal_eval` within limits of length and depth; nothing is evaluated. A marked answer decides alone;
without a mark, a last line that is a literal, or ends in one between back quotes. Types count: `(1, 2)` is not `[1, 2]`
and `2.0` not `2`, as Python prints them differently. Where the answer is a string, a single word without quotes is
taken for one.
Letters of other alphabets are no part of an answer here: a literal with one is unparsed, whatever it looks like.
`value?types=any` compares lists with tuples and whole numbers with floats, as gold answers that come out of JSON need.
Left out: sets, bytes, complex numbers and expressions.
"""

import ast
import re
from dataclasses import dataclass
from typing import Any

from menon.core.errors import ConfigError, DataError
from menon.core.values import Problem
from menon.grading.protocol import Parsed
from menon.grading.stated import normal, stated, unwrapped

LONGEST_LITERAL = 1000
LONGEST_READ = 20_000
DEEPEST = 20
MOST_SAID = 20
MOST_ENDS = 60

_NOTHING = object()
_WORD = re.compile(r"[A-Za-z0-9_]{1,200}")
_BEFORE = re.compile(
    r"^(?:(?:the )?(?:output|result|value|answer|it returns|returns?|f\([^\n]{0,300}\) ==?)\s?:?\s?)", re.I
)
_OUTPUT = re.compile(
    r"\b(?:(?:outputs?|results?|values?)(?: of [^\n.:]{1,80}?)?(?: is| are| (?:will|would) be|:| =)|"
    r"prints|returns|outputs|evaluates to|(?:will|would) (?:print|return))(?: be)?\s?:?\s?(?=[\[({\"'0-9TFN`*-])",
    re.IGNORECASE,
)
_FENCED = re.compile(r"```(?:python)?\s*([^`]{0,1000})```")
_QUOTED = re.compile(r"`([^`\n]{1,1000})`")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueGrader:
    """Compare Python literals, types included."""

    types: str = "exact"
    name: str = "value"

    def __post_init__(self):
        if self.types not in ("exact", "any"):
            raise ConfigError(f"option types of grader 'value' is {self.types!r}; allowed: exact, any")

    def parse(self, problem: Problem, text: str) -> Parsed:
        text = normal(text).rstrip()
        gold = _literal(problem.answer)
        found = stated(text)
        if found is not None:
            fenced = _FENCED.search(found.tail) if found.line.startswith("```") else None
            value = _read(fenced[1] if fenced else found.line, gold)
            note = found.mark if value is not _NOTHING else f"{found.mark}: no Python literal"
            return _parsed(value, text[: found.start].strip(), note)
        line, start = _last_line(text)
        value = _read(_BEFORE.sub("", line), gold if line == text.strip() else None)
        if value is _NOTHING and (quoted := _QUOTED.findall(line)):
            value = _read(quoted[-1], gold)
        if value is _NOTHING and (shown := _shown(text, gold)) is not None:
            value, start, note = shown
            return _parsed(value, text[:start].strip(), note)
        note = "last line" if value is not _NOTHING else "no marked answer, and the last line is no Python literal"
        return _parsed(value, text[:start].strip(), note)

    def accepts(self, problem: Problem, answer: str) -> bool:
        gold = _literal(problem.answer)
        if gold is _NOTHING:
            raise DataError(f"problem {problem.id} has answer {problem.answer!r}, which is no Python literal")
        if self.types == "any":
            return _same(_untyped(_literal(answer)), _untyped(gold))
        return _same(_literal(answer), gold)


def _parsed(value: Any, rationale: str, note: str) -> Parsed:
    return Parsed(answer=None if value is _NOTHING else repr(value), rationale=rationale, note=note)


def _read(text: str, gold: Any) -> Any:
    """Return the literal that `text` is, as it stands or in its marks of code; a bare word for a string answer."""
    text = unwrapped(text).strip("* ")
    for candidate in (text, text.strip("`* ").removesuffix(".").strip("`* "), _BEFORE.sub("", text).strip("`* .")):
        value = _literal(candidate)
        if value is not _NOTHING:
            return value
    bare = text.strip("`* ").removesuffix(".").strip("`* ")
    if isinstance(gold, str) and bare == gold.strip():
        return gold
    return bare if isinstance(gold, str) and _WORD.fullmatch(bare) else _NOTHING


def _shown(text: str, gold: Any) -> tuple[Any, int, str] | None:
    """Return a literal before an explanation: the first line, what the output is said to be, or in marks of code."""
    text = text[:LONGEST_READ]
    first = text.strip().partition("\n")[0]
    if first != text.strip() and (value := _read(_BEFORE.sub("", first), gold)) is not _NOTHING:
        return value, 0, "first line"
    for match in reversed(list(_OUTPUT.finditer(text))[-MOST_SAID:]):
        value = _opening(text[match.end() : match.end() + LONGEST_LITERAL].split("\n", 1)[0])
        if value is not _NOTHING:
            return value, match.start(), "what the output is said to be"
    for match in reversed(list(re.finditer(rf"{_FENCED.pattern}|{_QUOTED.pattern}", text))[-MOST_SAID:]):
        value = _read(match[1] if match[1] is not None else match[2], None)
        if value is not _NOTHING:
            return value, match.start(), "last literal in marks of code"
    return None


def _opening(text: str) -> Any:
    """Return the literal that a text opens with, the longest one; `_NOTHING` where it opens with none."""
    text = text.strip("`* ")
    ends = [match.start() for match in re.finditer(r"[.,`*]{0,4}(?:\s|$)", text)][:MOST_ENDS]
    return next((value for end in reversed(ends) if (value := _literal(text[:end])) is not _NOTHING), _NOTHING)


def _untyped(value: Any) -> Any:
    """Return a value with tuples as lists and whole floats as whole numbers."""
    if isinstance(value, list | tuple):
        return [_untyped(element) for element in value]
    if isinstance(value, dict):
        return {_untyped(key) if not isinstance(key, tuple) else key: _untyped(part) for key, part in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _literal(text: str) -> Any:
    """Return the value of a literal, or `_NOTHING`."""
    text = text.strip()
    if not text or not text.isascii() or len(text) > LONGEST_LITERAL or _depth(text) > DEEPEST:
        return _NOTHING
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _NOTHING
    return value if _allowed(value) else _NOTHING


def _depth(text: str) -> int:
    """Return how many brackets and signs stand at most inside each other, quotes not considered."""
    deepest = depth = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    return max(deepest, len(re.findall(r"[-+~]", text)) // 50)


def _allowed(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_allowed(element) for element in value)
    if isinstance(value, dict):
        return all(_allowed(element) for pair in value.items() for element in pair)
    return value is None or type(value) in (bool, int, float, str)


def _same(one: Any, two: Any) -> bool:
    if type(one) is not type(two):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(_same(a, b) for a, b in zip(one, two, strict=True))
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(_same(value, two[key]) for key, value in one.items())
    return one == two


def _last_line(text: str) -> tuple[str, int]:
    """Return the last line that is not empty or a code fence, and where it begins."""
    end = len(text)
    while end > 0:
        start = text.rfind("\n", 0, end) + 1
        line = text[start:end].strip()
        if line and not line.startswith("```"):
            return line[-LONGEST_LITERAL - 1 :], start
        end = start - 1
    return "", 0
