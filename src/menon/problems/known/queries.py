"""Queries whose helpful documents are known: reasoning, facts, their controls, and planted cases for a verdict.

Held-out instances (`test`) are asked; planted procedural ones come from `variant`, so that a verdict is never measured
on the queries that it is used on. Source: the query sets of Ruis et al. 2024, arXiv:2411.12580, section 3.
"""

from collections.abc import Sequence
from typing import Literal

from menon.core.errors import ConfigError
from menon.problems.known.facts import ASKED, Tier, ask, facts
from menon.problems.known.families import FAMILIES_KNOWN, family_of
from menon.problems.known.family import FORMATS
from menon.problems.known.memorised import planted
from menon.problems.known.mixture import KnownMixture
from menon.problems.known.reading import read
from menon.problems.known.values import KnownQuery, QueryKind

Planted = Literal["memorised", "procedural"]


def known_queries(
    kind: QueryKind,
    count: int,
    mixture: KnownMixture | None = None,
    *,
    families: Sequence[str] = (),
    tiers: Sequence[Tier] = ("frequent", "rare"),
    split: str = "test",
) -> list[KnownQuery]:
    """Return `count` queries of `kind`, evenly over families and formats, or over tiers and attributes.

    `families` are those asked about (empty: all that `mixture` teaches in any form). `problem.meta["format"]` is
    "formula" or "words" for reasoning; `problem.meta["tier"]` and ["attribute"] are there for facts. The list for a
    larger `count` begins with the list for a smaller one.

    Raises:
        ConfigError: an unknown kind or family, no family that is taught, or more facts than there are.
    """
    if kind == "reasoning":
        names = _asked(families, mixture)
        return [_reasoning(names, number, split) for number in range(count)]
    if kind == "reasoning-control":
        names = _asked(families, mixture)
        return [
            KnownQuery(
                kind=kind,
                family=names[number % len(names)],
                needs="procedure:reading",
                problem=read(split, number // len(names), "result", names[number % len(names)]),
            )
            for number in range(count)
        ]
    if kind == "factual-control":
        return [
            KnownQuery(kind=kind, family="facts", needs="procedure:reading", problem=read(split, number, "fact"))
            for number in range(count)
        ]
    if kind == "factual":
        return _factual(count, tiers)
    raise ConfigError(f"no queries of kind {kind!r}; allowed: reasoning, factual, factual-control, reasoning-control")


def planted_queries(
    planted_as: Planted, count: int, mixture: KnownMixture | None = None, *, families: Sequence[str] = ()
) -> list[KnownQuery]:
    """Return cases with a known verdict: answers memorised on purpose, or held-out instances of taught procedures.

    Raises:
        ConfigError: more memorised answers are asked for than the mixture plants.
    """
    mixture = mixture or KnownMixture()
    if planted_as == "procedural":
        names = _asked(families, mixture)
        return [_reasoning(names, number, "variant", "procedural") for number in range(count)]
    if planted_as != "memorised":
        raise ConfigError(f"nothing is planted as {planted_as!r}; allowed: memorised, procedural")
    names = list(families) or list(mixture.families_in("text"))
    if count > len(names) * mixture.memorised:
        raise ConfigError(
            f"{count} memorised answers asked for, {len(names) * mixture.memorised} are planted; "
            "ask for fewer or set `memorised` of the mixture higher"
        )
    queries = []
    for number in range(count):
        problem = planted(names[number % len(names)], number // len(names))
        queries.append(
            KnownQuery(
                kind="reasoning",
                family=problem.family,
                needs=f"answer:{problem.id}",
                problem=problem,
                planted="memorised",
            )
        )
    return queries


def _asked(families: Sequence[str], mixture: KnownMixture | None) -> list[str]:
    if families:
        return [family_of(name).name for name in families]
    names = [name for name in FAMILIES_KNOWN if (mixture or KnownMixture()).taught(name)]
    if not names:
        raise ConfigError("the mixture teaches no procedure family; name the families to ask about")
    return names


def _reasoning(names: Sequence[str], number: int, split: str, planted_as: Literal["procedural", ""] = "") -> KnownQuery:
    name, turn = names[number % len(names)], number // len(names)
    problem = family_of(name).problem(split, turn, format=FORMATS[turn % len(FORMATS)])
    return KnownQuery(kind="reasoning", family=name, needs=f"procedure:{name}", problem=problem, planted=planted_as)


def _factual(count: int, tiers: Sequence[Tier]) -> list[KnownQuery]:
    cells = [facts(tier, attribute) for tier in tiers for attribute in ASKED]
    queries = []
    for number in range(count):
        cell, turn = cells[number % len(cells)], number // len(cells)
        if turn >= len(cell):
            raise ConfigError(
                f"{count} factual queries asked for over tiers {', '.join(tiers)}; a tier has only {len(cell)} facts "
                f"of one attribute: ask for at most {len(cell) * len(cells)} or for more tiers"
            )
        fact = cell[turn]
        queries.append(KnownQuery(kind="factual", family="facts", needs=f"fact:{fact.name}", problem=ask(fact)))
    return queries
