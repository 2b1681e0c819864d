"""Extractors find the final number by their own rule, side by side, and in time linear in the text."""

import time

import pytest

from menon.core.values import Completion, Problem
from menon.grading import check_calculator_marks, check_columns, check_equations, equation_list, grade
from menon.grading.extract import DEFAULT_CHAIN, answer_text, extract, extract_all, readable


@pytest.mark.parametrize(
    ("extractor", "text", "answer"),
    [
        ("hashes", "3*4 = 12\n#### 12", "12"),
        ("hashes", "first #### 3\nthen #### $1,200.00", "1200"),
        ("hashes", "so\n####\n7", "7"),
        ("hashes", "no mark 7", None),
        ("boxed", r"thus \boxed{42}.", "42"),
        ("boxed", r"\boxed{7} and \boxed{\text{result}}", "7"),
        ("boxed", r"\boxed{\frac{1}{3}}", "1/3"),
        ("boxed", r"\boxed{1{,}000\text{ dollars}}", "1000"),
        ("boxed", r"\boxed{45^\circ}", "45"),
        ("boxed", r"\boxed{\$5}", "5"),
        ("boxed", r"\boxed 5", "5"),
        ("boxed", r"\boxed{result}", None),
        ("answer_is", "The answer is 18.", "18"),
        ("answer_is", "**Answer:** $18", "18"),
        ("answer_is", "the answer is therefore 18", None),
        ("answer_is", "The answer is 3. No, the answer is -4", "-4"),
        ("after_a", "work\nA: 18 dollars", "18"),
        ("after_a", "A: 1\nA: 2", "2"),
        ("after_a", "USA: 5", None),
        ("last_number", "5 + 6 makes 11", "11"),
        ("last_number", "none", None),
    ],
)
def test_one_extractor(extractor: str, text: str, answer: str | None):
    assert extract_all(text)[extractor] == answer


def test_all_extractors_are_reported_side_by_side():
    text = "We get 3.\nThe answer is 4.\n#### 5\nChecked 6 times"
    assert extract_all(text) == {"hashes": "5", "boxed": None, "answer_is": "4", "after_a": None, "last_number": "6"}
    assert tuple(extract_all("")) == DEFAULT_CHAIN


def test_a_mark_without_a_number_decides():
    name, found = extract("12 apples\n#### many") or ("", None)
    assert name == "hashes"
    assert found is not None
    assert found.value is None


def test_a_next_question_is_not_read():
    text = "3*4=12\n#### 12\n\nQ: What is 5+5?\nA: 10\n#### 10"
    assert extract_all(text)["hashes"] == "12"
    assert readable("\nQ: asked again\nA: 4").endswith("4")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so\n#### x+1", ("x+1", "hashes")),
        (r"thus \boxed{\frac{a}{b}} holds", (r"\frac{a}{b}", "boxed")),
        ("The answer is **Paris**. It is large", ("Paris", "answer_is")),
        ("work\nA: (2, 3)\nmore", ("(2, 3)", "after_a")),
    ],
)
def test_answers_that_are_no_numbers(text: str, answer: tuple[str, str]):
    found = answer_text(text)
    assert found is not None
    assert (found[0], found[2]) == answer


def test_no_answer_text():
    assert answer_text("nothing here") is None
    assert answer_text("####") is None


LONG = 100_000
HOSTILE = {
    "digits": "1",
    "separated": "1,",
    "ratios": "1/",
    "mixed": "1 1/2 ",
    "minus": "-",
    "hashes": "####",
    "boxes": "\\boxed{",
    "boxes with digits": "\\boxed{x",
    "marks": "A:",
    "statements": "the answer is ",
    "spaces": " ",
    "answer and spaces": "answer" + " " * 50,
    "newlines": "a \n",
    "dots": "1.",
    "signs": "$-",
    "braces": "{",
    "runaway": "3",
    "exponent": "1e",
    "questions": "x\n Q ",
    "brackets": "(",
    "letters": "(b) ",
    "sums": "1+",
    "equals": "1=",
    "equations": "1+1=2 ",
    "steps": "1+1=2;",
    "opened marks": "<<",
    "calculator marks": "<<1+1=2>>2",
    "sentences": "a. ",
    "choices": "answer is a bank ",
    "thoughts": "<think>",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_is_linear(piece: str):
    numeric = Problem(family="t", question="1", answer="1", grader="number", meta={"steps": "equations"})
    lettered = Problem(family="t", question="q", answer="A", grader="choice", choices=("bank", "library"))

    def read(text: str) -> None:
        answer_text(text)
        grade(numeric, Completion(key="k", text=text))
        grade(lettered, Completion(key="k", text=text))
        check_equations("1 1", text, chained=False)
        check_columns("G1+g1", text)
        check_calculator_marks(text)
        equation_list(text)

    def seconds(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length]
        best = float("inf")
        for _ in range(2):
            start = time.process_time()
            read(text)
            best = min(best, time.process_time() - start)
        return best

    short, long = seconds(LONG // 10), seconds(LONG)
    assert long < 5.0
    assert long < 40 * short + 0.05, f"{LONG // 10} characters took {short:.4f} s, {LONG} took {long:.4f} s"
