"""The probe of the user's own questions: accuracy, and options in another order."""

import random
from collections import Counter

import pytest

from menon.auditing.probe import Answered, Material
from menon.auditing.probes.data import DATA, GIVEN, SHUFFLED, shuffled
from menon.auditing.verdict import Label
from menon.core.values import Completion, Problem
from menon.grading import grade

TREES = ("oak", "pine", "rose", "birch", "ivy")


def choice(index: int, answer: str = "B", choices: tuple[str, ...] = TREES) -> Problem:
    return Problem(family="quiz", question=f"Question {index}?", answer=answer, choices=choices, grader="choice")


def answers(material: Material, pick) -> list[Answered]:
    found = []
    for question in DATA.questions(material):
        completion = Completion(key=question.problem.id, text=f"The answer is ({pick(question)}).")
        found.append(
            Answered(question=question, completion=completion, grade=grade(question.problem, completion), model="m")
        )
    return found


@pytest.mark.parametrize("answer", ["B", "b", "pine"])
def test_shuffling_moves_the_gold_with_its_text(answer: str):
    problem = choice(1, answer)
    orders = set()
    for number in range(200):
        other = shuffled(problem, number)
        assert sorted(other.choices) == sorted(problem.choices)
        assert other.choices != problem.choices
        letter = other.answer.upper() if other.answer.upper() in "ABCDE" else "ABCDE"[other.choices.index(other.answer)]
        assert other.choices["ABCDE".index(letter)] == "pine"
        orders.add(other.choices)
    places = Counter(order.index("pine") for order in orders)
    assert len(orders) > 60
    assert set(places) == {0, 1, 2, 3, 4}
    assert shuffled(problem, 3) == shuffled(problem, 3)


def test_a_model_that_knows_reasons_and_one_that_knows_places_recites():
    material = Material(model="m", problems=tuple(choice(i) for i in range(200)))
    knows = DATA.report(answers(material, lambda q: "ABCDE"[q.problem.choices.index("pine")]), [], material)
    places = DATA.report(answers(material, lambda q: "B"), [], material)
    assert knows.finding is not None
    assert knows.finding.label is Label.REASONS
    assert places.finding is not None
    assert places.finding.label is Label.RECITES
    assert {cell.condition for cell in places.cells} == {GIVEN, SHUFFLED}
    assert places.contrasts[0].paired


def test_questions_without_choices_give_accuracy_and_no_verdict():
    problems = tuple(Problem(family="sums", question=f"{i}+1?", answer=str(i + 1), grader="number") for i in range(40))
    material = Material(model="m", problems=problems)
    rng = random.Random("half")
    found = []
    for question in DATA.questions(material):
        completion = Completion(key="k", text=f"#### {question.problem.answer if rng.random() < 0.5 else 0}")
        found.append(Answered(question=question, completion=completion, grade=grade(question.problem, completion)))
    report = DATA.report(found, [], material)
    assert report.finding is None
    assert report.contrasts == ()
    (cell,) = report.cells
    assert cell.accuracy == sum(a.grade.right for a in found) / 40
    assert "of 40 right" in report.sentence


def test_without_data_it_says_what_to_give():
    assert "--data" in (DATA.objection(Material(model="m")) or "")
