"""`menon grade` against a real store and the real graders."""

import json
from pathlib import Path
from typing import Any

import pytest

from menon.cli import main
from menon.store import Run


def _record(text: str, verdict: str, **more: Any) -> dict[str, Any]:
    return {
        "completion": f"id-{text}",
        "family": "chain",
        "question": "tom has 47 pens. tom buys 5. how many?",
        "gold": "52",
        "split": "test",
        "difficulty": 1,
        "key": "p",
        "sample": 0,
        "model": "m",
        "text": text,
        "finish": "stop",
        "reasoning": None,
        "error": None,
        "verdict": verdict,
        **more,
    }


def _run(path: Path, records: list[dict[str, Any]], kind: str = "graded") -> Path:
    def compute(writer: Any) -> dict[str, Any]:
        for record in records:
            writer.add(kind, record)
        return {}

    with Run.create_or_resume(path, recipe_toml='study = "x"\n', manifest={}) as run:
        run.unit("before", compute=compute)
    return path


def test_counts_verdicts_and_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    records = [
        _record("47+5=52;#52", "right"),
        _record("47+5=53;#53", "right"),
        _record("47+5", "unparsed"),
        _record("47+5=5", "truncated", finish="length"),
        _record("", "error", finish="error", error="timeout"),
    ]
    path = _run(tmp_path / "run", records)
    assert main(["grade", str(path), "--json", "--out", str(tmp_path / "again.json")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdicts"] == {"chain": {"right": 1, "wrong": 1, "unparsed": 1, "truncated": 1, "error": 1}}
    assert (found["completions"], found["disagreements"]) == (5, 1)
    assert found["changes"] == {"right -> wrong": 1}
    assert found["examples"][0]["text"] == "47+5=53;#53"
    assert json.loads((tmp_path / "again.json").read_text(encoding="utf-8")) == found
    assert main(["grade", str(path)]) == 0
    assert "1 of 5 differ" in capsys.readouterr().out


def test_another_grader_by_option_or_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = _run(tmp_path / "run", [_record("so there are 52.0 pens", "unparsed")], kind="sample")
    for option in (["--grader", "number"], ["--set", "grader=number"]):
        assert main(["grade", str(path), *option, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["changes"] == {"unparsed -> right": 1}


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = _run(tmp_path / "run", [_record("#52", "right", family="mine")])
    assert main(["grade", str(path)]) == 2
    assert "give --grader" in capsys.readouterr().err
    assert main(["grade", str(path), "--grader", "numbr"]) == 2
    assert "Did you mean 'number'" in capsys.readouterr().err
    assert main(["grade", str(_run(tmp_path / "empty", []))]) == 1
    assert "no completions" in capsys.readouterr().err
