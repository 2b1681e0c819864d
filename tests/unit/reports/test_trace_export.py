"""Rows of a trace for other tools: complete, flat, the same in JSONL and Parquet."""

import copy
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from sample_trace import ATTACK, METHODS, sample_query, sample_trace

from menon.core.errors import ConfigError
from menon.reports.trace_export import flat_rows, write_parquet, write_rows


@pytest.fixture
def report() -> dict[str, Any]:
    return sample_trace(2, shown=4, hostile=True)


def lines(path: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line, parse_constant=lambda name: pytest.fail(name))
        for line in path.read_text("utf-8").split("\n")[:-1]
    ]


def test_one_line_per_query_and_shown_document(report: dict[str, Any], tmp_path: Path):
    target = write_rows(tmp_path, report)
    assert target == tmp_path / "trace.jsonl"
    found = lines(target)
    expected = {
        (query["id"].encode("utf-8", "replace").decode(), entry["document"])
        for query in report["queries"]
        for lists in query["methods"].values()
        for entry in (*lists["top"], *lists.get("bottom", ()))
    }
    assert {(row["query"], row["document"]) for row in found} == expected
    assert len(found) == len(expected)
    assert len({tuple(row) for row in found}) == 1


def test_values_are_those_of_the_entry(report: dict[str, Any]):
    query = report["queries"][1]
    entry = query["methods"]["ekfac"]["top"][0]
    row = next(r for r in flat_rows(report) if r["query"] == query["id"] and r["document"] == entry["document"])
    for key in (
        "rank",
        "id",
        "origin",
        "score",
        "per_nat",
        "effect_nats",
        "words",
        "contains_answer",
        "copies",
        "text",
    ):
        assert row[key] == entry[key]
    for key in ("prompt", "completion", "answer", "task", "information_nats"):
        assert row[key] == query[key]
    assert (row["method"], row["tail"], row["verdict"]) == ("ekfac", "top", "retrieved")
    assert {key: row[f"label_{key}"] for key in entry["labels"]} == entry["labels"]
    assert row["rank_ekfac"] == 1


def test_a_document_shown_by_several_methods_is_one_row_with_all_ranks():
    shared = {"document": 7, "text": "t", "other": {"tfidf": 900}}
    methods = {
        "bm25": {"top": [{"document": 3, "rank": 1}, {**shared, "rank": 2}]},
        "ekfac": {"top": [{**shared, "rank": 5}]},
    }
    found = flat_rows({"queries": [{"methods": methods}]})
    assert [(row["method"], row["rank"], row["document"]) for row in found] == [("ekfac", 5, 7), ("bm25", 1, 3)]
    assert [(row["rank_ekfac"], row["rank_bm25"], row["rank_tfidf"]) for row in found] == [(5, 2, 900), (None, 1, None)]


def test_parquet_has_the_same_rows(report: dict[str, Any], tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    found = flat_rows(report)
    table = parquet.read_table(write_parquet(tmp_path / "deep" / "trace.parquet", found))
    assert table.to_pylist() == found
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["score"] == "double"
    assert kinds["contains_answer"] == "bool"
    assert {kinds[f"rank_{method}"] for method in METHODS} == {"int64"}


def test_parquet_of_nothing_has_its_columns(tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(write_parquet(tmp_path / "empty.parquet", flat_rows({"queries": []})))
    assert table.num_rows == 0
    assert {"query", "document", "score", "text"} <= set(table.column_names)


def test_without_pyarrow_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'menon\[data\]'"):
        write_parquet(tmp_path / "trace.parquet", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("odd", [None, math.nan, True, ATTACK, "\ud800", [], [3], {}, {"x": None}, -1e300])
def test_odd_values_are_written(odd: Any, tmp_path: Path):
    query = sample_query("two-step-000", shown=1)
    entry = query["methods"]["ekfac"]["top"][0]
    damaged = []
    for key in entry:
        damaged.append({**query, "methods": {"ekfac": {"top": [{**copy.deepcopy(entry), key: odd}]}}})
    damaged += [{**query, key: odd} for key in query]
    data = {"queries": damaged}
    assert len(lines(write_rows(tmp_path, data))) == len(flat_rows(data)) > len(entry)
    pytest.importorskip("pyarrow")
    write_parquet(tmp_path / "trace.parquet", flat_rows(data))
