"""Recorded responses of real models, against the gradings that came with them.

The data sets are published ones and lie beside the repository where they are there at all.
"""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from menon.auditing.recorded import Recorded, read_recorded, recorded_cells, recorded_contrasts
from menon.auditing.verdict import Label

COUNTERFACTUAL = ("arithmetic_2digit", "arithmetic_3digit_4digit", "arithmetic_ccc", "chess_gpt4")


def rows_of(path: Path) -> list[dict[str, Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "counterfactual"


@pytest.fixture(scope="module")
def counterfactual(folder: Path) -> Recorded:
    return read_recorded([f"recorded:{folder}"])


def test_every_cell_of_the_authors_grading_is_met(counterfactual: Recorded, folder: Path):
    reference = {
        (row["task"], row["world"], row["model"], row["cot"]): row
        for row in rows_of(folder / "reference_accuracy.jsonl")
    }
    cells = {(c.task, c.condition, c.model, c.cot): c for c in recorded_cells(counterfactual)}
    assert set(cells) == set(reference)
    assert len(cells) == 48
    for place, cell in cells.items():
        assert cell.n == reference[place]["n"], place
        assert cell.accuracy is not None
        assert abs(100 * cell.accuracy - reference[place]["upstream"]) <= 0.5, (place, cell.accuracy, reference[place])


def test_nearly_every_row_has_the_authors_grade(counterfactual: Recorded, folder: Path):
    wanted = {
        (row["id"], row["task"], row["world"], row["model"], row["cot"]): row
        for name in COUNTERFACTUAL
        for row in rows_of(folder / f"{name}.jsonl.gz")
    }
    assert len(counterfactual.answered) == 33_840
    differing = []
    for item in counterfactual.answered:
        question = item.question
        row = wanted[item.completion.key, question.task, question.condition, item.model, question.cot]
        if item.grade.score != float(row["reference_correct"]):
            tail = item.completion.text[-80:]
            differing.append((row["id"], row["gold"], item.grade.answer, row["reference_correct"], tail))
    told = "\n".join(map(repr, differing))
    assert len(differing) <= 5, told
    assert not any(name.startswith("chess") for name, *_ in differing), told


def test_the_verdict_is_stated_with_the_check_beside_it(counterfactual: Recorded):
    found = {
        (c.task, c.altered.condition, c.model, c.cot): c for c in recorded_contrasts(recorded_cells(counterfactual))
    }
    assert len(found) == 26
    assert all(contrast.control is not None for contrast in found.values())
    base9 = found["arithmetic-2digit", "base9", "gpt4", True]
    assert base9.finding.label is Label.RECITES
    assert "comprehension check 90 %" in base9.sentence
    lost = found["arithmetic-2digit", "base11", "gpt3.5", True]
    assert lost.understood is False
    assert lost.finding.label is Label.CANNOT_TELL
    assert "did not understand base11" in lost.finding.reason
    chess = found["chess", "counter_factual", "gpt4", True]
    assert (chess.paired, chess.n) == (True, 400)


def test_what_is_no_response_is_left_out_and_named(counterfactual: Recorded):
    assert [Path(skip.file).name for skip in counterfactual.skipped] == ["reference_accuracy.jsonl"]
    assert not any(part.generic for part in counterfactual.parts)


@pytest.mark.parametrize(("name", "count"), [("letter_string", 2100), ("digit_matrices", 608)])
def test_analogies_are_graded_as_published(name: str, count: int, shared_data: Path):
    file = shared_data / "analogies" / f"{name}.jsonl.gz"
    wanted = {row["id"]: row["recorded_correct"] for row in rows_of(file)}
    found = read_recorded([f"recorded:{file}"])
    assert len(found.answered) == count
    for item in found.answered:
        meta = item.question.problem.meta
        label = wanted[meta["id"]]
        assert item.grade.right == (label[meta["format"]] if isinstance(label, dict) else label), item


def test_every_solution_to_gsm8k_is_graded_as_published(shared_data: Path):
    file = shared_data / "gsm8k" / "model_solutions.jsonl.gz"
    wanted = {(row["id"], row["model"]): row["is_correct"] for row in rows_of(file)}
    found = read_recorded([f"recorded:{file}"])
    assert len(found.answered) == 5276
    assert all(item.grade.right == wanted[item.completion.key, item.model] for item in found.answered)
    assert any("taken from" in line for line in found.say)


def test_a_grader_is_audited_with_5276_labels(shared_data: Path, tmp_path: Path, menon_command: Callable[..., Any]):
    """Recounted here: how often the last number of a solution is not the answer although its label says right."""
    file = shared_data / "gsm8k" / "model_solutions.jsonl.gz"
    rows = rows_of(file)
    labels = tmp_path / "labels.jsonl"
    labels.write_text(
        "".join(
            json.dumps({"id": r["id"], "model": r["model"], "label": "right" if r["is_correct"] else "wrong"}) + "\n"
            for r in rows
        ),
        encoding="utf-8",
    )
    flags = ("--audit", "--grader", "number?extract=hashes,boxed", "--second", "number?extract=last_number")
    done = menon_command("grade", f"recorded:{file}", *flags, "--labels", labels, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    right = sum(row["is_correct"] for row in rows)
    assert found["labels"] == {"matched": 5276, "unmatched": 0}
    first, second = found["false_negatives"]["first"], found["false_negatives"]["second"]
    assert (first["k"], first["n"]) == (right, right)  # no solution has either mark
    assert (second["k"], second["n"]) == (0, right)
    assert found["false_positives"]["second"]["n"] == 5276 - right
    assert 0.99 < first["low"] < first["high"] == 1.0
    assert second["high"] < 0.002
    assert {(row["first"], row["second"]): row["count"] for row in found["table"]}["unparsed", "right"] == right


def test_reading_a_thousand_responses_takes_well_under_two_seconds(folder: Path, tmp_path: Path):
    file = tmp_path / "thousand.jsonl"
    rows = rows_of(folder / "arithmetic_2digit.jsonl.gz")[::20]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    began = time.perf_counter()
    found = recorded_cells(read_recorded([str(file)]))
    assert time.perf_counter() - began < 2
    assert sum(cell.n for cell in found) == 1000
