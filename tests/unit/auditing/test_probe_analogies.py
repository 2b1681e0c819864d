"""The probe of analogies on planted answers, and on the published responses of GPT-3."""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from menon.auditing.probe import Answered, Material, Question
from menon.auditing.probes import PROBES
from menon.auditing.probes.analogies import ANALOGIES, LETTERS, analogies_report
from menon.auditing.probes.analogy_tables import GENERALISATION_CURVE, MATRIX_CURVE, matrix_level
from menon.auditing.probes.human import alphabet_baseline, count_baseline, letter_string_baseline, matrix_baseline
from menon.auditing.verdict import Label
from menon.core.values import Completion, Problem, Verdict
from menon.grading.verdicts import grade

MATERIAL = Material(model="planted", per_cell=24)


def answered(question: Question, answer: str) -> Answered:
    completion = Completion(key="k", text=f"#### {answer}")
    return Answered(question=question, completion=completion, grade=grade(question.problem, completion), model="m")


def planted(answer: Callable[[Question], str], material: Material = MATERIAL) -> list[Answered]:
    return [answered(question, answer(question)) for question in ANALOGIES.questions(material)]


def knows(question: Question) -> str:
    return question.problem.answer


def knows_the_usual_alphabet(question: Question) -> str:
    problem = question.problem
    if question.control or question.condition not in (
        "permuted-2",
        "permuted-5",
        "permuted-10",
        "permuted-20",
        "symbols",
    ):
        return problem.answer
    return problem.meta["as_if_usual"] or "nothing known"


def test_the_questions_are_paired_moderate_and_distinct():
    questions = ANALOGIES.questions(Material(model="x"))
    assert PROBES.get("analogies") is ANALOGIES
    assert 300 <= len(questions) <= 600
    assert len({question.problem.id for question in questions}) == len(questions)
    strings = [question for question in questions if question.task == LETTERS and not question.control]
    pairs = Counter(question.pair for question in strings)
    assert set(pairs.values()) == {6}
    assert len({question.problem.meta["category"] for question in strings}) == 6
    assert {question.condition for question in strings if question.baseline} == {"normal"}
    controlled = {question.condition for question in questions if question.control}
    assert controlled == {question.condition for question in strings}
    other = ANALOGIES.questions(Material(model="x", seed=1))
    altered = {question.problem.id for question in strings if question.condition != "normal"}
    assert not altered & {question.problem.id for question in other}


def test_who_knows_every_alphabet_reasons():
    report = ANALOGIES.report(planted(knows), [], MATERIAL)
    assert report.finding is not None
    assert report.finding.label is Label.REASONS
    primary = [effect for effect in report.effects if effect.primary]
    assert [(effect.value, effect.understood) for effect in primary] == [(0.0, True)]
    assert primary[0].p is not None
    assert all(row["as if usual"] == 0 for row in report.tables["answers as if the alphabet were the usual one"])
    assert json.loads(json.dumps(report.to_json()))["sentence"] == report.sentence


def test_who_knows_the_usual_alphabet_only_recites():
    answers = planted(knows_the_usual_alphabet)
    report = ANALOGIES.report(answers, [], MATERIAL)
    altered = [a for a in answers if a.question.task == LETTERS and not a.question.control and not a.question.baseline]
    assert report.finding is not None
    assert report.finding.label is Label.RECITES
    (primary,) = [effect for effect in report.effects if effect.primary]
    assert primary.value == pytest.approx(1 - fmean(a.grade.right for a in altered))
    assert primary.n == 24
    assert all(row["as if usual"] == 1 for row in report.tables["answers as if the alphabet were the usual one"])
    assert "100 % in the usual alphabet" in report.sentence


def test_who_fails_the_check_is_not_called_a_reciter():
    def lost(question: Question) -> str:
        altered = question.task == LETTERS and question.condition != "normal"
        return "nothing known" if altered else question.problem.answer

    report = ANALOGIES.report(planted(lost), [], MATERIAL)
    assert report.finding is not None
    assert report.finding.label is Label.CANNOT_TELL
    assert "did not understand" in report.finding.reason
    assert [effect.understood for effect in report.effects if effect.primary] == [False]


def test_baselines_stand_beside_the_model():
    report = ANALOGIES.report(planted(knows), [], MATERIAL)
    rows = {(row["kind"], row["category"]): row for row in report.tables["human baselines"]}
    assert rows["alphabets", "symbols"]["people"] == 0.73
    assert rows["letter strings", "2gen"]["people"] == pytest.approx(0.348, abs=5e-4)
    assert rows["matrices", "3-rule"]["people"] == 0.523
    assert rows["matrices, eight choices", "3-rule"]["GPT-3"] == 0.932
    assert len({frozenset(row) for row in rows.values()}) == 1
    curve = {series["name"]: series["points"] for series in report.curves[GENERALISATION_CURVE]}
    assert [point["x"] for point in curve["m"]] == [0, 1, 2, 3]
    assert [round(point["value"], 3) for point in curve["people (57)"]] == [0.585, 0.421, 0.348, 0.284]
    assert [round(point["value"], 3) for point in curve["GPT-3"]] == [0.713, 0.503, 0.357, 0.243]
    assert {series["name"] for series in report.curves[MATRIX_CURVE]} == {"m", "people (43)"}


