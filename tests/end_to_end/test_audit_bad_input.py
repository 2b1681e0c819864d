"""Bad input to `menon audit`: the exit code, a message that names the file, the row or the template, and nothing lost.

Commands run inside this process, since each would else import everything anew.
"""

import gzip
import json
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from menon.cli.app import run_command

RECORDS = runpy.run_path(str(Path(__file__).parents[1] / "unit" / "problems" / "template_records.py"))
record, small = RECORDS["record"], RECORDS["small"]
ORACLE = "scripted:oracle?p=0.95"
NO_PROBES = ("--probes", "none")


class Told:
    """The exit code of an audit, what it said, and its report if it wrote one."""

    def __init__(self, capsys: pytest.CaptureFixture[str], out: Path, *arguments: str | Path):
        capsys.readouterr()
        self.code = run_command(["audit", *map(str, arguments), "--out", str(out)])
        self.out, self.err = capsys.readouterr()
        file = out / "report.json"
        self.report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        self.page = (out / "report.html").read_text(encoding="utf-8") if file.is_file() else ""
        assert "Traceback" not in self.err

    def says(self, code: int, *parts: str) -> None:
        assert self.code == code, self.err
        for part in parts:
            assert part in self.err, self.err


Audit = Callable[..., Told]


@pytest.fixture
def audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Audit:
    return lambda *arguments: Told(capsys, tmp_path / "run", *arguments)


def lines(path: Path, rows: Sequence[Any]) -> Path:
    """Write rows as JSON lines; texts and bytes are lines as they are."""
    raw = [
        row if isinstance(row, bytes) else row.encode() if isinstance(row, str) else json.dumps(row).encode()
        for row in rows
    ]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


# Templates


def test_malformed_and_unsatisfiable_templates_are_named_and_the_others_used(audit: Audit, tmp_path: Path):
    unsolvable = small("- $x = range(1, 9)", "- x > 50")
    unclosed = {
        **record(number=8),
        "question_annotated": "What is {x, 1?\n\n#init:\n- $x = range(1, 9)\n\n#answer: x\n",
    }
    rows = [record(number=1), {**unsolvable, "id_shuffled": 2}, unclosed, "not json", {"question": "no template"}]
    file = lines(tmp_path / "mine.jsonl", rows)
    told = audit(ORACLE, *NO_PROBES, "--templates", file)
    told.says(0, f"{file}:2", f"{file}:3", f"{file}:4", f"{file}:5", "'2'", "'8'")
    assert len(told.report["instrument"]["per_template"]) == 1
    assert told.report["verdict"]["label"] == "cannot tell yet"
    notes = " ".join(told.report["notes"])
    assert all(f"mine.jsonl:{line}" in notes for line in (2, 3, 4, 5)), notes
    assert "mine.jsonl:2" in told.page


def test_no_template_of_a_file_can_be_used(audit: Audit, tmp_path: Path):
    file = lines(tmp_path / "mine.jsonl", [small("- $x = range(1, 9)", "- x > 50"), "not json"])
    told = audit(ORACLE, *NO_PROBES, "--templates", file)
    told.says(1, str(file), "holds no usable template", f"menon problems templates check {file}")
    assert not told.report


def test_a_template_with_one_solution_where_five_are_asked(audit: Audit, tmp_path: Path):
    rows = [record(number=1), {**small("- $x = range(1, 9)", "- x == 2"), "id_shuffled": 2, "question": "What is 2?"}]
    told = audit(ORACLE, *NO_PROBES, "--templates", lines(tmp_path / "mine.jsonl", rows))
    assert told.code == 0, told.err
    asked = {row["template"]: row["n"] for row in told.report["instrument"]["per_template"]}
    assert asked == {"mine/1": 5}
    assert "has 0 solutions" in told.err
    assert "mine.jsonl:2" in told.err
    assert "solutions besides the original's where 5 re-instantiations are asked for" in told.err
    assert "mine.jsonl:2" in told.page


