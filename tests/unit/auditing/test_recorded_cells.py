"""Cells and comparisons of recorded responses, against counts made by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from menon.auditing.recorded import model_contrasts, read_recorded, recorded_cells, recorded_contrasts
from menon.auditing.recorded.counterfactual import controls
from menon.stats import mcnemar_exact, wilson


def rows() -> list[dict[str, Any]]:
    """100 items: m is right on all in base 10 and 40 in base 9; n on 90 and 60; both pass the check of base 9."""
    right = {("m", "base10"): 100, ("m", "base9"): 40, ("n", "base10"): 90, ("n", "base9"): 60}
    made = [
        {"task": "arithmetic-2digit", "world": world, "is_default": world == "base10", "model": model, "cot": False,
         "id": f"{world}/{model}/{i}", "item": f"{i}+{world}", "prompt": f"{i} in {world}?",
         "response": "\\boxed{11}" if i < count else "\\boxed{12}", "gold": "11"}
        for (model, world), count in right.items() for i in range(100)
    ]  # fmt: skip
    checks = [
        {"task": "arithmetic-ccc", "world": "base9", "is_default": False, "model": model, "cot": False,
         "id": f"c/{model}/{i}", "item": f"{i}", "prompt": f"after {i}?", "response": "1", "gold": "1"}
        for model in ("m", "n") for i in range(30)
    ]  # fmt: skip
    return made + checks


@pytest.fixture
def cells(tmp_path: Path):
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    return recorded_cells(read_recorded([str(file)]))


def test_cells_are_per_model_world_and_task(cells: Any):
    found = {(c.task, c.condition, c.model): c for c in cells}
    assert len(found) == 6
    cell = found["arithmetic-2digit", "base9", "m"]
    expected = wilson(40, 100)
    assert (cell.n, cell.accuracy) == (100, 0.4)
    assert (cell.low, cell.high) == pytest.approx((expected.low, expected.high))
    assert found["arithmetic-ccc", "base9", "n"].control
    assert set(cell.to_json()) >= {
        "task",
        "world",
        "model",
        "cot",
        "n",
        "accuracy",
        "low",
        "high",
        "unparsed",
        "truncated",
    }


def test_worlds_are_compared_with_the_check_beside_them(cells: Any):
    contrasts = {c.model: c for c in recorded_contrasts(cells)}
    assert set(contrasts) == {"m", "n"}
    assert contrasts["m"].loss == pytest.approx(0.6)
    assert contrasts["m"].understood is True
    assert not contrasts["m"].paired  # the operands of each base are others
    assert "comprehension check 100 %" in contrasts["m"].sentence


def test_models_are_compared_on_the_same_items(cells: Any):
    found = {(c.task, c.condition): c for c in model_contrasts(cells)}
    assert set(found) == {("arithmetic-2digit", "base10"), ("arithmetic-2digit", "base9"), ("arithmetic-ccc", "base9")}
    one = found["arithmetic-2digit", "base9"]
    assert (one.n, one.first_accuracy, one.second_accuracy) == (100, 0.4, 0.6)
    assert one.difference == pytest.approx(0.2)
    assert one.p == pytest.approx(mcnemar_exact(20, 0))
    assert one.needed is None
    same = found["arithmetic-ccc", "base9"]
    assert (same.difference, same.p, same.needed) == (0.0, 1.0, None)
    assert "+20.0 points" in one.sentence
    assert one.to_json()["kind"] == "models"


def test_rows_that_repeat_an_item_all_count_and_are_clustered(tmp_path: Path):
    repeated = [{**row, "item": "same", "id": f"{i}"} for i, row in enumerate(rows()[:40])]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in repeated), encoding="utf-8")
    (cell,) = recorded_cells(read_recorded([str(file)]))
    assert cell.n == 40
    assert cell.low < wilson(40, 40).low  # one item says less than forty


def test_which_check_belongs_to_which_task():
    tasks = ["arithmetic-2digit", "arithmetic-ccc", "chess", "chess-ccc", "chessboards", "spatial"]
    assert controls(tasks) == {"arithmetic-2digit": "arithmetic-ccc", "chess": "chess-ccc"}
