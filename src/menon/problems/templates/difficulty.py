"""How hard are the numbers of an instance, and which instances come nearest to the original's?

Two instances of one template have the same steps, so only their numbers can differ in difficulty: the size of what is
given, the size of what comes out of each step, and the carries on the way. The published instances are faulted for
harder numbers than their originals have; choosing the nearest of several candidates repairs that.
Source: our own; the complaint concerns Mirzadeh et al. 2024, arXiv:2410.05229.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from statistics import fmean

from menon.problems.templates.functions import Value
from menon.problems.templates.render import Instance

_NUMERAL = re.compile(r"\d+(?:\.\d+)?")
_RESULT = re.compile(r"=\s*[^\w\s]?\s*(\d+(?:\.\d+)?)")
_SUM = re.compile(r"(?<![\d./*+-])(?<![*/+-] )(\d+) ([+-]) (\d+) = \d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The numbers of one instance: given ones by variable, results in the order of the solution, carries in sums."""

    given: Mapping[str, float]
    results: tuple[float, ...]
    carries: int

    @property
    def features(self) -> dict[str, float]:
        """Return what is reported: total digits, mean magnitudes (decimal logarithms) and carries."""
        return {
            "digits": float(sum(_digits(number) for number in self.given.values())),
            "magnitude": _mean([_log(number) for number in self.given.values()]),
            "results": _mean([_log(number) for number in self.results]),
            "carries": float(self.carries),
        }

    def distance(self, other: "Numbers") -> float:
        """Return how far apart two instances of one template are: 0 for equal sizes, about 1 for a digit more each."""
        names = self.given.keys() | other.given.keys()
        given = [_apart(self.given.get(name, 0.0), other.given.get(name, 0.0)) for name in names]
        results = [_apart(one, two) for one, two in zip_longest(self.results, other.results, fillvalue=0.0)]
        return _mean(given) + _mean(results) + 0.1 * abs(self.carries - other.carries)


def numbers_of(instance: Instance) -> Numbers:
    """Return the numbers of an instance; without known values, those that its question shows, in their order."""
    given = {name: number for name, value in instance.values.items() if (number := _number(value)) is not None}
    if not instance.values:
        given = {str(place): float(text) for place, text in enumerate(_NUMERAL.findall(_joined(instance.question)))}
    worked = _joined(instance.rationale)
    return Numbers(
        given=given,
        results=tuple(float(text) for text in _RESULT.findall(worked)),
        carries=sum(carries(int(a), int(b), sign) for a, sign, b in _SUM.findall(worked)),
    )


def nearest(candidates: Sequence[Instance], reference: Numbers, count: int, *, block: int) -> list[Instance]:
    """Return the nearest candidate of each of `count` blocks, smaller ones than `block` where there are too few.

    A longer list of candidates gives the same instances first.
    """
    size = min(block, max(1, len(candidates) // count))
    blocks = [candidates[start : start + size] for start in range(0, size * count, size)]
    return [min(some, key=lambda one: numbers_of(one).distance(reference)) for some in blocks if some]


def carries(a: int, b: int, sign: str = "+") -> int:
    """Count the carries of a + b, or the borrows of a - b (of the larger and the smaller)."""
    if sign == "-":
        a, b = max(a, b) - min(a, b), min(a, b)  # borrows of a difference are the carries of the sum that undoes it
    count = carry = 0
    while a or b:
        carry = int(a % 10 + b % 10 + carry > 9)
        count += carry
        a, b = a // 10, b // 10
    return count


def _number(value: Value) -> float | None:
    return float(value.value) if isinstance(value.value, int | float | Fraction) else None


def _joined(text: str) -> str:
    """Drop thousands commas."""
    return re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)


def _digits(number: float) -> int:
    return len(str(int(abs(number)))) if abs(number) >= 1 else 1


def _log(number: float) -> float:
    return math.log10(1 + abs(number))


def _apart(one: float, two: float) -> float:
    return abs(_log(one) - _log(two)) + 0.5 * abs(_digits(one) - _digits(two))


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
