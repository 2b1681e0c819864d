"""The horizon probe finds the error and recovery rates of chains that were made with known ones."""

import random

import pytest

from menon.auditing.probe import Answered, Material, Question
from menon.auditing.probes.horizon import HORIZON
from menon.core.errors import ConfigError
from menon.core.values import Completion
from menon.grading import grade
from menon.grading.step_values import step_results, steps_right


def walk(question: Question, error: float, recovery: float, rng: random.Random) -> Answered:
    """Answer a chain by the two-state model: wrong values are off by one, right again with probability `recovery`."""
    problem = question.problem
    lines, off = [], False
    for value in step_results(problem.rationale or ""):
        off = (rng.random() >= recovery) if off else (rng.random() < error)
        lines.append(f"{int(value) - 1}+1={int(value) + off};")
    text = "".join(lines)
    completion = Completion(key=problem.id, text=f"{text}#{lines[-1].partition('=')[2].rstrip(';')}")
    return Answered(question=question, completion=completion, grade=grade(problem, completion), model="walker")


def test_error_and_recovery_are_found_again():
    """Twelve walkers with known rates: the intervals hold the truth in most of them."""
    material = Material(model="walker", per_cell=25, style="menon")
    questions = HORIZON.questions(material)
    truth = {"error per step (e)": 0.05, "recovery per step (c)": 0.2, "bound c / (c + e)": 0.8}
    held = dict.fromkeys(truth, 0)
    for number in range(12):
        rng = random.Random(f"walk {number}")
        report = HORIZON.report([walk(question, 0.05, 0.2, rng) for question in questions], [], material)
        for row in report.tables["Steps"]:
            if row["quantity"] in truth:
                held[row["quantity"]] += row["low"] <= truth[row["quantity"]] <= row["high"]
    assert min(held.values()) >= 9


def test_curves_show_recovery_above_independent_errors():
    material = Material(model="walker", per_cell=80, style="menon")
    rng = random.Random("curves")
    report = HORIZON.report([walk(question, 0.05, 0.2, rng) for question in HORIZON.questions(material)], [], material)
    ((title, series),) = report.curves.items()
    measured, fitted, independent = series
    assert "steps" in title
    for point, expected in zip(measured["points"], fitted["points"], strict=True):
        assert point["low"] - 0.03 < expected["value"] < point["high"] + 0.03
    assert independent["points"][-1]["value"] < fitted["points"][-1]["value"] - 0.2


def test_answers_without_steps_are_not_taken_for_errors():
    material = Material(model="m", per_cell=20)
    answers = []
    for question in HORIZON.questions(material):
        completion = Completion(key=question.problem.id, text=f"#### {question.problem.answer}")
        answers.append(Answered(question=question, completion=completion, grade=grade(question.problem, completion)))
    report = HORIZON.report(answers, [], material)
    assert "Too few answers show their steps" in report.sentence
    assert report.tables == {}
    assert all(cell.accuracy == 1 for cell in report.cells)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("3+4=7;7-2=5;5+1=6;", [True, True, True]),
        ("3+4=8;8-2=6;6+1=7;", [False, False, False]),
        ("3+4=8;7-2=5;5+1=6;", [False, True, True]),
        ("3+4=7;", [True, False, False]),
        ("so I guess six", []),
        ("3 + 4 = 7 and then 7 - 2 = 5, so 5 + 1 = 6", [True, True, True]),
    ],
)
def test_steps_are_right_by_their_values(text: str, right: list[bool]):
    true = step_results("3+4=7;7-2=5;5+1=6;")
    assert [int(v) for v in true] == [7, 5, 6]
    assert steps_right(true, text) == right


def test_a_last_step_that_is_only_answered_counts():
    assert steps_right(step_results("3+4=7;7-2=5;"), "3+4=7;", "5") == [True, True]


def test_lengths_that_do_not_exist_are_refused():
    with pytest.raises(ConfigError, match="lengths has 40"):
        HORIZON.questions(Material(model="m", options={"lengths": [1, 40]}))
