"""Kinds of things that everybody knows, and statements about them in English, written and read.

Each lineage is a species, its class, its kingdom and what the whole kingdom does; `exchanged` swaps the species and the
kingdoms of two lineages and leaves classes and habits where they are, so that every general statement of
`statements_of` and every "no ... is ..." turns from common sense into its contrary.
Left out: anything disputable (edible plants, flying fish).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from menon.core.errors import ConfigError
from menon.problems.worlds.entailment import Fact, Literal, Rule, Statement

# kingdom: (what its members do as plural and singular, its classes with their species)
KINGDOMS: dict[str, tuple[tuple[str, str], dict[str, tuple[str, ...]]]] = {
    "animal": (
        ("eat", "eats"),
        {
            "bird": ("sparrow", "robin", "owl", "heron", "magpie"),
            "mammal": ("horse", "badger", "otter", "donkey", "camel"),
        },
    ),
    "plant": (
        ("have roots", "has roots"),
        {"tree": ("oak", "birch", "maple", "elm", "willow"), "flower": ("tulip", "daisy", "rose", "violet", "dahlia")},
    ),
    "machine": (
        ("have metal parts", "has metal parts"),
        {
            "vehicle": ("tram", "lorry", "bus", "tractor", "van"),
            "computer": ("laptop", "mainframe", "netbook", "workstation", "supercomputer"),
        },
    ),
    "text": (
        ("consist of words", "consists of words"),
        {
            "poem": ("sonnet", "ballad", "limerick", "haiku", "elegy"),
            "story": ("fable", "legend", "novella", "thriller", "romance"),
        },
    ),
}
NAMES = ("Tibo", "Wexa", "Orlu", "Fenk", "Mivo", "Quill", "Zarn", "Hedda", "Plim", "Sorv", "Bexo", "Yuna")
_PLURALS = {"lorry": "lorries", "daisy": "daisies", "bus": "buses", "story": "stories", "elegy": "elegies"}

KINDS = [
    kind
    for kingdom, (_, classes) in KINGDOMS.items()
    for kind in (kingdom, *classes, *(one for species in classes.values() for one in species))
]
HABITS = {plural: singular for (plural, singular), _ in KINGDOMS.values()}


def plural(kind: str) -> str:
    return _PLURALS.get(kind, kind + "s")


_KIND_OF = {plural(kind): kind for kind in KINDS}
_HABIT_OF = {singular: many for many, singular in HABITS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A species, the class and the kingdom it belongs to, and what everything in that kingdom does."""

    species: str
    group: str
    kingdom: str
    habit: str

    @property
    def chain(self) -> tuple[str, str, str, str]:
        return self.species, self.group, self.kingdom, self.habit


def lineages(rng: Random, count: int) -> list[Lineage]:
    """Draw lineages of different kingdoms."""
    drawn = []
    for kingdom in rng.sample(sorted(KINGDOMS), count):
        (habit, _), classes = KINGDOMS[kingdom]
        group = rng.choice(sorted(classes))
        drawn.append(Lineage(species=rng.choice(classes[group]), group=group, kingdom=kingdom, habit=habit))
    return drawn


def exchange(first: Lineage, second: Lineage) -> dict[str, str]:
    """Return which nouns take each other's place."""
    return {
        first.species: second.species,
        second.species: first.species,
        first.kingdom: second.kingdom,
        second.kingdom: first.kingdom,
    }


def renamed(statement: Statement, names: Mapping[str, str]) -> Statement:
    """Return the statement with its nouns exchanged."""
    if isinstance(statement, Rule):
        return Rule(kind=names.get(statement.kind, statement.kind), then=_renamed(statement.then, names))
    return Fact(who=statement.who, options=tuple(_renamed(option, names) for option in statement.options))


def _renamed(literal: Literal, names: Mapping[str, str]) -> Literal:
    return Literal(name=names.get(literal.name, literal.name), holds=literal.holds)


def said(statement: Statement) -> str:
    """Write a statement as an English sentence."""
    if isinstance(statement, Rule):
        if statement.then.holds:
            habit = statement.then.name in HABITS
            what = statement.then.name if habit else f"are {plural(statement.then.name)}"
            return f"All {plural(statement.kind)} {what}."
        return f"No {statement.kind} {_singular(Literal(name=statement.then.name))}."
    if len(statement.options) > 1:
        return f"{statement.who} is {' or '.join(_article(option.name) for option in statement.options)}."
    return f"{statement.who} {' or '.join(map(_singular, statement.options))}."


def _singular(literal: Literal) -> str:
    if literal.name in HABITS:
        return HABITS[literal.name] if literal.holds else f"does not {literal.name}"
    return f"is {'' if literal.holds else 'not '}{_article(literal.name)}"


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"


def read(sentence: str) -> Statement:
    """Read a sentence that `said` could have written.

    Raises:
        ConfigError: it could not.
    """
    words = sentence.strip().removesuffix(".")
    if found := re.fullmatch(r"All (\w+) are (\w+)", words):
        return Rule(kind=_KIND_OF[found[1]], then=Literal(name=_KIND_OF[found[2]]))
    if found := re.fullmatch(r"All (\w+) (.+)", words):
        return Rule(kind=_KIND_OF[found[1]], then=Literal(name=found[2]))
    if found := re.fullmatch(r"No (\w+) (?:is an? (\w+)|(.+))", words):
        return Rule(kind=found[1], then=Literal(name=found[2] or _HABIT_OF[found[3]], holds=False))
    if found := re.fullmatch(r"(\w+) is (not )?an? (\w+)", words):
        return _fact(found[1], [Literal(name=found[3], holds=not found[2])])
    if found := re.fullmatch(r"(\w+) is an? (\w+) or an? (\w+)", words):
        return _fact(found[1], [Literal(name=found[2]), Literal(name=found[3])])
    if found := re.fullmatch(r"(\w+) does not (.+)", words):
        return _fact(found[1], [Literal(name=found[2], holds=False)])
    if (found := re.fullmatch(r"(\w+) (.+)", words)) and found[2] in _HABIT_OF:
        return _fact(found[1], [Literal(name=_HABIT_OF[found[2]])])
    raise ConfigError(f"cannot read {sentence!r} as a statement about kinds")


def _fact(who: str, options: Sequence[Literal]) -> Fact:
    return Fact(who=who, options=tuple(options))
