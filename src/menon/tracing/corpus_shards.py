"""One file of a corpus: its documents in order, and each of them again by its place, without reading the rest.

JSON lines and text are found again by byte offset (of the unpacked stream where they are gzipped: reading on is cheap,
going back unpacks from the front), Parquet by row, of which one row group is held. A plain JSON file is held whole.
A text file is one document per paragraph: lines up to a blank one, or up to PIECE bytes where none comes.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from menon.core.errors import ConfigError, DataError
from menon.problems.corpus_files import TEXT_SUFFIXES
from menon.problems.rows import read_rows

PIECE = 1 << 20
MARK = b"\xef\xbb\xbf"


class Found(NamedTuple):  # made for every row
    """A row or a paragraph: where it is, the line (or row) it stands on from 1, and its content or the problem."""

    offset: int
    line: int
    content: Mapping[str, Any] | str
    problem: str = ""


class Shard(Protocol):
    """A file whose documents can be found again by the offset that `scan` gave."""

    def scan(self) -> Iterator[Found]: ...

    def at(self, offset: int) -> Mapping[str, Any] | str: ...

    def close(self) -> None: ...


def open_shard(path: Path) -> Shard:
    """Return the reader of a file by its ending; the file is opened when it is first read."""
    name = path.name.removesuffix(".gz")
    if name.endswith(TEXT_SUFFIXES):
        return TextShard(path)
    if name.endswith(".parquet"):
        return ParquetShard(path)
    return JsonShard(path) if name.endswith(".json") else LineShard(path)


class _Stream:
    """A file that may be gzipped, opened on first use."""

    def __init__(self, path: Path):
        self.path = path
        self._raw: Any = None

    @property
    def bytes(self) -> Any:
        if self._raw is None:
            with self.path.open("rb") as raw:
                packed = raw.read(2) == b"\x1f\x8b"
            self._raw = gzip.GzipFile(self.path, "rb") if packed else self.path.open("rb")
        return self._raw

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def __del__(self) -> None:
        self.close()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what a damaged file raises into a `DataError` that names it."""
        try:
            yield
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"{str(self.path)!r} is a damaged gzip file ({error}); fetch it again") from error
        except OSError as error:
            raise DataError(f"cannot read {str(self.path)!r}: {error.strerror or error}") from error


class LineShard(_Stream):
    """JSON lines."""

    def scan(self) -> Iterator[Found]:
        offset = 0
        with self.told():
            self.bytes.seek(0)
            for line, raw in enumerate(self.bytes, start=1):
                start, offset = offset, offset + len(raw)
                if start == 0 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise DataError(f"{str(self.path)!r} is UTF-16; save it as UTF-8")
                raw = raw.removeprefix(MARK) if start == 0 else raw
                if raw.strip():
                    content, problem = _parsed(raw)
                    yield Found(start, line, content, problem)

    def at(self, offset: int) -> Mapping[str, Any] | str:
        with self.told():
            self.bytes.seek(offset)
            raw = self.bytes.readline()
        content, problem = _parsed(raw.removeprefix(MARK) if offset == 0 else raw)
        if problem:
            raise DataError(f"{str(self.path)!r} has changed since it was read: at byte {offset} is {problem}")
        return content


