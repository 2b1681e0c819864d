"""Texts to learn from: every layout in its right words, nothing lost in silence, held-out texts never learnt."""

import gzip
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.core.errors import ConfigError, DataError
from menon.problems import corpus_files
from menon.problems.datasets import load_problems
from menon.problems.prompts import STYLES
from menon.teaching.quiet import data as quiet_data
from menon.teaching.quiet.data import Documents, read_documents, split_held_out
from menon.teaching.quiet.document import Document

CHOICE = {
    "question": "Which is red?",
    "choices": {"label": ["A", "B"], "text": ["a rose", "the sky"]},
    "answerKey": "A",
}


def write(path: Path, rows: Iterable[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def texts(documents: Documents) -> list[str]:
    return [document.text for document in documents]


def learnt(document: Document) -> list[str]:
    return [document.text[start:stop] for start, stop in document.answers]


@pytest.mark.parametrize(
    ("row", "layout", "text", "answers"),
    [
        ({"id": 3, "text": "  a text\n", "question": "no?"}, "text", "  a text\n", []),
        ({"content": "x = 1", "lang": "python"}, "content", "x = 1", []),
        ({"question": "2+2?", "answer": "4"}, "question/answer", "2+2?\n4", ["4"]),
        ({"question": "2+2?", "answer": 4.0}, "question/answer", "2+2?\n4", ["4"]),
        (
            {"answer": "4", "rationale": "two twos", "question": "2+2?"},
            "question/answer",
            "2+2?\ntwo twos\n4",
            ["two twos\n4"],
        ),
        ({"problem": "2+2?", "solution": "is 4"}, "question/answer", "2+2?\nis 4", ["is 4"]),
        (
            {"instruction": "Add.", "input": "2 2", "output": "4"},
            "question/answer",
            "Add.\n2 2\n4",
            ["4"],
        ),
        (
            {
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": "hi"},
                    {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
                    {"role": "user", "content": None},
                    {"role": "assistant", "content": "bye"},
                ]
            },
            "messages",
            "be brief\nhi\nyes\nbye",
            ["yes", "bye"],
        ),
        (
            CHOICE,
            "choices",
            "Q: Which is red?\nAnswer Choices:\n(a) a rose\n(b) the sky\nA: (a).",
            [" (a)."],
        ),
    ],
)
def test_a_row_is_laid_out(tmp_path: Path, row: dict, layout: str, text: str, answers: list[str]) -> None:
    documents = read_documents(write(tmp_path / "rows.jsonl", [row]))
    (document,) = documents
    assert (documents.layout, document.text, learnt(document)) == (layout, text, answers)
    assert documents.answered == bool(answers)
    assert document.place == "rows.jsonl line 1"


@pytest.mark.parametrize("style", ["gsm8k", "plain", "menon"])
def test_a_style_puts_questions_as_it_puts_problems(tmp_path: Path, style: str) -> None:
    rows = [{"question": "2+2?", "answer": "It is four.\n#### 4"}, {"question": "1+2?", "answer": "3 it is.\n#### 3"}]
    source = write(tmp_path / "gsm.jsonl", rows)
    put, expected = STYLES.get(style), []
    for problem in load_problems(source).problems:
        expected.append(put.prompt(problem) + put.completion(problem, problem.rationale or "", problem.answer))
    documents = list(read_documents(source, style=style))
    assert [document.text for document in documents] == expected
    assert all(
        document.text.endswith(learnt(document)[0]) and "2?" not in learnt(document)[0] for document in documents
    )


def test_a_map_names_columns_and_decides_what_a_row_is(tmp_path: Path) -> None:
    row = {"text": "notes", "query": "2+2?", "reply": "4", "body": "a body"}
    source = write(tmp_path / "rows.jsonl", [row])
    assert texts(read_documents(source)) == ["notes"]
    assert texts(read_documents(source, columns={"text": "body"})) == ["a body"]
    assert texts(read_documents(source, columns={"question": "query", "answer": "reply"})) == ["2+2?\n4"]
    with pytest.raises(ConfigError, match=r"no column 'boddy'; its columns are: text, query, reply, body"):
        read_documents(source, columns={"text": "boddy"})
    with pytest.raises(ConfigError, match=r"map names the field 'txt'; allowed: text"):
        read_documents(source, columns={"txt": "body"})


def test_every_kind_of_file_gives_the_same_texts(tmp_path: Path) -> None:
    rows = [{"text": "one"}, {"text": "two words"}]
    write(tmp_path / "a.jsonl", rows)
    (tmp_path / "b.json").write_text(json.dumps({"data": rows}))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    (tmp_path / "d.txt").write_text("one\n\n\ntwo words\n")
    (tmp_path / "e.txt").write_text("one\n\ntwo words")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = sys.modules["pyarrow"].Table.from_pylist(rows)
    parquet.write_table(table, tmp_path / "f.parquet")
    for name in ("a.jsonl", "b.json", "c.jsonl.gz", "d.txt", "e.txt", "f.parquet"):
        assert texts(read_documents(str(tmp_path / name))) == ["one", "two words"], name
    assert texts(read_documents(str(tmp_path))) == ["one", "two words"] * 6
    assert texts(read_documents(str(tmp_path), limit=3)) == ["one", "two words", "one"]
    assert texts(read_documents(str(tmp_path), split="c")) == ["one", "two words"]
    with pytest.raises(DataError, match=r"split 'test' names no file of folder .*a\.jsonl, b\.json"):
        read_documents(str(tmp_path), split="test")


def test_a_hub_data_set_is_read_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, config: str | None, split: str | None) -> list[dict[str, str]]:
        asked.append((name, config, split))
        return [{"text": "from the hub", "url": "u"}, {"text": "", "url": "v"}]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    documents = read_documents("open-web-math/open-web-math:small", split="train")
    assert texts(documents) == ["from the hub"]
    assert set(asked) == {("open-web-math/open-web-math", "small", "train")}
    assert documents.notes() == ("1 row left out: 1 no text in it (first: open-web-math/open-web-math:small line 2)",)


def test_plain_text_is_cut_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_files, "PIECE", 40)
    monkeypatch.setattr(quiet_data, "PIECE", 40)
    paragraphs = [f"part {i} has\n  two lines" for i in range(9)] + ["a long one of " + "many words " * 12]
    whole = "\n\n".join(paragraphs[:5]) + "\n \n\n\n" + "\n\n".join(paragraphs[5:]) + "\n"
    (tmp_path / "prose.txt").write_text(whole)
    source = str(tmp_path / "prose.txt")
    read = texts(read_documents(source))
    assert read[:9] == paragraphs[:9]
    assert "".join(read[9:]).strip() == paragraphs[9].strip()  # too long for one text
    assert max(map(len, read)) < 3 * 40
    lines = read_documents(source, unit="line")
    assert texts(lines)[:4] == ["part 0 has", "  two lines", "part 1 has", "  two lines"]
    assert lines.notes() == ("11 empty lines skipped",)
    assert "".join(texts(read_documents(source, unit="file"))) == whole


