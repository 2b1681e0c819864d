"""What the standard functions ask of their arguments."""

from typing import Any

from menon.flowcharts.expression_errors import kind_of
from menon.flowcharts.limits import weigh


def items_of(value: Any, name: str) -> list[Any]:
    """Return the items of a list, the characters of a text or the keys of a json value."""
    if type(value) is list:
        return value
    if type(value) is str or type(value) is dict:
        return list(value)
    raise TypeError(f"{name}() takes a list, and got a {kind_of(value)}")


def text_of(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"{name}() takes a text, and got a {kind_of(value)}")


def json_of(value: Any, name: str) -> dict[str, Any]:
    if type(value) is dict:
        return value
    raise TypeError(f"{name}() takes a json value, and got a {kind_of(value)}")


def comparable(items: Any) -> Any:
    """Refuse lists whose shared parts would make them endless to compare or write."""
    weigh(items)
    return items
