"""The memorisation panel on real count models: who has read the items is told from who has not, and skips are said."""

import json
from pathlib import Path
from typing import Any

import pytest
from memory_model import CountModel, LogpsOnly, choice_problems, material, open_problems

from menon.auditing.memory.panel import Panel, spread
from menon.auditing.probe import Answered, Material, ProbeReport
from menon.auditing.probes.memorisation import DETECTORS, MEMORISATION
from menon.core.errors import ConfigError
from menon.core.values import Completion, Problem
from menon.grading import grade

DETECTOR_NAMES = {"likelihood", "option_order", "set_order", "completion", "exposure", "overlap"}


def run(material: Material, answered: list[Answered] | None = None) -> tuple[ProbeReport, list[dict[str, Any]]]:
    rows = json.loads(json.dumps(list(MEMORISATION.measure(material))))
    report = MEMORISATION.report(answered or [], rows, material)
    assert report == MEMORISATION.report(answered or [], rows, material)
    json.dumps(report.to_json())
    return report, rows


def twins(path: Path, problems: list[Problem]) -> str:
    fresh = open_problems(len(problems), "fresh")
    rows = [
        {"question": twin.question, "answer": twin.answer, "template": item.template}
        for item, twin in zip(problems, fresh, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def layout(problem: Problem) -> str:
    return f"{problem.question}\n{problem.answer}"


@pytest.fixture
def few_shards() -> dict[str, int]:
    return {"shards": 4, "shuffles": 3, "items": 24}


def test_a_reader_is_told_from_a_stranger(tmp_path: Path, few_shards: dict[str, int]) -> None:
    problems = open_problems(24)
    options = {**few_shards, "variants": twins(tmp_path / "t.jsonl", problems)}
    for texts, read in ((problems, True), (open_problems(24, "other"), False)):
        report, _ = run(material(CountModel(map(layout, texts)), problems, options=options, per_cell=4))
        primary = [effect for effect in report.effects if effect.primary]
        assert len(primary) == 1
        assert primary[0].label.startswith("loss gap")
        assert (primary[0].low > 0) is read
        assert primary[0].p is not None
        assert (primary[0].p < 0.01) is read
        areas = {
            row["score"]: row
            for row in report.tables["items against their re-instantiations (AUC)"]
            if row["part"] == "question and solution"
        }
        assert set(areas) == {"loss", "Min-K%", "Min-K%++"}
        assert all((row["low"] > 0.9) is read for row in areas.values())
        assert ("has seen them" in report.sentence) is read


def test_without_the_distribution_only_min_k_plus_is_left_out(tmp_path: Path, few_shards: dict[str, int]) -> None:
    problems = open_problems(24)
    options = {**few_shards, "variants": twins(tmp_path / "t.jsonl", problems)}
    report, _ = run(material(LogpsOnly(CountModel(map(layout, problems))), problems, options=options, per_cell=4))
    scores = {row["score"] for row in report.tables["items against their re-instantiations (AUC)"]}
    assert scores == {"loss", "Min-K%"}
    assert any("Min-K%++ skipped" in note for note in report.notes)


def test_every_detector_that_cannot_run_says_why(few_shards: dict[str, int]) -> None:
    report, rows = run(material(CountModel(["x"]), open_problems(6), scores=False, options=few_shards, per_cell=3))
    skipped = {row["detector"]: row["skipped"] for row in rows if "skipped" in row}
    assert set(skipped) == DETECTOR_NAMES - {"completion"}
    assert "log-probabilities" in skipped["likelihood"]
    assert "--corpus" in skipped["overlap"]
    assert {row["detector"] for row in report.tables["skipped"]} == {
        detector.title for detector in DETECTORS if detector.name in skipped
    }
    assert sum("skipped:" in note for note in report.notes) == len(skipped)
    with_scores, _ = run(material(CountModel(["x"]), open_problems(6), options=few_shards, per_cell=3))
    reasons = {row["detector"]: row["reason"] for row in with_scores.tables["skipped"]}
    assert "re-instantiations" in reasons["Min-K%, Min-K%++ and loss gap"]
    assert "multiple-choice" in reasons["option order"]


class CannotScore:
    name = "silent"

    def sample(self, requests, **_):
        for request in requests:
            yield Completion(key=request.key, text="")

    def score(self, prompt: str, continuation: str) -> list[float]:
        from menon.core.errors import SamplerError

        raise SamplerError("the server does not offer `echo`")


def test_a_backend_that_fails_to_score_is_a_skip_with_its_own_words(few_shards: dict[str, int]) -> None:
    report, _ = run(material(CannotScore(), choice_problems(8), options=few_shards, per_cell=3))
    reasons = {row["detector"]: row["reason"] for row in report.tables["skipped"]}
    assert "does not offer `echo`" in reasons["option order"]


def corpus_case(tmp_path: Path) -> tuple[list[Problem], Path]:
    problems = open_problems(40)
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": f"once {p.question} said"}) + "\n" for p in problems[:20]))
    return problems, corpus


def test_responses_on_file_with_a_corpus_give_clean_and_dirty_accuracy(tmp_path: Path) -> None:
    problems, corpus = corpus_case(tmp_path)
    setting = Material(model="recorded", problems=tuple(problems), corpus=(corpus,), live=False, per_cell=40)
    assert MEMORISATION.objection(setting) is None
    questions = MEMORISATION.questions(setting)
    assert len(questions) == 40
    answered = []
    for place, question in enumerate(questions):
        text = question.problem.answer if place < 20 or place % 4 == 0 else "something else"
        completion = Completion(key=question.problem.id, text=f"#### {text}")
        answered.append(
            Answered(question=question, completion=completion, grade=grade(question.problem, completion), model="m")
        )
    report, _ = run(setting, answered)
    line = report.tables["overlap with the training text"][0]
    assert (line["judged"], line["dirty"], line["exact"]) == (40, 0.5, 0.5)
    accuracy = {cell.condition: cell.accuracy for cell in report.cells}
    assert accuracy == {"in the training text": 1.0, "not in the training text": 0.25}
    primary = next(effect for effect in report.effects if effect.primary)
    assert primary.value == pytest.approx(0.75)
    assert primary.p is not None
    assert primary.p < 1e-4
    assert "20 of 40 items stand in the training text (corpus.jsonl)" in report.sentence
    assert report.finding is None


def test_a_bad_row_of_the_corpus_is_told_and_the_rest_is_used(tmp_path: Path) -> None:
    problems, corpus = corpus_case(tmp_path)
    with corpus.open("a") as file:
        file.write("{broken\n")
    setting = Material(model="recorded", problems=tuple(problems), corpus=(corpus,), live=False)
    report, _ = run(setting)
    assert any("1 rows of the corpus could not be read" in note and "corpus.jsonl:21" in note for note in report.notes)
    assert report.tables["overlap with the training text"][0]["dirty"] == 0.5


def test_objections(tmp_path: Path) -> None:
    nothing = Material(model="some/model", live=True, scores=True, sampler=lambda: CannotScore())
    assert "--data" in str(MEMORISATION.objection(nothing))
    recorded = Material(model="recorded", problems=tuple(open_problems(3)), live=False)
    reason = str(MEMORISATION.objection(recorded))
    assert "--corpus" in reason
    assert "log-probabilities" in reason
    assert MEMORISATION.questions(recorded) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"item": 3}, "unknown option 'item'"),
        ({"items": 0}, "items=0"),
        ({"prefix": 1.0}, r"prefix=1\.0"),
        ({"twins": "two"}, "must be of type int"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Panel(Material(model="m", options=options))


def test_generated_problems_bring_their_own_matches() -> None:
    from menon.problems import FAMILIES

    family = FAMILIES.get("chain")
    given = [family.problem("original", i) for i in range(5)]
    panel = Panel(Material(model="m", problems=tuple(given), options={"twins": 2}))
    for subject in panel.subjects:
        assert len(subject.twins) == 2
        assert all(twin.difficulty == subject.problem.difficulty for twin in subject.twins)
        assert all(twin.question != subject.problem.question for twin in subject.twins)


def test_equal_questions_count_once_and_families_are_spread() -> None:
    problems = [*open_problems(50), *open_problems(50)]
    panel = Panel(Material(model="m", problems=tuple(problems), options={"items": 10}))
    assert len({s.problem.id for s in panel.subjects}) == len(panel.subjects) == 10
    places = [int(s.problem.template.removeprefix("t/")) for s in panel.subjects]
    assert places == sorted(places)
    assert places[-1] >= 25


def test_a_choice_of_items_keeps_every_difficulty_of_a_periodic_list() -> None:
    assert {place % 8 for place in spread(range(120), 30)} == set(range(8))
