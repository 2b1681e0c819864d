"""The content of a letter-string analogy, as positions in an ordered alphabet: six changes, six ways to vary a target.

A change is shown on a source sequence and asked of a target. Generalisations vary the target only: steps of two
("larger_int"), a longer target ("longer_targ"), doubled tokens ("group"), a filler after each ("interleaved"), numbers
instead of letters ("letter2num") and descending order ("reverse").
Source: Webb et al. 2023, arXiv:2212.09196. Deviations: a filler letter never is part of the
sequence it stands in; a sequence to be sorted always has one nearest order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

TRANSFORMATIONS = ("succ", "pred", "add_letter", "remove_redundant", "fix_alphabet", "sort")
GENERALISATIONS = ("larger_int", "longer_targ", "group", "interleaved", "letter2num", "reverse")
SHORT, LONG = 4, 8  # tokens of a sequence for succ, pred and add_letter; one more for the other three
LETTER_FILLER, NUMBER_FILLER = "x", "0"
TRIES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A sequence before and after the change, as positions."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    def content(self) -> tuple[str, str]:
        return repr(self.before), repr(self.after)

    @property
    def decisive(self) -> set[int]:
        """Return the positions that the answer hangs on: what the change puts in, or takes out."""
        if len(self.before) > len(self.after):
            return {position for position in self.before if self.before.count(position) > 1}
        if len(self.before) < len(self.after):
            return {self.after[-1]}
        return {new for old, new in zip(self.before, self.after, strict=True) if old != new}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One analogy before it is written down; `source` and `target` undergo the same change."""

    transformation: str
    generalisations: tuple[str, ...]
    source: Pair
    target: Pair

    def content(self) -> tuple[str, ...]:
        """Return what makes the item the same as another, for splits."""
        return ("letters", self.transformation, *self.generalisations, *self.source.content(), *self.target.content())


def draw_item(
    rng: Random, transformation: str, generalisations: Sequence[str] = (), *, step: int = 1, size: int = 26
) -> Item:
    """Draw an item over `size` positions; `step` is that of source and target, doubled in the target by larger_int."""
    descending = "reverse" in generalisations
    target_step = 2 if "larger_int" in generalisations else step
    source = draw_pair(rng, transformation, step=step, size=size)
    while True:
        target = draw_pair(
            rng,
            transformation,
            step=-target_step if descending else target_step,
            size=size,
            base=LONG if "longer_targ" in generalisations else SHORT,
            without=_filler_position(generalisations),
        )
        if target != source:
            return Item(
                transformation=transformation, generalisations=tuple(generalisations), source=source, target=target
            )


def draw_pair(
    rng: Random, transformation: str, *, step: int, size: int, base: int = SHORT, without: int | None = None
) -> Pair:
    """Draw one sequence with its change; no position is `without`."""
    for _ in range(TRIES):
        pair = _changed(rng, transformation, step, size, base)
        used = {*pair.before, *pair.after}
        if all(0 <= position < size for position in used) and without not in used:
            return pair
    raise AssertionError(f"{transformation} with step {step} does not fit in {size} positions")


def _changed(rng: Random, transformation: str, step: int, size: int, base: int) -> Pair:
    length = base if transformation in ("succ", "pred", "add_letter") else base + 1
    start = rng.randrange(size)
    run = tuple(start + step * place for place in range(length))
    at = rng.randrange(length)
    if transformation == "succ":
        return Pair(before=run, after=(*run[:-1], run[-1] + step))
    if transformation == "pred":
        return Pair(before=run, after=(run[0] - step, *run[1:]))
    if transformation == "add_letter":
        return Pair(before=run, after=(*run, run[-1] + step))
    if transformation == "remove_redundant":
        return Pair(before=(*run[: at + 1], *run[at:]), after=run)
    if transformation == "fix_alphabet":
        wrong = rng.choice([position for position in range(size) if position not in run])
        return Pair(before=(*run[:at], wrong, *run[at + 1 :]), after=run)
    # Places that mirror each other are not swapped: in a short sequence the other direction would mend it as well.
    other = rng.choice([place for place in range(length) if place not in (at, length - 1 - at)])
    mixed = list(run)
    mixed[at], mixed[other] = mixed[other], mixed[at]
    return Pair(before=tuple(mixed), after=run)


def write_target(positions: Sequence[int], alphabet: Sequence[str], generalisations: Sequence[str]) -> list[str]:
    """Write positions as tokens, doubled, filled or as numbers from 1 on as `generalisations` say."""
    numbers = "letter2num" in generalisations
    tokens = [str(position + 1) if numbers else alphabet[position] for position in positions]
    if "interleaved" in generalisations:
        filler = NUMBER_FILLER if numbers else LETTER_FILLER
        tokens = [written for token in tokens for written in (token, filler)]
    return [token for token in tokens for _ in range(2)] if "group" in generalisations else tokens


def _filler_position(generalisations: Sequence[str]) -> int | None:
    filled = "interleaved" in generalisations and "letter2num" not in generalisations
    return ord(LETTER_FILLER) - ord("a") if filled else None
