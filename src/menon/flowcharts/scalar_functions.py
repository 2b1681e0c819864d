"""Standard functions of numbers and texts, and those that make one of a list."""

from typing import Any

from menon.flowcharts.arguments import comparable, items_of, text_of
from menon.flowcharts.expression_errors import kind_of
from menon.flowcharts.limits import MOST_ITEMS
from menon.flowcharts.operations import settle
from menon.flowcharts.showing import numbered_lines, shown_inside

MOST_DIGITS = 400  # to which a number may be rounded, on either side of the point
MOST_STRIPPED = 100  # stripping looks for each character of the text in turn among these
_NUMBERS = frozenset({int, float, bool})


def _numbers(items: Any, name: str) -> list[Any]:
    listed = items_of(items, name)
    for kind in set(map(type, listed)) - _NUMBERS:
        strange = next(item for item in listed if type(item) is kind)
        raise TypeError(f"{name}() takes a list of numbers, and it holds a {kind_of(strange)}")
    return listed


def total(items: Any, start: Any = 0) -> Any:
    return settle(sum(_numbers(items, "sum"), *_numbers([start], "sum")))


def mean(items: Any) -> Any:
    numbers = _numbers(items, "mean")
    if not numbers:
        raise ValueError("mean() of an empty list")
    return settle(sum(numbers) / len(numbers))


def rounded(number: Any, digits: Any = None) -> Any:
    if type(number) not in _NUMBERS:
        raise TypeError(f"round() takes a number, and got a {kind_of(number)}")
    if digits is not None and not (isinstance(digits, int) and abs(digits) <= MOST_DIGITS):
        raise ValueError(f"round() takes a whole number of digits, at most {MOST_DIGITS}")
    return settle(round(number, digits))


def whole_number(value: Any) -> int:
    return settle(int(value))


def number(value: Any) -> float:
    return settle(float(value))


def is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        settle(float(value))
    except (ValueError, OverflowError):
        return False
    return True


def lower(text: Any) -> str:
    return settle(text_of(text, "lower").lower())


def upper(text: Any) -> str:
    return settle(text_of(text, "upper").upper())


def strip(text: Any, characters: Any = None) -> str:
    if characters is not None and len(text_of(characters, "strip")) > MOST_STRIPPED:
        raise ValueError(f"strip() takes at most {MOST_STRIPPED} different characters")
    return text_of(text, "strip").strip(characters)


def split(text: Any, separator: Any = None) -> list[str]:
    return settle(text_of(text, "split").split(separator))


def lines(text: Any) -> list[str]:
    return settle([line.strip() for line in text_of(text, "lines").splitlines() if line.strip()])


def join(items: Any, separator: Any = ", ") -> str:
    between = text_of(separator, "join")
    parts = [shown_inside(item) for item in comparable(items_of(items, "join"))]
    _room(sum(map(len, parts)) + len(between) * max(len(parts) - 1, 0))
    return between.join(parts)


def replace(text: Any, old: Any, new: Any) -> str:
    whole, before, after = text_of(text, "replace"), text_of(old, "replace"), text_of(new, "replace")
    _room(len(whole) + whole.count(before) * (len(after) - len(before)))
    return whole.replace(before, after)


def _room(length: int) -> None:
    if length > MOST_ITEMS:
        raise ValueError(f"a text would have more than {MOST_ITEMS:,} characters")


def startswith(text: Any, prefix: Any) -> bool:
    return text_of(text, "startswith").startswith(text_of(prefix, "startswith"))


def endswith(text: Any, suffix: Any) -> bool:
    return text_of(text, "endswith").endswith(text_of(suffix, "endswith"))


def numbered(items: Any) -> str:
    return settle(numbered_lines(comparable(items_of(items, "numbered"))))


def bulleted(items: Any) -> str:
    return settle("\n".join([f"- {shown_inside(item)}" for item in comparable(items_of(items, "bulleted"))]))
