"""Corpora as files: every layout gives its text, pieces join to the whole, damage is named and never silent."""

import gzip
import json
from pathlib import Path

import pytest

from menon.core.errors import ConfigError, DataError
from menon.problems import corpus_files
from menon.problems.corpus_files import CorpusFiles, Passage, row_text

ROWS = [
    ({"text": "a plain text"}, "a plain text"),
    ({"answer": "4", "question": "two and two?"}, "two and two?\n4"),
    (
        {"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "good day"}]},
        "hello\ngood day",
    ),
    ({"question": {"stem": "which?", "choices": [{"label": "A", "text": "red"}]}, "answerKey": "A"}, "which?\nred"),
    ({"title": "odd", "body": "field names", "number": 3}, "odd\nfield names"),
    ({"id": 7, "score": 0.5}, ""),
]


@pytest.mark.parametrize(("values", "expected"), ROWS)
def test_a_row_gives_its_text_in_reading_order(values: dict, expected: str) -> None:
    assert row_text(values) == expected


def test_every_kind_of_file_is_streamed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two\nthree", encoding="utf-8-sig")
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write('{"text": "four"}\nnot json\n\n{"n": 1}\n{"text": "five"}\n')
    (tmp_path / "c.json").write_text(json.dumps([{"text": "six"}]))
    with gzip.open(tmp_path / "d.txt.gz", "wt") as file:
        file.write("seven")
    (tmp_path / "left-out.bin").write_bytes(b"x")
    corpus = CorpusFiles([tmp_path])
    assert [p.text for p in corpus.passages()] == ["one two\n", "three", "four", "five", "six", "seven"]
    assert (corpus.documents, corpus.characters, corpus.bad) == (5, 29, 2)
    assert [(Path(path).name, line) for path, line, _ in corpus.bad_rows] == [("b.jsonl.gz", 2), ("b.jsonl.gz", 4)]
    assert len(list(corpus.passages())) == 6
    assert corpus.documents == 5


def test_pieces_of_a_long_text_join_and_end_between_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_files, "PIECE", 50)
    text = " ".join(f"word{i}" for i in range(200)) + "\n" + "x" * 300
    (tmp_path / "long.txt").write_text(text)
    passages = list(CorpusFiles([tmp_path / "long.txt"]).passages())
    assert "".join(p.text for p in passages) == text
    assert [p.new for p in passages] == [True] + [False] * (len(passages) - 1)
    assert all(p.text[-1].isspace() for p in passages if "x" not in p.text)
    assert Passage(text="") not in passages


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.txt.gz"
    broken.write_bytes(gzip.compress(b"text" * 1000)[:-20])
    with pytest.raises(DataError, match=r"broken\.txt\.gz.*damaged gzip"):
        list(CorpusFiles([broken]).passages())
    with pytest.raises(DataError, match="no corpus file at"):
        CorpusFiles([tmp_path / "absent.txt"]).files()
    with pytest.raises(ConfigError, match="unknown kind"):
        (tmp_path / "weights.bin").write_bytes(b"")
        CorpusFiles([tmp_path / "weights.bin"]).files()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file"):
        CorpusFiles([tmp_path / "empty"]).files()
    with pytest.raises(ConfigError, match="no corpus file given"):
        CorpusFiles([]).files()


def test_bytes_that_are_not_utf_8_do_not_stop_the_stream(tmp_path: Path) -> None:
    (tmp_path / "mixed.txt").write_bytes("caf\xe9 and tea".encode("latin-1"))
    assert [p.text for p in CorpusFiles([tmp_path / "mixed.txt"]).passages()][-1] == "tea"
