"""What all corpora share: token sequences by place, and what one counting pass over all documents says of them.

The pass is made on demand and may be kept in a folder: tokens of every document (4 bytes each), how many are empty,
long or repeated. Left out: counts of what a pass has not read; an estimate before it is `estimate_tokens`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from menon.core.errors import DataError
from menon.core.progress import Progress, Silent
from menon.core.seeds import content_id
from menon.store import atomic_write
from menon.tracing.corpus_index import digest
from menon.tracing.tokenise import Cut, Tokeniser
from menon.tracing.values import TokenSequence, TracedDocument

BLOCK = 256  # documents tokenised at a time
MOST_LABELS = 4096  # different values of one label; further ones are counted together
OTHER = "(other)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusNotes:
    """What is to be known of a corpus before its scores are believed.

    `tokens` are those that a pass reads. `empty` documents predict no token, and are in the corpus without a sequence;
    `duplicated` ones have the text of an earlier one; `split_long` ones are longer than the context, and were split or
    truncated; `skipped` ones were left out for it; `bad_rows` are no documents at all.
    """

    documents: int = 0
    sequences: int = 0
    tokens: int = 0
    empty: int = 0
    duplicated: int = 0
    split_long: int = 0
    skipped: int = 0
    bad_rows: int = 0

    def sentences(self, *, truncated: bool = False) -> tuple[str, ...]:
        """Say what is odd, one sentence for each."""
        long = "cut off there" if truncated else "split into windows whose scores are added"
        told = (
            (self.bad_rows, "rows could not be read as documents and are left out"),
            (self.empty, "documents are too short to predict a token; their score is 0"),
            (self.duplicated, "documents repeat an earlier one word for word; each is scored by itself"),
            (self.split_long, f"documents are longer than the model's context and were {long}"),
            (self.skipped, "documents are longer than the model's context and were skipped"),
        )
        return tuple(f"{count:,} {words}" for count, words in told if count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Tokens of every document (N,), and the notes."""

    tokens_N: np.ndarray
    notes: CorpusNotes

    def save(self, path: Path) -> None:
        atomic_write(path, save({"tokens": self.tokens_N}, {"notes": json.dumps(asdict(self.notes))}))

    @classmethod
    def load(cls, path: Path) -> "Counts":
        try:
            with safe_open(path, "np") as file:
                notes = json.loads((file.metadata() or {})["notes"])
            return cls(tokens_N=load_file(path)["tokens"], notes=CorpusNotes(**notes))
        except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
            raise DataError(f"the counts {str(path)!r} cannot be read ({error}); delete the file") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelColumn:
    """One label of all documents: `codes_N[d]` is the place in `values` of what document d says, "" where nothing."""

    values: tuple[str, ...]
    codes_N: np.ndarray

    def shares(self) -> dict[str, float]:
        """Return the share of documents that have each value, the most frequent first."""
        counts = np.bincount(self.codes_N, minlength=len(self.values)) / max(1, len(self.codes_N))
        return {self.values[i]: float(counts[i]) for i in np.argsort(-counts, kind="stable") if counts[i]}


