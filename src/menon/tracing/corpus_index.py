"""Where every document of a corpus of files begins: made in one pass, kept beside a run, refused when a file changed.

Memory and disk take 20 bytes for a document: its offset, its line, and a digest of its text by which repeated documents
are counted. A stored index is used only while every file has its size, its first bytes and its time of change; where
only the time differs, the whole content decides.
Source of the safe format: safetensors; nothing here is ever unpickled.
"""

import json
from array import array
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from menon.core.errors import DataError, Refused
from menon.core.progress import Progress, Silent
from menon.core.seeds import content_id
from menon.store import atomic_write
from menon.tracing.corpus_rows import RowReader, clean
from menon.tracing.corpus_shards import open_shard
from menon.tracing.values import TracedDocument

SCHEMA = "1"
KEPT = 20  # bad rows remembered with their reason
HEAD = 1 << 16
FILE = "documents.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMark:
    """What a file was when it was indexed."""

    path: str
    size: int
    changed_ns: int
    head: str
    content: str

    @classmethod
    def of(cls, path: Path) -> "FileMark":
        """Read a file and mark it.

        Raises:
            DataError: it cannot be read.
        """
        try:
            status = path.stat()
            size, changed, head, content = status.st_size, status.st_mtime_ns, _hash(path, HEAD), _hash(path)
        except OSError as error:
            raise DataError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
        return cls(path=str(path), size=size, changed_ns=changed, head=head, content=content)

    def difference(self) -> str:
        """Say how the file differs now; nothing when it is what it was."""
        path = Path(self.path)
        try:
            status = path.stat()
        except OSError as error:
            return f"it cannot be read ({error.strerror or error})"
        if status.st_size != self.size:
            return f"it had {self.size:,} bytes and has {status.st_size:,}"
        if _hash(path, HEAD) != self.head or (status.st_mtime_ns != self.changed_ns and _hash(path) != self.content):
            return "its content is another"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusIndex:
    """All documents of some files, in order; `starts` is the place of the first document of each file."""

    files: tuple[FileMark, ...]
    starts: np.ndarray
    offsets: np.ndarray
    lines: np.ndarray
    digests: np.ndarray
    settings: Mapping[str, Any]
    bad_rows: int = 0
    bad: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def hash(self) -> str:
        """A hash of the files' content and of how their rows are read; their names and places do not count."""
        return content_id("corpus", [mark.content for mark in self.files], dict(self.settings))

    @property
    def duplicated(self) -> int:
        """Documents whose text another one before them has."""
        return len(self) - len(np.unique(self.digests))

    def where(self, document: int) -> tuple[int, int, int]:
        """Return file, offset and line of a document."""
        file = int(np.searchsorted(self.starts, document, side="right")) - 1
        return file, int(self.offsets[document]), int(self.lines[document])

    def save(self, path: Path) -> None:
        """Write the index, whole or not at all."""
        told = {"files": [asdict(mark) for mark in self.files], "bad_rows": self.bad_rows, "bad": self.bad}
        arrays = {name: getattr(self, name) for name in ("starts", "offsets", "lines", "digests")}
        header = {"schema": SCHEMA, "told": json.dumps({**told, "settings": dict(self.settings)})}
        atomic_write(path, save(arrays, header))

    @classmethod
    def load(cls, path: Path) -> "CorpusIndex":
        """Read a stored index.

        Raises:
            DataError: it is damaged, or was written by another version.
        """
        try:
            with safe_open(path, "np") as file:
                header = file.metadata() or {}
            if header.get("schema") != SCHEMA:
                raise ValueError(f"its schema is {header.get('schema')!r} and this version reads {SCHEMA!r}")
            told = json.loads(header["told"])
            arrays = load_file(path)
            return cls(
                files=tuple(FileMark(**mark) for mark in told["files"]),
                settings=told["settings"],
                bad_rows=told["bad_rows"],
                bad=tuple((origin, reason) for origin, reason in told["bad"]),
                **arrays,
            )
        except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
            raise DataError(f"the index {str(path)!r} cannot be read ({error}); delete it to make it anew") from error


