"""The card game of sets: which card completes a set, by the usual rule and with one attribute's rule inverted.

Under the inverted rule exactly two of the three cards must agree in that attribute. One board serves all worlds: it
holds exactly one right card for each of them, and a different one in each.
Source: Wu et al. 2023, arXiv:2307.02477, section 3.7 (there the number's rule is changed and the cards come as
tuples); boards and texts are our own.
"""

import re
from dataclasses import dataclass
from itertools import product
from random import Random

from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.grading.choice import LETTERS
from menon.problems.splits import draw_in_split
from menon.problems.worlds.selection import falls_even, known_difficulty, known_world

ATTRIBUTES = {
    "number": ("one", "two", "three"),
    "shading": ("striped", "open", "solid"),
    "colour": ("red", "green", "purple"),
    "shape": ("oval", "diamond", "squiggle"),
}
Card = tuple[int, ...]  # the place of each attribute's value

_NAMES = tuple(ATTRIBUTES)
_DECK: tuple[Card, ...] = tuple(product(range(3), repeat=4))
_USUAL = "all three cards agree in it, or no two of them do"
_INVERTED = "exactly two of the three cards agree in it, and the third card differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetGame:
    """The one card among `difficulty` lettered ones that makes a set with two given cards."""

    name: str = "set"
    description: str = "which card completes a set; counterfactual: one attribute's rule is inverted"
    default: str = "usual-rule"
    worlds: tuple[str, ...] = ("number", "colour")
    difficulties: tuple[int, ...] = (6, 9, 12)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index`; without `difficulty` 6, 9 or 12 cards are shown, 4 to 16 are allowed."""
        world = known_world(self.name, world, self.default, self.worlds)
        size = known_difficulty(
            self.name, difficulty, self.difficulties, range(4, 17), rng_for(self.name, split, index)
        )
        names = (self.name, index, size)
        first, second = draw_in_split(
            split, _pair, lambda pair: (self.name, *(value for card in sorted(pair) for value in card)), *names
        )
        board = _board(rng_for(*names, split, "board"), first, second, size, self.worlds)
        right = [at for at, card in enumerate(board) if is_set((first, second, card), world)]
        item = f"{words(first)} + {words(second)}: {', '.join(map(words, board))}"
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            difficulty=size,
            template=f"set/{size}",
            question=(
                f"{_rules(world)}\nTwo cards are given: {words(first)}; {words(second)}.\n"
                "Which one of the following cards makes a set with them? Answer with its letter."
            ),
            answer=LETTERS[right[0]],
            choices=tuple(map(words, board)),
            grader="choice",
            meta={"item": item, "chance": 1 / size},
        )

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Ask whether three cards are a set; half of them are, the others break the rule of one attribute."""
        world = known_world(self.name, world, self.default, self.worlds)
        yes = falls_even(index, self.name, "control", split, world)
        rng = rng_for(self.name, "control", split, index, world)
        while is_set(cards := tuple(rng.sample(_DECK, 3)), world) != yes or not (yes or _near(cards, world)):
            pass
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            template="set/control",
            question=(
                f"{_rules(world)}\nDo these three cards make a set: {'; '.join(map(words, cards))}? "
                "Answer with yes or no."
            ),
            answer="yes" if yes else "no",
            grader="word",
            meta={
                "item": "; ".join(map(words, cards)),
                "labels": ["yes", "no"],
                "chance": 0.5,
                "control": True,
            },
        )

    def solve(self, problem: Problem) -> str:
        """Read rules and cards from the text and count the distinct words of each attribute."""
        changed = re.search(r"The (\w+) has a rule of its own", problem.question)
        wanted = {name: {1, 3} for name in _NAMES} | ({changed.group(1): {2}} if changed else {})

        def fits(cards: list[str]) -> bool:
            return all(
                len({next(v for v in values if re.search(rf"\b{v}", card)) for card in cards}) in wanted[name]
                for name, values in ATTRIBUTES.items()
            )

        given = problem.question.rsplit(": ", 1)[1]
        given = re.split(r"[.?]", given)[0].split("; ")
        if len(given) == 3:
            return "yes" if fits(given) else "no"
        return "".join(letter for letter, card in zip(LETTERS, problem.choices, strict=False) if fits([*given, card]))


def is_set(cards: tuple[Card, ...], world: str) -> bool:
    """Tell whether three cards are a set in `world`: "default" or the attribute with the inverted rule."""
    return not _broken(cards, world)


def words(card: Card) -> str:
    """Write a card as "two striped red ovals"."""
    return " ".join(values[at] for values, at in zip(ATTRIBUTES.values(), card, strict=True)) + "s" * (card[0] > 0)


def _broken(cards: tuple[Card, ...], world: str) -> list[str]:
    """List the attributes whose rule the cards break; three values agree in a pair unless their sum is 0 mod 3."""
    return [
        name
        for name, values in zip(_NAMES, zip(*cards, strict=True), strict=True)
        if (sum(values) % 3 == 0) == (name == world)
    ]


def _near(cards: tuple[Card, ...], world: str) -> bool:
    return len(_broken(cards, world)) == 1


def _rules(world: str) -> str:
    listed = "; ".join(f"{name} ({', '.join(values)})" for name, values in ATTRIBUTES.items())
    if world == "default":
        rule = f"Three cards are a set when for each of the four attributes one of two things holds: {_USUAL}."
    else:
        rule = (
            "Three cards are a set when each of the four attributes keeps its rule. "
            f"The {world} has a rule of its own: {_INVERTED}. "
            f"For each of the other three attributes one of two things holds: {_USUAL}."
        )
    return f"Every card of a game has four attributes: {listed}. {rule}"


def _pair(rng: Random) -> tuple[Card, Card]:
    """Draw two cards that differ in two attributes or more; else an inverted rule may ask for one of them again."""
    while True:
        first, second = rng.sample(_DECK, 2)
        if sum(a != b for a, b in zip(first, second, strict=True)) >= 2:
            return first, second


def _board(rng: Random, first: Card, second: Card, size: int, worlds: tuple[str, ...]) -> list[Card]:
    """Draw a board with one right card a world; the others break as few of the usual rules as possible."""
    rest = [card for card in _DECK if card not in (first, second)]
    rng.shuffle(rest)
    faults = {card: _broken((first, second, card), "default") for card in rest}
    usual, inverted, wrong = [], {world: [] for world in worlds}, []
    for card in rest:
        rules = [world for world in worlds if is_set((first, second, card), world)]
        if not faults[card]:
            usual.append(card)
        elif rules:
            inverted[rules[0]].append(card)
        else:
            wrong.append(card)
    wrong.sort(key=lambda card: len(faults[card]))
    board = [usual[0], *(cards[0] for cards in inverted.values())]
    board += wrong[: size - len(board)]
    rng.shuffle(board)
    return board


SETGAME = SetGame()
