"""The probe of templates on planted outcomes: effects by hand, difficulty arms withheld, files and options checked."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import pytest

from menon import ConfigError, Problem
from menon.auditing.probe import Answered, Material, ProbeReport, Question
from menon.auditing.probes import PROBES
from menon.auditing.verdict import Label
from menon.core.values import Completion, Grade, Verdict
from menon.problems.templates.family import ARMS, OWN_FILES, own_families

PROBE = PROBES.get("templates")
DATA = Path(__file__).parents[4] / "shared" / "data" / "gsm_symbolic"
MATERIAL = Material(model="planted", per_cell=90)


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    return PROBE.questions(MATERIAL)


def answers(
    questions: Sequence[Question], right: Callable[[Question], bool | None], model: str = "m"
) -> list[Answered]:
    """Grade every question as told; None is a failed request."""
    verdicts = {True: Verdict.RIGHT, False: Verdict.WRONG, None: Verdict.ERROR}
    return [
        Answered(
            question=question,
            completion=Completion(key=question.problem.id),
            grade=Grade(verdict=verdicts[right(question)]),
            model=model,
        )
        for question in questions
    ]


def effect(report: ProbeReport, label: str):
    return next(row for row in report.effects if row.label == label)


def place(question: Question) -> int:
    return int(question.pair.rpartition("/")[2])


def test_questions_are_spread_over_templates_and_paired(questions: list[Question]) -> None:
    assert {q.condition for q in questions} == {"original", *ARMS}
    for family in own_families():
        own = [q for q in questions if q.pair == family.id]
        originals = [q for q in own if q.condition == "original"]
        assert [(q.baseline, q.role) for q in originals] == [(True, "original")]
        for arm in family.arms:
            assert sum(q.condition == arm for q in own) == 2
        assert {q.cluster for q in own} == {family.id}
        assert {q.of for q in own if q.condition == "both"} == {originals[0].problem.id}
    # Only `both` is drawn as the original would be, so only it may be dealt to originals by kind.
    kinds = {(q.problem.family, q.problem.world) for q in questions if q.condition in ("original", "both")}
    others = {(q.problem.family, q.problem.world) for q in questions if q.condition not in ("original", "both")}
    assert kinds == {("templates", "default")}
    assert not kinds & others
    assert len({q.problem.id for q in questions}) == len(questions)


def test_a_smaller_budget_asks_the_first_of_the_same_questions(questions: list[Question]) -> None:
    fewer = PROBE.questions(replace(MATERIAL, per_cell=10))
    assert sum(q.condition == "original" for q in fewer) == 10
    assert {q.problem.id for q in fewer} < {q.problem.id for q in questions}
    assert PROBE.questions(MATERIAL) == questions


def test_losses_are_means_over_templates(questions: list[Question]) -> None:
    def right(q: Question) -> bool:
        if q.condition == "original":
            return True
        return place(q) % 3 != 0 if q.condition == "both" else place(q) % 5 != 0

    answered = answers(questions, right)
    report = PROBE.report(answered, [], MATERIAL)
    by_template = {t: [a for a in answered if a.question.pair == t] for t in {q.pair for q in questions}}
    for arm in ARMS:
        losses = [
            1.0 - fmean(scores)
            for rows in by_template.values()
            if (scores := [a.grade.score for a in rows if a.question.condition == arm])
        ]
        row = effect(report, f"templates: original to {arm}")
        assert row.value == pytest.approx(fmean(losses))
        assert row.n == len(losses)
        assert row.low <= row.value <= row.high
        assert row.primary == (arm == "both")
    alone = effect(report, "all templates: both to noop (the clause alone)")
    items = [q for q in questions if q.condition == "both"]
    expected = fmean((place(q) % 3 != 0) - (place(q) % 5 != 0) for q in items)
    assert alone.value == pytest.approx(expected)
    assert alone.n == len(items)
    assert json.loads(json.dumps(report.to_json()))["status"] == "done"
    assert PROBE.report(answered, [], MATERIAL) == report


@pytest.mark.parametrize(
    ("right", "label", "words"),
    [
        (lambda q: True, Label.REASONS, "100 % of 45 original problems are right, 100 % when names and numbers change"),
        (lambda q: q.condition == "original", Label.RECITES, "a loss of 100 points"),
        (lambda q: False, Label.CANNOT_DO, "0 % of 45"),
        (lambda q: None if q.condition == "both" and place(q) % 2 else True, Label.CANNOT_TELL, ""),
    ],
)
def test_the_verdict_is_that_on_both(
    questions: list[Question], right: Callable[[Question], bool | None], label: Label, words: str
) -> None:
    report = PROBE.report(answers(questions, right), [], MATERIAL)
    assert report.finding is not None
    assert report.finding.label is label
    assert words in report.sentence
    assert "never published" in report.sentence


def test_difficulty_arms_are_no_evidence_of_reciting(questions: list[Question]) -> None:
    report = PROBE.report(answers(questions, lambda q: q.condition not in ("p1", "p2", "m1")), [], MATERIAL)
    assert report.finding is not None
    assert report.finding.label is Label.REASONS
    for row in report.contrasts:
        if row.altered.condition in ("p1", "p2", "m1"):
            assert row.loss == 1
            assert row.finding.label is Label.CANNOT_TELL
            assert "no evidence of reciting" in row.finding.reason
            assert "no evidence of reciting" in effect(report, f"templates: original to {row.altered.condition}").note
    assert any("not of reciting" in note for note in report.notes)


def test_tables(questions: list[Question]) -> None:
    report = PROBE.report(answers(questions, lambda q: (place(q) + q.problem.index) % 2 == 0), [], MATERIAL)
    rows = {row["template"]: row for row in report.tables["per template"]}
    assert len(rows) == 45
    assert list(rows["templates/7"]) == ["template", "original", "names", "numbers", "both", "noop", "n"]
    assert rows["templates/7"]["original"] == 0
    assert rows["templates/8"]["original"] == 1
    assert {rows["templates/7"][arm] for arm in ("names", "numbers", "both", "noop")} == {0.5}
    assert rows["templates/7"]["n"] == sum(q.pair == "templates/7" for q in questions)
    sets = {row["arm"]: row for row in report.tables["instance sets"]}
    even = len([f for f in own_families() if int(f.id.rpartition("/")[2]) % 2 == 0]) / 45
    assert sets["original"]["std"] is None
    assert sets["both"]["mean"] == pytest.approx(0.5)
    assert sets["both"]["std"] == pytest.approx(stdev([even, 1 - even]))
    assert (sets["both"]["sets"], sets["both"]["questions per set"]) == (2, 45)
    match = [row for row in report.tables["match of difficulty"] if row["arm"] == "both"]
    assert {"difficulty", "digits", "magnitude", "results", "carries"} <= {row["feature"] for row in match}
    assert all(row["matched"] for row in match)
    clauses = report.tables["inconsequential clauses"]
    assert len(clauses) == 45
    assert all(row["reason"] and "{" not in row["clause"] for row in clauses)


def test_numbers_that_are_harder_are_seen(questions: list[Question]) -> None:
    def harder(question: Question) -> Question:
        if question.condition != "both":
            return question
        features = {**question.problem.meta["features"], "results": question.problem.meta["features"]["results"] + 1}
        return replace(
            question, problem=replace(question.problem, meta={**question.problem.meta, "features": features})
        )

    report = PROBE.report(answers([harder(q) for q in questions], lambda q: True), [], MATERIAL)
    assert any("results in both" in note for note in report.notes)


def test_recorded_answers_need_no_families() -> None:
    """Answers with bare problems and two models, as a file of responses gives them."""

    def question(template: int, condition: str) -> Question:
        problem = Problem(family="symbolic", question=f"{template} {condition}?", answer="1", grader="number")
        return Question(
            problem=problem, task="symbolic", condition=condition, baseline=condition == "original",
            pair=f"t{template}", cluster=f"t{template}",
        )  # fmt: skip

    asked = [question(template, condition) for template in range(40) for condition in ("original", "both")]
    answered = [
        *answers(asked, lambda q: q.condition == "original" or int(q.pair[1:]) < 30, "one"),
        *answers(asked, lambda q: q.condition == "original", "two"),
    ]
    report = PROBE.report(answered, [], replace(MATERIAL, live=False, templates=(OWN_FILES[0],)))
    primary = [row for row in report.effects if row.primary]
    assert [row.value for row in primary] == [pytest.approx((10 + 40) / 80)]
    assert {row.loss for row in report.contrasts} == {0.25, 1.0}
    assert "may have been in the model's training data" in report.sentence
    assert report.tables["inconsequential clauses"] == []
    assert PROBE.objection(replace(MATERIAL, live=False)) is not None


def test_nothing_to_compare_is_a_skipped_report(questions: list[Question]) -> None:
    report = PROBE.report(answers([q for q in questions if q.condition == "original"], lambda q: True), [], MATERIAL)
    assert (report.status, report.effects) == ("skipped", ())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arm": ["both"]}, "no option 'arm'"),
        ({"arms": ["bothh"]}, "allowed: a list of names"),
        ({"arms": "both"}, "allowed: a list of names"),
        ({"matched": "yes"}, "allowed: true, false"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PROBE.questions(replace(MATERIAL, options=options))


def test_arms_can_be_chosen() -> None:
    asked = PROBE.questions(replace(MATERIAL, per_cell=5, options={"arms": ["noop"], "matched": False}))
    assert [q.condition for q in asked] == ["original", "noop"] * 5


def test_user_files_and_clauses(tmp_path: Path) -> None:
    """A user's own file, with one template that cannot be used and one clause that is refused."""
    lines = OWN_FILES[0].read_text(encoding="utf-8").splitlines()[:3]
    broken = {**json.loads(lines[0]), "id_shuffled": 99, "question_annotated": "no sections"}
    file = tmp_path / "mine.templates.jsonl"
    bare = {**json.loads(lines[1]), "id_shuffled": 98, "question": ""}
    file.write_text("\n".join([*lines, json.dumps(broken), json.dumps(bare)]), encoding="utf-8")
    clauses = tmp_path / "mine.noop.jsonl"
    rows = [
        {"id_shuffled": 0, "after": 2, "clause": "The ovens have {noop} knobs.", "low": 41, "high": 60},
        {"id_shuffled": 1, "after": 1, "clause": "His sister gives him {noop} apples.", "low": 41, "high": 60},
    ]
    more = {"category": "attribute", "reason": "Nobody counts them in this problem."}
    clauses.write_text("\n".join(json.dumps({**row, **more}) for row in rows), encoding="utf-8")
    material = replace(MATERIAL, per_cell=6, templates=(file,), options={"clauses": str(clauses)})
    asked = PROBE.questions(material)
    assert {q.task for q in asked} == {"mine"}
    assert {q.pair for q in asked if q.condition == "noop"} == {"mine/0"}
    assert sum(q.condition == "both" for q in asked) == 6
    report = PROBE.report(answers(asked, lambda q: True), [], material)
    notes = "\n".join(report.notes)
    assert "template 99" in notes
    assert "holds no original question and answer" in notes
    assert "it uses 'gives', which can make its number count" in notes
    assert "noop: 1 of 3 templates have this arm." in notes
    file.write_text(json.dumps(broken), encoding="utf-8")
    objection = PROBE.objection(material)
    assert objection is not None
    assert "#init" in objection


def test_published_files_work_the_same() -> None:
    files = [DATA / "symbolic.templates.jsonl", DATA / "p1.templates.jsonl"]
    if not all(file.exists() for file in files):
        pytest.skip(f"{DATA} is not there; it holds the published templates")
    asked = PROBE.questions(replace(MATERIAL, per_cell=8, templates=tuple(files)))
    assert {q.task for q in asked} == {"symbolic"}
    for arm in ("original", "numbers", "both", "p1"):
        assert sum(q.condition == arm for q in asked) == 8
    assert sum(q.condition == "names" for q in asked) >= 6  # a few published templates show no words that could change
    originals = {json.loads(line)["question"].strip() for line in files[0].read_text(encoding="utf-8").splitlines()}
    assert {q.problem.question for q in asked if q.baseline} <= originals
    by_template = {q.pair: q.problem.answer for q in asked if q.baseline}
    assert all(q.problem.answer == by_template[q.pair] for q in asked if q.condition == "names")
