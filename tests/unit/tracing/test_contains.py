"""Whether a document contains an answer or a question: borders of numbers and words, spellings, many at once."""

import re
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.core.errors import ConfigError
from menon.grading.numbers import canonical, numbers, plain
from menon.tracing.contains import AnswerMatcher, QuestionMatcher, contains_answer, contains_question, normal

HELD = [  # answer, document
    ("7", "7"),
    ("3", "x=3."),
    ("3", "so x is 3, and"),
    ("3", "3x + 4 = 13"),
    ("19", "12+7=19#19"),
    ("-7", "y = -7"),
    ("-7", "(3,-7)"),
    ("-7", "y is \u22127"),
    ("7", "9-7"),
    ("7", "a-7"),
    ("1000", "it was 1,000 long"),
    ("1,000", "1000."),
    ("1000", "1\u2009000"),
    ("1234567.5", "$1,234,567.50"),
    ("23", "1,23"),
    ("5", "[3,5,1]"),
    ("2", "6/2"),
    ("3/4", "half of 3/4 cup"),
    ("0.75", "half of 3/4 cup"),
    ("1/2", "0.5"),
    ("2.5", "2 1/2 cups"),
    ("2.5", "2\u00bd cups"),
    ("0.5", "\u00bd cup"),
    ("-1/3", "slope -1/3"),
    ("6", "12 6/2"),
    ("50", "50%"),
    ("5", "it cost $5"),
    ("17", "\uff11\uff17"),
    ("42", "\u0664\u0662"),
    ("10", "10^2"),
    ("10", "10\u00b2"),
    ("30", "at 3:30"),
    ("1000", "1e3"),
    ("7.5", "7.50"),
    ("5", "5m long"),
    ("5", "wait...5"),
    ("tom blue", "The box of Tom  Blue is"),
    ("tom blue", "(tom\nblue)"),
    ("Paris.", "paris, France"),
    ("stra\u00dfe", "die STRASSE dort"),
    ("\ufb01ve", "five"),
    ("c++", "in C++17"),
    ("7 apples", "he has 7 apples."),
    ("room 7", "in room 7, upstairs"),
    ("\u2192", "a \u2192 b"),
    ("yes", "Yes!"),
]
NOT_HELD = [
    ("7", "17"),
    ("7", "71"),
    ("7", "7.5"),
    ("7", "0.7"),
    ("7", "-7"),
    ("-7", "7"),
    ("-7", "9-7"),
    ("-7", "(a)-7"),
    ("7", "x7"),
    ("7", "a_7"),
    ("7", "7th"),
    ("8", "8k"),
    ("5", "5M"),
    ("1", "1,000"),
    ("0", "1,000"),
    ("1", "1,000k"),
    ("1", "1.2.3"),
    ("2", "1.2.3"),
    ("102", "10\u00b2"),
    ("102", "10\u2082"),
    ("21", "2\u00bd"),
    ("3", "6/2"),
    ("2", "2 1/2"),
    ("1", "1e3"),
    ("5", "\u0665\u0666"),
    ("tom", "tomorrow"),
    ("tom", "atom"),
    ("tom", "tom_1"),
    ("tom blue", "tom is blue"),
    ("7 apples", "17 apples"),
    ("7 apples", "2.7 apples"),
    ("7 apples", "-7 apples"),
    ("room 7", "room 71"),
    ("room 7", "room 7.5"),
    ("room 7", "room 7,000"),
    ("", "anything"),
    ("  ", "any thing"),
    ("7", ""),
    ("tom", ""),
]


@pytest.mark.parametrize(("answer", "document"), HELD, ids=str)
def test_contained(answer: str, document: str):
    assert contains_answer(document, answer)


@pytest.mark.parametrize(("answer", "document"), NOT_HELD, ids=str)
def test_not_contained(answer: str, document: str):
    assert not contains_answer(document, answer)


def test_many_answers_at_once_are_each_alone():
    answers = [answer for answer, _ in HELD + NOT_HELD]
    documents = [document for _, document in HELD + NOT_HELD]
    found_AN = AnswerMatcher(answers).contained(documents)
    alone_AN = np.array([[contains_answer(document, answer) for document in documents] for answer in answers])
    assert np.array_equal(found_AN, alone_AN)
    assert found_AN.shape == (len(answers), len(documents))


def test_no_answers_and_no_documents():
    assert AnswerMatcher([]).contained(["a", "b"]).shape == (0, 2)
    assert AnswerMatcher(["a", "7"]).contained([]).shape == (2, 0)


NUMBER = st.builds(Fraction, st.integers(-(10**7), 10**7), st.sampled_from([1, 1, 2, 10, 100]))
AROUND = st.sampled_from(
    [("", ""), ("x=", "."), ("(", ")"), ("is ", ", so"), ("#", "\n"), ("[1,", "]"), ("", "%"), ("$", "")]
)


def spell(value: Fraction, commas: bool) -> str:
    whole, dot, rest = canonical(value).partition(".")
    return (f"{int(whole):,}" if commas and abs(value) >= 1000 else whole) + dot + rest


