"""Grader "digits": what is read of an answer in a base, against Python's own conversion and written cases."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.core.errors import ConfigError, DataError
from menon.core.values import Completion, Grade, Problem, Verdict
from menon.grading import grade, open_grader
from menon.grading.digits import DIGITS


def graded(text: str, gold: str, base: int) -> Grade:
    problem = Problem(family="sums", question="?", answer=gold, grader=f"digits?base={base}")
    return grade(problem, Completion(key="k", text=text))


def in_base(value: int, base: int) -> str:
    digits = ""
    while value:
        value, last = divmod(value, base)
        digits = DIGITS[last] + digits
    return digits or "0"


@pytest.mark.parametrize(
    ("text", "base", "answer", "note"),
    [
        ("So \\boxed{12A}.", 11, "12A", "boxed"),
        ("So \\boxed{12a}.", 11, "12A", "boxed"),
        ("the sum is \\boxed{47+5 = 52_8}", 8, "52", "boxed"),
        ("the sum is $\\boxed{52_{8}}$", 8, "52", "boxed"),
        ("the sum is $\\boxed{52_{\\text{base 8}}}$", 8, "52", "boxed"),
        ("\\boxed{\\text{C6}}", 16, "C6", "boxed"),
        ("\\boxed{C6 \\text{ (base 16)}}", 16, "C6", "boxed"),
        ("\\boxed{0xC6}", 16, "C6", "boxed"),
        ("\\boxed{DD}_{16}", 16, "DD", "boxed"),
        ("\\boxed{1,188}", 10, "1188", "boxed"),
        ("\\boxed{1{,}188}", 10, "1188", "boxed"),
        ("\\boxed{1\\,\\,8}", 10, "18", "boxed"),
        ("\\boxed{1\\phantom{ }8}", 10, "18", "boxed"),
        ("it is 35, so \\boxed{result}", 8, "35", "last_number"),
        ("\\boxed{35} and then \\boxed{result}", 8, "35", "boxed"),
        ("\\boxed{9}0 + \\boxed{3}7 is \\boxed{1}2\\boxed{7}, so 90+37=127.", 10, "127", "last_number"),
        ("After 337 comes 340.", 8, "340", "last_number"),
        ("After 260 comes 261 (or 177 in base-10)", 8, "261", "last_number"),
        ("After 77A comes 780 in base-11.", 11, "780", "last_number"),
        ("The number after DC is DD.", 16, "DD", "last_number"),
        ("2 * 16^1 gives 20", 16, "20", "last_number"),
        ("678, 679, 680, 681", 10, "681", "last_number"),
        ("998,999,1000", 10, "1000", "last_number"),
        ("47+5 = 912,345", 10, "912345", "last_number"),
        ("We get 1,188 in all.", 10, "1188", "last_number"),
        ("the answer is 52. I checked it 3 times.", 8, "52", "answer_is"),
        ("\\boxed{7}\n#### 52", 8, "52", "hashes"),
        ("47+5=54;#54", 8, "54", "last_number"),
        ("A 2nd look: 54", 8, "54", "last_number"),
        ("\uff11\uff12\uff21", 11, "12A", "last_number"),
        ("the answer is B.", 11, "B", "answer_is"),
        ("it is 192", 8, "192", "last_number"),
        ("\\boxed{192}", 8, "192", "boxed"),
    ],
)
def test_where_the_answer_is_read(text: str, base: int, answer: str, note: str):
    found = graded(text, "1", base)
    assert (found.answer, found.note) == (answer, note)


@pytest.mark.parametrize(
    "text", ["", "I cannot tell.", "A cat sat.", "BAD CAFE", "\\boxed{result}", "\\boxed{}", "\\boxed{", "####"]
)
def test_no_number_is_unparsed(text: str):
    assert graded(text, "12", 16).verdict is Verdict.UNPARSED


@pytest.mark.parametrize(
    "text", ["\\boxed{12\u0410}", "#### 12\u0410", "so it is 12\u0410", "12\u0410 is \\boxed{12\u0410}"]
)
def test_a_cyrillic_letter_is_no_digit_and_is_named(text: str):
    found = graded(text, "12A", 11)
    assert found.verdict is Verdict.UNPARSED
    assert "CYRILLIC CAPITAL LETTER A" in found.note


def test_a_digit_that_the_base_lacks_is_wrong_not_unparsed():
    assert graded("\\boxed{128}", "12", 8).verdict is Verdict.WRONG
    assert graded("\\boxed{FG}", "FF", 16).verdict is Verdict.UNPARSED  # no digit in it, so it may be a word
    assert graded("\\boxed{1G}", "1F", 16).verdict is Verdict.WRONG


@given(value=st.integers(0, 10**12), base=st.integers(2, 36), style=st.integers(0, 5))
def test_gold_is_accepted_and_its_neighbour_refused(value: int, base: int, style: int):
    def write(number: str) -> str:
        return (
            f"so \\boxed{{{number}}}",
            f"so \\boxed{{{number}_{{{base}}}}} in base {base}",
            f"#### {number}",
            f"x = {number}",
            f"the answer is {number}",
            f"\\boxed{{{number.lower()}}}",
        )[style]

    gold = in_base(value, base)
    assert int(gold, base) == value
    assert graded(write(gold), gold, base).right
    assert not graded(write(in_base(value + 1, base)), gold, base).right


@given(text=st.text(max_size=300), base=st.integers(2, 36))
def test_any_text_gets_a_verdict(text: str, base: int):
    assert graded(text, "1", base).verdict in (Verdict.RIGHT, Verdict.WRONG, Verdict.UNPARSED)


@pytest.mark.parametrize(
    "piece", ["1", "A", "1,", "(", "\\boxed{", "}1\\boxed{1", "=", "1 ", "base 1", "_{", "1a.", "\\phantom{"]
)
def test_100_000_characters_take_no_time(piece: str):
    began = time.perf_counter()
    graded(piece * (100_000 // len(piece)), "12", 16)
    assert time.perf_counter() - began < 5


def test_wrong_options_and_golds_are_told():
    for base in ("1", "37", "x", ""):
        with pytest.raises(ConfigError, match="from 2 to 36"):
            open_grader(f"digits?base={base}")
    with pytest.raises(DataError, match="no number in base 8"):
        graded("\\boxed{12}", "89", 8)
