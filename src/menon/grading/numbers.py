"""Numbers in text as exact fractions: find them, read them, write them in one canonical way.

Understood: thousands commas and thin spaces, `$`, `%` (the sign is dropped, so 50% reads as 50), a trailing full stop,
leading-dot decimals, `1/3`, `2 1/2`, `1e3`, the Unicode minus, full-width and other decimal digits.
What looks like a number but has no one reading (`1,23`, `3:30`, `8k`, `10^2`, a date, 300 digits) is reported as
unusable, never guessed. Every pass is linear in the length of the text. Left out: number words, scale words (million).
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

LARGEST_POWER = 400  # beyond it a number in scientific form is runaway text too
LONGEST = 200  # digits; longer runs are runaway text, and reading them would cost quadratic time

_RUN = re.compile(r"(?:[0-9]|\.(?=[0-9]))[0-9.,\u2009\u202f]*")
_PLAIN = re.compile(r"(?:[0-9]+|[0-9]{1,3}(?:[,\u2009\u202f][0-9]{3})+)(?:\.[0-9]+)?|\.[0-9]+")
_WHOLE = re.compile(r"[0-9]+")
_RATIO = re.compile(r"((?:/[0-9]+)+)")
_MIXED = re.compile(r" ([0-9]{1,9})/([0-9]{1,9})(?![0-9/])")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)(?![0-9A-Za-z])")
_ORDINAL = re.compile(r"(?:st|nd|rd|th)(?![A-Za-z])")
_SCALED = re.compile(r"[kKMB](?![A-Za-z])|[\^\u00b2\u00b3\u00b9\u2070-\u207f\u00bc-\u00be\u2150-\u215e]|:[0-9]")
_CURRENCY = "$\u20ac\u00a3"
_SIGNS = str.maketrans({"\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-", "\uff0b": "+", "\uff0e": ".",
                        "\uff0c": ",", "\uff04": "$", "\uff05": "%", "\uff1a": ":", "\u00a0": " "})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Number:
    """A number-like piece of text at [start, end); `value` is None where it has no one reading."""

    start: int
    end: int
    value: Fraction | None


def plain(text: str) -> str:
    """Return `text` with Unicode signs and digits as ASCII ones; positions do not move."""
    if text.isascii():
        return text
    return "".join(_ascii_digit(char) for char in text.translate(_SIGNS))


def _ascii_digit(char: str) -> str:
    if char.isascii() or not char.isdecimal():
        return char
    return str(unicodedata.decimal(char))


def numbers(text: str, start: int = 0) -> Iterator[Number]:
    """Yield the numbers of `text` from `start` on, in order; `text` must have gone through `plain`."""
    at = start
    while run := _RUN.search(text, at):
        at = run.end()
        if _is_glued(text, run.start()):
            continue
        end, value, counts = _read(text, run.start(), run.end())
        at = max(at, end)
        if not counts:
            continue
        first, negative = _sign(text, run.start())
        yield Number(first, end, -value if negative and value is not None else value)


def _is_glued(text: str, start: int) -> bool:
    before = text[start - 1] if start else " "
    return before == "_" or (before.isascii() and before.isalpha())


def _read(text: str, start: int, stop: int) -> tuple[int, Fraction | None, bool]:
    """Return the end, the value and whether the run at [start, stop) is a quantity at all (an ordinal is not)."""
    digits = text[start:stop].rstrip(".,\u2009\u202f")
    end = start + len(digits)
    if end < stop:
        return end, _value(digits), True
    if _ORDINAL.match(text, end):
        return end, None, False
    if _SCALED.match(text, end):
        return end, None, True
    if exponent := _EXPONENT.match(text, end):
        power, value = exponent.group(1), _value(digits)
        usable = value is not None and abs(int(power[:6])) <= LARGEST_POWER
        return exponent.end(), value * Fraction(10) ** int(power) if usable and value is not None else None, True
    if ratio := _RATIO.match(text, end):
        return ratio.end(), _ratio(digits, ratio.group(1)[1:]), True
    if _WHOLE.fullmatch(digits) and (mixed := _MIXED.match(text, end)):
        over, under = int(mixed.group(1)), int(mixed.group(2))
        whole = _value(digits)
        if whole is not None and over < under:
            return mixed.end(), whole + Fraction(over, under), True
    return end, _value(digits), True


def _value(digits: str) -> Fraction | None:
    if len(digits) > LONGEST or not _PLAIN.fullmatch(digits):
        return None
    return Fraction(re.sub("[,\u2009\u202f]", "", digits))


def _ratio(over: str, under: str) -> Fraction | None:
    top = _value(over)
    bottom = _value(under) if _WHOLE.fullmatch(under) else None
    return top / bottom if top is not None and bottom else None


def _sign(text: str, start: int) -> tuple[int, bool]:
    """Return where the number begins with its sign and currency, and whether it is negative.

    A minus after a digit, a letter or a closing bracket is a subtraction or a hyphen, not a sign.
    """
    first, negative = start, False
    for _ in range(2):
        if first and text[first - 1] in _CURRENCY:
            first -= 2 if first > 1 and text[first - 2] == "\\" else 1
        if first and text[first - 1] in "+-" and not _closes(text[first - 2] if first > 1 else " "):
            negative = negative or text[first - 1] == "-"
            first -= 1
    return first, negative


def _closes(char: str) -> bool:
    return char.isalnum() or char in ")]}%."


def parse_number(text: str) -> Fraction | None:
    """Return the value of `text` when it is one number and nothing else (units of currency and percent aside)."""
    clean = plain(text).strip()
    found = next(numbers(clean), None)
    if found is None or found.value is None or clean[: found.start].strip():
        return None
    rest = clean[found.end :].strip().lstrip("\\%" + _CURRENCY).strip()
    return found.value if rest in ("", ".") else None


def canonical(value: Fraction) -> str:
    """Write `value` in the one way that equal values share: 72, -0.5, 1/3."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"
