"""State tracking: a start state and a chain of moves, each move a fixed permutation of eight states; where does it end?

Every token of a document is either a free choice, which nothing can predict, or follows from the text, and one of
those is hard: the answer is a composition of permutations, which a shallow model finds only by writing the states in
between. Left out: being a `Family`, because the texts are words of a closed vocabulary for models trained from nothing.

The hash of a problem's content says whether it is held out, so that no document of any phase can show a test problem.
Source: our own task; what shallow transformers do with compositions of permutations is studied in Liu et al. 2023,
arXiv:2210.10749.
"""

from dataclasses import dataclass
from functools import cache
from random import Random

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for, seed_for

STATES = "01234567"
MOVES = "abcd"
EQUALS, OPEN, CLOSE, STOP = "=", "(", ")", "."
PAD, BEGIN = "<pad>", "<begin>"
CHAIN = 6
LONGEST_CHAIN = 64
HELD_OUT_OF = 8  # one problem in so many is held out
SPLITS = ("train", "test")


@cache
def permutations() -> dict[str, tuple[int, ...]]:
    """Return what each move does: `permutations()["a"][state]` is the state after move a.

    They are random but for this: no move leaves a state as it is, and no two moves lead from a state to the same one,
    so that no move can be overlooked.
    """
    table: dict[str, tuple[int, ...]] = {}
    for move in MOVES:
        rng = rng_for("permutations", "move", move)
        images = list(range(len(STATES)))
        taken = [tuple(images), *table.values()]
        while any(image in before for image, before in zip(images, zip(*taken, strict=True), strict=True)):
            rng.shuffle(images)
        table[move] = tuple(images)
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One problem: the state `start` (0 to 7) and the `moves` that follow, as letters."""

    start: int
    moves: str

    def __post_init__(self) -> None:
        if not 0 <= self.start < len(STATES) or not self.moves or not set(self.moves) <= set(MOVES):
            raise ConfigError(
                f"no problem of permutations starts at {self.start!r} with moves {self.moves!r}; allowed: a state from "
                f"0 to {len(STATES) - 1} and one or more of the letters {MOVES}"
            )

    @property
    def rationale(self) -> tuple[int, ...]:
        """The states after each move, the last of which is the answer."""
        table, state, states = permutations(), self.start, []
        for move in self.moves:
            state = table[move][state]
            states.append(state)
        return tuple(states)

    @property
    def answer(self) -> int:
        """The state after the last move."""
        return self.rationale[-1]

    @property
    def held_out(self) -> bool:
        """Whether this problem is kept for tests; a property of its content alone."""
        return seed_for("permutations", self.start, self.moves) % HELD_OUT_OF == 0

    @property
    def question(self) -> str:
        """The words up to and including the equals sign."""
        return " ".join([STATES[self.start], *self.moves, EQUALS])

    @property
    def direct_text(self) -> str:
        """The document that gives the answer at once."""
        return f"{self.question} {STATES[self.answer]} {STOP}"

    def worked_text(self, rng: Random, good: float) -> str:
        """Return the document with a bracketed rationale, right with probability `good` and otherwise noise.

        The answer is always right. Equal states of `rng` give equal texts.
        """
        if not 0 <= good <= 1:
            raise ConfigError(f"the share of right rationales is {good!r}; allowed: 0 to 1")
        noise = [rng.randrange(len(STATES)) for _ in self.moves]
        states = self.rationale if rng.random() < good else noise
        inner = " ".join(STATES[state] for state in states)
        return f"{self.question} {OPEN} {inner} {CLOSE} {STATES[self.answer]} {STOP}"


def draw(rng: Random, held_out: bool, n: int = CHAIN) -> State:
    """Draw a problem of `n` moves, evenly from those that are held out or from those that are not."""
    if not 1 <= n <= LONGEST_CHAIN:
        raise ConfigError(f"a chain of {n!r} moves; allowed: 1 to {LONGEST_CHAIN}")
    for _ in range(10_000):
        state = State(start=rng.randrange(len(STATES)), moves="".join(rng.choices(MOVES, k=n)))
        if state.held_out == held_out:
            return state
    raise ConfigError(f"no problem of {n} moves with held_out={held_out} found; use a longer chain")


def problem(split: str, index: int, n: int = CHAIN) -> State:
    """Generate item `index` of `split` with `n` moves; equal arguments give equal problems.

    Raises:
        ConfigError: a split other than `train` and `test`, or a chain too short or too long.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split {split!r} of permutations; allowed: {', '.join(SPLITS)}")
    return draw(rng_for("permutations", split, index, n), split == "test", n)


def vocabulary() -> tuple[str, ...]:
    """Return every word of the documents, the padding and the begin-of-row word first; the order gives the ids."""
    return (PAD, BEGIN, EQUALS, OPEN, CLOSE, STOP, *STATES, *MOVES)
