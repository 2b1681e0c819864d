"""Corpora of files: every kind is read by place as it is read in order, damage is named, changed files are refused."""

import gzip
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from menon.core.errors import ConfigError, DataError, Refused
from menon.models.load import load_tokenizer
from menon.tracing import corpus_index, corpus_shards
from menon.tracing.corpora import FileCorpus
from menon.tracing.corpus_index import FILE
from menon.tracing.values import TracedDocument

ROWS = [{"text": f"tom has {i} eggs. é 東 🦊", "source": f"s{i % 2}", "n": i} for i in range(25)]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("menon:base")


def lines(rows: list) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write(folder: Path, kind: str, rows: list) -> Path:
    path = folder / f"part.{kind}"
    if kind == "jsonl":
        path.write_text(lines(rows), encoding="utf-8")
    elif kind == "jsonl.gz":
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write(lines(rows))
    elif kind == "json":
        path.write_text(json.dumps(rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    return path


def everything(corpus: FileCorpus) -> list[TracedDocument]:
    return corpus.documents(0, len(corpus))


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "json", "parquet"])
def test_rows_are_found_again_in_any_order(tokenizer, tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind, ROWS)
    corpus = FileCorpus([path], tokenizer, 512)
    documents = everything(corpus)
    assert [d.text for d in documents] == [row["text"] for row in ROWS]
    assert [d.origin for d in documents] == [f"{path}:{i}" for i in range(1, 26)]
    assert documents[3].labels == {"source": "s1", "n": "3"}
    for place in (24, 0, 7, 6, 13, 13, 1):
        assert corpus.document(place) == documents[place]
    assert corpus.documents_at([20, 3]) == [documents[20], documents[3]]
    assert corpus.notes.documents == corpus.notes.sequences == 25
    corpus.close()


