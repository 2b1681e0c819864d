"""Turn what sandboxed code computed into plain JSON values, or say in words why that cannot be.

The walk calls no method that sandboxed code could have written, and counts what it emits, so that a small value that
contains itself or shares its parts a million times over is refused rather than spelt out.
Left out: imports outside the standard library, since the worker process loads this file by its path.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

MOST_DEPTH = 100
MOST_DIGITS = 4000  # Python itself refuses to write integers of more than 4,300


class NotPlain(ValueError):
    """A value that is not JSON; `kind` is "output" where it is only too long."""

    def __init__(self, message: str, kind: str = "error"):
        super().__init__(message)
        self.kind = kind


def plain(value: Any, name: str, *, most_chars: int) -> Any:
    """Return `value` as None, bool, int, float, str, list and dict; `name` is what messages call it.

    Raises:
        NotPlain: it is something else, contains itself, or its text would be longer than `most_chars`.
    """
    return _Walk(name, most_chars).convert(value, 0)


def clean_text(text: str) -> str:
    """Return an exact str without lone surrogates, which no file or network accepts."""
    text = str.__str__(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def first_line(text: str, most: int = 300) -> str:
    """Return `text` on one line, cut after `most` characters."""
    line = " ".join(clean_text(text[: 2 * most]).split())
    return line if len(line) <= most else line[: most - 1] + "…"


class _Walk:
    def __init__(self, name: str, most_chars: int):
        self.name = name
        self.left = most_chars
        self.most = most_chars
        self.open: set[int] = set()

    def convert(self, value: Any, depth: int) -> Any:
        kind = type(value)  # not isinstance, which asks the value itself
        self._spend(1)
        if value is None or kind is bool:
            return value
        if issubclass(kind, int):
            return self._integer(int.__int__(value))
        if issubclass(kind, float):
            return self._float(float.__float__(value))
        if issubclass(kind, str):
            self._spend(str.__len__(value))
            return clean_text(value)
        if issubclass(kind, (list, tuple)):
            return self._list(value, list if issubclass(kind, list) else tuple, depth)
        if issubclass(kind, dict):
            return self._dict(value, depth)
        if kind is Decimal or kind is Fraction:
            return self._exact(value)
        raise NotPlain(f"{self._what()} is a {kind.__name__[:60]}, which is not JSON; {_mend(kind)}")

    def _integer(self, value: int) -> int:
        if value.bit_length() > MOST_DIGITS * 3.3:
            raise NotPlain(f"{self._what()} is an integer of more than {MOST_DIGITS} digits")
        self._spend(value.bit_length() // 4)
        return value

    def _float(self, value: float) -> float:
        if not math.isfinite(value):
            raise NotPlain(f"{self._what()} is {value}, which is not JSON; return a finite number")
        return value

    def _exact(self, value: Decimal | Fraction) -> int | float:
        """Return the JSON number that has exactly this value in decimal writing."""
        if isinstance(value, Decimal):
            if not value.is_finite() or abs(value.adjusted()) > MOST_DIGITS:
                raise NotPlain(f"{self._what()} is {first_line(str(value), 40)}, which is not a JSON number")
            if value == value.to_integral_value():
                return self._integer(int(value))
        elif value.denominator == 1:
            return self._integer(value.numerator)
        try:
            number = float(value)
            if math.isfinite(number) and type(value)(repr(number)) == value:
                return number
        except OverflowError:
            pass
        raise NotPlain(f"{self._what()} is a {type(value).__name__} that no number holds exactly; use float() or str()")

    def _list(self, value: Any, base: Any, depth: int) -> list[Any]:
        self._enter(value, depth)
        items = [self.convert(item, depth + 1) for item in base.__iter__(value)]
        self.open.discard(id(value))
        return items

    def _dict(self, value: Any, depth: int) -> dict[str, Any]:
        self._enter(value, depth)
        pairs: Iterator[tuple[Any, Any]] = iter(dict.items(value))
        made = {self._key(key): self.convert(item, depth + 1) for key, item in pairs}
        self.open.discard(id(value))
        return made

    def _key(self, key: Any) -> str:
        if not issubclass(type(key), str):
            raise NotPlain(f"{self._what()} has a key of type {type(key).__name__[:60]}; keys of JSON objects are text")
        self._spend(str.__len__(key))
        return clean_text(key)

    def _enter(self, value: Any, depth: int) -> None:
        if id(value) in self.open:
            raise NotPlain(f"{self._what()} contains itself, which JSON cannot")
        if depth >= MOST_DEPTH:
            raise NotPlain(f"{self._what()} is nested deeper than {MOST_DEPTH}")
        self.open.add(id(value))

    def _spend(self, chars: int) -> None:
        self.left -= chars
        if self.left < 0:
            raise NotPlain(f"{self._what()} is longer than {self.most} characters", kind="output")

    def _what(self) -> str:
        return f"the value of '{self.name}'"


def _mend(kind: type) -> str:
    if issubclass(kind, (set, frozenset)):
        return "make it a list, for example with sorted()"
    return "return numbers, text, lists or dictionaries"