class TextShard(_Stream):
    """Paragraphs of plain text or Markdown."""

    def scan(self) -> Iterator[Found]:
        with self.told():
            self.bytes.seek(0)
            offset, line = 0, 1
            while block := self._block(offset == 0):
                skipped, raw, lines = block
                offset += skipped[0]
                line += skipped[1]
                if raw:
                    yield Found(offset, line, _text(raw, offset == 0))
                offset += len(raw)
                line += lines

    def at(self, offset: int) -> str:
        with self.told():
            self.bytes.seek(offset)
            block = self._block(offset == 0)
        return _text(block[1], offset == 0) if block else ""

    def _block(self, first: bool) -> tuple[tuple[int, int], bytes, int] | None:
        """Return (bytes, lines) of blank lines, the block after them and its lines; None at the end."""
        blank, lines, raw = [0, 0], 0, bytearray()
        while piece := self.bytes.readline(PIECE):
            if first and piece.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise DataError(f"{str(self.path)!r} is UTF-16; save it as UTF-8")
            piece += self.bytes.read(_missing(piece)) if len(piece) == PIECE else b""
            ended = piece.endswith(b"\n")
            empty = not (piece.removeprefix(MARK) if first else piece).strip()
            first = False
            if empty and not raw:
                blank[0] += len(piece)
                blank[1] += ended
                continue
            raw += piece
            lines += ended
            if empty or len(raw) >= PIECE:
                break
        return ((blank[0], blank[1]), bytes(raw), lines) if raw or blank[0] else None


class JsonShard:
    """A JSON list of objects, held whole."""

    def __init__(self, path: Path):
        self.path = path
        self._rows: dict[int, Mapping[str, Any]] | None = None

    def scan(self) -> Iterator[Found]:
        for row in read_rows(self.path):
            yield Found(row.line, row.line, row.values, row.problem)

    def at(self, offset: int) -> Mapping[str, Any] | str:
        if self._rows is None:
            self._rows = {row.line: row.values for row in read_rows(self.path) if not row.problem}
        return self._rows[offset]

    def close(self) -> None:
        self._rows = None


class ParquetShard:
    """Rows of a Parquet file; the row group of the last one read is held."""

    def __init__(self, path: Path):
        self.path = path
        self._file: Any = None
        self._group: Any = None
        self._held = range(0)

    def scan(self) -> Iterator[Found]:
        number = 0
        with self._told():
            for batch in self._opened().iter_batches(batch_size=1024):
                for values in batch.to_pylist():
                    number += 1
                    yield Found(number - 1, number, values)

    def at(self, offset: int) -> Mapping[str, Any] | str:
        with self._told():
            file = self._opened()
            if offset not in self._held:
                start = 0
                for group in range(file.metadata.num_row_groups):
                    held = range(start, start + file.metadata.row_group(group).num_rows)
                    if offset in held:
                        self._group, self._held = file.read_row_group(group), held
                        break
                    start = held.stop
            return self._group.slice(offset - self._held.start, 1).to_pylist()[0]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._group, self._held = None, None, range(0)

    def _opened(self) -> Any:
        if self._file is None:
            try:
                parquet: Any = import_module("pyarrow.parquet")
            except ImportError as error:
                raise ConfigError(
                    f"reading {str(self.path)!r} needs the package pyarrow; run `pip install 'menon[data]'`, or "
                    "convert it to JSONL"
                ) from error
            self._file = parquet.ParquetFile(self.path)
        return self._file

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ConfigError:
            raise
        except (OSError, ValueError) as error:  # pyarrow's own errors derive from these
            raise DataError(f"{str(self.path)!r} is not a Parquet file that can be read: {str(error)[:200]}") from error


def _parsed(raw: bytes) -> tuple[Mapping[str, Any], str]:
    try:
        values = json.loads(_decoded(raw))
    except (ValueError, RecursionError) as error:
        return {}, f"not JSON: {str(error)[:80]}"
    if not isinstance(values, dict):
        return {}, f"a JSON {type(values).__name__} where an object is needed"
    return values, ""


def _text(raw: bytes, first: bool) -> str:
    text = _decoded(raw.removeprefix(MARK) if first else raw)
    return text.replace("\r\n", "\n").lstrip("\n").rstrip()


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _missing(piece: bytes) -> int:
    """Return how many bytes the last character of a cut piece of UTF-8 still lacks."""
    for back in range(1, min(4, len(piece)) + 1):
        byte = piece[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return max(0, length - back)
        if byte < 0x80:
            return 0
    return 0
