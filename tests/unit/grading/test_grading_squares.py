"""Grader "squares": sets of squares with credit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.core.errors import DataError
from menon.core.values import Completion, Grade, Problem, Verdict
from menon.grading import grade

SQUARES = [f"{file}{rank}" for file in "abcdefgh" for rank in range(1, 9)]


def graded(text: str, gold: str) -> Grade:
    return grade(Problem(family="chess", question="?", answer=gold, grader="squares"), Completion(key="k", text=text))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The two knights are on b8 and g8.", "b8 g8"),
        ("B8, G8", "b8 g8"),
        ("#### g8 b8", "b8 g8"),
        ("\\boxed{b8, g8}", "b8 g8"),
        ("Usually they are on c8 and f8.\nHere they are on b8 and g8.", "b8 g8"),
        ("1. one on b8\n2. one on g8\n\nGood luck!", "b8 g8"),
        ("The answer is b8 and g8. Not c8.", "b8 g8"),
        ("1. e4 Nf6 means b8 (dark) and g8 (light).", "b8 e4 g8"),
    ],
)
def test_which_squares_are_read(text: str, answer: str):
    assert graded(text, "b8 g8").answer == answer


def test_credit_is_the_share_of_squares_and_naming_all_earns_nothing():
    assert graded("b8 and g8", "g8 b8").credit == 1.0
    half = graded("b8 and f8", "b8 g8")
    assert (half.verdict, half.credit, half.score) == (Verdict.WRONG, 0.5, 0.5)
    assert graded("b8", "b8 g8").credit == 0.5
    assert graded("a1 and a2", "b8 g8").credit == 0.0
    assert graded(" ".join(SQUARES), "b8 g8").credit == 2 / 64
    assert graded("nowhere", "b8 g8").verdict is Verdict.UNPARSED
    assert graded("\u04308 and g9", "b8 g8").verdict is Verdict.UNPARSED  # a Cyrillic letter, a ninth rank


@given(
    gold=st.sets(st.sampled_from(SQUARES), min_size=1, max_size=5), named=st.sets(st.sampled_from(SQUARES), min_size=1)
)
def test_credit_is_one_exactly_when_accepted(gold: set[str], named: set[str]):
    found = graded(" and ".join(sorted(named)), " ".join(gold))
    assert found.credit == len(gold & named) / max(len(gold), len(named))
    assert found.right == (gold == named) == (found.credit == 1)


def test_a_gold_answer_without_squares_is_told():
    with pytest.raises(DataError, match="names no square"):
        graded("b8", "knight")
