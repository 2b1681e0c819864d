"""A trace as flat rows, one per query and shown document, in JSONL or Parquet for other tools.

A document that several methods show stands in one row, with its rank by each method. Left out: token scores and the
lists that only the page needs; report.json has them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError
from menon.reports.formats import finite
from menon.reports.reading import rows, section
from menon.reports.trace_documents import main_method
from menon.reports.trace_words import direction
from menon.store import atomic_write

_TEXTS = ("prompt", "completion", "answer", "task")
_NESTED = ("labels", "ranks")  # columns of their own in the end
_TYPES = {
    "information_nats": "float64",
    "rank": "int64",
    "document": "int64",
    "score": "float64",
    "per_nat": "float64",
    "effect_nats": "float64",
    "contains_answer": "bool_",
    "copies": "int64",
}


def write_rows(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write `trace.jsonl` into `folder`, one line per query and shown document, and return its path.

    Raises:
        RunError: a folder that cannot be written.
    """
    target = Path(folder) / "trace.jsonl"
    atomic_write(target, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in flat_rows(report)))
    return target


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write the rows of `flat_rows` as a Parquet file and return its path.

    Raises:
        ConfigError: pyarrow is not installed.
        RunError: a file that cannot be written.
    """
    try:
        arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(
            f"writing {str(path)!r} needs the package pyarrow; run `pip install 'menon[data]'`, or read trace.jsonl, "
            "which has the same rows"
        ) from error
    names = list(rows[0]) if rows else [name for name in _flat({}, {}, "", "", 0) if name not in _NESTED]
    schema = arrow.schema([(name, getattr(arrow, _type_of(name))()) for name in names])
    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.Table.from_pylist([dict(row) for row in rows], schema=schema), sink)
    atomic_write(Path(path), sink.getvalue().to_pybytes())
    return Path(path)


def _type_of(name: str) -> str:
    return "int64" if name.startswith("rank_") else _TYPES.get(name, "string")


def flat_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one flat row per query and shown document; every row has the same columns, None where nothing is known.

    `label_*` are the labels of the document, `rank_*` its rank by each method.
    """
    found = [row for place, query in enumerate(rows(report, "queries")) for row in _of_query(query, place)]
    labels = sorted({name for row in found for name in row["labels"]})
    ranks = sorted({name for row in found for name in row["ranks"]})
    return [
        {
            **{key: value for key, value in row.items() if key not in (*_NESTED, "text")},
            **{f"label_{name}": row["labels"].get(name) for name in labels},
            **{f"rank_{name}": row["ranks"].get(name) for name in ranks},
            "text": row["text"],
        }
        for row in found
    ]


def _of_query(query: Mapping[str, Any], place: int) -> list[dict[str, Any]]:
    """Return the documents of a query in the order of first mention: main method, then the others."""
    found: dict[str, dict[str, Any]] = {}
    for method, tail, entry in _shown(query):
        key = str(entry.get("document", entry.get("id", f"row {len(found)}")))
        row = found.setdefault(key, _flat(query, entry, method, tail, place))
        ranks = {name: _whole(rank) for name, rank in section(entry, "other").items()} | {
            method: _whole(entry.get("rank"))
        }
        row["ranks"] |= {_text(name): rank for name, rank in ranks.items() if rank is not None}
    return list(found.values())


def _shown(query: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    methods = section(query, "methods")
    main = main_method(query)
    for method in sorted(methods, key=lambda name: name != main):
        for tail in ("top", "bottom"):
            for entry in rows(section(methods, method), tail):
                yield str(method), tail, entry


def _flat(query: Mapping[str, Any], entry: Mapping[str, Any], method: str, tail: str, place: int) -> dict[str, Any]:
    contains = entry.get("contains_answer")
    return {
        "query": _text(query.get("id")) or f"query {place + 1}",
        **{key: _text(query.get(key)) for key in _TEXTS},
        "information_nats": finite(query.get("information_nats")),
        "verdict": _text(section(query, "verdict").get("label")),
        "method": _text(method),
        "tail": tail,
        "rank": _whole(entry.get("rank")),
        "document": _whole(entry.get("document")),
        "id": _text(entry.get("id")),
        "origin": _text(entry.get("origin")),
        "score": finite(entry.get("score")),
        "per_nat": finite(entry.get("per_nat")),
        "effect_nats": finite(entry.get("effect_nats")),
        "words": direction(entry),
        "contains_answer": contains if isinstance(contains, bool) else None,
        "copies": _whole(entry.get("copies")),
        "labels": {_text(name): _text(value) for name, value in section(entry, "labels").items()},
        "ranks": {},
        "text": _text(entry.get("text")),
    }


def _whole(value: Any) -> int | None:
    found = finite(value)
    return None if found is None or abs(found) >= 2**63 else int(found)


def _text(value: Any) -> str:
    """Return a text that UTF-8 can hold; a lone surrogate becomes the replacement character."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode("utf-8")
