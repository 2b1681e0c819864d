"""`menon problems corpus`: what it writes can be read back and traced."""

import json
from pathlib import Path

import pytest

from menon.cli.app import run_command
from menon.models.load import load_tokenizer
from menon.problems.known.corpus import KnownCorpus
from menon.problems.prompts import STYLES
from menon.tracing.corpora import FileCorpus
from menon.tracing.query_files import read_queries


def test_documents_queries_and_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["problems", "corpus", "--count", "300", "--out", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["documents"] == 300
    assert told["overlap"]["word_for_word"] == 0
    corpus = FileCorpus([tmp_path / "documents.jsonl"], load_tokenizer("menon:base"))
    assert len(corpus) == 300
    known = KnownCorpus()
    for index in (0, 7, 299):
        made, read = known.document(index), corpus.document(index)
        assert read.text == made.text
        assert read.prompt == made.prompt
        assert read.labels["kind"] == made.kind
        assert read.labels.get("teaches", "") == ",".join(made.teaches)
    queries = read_queries(tmp_path / "queries.jsonl", STYLES.get("menon"))
    assert len(queries) == 100
    assert all(query.completion and query.answer and query.labels["needs"] for query in queries)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert sum(manifest["kind"].values()) == 300
    assert not list(tmp_path.glob("*.part"))


def test_without_a_folder_it_asks_for_one(capsys: pytest.CaptureFixture[str]):
    assert run_command(["problems", "corpus"]) == 2
    assert "--out DIR" in capsys.readouterr().err
