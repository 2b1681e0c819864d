"""Paired comparison of two gradings, by hand."""

import json

import pytest
from graded_cells import graded

from menon.auditing import compare, compare_families
from menon.core.errors import ConfigError


def test_hand_computed() -> None:
    before, after = graded("rrrwwwwwuu"), graded("rrwrrrwwrr")
    result = compare(before, after, family="chain")
    assert (result.result.n, len(result.gained), len(result.lost)) == (10, 5, 1)
    assert result.gained[0] == before[3][0].id
    assert result.lost == (before[2][0].id,)
    assert result.p == pytest.approx(14 / 64)
    assert not result.distinguishable
    assert result.needed is not None
    assert "no change can be told from chance: +40 points" in result.sentence
    assert f"about {result.needed} more problems" in result.sentence
    block = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert {"n", "gained", "lost", "p", "difference", "low", "high"} <= set(block)
    assert (block["gained"], block["lost"], block["difference"]) == (5, 1, pytest.approx(0.4))


def test_a_clear_gain() -> None:
    result = compare(graded("w" * 60 + "r" * 40), graded("r" * 90 + "w" * 10))
    assert result.distinguishable
    assert result.needed is None
    assert result.sentence.startswith("On all problems accuracy changed by +50 points")
    assert result.result.low > 0.3


def test_no_change_has_no_size_to_plan_for() -> None:
    result = compare(graded("rw"), graded("rw"))
    assert (result.p, result.needed) == (1.0, None)
    assert "0 gained, 0 lost of 2" in result.sentence


def test_errors_and_missing_problems_are_counted_not_scored() -> None:
    result = compare(graded("rrew"), graded("rerrr"))
    assert result.result.n == 2
    assert result.unpaired == 3
    assert len(result.gained) == 1
    assert not result.lost


def test_order_does_not_matter() -> None:
    before, after = graded("rrwwr"), graded("wrrrr")
    assert compare(before, after).to_json() == compare(before, after[::-1]).to_json()


def test_templates_as_clusters() -> None:
    before = [row for t in range(25) for row in graded("wwww"[: 1 + t % 4], template=f"t{t}", split=f"s{t}")]
    after = [(problem, graded("r")[0][1]) for problem, _ in before]
    result = compare(before, after, by_template=True)
    assert result.result.value == 1.0
    assert result.distinguishable


def test_families_are_adjusted_by_holm() -> None:
    before = graded("w" * 8 + "r" * 20) + graded("w" * 6 + "r" * 20, family="facts")
    after = graded("r" * 28) + graded("r" * 26, family="facts")
    table = compare_families(before, after)
    assert list(table) == ["chain", "facts"]
    alone = compare(graded("w" * 8 + "r" * 20), graded("r" * 28))
    assert table["chain"].p == pytest.approx(2 * alone.p)
    assert table["facts"].p == pytest.approx(2 / 2**6)
    assert table["chain"].distinguishable


def test_twice_graded_is_refused() -> None:
    with pytest.raises(ConfigError, match="graded twice before"):
        compare(graded("r") * 2, graded("r"))


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(ConfigError, match="share none that was answered on both sides"):
        compare(graded("r"), graded("r", split="other"))