def build_index(
    paths: Sequence[Path], reader: RowReader, settings: Mapping[str, Any], progress: Progress | None = None
) -> CorpusIndex:
    """Read all files once. Rows that are no document are counted, and the first are kept with their reason.

    Raises:
        DataError: a file that is damaged, or no document at all.
        ConfigError: a column named by hand that is not there.
    """
    progress, limit = progress or Silent(), settings.get("limit") or 0
    starts, offsets, lines, digests = array("q"), array("q"), array("I"), array("Q")
    marks, bad_rows, bad = [], 0, list[tuple[str, str]]()
    progress.start("indexing the corpus", total=len(paths), unit="files")
    for path in paths:
        starts.append(len(offsets))
        marks.append(FileMark.of(path))
        checked = False
        with closing(open_shard(path)) as shard:
            for found in shard.scan():
                if limit and len(offsets) == limit:
                    break
                origin = f"{path}:{found.line}"
                if not checked and not found.problem and isinstance(found.content, Mapping):
                    reader.check(found.content, origin)
                    checked = True
                document = found.problem or document_of(found.content, origin, reader)
                if isinstance(document, str):
                    bad_rows += 1
                    if len(bad) < KEPT:
                        bad.append((origin, document))
                    continue
                offsets.append(found.offset)
                lines.append(found.line)
                digests.append(digest(document))
        progress.advance(1, f"{len(offsets):,} documents")
    if not offsets:
        why = "; ".join(f"{origin}: {reason}" for origin, reason in bad[:3])
        why = why or f"{paths[0]} is empty" + (" and so are the others" if len(paths) > 1 else "")
        raise DataError(f"no document in {len(paths)} files of the corpus: {why}")
    return CorpusIndex(
        files=tuple(marks),
        starts=np.frombuffer(starts, dtype=np.int64),
        offsets=np.frombuffer(offsets, dtype=np.int64),
        lines=np.frombuffer(lines, dtype=np.uint32),
        digests=np.frombuffer(digests, dtype=np.uint64),
        settings=settings,
        bad_rows=bad_rows,
        bad=tuple(bad),
    )


def document_of(content: Mapping[str, Any] | str, origin: str, reader: RowReader) -> TracedDocument | str:
    """Return the document of a row or a paragraph, or the reason why it is none."""
    if isinstance(content, str):
        text = clean(content)
        return TracedDocument(id=content_id("document", text), text=text, origin=origin)
    return reader.document(content, origin)


def stored_index(
    folder: Path,
    paths: Sequence[Path],
    reader: RowReader,
    settings: Mapping[str, Any],
    progress: Progress | None = None,
) -> CorpusIndex:
    """Return the index kept in `folder`, made now when there is none.

    Raises:
        Refused: it was made from other files, from files that have changed since, or with other settings.
        DataError: it is damaged. See also `build_index`.
    """
    path = folder / FILE
    if not path.exists():
        index = build_index(paths, reader, settings, progress)
        index.save(path)
        return index
    index = CorpusIndex.load(path)
    mend = "begin anew with --fresh, or give another folder (--out DIR)"
    if dict(index.settings) != dict(settings):
        raise Refused(f"the index {str(path)!r} was made with {dict(index.settings)}, not {dict(settings)}; {mend}")
    if len(paths) != len(index.files):
        raise Refused(f"the index {str(path)!r} is of {len(index.files)} files, and {len(paths)} are given; {mend}")
    for given, mark in zip(paths, index.files, strict=True):
        if Path(mark.path).name != given.name:
            raise Refused(f"the index {str(path)!r} is of {mark.path!r}, and {str(given)!r} is given; {mend}")
        mark = FileMark(**{**asdict(mark), "path": str(given)})
        if difference := mark.difference():
            raise Refused(f"corpus file {str(given)!r} has changed since it was indexed: {difference}; {mend}")
    return index


def digest(document: TracedDocument) -> int:
    """Return 8 bytes that equal texts share."""
    return int.from_bytes(blake2b(document.text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _hash(path: Path, most: int | None = None) -> str:
    found = sha256()
    with path.open("rb") as file:
        left = most
        while block := file.read(1 << 20 if left is None else min(left, 1 << 20)):
            found.update(block)
            left = None if left is None else left - len(block)
    return found.hexdigest()[:20]
