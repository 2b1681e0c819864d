"""The probe of stories about beliefs on planted answers and planted log-probabilities."""

import json
import math
from collections import Counter
from collections.abc import Callable

import pytest

from menon.auditing.probe import Answered, Material, Question
from menon.auditing.probes import PROBES
from menon.auditing.probes.minds import MINDS, STAYS
from menon.auditing.verdict import Label
from menon.core.values import Completion
from menon.grading.verdicts import grade
from menon.problems.minds import MIND_TASKS

MATERIAL = Material(model="planted")


def planted(answer: Callable[[Question], str]) -> list[Answered]:
    found = []
    for question in MINDS.questions(MATERIAL):
        completion = Completion(key="k", text=f"#### {answer(question)}")
        found.append(Answered(question=question, completion=completion, grade=grade(question.problem, completion)))
    return found


def knows(question: Question) -> str:
    return question.problem.answer


def as_in_the_base_story(question: Question) -> str:
    return question.problem.meta.get("as_if_unaltered", question.problem.answer)


def always_the_truth(question: Question) -> str:
    problem = question.problem
    if question.control:
        return problem.answer
    unaltered = problem.meta["as_if_unaltered"]
    return next(word for word in problem.choices if word != unaltered)


def test_the_questions_pair_every_version_with_its_base():
    questions = MINDS.questions(Material(model="x"))
    assert PROBES.get("minds") is MINDS
    assert 200 <= len(questions) <= 500
    assert len({question.problem.id for question in questions}) == len(questions)
    for task in MIND_TASKS:
        asked = [question for question in questions if question.problem.family == task.name and not question.control]
        versions = Counter(question.pair for question in asked)
        assert set(versions.values()) == {1 + len(task.worlds)}
        assert len({question.cluster for question in asked}) == len(versions)
        for version in ("base", *task.worlds):
            probes = Counter(q.problem.meta["probe"] for q in asked if q.condition == version)
            assert set(probes) == set(task.probes)
            assert len(set(probes.values())) == 1
    flipping = [q for q in questions if not q.control and not q.baseline and not q.task.endswith(STAYS)]
    assert all(q.problem.answer != q.problem.meta["as_if_unaltered"] for q in flipping)
    kinds = Counter((q.problem.meta["control"], q.task.endswith(STAYS)) for q in questions if q.control)
    assert min(kinds.values()) >= 4
    assert len(kinds) == 4


def test_who_follows_the_stories_reasons():
    report = MINDS.report(planted(knows), [], MATERIAL)
    assert report.finding is not None
    assert report.finding.label is Label.REASONS
    assert "it answers as if nothing had changed in 0 %" in report.sentence
    assert json.loads(json.dumps(report.to_json()))["name"] == "minds"


def test_who_answers_as_in_the_base_story_recites():
    report = MINDS.report(planted(as_in_the_base_story), [], MATERIAL)
    assert report.finding is not None
    assert report.finding.label is Label.RECITES
    (primary,) = [effect for effect in report.effects if effect.primary]
    assert (primary.value, primary.understood) == (1.0, True)
    assert primary.p is not None
    assert primary.p < 1e-3
    assert "in 100 %" in report.sentence
    for row in report.tables["versions of the stories"]:
        assert row["as if unaltered"] == 1.0
        assert row["accuracy"] == (0.0 if row["answer turns"] else 1.0)
    assert len(report.contrasts) == sum(
        alteration.flips for task in MIND_TASKS for alteration in task.scenario.alterations
    )


def test_who_always_says_the_truth_is_found_out():
    report = MINDS.report(planted(always_the_truth), [], MATERIAL)
    assert report.finding is not None
    assert report.finding.label is Label.CANNOT_DO
    rows = {(row["scenario"], row["version"]): row["accuracy"] for row in report.tables["versions of the stories"]}
    assert rows["unexpected-contents", "base"] == rows["unexpected-contents", "wrapped"] == 0.0
    assert rows["unexpected-contents", "transparent"] == 1.0
    assert "Where a change leaves the answer as it was: 0 % right." in report.sentence


def test_failed_controls_keep_the_verdict_open():
    def confused(question: Question) -> str:
        wrong = next(word for word in question.problem.choices if word != question.problem.answer)
        return question.problem.answer if question.condition == "base" else wrong

    report = MINDS.report(planted(confused), [], MATERIAL)
    assert report.finding is not None
    assert report.finding.label is Label.CANNOT_TELL
    assert "did not understand" in report.finding.reason


class Biased:
    """A sampler that gives every story's first word after the stem a fixed advantage if it is the base answer."""

    name = "biased"

    def __init__(self, advantage: float):
        self.advantage = advantage
        self.asked: list[tuple[str, str]] = []
        self.base = {
            problem.meta["continued"]: problem.meta["as_if_unaltered"]
            for task in MIND_TASKS
            for index in range(10)
            for version in ("base", *task.worlds)
            for probe in task.probes
            for problem in [task.problem("test", index, world=version, probe=probe)]
        }

    def score(self, prompt: str, continuation: str) -> list[float]:
        self.asked.append((prompt, continuation))
        return [-1.0, -2.0 + (self.advantage if continuation.strip() == self.base[prompt] else 0.0)]


def test_continuations_are_scored_where_log_probabilities_are_to_be_had():
    sampler = Biased(advantage=math.log(9))
    material = Material(model="x", per_cell=48, scores=True, sampler=lambda: sampler)  # pyright: ignore[reportArgumentType]
    measured = list(MINDS.measure(material))
    assert len(measured) == len(sampler.asked) / 2 == 4 * 2 * 10 * 2
    assert all(not prompt.endswith(" ") and word.startswith(" ") for prompt, word in sampler.asked)
    report = MINDS.report([], json.loads(json.dumps(measured)), material)
    for row in report.tables["probability of the right word"]:
        assert row["probability"] == pytest.approx(0.1 if row["answer turns"] else 0.9)
    (effect,) = report.effects
    assert (effect.kind, effect.primary) == ("other", False)
    assert effect.value == pytest.approx(0.8)
    assert list(MINDS.measure(Material(model="x"))) == []


def test_no_answers_give_no_verdict():
    report = MINDS.report([], [], MATERIAL)
    assert report.finding is not None
    assert report.finding.label is Label.CANNOT_TELL
    assert report.effects == ()
