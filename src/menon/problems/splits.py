"""Disjoint splits by construction: a problem belongs to the split that owns the hash of its content.

A generator draws until the drawn content falls into its split, so no two splits can share a problem however small
the space is. Left out: bookkeeping of what was drawn before; within a split the same content may come up twice.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for, seed_for
from menon.core.values import Problem

# Shares of the hash space in percent. `original` is repeated in the embedded model's corpus, `corpus` is fresh text of
# it, `probe` steers its pre-training, `train` is asked in teaching, `test` and `variant` are never trained on.
SPLITS = {"corpus": 36, "original": 12, "probe": 6, "train": 26, "test": 10, "variant": 10}

T = TypeVar("T")


class Family(Protocol):
    """A generator of problems that knows their gold answers and reference rationales."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def difficulties(self) -> tuple[int, ...]:
        """The difficulties that are asked by default, ascending."""
        ...

    @property
    def hard_band(self) -> tuple[int, ...]:
        """Those of them that the embedded model is half-skilled at."""
        ...

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index` of `split`; equal arguments give equal problems."""
        ...

    def variant(self, problem: Problem, number: int) -> Problem:
        """Re-instantiate the template of `problem`, matched in difficulty, with content of split `variant`."""
        ...


def split_of(*content: str | int) -> str:
    """Return the one split that owns this content."""
    point = seed_for("split", *content) % 100
    for split, share in SPLITS.items():
        if point < share:
            return split
        point -= share
    raise AssertionError("the shares of SPLITS add up to 100")


def draw_in_split(
    split: str, draw: Callable[[Any], T], content: Callable[[T], tuple[str | int, ...]], *names: Any
) -> T:
    """Draw with fresh generators named by `names` until the content belongs to `split`.

    Raises:
        ConfigError: the split is unknown, or 10,000 draws found nothing (the space is too small for it).
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split {split!r}; allowed: {', '.join(SPLITS)}")
    for attempt in range(10_000):
        value = draw(rng_for(*names, split, attempt))
        if split_of(*content(value)) == split:
            return value
    raise ConfigError(f"no problem of split {split!r} found for {names!r}: its space is too small; use another split")
