"""From a syntax tree to nested Python closures over a list of allowed nodes.

A closure takes the variables and returns a value. Frequent shapes (names and constants as operands) get closures of
their own, which halves their time. Nothing is ever given to `eval`, no attribute of a Python object is ever read, and
a `KeyError` out of a closure means exactly: this variable is not set.
"""

import ast
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any

from menon.flowcharts import operations
from menon.flowcharts.calls import (
    PYTHON,
    calling,
    charging,
    charging_call,
    charging_result,
    checked,
    parameters,
    unmetered,
)
from menon.flowcharts.comprehensions import Target, lazily, listed, paired
from menon.flowcharts.expression_errors import ExpressionError, nearest
from menon.flowcharts.expression_syntax import Origin, count_nodes
from menon.flowcharts.functions import QUICK, STANDARD, SYNONYMS, Function
from menon.flowcharts.limits import METER, size

Values = Mapping[str, Any]
Run = Callable[[Values], Any]
NODES_PER_STEP = 10  # an iteration whose body has more nodes counts as several

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_BOUNDED = {kind: operations.comparing(compare) for kind, compare in _COMPARISONS.items()}
_BOUNDED |= {ast.In: operations.within, ast.NotIn: operations.without}
_BOUNDED |= {ast.Is: operator.is_, ast.IsNot: operator.is_not}

_ALLOWED = "names, constants, operators, comparisons, if-else, [..], {..}, comprehensions and calls of functions"
_KINDS = {
    "Lambda": "a lambda",
    "NamedExpr": "an assignment inside of an expression",
    "JoinedStr": "an f-string",
    "Starred": "a star",
    "Set": "a set",
    "SetComp": "a set comprehension",
    "GeneratorExp": "a generator outside of a call",
    "Await": "await",
    "Yield": "yield",
    "YieldFrom": "yield",
}