class TokenisedCorpus:
    """The base of the corpora: give it a name, a tokeniser, the documents of a range and their number."""

    def __init__(self, name: str, tokeniser: Tokeniser, *, folder: Path | None = None):
        self.name, self.tokeniser = name, tokeniser
        self.progress: Progress = Silent()
        self._folder = folder
        self._counts: Counts | None = None
        self._hash = ""

    def __len__(self) -> int:
        raise NotImplementedError

    def documents(self, start: int, stop: int) -> list[TracedDocument]:
        """Return the documents `start` to `stop` - 1."""
        raise NotImplementedError

    def document(self, index: int) -> TracedDocument:
        """Return one document.

        Raises:
            IndexError: there is none at this place.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"the corpus {self.name!r} has {len(self)} documents, and {index} was asked for")
        return self.documents(index, index + 1)[0]

    def documents_at(self, indices: Sequence[int]) -> list[TracedDocument]:
        """Return documents in the order asked for; they are read in the order of the corpus."""
        found = {index: self.document(index) for index in sorted(set(indices))}
        return [found[index] for index in indices]

    def cuts(self, start: int, stop: int) -> list[Cut]:
        """Return what became of the documents `start` to `stop` - 1 when they were tokenised."""
        return self.tokeniser.cut(self.documents(start, stop), start)

    def sequences(self, start: int, stop: int) -> list[TokenSequence]:
        """Return the token sequences of the documents `start` to `stop` - 1, in order; an empty document has none."""
        return [sequence for cut in self.cuts(start, min(stop, len(self))) for sequence in cut.sequences]

    @property
    def hash(self) -> str:
        """A hash of all texts in order, of the tokenizer, and of how documents are cut."""
        if not self._hash:
            self._hash = content_id("traced corpus", self.content_hash(), self.tokeniser.hash)
        return self._hash

    def content_hash(self) -> str:
        """Return a hash of the documents alone."""
        found = sha256()
        for document in self:
            parts = (document.prompt.encode("utf-8", "replace"), document.text.encode("utf-8", "replace"))
            found.update(b"".join(len(part).to_bytes(8, "little") + part for part in parts))
        return found.hexdigest()[:20]

    @property
    def notes(self) -> CorpusNotes:
        """What a pass over all documents counts; the first use makes the pass, unless it is stored."""
        return self.counts().notes

    @property
    def tokens_N(self) -> np.ndarray:
        """Tokens that a pass reads for each document (int32), 0 for an empty one; counted as `notes` are."""
        return self.counts().tokens_N

    def counts(self) -> Counts:
        """Return the stored counts, or count."""
        if self._counts is None:
            path = None if self._folder is None else self._folder / f"counts-{self.hash}.safetensors"
            if path is not None and path.exists():
                self._counts = Counts.load(path)
            else:
                self._counts = self._counted()
                if path is not None:
                    self._counts.save(path)
        return self._counts

    def estimate_tokens(self, sample: int = 256) -> int:
        """Return the number of tokens of the whole corpus, from `sample` documents evenly over it if not counted."""
        if self._counts is not None:
            return self._counts.notes.tokens
        count = min(sample, len(self))
        places = [place * len(self) // count for place in range(count)]
        tokens = sum(cut.tokens for cut in self.tokeniser.cut(self.documents_at(places)))
        return round(tokens * len(self) / count)

    def labels(self, *names: str) -> dict[str, LabelColumn]:
        """Return some labels of all documents, from one pass over them."""
        values: dict[str, dict[str, int]] = {name: {"": 0} for name in names}
        codes = {name: np.zeros(len(self), dtype=np.int32) for name in names}
        for place, document in enumerate(self):
            for name in names:
                known = values[name]
                value = document.labels.get(name, "")
                value = value if value in known or len(known) < MOST_LABELS else OTHER
                codes[name][place] = known.setdefault(value, len(known))
        return {name: LabelColumn(values=tuple(values[name]), codes_N=codes[name]) for name in names}

    def __iter__(self) -> Iterator[TracedDocument]:
        """Yield all documents in order, read a block at a time."""
        for start in range(0, len(self), BLOCK):
            yield from self.documents(start, min(start + BLOCK, len(self)))

    def _duplicated(self) -> int:
        digests = np.fromiter(map(digest, self), dtype=np.uint64, count=len(self))
        return len(self) - len(np.unique(digests))

    def _bad_rows(self) -> int:
        return 0

    def _counted(self) -> Counts:
        tokens_N = np.zeros(len(self), dtype=np.int32)
        notes = CorpusNotes(documents=len(self), duplicated=self._duplicated(), bad_rows=self._bad_rows())
        sequences = empty = long = skipped = 0
        self.progress.start(f"counting tokens of {self.name}", total=len(self), unit="documents")
        for start in range(0, len(self), BLOCK):
            cuts = self.cuts(start, min(start + BLOCK, len(self)))
            for place, cut in enumerate(cuts, start=start):
                tokens_N[place] = cut.tokens
                sequences += len(cut.sequences)
                empty += not cut.sequences and not cut.skipped
                skipped += cut.skipped
                long += cut.long and not cut.skipped
            self.progress.advance(len(cuts))
        notes = replace(
            notes,
            sequences=sequences,
            tokens=int(tokens_N.sum(dtype=np.int64)),
            empty=empty,
            split_long=long,
            skipped=skipped,
        )
        return Counts(tokens_N=tokens_N, notes=notes)
