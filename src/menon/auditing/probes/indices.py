"""Which items of a family a probe asks: the first ones that differ, beginning at a place of the seed's own."""

from collections.abc import Callable

from menon.core.values import Problem

APART = 1_000_000
MOST_TRIES = 20


def first_distinct(make: Callable[[int], Problem], count: int, *, seed: int) -> list[int]:
    """Return the first `count` indices whose problems differ; fewer where the family is too small for that many."""
    seen: set[str] = set()
    indices: list[int] = []
    for index in range(seed * APART, seed * APART + MOST_TRIES * count):
        problem = make(index)
        if problem.id not in seen:
            seen.add(problem.id)
            indices.append(index)
        if len(indices) == count:
            break
    return indices
