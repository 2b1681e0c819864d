"""Addition in base 10 and in other bases: the columns are the same skill, only the place where a carry begins moves.

With `digits="common"` the operands use the digits 0 to 7 only, so one pair of operands is asked in every base and the
items are paired; letters then occur in answers of bases 11 and 16 but not in questions. `digits="full"` draws operands
from all digits of each base, as the source does, and pairs nothing. Either way the sum reads otherwise than in base 10.
Left out: operations other than addition, and shots.
Source: Wu et al. 2023, arXiv:2307.02477, section 3.1; ours: the paired operands, two to six digits, our own wording.
"""

import re
from dataclasses import dataclass
from random import Random
from typing import Literal

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split

SYMBOLS = "0123456789ABCDEF"
COMMON_BASE = 8
BASES = {"base10": 10, "base8": 8, "base9": 9, "base11": 11, "base16": 16}
FEWEST_DIGITS, MOST_DIGITS = 2, 6

_SUM = re.compile(r"in base (\d+), .* What is ([0-9A-F]+) \+ ([0-9A-F]+)\?")
_NEXT = re.compile(r"in base (\d+), .* directly after ([0-9A-F]+)\?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """Sums of two numbers of `difficulty` digits each."""

    digits: Literal["common", "full"] = "common"
    name: str = "arithmetic"
    description: str = "addition of two numbers in bases 10 (default), 8, 9, 11 and 16"
    default: str = "base10"
    worlds: tuple[str, ...] = ("base8", "base9", "base11", "base16")
    difficulties: tuple[int, ...] = (2, 3, 4, 5, 6)

    def __post_init__(self) -> None:
        if self.digits not in ("common", "full"):
            raise ConfigError(f"digits {self.digits!r} of world task 'arithmetic'; allowed: common, full")

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate sum `index`; without `difficulty` the number of digits is drawn from 2 to 6.

        Raises:
            ConfigError: an unknown split or world, or a number of digits outside 2..6.
        """
        base = self._base(world)
        length = rng_for(self.name, split, index).choice(self.difficulties) if difficulty is None else difficulty
        if not FEWEST_DIGITS <= length <= MOST_DIGITS:
            raise ConfigError(f"arithmetic has no difficulty {length!r}; allowed: {FEWEST_DIGITS} to {MOST_DIGITS}")
        common = self.digits == "common"
        bases = tuple(BASES.values()) if common else (base,)

        def draw(rng: Random) -> tuple[str, str]:
            while True:
                pair = (_number(rng, length, min(bases)), _number(rng, length, min(bases)))
                if _differs(pair, bases):
                    return pair

        # The operands alone decide on the split, so that no base asks in training what another asks in a test.
        names = ("common",) if common else ("full", base)
        first, second = draw_in_split(
            split, draw, lambda pair: (self.name, *sorted(pair)), self.name, *names, index, length
        )
        answer = written(int(first, base) + int(second, base), base)
        item = f"{first}+{second}"
        question = (
            f'All numbers here are written in base {base}, whose digits are "{SYMBOLS[:base]}". '
            f"What is {first} + {second}? Answer with the sum in base {base}, in digits only."
        )
        return Problem(
            family=self.name,
            world=self._shown(base),
            split=split,
            index=index,
            difficulty=length,
            question=question,
            answer=answer,
            rationale=_columns(first, second, base),
            grader=f"digits?base={base}",
            meta={"item": item if common else f"{item} in base {base}", "base": base},
        )

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Ask which number comes next; every other one ends in the highest digit, where the carry is."""
        base = self._base(world)
        full = index % 2 == 0

        def draw(rng: Random) -> str:
            last = SYMBOLS[base - 1] if full else rng.choice(SYMBOLS[: base - 1])
            return _number(rng, rng.choice((1, 2, 3)), base) + last

        number = draw_in_split(
            split, draw, lambda n: (self.name, "control", base, n), self.name, "control", base, index
        )
        question = (
            f'All numbers here are written in base {base}, whose digits are "{SYMBOLS[:base]}". '
            f"Which number comes directly after {number}? Answer with that number in base {base}, in digits only."
        )
        return Problem(
            family=self.name,
            world=self._shown(base),
            split=split,
            index=index,
            question=question,
            answer=written(int(number, base) + 1, base),
            grader=f"digits?base={base}",
            meta={"item": f"after {number} in base {base}", "base": base, "control": True},
        )

    def solve(self, problem: Problem) -> str:
        """Add column by column, or count on by one, from the text of the question."""
        if found := _SUM.search(problem.question):
            return _added(found[2], found[3], int(found[1]))
        if found := _NEXT.search(problem.question):
            return _added(found[2], "1", int(found[1]))
        raise ConfigError(f"problem {problem.id} is no question of world task 'arithmetic': {problem.question!r:.120}")

    def _base(self, world: str) -> int:
        known = self.default if world == "default" else world
        if known not in BASES:
            raise ConfigError(f"arithmetic has no world {world!r}; allowed: default, {', '.join(BASES)}")
        return BASES[known]

    def _shown(self, base: int) -> str:
        return "default" if base == BASES[self.default] else f"base{base}"


def written(value: int, base: int) -> str:
    """Write a number >= 0 with the digits of `base`."""
    digits = ""
    while value or not digits:
        value, digit = divmod(value, base)
        digits = SYMBOLS[digit] + digits
    return digits


def _number(rng: Random, length: int, base: int) -> str:
    return rng.choice(SYMBOLS[1:base]) + "".join(rng.choice(SYMBOLS[:base]) for _ in range(length - 1))


def _differs(pair: tuple[str, str], bases: tuple[int, ...]) -> bool:
    """Tell whether the sum reads otherwise than in base 10 in every other base of `bases`.

    Operands with letters have no reading in base 10 and differ by that.
    """
    if not all(number.isdecimal() for number in pair):
        return True
    usual = str(int(pair[0]) + int(pair[1]))
    return all(written(int(pair[0], base) + int(pair[1], base), base) != usual for base in bases if base != 10)


def _sums(first: str, second: str, base: int) -> list[tuple[str, str, int, int]]:
    """Return for each column from the right: the two digits, the carry that comes in, and the total."""
    rows, carry = [], 0
    length = max(len(first), len(second))
    for one, two in zip(reversed(first.rjust(length, "0")), reversed(second.rjust(length, "0")), strict=True):
        total = SYMBOLS.index(one) + SYMBOLS.index(two) + carry
        rows.append((one, two, carry, total))
        carry = int(total >= base)
    return rows


def _added(first: str, second: str, base: int) -> str:
    rows = _sums(first, second, base)
    digits = "".join(SYMBOLS[total % base] for *_, total in reversed(rows))
    return ("1" if rows[-1][-1] >= base else "") + digits


def _columns(first: str, second: str, base: int) -> str:
    lines = []
    for one, two, carry, total in _sums(first, second, base):
        carried = " and 1 carried" if carry else ""
        step = f"write {SYMBOLS[total % base]}" + (", carry 1" if total >= base else "")
        lines.append(f"{one} and {two}{carried} make {written(total, base)} in base {base}: {step}.")
    return "\n".join(lines)


ARITHMETIC = Arithmetic()
