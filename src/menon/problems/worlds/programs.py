"""What a small Python program returns when positions are counted from 0, and when they are counted from 1.

The same programs are asked in both worlds, so items are paired; each runs in both and returns something else. Programs
are run by our own interpreter with the first position as a parameter, and checked by rewriting them into the other
dialect and running that.
Left out: writing programs, and every part of Python outside the interpreter's subset.
Source: Wu et al. 2023, arXiv:2307.02477, section 3.2; programs are generated instead of taken from HumanEval.
"""

import re
from dataclasses import dataclass
from random import Random
from typing import Any

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split
from menon.problems.worlds.interpreter import ProgramError, run, translated
from menon.problems.worlds.selection import named_world
from menon.problems.worlds.snippets import Program, draw, draw_line

FIRST = {"zero-based": 0, "one-based": 1}
LONGEST_ANSWER = 80

_BLOCK = re.compile(r"```python\n(.*?)\n```", re.DOTALL)
_RULES = {
    0: (
        "In this dialect of Python the positions of lists and strings are counted from 0: x[0] is the first element, "
        "and the last of n elements is x[n - 1]. The part x[a:b] holds the elements from position a up to, but "
        "without, position b; x[a:] holds all from position a on, x[:b] all before position b, and x[a::2] every "
        "second element from position a on. range(n) gives 0, 1, ..., n - 1, and range(a, b) gives a, a + 1, ..., "
        "b - 1. enumerate(x) numbers the elements from 0, and x.index(v) is the position of v. Everything else is as "
        "in Python."
    ),
    1: (
        "In this dialect of Python the positions of lists and strings are counted from 1: x[1] is the first element, "
        "and the last of n elements is x[n]. The part x[a:b] holds the elements from position a up to, but without, "
        "position b; x[a:] holds all from position a on, x[:b] all before position b, and x[a::2] every second "
        "element from position a on. range(n) gives 1, 2, ..., n, and range(a, b) gives a, a + 1, ..., b - 1. "
        "enumerate(x) numbers the elements from 1, and x.index(v) is the position of v. Everything else is as in "
        "Python."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Programs of `difficulty` steps on one list or string."""

    name: str = "programs"
    description: str = "what a small Python program returns; positions from 0 (default) or from 1"
    default: str = "zero-based"
    worlds: tuple[str, ...] = ("one-based",)
    difficulties: tuple[int, ...] = (1, 2, 3, 4)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate program `index`; without `difficulty` the number of steps is drawn from 1 to 4.

        Raises:
            ConfigError: an unknown split or world, or a number of steps outside 1..4.
        """
        world = self._known(world)
        count = rng_for(self.name, split, index).choice(self.difficulties) if difficulty is None else difficulty
        if count not in self.difficulties:
            raise ConfigError(f"programs has no difficulty {count!r}; allowed: 1, 2, 3, 4 steps")
        program = draw_in_split(
            split, lambda rng: _telling(rng, count), lambda drawn: (self.name, drawn.source), self.name, index, count
        )
        first = FIRST[world]
        question = (
            f"{_RULES[first]}\n```python\n{program.source}\n```\n"
            f"What does {program.call} return? Answer with that value as a Python literal, strings in quotes."
        )
        return Problem(
            family=self.name,
            world="default" if world == self.default else world,
            split=split,
            index=index,
            difficulty=count,
            template=f"programs/{'-'.join(program.kinds)}",
            question=question,
            answer=repr(run(program.source, first=first)),
            grader="value",
            meta={"item": program.source, "first": first},
        )

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Ask for the value of one short expression; single elements, parts, ranges and positions take turns."""
        world = self._known(world)
        first = FIRST[world]

        def drawn(rng: Random) -> str:
            while True:
                line = draw_line(rng, index)
                if _differs(line):
                    return line

        line = draw_in_split(split, drawn, lambda text: (self.name, "control", text), self.name, "control", index)
        question = (
            f"{_RULES[first]}\n```python\n{line}\n```\n"
            "What is the value of this expression? Answer with it as a Python literal, strings in quotes."
        )
        return Problem(
            family=self.name,
            world="default" if world == self.default else world,
            split=split,
            index=index,
            question=question,
            answer=repr(run(line, first=first)),
            grader="value",
            meta={"item": line, "first": first, "control": True},
        )

    def solve(self, problem: Problem) -> str:
        """Rewrite the program of the question for the other way of counting, and run it that way."""
        found = _BLOCK.search(problem.question)
        stated = [first for first, rules in _RULES.items() if problem.question.startswith(rules)]
        if not found or not stated:
            raise ConfigError(f"problem {problem.id} is no question of world task 'programs'")
        return repr(run(translated(found[1], first=stated[0]), first=1 - stated[0]))

    def _known(self, world: str) -> str:
        return named_world(self.name, world, self.default, self.worlds)


def _telling(rng: Random, count: int) -> Program:
    """Draw a program that runs in both worlds and returns something different in each."""
    while True:
        program = draw(rng, count)
        if _differs(program.source):
            return program


def _differs(source: str) -> bool:
    try:
        values: list[Any] = [run(source, first=first) for first in FIRST.values()]
    except ProgramError:
        return False
    written = [repr(value) for value in values]
    return (
        written[0] != written[1] and max(map(len, written)) <= LONGEST_ANSWER and all(v not in ("", []) for v in values)
    )


PROGRAMS = Programs()
