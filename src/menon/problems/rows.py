"""Rows of a data file or of a Hugging Face data set, one dictionary each, with the line it came from.

Reads JSONL and JSON (gzip or not, with or without a byte order mark) and Parquet. A line that cannot be read is a row
with a `problem` instead of values. Lines that are not UTF-8 are read as Latin-1, and that is noted.
Left out: CSV, archives, remote files.
"""

import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError, DataError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?::[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `line` counts from 1 (for Parquet and hub data sets it counts rows)."""

    line: int
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    note: str = ""


def read_rows(source: str | Path, *, split: str | None = None) -> Iterator[Row]:
    """Yield the rows of a file, of the file for `split` in a folder, or of a Hugging Face data set.

    Raises:
        DataError: no such file, a damaged archive, or a data set that cannot be loaded.
        ConfigError: the source needs a package that is not installed, or a split that was not named.
    """
    path = Path(source)
    if path.is_dir():
        path = _file_of_split(path, split)
    if path.is_file():
        yield from _read_file(path)
    elif HUB_ID.fullmatch(str(source)) and not str(source).removesuffix(".gz").endswith(SUFFIXES):
        yield from _read_hub(str(source), split)
    else:
        raise DataError(
            f"no data at {str(source)!r}; allowed: a file ending in {', '.join(SUFFIXES)} (also .gz), a folder with "
            "one such file per split, or a Hugging Face id such as 'openai/gsm8k:main'"
        )


def _file_of_split(folder: Path, split: str | None) -> Path:
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name.removesuffix(".gz").endswith(SUFFIXES))
    wanted = [p for p in files if split is None or p.name.split(".")[0].split("-")[0] == split]
    if len(wanted) != 1:
        names = ", ".join(p.name for p in files) or "no data files"
        raise DataError(f"split {split!r} names {len(wanted)} files of folder {str(folder)!r}, which holds: {names}")
    return wanted[0]


def _read_file(path: Path) -> Iterator[Row]:
    if path.name.endswith(".parquet"):
        yield from _read_parquet(path)
        return
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            name = path.name.removesuffix(".gz")
            yield from _read_json(stream.read(), path) if name.endswith(".json") else _read_lines(stream, path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{str(path)!r} is a damaged gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror or error}") from error


def _read_lines(stream: io.BufferedIOBase, path: Path) -> Iterator[Row]:
    for number, raw in enumerate(stream, start=1):
        if number == 1:
            raw = _without_mark(raw, path)
        if raw.strip():
            yield _row(number, raw)


def _row(number: int, raw: bytes) -> Row:
    text, note = _decoded(raw)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Row(number, problem=f"not JSON: {str(error)[:80]}")
    if not isinstance(values, dict):
        return Row(number, problem=f"a JSON {type(values).__name__} where an object is needed")
    return Row(number, values, note=note)


def _read_json(raw: bytes, path: Path) -> Iterator[Row]:
    text, note = _decoded(_without_mark(raw, path))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if b"\n" in raw.strip():  # JSON lines under the wrong name
            yield from _read_lines(io.BytesIO(raw), path)
            return
        raise DataError(f"{str(path)!r} is not JSON: {str(error)[:80]}") from error
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 and all(isinstance(v, dict) for v in lists[0]) else [content]
    if not isinstance(content, list):
        raise DataError(f"{str(path)!r} holds a JSON {type(content).__name__}; allowed: a list of objects")
    for number, values in enumerate(content, start=1):
        if isinstance(values, dict):
            yield Row(number, values, note=note)
        else:
            yield Row(number, problem=f"a JSON {type(values).__name__} where an object is needed")


def _without_mark(raw: bytes, path: Path) -> bytes:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{str(path)!r} is UTF-16; save it as UTF-8")
    return raw.removeprefix(b"\xef\xbb\xbf")


def _decoded(raw: bytes) -> tuple[str, str]:
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "not UTF-8, read as Latin-1"


def _read_parquet(path: Path) -> Iterator[Row]:
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(
            f"reading {str(path)!r} needs the package pyarrow; run `pip install 'menon[data]'`, or convert it to JSONL"
        ) from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for values in batch.to_pylist():
                    number += 1
                    yield Row(number, values)
    except (OSError, ValueError) as error:  # pyarrow's own errors derive from these
        raise DataError(f"{str(path)!r} is not a Parquet file that can be read: {str(error)[:200]}") from error


def _read_hub(source: str, split: str | None) -> Iterator[Row]:
    try:
        library: Any = import_module("datasets")
    except ImportError as error:
        raise ConfigError(
            f"{source!r} is no file here; loading it from the Hugging Face hub needs the package datasets: "
            "run `pip install 'menon[data]'`, or give the path of a JSONL file"
        ) from error
    name, _, config = source.partition(":")
    try:
        loaded = library.load_dataset(name, config or None, split=split)
    except (OSError, ValueError) as error:  # not found, offline, no such config or split
        offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
        hint = "HF_HUB_OFFLINE is set and it is not in the cache; " if offline else ""
        raise DataError(
            f"cannot load data set {source!r}: {hint}{str(error)[:300]}; check the id ('owner/name:config'), the split "
            f"({split!r}) and the network, or give the path of a JSONL file"
        ) from error
    if split is None and isinstance(loaded, dict):
        if len(loaded) != 1:
            raise ConfigError(f"data set {source!r} has splits {', '.join(loaded)}; name one of them")
        loaded = next(iter(loaded.values()))
    for number, values in enumerate(loaded, start=1):
        yield Row(number, values)
