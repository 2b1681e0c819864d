"""`menon grade --audit` and `menon grade recorded:FILE`, with files written here."""

import json
from pathlib import Path
from typing import Any

import pytest

from menon.cli import main
from menon.core.values import Completion
from menon.stats import wilson
from menon.store import Run

ROWS = [
    {"id": "a", "question": "47+5?", "gold": "52", "response": "#### 52", "model": "m"},
    {"id": "b", "question": "47+6?", "gold": "53", "response": "#### 51 no wait 53", "model": "m"},
    {"id": "c", "question": "47+7?", "gold": "54", "response": "it is 54, I am 99 percent sure", "model": "m"},
    {"id": "d", "question": "47+8?", "gold": "55", "response": "I cannot say", "model": "m"},
]
LAST = "number?extract=last_number"


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    file = tmp_path / "out.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return f"recorded:{file}"


def printed(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> dict[str, Any]:
    assert main(["grade", *argv, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_recorded_responses_are_graded_and_the_layout_is_said(recorded: str, capsys: pytest.CaptureFixture[str]):
    found = printed(capsys, recorded)
    assert found["verdicts"]["out"] == {"right": 1, "wrong": 2, "unparsed": 1, "truncated": 0, "error": 0}
    assert any("layout 'questions with responses'" in line for line in found["reading"])
    again = printed(capsys, recorded, "--grader", LAST)
    assert again["changes"] == {"wrong -> right": 1}
    assert main(["grade", recorded]) == 0
    assert "4 of 4 rows used" in capsys.readouterr().out


def test_two_graders_without_labels_give_an_upper_estimate(recorded: str, capsys: pytest.CaptureFixture[str]):
    found = printed(capsys, recorded, "--audit", "--second", LAST)
    assert (found["compared"], found["agreements"]) == (4, 3)
    assert {(row["first"], row["second"]): row["count"] for row in found["table"]} == {
        ("right", "right"): 1,
        ("wrong", "right"): 1,
        ("wrong", "wrong"): 1,
        ("unparsed", "unparsed"): 1,
    }
    rate = found["false_negatives"]["first"]
    expected = wilson(1, 2)
    assert (rate["k"], rate["n"], rate["rate"]) == (1, 2, 0.5)
    assert (rate["low"], rate["high"]) == pytest.approx((expected.low, expected.high))
    assert "upper estimate" in rate["basis"]
    (differing,) = found["disagreements"]
    assert differing["key"] == "b"
    assert differing["extractors"]["hashes"] == {"answer": "51", "verdict": "wrong"}
    assert differing["extractors"]["last_number"] == {"answer": "53", "verdict": "right"}
    assert found["labels"] is None
    assert "false_positives" not in found


def test_hand_labels_give_rates_with_intervals(recorded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\na,right\nb,right\nc,right\nd,wrong\nz,right\n", encoding="utf-8")
    out = tmp_path / "audit.json"
    found = printed(capsys, recorded, "--audit", "--second", LAST, "--labels", str(labels), "--out", str(out))
    assert found["labels"] == {"matched": 4, "unmatched": 1}
    low = {which: (rate["k"], rate["n"]) for which, rate in found["false_negatives"].items()}
    assert low == {"first": (2, 3), "second": (1, 3)}
    assert found["false_positives"]["first"]["k"] == 0
    assert found["false_positives"]["first"]["high"] == pytest.approx(wilson(0, 1).high)
    assert [item["key"] for item in found["mislabelled"]] == ["b", "c"]
    assert json.loads(out.read_text(encoding="utf-8")) == found
    assert main(["grade", recorded, "--audit", "--second", LAST, "--labels", str(labels), "--show", "1"]) == 0
    told = capsys.readouterr().out
    assert (
        "false negatives of the first grader: 2 of 3, 66.67 % (95 % interval 20.77 to 93.85 %), by the labels" in told
    )
    assert "disagreements, 1 of 1:" in told
    assert "against the label, 1 of 2:" in told


def test_a_run_is_audited_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    written = Completion(key="b", text="it is 52", model="m", token_ids=(7, 8))
    record = {
        "family": "chain",
        "question": "47+5?",
        "gold": "52",
        "split": "test",
        "difficulty": 1,
        "sample": 0,
        "model": "m",
        "finish": "stop",
        "reasoning": None,
        "error": None,
        "verdict": "right",
    }

    def compute(writer: Any) -> dict[str, Any]:
        writer.add("graded", {**record, "key": "a", "text": "47+5=52;#52"})
        writer.add("graded", {**record, "key": "b", "text": "it is 52", "token_ids": [7, 8]})
        return {}

    with Run.create_or_resume(tmp_path / "run", recipe_toml='study = "x"\n', manifest={}) as run:
        run.unit("before", compute=compute)
    found = printed(capsys, str(tmp_path / "run"), "--audit", "--second", LAST)
    assert (found["compared"], found["agreements"]) == (2, 1)
    assert found["false_negatives"]["first"]["k"] == 1  # grader "exact" wants a '#'
    labels = tmp_path / "labels.csv"
    labels.write_text(f"completion,label\n{written.id},right\n", encoding="utf-8")
    found = printed(capsys, str(tmp_path / "run"), "--audit", "--second", LAST, "--labels", str(labels))
    assert found["labels"] == {"matched": 1, "unmatched": 0}
    assert {which: rate["k"] for which, rate in found["false_negatives"].items()} == {"first": 1, "second": 0}


def test_problems_that_a_grader_cannot_compare_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = [*ROWS, {"id": "w", "question": "which?", "gold": "blotter", "response": "blotter", "grader": "exact"}]
    runs = [
        {"family": "mixed", "question": row["question"], "gold": row["gold"], "split": "test", "difficulty": 0,
         "key": row["id"], "sample": 0, "model": "m", "text": row["response"], "finish": "stop", "reasoning": None,
         "error": None, "verdict": "wrong", "grader": "exact"} for row in rows
    ]  # fmt: skip

    def compute(writer: Any) -> dict[str, Any]:
        for record in runs:
            writer.add("graded", record)
        return {}

    with Run.create_or_resume(tmp_path / "run", recipe_toml='study = "x"\n', manifest={}) as run:
        run.unit("before", compute=compute)
    name = str(tmp_path / "run")
    found = printed(capsys, name, "--grader", "number")
    assert found["completions"] == 4
    assert list(found["skipped"].values()) == [1]
    audited = printed(capsys, name, "--audit", "--grader", "number", "--second", LAST)
    assert (audited["completions"], list(audited["skipped"].values())) == (4, [1])
    assert main(["grade", name, "--grader", "digits?base=2"]) == 1
    assert "no completion of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--second", "number"], 2, "add --audit"),
        (["--labels", "no.csv"], 2, "add --audit"),
        (["--audit", "--second", "numbr"], 2, "Did you mean 'number'"),
        (["--audit", "--labels", "no.csv"], 1, "cannot read labels"),
        (["--audit", "--labels", "no.jsonl"], 1, "no data at"),
        (["--map", "respnse=x"], 2, "map names the field"),
    ],
)
def test_mistakes_are_told(flags: list[str], code: int, told: str, recorded: str, capsys: pytest.CaptureFixture[str]):
    assert main(["grade", recorded, *flags]) == code
    assert told in capsys.readouterr().err


def test_other_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["grade", "recorded:no/such.jsonl"]) == 2
    assert "no responses at" in capsys.readouterr().err
    assert main(["grade", str(tmp_path), "--data", "x.jsonl"]) == 2
    assert "a run holds its own problems" in capsys.readouterr().err
    assert main(["grade", str(tmp_path)]) == 1
    assert "not a run directory" in capsys.readouterr().err
