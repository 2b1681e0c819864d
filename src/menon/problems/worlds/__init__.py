"""Counterfactual worlds: the same skill under the rules everybody knows and under changed ones.

A world task is a family with several worlds; `problem(..., world=...)` gives the same item under other rules wherever
the rules allow it (`meta["item"]` is then equal), and `control` asks whether the rules of the world were understood.
Source: Wu et al. 2023, arXiv:2307.02477; texts, generators and solvers are our own.
"""

from typing import Protocol

from menon.core.registry import Registry
from menon.core.values import Problem

WORLDS = Registry(
    "worlds",
    {
        "arithmetic": "menon.problems.worlds.arithmetic:ARITHMETIC",
        "programs": "menon.problems.worlds.programs:PROGRAMS",
        "syntax": "menon.problems.worlds.syntax:SYNTAX",
        "logic": "menon.problems.worlds.logic:LOGIC",
        "spatial": "menon.problems.worlds.spatial:SPATIAL",
        "chords": "menon.problems.worlds.chords:CHORDS",
        "melodies": "menon.problems.worlds.melodies:MELODIES",
        "chess": "menon.problems.worlds.chess:CHESS",
        "set": "menon.problems.worlds.setgame:SETGAME",
        "drawing": "menon.problems.worlds.drawing:DRAWING",
    },
    "world task",
)


class WorldTask(Protocol):
    """A family of problems with one default world and counterfactual ones."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def default(self) -> str:
        """The name of the default world."""
        ...

    @property
    def worlds(self) -> tuple[str, ...]:
        """The names of the counterfactual worlds."""
        ...

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index` of `split` in `world` ("default" is the default world whatever its name)."""
        ...

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Generate comprehension check `index` for `world`: easy for anybody who understood the rules."""
        ...

    def solve(self, problem: Problem) -> str:
        """Solve `problem` from its question and `meta` by another way than the generator; for tests and checks."""
        ...


__all__ = ["WORLDS", "WorldTask"]
