"""Training text given as files, streamed: memory does not grow with the corpus.

Reads plain text (.txt, .md, .text), JSON lines, JSON and Parquet, gzip or not, and folders of these. Of a JSON row the
known text fields are joined in reading order; a row without one gives all its strings. Rows that cannot be read are
counted and the first are kept with their reason. A plain JSON file (not JSON lines) is read whole.
Left out: archives, remote files, compression other than gzip.
"""

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError, DataError
from menon.problems.rows import SUFFIXES, read_rows

TEXT_SUFFIXES = (".txt", ".text", ".md")
TEXT_FIELDS = (
    *("text", "content", "passage", "document", "question", "problem", "prompt", "instruction", "input", "choices"),
    *("rationale", "solution", "completion", "answer", "output", "response", "messages"),
)
PIECE = 1 << 18  # characters of plain text handed on at a time
KEPT = 20  # bad rows remembered with their reason


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text; `new` says that a document begins here, otherwise it goes on from the piece before."""

    text: str
    new: bool = True


@dataclass(slots=True)
class CorpusFiles:
    """The text of some files; the counts are those of the latest pass over it."""

    paths: Sequence[Path]
    documents: int = 0
    characters: int = 0
    bad: int = 0
    bad_rows: list[tuple[str, int, str]] = field(default_factory=list)

    def files(self) -> list[Path]:
        """List the files, those of folders in order of their names.

        Raises:
            DataError: a path that does not exist, or a folder without a readable file.
            ConfigError: no path at all, or a file of an unknown kind.
        """
        if not self.paths:
            raise ConfigError("no corpus file given; name at least one, as --corpus FILE")
        found: list[Path] = []
        for path in map(Path, self.paths):
            if path.is_dir():
                inside = sorted(p for p in path.rglob("*") if p.is_file() and _kind(p))
                if not inside:
                    raise DataError(f"corpus folder {str(path)!r} holds no file ending in {_allowed()}")
                found += inside
            elif not path.exists():
                raise DataError(f"no corpus file at {str(path)!r}; allowed: files ending in {_allowed()}, or folders")
            elif not _kind(path):
                raise ConfigError(f"corpus file {str(path)!r} is of an unknown kind; allowed endings: {_allowed()}")
            else:
                found.append(path)
        return found

    def passages(self) -> Iterator[Passage]:
        """Stream the text of all files.

        Raises:
            DataError: a file that is missing or damaged; the message names it.
            ConfigError: see `files`.
        """
        self.documents = self.characters = self.bad = 0
        self.bad_rows = []
        for path in self.files():
            for passage in _plain(path) if _kind(path) == "text" else self._rows(path):
                self.documents += passage.new
                self.characters += len(passage.text)
                yield passage

    def _rows(self, path: Path) -> Iterator[Passage]:
        for row in read_rows(path):
            text = "" if row.problem else row_text(row.values)
            if text:
                yield Passage(text)
                continue
            self.bad += 1
            if len(self.bad_rows) < KEPT:
                self.bad_rows.append((str(path), row.line, row.problem or "no text in it"))


def row_text(values: Mapping[str, Any]) -> str:
    """Return the text of a row: its known fields in reading order, or every string in it."""
    known = [values[name] for name in TEXT_FIELDS if values.get(name) is not None]
    return "\n".join(_strings(known) or _strings(list(values.values())))


def _strings(value: Any) -> list[str]:
    """List the strings inside a JSON value; of a chat turn only what was said."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, Mapping):
        said = value.get("content", value.get("text"))
        return _strings(said) if said is not None else [s for v in value.values() for s in _strings(v)]
    if isinstance(value, list):
        return [s for v in value for s in _strings(v)]
    return []


def _plain(path: Path) -> Iterator[Passage]:
    """Yield a text file in pieces that end between words where there are blanks at all."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace")
            rest, new = "", True
            while piece := text.read(PIECE):
                piece = rest + piece
                cut = max(piece.rfind(" "), piece.rfind("\n")) + 1 or len(piece)
                yield Passage(piece[:cut], new)
                rest, new = piece[cut:], False
            if rest:
                yield Passage(rest, new)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{str(path)!r} is a damaged gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror or error}") from error


def _kind(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return "text" if name.endswith(TEXT_SUFFIXES) else "rows" if name.endswith(SUFFIXES) else ""


def _allowed() -> str:
    return ", ".join((*TEXT_SUFFIXES, *SUFFIXES)) + " (also .gz)"
