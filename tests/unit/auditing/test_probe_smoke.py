"""The smoke tests never count as evidence."""

import json

from menon.auditing.probe import Answered, Material
from menon.auditing.probes import PROBES
from menon.auditing.probes.smoke import SMOKE
from menon.core.values import Completion
from menon.grading.verdicts import grade

MATERIAL = Material(model="planted")


def report_of(misled: bool):
    answers = []
    for question in SMOKE.questions(MATERIAL):
        wrong = misled and question.condition == "misleading"
        completion = Completion(key="k", text="#### 1000" if wrong else f"#### {question.problem.answer}")
        answers.append(Answered(question=question, completion=completion, grade=grade(question.problem, completion)))
    return SMOKE.report(answers, [], MATERIAL)


def test_the_questions_are_few_and_paired():
    questions = SMOKE.questions(MATERIAL)
    assert PROBES.get("smoke") is SMOKE
    assert len(questions) == 100
    assert len({question.problem.id for question in questions}) == 100
    plain, misleading = ({(q.task, q.pair) for q in questions if q.baseline is flag} for flag in (True, False))
    assert plain == misleading


def test_a_misled_model_is_shown_without_a_verdict():
    report = report_of(misled=True)
    assert report.smoke
    assert report.finding is None
    assert "no evidence of reasoning or reciting" in report.title
    assert "no evidence of reasoning or reciting" in report.sentence
    assert [effect.value for effect in report.effects] == [1.0, 1.0]
    assert not any(effect.primary for effect in report.effects)
    assert "Decimals: 100 % right where nothing misleads, 0 % where the writing does." in report.sentence
    json.dumps(report.to_json())


def test_a_careful_model_loses_nothing():
    assert [effect.value for effect in report_of(misled=False).effects] == [0.0, 0.0]
    assert SMOKE.report([], [], MATERIAL).effects == ()
