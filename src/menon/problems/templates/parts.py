"""One part of a template: variables that conditions tie together, and the way in which they are drawn.

The three ways, and which of them are uniform, are told in `solver`.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from math import inf, prod
from random import Random
from typing import Any

from menon.core.seeds import rng_for
from menon.problems.templates.expressions import Expression
from menon.problems.templates.functions import FAILURES, Value
from menon.problems.templates.language import Assignment
from menon.problems.templates.ordering import Step, Unknown, Values, ordered

SMALL = 2_000  # parts of no more assignments are listed at once
FEW_PROBES, MANY = 400, 20  # random assignments tried, and hits among them, for a part to be dense
NODES, MOST_NODES = 40_000, 120_000  # steps of a listing before and after refusing is found to be slow
PROBES, ENOUGH = 4_000, 4  # random assignments tried, and hits among them, for refusing to be better than searching
WIDEST = 512  # ways of one unknown that a restarting search tries
_CHECK = 256  # attempts between two looks at the clock


class Late(Exception):
    """The time limit was reached."""


class Part:
    """Unknowns that conditions tie together, and one of three ways to draw them."""

    def __init__(
        self,
        unknowns: Sequence[Unknown],
        conditions: Sequence[Expression],
        env: Mapping[str, Any],
        rng: Random,
        deadline: float,
    ):
        self._steps = ordered(unknowns, conditions)
        self.names = tuple(name for step in self._steps for name in step.unknown.names)
        self._fast = [_direct(step) for step in self._steps]
        self._env = env
        self.solutions: list[Values] | None = None
        self._tested = bool(conditions)
        self._searches = False
        if not self._tested or (prod(step.unknown.size for step in self._steps) > SMALL and self._is_dense(rng)):
            return
        self.solutions = self._listed(NODES, deadline)
        if self.solutions is None and self._hits(PROBES, ENOUGH, rng, deadline) < ENOUGH:
            self.solutions = self._listed(MOST_NODES, deadline)
            self._searches = self.solutions is None

    def _is_dense(self, rng: Random) -> bool:
        return self._hits(FEW_PROBES, MANY, rng, inf) >= MANY

    def draw(self, rng: Random, deadline: float, assignment: Assignment) -> None:
        """Draw values of this part into `assignment`."""
        if self.solutions is not None:
            values = self.solutions[int(rng.random() * len(self.solutions))]
        elif not self._tested:
            values = self._steps[0].unknown.pick(rng)
        else:
            values = self._search(rng, deadline) if self._searches else self._refuse(rng, deadline)
        assignment.update(zip(self.names, values, strict=True))

    def some(self, most: int) -> Sequence[Values]:
        """Return up to `most` solutions."""
        if self.solutions is not None:
            return self.solutions[:most]
        if not self._tested:
            ways = self._steps[0].unknown.ways()
            return [way for _, way in zip(range(most), ways, strict=False)]
        try:
            return [self._search(rng_for("template", "some"), time.thread_time() + 1.0)]
        except Late:
            return []

    def questions(self, shown: Sequence[str]) -> int:
        """Count the distinct texts of the shown names, or all combinations of them where they are too many to list."""
        places = [i for i, name in enumerate(self.names) if name in shown]
        if not places:
            return 1
        solutions = self.solutions
        if solutions is None and self._tested:
            solutions = self._listed(MOST_NODES, time.thread_time() + 1.0)
        elif solutions is None and self._steps[0].unknown.size <= NODES:
            solutions = list(self._steps[0].unknown.ways())
        if solutions is None:
            unknowns = [step.unknown for step in self._steps]
            return prod(_texts(u) if len(u.names) == 1 else u.size for u in unknowns if set(u.names) & set(shown))
        return len({tuple(values[i].text for i in places) for values in solutions})

    def _listed(self, most: int, deadline: float) -> list[Values] | None:
        """List all solutions, or return None after `most` steps."""
        found: list[Values] = []
        env, nodes = dict(self._env), 0
        chosen: list[Values] = [()] * len(self._steps)

        def visit(depth: int) -> bool:
            nonlocal nodes
            if depth == len(self._steps):
                found.append(tuple(value for values in chosen for value in values))
                return True
            step = self._steps[depth]
            for values in self._ways(step, env):
                nodes += 1
                if nodes > most or (nodes % _CHECK == 0 and time.thread_time() > deadline):
                    return False
                chosen[depth] = values
                if _fits(step, values, env) and not visit(depth + 1):
                    return False
            return True

        return found if visit(0) else None

    def _ways(self, step: Step, env: dict[str, Any]) -> Iterator[Values]:
        if step.equation is None:
            return step.unknown.ways()
        try:
            return iter([(value,) for value in step.equation.solve(env)])
        except FAILURES:
            return iter(())

    def _hits(self, probes: int, enough: int, rng: Random, deadline: float) -> int:
        """Count the solutions among random assignments, up to `enough`."""
        env, hits = dict(self._env), 0
        for number in range(probes):
            hits += self._attempt(rng, env) is not None
            if hits >= enough or (number % _CHECK == 0 and time.thread_time() > deadline):
                break
        return hits

    def _attempt(self, rng: Random, env: dict[str, Any]) -> Values | None:
        """Draw every unknown at random, and return them if all conditions hold."""
        chosen: list[Value] = []
        random = rng.random
        try:
            for step, name, candidates, size in self._fast:
                if name:
                    value = candidates[int(random() * size)]
                elif step.equation is None:
                    values = step.unknown.pick(rng)
                    env.update(zip(step.unknown.names, [v.value for v in values], strict=True))
                    chosen += values
                    value = None
                else:
                    fitting = step.equation.solve(env)
                    place = int(random() * max(step.equation.most, len(fitting)))
                    if place >= len(fitting):
                        return None
                    value, name = fitting[place], step.unknown.names[0]
                if value is not None:
                    env[name] = value.value
                    chosen.append(value)
                for test in step.tests:
                    if not test(env):
                        return None
        except FAILURES:
            return None
        return tuple(chosen)

    def _refuse(self, rng: Random, deadline: float) -> Values:
        env = dict(self._env)
        while True:
            for _ in range(_CHECK):
                values = self._attempt(rng, env)
                if values is not None:
                    return values
            if time.thread_time() > deadline:
                raise Late

    def _search(self, rng: Random, deadline: float) -> Values:
        """Search depth first in random order, starting again whenever a growing number of steps is used up."""
        limit = 1_000
        while True:
            values = self._dive(rng, deadline, limit)
            if values is not None:
                return values
            limit = min(2 * limit, 1_000_000)

    def _dive(self, rng: Random, deadline: float, limit: int) -> Values | None:
        env, nodes = dict(self._env), 0
        chosen: list[Values] = [()] * len(self._steps)

        def visit(depth: int) -> bool:
            nonlocal nodes
            if depth == len(self._steps):
                return True
            step = self._steps[depth]
            ways = step.unknown.shuffled(rng, WIDEST) if step.equation is None else self._ways(step, env)
            for values in ways:
                nodes += 1
                if nodes % _CHECK == 0 and time.thread_time() > deadline:
                    raise Late
                if nodes > limit:
                    return False
                chosen[depth] = values
                if _fits(step, values, env) and visit(depth + 1):
                    return True
            return False

        return tuple(value for values in chosen for value in values) if visit(0) else None


def _texts(unknown: Unknown) -> int:
    return len({value.text for value in unknown.candidates})


def _direct(step: Step) -> tuple[Step, str, Sequence[Value], int]:
    """Return a step with the name and candidates of its unknown where one candidate is drawn directly."""
    unknown = step.unknown
    direct = step.equation is None and len(unknown.names) == 1 and unknown.runs is None
    return step, unknown.names[0] if direct else "", unknown.candidates, len(unknown.candidates)


def _fits(step: Step, values: Values, env: dict[str, Any]) -> bool:
    """Bind the values of a step in `env`, and say whether its tests hold."""
    for name, value in zip(step.unknown.names, values, strict=True):
        env[name] = value.value
    try:
        for test in step.tests:
            if not test(env):
                return False
    except FAILURES:
        return False
    return True
