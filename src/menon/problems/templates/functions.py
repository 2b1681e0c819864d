"""Functions of the template language: number tests, domains, and the text forms of numbers.

Every function is bounded in time and memory, whatever its arguments; what goes beyond a bound raises `TooLarge`.
Deviations from the published generator, which is not available: `shuffle_list` keeps the order (the solver picks at
random anyway), and `np.random.randint(low, high, n)` is the whole of range(low, high): a candidate of a random domain
is a random candidate. Source: template language of Mirzadeh et al. 2024, arXiv:2410.05229, as the published files use
it.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from menon.core.errors import DataError

LARGEST_DOMAIN = 100_000
LARGEST_BITS = 4_096
NUMBERS = frozenset({int, float, Fraction, bool})
FAILURES = (ArithmeticError, TypeError, ValueError, LookupError)  # what evaluating an expression may raise

_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_PARTS = {"half": 2, "quarter": 4, "third": 3, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
          "tenth": 10, "eleventh": 11, "twelfth": 12, "halve": 2, "fourth": 4}  # fmt: skip
_MULTIPLES = {"once": 1, "twice": 2, "thrice": 3, "double": 2, "triple": 3, "treble": 3, "quadruple": 4,
              "quintuple": 5, "sextuple": 6, "septuple": 7, "octuple": 8, "nonuple": 9, "decuple": 10}  # fmt: skip


class TemplateError(DataError):
    """A template that cannot be read, solved or rendered; the message names file, template and line."""


class TooLarge(ValueError):
    """An expression asks for more than its bound allows; becomes a `TemplateError` that names the line."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a variable stands for: `text` in the question, `value` everywhere else."""

    text: str
    value: Any


def as_value(candidate: Any) -> Value:
    """Return a domain's candidate as a value: a pair gives text and value, anything else is its own text."""
    if isinstance(candidate, Value):
        return candidate
    if isinstance(candidate, tuple):
        if len(candidate) != 2 or not all(type(part) in NUMBERS or isinstance(part, str) for part in candidate):
            raise TypeError(f"a candidate is {candidate!r:.60}; allowed: a text, a number, or a pair (text, value)")
        return Value(str(candidate[0]), candidate[1])
    if type(candidate) not in NUMBERS and not isinstance(candidate, str):
        raise TypeError(f"a candidate is {candidate!r:.60}; allowed: a text, a number, or a pair (text, value)")
    return Value(str(candidate), candidate)


def bounded(items: Iterable[Any]) -> Sequence[Any]:
    """Return `items` as a sequence of at most `LARGEST_DOMAIN` entries."""
    if isinstance(items, str | bytes) or not isinstance(items, Sequence):
        raise TypeError(f"{items!r:.60} is no list")
    try:
        size = len(items)
    except OverflowError:
        size = LARGEST_DOMAIN + 1
    if size > LARGEST_DOMAIN:
        raise TooLarge(f"a list of more than {LARGEST_DOMAIN:,} entries")
    return items


def divides(a: Any, b: Any) -> bool:
    """Say whether b divides a."""
    return a % b == 0 if type(a) in NUMBERS else _refuse(a)


def is_int(x: Any) -> bool:
    """Say whether `x` has no fractional part at all; there is no tolerance."""
    kind = type(x)
    if kind is float:
        return x.is_integer()
    if kind is Fraction:
        return x.denominator == 1
    return True if kind is int or kind is bool else _refuse(x)


def _refuse(x: Any) -> Any:
    raise TypeError(f"{x!r:.60} is no number")


def _number(x: Any) -> Any:
    return x if type(x) in NUMBERS else _refuse(x)


def _int(x: Any) -> int:
    return int(_number(x))


def _round(x: Any, places: int = 0) -> Any:
    if type(places) is not int or abs(places) > 50:
        raise TooLarge(f"round to {places!r:.20} places; allowed: -50 to 50")
    return round(_number(x), places) if places else round(_number(x))


def _fraction(a: Any, b: Any = 1) -> Fraction:
    return Fraction(_number(a)) / Fraction(_number(b))


def format_frac(x: Any) -> str:
    """Write a fraction as a mixed number: 3 1/2, 1/2, 4.

    The published files call this once and define it nowhere.
    """
    exact = Fraction(_number(x))
    whole, rest = divmod(abs(exact), 1)
    shown = " ".join(str(part) for part in (whole, rest) if part) or "0"
    return f"-{shown}" if exact < 0 else shown


def _range(*bounds: Any) -> Sequence[int]:
    return bounded(range(*bounds))


def arange(start: Any, stop: Any, step: Any = 1) -> Sequence[Any]:
    """List start, start + step, ... below stop, rounded as NumPy rounds them."""
    if all(type(part) is int for part in (start, stop, step)):
        return _range(start, stop, step)
    start, stop, step = float(_number(start)), float(_number(stop)), float(_number(step))
    size = (stop - start) / step
    if not math.isfinite(size) or size > LARGEST_DOMAIN:
        raise TooLarge(f"a list of more than {LARGEST_DOMAIN:,} entries")
    delta = (start + step) - start
    return [start + i * delta for i in range(math.ceil(size))]