class Compiler:
    """Compiles the expressions of one source; collects the functions that they call."""

    def __init__(self, functions: Mapping[str, Function], origin: Origin, *, metered: bool):
        self.functions, self.origin, self.metered = functions, origin, metered
        self.calls: set[str] = set()

    def build(self, node: ast.expr) -> Run:
        """Compile one node.

        Raises:
            ExpressionError: it is not part of the language.
        """
        builder = getattr(self, f"_build_{type(node).__name__}", None)
        if builder is None:
            raise self._outside(node, _KINDS.get(type(node).__name__, type(node).__name__))
        return builder(node)

    def name(self, node: ast.AST, name: str) -> str:
        """Return a name that may be used."""
        if name.startswith("__"):
            raise self.origin.error(node, f"the name `{name}` is not allowed", "use a name without leading underscores")
        return name

    def _outside(self, node: ast.AST, what: str) -> ExpressionError:
        mend = f"use {_ALLOWED} only, or write the node as a code block of several lines"
        return self.origin.error(node, f"{what} is not part of the language of expressions", mend, other=True)

    def _build_Constant(self, node: ast.Constant) -> Run:
        value = self._constant(node)
        return lambda values: value

    def _constant(self, node: ast.Constant) -> Any:
        value = node.value
        if value is not None and type(value) not in (str, int, float, bool):
            raise self._outside(node, f"a constant of type {type(value).__name__}")
        try:
            return value if value is None or type(value) is bool else operations.settle(value)
        except ValueError as error:
            raise self.origin.error(node, str(error), "write a smaller number") from None

    def _build_Name(self, node: ast.Name) -> Run:
        return operator.itemgetter(self.name(node, node.id))

    def _build_BinOp(self, node: ast.BinOp) -> Run:
        operation = operations.BINARY.get(type(node.op).__name__)
        if operation is None:
            raise self._outside(node, f"the operator {type(node.op).__name__}")
        if self.metered:
            operation = charging_result(operation)
            left, right = self.build(node.left), self.build(node.right)
            return lambda values: operation(values, left(values), right(values))
        return self._pair(operation, node.left, node.right)

    def _pair(self, operation: Callable[[Any, Any], Any], left_node: ast.expr, right_node: ast.expr) -> Run:
        """Apply an operation to two operands, by the shortest way that their shapes allow."""
        left, right = self.build(left_node), self.build(right_node)
        one = left_node.id if isinstance(left_node, ast.Name) else None
        two = right_node.id if isinstance(right_node, ast.Name) else None
        if isinstance(right_node, ast.Constant):
            constant = right_node.value
            if one is not None:
                return lambda values: operation(values[one], constant)
            return lambda values: operation(left(values), constant)
        if one is not None and two is not None:
            return lambda values: operation(values[one], values[two])
        return lambda values: operation(left(values), right(values))

    def _build_UnaryOp(self, node: ast.UnaryOp) -> Run:
        inner = self.build(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda values: not inner(values)
        if isinstance(node.op, ast.Invert):
            raise self._outside(node, "the operator ~")
        operation = operations.negative if isinstance(node.op, ast.USub) else operations.positive
        if isinstance(node.operand, ast.Constant) and type(node.operand.value) in (int, float):
            constant = operation(node.operand.value)
            return lambda values: constant
        return lambda values: operation(inner(values))

    def _build_BoolOp(self, node: ast.BoolOp) -> Run:
        parts = [self.build(part) for part in node.values]
        every = isinstance(node.op, ast.And)
        if len(parts) == 2:
            left, right = parts
            if every:
                return lambda values: left(values) and right(values)
            return lambda values: left(values) or right(values)

        def run(values: Values) -> Any:
            result = None
            for part in parts:
                result = part(values)
                if bool(result) is not every:
                    break
            return result

        return run

    def _build_IfExp(self, node: ast.IfExp) -> Run:
        test, yes, no = self.build(node.test), self.build(node.body), self.build(node.orelse)
        return lambda values: yes(values) if test(values) else no(values)

    def _build_Compare(self, node: ast.Compare) -> Run:
        for compare, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(compare, (ast.Is, ast.IsNot)) and not _is_singleton(right):
                raise self._outside(node, "`is` with anything but None, True or False")
        if len(node.ops) == 1 and not self.metered:
            return self._pair(self._comparison(node.ops[0], node.comparators[0]), node.left, node.comparators[0])
        return self._chain(node)

    @staticmethod
    def _comparison(kind: ast.cmpop, right: ast.expr) -> Callable[[Any, Any], bool]:
        plain = _COMPARISONS.get(type(kind)) if isinstance(right, ast.Constant) else None
        return plain or _BOUNDED[type(kind)]

    def _chain(self, node: ast.Compare) -> Run:
        first = self.build(node.left)
        links = [
            (charging(_BOUNDED[type(kind)]) if self.metered else unmetered(_BOUNDED[type(kind)]), self.build(right))
            for kind, right in zip(node.ops, node.comparators, strict=True)
        ]

        def run(values: Values) -> bool:
            left = first(values)
            for compare, build_right in links:
                right = build_right(values)
                if not compare(values, left, right):
                    return False
                left = right
            return True

        return run

    def _build_Attribute(self, node: ast.Attribute) -> Run:
        container, key, member = self.build(node.value), self.name(node, node.attr), operations.member
        return lambda values: member(container(values), key)

    def _build_Subscript(self, node: ast.Subscript) -> Run:
        if not isinstance(node.slice, ast.Slice):
            return self._pair(operations.item, node.value, node.slice)
        container, cut, metered = self.build(node.value), operations.cut, self.metered
        bounds = [
            self.build(part) if part else _nothing for part in (node.slice.lower, node.slice.upper, node.slice.step)
        ]
        low, high, step = bounds

        def run(values: Values) -> Any:
            result = cut(container(values), low(values), high(values), step(values))
            if metered:
                values[METER].charge(size(result))
            return result

        return run

    def _build_List(self, node: ast.List | ast.Tuple) -> Run:
        parts = [self.build(part) for part in node.elts]
        return lambda values: [part(values) for part in parts]

    _build_Tuple = _build_List

    def _build_Dict(self, node: ast.Dict) -> Run:
        pairs: list[tuple[Run, Run]] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise self._outside(node, "** in a json value")
            pairs.append((self.build(key), self.build(value)))
        return lambda values: {_key(key(values)): value(values) for key, value in pairs}

    def _build_ListComp(self, node: ast.ListComp | ast.GeneratorExp) -> Run:
        return listed(self._targets(node), self.build(node.elt))

    def _build_DictComp(self, node: ast.DictComp) -> Run:
        key, value = self.build(node.key), self.build(node.value)
        return paired(self._targets(node), lambda values: (_key(key(values)), value(values)))

    def _targets(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp) -> list[Target]:
        steps = 1 + count_nodes(node) // NODES_PER_STEP
        targets = []
        for generator in node.generators:
            if generator.is_async:
                raise self._outside(node, "async for")
            ifs = tuple(self.build(condition) for condition in generator.ifs)
            names = self._target(generator.target)
            targets.append(Target(names=names, over=self.build(generator.iter), ifs=ifs, steps=steps))
        return targets

    def _target(self, target: ast.expr) -> str | tuple[Any, ...]:
        if isinstance(target, ast.Name):
            return self.name(target, target.id)
        if isinstance(target, (ast.Tuple, ast.List)):
            return tuple(self._target(part) for part in target.elts)
        raise self._outside(target, f"for with {ast.unparse(target)[:40]!r}")

    def _build_Call(self, node: ast.Call) -> Run:
        if not isinstance(node.func, ast.Name):
            raise self._no_function(node)
        name = self.name(node, node.func.id)
        function = self.functions.get(name)
        if function is None:
            raise self._unknown(node, name)
        self.calls.add(name)
        self._check_signature(node, name, function)
        quick = self._lazy(node, function)
        if quick is not None:
            return quick
        positional = [self._argument(part) for part in node.args]
        keywords = [(keyword.arg or "", self._argument(keyword.value)) for keyword in node.keywords]
        standard = STANDARD.get(name) is function
        call = function.call if standard else checked(name, function.call)
        if self.metered and not (standard and name in QUICK):
            call = charging_call(call)
            return lambda values: call(
                values, [part(values) for part in positional], {key: part(values) for key, part in keywords}
            )
        return calling(call, positional, keywords, node)

    def _argument(self, node: ast.expr) -> Run:
        return self._build_ListComp(node) if isinstance(node, ast.GeneratorExp) else self.build(node)

    def _lazy(self, node: ast.Call, function: Function) -> Run | None:
        """Stop `any` and `all` over a generator as early as Python does."""
        if len(node.args) != 1 or not isinstance(node.args[0], ast.GeneratorExp):
            return None
        generator = node.args[0]
        if function is STANDARD["any"]:
            return lazily(self._targets(generator), self.build(generator.elt), stop_at=True)
        if function is STANDARD["all"]:
            return lazily(self._targets(generator), self.build(generator.elt), stop_at=False)
        return None

    def _check_signature(self, node: ast.Call, name: str, function: Function) -> None:
        if any(keyword.arg is None for keyword in node.keywords) or any(isinstance(a, ast.Starred) for a in node.args):
            raise self._outside(node, "a star in a call")
        for keyword in node.keywords:
            self.name(node, keyword.arg or "")
        try:
            signature = inspect.signature(function.call)
        except (TypeError, ValueError):  # some functions written in C have none
            return
        try:
            signature.bind(*node.args, **{keyword.arg or "": None for keyword in node.keywords})
        except TypeError as error:
            raise self.origin.error(node, f"{name}(): {error}", f"write {name}({parameters(signature)})") from None

    def _unknown(self, node: ast.Call, name: str) -> ExpressionError:
        known = SYNONYMS.get(name)
        hint = f"did you mean `{known}`?" if known in self.functions else nearest(name, self.functions)
        mend = hint or f"use one of {', '.join(sorted(self.functions)) or 'no function'}"
        return self.origin.error(node, f"there is no function `{name[:60]}`", mend, other=name in PYTHON)

    def _no_function(self, node: ast.Call) -> ExpressionError:
        if not isinstance(node.func, ast.Attribute):
            return self._outside(node, "a call of something without a name")
        method = self.name(node, node.func.attr)
        known = method if method in self.functions else SYNONYMS.get(method)
        mend = f"write {known}(...) with the value as first argument" if known in self.functions else "call a function"
        return self.origin.error(node, f"values have no methods such as `.{method[:60]}()`", mend, other=True)


def _is_singleton(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def _nothing(values: Values) -> None:
    return None


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    raise TypeError(f"the keys of a json value must be text, and one is a {operations.kind_of(key)}")
