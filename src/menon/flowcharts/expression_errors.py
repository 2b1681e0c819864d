"""What goes wrong with an expression: before it runs (`ExpressionError`) and while it runs (`EvaluationError`)."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from menon.core.errors import ConfigError, MenonError

LONGEST_QUOTE = 120


class ExpressionError(ConfigError):
    """An expression, block or template outside of the language; says where, what, and how to mend it."""

    def __init__(self, *, file: str, line: int, column: int, problem: str, mend: str):
        super().__init__(f"{file}:{line}: {problem}. What to do: {mend}")
        self.file, self.line, self.column, self.problem, self.mend = file, line, column, problem, mend


class OtherPython(ExpressionError):
    """Valid Python of a kind that the expression language leaves to the sandbox."""


class EvaluationError(MenonError):
    """An expression that has no value for these variables, or whose value would be too large."""

    def __init__(self, problem: str, *, source: str, file: str = "<text>", line: int = 1):
        where = "" if file == "<text>" else f" ({file}:{line})"
        super().__init__(f"`{quoted(source)}`{where} has no value: {problem}")
        self.problem, self.source, self.file, self.line = problem, source, file, line


def quoted(source: str) -> str:
    """Return the source on one line, cut to a length that fits a message."""
    line = " ".join(source.split())
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 3] + "..."


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean `x`?`` for the closest of the known names, or nothing."""
    close = difflib.get_close_matches(name[:100], list(known)[:1_000], n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def failure(error: Exception, source: str, file: str, line: int, values: Mapping[str, Any]) -> EvaluationError:
    """Turn what Python raised in an evaluation into an error that says it in words; a KeyError is an unset variable."""
    problem = unknown_variable(str(error.args[0]), values) if isinstance(error, KeyError) else in_words(error)
    return EvaluationError(problem, source=source, file=file, line=line)


def unknown_variable(name: str, values: Mapping[str, Any]) -> str:
    """Say that no such variable is set, and which are."""
    known = [known for known in values if isinstance(known, str) and known.isidentifier()]
    shown = ", ".join(f"`{other}`" for other in sorted(known)[:20]) + (", ..." if len(known) > 20 else "")
    hint = nearest(name, known)
    return f"the variable `{name}` is not set; set are: {shown or 'none'}" + (f" ({hint})" if hint else "")


_KINDS = {"str": "text", "int": "number", "float": "number", "bool": "truth", "dict": "json", "NoneType": "None"}
_TYPE_NAME = re.compile(r"'(str|int|float|bool|dict|list|NoneType)'(?: object)?")


def kind_of(value: Any) -> str:
    """Name the kind of a value as charts do: text, number, truth, list, json, None."""
    name = type(value).__name__
    return _KINDS.get(name, name)


def in_words(error: Exception) -> str:
    """Say in words what Python raised."""
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, MemoryError):
        return "it needs too much memory"
    if isinstance(error, OverflowError):
        return "a number is too large"
    said = _TYPE_NAME.sub(lambda found: _KINDS.get(found[1], found[1]), str(error)) or type(error).__name__
    return said if len(said) <= 400 else said[:397] + "..."
