"""Corpora to trace: documents by place and their token sequences, from memory, from files, or from a function.

A corpus of files is never held: an index of 20 bytes a document tells where each one is (corpus_index.py), so millions
of documents in many shards cost no more memory than their index. A data set of the Hugging Face hub is first written to
a file of JSON lines, in the folder of the index where there is one. Left out: remote files.
"""

import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from menon.core.errors import ConfigError
from menon.core.progress import Progress, Silent
from menon.core.seeds import content_id
from menon.problems.corpus import Document
from menon.problems.corpus_files import TEXT_SUFFIXES, CorpusFiles
from menon.problems.known.values import KnownDocument
from menon.problems.rows import HUB_ID, SUFFIXES, read_rows
from menon.store.files import os_failure
from menon.tracing.corpus_base import CorpusNotes, TokenisedCorpus
from menon.tracing.corpus_index import CorpusIndex, build_index, document_of, stored_index
from menon.tracing.corpus_rows import RowReader
from menon.tracing.corpus_shards import Shard, open_shard
from menon.tracing.tokenise import Cut, Tokeniser
from menon.tracing.values import TokenSequence, TracedDocument

Ids = tuple[tuple[int, ...], tuple[int, ...]]


class Corpus(Protocol):
    """Training documents by place, with the token sequences that the model was trained on."""

    @property
    def name(self) -> str: ...

    @property
    def hash(self) -> str:
        """A hash of all texts, of the tokenizer, and of how documents are cut."""
        ...

    @property
    def notes(self) -> CorpusNotes: ...

    def __len__(self) -> int: ...

    def document(self, index: int) -> TracedDocument: ...

    def sequences(self, start: int, stop: int) -> list[TokenSequence]:
        """Return the sequences of the documents `start` to `stop` - 1; asked for in ascending ranges."""
        ...


class MemoryCorpus(TokenisedCorpus):
    """Documents that are held; `ids` are their (prompt, completion) token ids where the exact ones are known."""

    def __init__(
        self,
        documents: Sequence[TracedDocument],
        tokenizer: Any,
        *,
        context: int | None = None,
        name: str = "memory",
        ids: Sequence[Ids] | None = None,
    ):
        """Hold `documents`; `tokenizer` may be a `Tokeniser`, whose context then counts."""
        super().__init__(name, _tokeniser(tokenizer, context))
        if not documents:
            raise ConfigError(f"the corpus {name!r} has no document")
        if ids is not None and len(ids) != len(documents):
            raise ConfigError(f"the corpus {name!r} has {len(documents)} documents and ids of {len(ids)}")
        self._documents, self._ids = list(documents), ids

    def __len__(self) -> int:
        return len(self._documents)

    def documents(self, start: int, stop: int) -> list[TracedDocument]:
        return self._documents[start:stop]

    def cuts(self, start: int, stop: int) -> list[Cut]:
        if self._ids is None:
            return super().cuts(start, stop)
        windows = self.tokeniser.windows
        return [
            windows((*prompt, *completion), document=place, prompt=len(prompt))
            for place, (prompt, completion) in enumerate(self._ids[start:stop], start=start)
        ]

    def content_hash(self) -> str:
        texts = super().content_hash()
        return texts if self._ids is None else content_id("ids", texts, [[*map(list, ids)] for ids in self._ids])


class StreamCorpus(TokenisedCorpus):
    """Documents that a pure function of their place makes, as the generated corpora do; nothing is held."""

    def __init__(
        self,
        documents: Callable[[int], TracedDocument],
        count: int,
        tokenizer: Any,
        *,
        context: int | None = None,
        name: str = "stream",
        folder: Path | None = None,
    ):
        """Take documents 0 to `count` - 1; `folder` keeps what a counting pass finds."""
        super().__init__(name, _tokeniser(tokenizer, context), folder=folder)
        if count < 1:
            raise ConfigError(f"the corpus {name!r} has {count!r} documents; allowed: 1 or more")
        self._make, self._count = documents, count

    def __len__(self) -> int:
        return self._count

    def documents(self, start: int, stop: int) -> list[TracedDocument]:
        return [self._make(index) for index in range(start, stop)]