@pytest.mark.parametrize(("name", "content"), [("empty.jsonl", b""), ("blank.jsonl", b"\n\n\n")])
def test_an_empty_file_of_templates(audit: Audit, tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    told = audit(ORACLE, *NO_PROBES, "--templates", tmp_path / name)
    told.says(1, name, "no usable template")


def test_a_folder_where_a_file_of_templates_is_wanted(audit: Audit, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    told = audit(ORACLE, *NO_PROBES, "--templates", tmp_path / "folder")
    assert told.code in (1, 2)
    assert "folder" in told.err


# Responses on file


def rows_of(count: int = 60, **more: Any) -> list[dict[str, Any]]:
    """Return answers to sums in two worlds, 95 % and 20 % right."""
    rows = []
    for world, share in (("base10", 0.95), ("base9", 0.2)):
        for i in range(count):
            said = str(200 + i) if i < share * count else str(i)
            rows.append(
                {
                    "task": "arithmetic-3digit",
                    "world": world,
                    "is_default": world == "base10",
                    "model": "m",
                    "cot": True,
                    "id": f"{world}/{i}",
                    "item": f"{i}",
                    "prompt": f"{world}: 200+{i}?",
                    "response": f"So \\boxed{{{said}}}.",
                    "gold": str(200 + i),
                    **more,
                }
            )
    return rows


def accuracy(told: Told, world: str) -> float:
    (cell,) = [cell for cell in told.report["cells"] if cell["world"] == world and cell["model"] == "m"]
    return cell["accuracy"]


def test_a_recording_of_mixed_encodings(audit: Audit, tmp_path: Path):
    rows: list[Any] = rows_of()
    latin = json.dumps({**rows[0], "response": "Café: \\boxed{200}"}, ensure_ascii=False).encode("latin-1")
    file = lines(tmp_path / "mixed.jsonl", [latin, *rows[1:], b"\xff\xfe\x00garbage\x00"])
    told = audit(f"recorded:{file}")
    told.says(0, "mixed.jsonl:121")
    assert accuracy(told, "base10") == pytest.approx(0.95)
    assert "Latin-1" in json.dumps(told.report["input"])
    assert told.report["input"]["skipped_count"] == 1


def test_rows_without_gold_without_response_and_with_odd_values(audit: Audit, tmp_path: Path):
    rows: list[Any] = rows_of()
    without = {key: value for key, value in rows[0].items() if key != "gold"}
    odd = [
        without,
        {**rows[1], "response": None},
        {**rows[2], "gold": None},
        {**rows[3], "gold": float("nan")},
        {**rows[4], "response": 17},
        {**rows[5], "response": ["a", "b"]},
        {**rows[6], "world": None},
        {**rows[7], "model": {"name": "m"}},
        [1, 2],
        "null",
    ]
    file = lines(tmp_path / "odd.jsonl", [*rows, *odd])
    told = audit(f"recorded:{file}")
    assert told.code == 0, told.err
    assert accuracy(told, "base10") >= 0.9
    skipped = told.report["input"]["skipped"]
    assert told.report["input"]["skipped_count"] == len(skipped)
    for line in (121, 123, 129, 130):
        assert any(f"odd.jsonl:{line}:" in text or f"odd.jsonl:{line} " in text for text in skipped), (line, skipped)
    json.dumps(told.report, allow_nan=False)


def test_the_same_row_twice_counts_once_or_is_told(audit: Audit, tmp_path: Path):
    rows: list[Any] = rows_of()
    twice = '{"task": "arithmetic-3digit", "gold": "1", ' + json.dumps(rows[0])[1:]
    told = audit(f"recorded:{lines(tmp_path / 'twice.jsonl', [*rows, rows[0], twice])}")
    assert told.code == 0, told.err
    (cell,) = [cell for cell in told.report["cells"] if cell["world"] == "base10"]
    assert cell["n"] + told.report["input"]["skipped_count"] >= 60


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("So \\boxed{２００}.", True),
        ("The answer is ２００。", True),
        ("So \\boxed{2ОО}.", False),  # Cyrillic O is no zero
        ("So \\boxed{" + "9" * 5000 + "}.", False),
        ("x" * 100_000 + " \\boxed{200}.", True),
        ("1 " * 50_000, False),
        ("", False),
        ("\u202e\\boxed{200}\u0000", True),
    ],
)
def test_answers_in_other_digits_look_alikes_and_very_long_ones(
    audit: Audit, tmp_path: Path, response: str, right: bool
):
    rows = [{**row, "response": response, "gold": "200"} if row["world"] == "base10" else row for row in rows_of(20)]
    told = audit(f"recorded:{lines(tmp_path / 'odd.jsonl', rows)}")
    assert told.code == 0, told.err
    assert accuracy(told, "base10") == (1.0 if right else 0.0)
    assert len(told.page) < 2_000_000


def test_letters_that_only_look_latin_are_no_choices(audit: Audit, tmp_path: Path):
    rows = [
        {
            "question": f"Which is {i}?",
            "choices": {"A": f"{i}", "B": "none"},
            "answer": "A",
            "model": "m",
            "response": f"The answer is {letter}",
        }
        for i, letter in enumerate(["A", "А", "Ａ"] * 10)  # Latin, Cyrillic, full width
    ]
    told = audit(f"recorded:{lines(tmp_path / 'choices.jsonl', rows)}")
    assert told.code == 0, told.err
    (cell,) = told.report["cells"]
    assert cell["accuracy"] == pytest.approx(1 / 3)
    assert cell["unparsed"] == pytest.approx(2 / 3), "a letter of another alphabet is unread, neither right nor wrong"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.jsonl", b"", "empty.jsonl"),
        ("broken.jsonl.gz", gzip.compress(b"{}", mtime=0)[:12], "damaged gzip"),
        ("utf16.jsonl", '{"a": 1}'.encode("utf-16"), "UTF-16"),
        ("numbers.json", b"17", "numbers.json"),
        ("nothing.jsonl", b'{"name": "x", "height": 3}\n', "nothing.jsonl"),
        ("text.jsonl", b"once upon a time\n", "text.jsonl"),
    ],
)
def test_a_file_without_a_single_response(audit: Audit, tmp_path: Path, name: str, content: bytes, said: str):
    (tmp_path / name).write_bytes(content)
    told = audit(f"recorded:{tmp_path / name}")
    told.says(1, said, name)
    assert not told.report
    again = audit(f"recorded:{lines(tmp_path / 'good.jsonl', rows_of())}")
    assert again.code == 0, again.err


