"""Templates against brute force: expressions against Python's operators, draws against all assignments."""

import operator
from fractions import Fraction
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from menon.problems.templates import TemplateError, draw, match, parse_template, render
from menon.problems.templates.expressions import Expression
from menon.problems.templates.functions import FAILURES, quantity
from menon.problems.templates.solver import solver_for

ENV = {"x": 12, "y": -5, "f": Fraction(2, 3), "p": 0.25}
OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "<": operator.lt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip

Outcome = tuple[str, Any]  # the text of an expression, and its value or the type of the error that it raises


def combined(left: Outcome, sign: str, right: Outcome) -> Outcome:
    text = f"({left[0]}) {sign} ({right[0]})"
    for side in (left, right):
        if isinstance(side[1], type):
            return text, side[1]
    try:
        return text, OPERATORS[sign](left[1], right[1])
    except ArithmeticError as error:
        return text, type(error)


leaves = st.one_of(
    st.sampled_from(sorted(ENV)).map(lambda name: (name, ENV[name])),
    st.integers(0, 40).map(lambda number: (str(number), number)),
    st.sampled_from([0.5, 1.75]).map(lambda number: (repr(number), number)),
)
outcomes = st.recursive(
    leaves,
    lambda inner: st.builds(combined, inner, st.sampled_from(sorted(OPERATORS)), inner),
    max_leaves=12,
)


@given(outcomes)
@settings(max_examples=300)
def test_expressions_have_the_values_of_python(outcome: Outcome):
    text, expected = outcome
    try:
        found = Expression(text)(ENV)
    except FAILURES as error:
        found = type(error)
    assert type(found) is type(expected)
    assert found == expected or (found != found and expected != expected)


DOMAINS = st.lists(st.tuples(st.integers(-4, 6), st.integers(1, 9), st.integers(1, 3)), min_size=2, max_size=3)
CONDITIONS = st.lists(
    st.sampled_from([
        "a < b", "a + b == 5", "2 * a - b > 1", "divides(b, a)", "a != b", "is_int(b / 2)", "a * b == 6",
        "-3 < a + b < 9", "(a + b) % 3 == 1", "b - a >= 2 and a > 0", "a == 2 * b + 1", "b // 2 <= a",
    ]),
    max_size=3,
    unique=True,
)  # fmt: skip


def truth(text: str, env: dict[str, Any]) -> bool:
    try:
        return bool(Expression(text)(env))
    except FAILURES:
        return False


@given(DOMAINS, CONDITIONS)
@settings(max_examples=120)
def test_draws_reach_every_solution_and_nothing_else(domains: list[tuple[int, int, int]], conditions: list[str]):
    names = "abc"[: len(domains)]
    ranges = [range(start, start + size * step, step) for start, size, step in domains]
    expected = {
        values
        for values in product(*ranges)
        if all(truth(text, dict(zip(names, values, strict=True))) for text in conditions)
    }
    init = "\n".join(f"- ${name} = range({r.start}, {r.stop}, {r.step})" for name, r in zip(names, ranges, strict=True))
    section = "#conditions:\n" + "\n".join(f"- {text}" for text in conditions) + "\n" if conditions else ""
    slots = " and ".join(f"{{{name}, 1}}" for name in names)
    template = parse_template(
        {
            "id_shuffled": 1,
            "question_annotated": f"What are {slots}?\n#init:\n{init}\n{section}#answer: a",
            "answer_annotated": "#### {a}",
        },
        "t:1",
    )
    try:
        drawn = draw(template, "all", count=max(len(expected), 1))
    except TemplateError:
        assert not expected
        return
    found = {tuple(assignment[name].value for name in names) for assignment in drawn}
    assert found == expected
    assert solver_for(template, {}).questions() >= len(expected)
    for assignment in drawn[:5]:
        read = match(template, render(template, assignment).question)
        assert read is not None
        assert {n: v.value for n, v in read.items()} == {n: v.value for n, v in assignment.items()}


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_no_text_makes_the_reader_of_numbers_or_expressions_fail_otherwise(text: str):
    assert quantity(text) is None or isinstance(quantity(text), int | float | Fraction)
    try:
        Expression(text)
    except ValueError:
        return


@given(st.text(max_size=200), st.text(max_size=200))
@settings(max_examples=150)
def test_no_record_fails_with_anything_but_a_template_error(question: str, worked: str):
    record = {
        "id_shuffled": 1,
        "question_annotated": question + "\n#init:\n- $x = range(2, 5)\n#answer: x",
        "answer_annotated": worked + "\n#### {x}",
    }
    problem = ""
    try:
        template = parse_template(record, "t:1")
        (found,) = draw(template, "any")
        assert match(template, render(template, found).question) is not None
    except TemplateError as error:
        problem = str(error)
    assert not problem or problem.startswith("t:1: template '1': ")
