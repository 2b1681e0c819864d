"""The bounds of an evaluation, and the meter that keeps a whole evaluation within them.

Short expressions without a comprehension run without a meter: every step of theirs is bounded already.
"""

from typing import Any

LONGEST_SOURCE = 20_000
DEEPEST_BRACKETS = 50
DEEPEST_TREE = 150
DEEPEST_DATA = 100
MOST_BITS = 4_096
MOST_ITEMS = 1_000_000
MOST_CHARACTERS = 20_000_000  # of all texts within one value
MOST_ITERATIONS = 200_000
MOST_WORK = 2_000_000  # items looked at or made by one metered evaluation
UNMETERED_NODES = 24
MOST_CONTAINERS = 100_000  # on one level of a value
SHORT_TEXT = 100  # looking for one takes no longer than looking for a number

HIGHEST_INT = 2**MOST_BITS - 1
LARGEST_FLOAT = 1.7976931348623157e308
METER = " meter"  # no identifier, so no expression can name it

CONTAINERS = frozenset({list, dict})
_PLAIN = frozenset({str, int, float, bool, type(None)})
_CHARACTERS_PER_UNIT = 16  # texts are handled that much faster than lists


class Meter:
    """Counts the work and the iterations of one evaluation; raises ValueError when either runs out."""

    __slots__ = ("iterations", "work")

    def __init__(self) -> None:
        self.work, self.iterations = MOST_WORK, MOST_ITERATIONS

    def charge(self, units: int) -> None:
        self.work -= units
        if self.work < 0:
            raise ValueError(f"it handles more than {MOST_WORK:,} items in all; use fewer or shorter lists")

    def tick(self, steps: int) -> None:
        self.iterations -= steps
        if self.iterations < 0:
            raise ValueError(f"its comprehensions take more than {MOST_ITERATIONS:,} iterations; use shorter lists")


def size(value: Any) -> int:
    """Return the units of work that copying or comparing the top level of a value costs."""
    kind = type(value)
    if kind is str:
        return len(value) // _CHARACTERS_PER_UNIT
    return len(value) if kind in CONTAINERS else 0


def weigh(value: Any) -> int:
    """Return the units of work of walking a whole value, what is shared counted as often as it occurs.

    Raises:
        ValueError: it is nested too deep (or contains itself) or holds too much.
        TypeError: it holds something that JSON has no word for.
    """
    kind = type(value)
    if kind in CONTAINERS:
        return _walk(value)
    if kind not in _PLAIN:
        raise TypeError(
            f"{kind.__name__} is no kind of value here; allowed are text, number, truth, None, list and json"
        )
    return size(value)


def _walk(value: Any) -> int:
    items = characters = 0
    level = [value]
    for _ in range(DEEPEST_DATA):
        below: list[Any] = []
        for container in level:
            items += len(container)
            if items > MOST_ITEMS:
                raise ValueError(f"a value holds more than {MOST_ITEMS:,} items")
            characters += _look_into(container, below)
            if characters > MOST_CHARACTERS:
                raise ValueError(f"the texts of a value have more than {MOST_CHARACTERS:,} characters")
        if len(below) > MOST_CONTAINERS:
            raise ValueError(f"a value holds more than {MOST_CONTAINERS:,} lists and json values")
        if not below:
            return items + characters // _CHARACTERS_PER_UNIT
        level = below
    raise ValueError(f"a value is nested more than {DEEPEST_DATA} deep, or contains itself")


def _look_into(container: Any, below: list[Any]) -> int:
    """Add the containers in `container` to `below`; return the characters of its texts."""
    characters, parts = 0, container
    if type(container) is dict:
        if container and set(map(type, container)) != {str}:
            raise TypeError("the keys of a json value must be text")
        characters, parts = sum(map(len, container)), container.values()
    kinds = set(map(type, parts))
    if strange := kinds - _PLAIN - CONTAINERS:
        name = min(kind.__name__ for kind in strange)
        raise TypeError(f"{name} is no kind of value here; allowed are text, number, truth, None, list and json")
    if str in kinds:
        texts = parts if len(kinds) == 1 else (part for part in parts if type(part) is str)
        characters += sum(map(len, texts))
    if kinds & CONTAINERS:
        below.extend(part for part in parts if type(part) in CONTAINERS and part)
    return characters
