"""Solve digit matrices by search over rules, apart from the generator that it checks.

Each place of a cell is tried under every rule; where the places do not all follow one, cells are tried as sets. Rules
must hold in the two full rows, and all that hold must give the same missing value.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from menon.core.errors import DataError

T = TypeVar("T")

# Each set rule gives the third set of a row from the first two.
SET_RULES: dict[str, Callable[[frozenset[int], frozenset[int]], frozenset[int]]] = {
    "union in column 3": lambda a, b: a | b,
    "union in column 1": lambda a, b: a - b,
    "union in column 2": lambda a, b: b - a,
    "intersection": lambda a, b: a & b,
    "difference": lambda a, b: a ^ b,
}


def solve_matrix(rows: Sequence[Sequence[Sequence[int]]]) -> tuple[tuple[int, ...], bool]:
    """Return the missing last cell and whether the order of its digits matters; `rows` are 3, 3 and 2 cells.

    Raises:
        DataError: no rule fits, or rules that fit disagree.
    """
    lengths = {len(cell) for row in rows for cell in row}
    if len(lengths) == 1:
        options = [_place(rows, place) for place in range(lengths.pop())]
        if all(options):
            return tuple(_only(values, rows) for values in options), True
    return tuple(sorted(_only(set(_sets(rows)), rows))), False


def _place(rows: Sequence[Sequence[Sequence[int]]], place: int) -> set[int]:
    first, second = ([cell[place] for cell in row] for row in rows[:2])
    third = [cell[place] for cell in rows[2]]
    found: set[int] = set()
    if len(set(first)) == len(set(second)) == len(set(third)) == 1:
        found.add(third[0])
    if first == second and third == first[:2]:
        found.add(first[2])
    steps = {b - a for row in (first, second, third) for a, b in pairwise(row)}
    if len(steps) == 1:
        found.add(third[1] + steps.pop())
    if set(first) == set(second) and len(set(first)) == 3 and len(rest := set(first) - set(third)) == 1:
        found |= rest
    return found


def _sets(rows: Sequence[Sequence[Sequence[int]]]) -> Iterable[frozenset[int]]:
    """Yield the missing set under each rule that holds in both full rows and both full columns."""
    sets = [[frozenset(cell) for cell in row] for row in rows]
    for rule in SET_RULES.values():
        if all(rule(a, b) == c for a, b, c in sets[:2]) and not _broken_columns(sets):
            yield rule(*sets[2])


def _broken_columns(sets: Sequence[Sequence[frozenset[int]]]) -> bool:
    """Tell whether no one set rule joins the first two columns downwards."""
    columns = [[row[place] for row in sets] for place in (0, 1)]
    return not any(all(rule(a, b) == c for a, b, c in columns) for rule in SET_RULES.values())


def _only(values: set[T], rows: object) -> T:
    if len(values) != 1:
        raise DataError(f"matrix {rows!r} has {len(values)} answers; allowed: exactly one")
    return next(iter(values))
