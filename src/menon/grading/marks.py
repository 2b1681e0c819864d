"""Calculator marks of GSM8K rationales: `48/2 = <<48/2=24>>24`.

Source: Cobbe et al. 2021, arXiv:2110.14168: a calculator fills in the result while sampling, so a mark with a false
result is a model that wrote its own. Printed results are rounded, and so is what is compared here.
"""

import re
from collections.abc import Iterator
from fractions import Fraction

from menon.grading.arithmetic import NotArithmetic, evaluate
from menon.grading.equations import written_result
from menon.grading.numbers import canonical, numbers, parse_number, plain
from menon.grading.step_report import StepFails, StepReport

FLOAT_PLACES = 12
FLOAT_ERROR = Fraction(1, 10**12)

_SPACED = re.compile(r"(?<=[0-9]) (?=[0-9]{3}(?![0-9]))")  # 17 500
_MARK = re.compile(r"<<([^<>]{0,400})>>")


def marks(rationale: str) -> Iterator[tuple[str, int]]:
    """Yield the content of every mark and the position after it."""
    for match in _MARK.finditer(rationale):
        yield match.group(1), match.end()


def check_calculator_marks(rationale: str, *, rounding: bool = True, repeated: bool = True) -> StepReport:
    """Check that every mark is a true equation and that the text goes on with its result.

    Args:
        rounding: accept a result that is the exact one rounded or cut at the digits written (3.33 for 10/3), and the
            dust of a calculator in binary floats (0.30000000000000004).
        repeated: the number written right after a mark has to equal the mark's result, up to rounding.
    """
    text = plain(rationale)
    found = list(marks(text))
    for at, (mark, end) in enumerate(found, start=1):
        try:
            results = _check_mark(mark, rounding=rounding)
            if repeated:
                _check_repeated(text, end, results)
        except (StepFails, NotArithmetic) as reason:
            return StepReport(False, len(found), at, f"mark {at}: {reason}")
    return StepReport(bool(found), len(found), None, "" if found else "no calculator marks")


def _check_mark(mark: str, *, rounding: bool) -> tuple[Fraction, Fraction]:
    """Return the exact and the written result of a true mark."""
    left, equals, right = mark.rpartition("=")
    if not equals or "=" in left:
        raise StepFails(f"{mark[:60]!r} is not an equation")
    value, written = evaluate(left), written_result(right)
    if value != written and not (rounding and rounds_to(value, written, right)):
        raise StepFails(f"{mark[:60]!r} is false; the left side is {canonical(value)[:60]}")
    return value, written


def rounds_to(value: Fraction, written: Fraction, spelling: str) -> bool:
    """Tell whether `value` rounded or cut at the decimal places of `spelling` is `written`, or a float's worth off."""
    places = len(spelling.strip().partition(".")[2])
    if places >= FLOAT_PLACES and abs(value - written) <= abs(value) * FLOAT_ERROR:
        return True
    scaled = value * 10**places
    target = written * 10**places
    cut = Fraction(int(scaled))
    half = Fraction(1, 2)
    rounded = Fraction(int(abs(scaled) + half) * (1 if scaled >= 0 else -1))
    return target in (cut, rounded)


def _check_repeated(text: str, end: int, results: tuple[Fraction, Fraction]) -> None:
    following = text[end : end + 60]
    spellings = [spelling for text in (following, _SPACED.sub("", following)) if (spelling := _leading_number(text))]
    if spellings and not any(_repeats(spelling, result) for spelling in spellings for result in results):
        raise StepFails(f"the mark gives {canonical(results[1])}, the text goes on with {spellings[0]!r}")


def _leading_number(text: str) -> str | None:
    after = next(numbers(text), None)
    return text[after.start : after.end] if after is not None and after.start <= 1 and after.value is not None else None


def _repeats(spelling: str, result: Fraction) -> bool:
    value = parse_number(spelling)
    return value is not None and (value == result or rounds_to(result, value, spelling))
