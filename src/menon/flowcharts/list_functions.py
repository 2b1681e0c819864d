"""Standard functions of lists and json values; they make new ones and change none."""

from typing import Any

from menon.flowcharts.arguments import comparable, items_of, json_of, text_of
from menon.flowcharts.expression_errors import kind_of
from menon.flowcharts.limits import MOST_ITEMS
from menon.flowcharts.operations import cut, settle, within

_MISSING: Any = object()


def _frozen(value: Any) -> Any:
    """Return a hashable stand-in that is equal exactly when the value is."""
    if type(value) is list:
        return ("list", *map(_frozen, value))
    if type(value) is dict:
        return ("json", frozenset((key, _frozen(part)) for key, part in value.items()))
    return value


def lowest(first: Any, *others: Any) -> Any:
    return min(comparable([first, *others] if others else items_of(first, "min")))


def highest(first: Any, *others: Any) -> Any:
    return max(comparable([first, *others] if others else items_of(first, "max")))


def in_order(items: Any, *, reverse: Any = False) -> list[Any]:
    return sorted(comparable(items_of(items, "sorted")), reverse=bool(reverse))


def backwards(items: Any) -> list[Any]:
    return items_of(items, "reversed")[::-1]


def numbers_between(start: Any, stop: Any = None, step: Any = 1) -> list[int]:
    numbers = range(start) if stop is None else range(start, stop, step)
    if len(numbers) > MOST_ITEMS:
        raise ValueError(f"range() makes at most {MOST_ITEMS:,} numbers, and this would be {len(numbers):,}")
    return list(numbers)


def with_numbers(items: Any, start: Any = 0) -> list[list[Any]]:
    return [[number, item] for number, item in enumerate(items_of(items, "enumerate"), start)]


def side_by_side(*lists: Any) -> list[list[Any]]:
    return [list(row) for row in zip(*[items_of(items, "zip") for items in lists], strict=False)]


def some(items: Any) -> bool:
    return any(items_of(items, "any"))


def every(items: Any) -> bool:
    return all(items_of(items, "all"))


def unique(items: Any) -> list[Any]:
    listed = comparable(items_of(items, "unique"))
    seen: dict[Any, Any] = {}
    for item in listed:
        seen.setdefault(_frozen(item), item)
    return list(seen.values())


def most_common(items: Any) -> Any:
    listed = comparable(items_of(items, "most_common"))
    counts: dict[Any, int] = {}
    first: dict[Any, Any] = {}
    for item in listed:
        key = _frozen(item)
        first.setdefault(key, item)
        counts[key] = counts.get(key, 0) + 1
    return first[max(counts, key=counts.__getitem__)] if counts else None


def argmax(items: Any) -> int:
    listed = comparable(items_of(items, "argmax"))
    if not listed:
        raise ValueError("argmax() of an empty list")
    return listed.index(max(listed))


def first(items: Any, default: Any = _MISSING) -> Any:
    return _end(items, 0, default, "first")


def last(items: Any, default: Any = _MISSING) -> Any:
    return _end(items, -1, default, "last")


def _end(items: Any, index: int, default: Any, name: str) -> Any:
    if type(items) is not list and type(items) is not str:
        raise TypeError(f"{name}() takes a list or text, and got a {kind_of(items)}")
    if items:
        return items[index]
    if default is _MISSING:
        raise ValueError(f"{name}() of an empty {kind_of(items)}; a second argument says what to take then")
    return default


def take(items: Any, number: Any) -> Any:
    if not isinstance(number, int) or number < 0:
        raise ValueError("take() takes a whole number of items, 0 or more")
    return cut(items, 0, number, None)


def append(items: Any, item: Any) -> list[Any]:
    if type(items) is not list:
        raise TypeError(f"append() takes a list, and got a {kind_of(items)}")
    return settle([*items, item])


def without(items: Any, item: Any) -> list[Any]:
    return [other for other in comparable(items_of(items, "without")) if other != item]


def count(items: Any, item: Any) -> int:
    if isinstance(items, str):
        return items.count(text_of(item, "count"))
    return comparable(items_of(items, "count")).count(item)


def index(items: Any, item: Any) -> int:
    listed = comparable(items_of(items, "index"))
    if item not in listed:
        raise ValueError(f"index() found no such item in a {kind_of(items)} of length {len(items)}")
    return listed.index(item)


def get(pairs: Any, key: Any, default: Any = None) -> Any:
    return json_of(pairs, "get").get(key, default)


def put(pairs: Any, key: Any, value: Any) -> dict[str, Any]:
    return {**json_of(pairs, "put"), text_of(key, "put"): value}


def merge(pairs: Any, others: Any) -> dict[str, Any]:
    return {**json_of(pairs, "merge"), **json_of(others, "merge")}


def contains(whole: Any, part: Any) -> bool:
    return within(part, whole)


def keys(pairs: Any) -> list[str]:
    return list(json_of(pairs, "keys"))


def values(pairs: Any) -> list[Any]:
    return list(json_of(pairs, "values").values())


def items(pairs: Any) -> list[list[Any]]:
    return [[key, value] for key, value in json_of(pairs, "items").items()]
