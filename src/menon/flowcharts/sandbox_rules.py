"""What a sandboxed program may contain, checked on its syntax tree before it runs.

Both backends apply the same rules, so that a program is refused or accepted whatever is installed. Only the process
backend depends on them for safety: inside CPython every way to the interpreter's own objects goes through an attribute
or name that these rules refuse, or through text that is turned into an attribute name.
Left out: imports outside the standard library, since the worker process loads this file by its path.
"""

import ast
import functools
import string
import warnings
from collections.abc import Collection, Iterable
from typing import Any

SOURCE_CHARS = 100_000
MODULES = (
    "collections",
    "datetime",
    "decimal",
    "fractions",
    "functools",
    "itertools",
    "json",
    "math",
    "random",
    "re",
    "statistics",
    "typing",
)
_REFUSED = "open exec eval compile globals locals vars dir breakpoint help input setattr delattr memoryview exit quit"
_METHODS = """
    init repr str eq ne lt le gt ge hash len bool add radd sub rsub mul rmul truediv floordiv mod pow neg abs
    iter next contains getitem setitem call int float
"""
REFUSED_NAMES = frozenset(_REFUSED.split())
CLOCKS = frozenset({"now", "today", "utcnow"})
FRAME_PREFIXES = ("gi_", "cr_", "ag_", "tb_", "f_", "co_", "func_")
METHODS = frozenset(f"__{name}__" for name in _METHODS.split())
IDENTIFIERS = frozenset({"arg", "asname", "attr", "id", "kwd_attrs", "name", "names", "rest"})  # fields of any node
FILE_NAME = "<program>"


class Rejected(ValueError):
    """A program that may not run; `kind` is "error" for wrong syntax, else "refused"."""

    def __init__(self, message: str, kind: str = "refused"):
        super().__init__(message)
        self.kind = kind


def checked(code: str, given: Collection[str] = ()) -> ast.Module:
    """Parse `code` and return its tree; names in `given` count as set by it.

    Raises:
        Rejected: it is too long, no Python, or uses what sandboxed programs may not.
    """
    tree = _parsed(code)
    nodes = list(ast.walk(tree))
    bound = {*given, *_bound_names(nodes)}
    for node in nodes:
        problem = _problem(node, bound)
        if problem:
            raise Rejected(f"line {getattr(node, 'lineno', 1)}: {problem}")
    _refuse_return_outside(tree)
    return tree


def attribute_problem(name: str) -> str | None:
    """Say why no program may read the attribute `name`, or return None."""
    if name.startswith("_"):
        return f"the attribute {name!r} is not allowed: attributes may not begin with an underscore"
    if name in CLOCKS:
        return f"{name}() is not allowed: there is no clock here, so pass the date in as an input"
    if name.startswith(FRAME_PREFIXES) or name in ("mro", "format", "format_map"):
        return f"the attribute {name!r} is not allowed in a sandboxed program"
    return None


def _parsed(code: str) -> ast.Module:
    if len(code) > SOURCE_CHARS:
        raise Rejected(f"the program is {len(code)} characters long; at most {SOURCE_CHARS} are allowed")
    # Only for this file name: a doubtful escape in foreign code is not for our users' terminals.
    warnings.filterwarnings("ignore", module=FILE_NAME)
    try:
        return ast.parse(code, FILE_NAME)
    except SyntaxError as error:
        raise Rejected(f"line {error.lineno or 1}: SyntaxError: {error.msg}", "error") from None
    except (RecursionError, MemoryError):
        raise Rejected("the program is nested too deeply to be read") from None
    except (ValueError, UnicodeError):  # null bytes, lone surrogates
        raise Rejected("the program holds characters that are not text (null bytes or lone surrogates)") from None


def _refuse_return_outside(tree: ast.Module) -> None:
    """Refuse `return` outside functions, which the parser lets pass and the backends treat differently."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return):
            raise Rejected(f"line {node.lineno}: SyntaxError: 'return' outside function", "error")
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case) and not isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef
        ):
            waiting += ast.iter_child_nodes(node)


def _bound_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Return every name that the program itself gives a meaning, wherever it does."""
    bound: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                bound.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
    return bound


def _problem(node: Any, bound: Collection[str]) -> str | None:
    """Say what is wrong with one node, looking at nothing below it but names."""
    kind = type(node)
    if kind is ast.Attribute:
        return _attribute(node)
    if kind is ast.Name:
        return _name(node.id, bound)
    if kind is ast.Call and isinstance(node.func, ast.Name):
        return _call(node.func.id, node)
    if kind is ast.Import:
        return next((found for alias in node.names if (found := _import_problem(alias.name))), None)
    if kind is ast.ImportFrom:
        return _import_problem("." * node.level + (node.module or ""))
    if kind is ast.MatchClass:
        return next((found for name in node.kwd_attrs if (found := attribute_problem(name))), None)
    if kind is ast.ClassDef and node.keywords:
        return "classes may not have keywords such as a metaclass"
    fields = _identifier_fields(kind)
    return _underscored(node, fields) if fields else None


def _name(name: str, bound: Collection[str]) -> str | None:
    if name in REFUSED_NAMES and name not in bound:
        return f"{name}() is not allowed in a sandboxed program"
    return None if name == "__name__" else _dunder(name)


def _call(function: str, call: ast.Call) -> str | None:
    if function == "type" and (len(call.args) != 1 or call.keywords or isinstance(call.args[0], ast.Starred)):
        return "type() takes exactly one value here"
    if function in ("getattr", "hasattr"):
        return _literal_attribute(function, call.args)
    return None


def _import_problem(module: str) -> str | None:
    if module in MODULES:
        return None
    return f"import of {module!r} is not allowed; allowed are {', '.join(MODULES)}"


@functools.cache
def _identifier_fields(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(name for name in kind._fields if name in IDENTIFIERS)


def _underscored(node: ast.AST, fields: tuple[str, ...]) -> str | None:
    for field in fields:
        value = getattr(node, field)
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str) and not (isinstance(node, ast.FunctionDef) and name in METHODS):
                problem = _dunder(name)
                if problem:
                    return problem
    return None


def _dunder(name: str) -> str | None:
    if name.startswith("__"):
        return f"the name {name!r} is not allowed: names may not begin with two underscores"
    return None


def _attribute(node: ast.Attribute) -> str | None:
    if node.attr == "format":
        return _format_problem(node.value)
    if node.attr == "__init__" and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
        return None if node.value.func.id == "super" and not node.value.args else attribute_problem(node.attr)
    return attribute_problem(node.attr)


def _format_problem(text: ast.expr) -> str | None:
    if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
        return "format() is allowed on text written out in the program only; use an f-string"
    if _reads_attributes(text.value):
        return "format() may not read attributes or items; use an f-string"
    return None


def _reads_attributes(template: str) -> bool:
    try:
        fields = [(name or "", spec or "") for _, name, spec, _ in string.Formatter().parse(template)]
    except ValueError:  # the program will say so when it runs
        return False
    return any("." in name or "[" in name or ("{" in spec and _reads_attributes(spec)) for name, spec in fields)


def _literal_attribute(function: str, arguments: list[ast.expr]) -> str | None:
    match arguments:
        case [_, ast.Constant(value=str(name)), *_]:
            return attribute_problem(name)
        case _:
            return f"{function}() needs the attribute's name written out as text"
