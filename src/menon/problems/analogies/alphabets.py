"""Ordered alphabets: the one everybody knows, with k letters exchanged, and made of symbols that have no order.

Every item gets an alphabet of its own, so that items of one condition are independent.
Source: permuted and symbol alphabets of Lewis and Mitchell 2024, arXiv:2402.08955, and Hodel and West 2023,
arXiv:2308.16118. Deviation: a new alphabet for each item instead of seven for each k; our own symbols.
"""

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from menon.core.errors import ConfigError

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
# None of these is cut off, translated or read as a mark by the graders.
SYMBOLS = tuple("%&@!+~^?<>/\u00a7\u00b6\u00b5\u00b1\u00d7\u00f7\u00ac\u00b0\u00a2\u00a5\u03a9\u03c0\u0394\u03a3\u03bb")
NORMAL = "normal"
EXCHANGED = {"permuted-2": 2, "permuted-5": 5, "permuted-10": 10, "permuted-20": 20}
ALTERED = (*EXCHANGED, "symbols")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alphabet:
    """Tokens in order; `exchanged` are the positions whose letter is not the usual one."""

    tokens: tuple[str, ...]
    exchanged: frozenset[int] = frozenset()

    @property
    def shown(self) -> str:
        return " ".join(self.tokens)

    def write(self, positions: Collection[int]) -> list[str]:
        return [self.tokens[position] for position in positions]


def draw_alphabet(rng: Random, condition: str, *, touching: Collection[int] = ()) -> Alphabet:
    """Draw an alphabet of `condition`; of permuted ones at least one exchanged letter stands in `touching`.

    Raises:
        ConfigError: an unknown condition.
    """
    if condition == NORMAL:
        return Alphabet(tokens=LETTERS)
    if condition == "symbols":
        return Alphabet(tokens=tuple(rng.sample(SYMBOLS, len(SYMBOLS))), exchanged=frozenset(range(len(SYMBOLS))))
    if condition not in EXCHANGED:
        raise ConfigError(f"unknown alphabet {condition!r}; allowed: {', '.join((NORMAL, *ALTERED))}")
    places = _places(rng, EXCHANGED[condition], sorted(touching))
    tokens = list(LETTERS)
    for place, source in zip(places, (*places[1:], places[0]), strict=True):  # one cycle: no letter stays in place
        tokens[place] = LETTERS[source]
    return Alphabet(tokens=tuple(tokens), exchanged=frozenset(places))


def _places(rng: Random, count: int, touching: list[int]) -> list[int]:
    first = [rng.choice(touching)] if touching else []
    others = [place for place in range(len(LETTERS)) if place not in first]
    places = [*first, *rng.sample(others, count - len(first))]
    rng.shuffle(places)
    return places
