"""From the text of an expression or block to a Python syntax tree that is safe to walk.

The tree is only ever read. Length and brackets are bounded before Python's parser sees the text, the depth of the tree
before anything recurses into it.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from menon.flowcharts.expression_errors import ExpressionError, OtherPython
from menon.flowcharts.limits import DEEPEST_BRACKETS, DEEPEST_TREE, LONGEST_SOURCE

# A text that is not closed is taken to its end too: looking again from its second quote would take quadratic time.
_LONG = "|".join(rf"{quote}(?:\\.|(?!{quote})[^\\])*(?:{quote})?" for quote in ("'''", '"""'))
_SHORT = "|".join(rf"{quote}(?:\\.|[^{quote}\\\n])*{quote}?" for quote in ("'", '"'))
_TOKENS = re.compile(rf"{_LONG}|{_SHORT}|#[^\n]*|[\[\](){{}}]", re.DOTALL)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_PUNCTUATION = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
_SHIFT = 1  # the bracket that is put before an expression, so that it may run over several lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a piece of source stands, for messages."""

    text: str
    file: str
    line: int
    wrapped: bool

    def error(self, node: ast.AST | None, problem: str, mend: str, *, other: bool = False) -> ExpressionError:
        """Make the error that points at a node; `other` marks Python that is merely not of this language."""
        line, column = self._place(node)
        kind = OtherPython if other else ExpressionError
        return kind(file=self.file, line=line, column=column, problem=problem, mend=mend)

    def _place(self, node: ast.AST | None) -> tuple[int, int]:
        row, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", self.wrapped)
        lines = self.text.split("\n")
        before = lines[row - 1].encode("utf-8", "replace") if 0 < row <= len(lines) else b""
        offset -= _SHIFT if self.wrapped and row == 1 else 0
        return self.line + row - 1, len(before[: max(offset, 0)].decode("utf-8", "ignore")) + 1


def bracket_depths(text: str, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yield (position, depth after it) of each bracket that stands outside of texts and comments.

    A bracket that closes nothing, or another kind, ends the walk with depth -1.
    """
    waiting: list[str] = []
    for token in _TOKENS.finditer(text, start):
        sign = token[0]
        if sign in _CLOSING:
            waiting.append(_CLOSING[sign])
        elif sign in (")", "]", "}"):
            if not waiting or waiting.pop() != sign:
                yield token.start(), -1
                return
        else:
            continue
        yield token.start(), len(waiting)


def _check_text(origin: Origin) -> None:
    if len(origin.text) > LONGEST_SOURCE:
        raise origin.error(
            None,
            f"it is {len(origin.text):,} characters long; at most {LONGEST_SOURCE:,} are allowed",
            "cut it in parts",
        )
    for _, depth in bracket_depths(origin.text):
        if depth < 0 and origin.wrapped:  # of a block, the parser will say it
            raise origin.error(None, "a bracket closes that was not opened", "check the brackets")
        if depth > DEEPEST_BRACKETS:
            raise origin.error(None, f"brackets are nested more than {DEEPEST_BRACKETS} deep", "cut it in parts")


def parse_expression(origin: Origin) -> ast.expr:
    """Parse one expression, which may run over several lines and end in a comment."""
    _check_text(origin)
    tree = _parse(origin, f"({origin.text}\n)", "eval")
    assert isinstance(tree, ast.Expression)
    body = tree.body
    if isinstance(body, ast.Tuple) and not body.elts and "(" not in origin.text:
        raise origin.error(None, "there is no expression", "write one, such as `count + 1`")
    _check_depth(origin, body)
    return body


def parse_block(origin: Origin) -> list[ast.stmt]:
    """Parse a block of statements."""
    _check_text(origin)
    tree = _parse(origin, origin.text, "exec")
    assert isinstance(tree, ast.Module)
    _check_depth(origin, tree)
    return tree.body


def _parse(origin: Origin, text: str, mode: str) -> ast.AST:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a text is no mistake of ours to report
            return ast.parse(text, mode=mode)
    except SyntaxError as error:
        raise origin.error(
            _place_of(error, origin), f"it cannot be read: {error.msg}", "write one Python expression"
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise origin.error(None, f"it cannot be read ({type(error).__name__})", "write it more simply") from None


def _place_of(error: SyntaxError, origin: Origin) -> ast.AST:
    """Return a stand-in for the node that is missing; never beyond the end of the text."""
    lines = origin.text.split("\n")
    row, offset = error.lineno or 1, (error.offset or 1) - 1
    if row > len(lines):
        row, offset = len(lines), len(lines[-1]) + (_SHIFT if len(lines) == 1 and origin.wrapped else 0)
    return ast.Pass(lineno=row, col_offset=offset)


def _check_depth(origin: Origin, tree: ast.AST) -> None:
    level = [tree]
    for _ in range(DEEPEST_TREE):
        level = [part for node in level for part in ast.iter_child_nodes(node) if not isinstance(part, _PUNCTUATION)]
        if not level:
            return
    raise origin.error(None, f"it is nested more than {DEEPEST_TREE} deep", "cut it in parts")


def count_nodes(tree: ast.AST) -> int:
    """Count what takes time when the tree is evaluated."""
    return sum(not isinstance(node, _PUNCTUATION) for node in ast.walk(tree))


def loops(tree: ast.AST) -> bool:
    """Say whether there is a comprehension in the tree."""
    return any(isinstance(node, ast.comprehension) for node in ast.walk(tree))


def target_names(target: ast.expr) -> set[str]:
    """Return the names that a `for` sets."""
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def free_names(node: ast.AST, bound: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the variables that an expression reads, without those that its comprehensions set."""
    if isinstance(node, ast.Name):
        return frozenset() if node.id in bound else frozenset({node.id})
    if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.DictComp)):
        return _free_in_comprehension(node, bound)
    parts: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Call):
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
    return frozenset().union(*(free_names(part, bound) for part in parts))


def _free_in_comprehension(
    node: ast.ListComp | ast.GeneratorExp | ast.DictComp, bound: frozenset[str]
) -> frozenset[str]:
    free: set[str] = set()
    for generator in node.generators:
        free |= free_names(generator.iter, bound)
        bound |= target_names(generator.target)
        for condition in generator.ifs:
            free |= free_names(condition, bound)
    for part in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
        free |= free_names(part, bound)
    return frozenset(free)
