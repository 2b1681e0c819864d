"""Word problems of k chained steps: follow one count through gains and losses, some sentences do not matter.

Names, things, verbs and irrelevant sentences are the surface; the numbers and signs are the content. Irrelevant
sentences hold no numbers, so that every number of the question is used exactly once in a sound rationale.
Source: the template idea of GSM-Symbolic (arXiv:2410.05229); texts are our own.
"""

from dataclasses import dataclass
from random import Random

from menon.core.errors import ConfigError
from menon.core.seeds import content_id, rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split

NAMES = ("tom", "mia", "sam", "eva", "ben", "lea", "max", "ida", "leo", "zoe", "jan", "amy", "rob", "kim", "tim", "sue")
THINGS = ("pens", "cups", "hats", "eggs", "books", "coins", "stones", "cards", "apples", "boxes", "keys", "shells")
OPENINGS = ("{name} has {n} {thing}.", "there are {n} {thing}.", "{name} owns {n} {thing}.", "we count {n} {thing}.")
GAINS = (
    "{name} buys {n}.",
    "{name} finds {n}.",
    "{friend} brings {n}.",
    "{name} gets {n} more.",
    "then {n} are added.",
)
LOSSES = (
    "{name} sells {n}.",
    "{name} loses {n}.",
    "{friend} takes {n}.",
    "{name} gives away {n}.",
    "then {n} are broken.",
)
NOISE = ("{friend} is tall.", "it is raining.", "the {thing} are red.", "{friend} sings a song.", "the day is long.")
ENDINGS = ("how many?", "how many {thing}?", "how many {thing} are left?", "how many are there now?")
LARGEST_DIFFICULTY = 16
LARGEST_VALUE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    start: int
    changes: tuple[int, ...]

    def values(self) -> list[int]:
        values = [self.start]
        for change in self.changes:
            values.append(values[-1] + change)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Short English word problems of `difficulty` chained additions and subtractions."""

    name: str = "chain"
    description: str = "word problems of k chained gains and losses, with sentences that do not matter"
    difficulties: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    hard_band: tuple[int, ...] = (6, 7, 8)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index` of `split`; without `difficulty` it is drawn evenly from `difficulties`.

        Raises:
            ConfigError: an unknown split or world, or a difficulty outside 1..16.
        """
        if world != "default":
            raise ConfigError(f"chain has no world {world!r}; allowed: default")
        rng = rng_for(self.name, world, split, index)
        steps = rng.choice(self.difficulties) if difficulty is None else difficulty
        if not 1 <= steps <= LARGEST_DIFFICULTY:
            raise ConfigError(f"chain has no difficulty {steps!r}; allowed: 1 to {LARGEST_DIFFICULTY} steps")
        signs = tuple(rng.choice((1, -1)) for _ in range(steps))
        content = self._draw(split, signs, self.name, world, index, steps)
        return self._render(content, rng.getrandbits(48), split, index)

    def variant(self, problem: Problem, number: int) -> Problem:
        """Return the same text with the same signs and other numbers from the same ranges."""
        signs = tuple(problem.meta["signs"])
        content = self._draw("variant", signs, self.name, "variant", problem.id, number)
        return self._render(content, problem.meta["wording"], "variant", number)

    def _draw(self, split: str, signs: tuple[int, ...], *names: str | int) -> _Content:
        def draw(rng: Random) -> _Content:
            while True:
                content = _Content(start=rng.randint(10, 99), changes=tuple(s * rng.randint(1, 9) for s in signs))
                if all(0 <= value <= LARGEST_VALUE for value in content.values()):
                    return content

        return draw_in_split(split, draw, lambda c: ("chain", c.start, *c.changes), *names)

    def _render(self, content: _Content, wording: int, split: str, index: int) -> Problem:
        rng = rng_for(self.name, "wording", wording)
        name, friend = rng.sample(NAMES, 2)
        words = {"name": name, "friend": friend, "thing": rng.choice(THINGS)}
        sentences = [rng.choice(OPENINGS).format(n=content.start, **words)]
        lines = []
        for before, change, after in zip(content.values(), content.changes, content.values()[1:], strict=False):
            if rng.random() < 0.15:
                sentences.append(rng.choice(NOISE).format(**words))
            sentences.append(rng.choice(GAINS if change > 0 else LOSSES).format(n=abs(change), **words))
            lines.append(f"{before}{'+' if change > 0 else '-'}{abs(change)}={after};")
        sentences.append(rng.choice(ENDINGS).format(**words))
        signs = [1 if change > 0 else -1 for change in content.changes]
        return Problem(
            family=self.name,
            split=split,
            index=index,
            difficulty=len(content.changes),
            template=f"chain/{len(signs)}/{content_id('wording', wording, signs)}",
            question=" ".join(sentences),
            answer=str(content.values()[-1]),
            rationale="".join(lines),
            meta={"steps": "equations", "signs": signs, "wording": wording},
        )


CHAIN = Chain()
