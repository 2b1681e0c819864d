"""Statements about kinds and named individuals, with two independent ways to find out what follows from them.

`by_models` enumerates every model whose domain is the named individuals; since all general statements here are
universal and all conclusions are about named individuals, what holds in all of these holds in all models.
`by_resolution` turns the statements into clauses for the individual asked about and derives the empty clause, or not.
Left out: existence ("some ..."), relations between two individuals, and identity.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from menon.core.errors import ConfigError

TRUE, FALSE, UNCERTAIN = "True", "False", "Uncertain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A predicate that holds, or does not."""

    name: str
    holds: bool = True

    def negated(self) -> "Literal":
        return Literal(name=self.name, holds=not self.holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Whatever is `kind` is (or is not) `then`."""

    kind: str
    then: Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """`who` satisfies at least one of `options`."""

    who: str
    options: tuple[Literal, ...]


Statement = Rule | Fact


def by_models(premises: Sequence[Statement], conclusion: Fact) -> str:
    """Return whether the conclusion holds in all models of the premises, in none, or in some only.

    Raises:
        ConfigError: the premises have no model.
    """
    people = sorted({s.who for s in (*premises, conclusion) if isinstance(s, Fact)})
    names = sorted(_names((*premises, conclusion)))
    places = {atom: place for place, atom in enumerate(product(people, names))}
    needed = [test for premise in premises for test in _tests(premise, people, places)]
    goal_yes, goal_no = _tests(conclusion, people, places)[0]
    seen = set()
    for model in range(1 << len(places)):  # bit i says whether atom i holds
        if all(model & yes or ~model & no for yes, no in needed):
            seen.add(bool(model & goal_yes or ~model & goal_no))
            if len(seen) == 2:
                return UNCERTAIN
    if not seen:
        raise ConfigError("the premises contradict each other, so everything follows; draw others")
    return TRUE if seen == {True} else FALSE


def by_resolution(premises: Sequence[Statement], conclusion: Fact) -> str:
    """Return the same as `by_models`, by refuting the conclusion and its negation."""
    known = _clauses(premises, conclusion.who)
    denied = {frozenset([literal.negated()]) for literal in conclusion.options}
    if _contradicts(known | denied):
        return TRUE
    return FALSE if _contradicts(known | {frozenset(conclusion.options)}) else UNCERTAIN


def _names(statements: Iterable[Statement]) -> set[str]:
    names: set[str] = set()
    for statement in statements:
        if isinstance(statement, Rule):
            names |= {statement.kind, statement.then.name}
        else:
            names |= {literal.name for literal in statement.options}
    return names


def _tests(statement: Statement, people: Sequence[str], places: dict[tuple[str, str], int]) -> list[tuple[int, int]]:
    """Return pairs of bit masks; a model satisfies one when it has a bit of the first or lacks one of the second."""
    if isinstance(statement, Fact):
        alternatives = [[(statement.who, option) for option in statement.options]]
    else:
        alternatives = [[(who, Literal(name=statement.kind, holds=False)), (who, statement.then)] for who in people]
    return [
        (
            sum({1 << places[who, literal.name] for who, literal in either if literal.holds}),
            sum({1 << places[who, literal.name] for who, literal in either if not literal.holds}),
        )
        for either in alternatives
    ]


def _clauses(premises: Sequence[Statement], who: str) -> set[frozenset[Literal]]:
    """Return the premises on one individual; what is said of others cannot bear on it."""
    clauses = set()
    for premise in premises:
        if isinstance(premise, Rule):
            clauses.add(frozenset([Literal(name=premise.kind, holds=False), premise.then]))
        elif premise.who == who:
            clauses.add(frozenset(premise.options))
    return clauses


def _contradicts(clauses: set[frozenset[Literal]]) -> bool:
    """Tell whether resolution reaches the empty clause."""
    waiting, done = sorted(clauses, key=_order), set()
    while waiting:
        one = waiting.pop(0)
        if not one:
            return True
        if one in done or any(literal.negated() in one for literal in one):
            continue
        done.add(one)
        for other in list(done):
            for literal in one:
                if literal.negated() in other:
                    waiting.append((one - {literal}) | (other - {literal.negated()}))
    return False


def _order(clause: frozenset[Literal]) -> tuple[int, list[str]]:
    return len(clause), sorted(literal.name for literal in clause)
