"""Grader "word": labels as models state them, and what is left unparsed."""

import time

import pytest

from menon.core.errors import DataError
from menon.core.values import Completion, Problem, Verdict
from menon.grading.verdicts import grade, open_grader

LOGIC = Problem(
    family="logic",
    question="Does it follow?",
    answer="True",
    grader="word",
    meta={
        "labels": ["True", "False", "Uncertain"],
        "synonyms": {"unknown": "Uncertain", "cannot be determined": "Uncertain"},
    },
)
CHOICES = Problem(family="x", question="Which?", answer="red", choices=("red", "dark red", "blue"), grader="word")


def _read(text: str, problem: Problem = LOGIC) -> str | None:
    return open_grader("word").parse(problem, text).answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("#### True", "True"),
        ("By 1 and 2 it eats.\n#### false", "False"),
        ("The answer is False.", "False"),
        (r"So \boxed{\text{Uncertain}}", "Uncertain"),
        ("**Answer: True**", "True"),
        ("It could be False.\n#### **Uncertain**", "Uncertain"),
        ("#### unknown", "Uncertain"),
        ("#### It cannot be determined", "Uncertain"),
        ("x=1;#True", "True"),
        ("So the conclusion is true, not false.", "True"),
        ("It is False rather than True.", "False"),
        ("It might be false. Let us see.\nNo: it is true.\n", "True"),
        ("True, because False would contradict 3.", "True"),
        ("ｔｒｕｅ", "True"),
        ("#### Ｆａｌｓｅ", "False"),
    ],
)
def test_labels_are_read(text: str, answer: str):
    assert _read(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It depends.",
        "True or False",
        "#### True or False?",
        "#### not True",
        "The answer is either True or False.",
        "#### Тrue",
        "Fаlse",
        "Untrue",
        "falsehoods",
        "####",
        "#### probably\nTrue",
    ],
)
def test_what_commits_to_no_label_is_unparsed(text: str):
    assert _read(text) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is (B).", "dark red"),
        ("#### dark red", "dark red"),
        ("#### red", "red"),
        ("#### (D)", None),
        ("The answer is blue.", "blue"),
    ],
)
def test_choices_are_named_by_text_or_letter(text: str, answer: str | None):
    assert _read(text, CHOICES) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("#### The opening is not legal.", "no"),
        ("No, 2. Bd3 is illegal, though 1. e4 is legal.", "no"),
        ("Every move is possible, so it is legal.", "yes"),
        ("It is hard to say whether it is legal or not.", None),
        ("There is no doubt, so yes.", None),
    ],
)
def test_of_two_labels_denying_one_states_the_other(text: str, answer: str | None):
    meta = {"labels": ["yes", "no"], "synonyms": {"legal": "yes", "illegal": "no"}}
    assert _read(text, Problem(family="chess", question="Legal?", answer="no", meta=meta)) == answer


def test_grades():
    verdicts = [grade(LOGIC, Completion(key="a", text=f"#### {word}")).verdict for word in ("TRUE", "False", "maybe")]
    assert verdicts == [Verdict.RIGHT, Verdict.WRONG, Verdict.UNPARSED]
    assert grade(LOGIC, Completion(key="a", text="As 1 says.\n#### True")).rationale == "As 1 says."


def test_a_problem_without_labels_cannot_be_graded():
    with pytest.raises(DataError, match="lists no labels"):
        _read("#### True", Problem(family="x", question="?", answer="True"))
    with pytest.raises(DataError, match="allowed: one of"):
        open_grader("word").accepts(Problem(family="x", question="?", answer="Perhaps", choices=("a", "b")), "a")


@pytest.mark.parametrize("piece", ["true ", "not true ", "a\n", "#", "\\boxed{", "answer is ", "\\text{", "ﷺ", "１"])
def test_long_output_is_read_in_no_time(piece: str):
    text = piece * (100_000 // len(piece))
    start = time.process_time()
    _read(text)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(("text", "answer"), [("(a).", "bag"), ("B", "box"), ("b.", "box")])
def test_a_letter_alone_names_a_choice(text: str, answer: str):
    problem = Problem(family="minds", question="Where?", answer="bag", choices=("bag", "box"), grader="word")
    completion = Completion(key="k", text=text)
    assert grade(problem, completion).answer == answer
