"""Solve letter-string analogies by search: infer the change from the source pair, then apply it to the target.

Written apart from the generator and used to check it: the target is read in every way that fits (doubled or not, filled
or not, on each alphabet or as numbers), each change that explains the source is tried on each reading, and the answer
stands when all that is left agrees. Left out: changes other than the six of `items`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from menon.core.errors import DataError

Positions = tuple[int, ...]
STEPS = (1, -1, 2, -2)
LARGEST_NUMBER = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to read tokens as positions; `scale` None means numbers."""

    positions: Positions
    scale: tuple[str, ...] | None
    doubled: bool
    filler: str | None

    @property
    def size(self) -> int:
        return LARGEST_NUMBER if self.scale is None else len(self.scale)

    def write(self, positions: Positions) -> tuple[str, ...] | None:
        """Write other positions in the same way; None where the scale has no such place."""
        if any(not 0 <= position < self.size for position in positions):
            return None
        tokens = [str(p) if self.scale is None else self.scale[p] for p in positions]
        if self.filler is not None:
            tokens = [part for token in tokens for part in (token, self.filler)]
        return tuple(token for token in tokens for _ in range(1 + self.doubled))


def solve_analogy(
    before: Sequence[str], after: Sequence[str], target: Sequence[str], scales: Sequence[Sequence[str]]
) -> tuple[str, ...]:
    """Return the one answer that every explanation of the source gives for the target.

    Raises:
        DataError: no change explains the source, or the target can be answered in no way or in several.
    """
    known = [tuple(scale) for scale in scales]
    changes = {
        (name, second.positions[0] < second.positions[-1])
        for first in readings(before, known)
        for second in readings(after, known)
        if (first.scale, first.doubled, first.filler) == (second.scale, second.doubled, second.filler)
        for name, change in CHANGES.items()
        if second.positions in change(first.positions, first.size, second.positions[0] < second.positions[-1])
    }
    answers = {
        written
        for reading in readings(target, known)
        for name, ascending in changes
        for positions in CHANGES[name](reading.positions, reading.size, ascending)
        if (written := reading.write(positions)) is not None
    }
    if len(answers) != 1:
        raise DataError(
            f"analogy {' '.join(before)!r} to {' '.join(after)!r} for {' '.join(target)!r} has {len(answers)} answers; "
            "allowed: exactly one"
        )
    return answers.pop()


def readings(tokens: Sequence[str], scales: Sequence[tuple[str, ...]]) -> Iterator[Reading]:
    """Yield every way to read `tokens` as positions."""
    for doubled in (False, True):
        if doubled and (len(tokens) % 2 or list(tokens[::2]) != list(tokens[1::2])):
            continue
        singles = tokens[::2] if doubled else tokens
        fillers: list[str | None] = [None]
        if len(singles) % 2 == 0 and len(set(singles[1::2])) == 1:
            fillers.append(singles[1])
        for filler in fillers:
            content = singles if filler is None else singles[::2]
            for scale in scales:
                if set(content) <= set(scale):
                    positions = tuple(scale.index(token) for token in content)
                    yield Reading(positions=positions, scale=scale, doubled=doubled, filler=filler)
            if all(token.isdecimal() for token in content):
                positions = tuple(int(token) for token in content)
                yield Reading(positions=positions, scale=None, doubled=doubled, filler=filler)


def step_of(run: Positions) -> int | None:
    """Return the step of an even run of at least two positions; None for anything else."""
    steps = {second - first for first, second in pairwise(run)}
    return steps.pop() if len(steps) == 1 and steps <= set(STEPS) else None


def _move_last(run: Positions, size: int, ascending: bool) -> list[Positions]:
    step = step_of(run)
    return [] if step is None else [(*run[:-1], run[-1] + step)]


def _move_first(run: Positions, size: int, ascending: bool) -> list[Positions]:
    step = step_of(run)
    return [] if step is None else [(run[0] - step, *run[1:])]


def _lengthen(run: Positions, size: int, ascending: bool) -> list[Positions]:
    step = step_of(run)
    return [] if step is None else [(*run, run[-1] + step)]


def _drop_one(run: Positions, size: int, ascending: bool) -> list[Positions]:
    shorter = {(*run[:at], *run[at + 1 :]) for at in range(len(run)) if run.count(run[at]) > 1}
    return [rest for rest in shorter if step_of(rest) is not None]


def _replace_one(run: Positions, size: int, ascending: bool) -> list[Positions]:
    if step_of(run) is not None or len(set(run)) < len(run):
        return []
    tried = ((*run[:at], new, *run[at + 1 :]) for at in range(len(run)) for new in range(size) if new not in run)
    return [mended for mended in tried if step_of(mended) is not None]


def _put_in_order(run: Positions, size: int, ascending: bool) -> list[Positions]:
    """Return the order that moves the fewest; where both directions move as many, that of the source."""
    up = tuple(sorted(run))
    if step_of(up) is None or run in (up, up[::-1]):
        return []
    moves = {order: sum(a != b for a, b in zip(order, run, strict=True)) for order in (up, up[::-1])}
    fewest = [order for order, count in moves.items() if count == min(moves.values())]
    return fewest if len(fewest) == 1 else [up if ascending else up[::-1]]


CHANGES: dict[str, Callable[[Positions, int, bool], list[Positions]]] = {
    "succ": _move_last,
    "pred": _move_first,
    "add_letter": _lengthen,
    "remove_redundant": _drop_one,
    "fix_alphabet": _replace_one,
    "sort": _put_in_order,
}
