"""Draw values for a template's variables so that all of its conditions hold.

Variables that no condition ties together are drawn apart, each part in the first of three ways that works:

1. values are drawn at random and refused at the first condition that fails; an unknown that an equation fixes is
   computed (where a probe shows that enough is accepted): uniform;
2. all solutions of the part are listed once (up to `MOST_NODES` steps of a search), and one is picked: uniform;
3. a randomised depth-first search with restarts, for parts with few solutions in a large space: every solution can
   come, but not with equal probability.

Domains are narrowed first by interval arithmetic. How the published instances were drawn is not known. Left out:
reasoning about divisibility.
Source: the template language of Mirzadeh et al. 2024, arXiv:2410.05229.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from math import inf, prod
from random import Random
from typing import Any

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.problems.templates.expressions import Expression
from menon.problems.templates.functions import FAILURES, Value
from menon.problems.templates.intervals import narrowed
from menon.problems.templates.language import Assignment, Template, Variable
from menon.problems.templates.ordering import Unknown, components, conjuncts, holds
from menon.problems.templates.parts import PROBES, Late, Part

_STALE = 40  # repeats in a row before the distinct questions are counted


def draw(
    template: Template,
    *names: str | int,
    count: int = 1,
    fixed: Mapping[str, Value] | None = None,
    distinct: bool = True,
    time_limit_s: float = 4.0,
) -> list[Assignment]:
    """Draw `count` assignments under which every condition holds; equal arguments give equal assignments.

    `names` name the draw and seed it. `fixed` gives variables their value; conditions among fixed variables alone are
    the caller's business, all others are kept. `distinct` asks for different questions. What distribution the
    assignments have is in the docstring of the module.

    Raises:
        TemplateError: the conditions cannot be met, there are fewer distinct questions than `count`, or the time limit
            (of processor time) was reached.
        ConfigError: `fixed` names a variable that the template does not have.
    """
    deadline = time.thread_time() + time_limit_s
    solver = solver_for(template, fixed or {}, deadline)
    rng = rng_for("template", template.id, *names)
    found: list[Assignment] = []
    seen: set[tuple[str, ...]] = set()
    stale = 0
    while len(found) < count:
        try:
            assignment = solver.draw(rng, deadline)
        except Late:
            raise _gave_up(template, solver, len(found), count, time_limit_s) from None
        key = tuple([assignment[name].text for name in template.shown])
        if distinct and key in seen:
            stale += 1
            if stale == _STALE and (most := solver.questions()) < count:
                raise template.error(f"it has only {most} distinct questions, {count} were asked for; ask for fewer")
            if stale > _STALE and time.thread_time() > deadline:
                raise _gave_up(template, solver, len(found), count, time_limit_s)
            continue
        stale = 0
        seen.add(key)
        found.append(assignment)
    return found


def solver_for(template: Template, fixed: Mapping[str, Value], deadline: float = inf) -> "Solver":
    """Return the solver of a template with some variables fixed; it is kept with the template.

    `deadline` is a time of `time.thread_time`, so that a busy machine does not make a template unsolvable.
    """
    key = frozenset(fixed.items())
    if key not in template.solvers:
        if len(template.solvers) > 64:
            template.solvers.clear()
        template.solvers[key] = Solver(template, fixed, deadline)
    return template.solvers[key]


def violations(template: Template, assignment: Mapping[str, Value]) -> list[Expression]:
    """Return the conditions that do not hold, or cannot be evaluated, under `assignment`."""
    env = {name: value.value for name, value in assignment.items()}
    return [condition for condition in template.conditions if not holds(condition.evaluate, env)]


def _gave_up(template: Template, solver: "Solver", found: int, count: int, limit: float) -> Exception:
    if found:
        return template.error(f"{found} of {count} distinct questions found in {limit:g} s; ask for fewer")
    return template.error(f"no solution found in {limit:g} s; {solver.diagnosis()}")


class Solver:
    """The parts of one template under one set of fixed variables."""

    def __init__(self, template: Template, fixed: Mapping[str, Value], deadline: float = inf):
        unknown = sorted(set(fixed) - set(template.domains))
        if unknown:
            raise ConfigError(
                f"{unknown[0]!r} is no variable of {template.id!r}; it has: {', '.join(template.domains)}"
            )
        self._template = template
        self._fixed = dict(fixed)
        self._env = {name: value.value for name, value in fixed.items()}
        free = set(template.domains) - set(fixed)
        self._conditions = [c for c in template.conditions if c.names & free]
        self._pieces = [piece for c in self._conditions for piece in conjuncts(c) if piece.names & free]
        for condition in template.conditions:
            if not condition.names and not holds(condition.evaluate, {}):
                raise template.error(f"condition {condition.text!r} is never true{_reason(condition, {})}")
        unknowns = [u for variable in template.variables for u in _unknowns(variable, fixed)]
        unknowns = self._bounded([self._narrowed(u) for u in unknowns])
        rng = rng_for("template", template.id, "plan")
        self.parts: list[Part] = []
        for group in components(unknowns, self._pieces):
            tied = [c for c in self._pieces if _ties(c, group) and not _is_unary(c, group, self._env)]
            self.parts.append(Part(group, tied, self._env, rng, deadline))
        empty = next((part for part in self.parts if part.solutions == []), None)
        if empty is not None:
            raise template.error(f"its conditions cannot be met, all ways were tried; {self.diagnosis()}")

    def draw(self, rng: Random, deadline: float) -> Assignment:
        """Draw one assignment; raise `Late` when the deadline passes first."""
        assignment = dict(self._fixed)
        for part in self.parts:
            part.draw(rng, deadline, assignment)
        return assignment

    def some(self, most: int) -> Iterator[Assignment]:
        """Yield up to `most` different assignments, all of them where there are fewer and every part is listed."""
        choices = [part.some(most) for part in self.parts]
        if not all(choices):
            return
        for number in range(most):
            assignment, rest = dict(self._fixed), number
            for part, values in zip(self.parts, choices, strict=True):
                rest, at = divmod(rest, len(values))
                assignment.update(zip(part.names, values[at], strict=True))
            if rest:
                return
            yield assignment

    def questions(self) -> int:
        """Count the distinct questions; a part that is too large to list counts with all of its combinations."""
        return prod(part.questions(self._template.shown) for part in self.parts)

    def diagnosis(self) -> str:
        """Name the condition that fails, from random assignments of its own names."""
        rng = rng_for("template", self._template.id, "diagnosis")
        unknowns = [u for variable in self._template.variables for u in _unknowns(variable, self._fixed)]
        held, reason = [0] * len(self._conditions), ""
        for _ in range(PROBES // 2):
            env = dict(self._env)
            for unknown in unknowns:
                env.update(zip(unknown.names, (v.value for v in unknown.pick(rng)), strict=True))
            for number, condition in enumerate(self._conditions):
                try:
                    held[number] += bool(condition(env))
                except FAILURES as error:
                    reason = f" ({condition.text!r:.100}: {str(error)[:100]})"
        never = [repr(c.text) for c, times in zip(self._conditions, held, strict=True) if not times]
        tried = f"in {PROBES // 2:,} random assignments"
        if never:
            return f"condition {', '.join(never)} never held {tried}{reason}"
        return f"each condition held alone {tried}, but not all together"

    def _bounded(self, unknowns: Sequence[Unknown]) -> list[Unknown]:
        """Drop candidates that interval arithmetic rules out."""
        single = {u.names[0]: u.candidates for u in unknowns if len(u.names) == 1 and u.runs is None}
        kept = narrowed(single, self._pieces, self._env)
        empty = next((name for name, values in kept.items() if not values), None)
        if empty is not None:
            raise self._template.error(
                f"its conditions cannot be met: the bounds of the other variables leave none of the "
                f"{len(single[empty]):,} candidates of {empty!r}; {self.diagnosis()}"
            )
        return [Unknown(names=u.names, candidates=kept[u.names[0]]) if u.names[0] in kept else u for u in unknowns]

    def _narrowed(self, unknown: Unknown) -> Unknown:
        """Drop candidates that fail a condition on this name alone."""
        if len(unknown.names) > 1 or unknown.runs is not None:
            return unknown
        name = next(iter(unknown.names))
        kept = unknown.candidates
        for condition in self._pieces:
            if condition.names - set(self._env) == {name}:
                kept = [v for v in kept if holds(condition.evaluate, {**self._env, name: v.value})]
                if not kept:
                    raise self._template.error(
                        f"condition {condition.text!r} cannot be met: none of the {len(unknown.candidates):,} "
                        f"candidates of {name!r} satisfies it together with the conditions on {name!r} before it"
                        + _reason(condition, {**self._env, name: unknown.candidates[0].value})
                    )
        return Unknown(names=unknown.names, candidates=kept)


def _reason(condition: Expression, env: Mapping[str, Any]) -> str:
    """Return why a condition cannot be evaluated, in brackets, or nothing where it can."""
    try:
        condition(env)
    except FAILURES as error:
        return f" ({type(error).__name__}: {str(error)[:100]})"
    return ""


def _ties(condition: Expression, group: Sequence[Unknown]) -> bool:
    return any(condition.names.intersection(unknown.names) for unknown in group)


def _is_unary(condition: Expression, group: Sequence[Unknown], env: Mapping[str, Any]) -> bool:
    """Say whether `_narrowed` has dealt with a condition."""
    names = condition.names - set(env)
    return any(names == set(u.names) and len(u.names) == 1 and u.runs is None for u in group)


def _unknowns(variable: Variable, fixed: Mapping[str, Value]) -> list[Unknown]:
    names = tuple(name for name in variable.names if name not in fixed)
    if not names:
        return []
    values = list(variable.candidates)
    if variable.marked:
        return [Unknown(names=names, candidates=list(dict.fromkeys(values)))]
    given = {i: fixed[name] for i, name in enumerate(variable.names) if name in fixed}
    if variable.cyclic and len(variable.names) > 1:
        runs = [[values[(s + i) % len(values)] for i in range(len(variable.names))] for s in range(len(values))]
        fitting = [tuple(v for i, v in enumerate(r) if i not in given) for r in runs if _agrees(r, given)]
        if fitting:
            return [Unknown(names=names, candidates=values, runs=fitting)]
    for value in given.values():
        if value in values and len(values) > len(names):
            values.remove(value)
    return [Unknown(names=names, candidates=values)]


def _agrees(run: Sequence[Value], given: Mapping[int, Value]) -> bool:
    return all(run[i].text == value.text for i, value in given.items())
