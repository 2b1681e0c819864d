"""Addition in any base, column by column, with a place letter before each digit and units first.

The question `G6H3+g7h1` is 36 + 17: letters name the places (upper case first operand and sum, lower case second), so
that a small model can find the digits that belong together. The first letter is part of the surface. One line of the
rationale is `digit digit + carry = carry-out sum-digit`, shorter than the scratchpad of STaR (arXiv:2203.14465, 4.1),
which rewrites the whole number at each step.
"""

from dataclasses import dataclass
from random import Random

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split

DIGITS = "0123456789ABCDEF"
PLACES = "GHIJKLMNOPQRSTUVWXYZ"
LARGEST_DIFFICULTY = 8


def base_of(world: str) -> int:
    """Return the number base of `world`: `default` is ten, `base=9` is nine."""
    if world == "default":
        return 10
    name, _, value = world.partition("=")
    if name == "base" and value.isdigit() and 2 <= int(value) <= 16:
        return int(value)
    raise ConfigError(f"unknown world {world!r} of addition; allowed: default, base=2 ... base=16")


def digits_of(number: int, base: int, length: int) -> list[int]:
    """Write `number` as `length` digits, units first."""
    return [number // base**place % base for place in range(length)]


def _labelled(digits: list[int], first: int) -> str:
    return "".join(PLACES[first + i] + DIGITS[d] for i, d in enumerate(digits))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    a: int
    b: int
    digits: int
    base: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """Sums of two numbers with `difficulty` digits each."""

    name: str = "addition"
    description: str = "two numbers of n digits added column by column, in any base"
    difficulties: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    hard_band: tuple[int, ...] = (5, 6)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index` of `split`; without `difficulty` it is drawn evenly from `difficulties`.

        Raises:
            ConfigError: an unknown split or world, or a difficulty outside 1..8.
        """
        rng = rng_for(self.name, world, split, index)
        digits = rng.choice(self.difficulties) if difficulty is None else difficulty
        if not 1 <= digits <= LARGEST_DIFFICULTY:
            raise ConfigError(f"addition has no difficulty {digits!r}; allowed: 1 to {LARGEST_DIFFICULTY} digits")
        content = self._draw(split, digits, base_of(world), self.name, world, index, digits)
        return self._render(content, rng.randrange(len(PLACES) - LARGEST_DIFFICULTY), world, split, index)

    def variant(self, problem: Problem, number: int) -> Problem:
        """Return other operands with the same digit count, the same number of carries and the same place letters."""
        base, digits = base_of(problem.world), problem.difficulty
        carries = problem.meta["carries"]
        for attempt in range(1000):
            content = self._draw("variant", digits, base, self.name, "variant", problem.id, number, attempt)
            if _carries(content) == carries:
                break
        else:  # a pattern without such an operand pair in the split, as with one digit: match the digit count alone
            content = self._draw("variant", digits, base, self.name, "variant", problem.id, number)
        return self._render(content, problem.meta["first_place"], problem.world, "variant", number)

    def _draw(self, split: str, digits: int, base: int, *names: str | int) -> _Content:
        def draw(rng: Random) -> _Content:
            low = base ** (digits - 1) if digits > 1 else 0
            a, b = rng.randrange(low, base**digits), rng.randrange(low, base**digits)
            return _Content(a=a, b=b, digits=digits, base=base)

        return draw_in_split(split, draw, lambda c: ("addition", c.base, c.a, c.b), *names)

    def _render(self, content: _Content, first: int, world: str, split: str, index: int) -> Problem:
        a = digits_of(content.a, content.base, content.digits)
        b = digits_of(content.b, content.base, content.digits)
        carry, lines, total = 0, [], []
        for place, (x, y) in enumerate(zip(a, b, strict=True)):
            letter = PLACES[first + place]
            out, digit = divmod(x + y + carry, content.base)
            lines.append(f"{letter}{DIGITS[x]}{letter.lower()}{DIGITS[y]}+{carry}={out}{DIGITS[digit]};")
            total.append(digit)
            carry = out
        if carry:
            total.append(carry)
        carries = _carries(content)
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            difficulty=content.digits,
            template=f"addition/{world}/{content.digits}/{carries}/{PLACES[first]}",
            question=f"{_labelled(a, first)}+{_lower_places(_labelled(b, first))}",
            answer=_labelled(total, first),
            rationale="".join(lines),
            meta={"steps": "columns", "base": content.base, "carries": carries, "first_place": first},
        )


def _lower_places(labelled: str) -> str:
    return "".join(char.lower() if i % 2 == 0 else char for i, char in enumerate(labelled))


def _carries(content: _Content) -> int:
    a = digits_of(content.a, content.base, content.digits)
    b = digits_of(content.b, content.base, content.digits)
    carry = count = 0
    for x, y in zip(a, b, strict=True):
        carry = (x + y + carry) // content.base
        count += carry
    return count


ADDITION = Addition()
