"""Letter-string analogies as problems: over shown alphabets, with generalisations, and over words with an order.

In `LETTER_STRINGS` the alphabet is part of the question in every world, so that worlds differ in nothing else; the
same item stands in all of them, at the same positions, and a permuted alphabet differs from the usual one where the
answer hangs on it. In `GENERALISATIONS_OF_LETTERS` no alphabet is shown, as people were asked.
Source: Webb et al. 2023, arXiv:2212.09196; Webb et al. 2024, arXiv:2404.13070 (steps of one or two). Texts are our own.
"""

import re
from dataclasses import dataclass
from random import Random

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.grading.tokens import written
from menon.problems.analogies.alphabets import ALTERED, LETTERS, NORMAL, Alphabet, draw_alphabet
from menon.problems.analogies.items import (
    GENERALISATIONS,
    TRANSFORMATIONS,
    Item,
    Pair,
    draw_item,
    draw_pair,
    write_target,
)
from menon.problems.analogies.letter_solver import solve_analogy
from menon.problems.analogies.sequences import SEQUENCES, WORD_TRANSFORMATIONS
from menon.problems.splits import draw_in_split

_GROUP = re.compile(r"\[([^\]\n]*)\]")
_SHOWN = re.compile(r"in this order:\n([^\n]+)\n")
WORDS = 3  # words of a sequence; one more where they are to be sorted
FLIPPING = ("succ", "pred", "add_letter")


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterStrings:
    """Analogies over an alphabet that the question shows; `difficulty` is the step, 1 or 2."""

    name: str = "letter-strings"
    description: str = "letter-string analogies over the usual, permuted and symbol alphabets, shown in the question"
    default: str = NORMAL
    worlds: tuple[str, ...] = ALTERED
    difficulties: tuple[int, ...] = (1, 2)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index` of `split`; equal indices give the same item in every world.

        Raises:
            ConfigError: an unknown split or world, or a step other than 1 and 2.
        """
        world = _world(world)
        transformation = TRANSFORMATIONS[index % len(TRANSFORMATIONS)]
        step = self.difficulties[index // len(TRANSFORMATIONS) % 2] if difficulty is None else difficulty
        if step not in self.difficulties:
            raise ConfigError(f"{self.name} has no difficulty {difficulty!r}; allowed: steps of 1 or 2")
        item = draw_in_split(
            split,
            lambda rng: draw_item(rng, transformation, step=step),
            Item.content,
            *(self.name, transformation, step, index),
        )
        rng = rng_for(self.name, "alphabet", split, index, world)
        alphabet = draw_alphabet(rng, world, touching=item.target.decisive)
        return self._render(item, alphabet, world, split, index, step)

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Ask for the neighbour of one token of an alphabet: after it for even `index`, before it for odd."""
        world = _world(world)
        alphabet = draw_alphabet(rng_for(self.name, "control alphabet", split, index, world), world)
        rng = rng_for(self.name, "control", split, index)
        step = 1 if index % 2 == 0 else -1
        place = rng.randrange(1, len(LETTERS) - 1)
        side = "directly after" if step == 1 else "directly before"
        asked, answer = alphabet.tokens[place], alphabet.tokens[place + step]
        question = f"Which one comes {side} {asked} in this alphabet? Answer with it alone."
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            question=f"{_introduction(alphabet)}\n{question}",
            answer=answer,
            grader="tokens",
            meta={"item": f"{split}/{index}", "control": "succ" if step == 1 else "pred", "chance": 1 / len(LETTERS)},
        )

    def solve(self, problem: Problem) -> str:
        """Solve an analogy or a control from its question alone."""
        shown = _SHOWN.search(problem.question)
        scale = tuple((shown.group(1) if shown else " ".join(LETTERS)).split())
        if (asked := re.search(r"directly (after|before) (\S+) in", problem.question)) is not None:
            return scale[scale.index(asked.group(2)) + (1 if asked.group(1) == "after" else -1)]
        return _solved(problem.question, (scale,))

    def _render(self, item: Item, alphabet: Alphabet, world: str, split: str, index: int, step: int) -> Problem:
        before, after = alphabet.write(item.source.before), alphabet.write(item.source.after)
        target, answer = alphabet.write(item.target.before), written(alphabet.write(item.target.after))
        usual = written(as_in_usual_alphabet(item, target))
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            difficulty=step,
            template=f"{self.name}/{item.transformation}/{step}",
            question=f"{_introduction(alphabet)}\n{_analogy(before, after, target)}",
            answer=answer,
            grader="tokens",
            meta={
                "item": f"{split}/{index}/{step}",
                "category": item.transformation,
                "generalizations": 0,
                "step": step,
                "as_if_usual": usual if world in ALTERED and usual not in ("[]", answer) else None,
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalisations:
    """Analogies in the usual alphabet, not shown; `difficulty` is the number of generalisations, 0 to 3."""

    name: str = "letter-generalisations"
    description: str = "letter-string analogies whose target varies in 0 to 3 ways"
    difficulties: tuple[int, ...] = (0, 1, 2, 3)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index` of `split`; without `difficulty` they come in turn.

        Raises:
            ConfigError: an unknown split or world, or more than three generalisations.
        """
        if world != "default":
            raise ConfigError(f"{self.name} has no world {world!r}; allowed: default")
        count = index % 4 if difficulty is None else difficulty
        if count not in self.difficulties:
            raise ConfigError(f"{self.name} has no difficulty {difficulty!r}; allowed: 0 to 3 generalisations")
        rng = rng_for(self.name, "kind", split, index, count)
        transformation, chosen = rng.choice(TRANSFORMATIONS), tuple(rng.sample(GENERALISATIONS, count))
        item = draw_in_split(
            split, lambda rng: draw_item(rng, transformation, chosen), Item.content, self.name, index, count
        )
        before, after = ([LETTERS[p] for p in positions] for positions in (item.source.before, item.source.after))
        target, answer = (write_target(p, LETTERS, chosen) for p in (item.target.before, item.target.after))
        return Problem(
            family=self.name,
            split=split,
            index=index,
            difficulty=count,
            template=f"{self.name}/{transformation}/{'+'.join(sorted(chosen))}",
            question=_analogy(before, after, target),
            answer=written(answer),
            grader="tokens",
            meta={
                "item": f"{split}/{index}/{count}",
                "category": category_of(transformation, chosen),
                "generalizations": count,
                "transformation": transformation,
            },
        )

    def solve(self, problem: Problem) -> str:
        """Solve the analogy from its question alone."""
        return _solved(problem.question, (LETTERS,))


@dataclass(frozen=True, slots=True, kw_only=True)
class WordSequences:
    """Analogies from letters to words that have an order in the world, such as cold, mild, hot."""

    name: str = "word-sequences"
    description: str = "analogies from letter strings to words with an order in the world"

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index` of `split`.

        Raises:
            ConfigError: an unknown split or world, or a difficulty.
        """
        if world != "default" or difficulty not in (None, 0):
            raise ConfigError(f"{self.name} has no world {world!r} with difficulty {difficulty!r}; allowed: default, 0")
        transformation = WORD_TRANSFORMATIONS[index % len(WORD_TRANSFORMATIONS)]

        def draw(rng: Random) -> tuple[Pair, tuple[str, ...], Pair]:
            words = rng.choice(SEQUENCES)
            source = draw_pair(rng, transformation, step=1, size=len(LETTERS), base=WORDS)
            return source, words, draw_pair(rng, transformation, step=1, size=len(words), base=WORDS)

        def content(drawn: tuple[Pair, tuple[str, ...], Pair]) -> tuple[str, ...]:
            source, words, target = drawn
            return ("words", *words, *source.content(), *target.content())

        source, words, target = draw_in_split(split, draw, content, self.name, index)
        before, after = ([LETTERS[p] for p in positions] for positions in (source.before, source.after))
        return Problem(
            family=self.name,
            split=split,
            index=index,
            template=f"{self.name}/{transformation}",
            question=_analogy(before, after, [words[p] for p in target.before], noun="words"),
            answer=written([words[p] for p in target.after]),
            grader="tokens",
            meta={"item": f"{split}/{index}", "category": f"realworld_{transformation}", "generalizations": 1},
        )

    def solve(self, problem: Problem) -> str:
        """Solve the analogy from its question and the lists of words."""
        return _solved(problem.question, (LETTERS, *SEQUENCES))


