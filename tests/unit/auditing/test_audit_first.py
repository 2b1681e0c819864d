"""The whole report: known answers, controls, phases."""

import json

import pytest
from graded_cells import cells, guesser, mixture, oracle, reciter

from menon.auditing import AuditConfig, KnownCase, Label, audit_cells, by_phase, check_known_answers
from menon.core.errors import ConfigError


def known(num_originals: int = 100):
    return check_known_answers(
        [
            KnownCase(
                name="scripted:reciter", expected=Label.RECITES, items=tuple(reciter(num_originals=num_originals))
            ),
            KnownCase(
                name="scripted:oracle?p=0.9", expected=Label.REASONS, items=tuple(oracle(num_originals=num_originals))
            ),
        ]
    )


def model(chain: str, facts: str = "reciter"):
    kinds = {"reciter": reciter, "oracle": oracle, "guesser": guesser, "mixture": mixture}
    return kinds[chain](families=("addition", "chain"), seed=1) + kinds[facts](families=("facts",), seed=2)


def test_stand_ins_are_recognised() -> None:
    answers = known()
    assert answers.passed
    rows = answers.to_json()
    assert [(row["name"], row["expected"], row["verdict"]) for row in rows] == [
        ("scripted:reciter", "recites", "recites"),
        ("scripted:oracle?p=0.9", "reasons", "reasons"),
    ]
    assert rows[0]["share"]["value"] == 1.0
    assert rows[0]["share"]["low"] > 0.9
    assert rows[1]["share"]["low"] < 0 < rows[1]["share"]["high"]
    assert set(rows[0]["families"].values()) == {"recites"}


def test_a_trusted_audit_gives_verdicts() -> None:
    report = audit_cells(model("oracle"), known=known())
    assert report.finding.label is Label.REASONS
    assert report.families["facts"].finding.label is Label.RECITES
    assert "Control: On facts the model recites" in report.sentence
    assert report.sentence.endswith(", as it must.")
    assert report.checked


def test_an_audit_that_cannot_tell_its_stand_ins_apart_refuses() -> None:
    """The reciter's fresh problems were in its training: it is right everywhere, like the oracle."""
    leaked = check_known_answers(
        [
            KnownCase(name="scripted:reciter", expected=Label.RECITES, items=tuple(oracle(1.0))),
            KnownCase(name="scripted:oracle", expected=Label.REASONS, items=tuple(oracle())),
        ]
    )
    assert not leaked.passed
    report = audit_cells(model("oracle"), known=leaked)
    assert {family.finding.label for family in report.families.values()} == {Label.CANNOT_TELL}
    assert report.finding.label is Label.CANNOT_TELL
    assert "said 'reasons' of scripted:reciter, which recites by construction" in report.finding.reason


def test_too_small_an_audit_refuses_and_says_what_is_missing() -> None:
    report = audit_cells(model("oracle"), known=known(num_originals=15))
    assert report.finding.label is Label.CANNOT_TELL
    assert report.finding.needed == 5


def test_one_kind_of_stand_in_proves_nothing() -> None:
    only = check_known_answers([KnownCase(name="scripted:reciter", expected=Label.RECITES, items=tuple(reciter()))])
    assert not only.passed
    assert "was not tried on chain" in (only.objection("chain") or "")


def test_a_family_without_stand_ins_gets_no_verdict() -> None:
    items = [*model("oracle"), *oracle(families=("sorting",))]
    report = audit_cells(items, known=known())
    assert report.families["chain"].finding.label is Label.REASONS
    assert report.families["sorting"].finding.label is Label.CANNOT_TELL


def test_a_control_that_looks_reasoned_withdraws_every_verdict() -> None:
    report = audit_cells(model("oracle", facts="oracle"), known=known())
    assert report.finding.label is Label.CANNOT_TELL
    assert "the control facts can only be recited" in report.finding.reason


def test_a_control_that_is_not_known_at_all_says_nothing() -> None:
    report = audit_cells(model("oracle", facts="guesser"), known=known())
    assert report.finding.label is Label.REASONS


def test_controls_alone_are_still_an_audit() -> None:
    assert audit_cells(reciter(families=("facts",))).finding.label is Label.RECITES


def test_without_stand_ins_the_report_says_so() -> None:
    report = audit_cells(model("oracle"))
    assert not report.checked
    assert report.verdict_json()["checked"] is False
    assert report.to_json()["known_answers"] == []


def test_phases_have_the_shape_of_the_report() -> None:
    blocks = by_phase(
        {"before": audit_cells(model("guesser"), known=known()), "after": audit_cells(model("oracle"), known=known())}
    )
    blocks = json.loads(json.dumps(blocks, allow_nan=False))
    assert blocks["verdict"]["before"]["label"] == "cannot do the task"
    assert blocks["verdict"]["after"]["label"] == "reasons"
    assert set(blocks["accuracy"]["chain"]) == {"before", "after"}
    assert {"value", "low", "high", "n"} <= set(blocks["accuracy"]["chain"]["after"])
    row = blocks["by_difficulty"]["chain"]["after"][0]
    assert {"difficulty", "value", "low", "high", "n", "truncated", "unparsed"} <= set(row)
    share = blocks["recitation_share"]["facts"]["after"]
    assert {"value", "low", "high", "n_items", "n_templates", "verdict", "original", "fresh"} <= set(share)
    assert {"value", "low", "high", "n"} <= set(share["fresh"])
    assert [row["name"] for row in blocks["known_answers"]] == ["scripted:reciter", "scripted:oracle?p=0.9"]


def test_equal_items_give_equal_reports() -> None:
    assert audit_cells(model("mixture")).to_json() == audit_cells(model("mixture")).to_json()


def test_bad_known_cases_are_refused() -> None:
    with pytest.raises(ConfigError, match="has no items"):
        check_known_answers([KnownCase(name="x", expected=Label.REASONS, items=())])
    with pytest.raises(ConfigError, match="expect what the stand-in is"):
        check_known_answers([KnownCase(name="x", expected=Label.CANNOT_TELL, items=tuple(cells([("r", "r")])))])


def test_configured_controls() -> None:
    report = audit_cells(model("oracle", facts="oracle"), config=AuditConfig(controls=()))
    assert report.finding.label is Label.REASONS