def test_three_shards_of_a_folder_stand_in_the_order_of_their_names(tokenizer, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(lines(ROWS[10:20]), encoding="utf-8")
    with gzip.open(tmp_path / "a.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(lines(ROWS[:10]))
    pq.write_table(pa.Table.from_pylist(ROWS[20:]), tmp_path / "c.parquet")
    (tmp_path / "empty.jsonl").write_text("\n\n")
    corpus = FileCorpus([tmp_path], tokenizer, 512)
    assert [d.text for d in everything(corpus)] == [row["text"] for row in ROWS]
    assert [corpus.document(i).labels["n"] for i in (22, 9, 10, 0)] == ["22", "9", "10", "0"]
    assert [s.document for s in corpus.sequences(8, 22)] == list(range(8, 22))
    first = FileCorpus([tmp_path], tokenizer, 512, limit=12)
    assert [d.text for d in everything(first)] == [row["text"] for row in ROWS[:12]]
    assert first.hash != corpus.hash


def test_bad_rows_are_counted_and_named(tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    good = '{"text": "fine"}'
    path.write_bytes(
        b"\xef\xbb\xbf"
        + f'{good}\r\n\n{{"text": "cut\n[1, 2]\n{{"n": 4}}\n{{"text": ""}}\n'.encode()
        + '{"text": "café"}\n'.encode("latin-1")
        + b'{"text": "half \\ud800 pair"}\n{"text": "last"}'
    )
    corpus = FileCorpus([path], tokenizer, 512)
    assert [d.text for d in everything(corpus)] == ["fine", "", "café", "half � pair", "last"]
    assert corpus.notes.bad_rows == 3
    assert corpus.notes.empty == 1
    assert [(Path(where).name, why[:10]) for where, why in corpus.bad] == [
        ("x.jsonl:3", "not JSON: "),
        ("x.jsonl:4", "a JSON lis"),
        ("x.jsonl:5", "no text in"),
    ]
    assert corpus.document(4).origin.endswith("x.jsonl:9")


def test_nothing_but_bad_rows_is_an_error(tokenizer, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"n": 1}\nno\n')
    with pytest.raises(DataError, match=r"no document in 1 files.*x\.jsonl:1: no text in it; .*x\.jsonl:2: not JSON"):
        FileCorpus([tmp_path / "x.jsonl"], tokenizer)
    (tmp_path / "y.jsonl").write_text("")
    with pytest.raises(DataError, match=r"y\.jsonl is empty"):
        FileCorpus([tmp_path / "y.jsonl"], tokenizer)
    (tmp_path / "z.jsonl").write_bytes("x".encode("utf-16"))
    with pytest.raises(DataError, match=r"z\.jsonl.*UTF-16"):
        FileCorpus([tmp_path / "z.jsonl"], tokenizer)
    (tmp_path / "w.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"w\.parquet.*not a Parquet file"):
        FileCorpus([tmp_path / "w.parquet"], tokenizer)
    (tmp_path / "v.jsonl.gz").write_bytes(gzip.compress(lines(ROWS).encode())[:-30])
    with pytest.raises(DataError, match=r"v\.jsonl\.gz.*damaged gzip"):
        FileCorpus([tmp_path / "v.jsonl.gz"], tokenizer)
    with pytest.raises(DataError, match="no corpus file at"):
        FileCorpus([tmp_path / "absent.jsonl"], tokenizer)
    with pytest.raises(ConfigError, match="no corpus file given"):
        FileCorpus([], tokenizer)


@pytest.mark.parametrize("packed", [False, True])
def test_text_is_one_document_per_paragraph(tokenizer, tmp_path: Path, packed: bool) -> None:
    content = "\ufeff\n\none\ntwo\r\n\r\n   \n  indented é\n\n\n\nlast without end".encode()
    path = tmp_path / ("x.md.gz" if packed else "x.md")
    path.write_bytes(gzip.compress(content) if packed else content)
    corpus = FileCorpus([path], tokenizer, 512)
    documents = everything(corpus)
    assert [d.text for d in documents] == ["one\ntwo", "  indented é", "last without end"]
    assert [int(d.origin.rpartition(":")[2]) for d in documents] == [3, 7, 11]
    assert [corpus.document(i) for i in (2, 1, 0)] == documents[::-1]


def test_a_paragraph_without_end_is_cut_between_characters(tokenizer, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(corpus_shards, "PIECE", 10)
    text = "東京🦊é" * 9
    (tmp_path / "x.txt").write_text(f"{text}\n\nshort", encoding="utf-8")
    corpus = FileCorpus([tmp_path / "x.txt"], tokenizer, 512)
    documents = everything(corpus)
    assert "".join(d.text for d in documents[:-1]) == text
    assert all(10 <= len(d.text.encode()) <= 13 for d in documents[:-2])
    assert documents[-1].text == "short"
    assert [corpus.document(i) for i in range(len(corpus))][::-1] == documents[::-1]


FIELDS = [
    ({"prompt": "q=", "completion": "#4", "kind": "a"}, "q=#4", "q=", {"kind": "a"}),
    ({"prompt": "q=", "text": "q=#4", "answer": 4}, "q=#4", "q=", {"answer": "4"}),
    ({"text": "t", "prompt": "other", "teaches": ["a", "b"]}, "t", "", {"prompt": "other", "teaches": "a,b"}),
    ({"question": "two?", "answer": "2", "level": 3}, "two?\n2", "", {"level": "3"}),
    ({"text": "t", "meta": {"pile_set_name": "Git", "deep": {}}}, "t", "", {"pile_set_name": "Git", "source": "Git"}),
    ({"text": "t", "meta": '{"url": "u"}', "long": "x" * 201}, "t", "", {"url": "u"}),
    ({"content": "c", "ok": True, "nan": float("nan"), "none": None}, "c", "", {"ok": "yes"}),
    ({"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}, "ua", "u", {}),
    ({"title": "odd", "body": "names", "score": 0.5}, "odd\nnames", "", {"score": "0.5"}),
]


@pytest.mark.parametrize(("row", "text", "prompt", "labels"), FIELDS)
def test_fields_become_text_prompt_and_labels(tokenizer, tmp_path: Path, row, text, prompt, labels) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    document = FileCorpus([tmp_path / "x.jsonl"], tokenizer).document(0)
    assert (document.text, document.prompt, dict(document.labels)) == (text, prompt, labels)


def test_labels_are_bounded_and_ids_are_kept(tokenizer, tmp_path: Path) -> None:
    rows = [{"text": "same", "id": 7, **{f"f{i}": i for i in range(40)}}, {"text": "same"}, {"text": "same"}]
    corpus = FileCorpus([write(tmp_path, "jsonl", rows)], tokenizer)
    assert corpus.document(0).id == "7"
    assert list(corpus.document(0).labels) == [f"f{i}" for i in range(24)]
    assert corpus.document(1).id == corpus.document(2).id != "7"
    assert corpus.notes.duplicated == 2


def test_columns_named_by_hand(tokenizer, tmp_path: Path) -> None:
    rows = [{"body": "b1", "text": "not this", "where": {"site": "w"}}, {"where": {"site": "w"}}]
    path = write(tmp_path, "jsonl", rows)
    corpus = FileCorpus([path], tokenizer, map={"text": "body", "source": "where.site"})
    assert [(d.text, d.labels["source"]) for d in everything(corpus)] == [("b1", "w")]
    assert corpus.bad == ((f"{path}:2", "no column 'body'"),)
    with pytest.raises(ConfigError, match=r"--map text=boddy: .*part\.jsonl:1 has no such column.*body, text, where"):
        FileCorpus([path], tokenizer, map={"text": "boddy"})


def test_the_index_is_kept_and_used_again(tokenizer, tmp_path: Path, monkeypatch) -> None:
    path = write(tmp_path, "jsonl.gz", ROWS)
    folder = tmp_path / "run"
    first = FileCorpus([path], tokenizer, 512, folder=folder)
    assert (folder / FILE).is_file()
    notes = first.notes

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the index was made again")

    monkeypatch.setattr(corpus_index, "build_index", fail)
    again = FileCorpus([path], tokenizer, 512, folder=folder)
    assert everything(again) == everything(first)
    assert again.hash == first.hash
    assert again.notes == notes
    os.utime(path, ns=(1, 1))  # another time and the same content: a copy
    assert FileCorpus([path], tokenizer, 512, folder=folder).hash == first.hash
    other = tmp_path / "moved"
    other.mkdir()
    moved = path.rename(other / path.name)
    assert FileCorpus([moved], tokenizer, 512, folder=folder).document(2).origin == f"{moved}:3"


def test_changed_files_are_refused(tokenizer, tmp_path: Path) -> None:
    path, folder = write(tmp_path, "jsonl", ROWS), tmp_path / "run"
    stamp = path.stat().st_mtime_ns
    FileCorpus([path], tokenizer, 512, folder=folder)
    content = path.read_bytes()
    path.write_bytes(content + b'{"text": "one more"}\n')
    with pytest.raises(Refused, match=r"part\.jsonl' has changed since it was indexed: it had [\d,]+ bytes and has"):
        FileCorpus([path], tokenizer, 512, folder=folder)
    path.write_bytes(content.replace(b"tom has 3", b"tim has 3"))
    os.utime(path, ns=(stamp, stamp))
    with pytest.raises(Refused, match="its content is another"):
        FileCorpus([path], tokenizer, 512, folder=folder)
    path.write_bytes(content)
    with pytest.raises(Refused, match=r"was made with .*'limit': 0.*not .*'limit': 5.*--fresh"):
        FileCorpus([path], tokenizer, 512, folder=folder, limit=5)
    with pytest.raises(Refused, match="is of 1 files, and 2 are given"):
        FileCorpus([path, path], tokenizer, 512, folder=folder)
    (tmp_path / "other.jsonl").write_bytes(content)
    with pytest.raises(Refused, match=r"is of .*part\.jsonl'"):
        FileCorpus([tmp_path / "other.jsonl"], tokenizer, 512, folder=folder)
    (folder / FILE).write_bytes(b"damaged")
    with pytest.raises(DataError, match="cannot be read"):
        FileCorpus([path], tokenizer, 512, folder=folder)


def test_a_change_far_behind_the_beginning_is_seen(tokenizer, tmp_path: Path) -> None:
    path, folder = tmp_path / "big.jsonl", tmp_path / "run"
    path.write_text(lines([{"text": "x" * 1000} for _ in range(100)]))
    FileCorpus([path], tokenizer, 512, folder=folder)
    content = bytearray(path.read_bytes())
    content[-20] = ord("y")
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    with pytest.raises(Refused, match="its content is another"):
        FileCorpus([path], tokenizer, 512, folder=folder)


def test_a_hub_data_set_is_written_once(tokenizer, tmp_path: Path, monkeypatch) -> None:
    asked = []

    def load_dataset(name, config, split=None):
        asked.append((name, config, split))
        return [{"text": "from the hub", "n": 1}, {"text": "and more", "n": 2}]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.chdir(tmp_path)
    corpus = FileCorpus(["owner/name:main"], tokenizer, 512, split="train", folder=tmp_path / "run")
    assert [d.text for d in everything(corpus)] == ["from the hub", "and more"]
    again = FileCorpus(["owner/name:main"], tokenizer, 512, split="train", folder=tmp_path / "run")
    assert again.hash == corpus.hash
    assert asked == [("owner/name", "main", "train")]
    assert FileCorpus(["owner/name:main"], tokenizer, 512, split="train").document(1).text == "and more"
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match="package datasets"):
        FileCorpus(["owner/other"], tokenizer)


def test_windows_of_a_long_document_belong_to_it(tokenizer, tmp_path: Path) -> None:
    rows = [{"text": "a b c"}, {"text": " ".join(f"tom has {i}" for i in range(50))}, {"text": "d e"}]
    corpus = FileCorpus([write(tmp_path, "jsonl", rows)], tokenizer, 16)
    found = corpus.sequences(0, 3)
    assert [s.document for s in found] == [0, *[1] * (len(found) - 2), 2]
    predicted = sum(len(s.ids) - max(1, s.prompt) for s in found if s.document == 1)
    assert predicted == len(tokenizer(rows[1]["text"]).input_ids)  # all but the first, and the end token
    assert corpus.notes.split_long == 1
