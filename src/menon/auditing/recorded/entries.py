"""Rows of recorded responses: from `recorded:FILE?option=value` to rows with their file, line and options.

FILE is a JSONL, JSON or Parquet file (gzip or not), a folder of them, a pattern with `*`, or a run directory of Menon.
Left out: files behind a network; percent-decoding of names.
"""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError, DataError
from menon.problems.rows import SUFFIXES, read_rows
from menon.sampling.spec import Options, read_options, split_query
from menon.store import Run
from menon.store.layout import is_run

FIELDS = ("question", "answer", "choices", "response", "reasoning", "model", "id", "task", "world", "cot", "finish")


class ReadOptions(Options):
    """Options of one `recorded:` name: fields that have other names, and whose rows to take."""

    text: str | None = None
    key: str | None = None
    question: str | None = None
    gold: str | None = None
    model: str | None = None

    def columns(self) -> dict[str, str]:
        """Return our field names with the columns named for them."""
        named = {"response": self.text, "id": self.key, "question": self.question, "answer": self.gold}
        return {name: column for name, column in named.items() if column is not None}


@dataclass(frozen=True, slots=True)
class Source:
    """One file or run directory to read; `named` when the user named it rather than a folder or pattern it is in."""

    path: Path
    options: ReadOptions
    named: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One row with where it stands; `model` names who answered where the row itself does not."""

    path: str
    line: int
    values: Mapping[str, Any]
    model: str | None = None


def sources(specs: Sequence[str]) -> list[Source]:
    """Return the files that `specs` name, each once.

    Raises:
        ConfigError: an option that is not known, or a name that leads to no file.
    """
    found: dict[Path, Source] = {}
    for spec in specs:
        rest, query = split_query(spec.removeprefix("recorded:"))
        options = read_options(ReadOptions, f"recorded:{rest}", query, {})
        for path, named in _paths(rest):
            found.setdefault(path, Source(path, options, named))
    return list(found.values())


def _paths(name: str) -> list[tuple[Path, bool]]:
    path = Path(name).expanduser()
    if path.is_file() or (path.is_dir() and is_run(path)):
        return [(path, True)]
    if path.is_dir():
        paths = sorted(file for file in path.iterdir() if file.is_file() and _is_data(file))
    else:
        paths = sorted(Path(match) for match in glob.glob(str(path)) if Path(match).is_file())
    if not paths:
        raise ConfigError(
            f"no responses at {name!r}; recorded:FILE wants a JSONL, JSON or Parquet file (may be .gz), a folder of "
            "them, a pattern such as 'out/*.jsonl', or a run directory"
        )
    return [(path, len(paths) == 1) for path in paths]


def _is_data(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(SUFFIXES)


@dataclass(slots=True)
class Readings:
    """The rows of one source that can be read, with notes; rows that cannot are in `broken` as (line, reason)."""

    entries: list[Entry] = field(default_factory=list)
    broken: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_entries(source: Source, map: Mapping[str, str]) -> Readings:
    """Read a source row by row.

    Raises:
        DataError: the file as a whole cannot be read.
        ConfigError: it needs a package that is not installed.
    """
    result = Readings()
    if source.path.is_dir():
        records = enumerate(_records(source.path), 1)
        result.entries = [Entry(str(source.path), line, values, source.options.model) for line, values in records]
        return result
    latin, map = 0, {**map, **source.options.columns()}
    for row in read_rows(source.path):
        if row.problem:
            result.broken.append((row.line, row.problem))
            continue
        latin += bool(row.note)
        result.entries.append(Entry(str(source.path), row.line, _renamed(row.values, map), source.options.model))
    if latin:
        result.notes.append(f"{latin:,} lines are not UTF-8 and were read as Latin-1")
    return result


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with Run.open(path) as run:
        for kind in ("graded", "sample"):
            yield from run.records(kind)


def check_map(map: Mapping[str, str]) -> None:
    """Raise `ConfigError` where `map` names a field that is not read."""
    for name in map:
        if name not in FIELDS:
            raise ConfigError(f"map names the field {name!r}; allowed: {', '.join(FIELDS)} (as response=COLUMN)")


def _renamed(values: Mapping[str, Any], map: Mapping[str, str]) -> Mapping[str, Any]:
    if not map:
        return values
    taken = {column.partition(".")[0] for column in map.values()}
    renamed = {"gold" if name == "answer" else name: lookup(values, column) for name, column in map.items()}
    kept = {name: value for name, value in values.items() if name not in taken}
    return {**kept, **{name: value for name, value in renamed.items() if value is not None}}


def lookup(values: Mapping[str, Any], name: str) -> Any:
    """Return the field `name`; dots lead into objects and, as numbers, into lists. None where there is none."""
    if name in values:
        return values[name]
    value: Any = values
    for part in name.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def one_of(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Return the first of the fields `names` that is there; None where there is none."""
    return next((values[name] for name in names if values.get(name) is not None), None)


def nothing_usable(path: str, fields: Sequence[str], reasons: str) -> DataError:
    """Return the error of a file without one usable row."""
    return DataError(
        f"no row of {path!r} holds a response with its gold answer. The first row has the fields {', '.join(fields)}; "
        f"name others with --map response=COLUMN --map answer=COLUMN (allowed: {', '.join(FIELDS)}), or give the "
        f"problems with --data FILE where rows only have their ids. {reasons}".rstrip()
    )
