"""Which steps of a chain a text gets right: the results that it writes, against the results that are true.

A chain carries one value through its steps, so a step is right when the value after it is the true one, whatever was
written before: a step after a wrong one can be right again, by an error that cancels or by starting over. Steps that
are not written are wrong. Left out: alignment of steps that stand in another order.
Source: the labels of Dziri et al. 2023, arXiv:2305.18654, section 4, on chains instead of graphs.
"""

from collections.abc import Sequence
from fractions import Fraction

from menon.grading.numbers import parse_number
from menon.grading.steps import equation_list


def step_results(text: str) -> list[Fraction]:
    """Return the results of the equations in `text`, in order."""
    values = (parse_number(equation.rpartition("=")[2]) for equation in equation_list(text))
    return [value for value in values if value is not None]


def steps_right(true: Sequence[Fraction], text: str, answer: str | None = None) -> list[bool]:
    """Return, for each true result, whether the text has it at that step.

    A text without equations says something about the last step only, by its `answer`; the list is then empty, so that
    nobody takes silence for errors.
    """
    written = step_results(text)
    if not written:
        return []
    right = [place < len(written) and written[place] == value for place, value in enumerate(true)]
    if len(written) < len(true) and answer is not None and parse_number(answer) == true[-1]:
        right[-1] = True  # the last step was made without being written
    return right
