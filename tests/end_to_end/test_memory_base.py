"""The memorisation panel and the frequency probe on menon:base, whose training text is known to the letter."""

import json
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest

from menon.auditing.probe import Answered, Material, ProbeReport, Question
from menon.auditing.probes.frequency import FREQUENCY
from menon.auditing.probes.memorisation import MEMORISATION
from menon.problems.prompts import STYLES
from menon.sampling import open_sampler
from menon.sampling.asking import Asking, ask
from menon.sampling.protocol import Sampler


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    return open_sampler("menon:base")


@pytest.fixture(scope="module")
def material(sampler: Sampler) -> Material:
    options = {"items": 40, "keys": 4, "shuffles": 10, "documents": 5000}
    return Material(
        model="menon:base", style="menon", scores=True, sampler=lambda: sampler, per_cell=20, options=options
    )


def answers(sampler: Sampler, questions: Sequence[Question]) -> list[Answered]:
    asking = Asking(style=STYLES.get("menon"), max_tokens=160)
    graded = {item.problem.id: item for item in ask(sampler, [q.problem for q in questions], asking)}
    found = ((question, graded[question.problem.id]) for question in questions)
    return [Answered(question=q, completion=g.completion, grade=g.grade, model="menon:base") for q, g in found]


@pytest.fixture(scope="module")
def panel(sampler: Sampler, material: Material) -> ProbeReport:
    assert MEMORISATION.objection(material) is None
    rows = json.loads(json.dumps(list(MEMORISATION.measure(material))))
    report = MEMORISATION.report(answers(sampler, MEMORISATION.questions(material)), rows, material)
    json.dumps(report.to_json())
    return report


def gaps(report: ProbeReport, part: str) -> dict[tuple[str, str], Any]:
    rows = report.tables["loss gap (nats per token)"]
    return {(row["arm"], row["family"]): row for row in rows if row["part"] == part}


def test_originals_are_recognised_and_held_out_problems_are_not(panel: ProbeReport) -> None:
    found = gaps(panel, "answer alone")
    for family in ("facts", "addition", "chain"):
        seen, fresh = found["items", family], found["held out", family]
        assert seen["value"] > 0.05, family
        assert fresh["p"] > 0.01, family
    for family in ("all", "facts", "addition"):  # chains are told from their matches by a hundred items, not by forty
        assert found["items", family]["p"] < 0.05, family
    assert found["items", "facts"]["value"] > 10 * found["items", "chain"]["value"]
    primary = [effect for effect in panel.effects if effect.primary]
    assert [effect.label for effect in primary] == ["loss gap, all: question and solution"]
    assert primary[0].low > 0
    assert "has seen them" in panel.sentence


def test_areas_are_high_for_facts_and_about_a_half_for_held_out_problems(panel: ProbeReport) -> None:
    rows = [
        row
        for row in panel.tables["items against their re-instantiations (AUC)"]
        if row["part"] in ("question and solution", "answer alone")
    ]
    assert {row["score"] for row in rows} == {"loss", "Min-K%", "Min-K%++"}
    assert all(row["value"] > 0.9 for row in rows if row["arm"] == "items" and row["family"] == "facts")
    held_out = [row for row in rows if row["arm"] == "held out"]
    assert abs(fmean(row["value"] for row in held_out) - 0.5) < 0.06
    # Eighteen intervals at 95 %, three scores of one text going together: a few may miss.
    assert sum(not row["low"] < 0.5 < row["high"] for row in held_out) <= 3


def test_codes_in_the_text_are_exposed_and_others_are_not(panel: ProbeReport) -> None:
    planted, held_out = panel.tables["canary exposure"]
    assert planted["bits"] > 7
    assert planted["p"] < 1e-5
    assert held_out["bits"] < 4
    assert held_out["p"] > 0.01


def test_the_text_holds_the_originals_word_for_word_and_no_held_out_problem(panel: ProbeReport) -> None:
    for row in panel.tables["overlap with the training text"]:
        assert row["judged"] == row["n"]
        assert row["dirty"] == 0.0 if row["arm"] == "held out" else row["dirty"] > 0.4, row
    accuracy = {cell.id: cell.accuracy for cell in panel.cells}
    assert (
        accuracy["memorisation/facts/in the training text/menon:base"]
        > accuracy["memorisation/facts/not in the training text/menon:base"] + 0.4
    )


def test_orders_that_were_never_in_the_text_look_random(panel: ProbeReport) -> None:
    assert next(row["p"] for row in panel.tables["data-set order"] if row["family"] == "all") > 0.01
    assert [row["detector"] for row in panel.tables["skipped"]] == ["option order"]


def test_facts_follow_their_frequency(sampler: Sampler, material: Material) -> None:
    setting = replace(material, per_cell=30, options={"documents": 5000})
    rows = json.loads(json.dumps(list(FREQUENCY.measure(setting))))
    report = FREQUENCY.report(answers(sampler, FREQUENCY.questions(setting)), rows, setting)
    json.dumps(report.to_json())
    slopes = {(row["family"], row["measure"]): row for row in report.tables["slopes (log-odds per tenfold frequency)"]}
    assert slopes["facts", "phrase"]["low"] > 0
    assert slopes["facts", "phrase"]["p"] < 0.001
    assert slopes["chain", "template"]["low"] < 0 < slopes["chain", "template"]["high"]
    assert sum(effect.primary for effect in report.effects) == 1
