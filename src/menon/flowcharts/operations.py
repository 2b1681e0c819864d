"""The operators of expressions: Python's, for JSON-like values only, with bounded results.

Nothing changes its operands. Python's own exceptions pass; the caller says them in words. A `KeyError` is never raised,
because it stands for a variable that is not set.
"""

from collections.abc import Callable
from typing import Any

from menon.flowcharts.expression_errors import kind_of
from menon.flowcharts.limits import CONTAINERS, HIGHEST_INT, LARGEST_FLOAT, MOST_BITS, MOST_ITEMS, SHORT_TEXT, weigh

_NUMBERS = frozenset({int, float, bool})


def settle(result: Any) -> Any:
    """Return a result that is within the bounds.

    Raises:
        ValueError: too large, or not finite.
        TypeError: no kind of value of this language.
    """
    kind = type(result)
    if kind is int:
        if -HIGHEST_INT <= result <= HIGHEST_INT:
            return result
        raise ValueError(f"a whole number would have more than {MOST_BITS:,} bits")
    if kind is float:
        if -LARGEST_FLOAT <= result <= LARGEST_FLOAT:
            return result
        raise ValueError("a number is infinite or undefined")
    if kind is str or kind is list:
        if len(result) <= MOST_ITEMS:
            return result
        unit = "characters" if kind is str else "items"
        raise ValueError(f"a {kind_of(result)} would have more than {MOST_ITEMS:,} {unit}")
    if isinstance(result, float):  # a NumPy number that came in as a variable
        return settle(float(result))
    raise TypeError("the result would be a complex number" if kind is complex else "the result is no value")


def plus(left: Any, right: Any) -> Any:
    """Add numbers, join texts or lists."""
    try:
        result = left + right
    except TypeError:
        kinds = f"a {kind_of(left)} and a {kind_of(right)}"
        raise TypeError(f"+ takes two numbers, two texts or two lists, and got {kinds}") from None
    if type(result) is int and -HIGHEST_INT <= result <= HIGHEST_INT:
        return result
    return settle(result)


def minus(left: Any, right: Any) -> Any:
    """Subtract."""
    result = left - right
    if type(result) is int and -HIGHEST_INT <= result <= HIGHEST_INT:
        return result
    return settle(result)


def times(left: Any, right: Any) -> Any:
    """Multiply numbers, or repeat a text or list."""
    if type(left) not in _NUMBERS or type(right) not in _NUMBERS:
        whole, often = (left, right) if isinstance(left, (str, list)) else (right, left)
        if isinstance(whole, (str, list)) and isinstance(often, int) and len(whole) * often > MOST_ITEMS:
            raise ValueError(f"a {kind_of(whole)} would be longer than {MOST_ITEMS:,}")
    return settle(left * right)


def divide(left: Any, right: Any) -> Any:
    """Divide; the result is never a whole number by type, as in Python."""
    return settle(left / right)


def floor_divide(left: Any, right: Any) -> Any:
    """Divide and round down."""
    return settle(left // right)


def modulo(left: Any, right: Any) -> Any:
    """Return the remainder; of numbers only, because `%` on a text would format it."""
    if isinstance(left, str):
        raise TypeError("% takes two numbers, and the left side is a text")
    return settle(left % right)


def power(left: Any, right: Any) -> Any:
    """Raise to a power; refuse before the work is done what could not be kept."""
    if isinstance(left, int) and isinstance(right, int) and (left.bit_length() - 1) * right >= MOST_BITS:
        raise ValueError(f"a whole number would have more than {MOST_BITS:,} bits")
    return settle(left**right)


def negative(value: Any) -> Any:
    """Change the sign."""
    return settle(-value)


def positive(value: Any) -> Any:
    """Return a number as it is."""
    return settle(+value)


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": plus,
    "Sub": minus,
    "Mult": times,
    "Div": divide,
    "FloorDiv": floor_divide,
    "Mod": modulo,
    "Pow": power,
}


def comparing(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Bound a comparison: containers that share their parts could otherwise take for ever."""

    def bounded(left: Any, right: Any) -> bool:
        if type(left) in CONTAINERS and type(right) in CONTAINERS:
            weigh(left)
        return compare(left, right)

    return bounded


def within(left: Any, right: Any) -> bool:
    """Say whether a text, list or json holds `left`."""
    kind = type(right)
    if kind in CONTAINERS and (type(left) in CONTAINERS or (type(left) is str and len(left) > SHORT_TEXT)):
        weigh(right)
    if kind is list or kind is str or kind is dict:
        return left in right
    raise TypeError(f"`in` takes a text, list or json on the right, and got a {kind_of(right)}")


def without(left: Any, right: Any) -> bool:
    """Say whether a text, list or json does not hold `left`."""
    return not within(left, right)


def item(container: Any, key: Any) -> Any:
    """Return `container[key]` of a list, text or json."""
    kind = type(container)
    if kind is dict:
        if type(key) is str:
            if key in container:
                return container[key]
            known = ", ".join(map(repr, list(container)[:10])) or "none"
            raise ValueError(f"there is no key {key[:60]!r}; keys are: {known}")
        raise TypeError(f"the key of a json value must be a text, and is a {kind_of(key)}")
    if kind is list or kind is str:
        try:
            return container[key]
        except IndexError:
            raise ValueError(f"there is no item {key} in a {kind_of(container)} of length {len(container)}") from None
        except TypeError:
            raise TypeError(
                f"the index of a {kind_of(container)} must be a whole number, got a {kind_of(key)}"
            ) from None
    raise TypeError(f"a {kind_of(container)} has no items")


def member(container: Any, key: str) -> Any:
    """Return `container.key`, which is `container["key"]` of a json value and nothing else."""
    if type(container) is dict:
        return item(container, key)
    raise TypeError(f"`.{key}` takes a json value on the left, and got a {kind_of(container)}")


def cut(container: Any, low: Any, high: Any, step: Any) -> Any:
    """Return a slice of a list or text."""
    kind = type(container)
    if kind is list or kind is str:
        return container[low:high:step]
    raise TypeError(f"a {kind_of(container)} cannot be sliced")


def iterated(value: Any) -> Any:
    """Return what `for` runs over: the items of a list, characters of a text, keys of a json value."""
    kind = type(value)
    if kind is list or kind is str or kind is dict:
        return value
    raise TypeError(f"`for` takes a list, text or json, and got a {kind_of(value)}")