def test_a_folder_without_data(audit: Audit, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    audit(f"recorded:{tmp_path / 'folder'}").says(2, "folder", "wants a JSONL")


# Questions of the user's own


def test_data_of_mixed_encodings_and_rows_without_gold(audit: Audit, tmp_path: Path):
    rows: list[Any] = [{"question": f"What is {i} + 1?", "answer": f"{i + 1}"} for i in range(30)]
    rows[3] = {"question": "What is 3 + 1?"}
    rows[7] = b'{"question": "caf\xe9: what is 7 + 1?", "answer": "8"}'
    rows[9] = {"question": None, "answer": "10"}
    rows[11] = {"question": "What is 11 + 1?", "answer": float("nan")}
    told = audit(
        ORACLE,
        "--probes",
        "memorisation",
        "--set",
        "instrument.families=[]",
        "--data",
        lines(tmp_path / "d.jsonl", rows),
    )
    told.says(0, "27 problems", "3 rows skipped", "line 4")
    assert "Latin-1" in told.err


def test_a_layout_that_cannot_be_detected(audit: Audit, tmp_path: Path):
    file = lines(tmp_path / "strange.jsonl", [{"foo": 1, "bar": "x"}] * 5)
    told = audit(ORACLE, *NO_PROBES, "--data", file)
    told.says(1, "strange.jsonl", "foo", "question=COLUMN")
    assert "asking" not in told.err
    assert not told.report


@pytest.mark.parametrize(
    ("name", "said"), [("none.jsonl", "none.jsonl"), ("empty.jsonl", "empty.jsonl"), ("folder", "folder")]
)
def test_data_that_is_not_there(audit: Audit, tmp_path: Path, name: str, said: str):
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder").mkdir()
    told = audit(ORACLE, *NO_PROBES, "--data", tmp_path / name)
    told.says(1, said)
    assert not told.report


def test_a_map_to_a_column_that_is_not_there(audit: Audit, tmp_path: Path):
    file = lines(tmp_path / "d.jsonl", [{"q": "1+1?", "a": "2"}])
    told = audit(ORACLE, *NO_PROBES, "--data", file, "--map", "question=frage", "--map", "answer=a")
    told.says(2, "frage", "d.jsonl")


@pytest.mark.parametrize("probe", ["frequency", "memorisation"])
def test_a_corpus_that_is_not_there(audit: Audit, tmp_path: Path, probe: str):
    rows = [{"question": f"What is {i} + 1?", "answer": f"{i + 1}"} for i in range(12)]
    data = lines(tmp_path / "d.jsonl", rows)
    arguments = (ORACLE, "--probes", probe, "--per-cell", "4", "--data", data, "--set", "instrument.families=[]")
    told = audit(*arguments, "--corpus", tmp_path / "corpus.txt")
    told.says(2, "corpus.txt")
    assert not told.report


# Sizes


def test_a_budget_for_one_question(audit: Audit):
    told = audit(ORACLE, "--probes", "horizon", "--per-cell", "4", "--budget-questions", "1")
    assert told.code == 0, told.err
    assert told.report["verdict"]["label"] == "cannot tell yet"
    assert told.report["cost"]["questions"] == 1
    (probe,) = told.report["probes"]
    assert probe["status"] == "skipped"
    assert "budget" in probe["reason"]
    assert "budget" in " ".join(told.report["notes"])


def test_a_budget_that_ends_inside_a_probe_is_told(audit: Audit, tmp_path: Path):
    told = audit(
        ORACLE, "--probes", "horizon", "--per-cell", "4", "--set", "instrument.families=[]", "--budget-questions", "7"
    )
    assert told.code == 0, told.err
    assert told.report["cost"]["questions"] == 7
    assert any("budget" in note and "horizon" in note for note in told.report["notes"])


def test_the_smallest_cells(audit: Audit, tmp_path: Path):
    told = audit(ORACLE, "--probes", "worlds,analogies,minds,smoke,horizon", "--per-cell", "4")
    assert told.code == 0, told.err
    assert all(probe["status"] == "done" for probe in told.report["probes"])
    assert told.report["verdict"]["label"] in ("reasons", "cannot tell yet")
    json.dumps(told.report, allow_nan=False)


def test_too_small_cells_are_refused(audit: Audit, tmp_path: Path):
    audit(ORACLE, "--per-cell", "3").says(2, "--per-cell", "4")


def test_another_recipe_does_not_overwrite_a_run(audit: Audit, tmp_path: Path):
    assert audit(ORACLE, *NO_PROBES, "--set", "instrument.originals=5").code == 0
    told = audit(ORACLE, *NO_PROBES, "--set", "instrument.originals=6")
    told.says(1, "recipe", "--fresh")
    assert told.report
