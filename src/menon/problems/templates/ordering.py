"""The order in which a search binds variables: each condition is tested as soon as its names are bound.

An unknown that an equation determines is computed from it rather than tried.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from math import perm
from random import Random
from typing import Any

from menon.problems.templates.expressions import Compiled, Expression
from menon.problems.templates.functions import FAILURES, NUMBERS, Value

Values = tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Names that are bound together: one, or those of a draw without replacement or of a run."""

    names: tuple[str, ...]
    candidates: Sequence[Value]
    runs: Sequence[Values] | None = None

    @property
    def size(self) -> int:
        """The number of ways to bind it."""
        return len(self.runs) if self.runs is not None else perm(len(self.candidates), len(self.names))

    def pick(self, rng: Random) -> Values:
        """Draw one of the ways, each with the same probability."""
        if self.runs is not None:
            return self.runs[int(rng.random() * len(self.runs))]
        if len(self.names) == 1:
            return (self.candidates[int(rng.random() * len(self.candidates))],)
        return tuple(rng.sample(self.candidates, len(self.names)))

    def ways(self) -> Iterator[Values]:
        """Yield every way."""
        return iter(self.runs) if self.runs is not None else permutations(self.candidates, len(self.names))

    def shuffled(self, rng: Random, most: int) -> Iterator[Values]:
        """Yield the ways in random order; only `most` random ones where there are more."""
        if self.size > most:
            return (self.pick(rng) for _ in range(most))
        ways = list(self.ways())
        rng.shuffle(ways)
        return iter(ways)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One unknown of a search, the conditions that can be tested once it is bound, and the equation that fixes it."""

    unknown: Unknown
    tests: tuple[Compiled, ...] = ()
    equation: "Equation | None" = None


class Equation:
    """A condition `left == right` that is linear in one name, solved for it."""

    def __init__(self, condition: Expression, name: str, candidates: Sequence[Value]):
        tree = condition.tree
        assert isinstance(tree, ast.Compare)
        self.name = name
        self._difference = Expression(f"({ast.unparse(tree.left)}) - ({ast.unparse(tree.comparators[0])})").evaluate
        self._by_value: dict[Any, list[Value]] = {}
        self._by_rounded: dict[Any, list[Value]] = {}
        for candidate in candidates:
            self._by_value.setdefault(candidate.value, []).append(candidate)
            self._by_rounded.setdefault(round(float(candidate.value), 6), []).append(candidate)
        self.most = max(map(len, self._by_rounded.values()))
        self._all = list(candidates)

    def solve(self, env: dict[str, Any]) -> Sequence[Value]:
        """Return the candidates that may solve the equation; floating-point ones have still to be tested."""
        root = self.root(env)
        if root is None:
            return ()
        if root is True:
            return self._all
        return self._by_value.get(root) or self._by_rounded.get(round(float(root), 6), ())

    def root(self, env: dict[str, Any]) -> Any:
        """Return the solution in all numbers, True where every number is one, and None where none is."""
        env[self.name] = 0
        at_zero = self._difference(env)
        env[self.name] = 1
        slope = self._difference(env) - at_zero
        if slope == 0:
            return True if at_zero == 0 else None
        if type(slope) is float or type(at_zero) is float:
            return -at_zero / slope
        root = Fraction(-at_zero) / slope
        return root.numerator if root.denominator == 1 else root


def equation_for(condition: Expression, name: str, candidates: Sequence[Value]) -> Equation | None:
    """Return `condition` solved for `name`, or None where it is no equation that is linear in it."""
    tree = condition.tree
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or not isinstance(tree.ops[0], ast.Eq):
        return None
    degrees = [_degree(side, name) for side in (tree.left, tree.comparators[0])]
    if max(degrees) != 1 or any(type(candidate.value) not in NUMBERS for candidate in candidates):
        return None
    return Equation(condition, name, candidates)


_NOT_LINEAR = 99


def _degree(node: ast.expr, name: str) -> int:
    """Return the degree of `node` in `name`: 0, 1, or more where it is not known to be linear."""
    if isinstance(node, ast.Name):
        return int(node.id == name)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return _degree(node.operand, name)
    if isinstance(node, ast.BinOp):
        left, right = _degree(node.left, name), _degree(node.right, name)
        if isinstance(node.op, ast.Add | ast.Sub):
            return max(left, right)
        if isinstance(node.op, ast.Mult):
            return left + right
        if isinstance(node.op, ast.Div) and not right:
            return left
        return _NOT_LINEAR if left or right else 0
    return _NOT_LINEAR if any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node)) else 0


def conjuncts(condition: Expression) -> list[Expression]:
    """Split `a < b < c` and `a and b` into conditions that can be tested one by one."""
    tree = condition.tree
    if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
        return [piece for part in tree.values for piece in conjuncts(Expression(ast.unparse(part)))]
    if isinstance(tree, ast.Compare) and len(tree.ops) > 1:
        sides = [tree.left, *tree.comparators]
        pairs = zip(sides, tree.ops, sides[1:], strict=False)
        return [Expression(ast.unparse(ast.Compare(left, [op], [right]))) for left, op, right in pairs]
    return [condition]


def components(unknowns: Sequence[Unknown], conditions: Sequence[Expression]) -> list[list[Unknown]]:
    """Group unknowns that conditions tie together, in the order of their first member."""
    groups: list[list[Unknown]] = [[unknown] for unknown in unknowns]
    for condition in conditions:
        tied = [group for group in groups if any(condition.names.intersection(u.names) for u in group)]
        for group in tied[1:]:
            tied[0].extend(group)
            groups.remove(group)
    return groups


def ordered(unknowns: Sequence[Unknown], conditions: Sequence[Expression]) -> list[Step]:
    """Order unknowns: what an equation fixes at once, then what completes a condition, then small domains."""
    steps: list[Step] = []
    left, waiting = list(unknowns), list(conditions)
    free = {name for unknown in unknowns for name in unknown.names}
    bound: set[str] = set()
    while left:
        equation, unknown = _determined(left, waiting, free, bound)
        if unknown is None:
            unknown = min(left, key=lambda u: _rank(u, waiting, free, bound))
        left.remove(unknown)
        bound.update(unknown.names)
        done = [condition for condition in waiting if condition.names & free <= bound]
        waiting = [condition for condition in waiting if condition not in done]
        steps.append(Step(unknown=unknown, equation=equation, tests=tuple(c.evaluate for c in sorted(done, key=_cost))))
    return steps


def _determined(
    left: Sequence[Unknown], waiting: Sequence[Expression], free: set[str], bound: set[str]
) -> tuple[Equation | None, Unknown | None]:
    for condition in waiting:
        missing = (condition.names & free) - bound
        for unknown in left:
            if missing == set(unknown.names) and len(missing) == 1 and unknown.size > 1:
                equation = equation_for(condition, unknown.names[0], unknown.candidates)
                if equation is not None:
                    return equation, unknown
    return None, None


def _rank(unknown: Unknown, waiting: Sequence[Expression], free: set[str], bound: set[str]) -> tuple[int, int]:
    """Order the candidates for the next place: smaller is earlier."""
    ties = [condition.names & free for condition in waiting if condition.names.intersection(unknown.names)]
    completes = any(names - bound <= set(unknown.names) for names in ties)
    touched = any(names & bound for names in ties)
    return (0 if completes else 1 if touched or not bound else 2), unknown.size


def _cost(condition: Expression) -> int:
    return len(condition.text)


def holds(condition: Compiled, env: Mapping[str, Any]) -> bool:
    """Say whether a condition is true; one that cannot be evaluated is not."""
    try:
        return bool(condition(env))
    except FAILURES:
        return False
