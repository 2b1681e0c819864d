"""Prompts with holes: `{name}`, or any expression, in text that may hold braces of its own.

A brace opens a hole only before a letter or underscore, so JSON and code need no escapes; `{{name}}` writes `{name}`.
Values are put in as they are and never read as a template again. Left out: format specifications, filters, conditions
(a chart branches; its prompts do not).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from menon.flowcharts.expression_errors import EvaluationError, ExpressionError, failure, quoted
from menon.flowcharts.expression_syntax import bracket_depths
from menon.flowcharts.expressions import Expression, compile_expression
from menon.flowcharts.functions import Function
from menon.flowcharts.limits import LONGEST_SOURCE, MOST_ITEMS
from menon.flowcharts.showing import show

__all__ = ["Template", "compile_template", "show"]

# Braces before a letter of any alphabet, or an underscore; whole runs only, or a long run takes quadratic time.
_OPENING = re.compile(r"(?<!\{)(\{++)(?=[^\W\d])")
MOST_HOLES = 2_000
_PLAIN = re.compile(r"[^{}]*")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """A prompt with holes; `reads`, `calls` and `effect` are those of all expressions in it."""

    source: str
    file: str
    line: int
    reads: frozenset[str]
    calls: frozenset[str]
    effect: bool
    _parts: tuple[tuple[str, Expression], ...] = field(repr=False)
    _end: str = field(repr=False)

    def render(self, values: Mapping[str, Any]) -> str:
        """Write the prompt for these values.

        Raises:
            EvaluationError: a variable is not set, an expression has no value, or the prompt would be too long.
        """
        pieces: list[str] = []
        length = len(self._end)
        for text, expression in self._parts:
            value = expression(values)
            if type(value) is not str:
                value = _shown(value, expression, values)
            length += len(text) + len(value)
            if length > MOST_ITEMS:
                raise self._too_long()
            pieces += (text, value)
        pieces.append(self._end)
        return "".join(pieces)

    def infer(self, types: Mapping[str, str]) -> list[str]:
        """Return the type clashes in words."""
        found = [clash for _, expression in self._parts for clash in expression.infer(types)[1]]
        return list(dict.fromkeys(found))

    def _too_long(self) -> EvaluationError:
        problem = f"the prompt would have more than {MOST_ITEMS:,} characters"
        return EvaluationError(problem, source=quoted(self.source), file=self.file, line=self.line)


def _shown(value: Any, expression: Expression, values: Mapping[str, Any]) -> str:
    try:
        return show(value)
    except Exception as error:  # a value of a kind that cannot be shown, told in words
        raise failure(error, expression.source, expression.file, expression.line, values) from error


def compile_template(text: str, functions: Mapping[str, Function], *, file: str = "<text>", line: int = 1) -> Template:
    """Compile a prompt.

    Raises:
        ExpressionError: a hole is not closed, or holds no expression; says where and how to mend it.
    """
    parts, end = _split(text, functions, file, line)
    holes = [expression for _, expression in parts]
    return Template(
        source=text,
        file=file,
        line=line,
        reads=frozenset().union(*(hole.reads for hole in holes)),
        calls=frozenset().union(*(hole.calls for hole in holes)),
        effect=any(hole.effect for hole in holes),
        _parts=tuple(parts),
        _end=end,
    )


def _split(
    text: str, functions: Mapping[str, Function], file: str, line: int
) -> tuple[list[tuple[str, Expression]], str]:
    """Cut a prompt into pairs of literal text and the expression after it, and the text at the end."""
    parts: list[tuple[str, Expression]] = []
    literal: list[str] = []
    place = 0
    counted, lines_before = 0, line
    while found := _OPENING.search(text, place):
        literal.append(text[place : found.start()])
        pairs, odd = divmod(len(found[1]), 2)
        escaped = None if odd else _escaped(text, found.end(), pairs)
        if escaped is not None:
            literal.append(escaped[0])
            place = escaped[1]
            continue
        lines_before += text.count("\n", counted, found.end())
        counted = found.end()
        if len(parts) == MOST_HOLES:
            raise _too_many(text, found.end(), file, lines_before)
        end = _closing(text, found.end())
        if end is None:
            raise _unclosed(text, found.end(), file, lines_before)
        doubled = bool(odd and pairs) and text.startswith("}}" * pairs, end + 1)
        literal.append("{" * (pairs if doubled else len(found[1]) - 1))
        hole = _hole(text, found.end(), end, functions, file, lines_before)
        parts.append(("".join(literal), hole))
        literal = ["}" * pairs] if doubled else []
        place = end + 1 + 2 * pairs * doubled
    literal.append(text[place:])
    return parts, "".join(literal)


def _escaped(text: str, start: int, pairs: int) -> tuple[str, int] | None:
    """Return what doubled braces stand for and where they end, None if they are not closed by as many."""
    inside = _PLAIN.match(text, start)
    assert inside is not None
    if not text.startswith("}}" * pairs, inside.end()):
        return None
    return "{" * pairs + inside[0] + "}" * pairs, inside.end() + 2 * pairs


def _closing(text: str, start: int) -> int | None:
    """Return where the brace closes that opens just before `start`."""
    window = text[start - 1 : start + LONGEST_SOURCE + 1]
    for position, depth in bracket_depths(window):
        if depth == 0:
            return start - 1 + position
        if depth < 0:
            return None
    return None


def _hole(text: str, start: int, end: int, functions: Mapping[str, Function], file: str, line: int) -> Expression:
    try:
        return compile_expression(text[start:end], functions, file=file, line=line)
    except ExpressionError as error:
        column = error.column + (start - text.rfind("\n", 0, start) - 1 if error.line == line else 0)
        mend = f"{error.mend}; or write {{{{...}}}} if the braces are meant as text"
        problem = f"in `{{{quoted(text[start:end])}}}`: {error.problem}"
        raise ExpressionError(file=file, line=error.line, column=column, problem=problem, mend=mend) from None


def _too_many(text: str, start: int, file: str, line: int) -> ExpressionError:
    column = start - text.rfind("\n", 0, start) - 1
    problem = f"the prompt has more than {MOST_HOLES:,} holes"
    return ExpressionError(file=file, line=line, column=column, problem=problem, mend="join a list instead")


def _unclosed(text: str, start: int, file: str, line: int) -> ExpressionError:
    problem = f"the brace before `{quoted(text[start : start + 30])}` is not closed"
    mend = "close it with }, or put a space after the brace if it is meant as text"
    column = start - text.rfind("\n", 0, start) - 1
    return ExpressionError(file=file, line=line, column=column, problem=problem, mend=mend)
