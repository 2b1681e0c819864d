"""How a value reads in a prompt."""

import json
from collections.abc import Iterable
from typing import Any

from menon.flowcharts.expression_errors import kind_of
from menon.flowcharts.limits import CONTAINERS, weigh
from menon.flowcharts.operations import settle

_LARGEST_PLAIN_FLOAT = 1e16  # beyond it, Python writes an exponent too


def show(value: Any) -> str:
    """Write a value for a reader.

    Texts stay as they are; whole numbers have no point; truth is yes or no; None is nothing; a list is one numbered
    line per item; json is compact JSON, as are containers inside of a list.

    Raises:
        ValueError: too large to be written.
        TypeError: no kind of value of this language.
    """
    kind = type(value)
    if kind is str:
        return value
    if kind is int:
        return str(value)
    if kind in CONTAINERS:
        weigh(value)
        return settle(numbered_lines(value) if kind is list else _json(value))
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        number = settle(float(value))
        return str(int(number)) if number.is_integer() and abs(number) < _LARGEST_PLAIN_FLOAT else repr(number)
    if isinstance(value, (str, int)):  # an enumeration's member
        return str(value) if isinstance(value, str) else str(int(value))
    raise TypeError(f"a {kind_of(value)} cannot be shown")


def numbered_lines(items: Iterable[Any]) -> str:
    """Write "1. a", "2. b", one line per item."""
    return "\n".join([f"{number}. {shown_inside(item)}" for number, item in enumerate(items, 1)])


def shown_inside(item: Any) -> str:
    """Write an item of a list: containers as JSON, so that they stay on their line."""
    kind = type(item)
    if kind is str:
        return item
    if kind is int:
        return str(item)
    return _json(item) if kind in CONTAINERS else _scalar(item)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
