"""The probe of counterfactual worlds on planted answers, and on the published ones where they are at hand."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from menon.auditing.probe import Answered, Material, ProbeReport, Question
from menon.auditing.probes.worlds import WORLDS, Worlds, control_tasks, worlds_report
from menon.auditing.verdict import AuditConfig, Label
from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Completion, Grade, Problem, Verdict
from menon.grading.verdicts import grade
from menon.problems.worlds import WORLDS as registry
from menon.problems.worlds.arithmetic import ARITHMETIC
from menon.problems.worlds.spatial import SPATIAL
from menon.problems.worlds.syntax import SYNTAX

SUITE = Worlds(suite={"arithmetic": ARITHMETIC, "syntax": SYNTAX, "spatial": SPATIAL})


def _material(**options: Any) -> Material:
    return Material(model="planted", per_cell=options.pop("per_cell", 60), options=options)


def _answered(questions: list[Question], right: Callable[[Question], float]) -> list[Answered]:
    """Answer each question right with the probability that `right` gives, and wrong otherwise."""
    rows = []
    for question in questions:
        problem = question.problem
        ok = rng_for("planted", problem.id, question.cot).random() < right(question)
        verdict = Verdict.RIGHT if ok else Verdict.WRONG
        credit = float(ok) if problem.grader == "fields" else None
        completion = Completion(key=problem.id, text=f"#### {problem.answer if ok else 'something else'}")
        rows.append(Answered(question=question, completion=completion, grade=Grade(verdict=verdict, credit=credit)))
    return rows


def _report(right: Callable[[Question], float], **options: Any) -> ProbeReport:
    material = _material(**options)
    return SUITE.report(_answered(SUITE.questions(material), right), [], material)


def _reciter(question: Question) -> float:
    return 0.97 if question.baseline or question.control else 0.05


def test_questions_cover_every_cell_and_pair_across_worlds():
    questions = SUITE.questions(_material(per_cell=12))
    cells = Counter((q.task, q.condition, q.control) for q in questions)
    assert set(cells.values()) == {12}
    assert {condition for task, condition, _ in cells if task == "arithmetic"} == {"base10", "base16", "base9"}
    assert {condition for task, condition, _ in cells if task == "spatial"} == {"map", "swap-ns", "rotate-180"}
    for task in SUITE.suite:
        rows = [q for q in questions if q.task == task and not q.control]
        pairs = [{q.pair for q in rows if q.condition == world} for world in {q.condition for q in rows}]
        assert all(pair == pairs[0] and len(pair) == 12 for pair in pairs)
    assert {q.condition for q in questions if q.baseline} == {"base10", "SVO", "map"}
    assert {q.cot for q in questions} == {True}
    assert not any("####" in q.problem.question for q in questions)


def test_options_choose_tasks_worlds_and_ways():
    questions = SUITE.questions(
        _material(tasks=["arithmetic"], worlds="all", cot="both", per_cell=5, per_control=3, difficulty=3)
    )
    assert Counter(q.condition for q in questions) == dict.fromkeys(
        ("base10", "base8", "base9", "base11", "base16"), 2 * (5 + 3)
    )
    assert {q.problem.difficulty for q in questions if not q.control} == {3}
    some = SUITE.questions(_material(tasks="arithmetic", worlds=["base11"], per_cell=5, per_control=0, cot="without"))
    assert Counter(q.condition for q in some) == {"base10": 5, "base11": 5}
    assert {q.cot for q in some} == {False}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"word": 1}, "has no option 'word'"),
        ({"cot": "sometimes"}, "allowed: audit, both, with, without"),
        ({"per_cell": 0}, "1 or more"),
        ({"worlds": ["base12"]}, "none of which"),
        ({"tasks": ["astronomy"]}, "unknown world task 'astronomy'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], says: str):
    with pytest.raises(ConfigError, match=says):
        SUITE.questions(_material(**options))


def test_every_registered_world_task_can_be_asked():
    questions = WORLDS.questions(_material(per_cell=2))
    assert {q.task for q in questions} == set(registry.names())
    assert all(grade(q.problem, Completion(key="a", text=f"x\n#### {q.problem.answer}")).right for q in questions)
    assert WORLDS.objection(_material()) is None
    assert WORLDS.objection(Material(model="recorded:x", live=False))


def test_a_reasoner_reasons():
    report = _report(lambda question: 1.0)
    assert report.finding is not None
    assert report.finding.label is Label.REASONS
    primary = [effect for effect in report.effects if effect.primary]
    assert len(primary) == 1
    assert (primary[0].value, primary[0].p, primary[0].n) == (0.0, 1.0, 360)
    assert "every comprehension check was passed" in report.sentence


def test_a_reciter_recites():
    report = _report(_reciter)
    assert report.finding is not None
    assert report.finding.label is Label.RECITES
    primary = report.effects[0]
    assert primary.primary
    assert primary.p is not None
    assert primary.p < 0.001
    assert 0.85 < primary.low <= primary.value <= primary.high < 0.97
    assert len(report.effects) == 7
    assert len(report.contrasts) == 6
    assert all(contrast.paired for contrast in report.contrasts)
    assert report.tables["Worlds"][0]["check"] is not None
    assert json.loads(json.dumps(report.to_json()))["name"] == "worlds"


def test_a_low_score_with_a_failed_check_is_never_reciting():
    report = _report(lambda question: _reciter(question) if not question.control or question.baseline else 0.3)
    assert report.finding is not None
    assert report.finding.label is Label.CANNOT_TELL
    assert "no counterfactual world was understood" in report.finding.reason
    assert "says nothing of reciting" in report.sentence
    assert report.effects[0].understood is False


def test_one_world_that_was_not_understood_is_left_out():
    report = _report(lambda q: 0.2 if q.control and q.condition == "base9" else _reciter(q))
    assert report.finding is not None
    assert report.finding.label is Label.RECITES
    assert report.effects[0].n == 5 * 60
    assert report.effects[0].understood is True
    assert "arithmetic in base9" in report.sentence
    assert "1 worlds that were not understood are left out" in report.effects[0].note


def test_a_model_that_cannot_do_the_task_at_all():
    report = _report(lambda question: 0.0)
    assert report.finding is not None
    assert report.finding.label is Label.CANNOT_DO


def test_reasoning_in_one_task_and_reciting_in_another_is_mixed():
    report = _report(lambda q: 1.0 if q.task == "spatial" else _reciter(q))
    assert report.finding is not None
    assert report.finding.label is Label.MIXED


def test_accuracy_against_difficulty_is_a_curve_per_world():
    curves = _report(_reciter, tasks=["arithmetic"]).curves
    (series,) = curves.values()
    assert [row["name"] for row in series] == ["base10, with working", "base16, with working", "base9, with working"]
    assert [point["x"] for point in series[0]["points"]] == [2, 3, 4, 5, 6]
    assert sum(point["n"] for point in series[0]["points"]) == 60


def test_no_answers_give_a_report_that_says_so():
    report = worlds_report([])
    assert report.status == "skipped"
    assert "default world" in report.reason


def test_control_tasks_serve_their_prefix():
    tasks = ["arithmetic-2digit", "arithmetic-ccc", "chess", "chess-ccc", "chess-960-ccc", "chess-960", "chessboard"]
    assert control_tasks(tasks) == {
        "arithmetic-2digit": "arithmetic-ccc", "chess": "chess-ccc", "chess-960": "chess-960-ccc",
    }  # fmt: skip


def _recorded(accuracies: dict[tuple[str, str], float], n: int = 100) -> list[Answered]:
    rows = []
    for (task, world), accuracy in accuracies.items():
        for index in range(n):
            problem = Problem(family=task, world=world, question=f"{task} {world} {index}", answer="1")
            question = Question(problem=problem, task=task, condition=world, baseline=world == "base10")
            verdict = Verdict.RIGHT if index < round(accuracy * n) else Verdict.WRONG
            rows.append(
                Answered(question=question, completion=Completion(key="a"), grade=Grade(verdict=verdict), model="m")
            )
    return rows


def test_recorded_answers_that_do_not_pair_are_pooled_by_their_cells():
    accuracies = {
        ("arithmetic-2digit", "base10"): 1.0, ("arithmetic-2digit", "base9"): 0.3, ("arithmetic-2digit", "base8"): 0.5,
        ("arithmetic-ccc", "base9"): 0.9, ("arithmetic-ccc", "base8"): 0.95, ("arithmetic-ccc", "base10"): 1.0,
    }  # fmt: skip
    report = worlds_report(_recorded(accuracies), AuditConfig(), reading="boxes")
    assert [contrast.control is not None for contrast in report.contrasts] == [True, True]
    primary = report.effects[0]
    assert primary.value == pytest.approx(0.6)
    # Two cells of 100 with accuracies .3 and .5, half weight each, and a perfect default cell that both share.
    half = 1.96 * ((0.5**2) * (0.3 * 0.7 + 0.5 * 0.5) / 100) ** 0.5
    assert primary.high - primary.value == pytest.approx(half, rel=0.1)
    assert primary.n == 200
    assert report.finding is not None
    assert report.finding.label is Label.MIXED
    assert {cell.reading for cell in report.cells} == {"boxes"}


def test_recorded_answers_of_a_world_that_was_not_understood():
    accuracies = {
        ("arithmetic-2digit", "base10"): 1.0, ("arithmetic-2digit", "base11"): 0.05, ("arithmetic-ccc", "base11"): 0.56,
    }  # fmt: skip
    report = worlds_report(_recorded(accuracies))
    assert report.finding is not None
    assert report.finding.label is Label.CANNOT_TELL
    assert "56 %" in report.finding.reason


def test_the_published_answers(shared_data: Path):
    folder = shared_data / "counterfactual"
    answered = []
    for file in ("arithmetic_2digit", "arithmetic_ccc", "chess_gpt4"):
        with gzip.open(folder / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                if (
                    row["model"] != "gpt4"
                    or row["task"] == "chess-ccc"
                    or (row["task"] != "arithmetic-ccc" and not row["cot"])
                ):
                    continue
                problem = Problem(family=row["task"], world=row["world"], question=row["prompt"], answer=row["gold"])
                question = Question(
                    problem=problem, task=row["task"], condition=row["world"], cot=row["cot"],
                    baseline=row["is_default"],
                    pair=row["id"],  # some sums were asked twice, and each row counts
                )  # fmt: skip
                verdict = Verdict.RIGHT if row["reference_correct"] else Verdict.WRONG
                completion = Completion(key=row["id"], text=row["response"])
                answered.append(
                    Answered(question=question, completion=completion, grade=Grade(verdict=verdict), model="gpt4")
                )
    report = worlds_report(answered)
    losses = {(c.task, c.altered.condition): c.loss for c in report.contrasts}
    assert losses["arithmetic-2digit", "base9"] == pytest.approx(0.982 - 0.386, abs=0.001)
    assert losses["arithmetic-2digit", "base16"] == pytest.approx(0.982 - 0.740, abs=0.001)
    assert all(c.understood for c in report.contrasts if c.task == "arithmetic-2digit")
    assert report.finding is not None
    assert report.finding.label is Label.MIXED
