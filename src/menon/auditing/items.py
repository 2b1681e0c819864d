"""The cells of an audit: graded originals, and the graded re-instantiations that belong to each."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from menon.auditing.accuracy import score
from menon.core.errors import ConfigError
from menon.core.values import Grade, Problem

Role = Literal["original", "fresh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One graded completion and its part in the audit.

    `of` is the id of the original that a fresh problem re-instantiates. Where it is empty, fresh problems are dealt out
    to the originals of the same family, world, template and difficulty.
    """

    problem: Problem
    grade: Grade
    role: Role
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One original with every grade it got, and its re-instantiations with theirs."""

    original: Problem
    grades: tuple[Grade, ...]
    fresh: tuple[tuple[Problem, tuple[Grade, ...]], ...]

    def outcome(self, *, completed_only: bool = False) -> float | None:
        """Return A: the mean outcome on the original, None when there is none."""
        return score(self.grades, completed_only=completed_only)

    def fresh_outcomes(self, *, completed_only: bool = False) -> list[float]:
        """Return the V of this original: one outcome per re-instantiation that has one."""
        outcomes = (score(grades, completed_only=completed_only) for _, grades in self.fresh)
        return [outcome for outcome in outcomes if outcome is not None]


@dataclass(slots=True)
class _Original:
    problem: Problem
    grades: list[Grade] = field(default_factory=list)
    fresh: dict[str, tuple[Problem, list[Grade]]] = field(default_factory=dict)

    def add(self, item: Item) -> None:
        self.fresh.setdefault(item.problem.id, (item.problem, []))[1].append(item.grade)


def pair_items(items: Iterable[Item]) -> list[Pair]:
    """Join fresh items to their originals, in order of the originals' first appearance.

    An original without a re-instantiation stays, with an empty `fresh`.

    Raises:
        ConfigError: a role is unknown, or a fresh item names an original that is not among the items.
    """
    originals: dict[str, _Original] = {}
    fresh: list[Item] = []
    for item in items:
        if item.role == "original":
            entry = originals.setdefault(item.problem.id, _Original(item.problem))
            entry.grades.append(item.grade)
        elif item.role == "fresh":
            fresh.append(item)
        else:
            raise ConfigError(f"role {item.role!r} of problem {item.problem.id}; allowed: 'original', 'fresh'")
    for item in fresh:
        if item.of and item.of not in originals:
            raise ConfigError(
                f"fresh problem {item.problem.id} re-instantiates {item.of!r}, which is not among the originals; "
                "audit both together, or leave `of` empty to match by template and difficulty"
            )
        if item.of:
            originals[item.of].add(item)
    _deal([item for item in fresh if not item.of], originals)
    return [
        Pair(
            original=entry.problem,
            grades=tuple(entry.grades),
            fresh=tuple((problem, tuple(grades)) for problem, grades in entry.fresh.values()),
        )
        for entry in originals.values()
    ]


def _deal(fresh: Sequence[Item], originals: dict[str, _Original]) -> None:
    """Give each fresh problem to exactly one original of its kind, evenly.

    Each goes to one original only, so that outcomes of different originals stay independent. Those of a kind without an
    original cannot be used and are left out.
    """
    takers: defaultdict[tuple[str | int, ...], list[_Original]] = defaultdict(list)
    for entry in originals.values():
        takers[_kind(entry.problem)].append(entry)
    given: dict[str, _Original] = {}
    turns: defaultdict[tuple[str | int, ...], int] = defaultdict(int)
    for item in fresh:
        kind = _kind(item.problem)
        if not takers[kind]:
            continue
        if item.problem.id not in given:
            given[item.problem.id] = takers[kind][turns[kind] % len(takers[kind])]
            turns[kind] += 1
        given[item.problem.id].add(item)


def _kind(problem: Problem) -> tuple[str | int, ...]:
    return problem.family, problem.world, problem.template, problem.difficulty
