"""Data sets: layouts are detected and said, broken rows are listed, nothing is guessed."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from menon.core.errors import ConfigError, DataError
from menon.problems.datasets import load_problems

Write = Callable[..., Path]
GOOD = {"question": "1+1?", "answer": "2"}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*rows: Any, name: str = "data.jsonl") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n", encoding="utf-8")
        return path

    return write


CHOICE_TEXTS = ["bank", "library"]


@pytest.mark.parametrize(
    ("row", "layout", "grader", "answer", "rationale"),
    [
        ({"question": "q", "answer": "2", "rationale": "1+1"}, "question/answer", "number", "2", "1+1"),
        ({"question": "q", "answer": 2}, "question/answer", "number", "2", None),
        ({"question": "q", "answer": 0.1}, "question/answer", "number", "0.1", None),
        ({"question": "q", "answer": "Paris"}, "question/answer", "exact", "Paris", None),
        ({"question": "q", "answer": "1+1 is <<1+1=2>>2\n#### 1,002"}, "gsm8k", "number", "1002", "1+1 is <<1+1=2>>2"),
        ({"problem": "q", "solution": r"so \boxed{12}"}, "problem/solution", "number", "12", r"so \boxed{12}"),
        ({"problem": "q", "solution": r"so \boxed{x+1}"}, "problem/solution", "exact", "x+1", r"so \boxed{x+1}"),
        ({"problem": "q", "solution": "by hand", "answer": "7"}, "problem/solution", "number", "7", "by hand"),
        ({"prompt": "q", "completion": "The answer is 7."}, "prompt/completion", "number", "7", "The answer is 7."),
        (
            {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "so\n#### 7"}]},
            *("messages", "number", "7", "so"),
        ),
        (
            {
                "prompt": [{"role": "user", "content": "q"}],
                "completion": [{"role": "assistant", "content": "so\n#### 7"}],
            },
            *("prompt/completion", "number", "7", "so"),
        ),
        ({"question": "q", "choices": {"A": "bank", "B": "library"}, "answer": "B"}, "choices", "choice", "B", None),
        ({"question": "q", "choices": CHOICE_TEXTS, "answer": 1}, "choices", "choice", "B", None),
        ({"question": "q", "choices": CHOICE_TEXTS, "answer": "library"}, "choices", "choice", "B", None),
        (
            {"question": "q", "choices": {"label": ["1", "2"], "text": CHOICE_TEXTS}, "answerKey": "2"},
            *("choices", "choice", "B", None),
        ),
        (
            {
                "question": {
                    "stem": "q",
                    "choices": [{"label": "A", "text": "bank"}, {"label": "B", "text": "library"}],
                },
                "answerKey": "B",
            },
            *("choices", "choice", "B", None),
        ),
    ],
)
def test_layouts(write: Write, row: dict[str, Any], layout: str, grader: str, answer: str, rationale: str | None):
    dataset = load_problems(write(row))
    problem = dataset.problems[0]
    assert (dataset.layout, dataset.grader) == (layout, grader)
    assert (problem.question, problem.answer, problem.rationale) == ("q", answer, rationale)
    assert problem.grader == grader
    assert dataset.summary() == f"1 problems, layout {layout}, grader {grader}"


def test_symbolic_instances_keep_canary_and_template(write: Write):
    row = {"id": 3, "instance": 0, "question": "q", "answer": "#### 4", "original_id": 473, "canary": "do not train"}
    problem = load_problems(write(row)).problems[0]
    assert problem.template == "gsm_symbolic/473"
    assert problem.meta["canary"] == "do not train"


def test_broken_rows_are_listed_and_skipped(write: Write):
    path = write(
        GOOD, "{broken", "[1, 2]", {"question": "", "answer": "2"}, {"question": "q"}, "",
        {"question": "q", "answer": None}, {"question": "q", "answer": True}, {"question": "q", "answer": "many"}, GOOD,
    )  # fmt: skip
    dataset = load_problems(path)
    assert len(dataset.problems) == 2
    assert [row.line for row in dataset.skipped] == [2, 3, 4, 5, 7, 8, 9]
    reasons = [row.reason for row in dataset.skipped]
    assert reasons[0].startswith("not JSON")
    assert "list" in reasons[1]
    assert "'many' is not a number" in reasons[-1]
    assert "7 rows skipped" in dataset.summary()


def test_deep_and_huge_json_is_a_broken_line(write: Write):
    dataset = load_problems(write(GOOD, "[" * 100_000, '{"question": "q", "answer": ' + "9" * 5000 + "}"))
    assert len(dataset.problems) == 1
    assert len(dataset.skipped) == 2


def test_encodings(write: Write, tmp_path: Path):
    path = tmp_path / "mixed.jsonl"
    lines = [
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
        '{"question": "café?", "answer": "3"}'.encode("latin-1"),
        '{"question": "naïve?", "answer": "4"}'.encode(),
    ]
    path.write_bytes(b"\r\n".join(lines))
    dataset = load_problems(path)
    assert [p.question for p in dataset.problems] == ["1+1?", "café?", "naïve?"]
    assert dataset.notes == ("1 lines not UTF-8, read as Latin-1",)
    path.write_text(json.dumps(GOOD), encoding="utf-16")
    with pytest.raises(DataError, match="UTF-16"):
        load_problems(path)


def test_gzip_is_recognised_by_content(tmp_path: Path):
    packed = gzip.compress((json.dumps(GOOD) + "\n").encode())
    for name in ("data.jsonl.gz", "data.jsonl"):
        (tmp_path / name).write_bytes(packed)
        assert len(load_problems(tmp_path / name).problems) == 1
    for damaged in (packed[:-10], packed[:12] + b"\x00\x01\x02" + packed[15:]):
        (tmp_path / "data.jsonl.gz").write_bytes(damaged)
        with pytest.raises(DataError, match="damaged"):
            load_problems(tmp_path / "data.jsonl.gz")


def test_json_files(write: Write):
    assert len(load_problems(write(json.dumps([GOOD, GOOD]), name="a.json")).problems) == 2
    assert len(load_problems(write(json.dumps({"version": 1, "data": [GOOD]}), name="b.json")).problems) == 1
    assert len(load_problems(write(GOOD, GOOD, name="c.json")).problems) == 2
    assert len(load_problems(write(GOOD, name="d.json")).problems) == 1
    for content in ("7", "{"):
        with pytest.raises(DataError, match="JSON"):
            load_problems(write(content, name="e.json"))


@pytest.mark.parametrize("rows", [(), ("", " "), ("{broken",), ({"question": "", "answer": "1"},), ({"a": 1},)])
def test_nothing_usable(write: Write, rows: tuple[Any, ...]):
    with pytest.raises(DataError, match=r"is empty|can be used"):
        load_problems(write(*rows))


def test_map_limit_and_split(write: Write):
    rows = [{"text": f"{n}?", "target": str(n), "split": "a" if n % 2 else "b"} for n in range(10)]
    path = write(*rows)
    dataset = load_problems(path, map={"question": "text", "answer": "target"}, limit=2, split="a")
    assert [p.answer for p in dataset.problems] == ["1", "3"]
    assert [p.index for p in dataset.problems] == [0, 1]
    with pytest.raises(ConfigError, match=r"'qestion'.*allowed"):
        load_problems(path, map={"qestion": "text"})
    with pytest.raises(ConfigError, match=r"no column 'body'.*text, target"):
        load_problems(path, map={"question": "body", "answer": "target"})
    with pytest.raises(DataError, match="question=COLUMN"):
        load_problems(path)
    with pytest.raises(ConfigError, match="limit"):
        load_problems(path, limit=0)


def test_names_and_folders(write: Write):
    path = write({**GOOD, "id": "row-0"}, name="sums/train.jsonl")
    problem = load_problems(path).problems[0]
    assert (problem.family, problem.split, problem.template) == ("sums", "train", "sums/row-0")
    assert problem.meta["id"] == "row-0"
    assert load_problems(path.parent).problems[0].family == "sums"
    write(GOOD, name="sums/test.jsonl")
    assert load_problems(path.parent, split="test").problems[0].split == "test"
    with pytest.raises(DataError, match=r"test\.jsonl, train\.jsonl"):
        load_problems(path.parent)


def test_grader_can_be_named(write: Write):
    path = write({"question": "q", "answer": "x+1"}, GOOD)
    assert load_problems(path, grader="math").problems[0].grader == "math"
    assert len(load_problems(path, grader="number?extract=hashes").skipped) == 1


@pytest.mark.parametrize("source", ["missing.jsonl", "folder/missing.jsonl.gz", "a/b/c", "x"])
def test_no_such_source(source: str):
    with pytest.raises(DataError, match="allowed"):
        load_problems(source)


def test_parquet_without_its_package(write: Write, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pyarrow.*menon\[data\]"):
        load_problems(write("x", name="data.parquet"))


def test_parquet(tmp_path: Path, write: Write):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist([GOOD, {**GOOD, "answer": None}]), tmp_path / "data.parquet")
    dataset = load_problems(tmp_path / "data.parquet")
    assert len(dataset.problems) == 1
    assert dataset.skipped[0].line == 2
    with pytest.raises(DataError, match="not a Parquet file"):
        load_problems(write("not parquet", name="bad.parquet"))


def test_hub_without_its_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"package datasets.*menon\[data\]"):
        load_problems("openai/gsm8k:main")


def test_hub(monkeypatch: pytest.MonkeyPatch):
    """The package is replaced by a stand-in with its calling convention; the network is never touched."""
    asked: list[tuple[str, str | None, str | None]] = []

    def load_dataset(name: str, config: str | None, *, split: str | None) -> Any:
        asked.append((name, config, split))
        if name.endswith("missing"):
            raise ConnectionError("Couldn't reach the Hugging Face Hub")
        splits = {"train": [GOOD], "test": [GOOD, GOOD]}
        return splits if split is None else splits[split]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    dataset = load_problems("openai/gsm8k:main", split="test")
    assert asked == [("openai/gsm8k", "main", "test")]
    assert len(dataset.problems) == 2
    assert (dataset.problems[0].family, dataset.problems[0].split) == ("gsm8k", "test")
    with pytest.raises(ConfigError, match="splits train, test"):
        load_problems("openai/gsm8k:main")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="HF_HUB_OFFLINE is set"):
        load_problems("someone/missing", split="test")


@pytest.mark.parametrize(
    ("name", "count", "layout", "grader"),
    [
        ("gsm8k/train.jsonl.gz", 7473, "question/answer", "number"),
        ("gsm8k/test.jsonl.gz", 1319, "question/answer", "number"),
        ("commonsenseqa/dev.jsonl.gz", 1221, "choices", "choice"),
        ("exemplars/lm_eval_gsm8k_cot_8shot.jsonl", 8, "question/answer", "number"),
        ("gsm_symbolic/p2_sample.instances.jsonl.gz", 250, "gsm_symbolic", "number"),
        ("gsm_symbolic/symbolic.templates.jsonl", 100, "gsm8k", "number"),
    ],
)
def test_published_files(shared_data: Path, name: str, count: int, layout: str, grader: str):
    dataset = load_problems(shared_data / name)
    assert (len(dataset.problems), dataset.layout, dataset.grader) == (count, layout, grader)
    assert dataset.skipped == ()


def test_published_file_with_unusable_rows(shared_data: Path):
    dataset = load_problems(shared_data / "exemplars" / "star_gsm.jsonl")
    assert (len(dataset.problems), len(dataset.skipped)) == (12, 7)
