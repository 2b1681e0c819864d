"""Grader "fields": named parts in the forms that models write, and credit for each."""

import time

import pytest

from menon.core.errors import DataError
from menon.core.values import Completion, Problem, Verdict
from menon.grading.verdicts import grade, open_grader

SYNTAX = Problem(
    family="syntax",
    question="?",
    answer="subject: judges; verb: see",
    grader="fields",
    meta={"fields": ["subject", "verb"]},
)
PLACES = Problem(family="spatial", question="?", answer="lamp: (0, 5); sofa: (-1, 7)", grader="fields")


def _credit(problem: Problem, text: str) -> float | None:
    return grade(problem, Completion(key="a", text=text)).credit


@pytest.mark.parametrize(
    "text",
    [
        "#### subject: judges; verb: see",
        "The main subject is dogs and the verb is runs.\n#### subject: judges; verb: see",
        "The answer is subject: the judges, verb: see.",
        r"\boxed{\text{subject: judges; verb: see}}",
        '#### {"subject": "judges", "verb": "see"}',
        '```json\n{"Subject": "judges", "Verb": "see"}\n```',
        "**Subject:** judges\n**Verb:** see",
        "####\nsubject = judges\nverb = see",
        "#### Judges; see",
        "#### the judges, see",
        "judges, see",
        "x#subject: judges; verb: see",
        "The subject is the judges and the verb is see.",
        "#### verb: see; subject: judges",
        "#### ｓｕｂｊｅｃｔ: judges; verb: see",
        "#### subject: ‘judges’; verb: ‘see’",
    ],
)
def test_words_are_read_in_many_forms(text: str):
    assert _credit(SYNTAX, text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "#### lamp: (0, 5); sofa: (-1, 7)",
        "#### (0,5), (-1,7)",
        "#### lamp: (0,5), sofa: (-1, 7)",
        "#### lamp: x=0, y=5; sofa: [-1, 7]",
        '{"lamp": [0, 5], "sofa": [-1, 7]}',
        "So the lamp is at (0, 5) and the sofa is at (−1, 7).",
        "#### lamp: (０, ５); sofa: (-1, 7)",
        "- lamp: (0, 5)\n- sofa: (-1, 7)",
        r"$\boxed{lamp: (0, 5), sofa: (-1, 7)}$",
        "#### lamp: (0.0, 5); sofa: (-1, 7.0)",
    ],
)
def test_coordinates_are_read_in_many_forms(text: str):
    assert _credit(PLACES, text) == 1.0


@pytest.mark.parametrize(
    ("text", "credit"),
    [
        ("#### lamp: (0, 5); sofa: (1, 7)", 0.5),
        ("#### lamp: (0, 5)", 0.5),
        ("#### lamp: (5, 0); sofa: (7, -1)", 0.0),
        ("#### lamp: (0, 5, 0); sofa: (-1, 7)", 0.5),
        ("lamp: (0, 5); sofa: (9, 9)\n#### lamp: (1, 1); sofa: (-1, 7)", 0.5),
        ("#### lamp: near (0, 5); sofa: (-1, 7)", 0.5),
    ],
)
def test_credit_is_the_share_of_right_parts(text: str, credit: float):
    assert _credit(PLACES, text) == credit
    assert grade(PLACES, Completion(key="a", text=text)).verdict is Verdict.WRONG


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#### judges",
        "I do not know.",
        "#### subject: jud\u0434es; verb: see",
        "#### subject:; verb:",
        "I think that the judges, whatever they may do, see",
    ],
)
def test_what_names_no_part_or_strange_letters_is_unparsed(text: str):
    assert grade(SYNTAX, Completion(key="a", text=text)).verdict is Verdict.UNPARSED


def test_a_wrong_form_of_the_word_is_wrong():
    assert _credit(SYNTAX, "#### subject: judge; verb: sees") == 0.0


def test_a_problem_without_parts_cannot_be_graded():
    with pytest.raises(DataError, match="needs 'name: value"):
        open_grader("fields").parse(Problem(family="x", question="?", answer="7"), "#### 7")
    with pytest.raises(DataError, match="must name"):
        open_grader("fields").accepts(
            Problem(family="x", question="?", answer="a: 1", meta={"fields": ["a", "b"]}), "a: 1"
        )


@pytest.mark.parametrize(
    "piece", ["lamp: (1, 2); sofa: 3 ", "lamp is ", "lamp", "{", "(1,", '{"lamp":', "\\text{", "ﷺ", "- ;"]
)
def test_long_output_is_read_in_no_time(piece: str):
    text = piece * (100_000 // len(piece))
    start = time.process_time()
    for _ in range(2):
        _credit(PLACES, text)
        text = "#### " + text
    assert time.process_time() - start < 0.5
