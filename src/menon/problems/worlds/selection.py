"""Which item of a world task is asked: checked world and difficulty, and a coin that falls evenly over the indices."""

from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import TypeVar

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for, seed_for
from menon.problems.splits import SPLITS, split_of

T = TypeVar("T")


def known_world(task: str, world: str, default: str, worlds: Sequence[str]) -> str:
    """Return the world's name in `Problem.world`: "default" also for the default world's own name.

    Raises:
        ConfigError: the task has no such world.
    """
    if world in ("default", default):
        return "default"
    if world not in worlds:
        raise ConfigError(f"{task} has no world {world!r}; allowed: default, {', '.join(worlds)}")
    return world


def named_world(task: str, world: str, default: str, worlds: Sequence[str]) -> str:
    """Return the world's readable name: the default world's own name for "default".

    Raises:
        ConfigError: the task has no such world.
    """
    return default if known_world(task, world, default, worlds) == "default" else world


def known_difficulty(task: str, difficulty: int | None, usual: Sequence[int], allowed: range, rng: Random) -> int:
    """Return `difficulty`, or one of the usual ones when it is None.

    Raises:
        ConfigError: it is outside `allowed`.
    """
    chosen = rng.choice(usual) if difficulty is None else difficulty
    if chosen not in allowed:
        raise ConfigError(f"{task} has no difficulty {difficulty!r}; allowed: {allowed.start} to {allowed.stop - 1}")
    return chosen


def falls_even(index: int, *names: str | int) -> bool:
    """Toss a coin that is heads for exactly one of the indices 2j and 2j + 1."""
    return (seed_for(*names, index // 2) + index) % 2 == 0


def pick_in_split(split: str, contents: tuple[T, ...], index: int, *names: str | int) -> T:
    """Return content `index` of the few that belong to `split`, in an order drawn anew for each round through them.

    Raises:
        ConfigError: the split is unknown, or no content belongs to it.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split {split!r}; allowed: {', '.join(SPLITS)}")
    own = list(_owned(split, contents, names))
    if not own:
        raise ConfigError(f"no problem of split {split!r} found for {names!r}: its space is too small")
    turn, place = divmod(index, len(own))
    rng_for(*names, split, "turn", turn).shuffle(own)
    return own[place]


@lru_cache(maxsize=64)
def _owned(split: str, contents: tuple[T, ...], names: tuple[str | int, ...]) -> tuple[T, ...]:
    return tuple(content for content in contents if split_of(*names, str(content)) == split)