def fix_floats(items: Any) -> list[Any]:
    """Round the noise of floating point away; two decimals are enough for every published use."""
    return [round(item, 2) if type(item) is float else item for item in bounded(items)]


def number_words(number: int) -> str:
    """Write an integer from -999,999 to 999,999 in words, tens and units parted by a blank: thirty five."""
    if number < 0:
        return "minus " + number_words(-number)
    if number >= 1_000:
        head, rest = divmod(number, 1_000)
        return number_words(head) + " thousand" + (" " + number_words(rest) if rest else "")
    if number >= 100:
        head, rest = divmod(number, 100)
        return _UNITS[head] + " hundred" + (" " + number_words(rest) if rest else "")
    if number >= 20:
        head, rest = divmod(number, 10)
        return _TENS[head - 2] + (" " + _UNITS[rest] if rest else "")
    return _UNITS[number]


def numbers_within(low: Any, high: Any) -> Sequence[Value]:
    """List the integers from low to high, both included, written in words."""
    span = _range(low, high + 1)
    if span and max(abs(span[0]), abs(span[-1])) > 999_999:
        raise TooLarge("a number beyond 999,999 in words")
    return [Value(number_words(number), number) for number in span]


def _randint(low: Any, high: Any, count: Any) -> Sequence[int]:
    _range(count)
    return _range(low, high)


def _list(items: Any) -> list[Any]:
    return list(bounded(items))


def _sample(items: Any, count: Any = 1) -> Sequence[Any]:
    if type(count) is not int or count < 1:
        raise ValueError(f"sample of {count!r:.20} items; allowed: a whole number from 1")
    return bounded(items)


def _over(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*items: Any) -> Any:
        return function(bounded(items[0])) if len(items) == 1 else function(items)

    return call


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, int]] = {  # name: function, fewest and most arguments
    "divides": (divides, 2, 2),
    "is_int": (is_int, 1, 1),
    "int": (_int, 1, 1),
    "round": (_round, 1, 2),
    "Fraction": (_fraction, 1, 2),
    "format_frac": (format_frac, 1, 1),
    "abs": (lambda x: abs(_number(x)), 1, 1),
    "len": (lambda x: len(x) if isinstance(x, str) else len(bounded(x)), 1, 1),
    "min": (_over(min), 1, 20),
    "max": (_over(max), 1, 20),
    "sum": (lambda x: sum(_number(item) for item in bounded(x)), 1, 1),
    "range": (_range, 1, 3),
    "arange": (arange, 2, 3),
    "np.arange": (arange, 2, 3),
    "frange": (arange, 2, 3),
    "np.random.randint": (_randint, 3, 3),
    "numbers_within": (numbers_within, 2, 2),
    "fix_floats": (fix_floats, 1, 1),
    "shuffle_list": (_list, 1, 1),
    "list": (_list, 1, 1),
    "sample": (_sample, 1, 2),
    "sample_sequential": (_sample, 1, 2),
}


def quantity(text: str) -> Any:
    """Read a number in any of the language's text forms, or return None.

    Digits (with commas), decimals, 2/4, thirty five, one-fifth, a third, three times, twice, double.
    """
    words = " ".join(text.lower().replace("-", " ").split()) if not re.match(r"\s*-\d", text) else text.strip()
    plain = words.replace(",", "")
    if re.fullmatch(r"-?\d{1,30}", plain):
        return int(plain)
    if re.fullmatch(r"-?\d{0,30}\.\d{1,30}", plain):
        return float(plain)
    if ratio := re.fullmatch(r"(\d{1,12}) ?/ ?(\d{1,12})", plain):
        return Fraction(int(ratio[1]), int(ratio[2])) if int(ratio[2]) else None
    if words in _MULTIPLES:
        return _MULTIPLES[words]
    if times := re.fullmatch(r"(.+?) (?:times|fold)", words):
        return quantity(times[1])
    return _fraction_words(words) if (whole := _whole_words(words)) is None else whole


def _fraction_words(words: str) -> Fraction | None:
    over, _, under = words.rpartition(" ")
    part = _PARTS.get(under) or _PARTS.get(under.removesuffix("s"))
    if part is None:
        return None
    count = 1 if over in ("", "a", "an") else _whole_words(over)
    return Fraction(count, part) if count is not None else None


def _whole_words(words: str) -> int | None:
    total = group = 0
    seen = False
    for word in words.split():
        if word == "and" and seen:
            continue
        if word in _UNITS:
            group += _UNITS.index(word)
        elif word in _TENS:
            group += 10 * (_TENS.index(word) + 2)
        elif word == "hundred" and seen:
            group *= 100
        elif word == "thousand" and seen:
            total, group = total + group * 1_000, 0
        else:
            return None
        seen = True
    return total + group if seen else None
