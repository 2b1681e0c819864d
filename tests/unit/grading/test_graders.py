"""The graders by name: exact, number, choice."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from menon.core.errors import ConfigError, DataError
from menon.core.values import Completion, Problem, Verdict
from menon.grading import grade, open_grader
from menon.problems.datasets import load_problems

CHOICES = ("bank", "library", "super market", "market", "new york")


def verdict(text: str, *, answer: str = "72", grader: str = "number", choices: tuple[str, ...] = ()) -> Verdict:
    problem = Problem(family="t", question="q", answer=answer, grader=grader, choices=choices)
    return grade(problem, Completion(key="k", text=text)).verdict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("47+5=52;#52", Verdict.RIGHT),
        ("#52", Verdict.RIGHT),
        ("47+5=52;#3#52 ", Verdict.RIGHT),
        ("working\n#### 52", Verdict.RIGHT),
        ("47+5=52;#53", Verdict.WRONG),
        ("47+5=52;#52.0", Verdict.WRONG),
        ("47+5=52;", Verdict.UNPARSED),
        ("47+5=52;#", Verdict.UNPARSED),
        ("", Verdict.UNPARSED),
    ],
)
def test_exact(text: str, expected: Verdict):
    assert verdict(text, answer="52", grader="exact") is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#### 72", Verdict.RIGHT),
        ("so 72.0 dollars.", Verdict.RIGHT),
        ("the answer is \uff17\uff12", Verdict.RIGHT),
        ("$72", Verdict.RIGHT),
        ("72%", Verdict.RIGHT),
        ("#### 71", Verdict.WRONG),
        ("#### -72", Verdict.WRONG),
        ("#### 72\nthat was 71", Verdict.RIGHT),
        ("72 is in the text\n#### unknown", Verdict.UNPARSED),
        ("A: 7,2", Verdict.UNPARSED),
        ("no idea", Verdict.UNPARSED),
    ],
)
def test_number(text: str, expected: Verdict):
    assert verdict(text) is expected


def test_number_notes_disagreeing_extractors():
    problem = Problem(family="t", question="q", answer="5", grader="number")
    found = grade(problem, Completion(key="k", text="the answer is 4.\n#### 5"))
    assert found.verdict is Verdict.RIGHT
    assert found.note == "hashes; extractors disagree: answer_is 4"
    assert found.rationale == "the answer is 4."


def test_number_with_one_extractor():
    assert verdict("A: 3\n#### 72", grader="number?extract=after_a") is Verdict.WRONG
    assert verdict("72", grader="number?extract=hashes,boxed") is Verdict.UNPARSED


def test_number_refuses_a_gold_answer_that_is_none():
    with pytest.raises(DataError, match="'many'"):
        verdict("#### 72", answer="many")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(b)", "B"), ("B", "B"), ("B.", "B"), ("b)", "B"), (" (B).", "B"), ("**B**", "B"),
        ("It lends books. Therefore, the answer is library (b).", "B"),
        ("The answer is (A), not (b)", "A"),
        ("Answer: C", "C"), ("The correct answer is: (E)", "E"), ("The answer is B because (a) is wrong", "B"),
        ("We think of (a) but choose (d).", "D"), (r"\boxed{C}", "C"), (r"\boxed{\text{C}}", "C"),
        ("reasons\nD. market", "D"), ("The answer is a library.", "B"), ("It must be the super market", "C"),
        ("The answer is New York!", "E"),
    ],
)  # fmt: skip
def test_choice(text: str, expected: str):
    found = open_grader("choice").parse(Problem(family="t", question="q", answer="A", choices=CHOICES), text)
    assert found.answer == expected


@pytest.mark.parametrize(
    "text", ["", "the answer is (f).", "a bank or a library", "A dog would know", "Z", "who knows?"]
)
def test_choice_unparsed(text: str):
    assert verdict(text, answer="A", grader="choice", choices=CHOICES) is Verdict.UNPARSED


def test_choice_by_text_is_reported():
    problem = Problem(family="t", question="q", answer="B", grader="choice", choices=CHOICES)
    found = grade(problem, Completion(key="k", text="Books are lent there. It is a library."))
    assert found.verdict is Verdict.RIGHT
    assert found.note == "text of the choice"


def test_choice_gold_may_be_text():
    assert verdict("(b)", answer="library", grader="choice", choices=CHOICES) is Verdict.RIGHT
    with pytest.raises(DataError, match="'school'"):
        verdict("(b)", answer="school", grader="choice", choices=CHOICES)


def test_choice_star_rule():
    rule = "choice?rule=star"
    assert verdict("so it is library (b).", answer="B", grader=rule, choices=CHOICES) is Verdict.RIGHT
    assert verdict("The answer is B", answer="B", grader=rule, choices=CHOICES) is not Verdict.RIGHT


@pytest.mark.parametrize("spec", ["numbr", "number?extrct=x", "number?extract=x", "choice?rule=x", "exact?a=1"])
def test_unknown_names_and_options(spec: str):
    with pytest.raises(ConfigError, match=r"allowed|known"):
        open_grader(spec)


def test_published_labels_of_gsm8k_solutions(shared_data: Path):
    """The default chain and the authors' own rule agree with every recorded label."""
    problems = {p.meta["id"]: p for p in load_problems(shared_data / "gsm8k" / "test.jsonl.gz").problems}
    agreements: Counter[str] = Counter()
    with gzip.open(shared_data / "gsm8k" / "model_solutions.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            completion = Completion(key=row["id"], text=row["solution"])
            for spec in ("number", "number?extract=after_a"):
                found = grade(problems[row["id"]], completion, grader=spec)
                agreements[spec] += found.right is row["is_correct"]
    assert agreements == {"number": 5276, "number?extract=after_a": 5276}


def test_published_commonsenseqa_rationales(shared_data: Path):
    for problem in load_problems(shared_data / "exemplars" / "star_commonsenseqa.jsonl").problems:
        text = problem.rationale or f"({problem.answer.lower()})."
        for spec in ("choice", "choice?rule=star"):
            assert grade(problem, Completion(key="k", text=text), grader=spec).right, (spec, text)
