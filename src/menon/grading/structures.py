"""Structured answers in a text: bracketed JSON or Python values, and what they say of things with given names.

`{"chair": [0, 5]}`, `[{"name": "chair", "x": 0, "y": 5}]`, one object per line and `The chair is at (0, 5)` all say
`chair: (0, 5)`. Later statements replace earlier ones, since working comes before answers.
Left out: what is said without the thing's name.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST = 4000
MOST_STARTS = 60
DEEPEST = 30
MOST_NUMBERS = 12
LONGEST_VALUE = 200
_NAMES = ("name", "object", "item", "thing", "id")
_CLOSERS = {"{": "}", "[": "]"}
_GAP = r"[^0-9]{0,60}?"
_NUMBER = r"([-+]?[0-9]{1,9}(?:\.[0-9]{1,9})?)(?![0-9])"
_BETWEEN = r"[\s,;()*`\"']{1,6}(?:and\s)?(?:[xyz]\b[\s:=*`\"']{1,6})?"


def structures(text: str) -> Iterator[Any]:
    """Yield the outermost bracketed values of the end of a text, in order; what cannot be read is passed over."""
    text, at = text[-LONGEST:], 0
    for _ in range(MOST_STARTS):
        opening = re.compile(r"[\[{]").search(text, at)
        if opening is None:
            return
        end = _end(text, opening.start())
        value = None if end is None else _value(text[opening.start() : end])
        at = opening.end() if value is None or end is None else end
        if value is not None:
            yield value


def said_of(value: Any, names: Mapping[str, str]) -> dict[str, str]:
    """Return what a value says of each name; `names` are keyed by what is to be found."""
    found: dict[str, str] = {}
    if isinstance(value, list | tuple):
        for part in value:
            found |= said_of(part, names)
    elif isinstance(value, dict):
        own = next((key for key, name in value.items() if isinstance(name, str) and _key(name, names)), None)
        if own is not None and not any(_key(str(key), names) for key in value):
            rest = {str(key): part for key, part in value.items() if key != own}
            return {names[_key(value[own], names) or ""]: plain_value(_place(rest))}
        for key, part in value.items():
            if (name := _key(str(key), names)) is not None:
                found[names[name]] = plain_value(part)
            elif isinstance(part, list | dict):
                found |= said_of(part, names)
    return found


def parts_of(value: Any) -> dict[str, str]:
    """Return the named parts of an object, or of a list of objects with a name each; empty where there is neither."""
    if isinstance(value, dict):
        return {str(name): plain_value(part) for name, part in value.items()}
    if not isinstance(value, list | tuple) or not value or not all(isinstance(part, dict) and part for part in value):
        return {}
    for key in sorted(value[0], key=lambda key: key not in _NAMES):
        names = [part.get(key) for part in value]
        if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
            return {part[key]: plain_value(_place({str(k): v for k, v in part.items() if k != key})) for part in value}
    return {}


def plain_value(value: Any) -> str:
    """Write a value on one line: several parts in round brackets."""
    if isinstance(value, dict):
        value = list(_place(value).values()) if isinstance(_place(value), dict) else _place(value)
    if isinstance(value, list | tuple):
        return f"({', '.join(map(str, value))})" if len(value) != 1 else str(value[0])
    return str(value)[:LONGEST_VALUE]


def rows_of_numbers(text: str, sizes: Mapping[str, int]) -> dict[str, str]:
    """Return the last row of numbers said of each name, as `(0, 5)`; `sizes` says how many numbers each name has."""
    found = {}
    spelled = "|".join(map(re.escape, sizes))
    for name, size in sizes.items():
        row = _BETWEEN.join([_NUMBER] * min(size, MOST_NUMBERS))
        pattern = re.compile(
            rf"(?<![^\W_]){re.escape(name)}(?![^\W_])({_GAP}){row}(?!\s?[,;]\s?[-+]?[0-9])", re.IGNORECASE
        )
        for match in pattern.finditer(text[-LONGEST:]):
            if not re.search(rf"(?<![^\W_])(?:{spelled})(?![^\W_])", match[1], re.IGNORECASE):
                found[name] = f"({', '.join(match.groups()[1:])})"
    return found


def _key(text: str, names: Mapping[str, str]) -> str | None:
    return text if text in names else text.casefold() if text.casefold() in names else None


def _place(rest: Mapping[str, Any]) -> Any:
    """Return the coordinates of an object's fields where it has some, else the one nested value, else all of them."""
    lower = {key.casefold(): part for key, part in rest.items()}
    if {"x", "y"} <= set(lower):
        return [lower[axis] for axis in "xyz" if axis in lower]
    nested = [part for part in rest.values() if isinstance(part, list | dict)]
    if nested:
        return nested[-1] if isinstance(nested[-1], list) else _place(nested[-1])
    return list(rest.values())


def _end(text: str, start: int) -> int | None:
    """Return where the bracket at `start` is closed, quoted text aside."""
    closers, quote = [], ""
    for at in range(start, len(text)):
        char = text[at]
        if quote:
            quote = "" if char == quote and text[at - 1] != "\\" else quote
        elif char == '"' or (char == "'" and not text[at - 1].isalnum()):
            quote = char
        elif char in _CLOSERS:
            closers.append(_CLOSERS[char])
            if len(closers) > DEEPEST:
                return None
        elif char in "]}":
            if closers.pop() != char:
                return None
            if not closers:
                return at + 1
    return None


def _value(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None