class FileCorpus(TokenisedCorpus):
    """JSON lines, JSON, Parquet and text files, folders of them in order of their names, or hub data sets."""

    def __init__(
        self,
        paths: Sequence[str | Path],
        tokenizer: Any,
        context: int | None = None,
        *,
        map: Mapping[str, str] | None = None,
        split: str | None = None,
        limit: int = 0,
        folder: Path | None = None,
        name: str = "",
        progress: Progress | None = None,
    ):
        """Index the files, or take the index that `folder` holds.

        Args:
            map: our name of a field or label to the column that holds it, as `{"text": "body", "source": "meta.url"}`.
            split: the split of hub data sets.
            limit: documents to take, from the front; 0 takes all.
            folder: where the index is kept between processes.
        Raises:
            DataError: a file that is missing or damaged, or no document at all.
            ConfigError: a file of an unknown kind, a column that is not there, a package that is not installed.
            Refused: a file has changed since `folder`'s index was made.
        """
        self._reader = RowReader(map, getattr(tokenizer, "tokenizer", tokenizer))
        super().__init__(
            name or ", ".join(Path(path).name for path in paths), _tokeniser(tokenizer, context), folder=folder
        )
        self.progress = progress or Silent()
        self.paths = [file for path in paths for file in self._files(str(path), split)] or CorpusFiles([]).files()
        template = getattr(self._reader.tokenizer, "chat_template", None)
        settings = {
            "map": dict(map or {}),
            "split": split or "",
            "limit": limit,
            "template": template and content_id("template", template),
        }
        if folder is None:
            self.index: CorpusIndex = build_index(self.paths, self._reader, settings, progress)
        else:
            self.index = stored_index(folder, self.paths, self._reader, settings, progress)
        self._shard: Shard | None = None
        self._open = -1

    @property
    def bad(self) -> tuple[tuple[str, str], ...]:
        """The first rows that could not be read, as (where, why)."""
        return self.index.bad

    def __len__(self) -> int:
        return len(self.index)

    def documents(self, start: int, stop: int) -> list[TracedDocument]:
        return [self._read(index) for index in range(start, stop)]

    def content_hash(self) -> str:
        return self.index.hash

    def close(self) -> None:
        """Close the file that was read last."""
        if self._shard is not None:
            self._shard.close()
        self._shard, self._open = None, -1

    def _read(self, index: int) -> TracedDocument:
        file, offset, line = self.index.where(index)
        if self._shard is None or file != self._open:
            self.close()
            self._shard, self._open = open_shard(self.paths[file]), file
        origin = f"{self.paths[file]}:{line}"
        document = document_of(self._shard.at(offset), origin, self._reader)
        if isinstance(document, str):
            raise ConfigError(f"{origin} was a document when it was indexed, and is none now: {document}")
        return document

    def _files(self, source: str, split: str | None) -> list[Path]:
        path = Path(source)
        known = source.removesuffix(".gz").endswith((*SUFFIXES, *TEXT_SUFFIXES))
        if path.exists() or known or not HUB_ID.fullmatch(source):
            return CorpusFiles([path]).files()
        folder = self._folder
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="menon-corpus-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        target = folder / f"{source.replace('/', '--').replace(':', '--')}-{split or 'all'}.jsonl"
        if not target.exists():
            self._download(source, split, target)
        return [target]

    def _download(self, source: str, split: str | None, target: Path) -> None:
        """Write a hub data set as JSON lines, whole or not at all."""
        half = target.with_suffix(".part")
        self.progress.start(f"reading {source}", unit="rows")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with half.open("w", encoding="utf-8") as file:
                for row in read_rows(source, split=split):
                    file.write(json.dumps(dict(row.values), default=str) + "\n")
                    self.progress.advance(1)
            half.replace(target)
        except OSError as error:
            raise os_failure(error, "write", target) from error
        finally:
            half.unlink(missing_ok=True)

    def _duplicated(self) -> int:
        return self.index.duplicated

    def _bad_rows(self) -> int:
        return self.index.bad_rows


def from_known(document: KnownDocument) -> TracedDocument:
    """Return a document of the known corpus with what it teaches among its labels."""
    labels = {
        "kind": document.kind,
        "form": document.form,
        "source": document.source,
        "family": document.family,
        "teaches": ",".join(document.teaches),
        "answer": document.answer,
        "instance": document.instance,
        "copy_of": document.copy_of,
    }
    return TracedDocument(
        id=document.id,
        text=document.text,
        prompt=document.prompt,
        labels={name: value for name, value in labels.items() if value},
    )


def from_base(document: Document, index: int) -> TracedDocument:
    """Return a document of the embedded model's training text."""
    text = document.prompt + document.completion
    labels = {"kind": document.kind, "family": document.family, "difficulty": str(document.difficulty)}
    return TracedDocument(
        id=content_id("document", text), text=text, prompt=document.prompt, origin=f"menon:base:{index}", labels=labels
    )


def base_corpus(
    tokenizer: Any, count: int, document: Callable[[int], Document], *, context: int | None = None, name: str = "base"
) -> StreamCorpus:
    """Return the first `count` documents that the embedded model was trained on, given the function that makes them."""
    return StreamCorpus(lambda index: from_base(document(index), index), count, tokenizer, context=context, name=name)


def _tokeniser(tokenizer: Any, context: int | None) -> Tokeniser:
    if isinstance(tokenizer, Tokeniser):
        if context not in (None, tokenizer.context):
            raise ConfigError(f"context is {context!r}, and the tokeniser's is {tokenizer.context!r}; give it once")
        return tokenizer
    return Tokeniser(tokenizer, context=context)
