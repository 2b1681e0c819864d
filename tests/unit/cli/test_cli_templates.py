"""`menon problems templates`: what each verb prints, writes and exits with."""

import json
from pathlib import Path
from typing import Any

import pytest

from menon.cli import main

QUESTION = """{name, Ann} has {n, 12} {thing, pen}s and loses {k, 5}. How many {thing, pen}s are left?
#init:
- name = sample(names)
- thing = sample(["pen", "cup"])
- $n = range(4, 40)
- $k = range(2, 30)
#conditions:
- k < n
#answer: n - k"""
GOOD = {
    "id_shuffled": 4,
    "question": "Ann has 12 pens and loses 5. How many pens are left?",
    "answer": "12 - 5 = 7\n#### 7",
    "question_annotated": QUESTION,
    "answer_annotated": "{n} - {k} = <<{n}-{k}={n-k}>>{n - k}\n#### {n - k}",
}


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    file = tmp_path / "t.jsonl"
    file.write_text(json.dumps(GOOD) + "\n", encoding="utf-8")
    return file


def run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str, str]:
    code = main(["problems", "templates", *map(str, args)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_make_and_check_go_together(templates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made = tmp_path / "made.jsonl"
    code, out, _ = run(capsys, "make", templates, "--count", "30", "--out", made)
    assert code == 0
    assert out == f"30 instances written to {made}\n"
    rows = [json.loads(line) for line in made.read_text(encoding="utf-8").splitlines()]
    assert [row["instance"] for row in rows] == list(range(30))
    assert len({row["question"] for row in rows}) == 30
    assert all(row["id"] == 4 and "\n#### " in row["answer"] for row in rows)

    code, out, err = run(capsys, "check", templates, "--instances", made, "--json")
    assert code == 0
    report = json.loads(out)
    assert {name: report[name] for name in ("templates", "loaded", "solvable")} == dict.fromkeys(
        ("templates", "loaded", "solvable"), 1
    )
    assert {report[name] for name in ("instances", "parsed", "satisfied", "answers_equal")} == {30}
    assert (report["ok"], report["failures"], report["warnings"]) == (True, [], [])
    assert "solving templates" in err


def test_the_same_seed_makes_the_same_bytes(templates: Path, capsys: pytest.CaptureFixture[str]):
    first = run(capsys, "make", templates, "--count", "5")[1]
    assert run(capsys, "make", templates, "--count", "5")[1] == first
    assert run(capsys, "make", templates, "--count", "5", "--seed", "1")[1] != first
    assert json.loads(run(capsys, "make", templates, "--count", "5", "--json")[1])["records"] == [
        json.loads(line) for line in first.splitlines()
    ]


def test_check_lists_failures_and_exits_with_1(templates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bad = {**GOOD, "id_shuffled": 5, "question_annotated": QUESTION.replace("k < n", "k > n + 90")}
    templates.write_text(json.dumps(GOOD) + "\n{\n" + json.dumps(bad) + "\n", encoding="utf-8")
    report = tmp_path / "report.json"
    code, out, _ = run(capsys, "check", templates, "--count", "9", "--out", report)
    assert code == 1
    assert "templates      3" in out
    assert f"failure: {templates}:2: template : not JSON" in out
    assert f"failure: {templates}:3: template 5: its conditions cannot be met" in out
    assert "condition 'k > n + 90' never held" in out
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["ok"], written["templates"], written["loaded"], written["solvable"]) == (False, 3, 2, 1)


def test_show(templates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "show", templates, "4", "--count", "2")
    assert code == 0
    assert "$n = range(4, 40)" in out
    assert out.count("How many") == 2
    value: dict[str, Any] = json.loads(run(capsys, "show", templates, "4", "--json")[1])
    assert value["conditions"] == ["k < n"]
    assert value["default"] == {"name": "Ann", "thing": "pen", "n": 12, "k": 5}
    assert value["original"]["answer"] == "7"
    assert len(value["instances"]) == 1


def test_own_lists(templates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lists = tmp_path / "lists.json"
    lists.write_text('{"names": ["Zed"]}', encoding="utf-8")
    out = run(capsys, "make", templates, "--count", "9", "--lists", lists)[1]
    assert out.count('"Zed has ') == 9
    lists.write_text("[1]", encoding="utf-8")
    assert run(capsys, "make", templates, "--lists", lists)[0] == 1


def test_more_instances_than_there_are(templates: Path, capsys: pytest.CaptureFixture[str]):
    few = {**GOOD, "question_annotated": QUESTION.replace("k < n", "k == 3\n- n == 2 * k").replace("names", "['Ann']")}
    templates.write_text(json.dumps(few), encoding="utf-8")
    code, _, err = run(capsys, "make", templates, "--count", "50")
    assert code == 1
    assert f"{templates}:1: template '4': it has only 2 distinct questions, 50 were asked for" in err


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["show", "FILE", "9"], 2, "has no template '9'"),
        (["make", "FILE", "--out", "FOLDER"], 2, "--out got the folder"),
        (["make", "none.jsonl"], 1, "no data at 'none.jsonl'"),
        (["check", "none.jsonl"], 1, "no data at 'none.jsonl'"),
        (["check"], 2, "Missing argument"),
    ],
)
def test_wrong_usage_exits_as_documented(
    args: list[str], code: int, message: str, templates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = [{"FILE": str(templates), "FOLDER": str(tmp_path)}.get(word, word) for word in args]
    found, out, err = run(capsys, *words)
    assert found == code
    assert message in err
    assert not out
    found, out, _ = run(capsys, *words, "--json")
    assert found == code
    assert message in json.loads(out)["error"]["message"]
