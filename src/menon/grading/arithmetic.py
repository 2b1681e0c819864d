"""A tiny exact calculator: `+ - * / // ( )`, decimals and thousands commas, in fractions.

Checks written equations without `eval`; text and nesting are bounded, so hostile input costs bounded time.
Left out: powers, percent, implicit multiplication.
"""

import re
from fractions import Fraction

from menon.grading.numbers import parse_number

LONGEST = 1000
DEEPEST = 50

_SYMBOLS = ("+", "-", "*", "/", "//", "(", ")")
_TOKEN = re.compile(r"\s*([0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+|//|[-+*/()])\s*")


class NotArithmetic(ValueError):
    """Text that is not an expression of this calculator, or one without a value."""


def evaluate(text: str) -> Fraction:
    """Return the exact value of an expression.

    Raises:
        NotArithmetic: not an expression, a division by zero, or more than 1,000 characters.
    """
    return _Parser(tokens(text)).value()


def tokens(text: str) -> list[str]:
    """Split an expression into numbers, operators and brackets; `x` and the Unicode signs are read as operators."""
    if len(text) > LONGEST:
        raise NotArithmetic(f"an expression of {len(text)} characters; at most {LONGEST} are read")
    text = text.translate(_OPERATORS)
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotArithmetic(f"{text[at : at + 20]!r} is no number or operator")
        found.append(match.group(1))
        at = match.end()
    return found


def literals(text: str) -> list[Fraction]:
    """Return the numbers written in an expression, in order; a minus in front of the whole belongs to the first."""
    parts = tokens(text)
    signed = parts[:1] == ["-"] and len(parts) > 1 and parts[1] not in _SYMBOLS
    values = [number(part) for part in parts if part not in _SYMBOLS]
    return [-values[0], *values[1:]] if signed else values


def number(text: str) -> Fraction:
    """Return the value of one written number."""
    value = parse_number(text)
    if value is None:
        raise NotArithmetic(f"{text[:40]!r} is not a number")
    return value


_OPERATORS = str.maketrans({"\u00d7": "*", "\u00f7": "/", "x": "*", "X": "*", "\u2212": "-", "\u2013": "-", "$": " "})


class _Parser:
    def __init__(self, parts: list[str]):
        self.parts = [*parts, ""]
        self.at = 0
        self.depth = 0

    def value(self) -> Fraction:
        result = self.sum()
        if self.parts[self.at]:
            raise NotArithmetic(f"unexpected {self.parts[self.at]!r}")
        return result

    def take(self) -> str:
        self.at += 1
        return self.parts[self.at - 1]

    def sum(self) -> Fraction:
        total = self.product()
        while (sign := self.parts[self.at]) in ("+", "-"):
            self.take()
            term = self.product()
            total = total + term if sign == "+" else total - term
        return total

    def product(self) -> Fraction:
        total = self.factor()
        while (sign := self.parts[self.at]) in ("*", "/", "//"):
            self.take()
            factor = self.factor()
            if sign != "*" and factor == 0:
                raise NotArithmetic("division by zero")
            total = total * factor if sign == "*" else total / factor if sign == "/" else Fraction(total // factor)
        return total

    def factor(self) -> Fraction:
        sign = 1
        while self.parts[self.at] in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        part = self.take()
        if part != "(":
            if not part or part in _SYMBOLS:
                raise NotArithmetic(f"a number is missing before {part or 'the end'!r}")
            return sign * number(part)
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotArithmetic(f"brackets nested more than {DEEPEST} deep")
        value = self.sum()
        if self.parts[self.at] != ")":
            raise NotArithmetic("a closing bracket is missing")
        self.take()
        self.depth -= 1
        return sign * value