def category_of(transformation: str, generalisations: tuple[str, ...]) -> str:
    """Return the published category: the change, the one generalisation, or how many there are."""
    if not generalisations:
        return transformation
    return generalisations[0] if len(generalisations) == 1 else f"{len(generalisations)}gen"


def as_in_usual_alphabet(item: Item, target: list[str]) -> list[str]:
    """Return what the change gives when the shown order is ignored; empty where the usual alphabet has no answer."""
    if item.transformation not in FLIPPING or not set(target) <= set(LETTERS):
        return []
    step = item.source.before[1] - item.source.before[0]
    moved = LETTERS.index(target[0 if item.transformation == "pred" else -1])
    moved += -step if item.transformation == "pred" else step
    if not 0 <= moved < len(LETTERS):
        return []
    new = LETTERS[moved]
    return {"succ": [*target[:-1], new], "pred": [new, *target[1:]], "add_letter": [*target, new]}[item.transformation]


def _world(world: str) -> str:
    name = NORMAL if world == "default" else world
    if name not in (NORMAL, *ALTERED):
        raise ConfigError(f"letter-strings has no world {world!r}; allowed: default, {', '.join((NORMAL, *ALTERED))}")
    return name


def _introduction(alphabet: Alphabet) -> str:
    return f"Take an alphabet whose members stand in this order:\n{alphabet.shown}\n"


def _analogy(before: list[str], after: list[str], target: list[str], noun: str = "") -> str:
    shape = f"{noun} separated by blanks" if noun else "members separated by blanks"
    return (
        f"The sequence\n[{' '.join(before)}]\nwas changed to\n[{' '.join(after)}]\n\n"
        f"Change this sequence in the same way:\n[{' '.join(target)}]\n\n"
        f"Answer with the whole changed sequence, its {shape}."
    )


def _solved(question: str, scales: tuple[tuple[str, ...], ...]) -> str:
    before, after, target = (group.split() for group in _GROUP.findall(question))
    return written(solve_analogy(before, after, target, scales))


LETTER_STRINGS = LetterStrings()
GENERALISATIONS_OF_LETTERS = Generalisations()
WORD_SEQUENCES = WordSequences()
