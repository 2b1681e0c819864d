"""A small interpreter for a subset of Python in which positions may be counted from 0 or from 1.

It walks the syntax tree of a whitelisted subset and never calls Python's own `eval` or `exec`. Steps, sizes of values
and the length of the source are limited. With `first=1`: `x[1]` is the first element, `x[a:b]` the elements from
position a up to but without position b, `range(n)` is 1 to n, `enumerate` and `.index` count from 1; `range(a, b)` is
unchanged. Positions below `first` are errors in both dialects, so a program means the same wherever it runs at all.
Left out: everything else of Python; `translated` turns a program of one dialect into one of the other.
"""

import ast
import operator
from collections.abc import Callable
from typing import Any

from menon.core.errors import DataError

MOST_STEPS = 10_000
MOST_ELEMENTS = 1_000
LARGEST_NUMBER = 10**12
LONGEST_SOURCE = 4_000

_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_CALLS = ("len", "sum", "max", "min", "range", "enumerate", "list", "str")
_METHODS = ("append", "index")


class ProgramError(DataError):
    """A program outside the subset, over its limits, or with an error of its own."""


class _Return(Exception):
    def __init__(self, value: Any):
        self.value = value


def run(source: str, *, first: int = 0) -> Any:
    """Run a program and return the value of its last line, which must be an expression.

    Raises:
        ProgramError: the program uses what is not in the subset, exceeds a limit, or fails.
    """
    body = _parsed(source).body
    if not body or not isinstance(body[-1], ast.Expr):
        raise ProgramError(f"the last line of the program is no expression: {source[-80:]!r}")
    machine = _Machine(first)
    names: dict[str, Any] = {}
    try:
        for statement in body[:-1]:
            machine.execute(statement, names)
        return machine.value(body[-1].value, names)
    except RecursionError:
        raise ProgramError("the program is nested too deeply") from None
    except _Return:
        raise ProgramError("a return outside a function") from None


def translated(source: str, *, first: int) -> str:
    """Rewrite a program that counts from `first` (0 or 1) into one that counts from the other."""
    return ast.unparse(ast.fix_missing_locations(_Translator(1 if first else -1).visit(_parsed(source))))


def _parsed(source: str) -> ast.Module:
    if len(source) > LONGEST_SOURCE:
        raise ProgramError(f"a program of {len(source)} characters; at most {LONGEST_SOURCE} are allowed")
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ProgramError(f"cannot read the program: {error}") from None


