"""Rendering and reading back: slots, capitals, marks, defaults, and questions made with lists that we do not know."""

import re
import time
from fractions import Fraction
from typing import Any

import pytest
from template_records import QUESTION, record, small

from menon.problems.templates import (
    Template,
    TemplateError,
    Value,
    default_assignment,
    draw,
    match,
    original,
    parse_template,
    render,
    violations,
)
from menon.problems.templates.matching import strays

WHERE = "file.jsonl:3"
FOREIGN = {
    "names": ["DeShawn", "Anne-Marie", "O'Neil", "Zoë", "José Luis", "Nguyễn", "Mrs. Smith"],
    "currencies_sym": ["CHF", "kr", "₣", "Rs.", "₩"],
    "fractions": [("three-eighths", Fraction(3, 8)), ("5/8", Fraction(5, 8)), ("a ninth", Fraction(1, 9))],
    "multi_times": [("eleven times", 11), ("thirty-two times", 32)],
    "multiple": [("sextuple", 6)],
    "cities": ["St. John's", "Rio de Janeiro", "New York City"],
    "fraction_decimals": [0.15, 0.85],
}


def values(**texts: Any) -> dict[str, Value]:
    return {name: Value(str(value), value) for name, value in texts.items()}


def filled() -> dict[str, Value]:
    found = values(name="DeShawn", thing="cup", cur="€", n=9, price=4, total=36, kept=6)
    return {**found, "frac": Value("a third", Fraction(1, 3))}


def test_texts_in_the_question_and_values_in_the_solution():
    instance = render(parse_template(record(), WHERE), filled())
    assert instance.question == (
        "Deshawn buys 9 cups at €4 each and gives a third of them away. "
        "A third of how many cups is that, if DeShawn paid €36?"
    )
    assert instance.rationale == "DeShawn paid €36 for 9 cups.\n9 - 3 = 6"
    assert instance.answer == "6"
    assert instance.worked == "DeShawn paid €36 for 9 cups.\n9 - 3 = 6\n#### 6"


@pytest.mark.parametrize(
    ("worked", "shown"),
    [
        ("{x/2} {x*0.1}\n#### {x}", "2.5 0.5"),
        ("{Fraction(x, 10)} {'up' if round(2.6) > 2.6 else 'down'}\n#### {x}", "1/2 up"),
        ("{format_frac(Fraction(x, 2))} << 3 * {x} = {no such(} >>{x}\n\n#### {x}", "2 1/2 5"),
        ("{ x }<<{x}/{x}>>\n<<two\nlines>>{x}\n#### {x}", "5\n5"),
    ],
)
def test_worked_solutions(worked: str, shown: str):
    template = parse_template(small("- $x = range(9)", worked=worked), WHERE)
    assert render(template, values(x=5)).rationale == shown


@pytest.mark.parametrize(
    ("slot", "reason"),
    [
        ("9**9**9", "TooLarge: a power above 1,000"),
        ("x / 0", "ZeroDivisionError"),
        ("x[1]", "TypeError: 5 is no list"),
        (" * ".join(["2**1000"] * 5), "the number is too large"),
        ("list(range(50000))", "the text is too long"),
    ],
)
def test_answers_that_cannot_be_computed_name_the_slot(slot: str, reason: str):
    template = parse_template(small("- $x = range(9)", worked=f"#### {{{slot}}}"), WHERE)
    with pytest.raises(TemplateError, match=f"{WHERE}: template '7': answer slot .*{re.escape(reason)}"):
        render(template, values(x=5))


def test_a_missing_value_is_named():
    with pytest.raises(TemplateError, match="variable 'n' has no value"):
        render(parse_template(record(), WHERE), values(name="Ann"))


def test_every_drawn_instance_reads_back():
    template = parse_template(record(), WHERE)
    for assignment in draw(template, "round trip", count=100):
        instance = render(template, assignment)
        found = match(template, instance.question)
        assert found is not None
        assert {name: value.value for name, value in found.items()} == {n: v.value for n, v in assignment.items()}
        assert violations(template, found) == strays(template, found) == []
        assert render(template, found) == instance


