"""The rule, step by step, on gradings whose right verdict is known."""

import json
from dataclasses import replace

import pytest
from graded_cells import cells, grade, guesser, mixture, oracle, problem, reciter

from menon.auditing import AuditConfig, Finding, Item, Label, audit_cells
from menon.auditing.verdict import combine
from menon.core.errors import ConfigError

ONE = {"families": ("chain",)}


@pytest.mark.parametrize(
    ("items", "label"),
    [
        (reciter(**ONE), Label.RECITES),
        (oracle(0.9, **ONE), Label.REASONS),
        (oracle(1.0, **ONE), Label.REASONS),
        (guesser(**ONE), Label.CANNOT_DO),
        (mixture(0.4, 0.5, num_originals=200, **ONE), Label.MIXED),
    ],
)
def test_stand_ins_get_their_verdict(items: list[Item], label: Label) -> None:
    report = audit_cells(items)
    assert report.families["chain"].finding.label is label
    assert report.finding.label is label
    assert report.verdict_json()["error_rate"] == pytest.approx(0.025)
    json.dumps(report.to_json(), allow_nan=False)


def test_hand_computed_audit() -> None:
    """40 originals: 30 right; one fresh each: 6 right. Share 1 - 6/30 = 0.8."""
    rows = [("r", "r")] * 6 + [("r", "w")] * 24 + [("w", "w")] * 10
    report = audit_cells(cells(rows))
    family = report.families["chain"]
    block = family.share_json()
    assert block["value"] == pytest.approx(0.8)
    assert (block["original"]["value"], block["fresh"]["value"]) == (0.75, 0.15)
    assert (block["n_items"], block["n_templates"], block["n_variants"]) == (40, 40, 40)
    assert block["verdict"] == "recites"
    assert "75 % right on problems from its training, 15 % on new ones" in report.sentence
    assert report.sentence.startswith("The model recites.")


def test_too_few_originals_says_how_many_more() -> None:
    report = audit_cells(reciter(num_originals=12, **ONE))
    finding = report.families["chain"].finding
    assert finding.label is Label.CANNOT_TELL
    assert finding.needed == 8
    assert "about 8 more originals" in report.sentence


def test_wide_interval_says_how_many_more_and_that_many_settle_it() -> None:
    few = audit_cells(mixture(0.3, 0.4, num_originals=40, seed=3, **ONE)).families["chain"].finding
    assert few.label is Label.CANNOT_TELL
    assert few.needed is not None
    assert 10 < few.needed < 1000
    more = mixture(0.3, 0.4, num_originals=40 + few.needed, seed=4, **ONE)
    assert audit_cells(more).families["chain"].finding.label is Label.MIXED


def test_never_right_but_too_few_to_say_cannot() -> None:
    finding = audit_cells(guesser(num_originals=25, num_fresh=1, **ONE)).families["chain"].finding
    assert finding.label is Label.CANNOT_TELL
    assert finding.needed == 10, "Wilson's upper limit of 0 right falls to 10 % at 35"
    settled = guesser(num_originals=35, num_fresh=1, **ONE)
    assert audit_cells(settled).families["chain"].finding.label is Label.CANNOT_DO


def test_failed_requests_give_no_verdict() -> None:
    finding = audit_cells(cells([("r", "r")] * 60 + [("e", "r")] * 10)).families["chain"].finding
    assert finding.label is Label.CANNOT_TELL
    assert "14% of the originals got no answer because requests failed" in finding.reason


def test_mostly_unreadable_answers_give_no_verdict() -> None:
    finding = audit_cells(cells([("u", "u")] * 60)).families["chain"].finding
    assert finding.label is Label.CANNOT_TELL
    assert "100% of the answers on originals were cut off or unreadable" in finding.reason


def test_a_verdict_that_hangs_on_truncation_is_withheld() -> None:
    """All right on originals, and on fresh problems as far as they were finished: the limit, not the model."""
    finding = audit_cells(cells([("r", "rrttr")] * 60)).families["chain"].finding
    assert finding.label is Label.CANNOT_TELL
    assert "counting completed answers only would give 'reasons' instead of 'mixed'" in finding.reason