class _Machine:
    """State of one run: the steps left, the functions, and the position of a first element."""

    def __init__(self, first: int):
        self.first = first
        self.steps = MOST_STEPS
        self.functions: dict[str, ast.FunctionDef] = {}

    def execute(self, node: ast.stmt, names: dict[str, Any]) -> None:
        self._count(node)
        match node:
            case ast.Assign(targets=[target], value=value):
                self._assign(target, self.value(value, names), names)
            case ast.AugAssign(target=ast.Name() as target, op=op, value=value):
                change = self.value(value, names)
                names[target.id] = self._operate(op, self._name(target, names), change)
            case ast.Expr(value=value):
                self.value(value, names)
            case ast.Return(value=ast.expr() as value):
                raise _Return(self.value(value, names))
            case ast.If(test=test, body=body, orelse=orelse):
                self._block(body if self.value(test, names) else orelse, names)
            case ast.While(test=test, body=body, orelse=[]):
                while self.value(test, names):
                    self._block(body, names)
            case ast.For(target=target, iter=iterated, body=body, orelse=[]):
                for element in self._elements(self.value(iterated, names)):
                    self._assign(target, element, names)
                    self._block(body, names)
            case ast.FunctionDef(name=name, decorator_list=[]):
                self.functions[name] = node
            case _:
                raise ProgramError(f"line {node.lineno}: {type(node).__name__} is not in the subset")

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        self._count(node)
        match node:
            case ast.Constant(value=bool() | int() | str() as constant):
                return constant
            case ast.Name():
                return self._name(node, names)
            case ast.List(elts=elements):
                return [self.value(element, names) for element in elements]
            case ast.Tuple(elts=elements):
                return tuple(self.value(element, names) for element in elements)
            case ast.BinOp(left=left, op=op, right=right):
                return self._operate(op, self.value(left, names), self.value(right, names))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._operate(op, self.value(left, names), self.value(right, names))
            case ast.Subscript(value=value, slice=ast.Slice() as part):
                return self._slice(self.value(value, names), part, names)
            case ast.Subscript(value=value, slice=position):
                sequence = self.value(value, names)
                return sequence[self._place(sequence, self.value(position, names))]
            case ast.ListComp(elt=made, generators=[ast.comprehension(target=target, iter=iterated, ifs=tests)]):
                return self._comprehension(made, target, iterated, tests, names)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(name, [self.value(arg, names) for arg in args], node)
            case ast.Call(func=ast.Attribute(value=value, attr=method), args=[arg], keywords=[]):
                return self._method(self.value(value, names), method, self.value(arg, names))
            case _:
                raise ProgramError(f"line {node.lineno}: {type(node).__name__} is not in the subset")

    def _count(self, node: ast.stmt | ast.expr) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise ProgramError(f"line {node.lineno}: more than {MOST_STEPS} steps")

    def _block(self, body: list[ast.stmt], names: dict[str, Any]) -> None:
        for statement in body:
            self.execute(statement, names)

    def _name(self, node: ast.Name, names: dict[str, Any]) -> Any:
        if node.id not in names:
            raise ProgramError(f"line {node.lineno}: nothing is called {node.id!r}")
        return names[node.id]

    def _assign(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        match target:
            case ast.Name(id=name):
                names[name] = value
            case ast.Tuple(elts=targets) if isinstance(value, tuple) and len(value) == len(targets):
                for one, part in zip(targets, value, strict=True):
                    self._assign(one, part, names)
            case ast.Subscript(value=inner, slice=position) if not isinstance(position, ast.Slice):
                sequence = self.value(inner, names)
                if not isinstance(sequence, list):
                    raise ProgramError(f"line {target.lineno}: only elements of lists can be set")
                sequence[self._place(sequence, self.value(position, names))] = value
            case _:
                raise ProgramError(f"line {target.lineno}: cannot assign to this {type(target).__name__}")

    def _place(self, sequence: Any, position: Any) -> int:
        if not isinstance(sequence, list | str | tuple) or type(position) is not int:
            raise ProgramError(f"position {position!r} of {sequence!r:.60}; need a whole number in a list or string")
        if not self.first <= position < self.first + len(sequence):
            raise ProgramError(f"position {position} of {len(sequence)} elements, counted from {self.first}")
        return position - self.first

    def _slice(self, sequence: Any, part: ast.Slice, names: dict[str, Any]) -> Any:
        start, end, step = (None if at is None else self.value(at, names) for at in (part.lower, part.upper, part.step))
        if not isinstance(sequence, list | str):
            raise ProgramError(f"cannot take a part of {sequence!r:.60}; only of lists and strings")
        if any(at is not None and (type(at) is not int or at < self.first) for at in (start, end)):
            raise ProgramError(f"part from {start!r} to {end!r}; positions are whole numbers from {self.first}")
        if step is not None and (type(step) is not int or step < 1):
            raise ProgramError(f"step {step!r} of a part; only positive whole numbers")
        return sequence[
            slice(None if start is None else start - self.first, None if end is None else end - self.first, step)
        ]

    def _operate(self, op: ast.AST, left: Any, right: Any) -> Any:
        function = _OPERATORS.get(type(op))
        if function is None:
            raise ProgramError(f"{type(op).__name__} is not in the subset")
        if isinstance(op, ast.Mult) and not (type(left) is int and type(right) is int):
            raise ProgramError("only whole numbers can be multiplied")
        if isinstance(op, ast.Mod) and not isinstance(left, int):
            raise ProgramError("only whole numbers have a remainder")
        try:
            return self._limited(function(left, right))
        except (TypeError, ZeroDivisionError) as error:
            raise ProgramError(str(error)) from None

    def _limited(self, value: Any) -> Any:
        if type(value) is int and abs(value) > LARGEST_NUMBER:
            raise ProgramError(f"a number beyond {LARGEST_NUMBER}")
        if isinstance(value, list | str | tuple) and len(value) > MOST_ELEMENTS:
            raise ProgramError(f"a value of more than {MOST_ELEMENTS} elements")
        return value

    def _elements(self, value: Any) -> list[Any]:
        if not isinstance(value, list | str | tuple):
            raise ProgramError(f"cannot go through {value!r:.60}")
        return list(value)

    def _comprehension(
        self, made: ast.expr, target: ast.expr, iterated: ast.expr, tests: list[ast.expr], names: dict[str, Any]
    ) -> list[Any]:
        inner, found = dict(names), []
        for element in self._elements(self.value(iterated, names)):
            self._assign(target, element, inner)
            if all(self.value(test, inner) for test in tests):
                found.append(self.value(made, inner))
        return found

    def _call(self, name: str, args: list[Any], node: ast.Call) -> Any:
        if name in self.functions:
            return self._function(self.functions[name], args)
        if name not in _CALLS:
            raise ProgramError(f"line {node.lineno}: {name!r} is not in the subset; functions: {', '.join(_CALLS)}")
        try:
            match name, args:
                case "range", [int() as count]:
                    return self._limited(list(range(self.first, self.first + min(count, MOST_ELEMENTS + 1))))
                case "range", [int() as start, int() as end]:
                    return self._limited(list(range(start, min(end, start + MOST_ELEMENTS + 1))))
                case "enumerate", [list() | str() as sequence]:
                    return list(enumerate(sequence, self.first))
                case "list", [list() | str() | tuple() as sequence]:
                    return list(sequence)
                case "str", [int() | str() as value]:
                    return str(value)
                case "len", [list() | str() | tuple() as sequence]:
                    return len(sequence)
                case (("sum" | "max" | "min"), [list() as sequence]):
                    return self._limited({"sum": sum, "max": max, "min": min}[name](sequence))
        except (TypeError, ValueError) as error:
            raise ProgramError(f"line {node.lineno}: {error}") from None
        raise ProgramError(f"line {node.lineno}: {name}() does not take these arguments here")

    def _method(self, value: Any, method: str, arg: Any) -> Any:
        if method == "append" and isinstance(value, list):
            value.append(arg)
            self._limited(value)
            return None
        if method == "index" and isinstance(value, list | str):
            try:
                return value.index(arg) + self.first
            except (TypeError, ValueError) as error:
                raise ProgramError(str(error)) from None
        raise ProgramError(f"method {method!r} of {type(value).__name__}; allowed: {', '.join(_METHODS)}")

    def _function(self, definition: ast.FunctionDef, args: list[Any]) -> Any:
        parameters = [parameter.arg for parameter in definition.args.args]
        if len(parameters) != len(args):
            raise ProgramError(f"{definition.name}() takes {len(parameters)} arguments, not {len(args)}")
        functions, self.functions = self.functions, {}  # functions call no others, so there is no recursion
        try:
            self._block(definition.body, dict(zip(parameters, args, strict=True)))
        except _Return as result:
            return result.value
        finally:
            self.functions = functions
        return None


class _Translator(ast.NodeTransformer):
    """Add what a position written in one dialect needs to be one of the other."""

    def __init__(self, to_zero: int):
        self.to_zero = to_zero

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.slice, ast.Slice):
            node.slice.lower = self._moved(node.slice.lower, -self.to_zero)
            node.slice.upper = self._moved(node.slice.upper, -self.to_zero)
        else:
            node.slice = self._shifted(node.slice, -self.to_zero)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="range"), args=[count]):
                start = ast.Constant(value=1 if self.to_zero > 0 else 0)
                end = self._shifted(count, 1) if self.to_zero > 0 else count
                return ast.Call(func=node.func, args=[start, end], keywords=[])
            case ast.Call(func=ast.Name(id="enumerate"), args=[sequence]):
                # A comprehension, since the subset has no second argument of enumerate.
                i, v = ast.Name(id="_i", ctx=ast.Load()), ast.Name(id="_v", ctx=ast.Load())
                return ast.ListComp(
                    elt=ast.Tuple(elts=[self._shifted(i, self.to_zero), v], ctx=ast.Load()),
                    generators=[
                        ast.comprehension(
                            target=ast.Tuple(
                                elts=[ast.Name(id="_i", ctx=ast.Store()), ast.Name(id="_v", ctx=ast.Store())],
                                ctx=ast.Store(),
                            ),
                            iter=ast.Call(func=node.func, args=[sequence], keywords=[]),
                            ifs=[],
                            is_async=0,
                        )
                    ],
                )
            case ast.Call(func=ast.Attribute(attr="index")):
                return self._shifted(node, self.to_zero)
        return node

    def _moved(self, node: ast.expr | None, by: int) -> ast.expr | None:
        return None if node is None else self._shifted(node, by)

    def _shifted(self, node: ast.expr, by: int) -> ast.expr:
        return ast.BinOp(left=node, op=ast.Add() if by > 0 else ast.Sub(), right=ast.Constant(value=abs(by)))
