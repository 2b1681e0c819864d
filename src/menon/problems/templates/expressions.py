"""A safe evaluator: expressions are parsed with `ast`, checked against a list of nodes, and compiled to closures.

Nothing is ever given to `eval`. There is no attribute access (`np.arange` and `np.random.randint` are names of their
own), no keyword argument, no comprehension; powers, texts, lists and the expression itself are bounded.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from menon.problems.templates.functions import FUNCTIONS, LARGEST_BITS, NUMBERS, TooLarge, bounded

LONGEST, MOST_NODES, DEEPEST = 10_000, 4_000, 150
LARGEST_POWER = 1_000

Env = Mapping[str, Any]
Compiled = Callable[[Env], Any]


class BadExpression(ValueError):
    """An expression outside of the language; the text says why."""


class Expression:
    """One expression; calling it with the variables' values gives its value.

    Raises one of `functions.FAILURES` when it cannot be evaluated with these values.
    """

    __slots__ = ("evaluate", "names", "text", "tree")

    def __init__(self, text: str):
        self.text = text.strip()
        self.tree = _parse(self.text)
        self.names = _names(self.tree)
        self.evaluate: Compiled = _compile(self.tree)

    def __call__(self, env: Env) -> Any:
        return self.evaluate(env)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Expression, (self.text,)


def _parse(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise BadExpression(f"it is {len(text):,} characters long; at most {LONGEST:,} are allowed")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise BadExpression(f"it is no expression ({reason})") from None
    count, level = 0, [tree]
    for _ in range(DEEPEST):
        count += len(level)
        level = [child for node in level for child in ast.iter_child_nodes(node) if not isinstance(child, _PUNCTUATION)]
    if level:
        raise BadExpression(f"it is nested more than {DEEPEST} deep")
    if count > MOST_NODES:
        raise BadExpression(f"it has {count:,} parts; at most {MOST_NODES:,} are allowed")
    return tree


_PUNCTUATION = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)


def _names(tree: ast.expr) -> frozenset[str]:
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Attribute) for part in ast.walk(node)}
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return frozenset(node.id for node in found if id(node) not in called and id(node) not in inside)


def _compile(node: ast.expr) -> Compiled:
    build = _BUILDERS.get(type(node))
    if build is None:
        raise BadExpression(f"{ast.unparse(node)[:60]!r} ({type(node).__name__}) is not part of the language")
    return build(node)


def _constant(node: ast.Constant) -> Compiled:
    value = node.value
    if type(value) not in (int, float, bool, str):
        raise BadExpression(f"{value!r:.60} is not part of the language")
    if type(value) is int and value.bit_length() > LARGEST_BITS:
        raise BadExpression("it holds a number that is too large")
    return lambda env: value


def _name(node: ast.Name) -> Compiled:
    return operator.itemgetter(node.id)


def _binary(node: ast.BinOp) -> Compiled:
    operation = _OPERATORS.get(type(node.op))
    if operation is None:
        raise BadExpression(f"operator {type(node.op).__name__} is not part of the language")
    left, right = _compile(node.left), _compile(node.right)
    if isinstance(node.right, ast.Constant):
        constant = right({})
        return lambda env: operation(left(env), constant)
    # Names are looked up here: that saves half of the calls of a search.
    one, two = [side.id if isinstance(side, ast.Name) else "" for side in (node.left, node.right)]
    if one and two:
        return lambda env: operation(env[one], env[two])
    if two:
        return lambda env: operation(left(env), env[two])
    return lambda env: operation(left(env), right(env))


def _plus(a: Any, b: Any) -> Any:
    if type(a) in NUMBERS and type(b) in NUMBERS:
        return a + b
    if isinstance(a, str) and isinstance(b, str):
        if len(a) + len(b) > LONGEST:
            raise TooLarge(f"a text of more than {LONGEST:,} characters")
        return a + b
    return bounded([*bounded(a), *bounded(b)])


def _times(a: Any, b: Any) -> Any:
    if type(a) in NUMBERS and type(b) in NUMBERS:
        return a * b
    if isinstance(a, str) or type(b) is not int:
        raise TypeError(f"{a!r:.40} cannot be multiplied by {b!r:.40}")
    items = bounded(a)
    bounded(range(len(items) * max(b, 0)))
    return list(items) * b


def _remainder(a: Any, b: Any) -> Any:
    if isinstance(a, str):
        raise TypeError(f"{a!r:.40} has no remainder")
    return a % b


def _power(a: Any, b: Any) -> Any:
    if type(a) not in NUMBERS or type(b) not in NUMBERS:
        raise TypeError(f"{a!r:.40} cannot be raised to {b!r:.40}")
    if abs(b) > LARGEST_POWER:
        raise TooLarge(f"a power above {LARGEST_POWER:,}")
    exact = Fraction(a) if type(a) is not float else Fraction(0)
    if max(exact.numerator.bit_length(), exact.denominator.bit_length()) * abs(b) > LARGEST_BITS:
        raise TooLarge(f"a number of more than {LARGEST_BITS:,} bits")
    result = a**b
    if isinstance(result, complex):
        raise ValueError(f"{a!r:.40} ** {b!r:.40} is no real number")
    return result


_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: _plus,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: _remainder,
    ast.Pow: _power,
}
_UNARY = {ast.Not: operator.not_, ast.USub: operator.neg, ast.UAdd: operator.pos}
_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


def _unary(node: ast.UnaryOp) -> Compiled:
    operation = _UNARY.get(type(node.op))
    if operation is None:
        raise BadExpression(f"operator {type(node.op).__name__} is not part of the language")
    operand = _compile(node.operand)
    return lambda env: operation(operand(env))


def _boolean(node: ast.BoolOp) -> Compiled:
    parts = [_compile(part) for part in node.values]
    if isinstance(node.op, ast.And):
        return lambda env: all(part(env) for part in parts)
    return lambda env: any(part(env) for part in parts)


def _compare(node: ast.Compare) -> Compiled:
    unknown = [type(op).__name__ for op in node.ops if type(op) not in _COMPARISONS]
    if unknown:
        raise BadExpression(f"comparison {unknown[0]} is not part of the language")
    first = _compile(node.left)
    rest = [(_COMPARISONS[type(op)], _compile(side)) for op, side in zip(node.ops, node.comparators, strict=True)]
    if len(rest) == 1:
        ((test, second),) = rest
        return lambda env: test(first(env), second(env))

    def chain(env: Env) -> bool:
        left = first(env)
        for test, side in rest:
            right = side(env)
            if not test(left, right):
                return False
            left = right
        return True

    return chain


def _choice(node: ast.IfExp) -> Compiled:
    test, then, otherwise = _compile(node.test), _compile(node.body), _compile(node.orelse)
    return lambda env: then(env) if test(env) else otherwise(env)


def _sequence(node: ast.List | ast.Tuple) -> Compiled:
    parts = [_compile(part) for part in node.elts]
    if isinstance(node, ast.Tuple):
        return lambda env: tuple(part(env) for part in parts)
    return lambda env: [part(env) for part in parts]


def _subscript(node: ast.Subscript) -> Compiled:
    whole = _compile(node.value)
    if isinstance(node.slice, ast.Slice):
        ends = [_compile(end) if end is not None else None for end in (node.slice.lower, node.slice.upper)]
        if node.slice.step is not None:
            raise BadExpression("a slice with a step is not part of the language")
        return lambda env: _indexable(whole(env))[slice(*(end(env) if end else None for end in ends))]
    index = _compile(node.slice)
    return lambda env: _indexable(whole(env))[index(env)]


def _indexable(whole: Any) -> Any:
    return whole if isinstance(whole, str) else bounded(whole)


def _call(node: ast.Call) -> Compiled:
    name = _dotted(node.func)
    if name not in FUNCTIONS:
        raise BadExpression(f"unknown function {name!r:.60}; known: {', '.join(FUNCTIONS)}")
    function, fewest, most = FUNCTIONS[name]
    if node.keywords or any(isinstance(part, ast.Starred) for part in node.args):
        raise BadExpression(f"{name}() takes plain arguments only")
    if not fewest <= len(node.args) <= most:
        allowed = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise BadExpression(f"{name}() got {len(node.args)} arguments; it takes {allowed}")
    parts = [_compile(part) for part in node.args]
    if len(parts) == 1:
        (only,) = parts
        return lambda env: function(only(env))
    if len(parts) == 2:
        one, two = parts
        return lambda env: function(one(env), two(env))
    return lambda env: function(*(part(env) for part in parts))


def _dotted(node: ast.expr) -> str:
    """Return the name that is called; only the two dotted names of the language are ever known."""
    if isinstance(node, ast.Name):
        return node.id
    return ast.unparse(node) if isinstance(node, ast.Attribute) else type(node).__name__


_BUILDERS: dict[type, Callable[[Any], Compiled]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _choice,
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.Subscript: _subscript,
    ast.Call: _call,
}
