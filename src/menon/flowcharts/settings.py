"""The settings of charts and nodes: which there are, and how their values are read.

A value is a TOML value, a plain text, or an expression over the variables, as the table says.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from menon.flowcharts.chart import BUDGETS, TYPES, Budget, ChartError, Finding, Kind, Variable
from menon.flowcharts.expressions import Expression, ExpressionError, compile_expression
from menon.flowcharts.functions import Function
from menon.flowcharts.markdown import Section, Setting

ASKING = ("form", "model", "system", "n", "temperature", "top p", "max tokens", "stop", "grade", "retries")
BOUNDS = ("limit", "budget", "loop budget")
OF_CHART = ("takes", "returns", "budget", "cost")
OF_KIND: Mapping[Kind, tuple[str, ...]] = {
    Kind.ASK: ("writes", *ASKING, *BOUNDS),
    Kind.DECIDE: ("writes", *(name for name in ASKING if name != "n"), *BOUNDS),
    Kind.COMPUTE: ("writes", "code", *BOUNDS),
    Kind.CALL: ("writes", "call", "text", "depth", "share", *BOUNDS),
    Kind.MAP: (
        "writes",
        "over",
        "times",
        "each",
        "at once",
        "call",
        "text",
        "code",
        "depth",
        "share",
        *ASKING,
        *BOUNDS,
    ),
    Kind.LOOKUP: ("writes", "find", "keep", "place", "k", *BOUNDS),
    Kind.PERSON: ("writes", *BOUNDS),
    Kind.CONNECTOR: BOUNDS,
}
_VARIABLE = re.compile(r"^(?P<name>[^\W\d]\w*)\s*(?:\(\s*(?P<type>[a-z]+)\s*\))?\s*(?:=\s*(?P<default>.+))?$")
_BOUND = re.compile(r"^(?P<amount>\d[\d_]*(?:\.\d+)?)\s*(?P<unit>[a-z]+)$")
_UNITS = {unit[:-1]: unit for unit in BUDGETS if unit.endswith("s")} | {unit: unit for unit in BUDGETS}


def near(word: str, allowed: Sequence[str]) -> str:
    """Return a hint at the allowed word nearest to `word`, empty when none is near."""
    found = difflib.get_close_matches(word, allowed, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


@dataclass(slots=True, kw_only=True)
class Reader:
    """Reads the settings of one section; every complaint names file and line."""

    file: str
    functions: Mapping[str, Function]
    section: Section
    allowed: Sequence[str]
    node: str = ""
    _values: dict[str, Setting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for setting in self.section.settings:
            key = setting.key.replace("_", " ")
            where = f"node {self.node!r}" if self.node else "a chart"
            if key not in self.allowed:
                self.fail(
                    setting.line,
                    f"{where} has no setting {setting.key!r}{near(key, self.allowed)}",
                    f"use one of: {', '.join(self.allowed)}",
                )
            if key in self._values:
                self.fail(setting.line, f"{key!r} is set twice", "leave one of the two lines out")
            if not setting.value:
                self.fail(setting.line, f"{key!r} has no value", f"write `- {key}: VALUE` or leave the line out")
            self._values[key] = setting

    def fail(self, line: int, problem: str, mend: str, rule: str = "setting") -> NoReturn:
        raise ChartError(
            Finding(file=self.file, line=line, rule=rule, problem=problem, mend=mend, node=self.node)
        ) from None

    def line(self, key: str) -> int:
        return self._values[key].line if key in self._values else self.section.line

    def has(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str, default: str = "") -> str:
        """Return the value as a text; quotes around the whole of it are taken off."""
        if key not in self._values:
            return default
        value = _toml(self._values[key].value)
        return value if isinstance(value, str) else self._values[key].value

    def word(self, key: str, allowed: Sequence[str], default: str) -> str:
        value = self.text(key, default)
        if value not in allowed:
            self.fail(self.line(key), f"{key} is {value!r}{near(value, allowed)}", f"use one of: {', '.join(allowed)}")
        return value

    def count(self, key: str, default: int | None, least: int = 1) -> int | None:
        if key not in self._values:
            return default
        value = _toml(self._values[key].value)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self.fail(self.line(key), f"{key} is {self._values[key].value!r}", f"give a whole number from {least} up")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts: a TOML array, or one text."""
        if key not in self._values:
            return ()
        value = _toml(self._values[key].value)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        return (value if isinstance(value, str) else self._values[key].value,)

    def expression(self, key: str) -> Expression | None:
        if key not in self._values:
            return None
        setting = self._values[key]
        return self.compiled(setting.value, setting.line)

    def compiled(self, source: str, line: int) -> Expression:
        try:
            return compile_expression(source, self.functions, file=self.file, line=line)
        except ExpressionError as error:
            raise ChartError(
                Finding(
                    file=self.file,
                    line=error.line,
                    rule="syntax",
                    problem=error.problem,
                    mend=error.mend,
                    node=self.node,
                )
            ) from None

    def variables(self, key: str, default: tuple[Variable, ...] = ()) -> tuple[Variable, ...]:
        """Return `name (type) = default, ...`."""
        if key not in self._values:
            return default
        setting = self._values[key]
        found: list[Variable] = []
        for part in _split(setting.value):
            match = _VARIABLE.match(part.strip().strip("`"))
            if match is None:
                self.fail(
                    setting.line, f"{key} holds {part.strip()!r}", "write names with types: answer (number), plan"
                )
            kind = match["type"] or "any"
            if kind not in TYPES:
                self.fail(setting.line, f"type {kind!r} of {match['name']!r} is unknown", f"use {', '.join(TYPES)}")
            if any(match["name"] == other.name for other in found):
                self.fail(setting.line, f"{key} names {match['name']!r} twice", "leave one of them out")
            given = match["default"]
            if given is not None and key != "takes":
                self.fail(setting.line, f"{match['name']!r} has a default", "only what a chart takes has defaults")
            found.append(
                Variable(
                    name=match["name"],
                    type=kind,
                    default=None if given is None else self._default(given, setting.line),
                    required=given is None,
                )
            )
        return tuple(found)

    def budget(self, key: str, units: Sequence[str] = BUDGETS) -> Budget:
        """Return `200 steps, 20000 tokens, 60 seconds, 0.5 money`."""
        if key not in self._values:
            return Budget()
        setting = self._values[key]
        found: dict[str, Any] = {}
        for part in setting.value.split(","):
            match = _BOUND.match(part.strip().lower())
            unit = _UNITS.get(match["unit"], match["unit"]) if match else ""
            if match is None or unit not in units:
                example = ", ".join(f"10 {name}" for name in units)
                self.fail(setting.line, f"{key} holds {part.strip()!r}", f"write amounts with units, such as {example}")
            amount = float(match["amount"])
            if amount == float("inf"):
                self.fail(setting.line, f"{key} holds an amount of {len(match['amount'])} digits", "give a smaller one")
            if unit in ("steps", "tokens", "turns") and amount != int(amount):
                self.fail(setting.line, f"{key} holds {part.strip()!r}", f"{unit} are whole numbers")
            found[unit] = int(amount) if unit in ("steps", "tokens", "turns") else amount
        return Budget(**found)

    def _default(self, source: str, line: int) -> Any:
        value = _toml(source)
        if value is _NO_VALUE:
            self.fail(line, f"the default {source.strip()!r} is no value", 'write 3, 0.5, "text", true, [] or {}')
        return value


class _NoValue:
    pass


_NO_VALUE = _NoValue()


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # ValueError: also a number of more digits than Python reads
        return _NO_VALUE


def _split(text: str) -> list[str]:
    """Split at commas outside brackets and quotes."""
    parts, depth, quote, begin = [], 0, "", 0
    for place, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
    return [*parts, text[begin:]]