def test_published_figures_are_found_by_name():
    found = letter_string_baseline("succ", "sentence")
    assert found is not None
    assert (found.human, found.gpt3, found.people) == (0.7895, 0.82, 57)
    assert letter_string_baseline("nonsense") is None
    assert alphabet_baseline("greek") is None
    assert matrix_baseline("logic, aligned", choices=True) is None
    assert round(count_baseline(0, "noprompt").gpt3 or 0, 2) == 0.65
    assert [matrix_level(name) for name in ("dist3_diag1", "two_rule_comb0", "three_rule_comb9", "AND_permuted")] == [
        "1-rule",
        "2-rule",
        "3-rule",
        "logic",
    ]


def test_no_answers_and_failed_answers_are_reported_as_such():
    empty = analogies_report([], MATERIAL)
    assert empty.finding is not None
    assert empty.finding.label is Label.CANNOT_TELL
    assert empty.tables == {}
    question = ANALOGIES.questions(MATERIAL)[0]
    failed = Completion(key="k", finish="error", error="no route")
    broken = analogies_report(
        [Answered(question=question, completion=failed, grade=grade(question.problem, failed))], MATERIAL
    )
    assert broken.cells[0].errors == 1
    assert "No two conditions" in broken.sentence


def recorded_letters(path: Path) -> list[Answered]:
    """Answers as the reader of recorded files builds them: one for each problem and wording of its prompt."""
    found = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    for row in rows:
        for form, text in row["responses"].items():
            problem = Problem(
                family="letter-string",
                world=form,
                question=row["prompts"][form],
                answer=" ".join(row["gold"]),
                grader="tokens?form=sentence" if form == "sentence" else "tokens?form=bracket",
                meta={
                    "item": row["id"],
                    "category": row["category"],
                    "generalizations": row["generalizations"],
                    "prompt_form": form,
                },
            )
            completion = Completion(key="k", text=text)
            question = Question(problem=problem, task="letter-string", condition=form, pair=row["id"])
            made = grade(problem, completion)
            assert (made.verdict is Verdict.RIGHT) == row["recorded_correct"][form]
            found.append(Answered(question=question, completion=completion, grade=made, model="text-davinci-003"))
    return found


def by_count(item: Answered) -> Answered:
    """The same answer with a task for each wording and the number of generalisations as its condition."""
    meta = dict(item.question.problem.meta)
    form, names = meta.pop("prompt_form"), meta.pop("generalizations")
    problem = replace(item.question.problem, meta={**meta, "format": form})
    condition = "real-world sequences" if "realworld" in names else f"{len(names)} generalisations"
    question = replace(item.question, problem=problem, task=f"letter-strings/{form}", condition=condition)
    return replace(item, question=question)


@pytest.mark.parametrize("way", ["by wording", "by count"])
def test_published_responses_are_digested_beside_people(shared_data: Path, way: str):
    answers = recorded_letters(shared_data / "analogies" / "letter_string.jsonl.gz")
    report = analogies_report(answers if way == "by wording" else [by_count(item) for item in answers], MATERIAL)
    right = defaultdict(list)
    for item in answers:
        meta = item.question.problem.meta
        right[meta["category"], meta["prompt_form"]].append(item.grade.right)
    rows = {(row["category"], row["wording"]): row for row in report.tables["human baselines"]}
    assert len(rows) == 28 * 3
    for key, row in rows.items():
        assert (row["n"], row["accuracy"]) == (25, pytest.approx(fmean(right[key])))
        assert row["people"] is not None
        assert abs(row["GPT-3"] - row["accuracy"]) < 0.3  # the published figure is over twice as many problems
    by_name = {series["name"]: series["points"] for series in report.curves[GENERALISATION_CURVE]}
    assert [point["n"] for point in by_name["text-davinci-003, pattern"]] == [150, 150, 150, 150]
    for mine, published in zip(by_name["text-davinci-003, pattern"], by_name["GPT-3"], strict=True):
        assert mine["value"] == pytest.approx(published["value"], abs=0.06)
    (primary,) = [effect for effect in report.effects if effect.primary]
    assert primary.n == 700
    assert primary.value > 0
    assert report.finding is not None
    assert report.finding.label is Label.CANNOT_TELL


def test_published_figures_of_people_are_those_of_the_file(shared_data: Path):
    lines = (shared_data / "analogies" / "letter_string_human.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines):
        for form in ("pattern", "noprompt", "sentence"):
            found = letter_string_baseline(row["category"], form)
            assert found is not None
            assert (found.human, found.gpt3) == (row["human_accuracy"], row[f"gpt3_accuracy_{form}"])
    assert len(lines) == 28


def test_published_matrices_are_digested_by_level(shared_data: Path):
    with gzip.open(shared_data / "analogies" / "digit_matrices.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    answers = []
    for row in rows:
        problem = Problem(
            family="digit-matrices",
            question=row["prompt"],
            answer=" ".join(map(str, row["gold"])) or "[]",
            grader="tokens?form=bracket" + ("" if row["order_matters"] else "&order=any"),
        )
        completion = Completion(key="k", text=row["response"])
        question = Question(problem=problem, task="digit-matrices", condition=row["problem_type"])
        answers.append(Answered(question=question, completion=completion, grade=grade(problem, completion)))
    report = analogies_report(answers, MATERIAL)
    table = {row["category"]: row for row in report.tables["human baselines"]}
    assert sum(table[level]["n"] for level in ("1-rule", "2-rule", "3-rule", "logic")) == 608
    for level in ("1-rule", "2-rule", "3-rule", "logic", "logic, aligned", "logic, permuted"):
        assert table[level]["accuracy"] == pytest.approx(table[level]["GPT-3"], abs=0.06)
    assert not [effect for effect in report.effects if effect.primary]
