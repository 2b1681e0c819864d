"""Narrow the domains of variables by interval arithmetic on the conditions that compare them.

A candidate goes when no values of the other variables, within their smallest and largest, can make a condition hold.
No solution is ever lost. Left out: divisibility, `int`, `round` and every other function (any value is possible).
Source: bounds propagation as in any text on constraint programming; the code is our own.
"""

import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any

from menon.problems.templates.expressions import Expression
from menon.problems.templates.functions import NUMBERS, Value

Interval = tuple[float, float]

ANYTHING: Interval = (-math.inf, math.inf)
ROUNDS = 4
LARGEST = 5_000  # candidates; larger domains are left as they are
MARGIN = 1e-9  # relative; floating-point bounds are never trusted to the last bit


def narrowed(
    domains: Mapping[str, Sequence[Value]], conditions: Sequence[Expression], env: Mapping[str, Any]
) -> dict[str, Sequence[Value]]:
    """Return `domains` without the candidates that no condition allows; a domain may become empty."""
    kept = dict(domains)
    bounds = {name: (float(v), float(v)) for name, v in env.items() if _is_number(v)}
    bounds |= {name: _span(values) for name, values in kept.items() if _is_numeric(values)}
    useful = [c for c in conditions if isinstance(c.tree, ast.Compare) and len(c.tree.ops) == 1]
    for _ in range(ROUNDS):
        before = {name: len(values) for name, values in kept.items()}
        for condition in useful:
            assert isinstance(condition.tree, ast.Compare)
            for name in condition.names & bounds.keys() & kept.keys():
                values = [v for v in kept[name] if _possible(condition.tree, {**bounds, name: _span([v])})]
                kept[name] = values
                if not values:
                    return kept
                bounds[name] = _span(values)
        if before == {name: len(values) for name, values in kept.items()}:
            break
    return kept


def _is_numeric(values: Sequence[Value]) -> bool:
    return 0 < len(values) <= LARGEST and all(_is_number(value.value) for value in values)


def _is_number(value: Any) -> bool:
    return type(value) in NUMBERS and abs(value) < 1e300


def _span(values: Sequence[Value]) -> Interval:
    numbers = [float(value.value) for value in values]
    return min(numbers), max(numbers)


def _possible(tree: ast.Compare, bounds: Mapping[str, Interval]) -> bool:
    """Say whether a comparison can hold within the bounds."""
    left, right = _interval(tree.left, bounds), _interval(tree.comparators[0], bounds)
    slack = MARGIN * max([1.0, *(abs(end) for end in (*left, *right) if math.isfinite(end))])
    kind = type(tree.ops[0])
    below, above = left[0] <= right[1] + slack, left[1] >= right[0] - slack
    if kind in (ast.Lt, ast.LtE):
        return below
    if kind in (ast.Gt, ast.GtE):
        return above
    return below and above if kind is ast.Eq else True


def _interval(node: ast.expr, bounds: Mapping[str, Interval]) -> Interval:
    """Return an interval that holds every value of `node`."""
    if isinstance(node, ast.Constant):
        value: Any = node.value
        return (float(value), float(value)) if type(value) in (int, float) and abs(value) < 1e300 else ANYTHING
    if isinstance(node, ast.Name):
        return bounds.get(node.id, ANYTHING)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        low, high = _interval(node.operand, bounds)
        return -high, -low
    if not isinstance(node, ast.BinOp):
        return ANYTHING
    (a, b), (c, d) = _interval(node.left, bounds), _interval(node.right, bounds)
    if isinstance(node.op, ast.Add):
        return _clean([a + c, b + d])
    if isinstance(node.op, ast.Sub):
        return _clean([a - d, b - c])
    if isinstance(node.op, ast.Mult):
        return _clean([a * c, a * d, b * c, b * d])
    if isinstance(node.op, ast.Div | ast.FloorDiv) and (c > 0 or d < 0):
        low, high = _clean([a / c, a / d, b / c, b / d])
        return (low, high) if isinstance(node.op, ast.Div) else (low - 1, high)
    return ANYTHING


def _clean(ends: Sequence[float]) -> Interval:
    return ANYTHING if any(math.isnan(end) for end in ends) else (min(ends), max(ends))
