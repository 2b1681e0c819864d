"""Equation steps such as `47+5=52;52-8=44;`: each one true, and made of what the question states.

Left out: whether the operation is the one that the words ask for; without gold steps no check can see that.
"""

import re
from collections import Counter
from fractions import Fraction
from itertools import pairwise

from menon.grading.arithmetic import NotArithmetic, evaluate, literals, number
from menon.grading.numbers import canonical, numbers, parse_number, plain
from menon.grading.step_report import StepFails, StepReport, split_steps

_RUN = re.compile(r"[-0-9.,+*/x\u00d7\u00f7()$= ]{3,}")
_CLAUSE_END = re.compile(r"[,.]\s")
_NUMBER = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+")


def question_numbers(question: str) -> list[Fraction]:
    """Return the numbers that a question states in digits, in order."""
    return [n.value for n in numbers(plain(question)) if n.value is not None]


def check_equations(
    question: str, rationale: str, *, chained: bool = True, use_all: bool = True, answer: str | None = None
) -> StepReport:
    """Check equation steps: each true, each made of numbers of the question and earlier results.

    Args:
        chained: the first step starts from a number of the question, each later one from the result before it, and
            every other operand is a number of the question; otherwise an operand may be any earlier result.
        use_all: every number of the question has to be used (none may be used twice in any case).
        answer: what the last result has to equal, when given.
    """
    steps = split_steps(rationale)
    unused = Counter(question_numbers(question))
    last: Fraction | None = None
    earlier: set[Fraction] = set()
    for at, step in enumerate(steps, start=1):
        try:
            last = _check_step(step, unused, last, earlier, chained=chained)
        except (StepFails, NotArithmetic) as reason:
            return StepReport(False, len(steps), at, f"step {at}: {reason}")
        earlier.add(last)
    if last is None:
        return StepReport(False, 0, None, "no steps")
    left = [canonical(value) for value in unused.elements()]
    if use_all and left:
        return StepReport(False, len(steps), None, f"numbers of the question left unused: {', '.join(left)}")
    if answer is not None and parse_number(answer) != last:
        reason = f"the last step gives {canonical(last)}, the answer is {answer!r}"
        return StepReport(False, len(steps), None, reason)
    return StepReport(True, len(steps))


def _check_step(
    step: str, unused: Counter[Fraction], last: Fraction | None, earlier: set[Fraction], *, chained: bool
) -> Fraction:
    """Return the result of one step and take its operands out of `unused`."""
    left, equals, right = step.partition("=")
    if not equals or "=" in right:
        raise StepFails(f"{step[:60]!r} is not an equation")
    value = evaluate(left)
    if value != written_result(right):
        raise StepFails(f"{step[:60]!r} is false; the left side is {canonical(value)}")
    operands = literals(left)
    if len(operands) < 2:
        raise StepFails(f"{step[:60]!r} computes nothing")
    if chained and last is not None:
        if operands[0] != last:
            raise StepFails(f"{step[:60]!r} does not start from {canonical(last)}, the result before it")
        operands = operands[1:]
    for operand in operands:
        if unused[operand] > 0:
            unused[operand] -= 1
        elif chained or operand not in earlier:
            raise StepFails(f"{canonical(operand)} is not in the question, or is used a second time")
    return value


def written_result(text: str) -> Fraction:
    """Return the value of one number with an optional minus, as it stands on the right of an equation."""
    text = text.replace("$", " ").strip()
    return -number(text[1:]) if text.startswith("-") else number(text)


def equations_in(text: str) -> list[str]:
    """Find every `expression = number` in a line of prose; returned in canonical spelling."""
    found = []
    for clause in (part for run in _RUN.findall(text) for part in _CLAUSE_END.split(run)):
        sides = clause.split("=")
        for left, right in pairwise(sides):
            left = left.strip(" x*/,.)$+")
            result = next(numbers(right), None)
            computes = any(operator in left[1:] for operator in "-+*/x\u00d7\u00f7")
            if computes and result is not None and result.value is not None:
                found.append(canonical_equation(f"{left}={canonical(result.value)}"))
    return found


def canonical_equation(text: str) -> str:
    """Write an equation without spaces and with every number in canonical form."""
    compact = re.sub(r"[\s$]", "", text).replace("\u00d7", "*").replace("\u00f7", "/").replace("x", "*")

    def spell(match: re.Match[str]) -> str:
        value = parse_number(match.group())
        return canonical(value) if value is not None else match.group()

    return _NUMBER.sub(spell, compact)