def test_what_is_left_out_is_counted_and_said(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'{"text": "one"}\n\n   \n{"text": " "}\n{"text": null}\n{"other": 1}\n{"text": "caf\xe9"}\n\n{"text": "two"}\n'
    )
    documents = read_documents(str(path))
    assert texts(documents) == ["one", "café", "two"]
    assert documents.notes() == (
        "3 empty lines skipped",
        "3 rows left out: 2 no text in it, 1 no column 'text' (first: rows.jsonl line 4)",
        "1 line not UTF-8, read as Latin-1",
    )
    assert documents.summary().startswith("3 texts, layout text; 3 empty lines skipped; 3 rows left out")
    assert texts(documents) == ["one", "café", "two"]  # a second pass counts anew
    assert documents.empty_lines == 3


def test_rows_without_an_answer_are_left_out(tmp_path: Path) -> None:
    rows = [{"question": "2+2?", "answer": "4"}, {"question": "why?", "answer": ""}, {"question": " ", "answer": "5"}]
    documents = read_documents(write(tmp_path / "rows.jsonl", rows))
    assert texts(documents) == ["2+2?\n4"]
    assert "1 no answer in it, 1 no question in it" in documents.notes()[0]
    styled = read_documents(str(tmp_path / "rows.jsonl"), style="gsm8k")
    assert texts(styled) == ["Q: 2+2?\nA: #### 4"]
    assert styled.left_out.total() == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "one"}\n\n{"text": "two"\n', r"rows\.jsonl' line 3 cannot be read: not JSON"),
        ('["one"]\n', r"rows\.jsonl' line 1 cannot be read: a JSON list where an object is needed"),
        ('{"body": "one", "n": 1}\n', r"has the columns body, n; name those to use as --map text=COLUMN"),
        ('{"text": ""}\n{"text": null}\n', r"first row has the columns text; .* 2 rows left out: 2 no text in it"),
        ('{"prompt": "a", "chosen": "b", "rejected": "c"}\n', "nothing to learn from.*prompt, chosen, rejected"),
        ("\n\n", "nothing to learn from: it is empty"),
        ("", "nothing to learn from: it is empty"),
    ],
)
def test_bad_files_are_refused_with_the_place_and_the_columns(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(DataError, match=message):
        list(read_documents(str(tmp_path / "rows.jsonl")))


def test_sources_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("some text")
    (tmp_path / "table.csv").write_text("text\none")
    (tmp_path / "empty.txt").write_text("\n \n")
    source = str(tmp_path / "plain.txt")
    refused: list[tuple[str, dict[str, Any], type[Exception], str]] = [
        ("", {}, ConfigError, "no data given"),
        (str(tmp_path / "absent.txt"), {}, DataError, r"no data at .*absent\.txt'; allowed: a file ending in \.txt"),
        ("data/absent.txt", {}, DataError, r"no data at 'data/absent\.txt'"),
        (str(tmp_path / "table.csv"), {}, ConfigError, r"unknown kind; allowed endings: \.txt"),
        (str(tmp_path / "empty.txt"), {}, DataError, "nothing to learn from: it is empty"),
        (source, {"style": "gsm8k"}, ConfigError, "plain text, which has no columns; leave style out"),
        (source, {"columns": {"text": "body"}}, ConfigError, "leave the map out"),
        (source, {"style": "gsm9k"}, ConfigError, "gsm9k"),
        (source, {"limit": -1}, ConfigError, "limit is -1"),
        (source, {"unit": "word"}, ConfigError, "unit is 'word'; allowed: paragraph, line, file"),
    ]
    for data, options, error, message in refused:
        with pytest.raises(error, match=message):
            read_documents(data, **options)
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"text": "x"}\n' * 900)[:-12])
    with pytest.raises(DataError, match=r"cut\.jsonl\.gz.*damaged gzip"):
        list(read_documents(str(tmp_path / "cut.jsonl.gz")))


