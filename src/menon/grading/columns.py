"""Column addition such as `G6g7+0=13;H3h1+1=05;`: digits copied, carries chained, columns summed.

A line is `digit digit + carry = carry-out sum-digit`, each digit behind the letter of its place, units first.
"""

import re

from menon.core.errors import DataError
from menon.grading.step_report import StepFails, StepReport, split_steps

DIGITS = "0123456789ABCDEF"

_LINE = re.compile(r"((?:[G-Z][0-9A-F])?)((?:[g-z][0-9A-F])?)\+([01])=([01])([0-9A-F])")
_QUESTION = re.compile(r"((?:[G-Z][0-9A-F])+)\+((?:[g-z][0-9A-F])+)")


def is_column(line: str) -> bool:
    """Tell whether a step without spaces has the form of a column line."""
    return _LINE.fullmatch(line) is not None


def check_columns(question: str, rationale: str, base: int = 10, *, answer: str | None = None) -> StepReport:
    """Check column addition: digits copied from the question in order of places, carries chained, sums right.

    A place that one operand does not have is left out of the line, or written with digit 0.

    Args:
        base: number base, 2 to 16.
        answer: labelled sum digits, units first, that the lines have to add up to, when given.
    Raises:
        DataError: the question is not a sum of two labelled numbers.
    """
    operands = _QUESTION.fullmatch(question.strip())
    if operands is None:
        raise DataError(f"{question!r} is no column addition; allowed: like 'G6H3+g7h1', places G to Z, units first")
    first, second = _digits(operands.group(1)), _digits(operands.group(2).upper())
    places = list(first | second)
    lines = [re.sub(r"\s", "", line) for line in split_steps(rationale)]
    if not lines:
        return StepReport(False, 0, None, "no steps")
    carry, total = 0, ""
    for at, line in enumerate(lines, start=1):
        try:
            if at > len(places):
                raise StepFails(f"{line[:40]!r} is one too many; the question has {len(places)} places")
            place = places[at - 1]
            carry, digit = _check_line(line, place, first.get(place), second.get(place), carry, base)
        except StepFails as reason:
            return StepReport(False, len(lines), at, f"line {at}: {reason}")
        total += place + digit
    if len(lines) < len(places):
        return StepReport(False, len(lines), None, f"{len(lines)} of {len(places)} places are worked out")
    if carry:
        total += f"{chr(ord(places[-1]) + 1)}1"
    if answer is not None and answer.strip() != total:
        return StepReport(False, len(lines), None, f"the lines give {total}, the answer is {answer!r}")
    return StepReport(True, len(lines))


def _digits(labelled: str) -> dict[str, str]:
    return dict(zip(labelled[::2], labelled[1::2], strict=True))


def _check_line(line: str, place: str, a: str | None, b: str | None, carry: int, base: int) -> tuple[int, str]:
    """Return the carry and the sum digit of one line."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise StepFails(f"{line[:40]!r} is not like 'G6g7+0=13'")
    for written, label, digit in ((match.group(1), place, a), (match.group(2), place.lower(), b)):
        allowed = (label + digit,) if digit is not None else ("", label + "0")
        if written not in allowed:
            raise StepFails(f"{line!r} has {written!r} where the question has {allowed[0]!r}")
    if int(match.group(3)) != carry:
        raise StepFails(f"{line!r} takes carry {match.group(3)}, the line before gives {carry}")
    value = DIGITS.index(a or "0") + DIGITS.index(b or "0") + carry
    out, digit = divmod(value, base)
    if match.group(4) + match.group(5) != f"{out}{DIGITS[digit]}":
        raise StepFails(f"{line!r} should end in {out}{DIGITS[digit]}")
    return out, DIGITS[digit]