@given(NUMBER, AROUND, st.booleans())
def test_a_number_is_held_and_its_neighbours_are_not(value: Fraction, around: tuple[str, str], commas: bool):
    # Within [1,...] a comma can be a thousands comma, which is the ambiguity that the module names.
    document = around[0] + spell(value, commas and "," not in around[0]) + around[1]
    if around[0] == "[1," and re.match(r"\[1,[0-9]{3}\D", document):
        document = document.replace(",", ", ")
    near = [value + 1, value - 1, 10 * value + 3, -value if value else Fraction(3), value + Fraction(1, 2)]
    found = AnswerMatcher([canonical(value), *map(canonical, near)]).found(document)
    assert found - {place for place, other in enumerate([value, *near]) if other == 1 and "[1," in document} == {0} - (
        {0} if value == 1 and "[1," in document else set()
    )


TEXT = st.text(st.sampled_from("0123456789012345., -+x(=$%\n"), max_size=20)


@given(TEXT)
def test_numbers_that_grading_reads_are_found(text: str):
    """Whatever grading reads as a number is held, but for spellings that no text has: -+$5, $$5, ..5 and x.5."""
    flat = " ".join(text.split())
    odd = re.search(r"[.x]\.[0-9]|[-+$]{3}|[$]{2}", flat)
    read = [canonical(number.value) for number in numbers(plain(flat)) if number.value is not None]
    found = AnswerMatcher(read).found(text)
    assert odd or found == set(range(len(read)))


@given(st.text(max_size=40))
def test_spelling_is_settled_at_once(text: str):
    assert normal(normal(text)) == normal(text)


@given(st.lists(st.text("abcz ", min_size=1, max_size=6), max_size=5), st.text("abcz ", max_size=30))
def test_texts_against_split_words(answers: list[str], document: str):
    words = document.split()
    expected = set()
    for place, answer in enumerate(answers):
        wanted = answer.split()
        if wanted and any(words[first : first + len(wanted)] == wanted for first in range(len(words))):
            expected.add(place)
    assert AnswerMatcher(answers).found(document) == expected


LONG = [
    "111," * 20000 + "11",
    "1" * 200000 + "k",
    "1/" * 50000,
    "-" * 50000,
    "1." * 50000,
    "a " * 50000,
    "\u2009" * 50000,
]


@pytest.mark.parametrize("document", LONG, ids=[text[:6].encode("unicode_escape").decode() for text in LONG])
def test_time_is_linear_in_the_text(document: str):
    matcher = AnswerMatcher(["5", "0.5", "a b", "\u2192"])
    start = time.process_time()
    matcher.found(document)
    assert time.process_time() - start < 2


def test_numbers_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("menon.tracing.contains.MOST_READ", 3)
    found_AN = AnswerMatcher(["50", "51"]).contained(str(number) for number in range(100))
    assert np.argwhere(found_AN).tolist() == [[0, 50], [1, 51]]


QUESTION = "What is the slope of the line through (3, 5) and (7, 13)?"


def test_a_question_is_held_by_its_copy_and_not_by_its_template():
    copy = "Q: what is the   SLOPE of the line through (3, 5) and (7, 13)? A: 2"
    template = "What is the slope of the line through (4, 1) and (8, 9)?"
    assert contains_question(copy, QUESTION) == 1
    assert 0 < contains_question(template, QUESTION) < 0.6
    assert contains_question("The capital of France", QUESTION) == 0


def test_share_by_hand():
    assert contains_question("a b c d", "a b c x", n=2) == pytest.approx(2 / 3)
    assert contains_question("a b a b", "a b a b c", n=2) == pytest.approx(2 / 3)  # distinct: ab, ba, bc
    assert contains_question("12 + 7 = 19", "12+7=", n=3) == 1
    assert contains_question("12-7=5", "12+7=", n=3) == 0


def test_short_and_empty_questions():
    assert contains_question("so tom is blue", "Tom is", n=5) == 1
    assert contains_question("tom was", "Tom is", n=5) == 0
    assert contains_question("anything", "?!") == 0
    assert contains_question("", "Tom is") == 0
    with pytest.raises(ConfigError, match="1 or more"):
        contains_question("a", "a", n=0)


@given(st.lists(st.text("ab ", max_size=12), max_size=5), st.text("ab ", max_size=30), st.integers(1, 4))
def test_questions_at_once_are_counts_by_loops(questions: list[str], document: str, n: int):
    padded = f" {' '.join(document.split())} "
    expected = []
    for question in questions:
        words = question.split()
        size = min(n, len(words))
        grams = {" ".join(words[at : at + size]) for at in range(len(words) - size + 1)} if words else set()
        expected.append(sum(f" {gram} " in padded for gram in grams) / max(1, len(grams)))
    shares_Q = QuestionMatcher(questions, n).shares(document)
    np.testing.assert_allclose(shares_Q, expected, atol=1e-6)