def test_harder_fresh_problems_give_no_verdict() -> None:
    items = cells([("r", "")] * 40)
    for item in list(items):
        harder = problem(item.problem.index, split="variant", difficulty=4)
        items.append(Item(problem=harder, grade=grade("w"), role="fresh", of=item.problem.id))
    finding = audit_cells(items).families["chain"].finding
    assert finding.label is Label.CANNOT_TELL
    assert "differ in difficulty: mean 4, originals 2" in finding.reason


def test_originals_alone_give_no_verdict() -> None:
    report = audit_cells(cells([("r", "")] * 40))
    family = report.families["chain"]
    assert family.finding.label is Label.CANNOT_TELL
    assert family.unmatched == 40
    assert family.share_json()["value"] is None
    json.dumps(report.to_json(), allow_nan=False)


def test_chance_level_is_not_ability() -> None:
    """Right once in five among five choices, everywhere, is guessing; chance unknown, it would look like reasoning."""
    rows = [
        ("r" if i % 5 == 0 else "w", "".join("r" if (i + j) % 5 == 0 else "w" for j in range(5))) for i in range(300)
    ]
    items = cells(rows)
    assert audit_cells(items).families["chain"].finding.label is Label.REASONS
    guessed = audit_cells(items, config=AuditConfig(chance={"chain": 0.2}))
    assert guessed.families["chain"].finding.label is Label.CANNOT_DO


def test_a_reciter_of_choices_is_judged_above_chance() -> None:
    rows = [("r", "".join("r" if (i + j) % 5 < 2 else "w" for j in range(5))) for i in range(100)]
    plain, judged = (
        audit_cells(cells(rows), config=AuditConfig(chance=chance)).families["chain"] for chance in ({}, {"chain": 0.4})
    )
    assert plain.share_json()["value"] == judged.share_json()["value"] == pytest.approx(0.6)
    assert judged.share_json()["above_chance"]["value"] == pytest.approx(1.0)
    assert judged.finding.label is Label.RECITES


def test_chance_comes_from_the_number_of_choices() -> None:
    items = [replace(i, problem=replace(i.problem, choices=("a", "b", "c", "d"))) for i in cells([("r", "")] * 5)]
    assert audit_cells(items).families["chain"].chance == 0.25


def test_many_templates_are_resampled_few_are_not() -> None:
    rows = [("r", "r"), ("w", "w")] * 30
    assert audit_cells(cells(rows, templates=30)).families["chain"].resampled == "templates"
    few = audit_cells(cells(rows, templates=4)).families["chain"]
    assert few.resampled == "problems"
    assert few.share is not None
    assert few.share.n_templates == 60


def test_impossible_thresholds_are_refused() -> None:
    with pytest.raises(ConfigError, match="must ascend in this order"):
        AuditConfig(reasons_below=0.05)
    with pytest.raises(ConfigError, match="floor"):
        AuditConfig(floor=0)
    with pytest.raises(ConfigError, match="chance"):
        audit_cells(cells([("r", "r")]), config=AuditConfig(chance={"chain": 1.0}))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["reasons", "reasons"], "reasons"),
        (["reasons", "recites"], "mixed"),
        (["reasons", "mixed"], "mixed"),
        (["reasons", "cannot do the task"], "reasons"),
        (["cannot do the task", "cannot do the task"], "cannot do the task"),
        (["reasons", "cannot tell yet"], "cannot tell yet"),
        (["recites", "cannot tell yet", "reasons"], "mixed"),
        (["cannot tell yet"], "cannot tell yet"),
        ([], "cannot tell yet"),
    ],
)
def test_families_combine(labels: list[str], expected: str) -> None:
    findings = {f"family {i}": Finding(label=Label(label), reason="because") for i, label in enumerate(labels)}
    assert combine(findings).label == expected