def test_a_split_column_is_obeyed(tmp_path: Path) -> None:
    rows = [{"text": "a", "split": "train"}, {"text": "b", "split": "test"}, {"text": "c"}]
    source = write(tmp_path / "rows.jsonl", rows)
    assert texts(read_documents(source, split="test")) == ["b", "c"]
    with pytest.raises(DataError, match="or has no row of split 'dev'"):
        read_documents(write(tmp_path / "rows.jsonl", rows[:2]), split="dev")


def test_reading_goes_no_further_than_it_must(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "one"}\n{"text": "two"}\nnot json\n')
    assert texts(read_documents(str(tmp_path / "rows.jsonl"), limit=2)) == ["one", "two"]
    with pytest.raises(DataError, match="line 3"):
        list(read_documents(str(tmp_path / "rows.jsonl")))


def test_held_out_texts_are_never_learnt(tmp_path: Path) -> None:
    rows = [{"text": f"text number {i % 1500}" + " " * (i % 2)} for i in range(2000)]  # 500 come twice, with a blank
    documents = read_documents(write(tmp_path / "rows.jsonl", rows))
    training, held_out = split_held_out(documents, 0.2, "seed", 0)
    learnt_texts, tested = ({" ".join(text.split()) for text in texts(part)} for part in (training, held_out))
    assert not learnt_texts & tested
    assert len(learnt_texts | tested) == 1500
    assert training.documents + held_out.documents == training.read == 2000
    assert 0.16 < len(tested) / 1500 < 0.24
    assert held_out.summary() == f"{held_out.documents} of 2000 (held out) texts, layout text"
    again = split_held_out(read_documents(write(tmp_path / "back.jsonl", reversed(rows))), 0.2, "seed", 0)[1]
    assert sorted(texts(again)) == sorted(texts(held_out))
    other = split_held_out(documents, 0.2, "seed", 1)[1]
    assert set(texts(other)) != set(texts(held_out))
    inner, inner_held_out = split_held_out(training, 0.2, "again")  # divides the part, not the whole
    assert not set(texts(held_out)) & set(texts(inner) + texts(inner_held_out))
    for share in (0, 1, -0.5):
        with pytest.raises(ConfigError, match="above 0 and below 1"):
            split_held_out(documents, share)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=60), st.integers(0, 9))
def test_a_question_is_never_on_both_sides(pairs: list[tuple[int, int]], seed: int) -> None:
    documents = [
        Document(text=f"question {q}\n{a}", answers=((len(f"question {q}\n"), len(f"question {q}\n{a}")),))
        for q, a in pairs
    ]
    training, held_out = split_held_out(Documents(data="made", files=()), 0.4, seed)
    assert training.keep is not None
    assert held_out.keep is not None
    sides: dict[int, set[bool]] = {}
    for (question, _), document in zip(pairs, documents, strict=True):
        assert training.keep(document) != held_out.keep(document)
        sides.setdefault(question, set()).add(held_out.keep(document))
    assert all(len(side) == 1 for side in sides.values())
