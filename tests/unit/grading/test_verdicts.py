"""Grading as a whole: finish reasons, reasoning blocks, soundness."""

from dataclasses import replace

import pytest

from menon.core.values import Completion, Problem, Verdict
from menon.grading import grade, split_thinking

CHAIN = Problem(
    family="chain", question="tom has 47 pens. tom buys 5. how many?", answer="52", meta={"steps": "equations"}
)


def completion(text: str, **fields: object) -> Completion:
    return replace(Completion(key=CHAIN.id, text=text), **fields)  # pyright: ignore[reportArgumentType]


def test_right_and_sound():
    found = grade(CHAIN, completion("47+5=52;#52"))
    assert (found.verdict, found.answer, found.rationale, found.sound) == (Verdict.RIGHT, "52", "47+5=52;", True)


@pytest.mark.parametrize("text", ["47+5=51;#52", "#52", "52+0=52;#52"])
def test_right_but_unsound(text: str):
    found = grade(CHAIN, completion(text))
    assert found.right
    assert found.sound is False
    assert found.note


def test_wrong_after_sound_steps_is_unsound():
    found = grade(CHAIN, completion("47+5=52;#53"))
    assert found.verdict is Verdict.WRONG
    assert found.sound is False


def test_truncated_keeps_the_answer_but_not_the_verdict():
    found = grade(CHAIN, completion("47+5=52;#5", finish="length"))
    assert found.verdict is Verdict.TRUNCATED
    assert found.answer == "5"
    assert grade(CHAIN, completion("47+5=", finish="length")).verdict is Verdict.TRUNCATED


def test_failed_request():
    found = grade(CHAIN, completion("", finish="error", error="HTTP 500"))
    assert (found.verdict, found.note) == (Verdict.ERROR, "HTTP 500")


def test_thinking_is_not_graded():
    problem = Problem(family="t", question="q", answer="5", grader="number")
    found = grade(problem, completion("<think>#### 4</think>\n#### 5"))
    assert found.right
    assert found.rationale == "#### 4"
    opened_in_the_prompt = grade(problem, completion("so 4</think>5"))
    assert opened_in_the_prompt.right
    unfinished = grade(problem, completion("<think>#### 5"))
    assert unfinished.verdict is Verdict.UNPARSED
    assert grade(problem, completion("#### 5", reasoning="by hand")).rationale == "by hand"


def test_split_thinking():
    assert split_thinking("plain") == (None, "plain", True)
    assert split_thinking("<think>a</think>b") == ("a", "b", True)
    assert split_thinking("a</think>b") == ("a", "b", True)
    assert split_thinking("<think>a") == ("a", "", False)


def test_grader_can_be_named():
    assert grade(CHAIN, completion("so 52"), grader="number").right
    assert grade(CHAIN, completion("so 52")).verdict is Verdict.UNPARSED
