"""Cells and contrasts: pairing, controls, chance, and the verdict on a change of world."""

import random

import pytest

from menon.auditing.contrasts import Cell, cells_of, contrast, contrasts_of
from menon.auditing.probe import Answered, Question
from menon.auditing.verdict import AuditConfig, Label
from menon.core.values import Completion, Grade, Problem, Verdict
from menon.stats import fisher_exact, independent_difference, mcnemar_exact


def answered(
    index: int,
    right: bool | Verdict,
    *,
    condition: str,
    baseline: bool = False,
    control: bool = False,
    pair: str = "",
    **more,
) -> Answered:
    problem = Problem(family="sum", question=f"{index} in {condition}?{control}", answer="1", grader="number", **more)
    question = Question(
        problem=problem, task="sum", condition=condition, baseline=baseline, control=control, pair=pair, cot=True
    )
    verdict = right if isinstance(right, Verdict) else Verdict.RIGHT if right else Verdict.WRONG
    return Answered(question=question, completion=Completion(key=problem.id), grade=Grade(verdict=verdict), model="m")


def rows(rights: list[bool], condition: str, **more) -> list[Answered]:
    pairs = more.pop("pairs", None)
    return [
        answered(i, right, condition=condition, pair=pairs[i] if pairs else "", **more)
        for i, right in enumerate(rights)
    ]


def test_cells_count_what_was_lost_apart():
    verdicts = (
        [Verdict.RIGHT] * 6 + [Verdict.WRONG] * 2 + [Verdict.UNPARSED] + [Verdict.TRUNCATED] + [Verdict.ERROR] * 3
    )
    (cell,) = cells_of("p", [answered(i, v, condition="base10") for i, v in enumerate(verdicts)])
    assert (cell.n, cell.errors) == (10, 3)
    assert cell.accuracy == pytest.approx(0.6)
    assert cell.completed is not None
    assert cell.completed.value == pytest.approx(6 / 8)
    assert (cell.unparsed, cell.truncated) == (0.1, 0.1)
    assert cell.low < 0.6 < cell.high


def test_paired_contrast_is_mcnemar_and_counts_the_loss():
    names = [str(i) for i in range(60)]
    one = rows([i < 54 for i in range(60)], "base10", baseline=True, pairs=names)
    two = rows([i < 30 for i in range(60)], "base9", pairs=names)
    (found,) = contrasts_of(cells_of("p", [*one, *two]))
    assert found.paired
    assert found.loss == pytest.approx(24 / 60)
    assert found.p == pytest.approx(mcnemar_exact(0, 24))
    assert found.low < found.loss < found.high


def test_different_items_are_compared_as_independent_samples():
    one = rows([i < 45 for i in range(50)], "base10", baseline=True)
    two = rows([i < 20 for i in range(50)], "base9")
    (found,) = contrasts_of(cells_of("p", [*one, *two]))
    assert not found.paired
    assert found.p == pytest.approx(fisher_exact(45, 50, 20, 50))
    assert found.loss == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("altered", "control", "label"),
    [(0.0, 1.0, Label.RECITES), (0.97, 1.0, Label.REASONS), (0.0, 0.3, Label.CANNOT_TELL), (0.6, 1.0, Label.MIXED)],
)
def test_verdict_needs_the_comprehension_check(altered: float, control: float, label: Label):
    n = 400
    names = [str(i) for i in range(n)]
    baseline = rows([True] * n, "base10", baseline=True, pairs=names)
    changed = rows([i < altered * n for i in range(n)], "base9", pairs=names)
    check = rows([i < control * 50 for i in range(50)], "base9", control=True)
    (found,) = contrasts_of(cells_of("p", [*baseline, *changed, *check]))
    assert found.finding.label is label
    assert found.understood is (control == 1.0)
    if control < 1:
        assert "did not understand" in found.finding.reason


def test_chance_is_taken_off():
    choices = ("yes", "no")
    baseline = rows([True] * 300, "chess", baseline=True, choices=choices)
    changed = rows([i % 2 == 0 for i in range(300)], "swapped", choices=choices)
    (found,) = contrasts_of(cells_of("p", [*baseline, *changed]))
    assert found.baseline.chance == 0.5
    assert found.share is not None
    assert found.share.value == pytest.approx(1.0)
    assert found.finding.label is Label.RECITES


def test_a_task_that_cannot_be_done_is_no_reciting():
    baseline = rows([i == 0 for i in range(200)], "base10", baseline=True)
    changed = rows([False] * 200, "base9")
    (found,) = contrasts_of(cells_of("p", [*baseline, *changed]))
    assert found.finding.label is Label.CANNOT_DO


def test_failed_requests_withdraw_the_verdict():
    baseline = rows([True] * 100, "base10", baseline=True)
    lost = [answered(i, Verdict.ERROR if i < 20 else Verdict.WRONG, condition="base9") for i in range(100)]
    (found,) = contrasts_of(cells_of("p", [*baseline, *lost]))
    assert found.finding.label is Label.CANNOT_TELL
    assert "failed" in found.finding.reason


def test_interval_of_the_lost_share_covers_the_truth():
    """400 simulated pairs of worlds: true accuracies 0.8 and 0.5 on the same items, share 0.375."""
    rng = random.Random("lost share")
    config, hits, runs, n = AuditConfig(), 0, 400, 120
    names = [str(i) for i in range(n)]
    for _ in range(runs):
        skill = [rng.betavariate(8, 2) for _ in range(n)]
        one = rows([rng.random() < s for s in skill], "a", baseline=True, pairs=names)
        two = rows([rng.random() < s * 0.625 for s in skill], "b", pairs=names)
        first, second = cells_of("p", [*one, *two])
        share = contrast(first, second, config=config).share
        assert share is not None
        hits += share.low <= 0.375 <= share.high
    assert 0.92 <= hits / runs <= 0.985


def test_independent_difference_against_a_permutation_test():
    first, second = [1] * 30 + [0] * 10, [1] * 18 + [0] * 22
    found = independent_difference(first, second)
    rng, pooled, extreme = random.Random("permutation"), [*first, *second], 0
    for _ in range(4000):
        rng.shuffle(pooled)
        extreme += abs(sum(pooled[:40]) - sum(pooled[40:])) >= 12
    assert found.p == pytest.approx(extreme / 4000, abs=0.006)
    assert found.value == pytest.approx(-0.3)
    assert found.low < -0.3 < found.high < 0


def test_cells_have_ids_of_their_own():
    cells: list[Cell] = cells_of(
        "p", [*rows([True], "a", baseline=True), *rows([True], "b"), *rows([True], "b", control=True)]
    )
    assert len(cells) == 3
