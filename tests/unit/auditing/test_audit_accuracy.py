"""Accuracy tables computed by hand."""

import json

import pytest
from graded_cells import grade, graded, problem

from menon.auditing import accuracy_of, accuracy_table
from menon.core.values import Grade
from menon.stats import wilson


def test_hand_computed() -> None:
    accuracy = accuracy_of(graded("rrrrwwutee"))
    expected = wilson(4, 8)
    assert (accuracy.value, accuracy.low, accuracy.high) == (0.5, expected.low, expected.high)
    assert (accuracy.n, accuracy.errors) == (8, 2)
    assert (accuracy.truncated, accuracy.unparsed) == (1 / 8, 1 / 8)
    assert accuracy.completed == wilson(4, 6)
    assert accuracy.lost == 0.25
    assert accuracy.error_share == 0.2


def test_samples_of_a_problem_are_averaged_first() -> None:
    asked, other = problem(1), problem(2)
    rows = [(asked, grade(letter)) for letter in "rwwt"] + [(other, grade("r"))]
    accuracy = accuracy_of(rows)
    assert accuracy.value == pytest.approx((1 / 4 + 1) / 2)
    assert accuracy.n == 2
    assert accuracy.truncated == pytest.approx(1 / 8)
    assert accuracy.completed is not None
    assert accuracy.completed.value == pytest.approx((1 / 3 + 1) / 2)


def test_three_samples_always_right_do_not_exceed_one() -> None:
    rows = [(problem(i), grade("r")) for i in range(7) for _ in range(3)]
    assert accuracy_of(rows).value == 1.0


def test_only_errors_say_nothing() -> None:
    accuracy = accuracy_of(graded("eee"))
    assert (accuracy.value, accuracy.low, accuracy.high, accuracy.n, accuracy.errors) == (None, 0.0, 1.0, 0, 3)
    assert accuracy.error_share == 1.0


def test_nothing_completed() -> None:
    accuracy = accuracy_of(graded("ttu"))
    assert accuracy.value == 0.0
    assert accuracy.completed is None


def test_table_by_family_and_difficulty() -> None:
    rows: list[tuple] = graded("rw", difficulty=3) + graded("rrr", difficulty=1, split="test")
    rows += graded("w", family="facts")
    table = accuracy_table(rows)
    assert list(table) == ["chain", "facts"]
    assert [row["difficulty"] for row in table["chain"].rows()] == [1, 3]
    assert [row["value"] for row in table["chain"].rows()] == [1.0, 0.5]
    assert [row["n"] for row in table["chain"].rows()] == [3, 2]
    assert table["chain"].overall.value == pytest.approx(4 / 5)
    row = json.loads(json.dumps(table["facts"].rows()[0], allow_nan=False))
    assert {"difficulty", "value", "low", "high", "n", "truncated", "unparsed", "errors", "completed"} == set(row)


def test_grades_are_taken_as_they_are() -> None:
    assert isinstance(grade("r"), Grade)
    assert accuracy_of([]).n == 0
