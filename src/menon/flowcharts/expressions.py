"""The small expression language of charts: a strict subset of Python over JSON-like values, interpreted here.

An expression is compiled once and evaluated often. It sees the variables and the functions that it is given, and
nothing else: no attributes of Python objects (`a.b` is `a["b"]`), no methods, no lambda, no f-strings. Blocks are
straight lines of `name = expression`; any other Python is left to the sandbox.
"""

import ast
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from menon.core.errors import MenonError
from menon.flowcharts.expression_compiler import Compiler, Run
from menon.flowcharts.expression_errors import EvaluationError, ExpressionError, OtherPython, failure
from menon.flowcharts.expression_syntax import Origin, count_nodes, free_names, loops, parse_block, parse_expression
from menon.flowcharts.expression_types import infer, surely_truth
from menon.flowcharts.functions import STANDARD, Function
from menon.flowcharts.limits import CONTAINERS, METER, UNMETERED_NODES, Meter, weigh
from menon.flowcharts.operations import settle

__all__ = [
    "STANDARD",
    "Block",
    "EvaluationError",
    "Expression",
    "ExpressionError",
    "Function",
    "compile_block",
    "compile_expression",
]

_CHECKED = CONTAINERS | {float}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expression:
    """One expression; called with the variables it returns its value.

    `reads` are its variables, `calls` its functions, `effect` says whether one of them reaches outside, `boolean`
    whether the value is a truth value for sure.
    """

    source: str
    file: str
    line: int
    reads: frozenset[str]
    calls: frozenset[str]
    effect: bool
    boolean: bool
    _run: Run = field(repr=False)
    _tree: ast.expr = field(repr=False)
    _functions: Mapping[str, Function] = field(repr=False)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Evaluate.

        Raises:
            EvaluationError: a variable is not set, or there is no value within the bounds.
        """
        try:
            result = self._run(values)
            if type(result) in _CHECKED:
                weigh(result) if type(result) in CONTAINERS else settle(result)
        except MenonError:  # raised on purpose inside a function: a sampler that is down, say
            raise
        except Exception as error:  # whatever a function makes of values that models wrote, told in words
            raise failure(error, self.source, self.file, self.line, values) from error
        return result

    def infer(self, types: Mapping[str, str]) -> tuple[str, list[str]]:
        """Return the type of the value for variables of these types, and the type clashes in words."""
        return infer(self._tree, self._functions, types)


def compile_expression(
    source: str, functions: Mapping[str, Function], *, file: str = "<text>", line: int = 1
) -> Expression:
    """Compile one expression.

    Raises:
        ExpressionError: not an expression of the language; says where and how to mend it.
    """
    origin = Origin(text=source, file=file, line=line, wrapped=True)
    tree = parse_expression(origin)
    metered = loops(tree) or count_nodes(tree) > UNMETERED_NODES
    run, calls = _built(tree, functions, origin, metered)
    if metered:
        run = _with_meter(run)
    return _expression(tree, run, calls, functions, source.strip(), origin)


def _built(
    tree: ast.expr, functions: Mapping[str, Function], origin: Origin, metered: bool
) -> tuple[Run, frozenset[str]]:
    compiler = Compiler(functions, origin, metered=metered)
    return compiler.build(tree), frozenset(compiler.calls)


def _expression(
    tree: ast.expr, run: Run, calls: frozenset[str], functions: Mapping[str, Function], text: str, origin: Origin
) -> Expression:
    return Expression(
        source=text,
        file=origin.file,
        line=origin.line + tree.lineno - 1,
        reads=free_names(tree),
        calls=calls,
        effect=any(functions[name].effect for name in calls),
        boolean=surely_truth(tree, functions),
        _run=run,
        _tree=tree,
        _functions=functions,
    )


def _with_meter(run: Run) -> Run:
    return lambda values: run({**values, METER: Meter()})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Straight-line code: one assignment after another, or one bare expression.

    `reads` are the variables that it reads before it writes them, `writes` those that it sets, in order. A block that
    is one bare expression writes nothing and has it as `expression`.
    """

    source: str
    reads: frozenset[str]
    writes: tuple[str, ...]
    calls: frozenset[str]
    effect: bool
    expression: Expression | None
    _steps: tuple[tuple[str, Expression], ...] = field(repr=False)
    _metered: bool = field(repr=False)

    @property
    def value(self) -> Expression | None:
        """The bare expression, if the block is one."""
        return self.expression

    def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the variables that the block sets; `values` stays as it is.

        Raises:
            EvaluationError: a variable is not set, or there is no value within the bounds.
        """
        if len(self._steps) == 1 and not self._metered:
            name, expression = self._steps[0]
            return {name: expression(values)}
        known = {**values, METER: Meter()} if self._metered else dict(values)
        written: dict[str, Any] = {}
        for name, expression in self._steps:
            known[name] = written[name] = expression(known)
        return {name: written[name] for name in self.writes}

    def infer(self, types: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
        """Return the types of the variables that it sets, and the type clashes in words."""
        known, clashes = dict(types), list[str]()
        for name, expression in self._steps:
            known[name], found = expression.infer(known)
            clashes += found
        if self.expression is not None:
            clashes += self.expression.infer(types)[1]
        return {name: known[name] for name in self.writes}, list(dict.fromkeys(clashes))


def compile_block(
    source: str, functions: Mapping[str, Function], *, file: str = "<text>", line: int = 1
) -> Block | None:
    """Compile straight-line code; return None for valid Python of another kind, which is for the sandbox.

    Raises:
        ExpressionError: it cannot be read, is empty, or calls a function that neither Python nor the chart knows.
    """
    origin = Origin(text=textwrap.dedent(source), file=file, line=line, wrapped=False)
    statements = parse_block(origin)
    if not statements:
        raise origin.error(None, "there is nothing to compute", "write `name = expression`, one per line")
    if len(statements) == 1 and isinstance(statements[0], ast.Expr):
        return _bare(statements[0].value, functions, origin)
    pairs = [_assignment(statement) for statement in statements]
    assigned = [pair for pair in pairs if pair is not None]
    if len(assigned) < len(pairs):
        return None
    metered = any(loops(value) for _, value in assigned) or sum(count_nodes(v) for _, v in assigned) > UNMETERED_NODES
    try:
        steps = [_step(name, value, functions, origin, metered) for name, value in assigned]
    except OtherPython:
        return None
    return _block(steps, origin, metered)


def _bare(tree: ast.expr, functions: Mapping[str, Function], origin: Origin) -> Block | None:
    metered = loops(tree) or count_nodes(tree) > UNMETERED_NODES
    try:
        run, calls = _built(tree, functions, origin, metered)
    except OtherPython:
        return None
    whole = _expression(tree, _with_meter(run) if metered else run, calls, functions, origin.text.strip(), origin)
    return Block(
        source=origin.text,
        reads=whole.reads,
        writes=(),
        calls=calls,
        effect=whole.effect,
        expression=whole,
        _steps=(),
        _metered=metered,
    )


def _assignment(statement: ast.stmt) -> tuple[ast.Name, ast.expr] | None:
    """Return the name and the value that a statement assigns, None for any other kind of statement."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0], statement.value
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        target = statement.target
        read = ast.copy_location(ast.Name(id=target.id, ctx=ast.Load()), target)
        return target, ast.copy_location(ast.BinOp(left=read, op=statement.op, right=statement.value), statement)
    return None


def _step(
    target: ast.Name, tree: ast.expr, functions: Mapping[str, Function], origin: Origin, metered: bool
) -> tuple[str, Expression]:
    compiler = Compiler(functions, origin, metered=metered)
    name = compiler.name(target, target.id)
    run = compiler.build(tree)
    text = f"{name} = {ast.unparse(tree)}"
    return name, _expression(tree, run, frozenset(compiler.calls), functions, text, origin)


def _block(steps: list[tuple[str, Expression]], origin: Origin, metered: bool) -> Block:
    reads: set[str] = set()
    writes: dict[str, None] = {}
    for name, expression in steps:
        reads |= expression.reads - writes.keys()
        writes[name] = None
    return Block(
        source=origin.text,
        reads=frozenset(reads),
        writes=tuple(writes),
        calls=frozenset().union(*(expression.calls for _, expression in steps)),
        effect=any(expression.effect for _, expression in steps),
        expression=None,
        _steps=tuple(steps),
        _metered=metered,
    )