def test_instances_made_with_lists_that_we_do_not_know_read_back():
    question = (
        "{city, Rome} is where {name, Ann} has {cur, $}{n, 5} and {name, Ann}'s friend {other, Bob} {mult, twice} that."
        " {frac, Half} of it, {frac, half}, is worth {cur, $}{price, 0.5} in {city, Rome}. "
        "{other, Bob} gets {more, double}."
    )
    sections = (
        "#init:\n- name, other = sample(names, 2)\n- cur = sample(currencies_sym)\n- city = sample(cities)\n"
        "- $n = range(2, 9)\n- $mult = sample(multi_times)\n- $frac = sample(fractions)\n- $more = sample(multiple)\n"
        "- $price = sample(fraction_decimals)\n#answer: n"
    )
    item = record(question, sections, "#### {n * mult * frac * more * price}")
    theirs, ours = parse_template(item, WHERE, lists=FOREIGN), parse_template(item, WHERE)
    drawn = draw(theirs, "foreign", count=150)
    for assignment in drawn:
        instance = render(theirs, assignment)
        found = match(ours, instance.question)
        assert found is not None, instance.question
        assert {n: v.value for n, v in found.items()} | {"name": 0, "other": 0} == {
            n: v.value for n, v in assignment.items()
        } | {"name": 0, "other": 0}
        assert found["other"].text.lower() == assignment["other"].text.lower()
        assert render(ours, found).answer == instance.answer


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(" ", "  ").replace("each", "\neach"),
        lambda text: f"\n{text} \n",
        lambda text: text.replace("9 cups", "9  cups"),
    ],
)
def test_blanks_do_not_matter(change: Any):
    template = parse_template(record(), WHERE)
    found = match(template, change(render(template, filled()).question))
    assert found is not None
    assert found["n"].value == 9
    assert found["kept"].value == 6


def test_other_questions_do_not_match():
    template = parse_template(record(), WHERE)
    right = render(template, filled()).question
    for wrong in ("", right[:-1], right + " Why?", right.replace("buys", "sells"), right.replace("€36", "$36")):
        assert match(template, wrong) is None
    begun = time.perf_counter()
    assert match(template, right + "x" * 10**6) is None
    assert match(template, (right[:-1] + " ") * 80) is None
    assert time.perf_counter() - begun < 2


def test_values_outside_of_their_domain_are_read_and_reported():
    template = parse_template(record(), WHERE)
    question = render(template, filled()).question.replace("cups", "hats").replace("€4", "€40").replace("36", "360")
    found = match(template, question)
    assert found is not None
    assert strays(template, found) == ["thing", "price"]
    assert [condition.text for condition in violations(template, found)] == []


def test_hidden_variables_are_solved_for_or_left_out():
    template = parse_template(record(), WHERE)
    shown = render(template, filled()).question
    assert (match(template, shown) or {})["kept"].value == 6
    broken = match(template, shown.replace("buys 9", "buys 3"))
    assert broken is not None
    assert "kept" not in broken
    assert "kept == n - int(n * frac)" in {condition.text for condition in violations(template, broken)}


def test_defaults_are_read_back():
    template = parse_template(record(), WHERE)
    found = default_assignment(template)
    assert found is not None
    assert {name: value.value for name, value in found.items()} == {
        **{"name": "Ann", "thing": "pen", "cur": "$", "n": 12, "price": 3, "total": 36, "kept": 6},
        "frac": Fraction(1, 2),
    }
    assert render(template, found).question == (
        "Ann buys 12 pens at $3 each and gives half of them away. Half of how many pens is that, if Ann paid $36?"
    )
    assert default_assignment(parse_template(record(QUESTION.replace("{n, 12}", "{n, some}")), WHERE)) is None
    assert default_assignment(parse_template(record(QUESTION.replace("{n, 12}", "{n}")), WHERE)) is None


def test_the_original_problem():
    template: Template = parse_template(record(), WHERE)
    first = original(template)
    assert first is not None
    assert (first.answer, first.rationale) == ("6", "12 - 6 = 6")
    assert original(parse_template(record(answer="six"), WHERE)) is None
