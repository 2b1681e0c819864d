"""Document frequencies of tokens: the first of the two passes that lexical scores need.

Counts are kept per token id, so memory grows with the vocabulary and not with the documents. Shards are counted apart
and merged, in any order. Left out: positions, and pruning of rare or frequent tokens (every token counts).
Source: the counts behind the IDF of Sparck Jones 1972, J. Documentation 28:11.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Self

import numpy as np
from numpy.typing import NDArray

from menon.core.errors import ConfigError, DataError
from menon.tracing.values import TokenSequence

WORD = re.compile(r"\w+")
LARGEST_ID = 1 << 26  # a vocabulary has one counter per id up to the largest: 512 MiB here
TOKENS_AT_ONCE = 1 << 18

Ids = Sequence[int] | NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """The distinct tokens of each of `documents` documents: sorted by document, then by token id (E entries)."""

    documents: int
    lengths_N: NDArray[np.int64]
    document_E: NDArray[np.int64]
    token_E: NDArray[np.int64]
    count_E: NDArray[np.int64]


class DocumentFrequencies:
    """In how many documents each token occurs, over how many documents and tokens.

    Empty documents count as documents. Ids are 0 or larger; no vocabulary size has to be known.
    """

    def __init__(self) -> None:
        self.documents = 0
        self.tokens = 0
        self._counts_V = np.zeros(0, dtype=np.int64)

    @property
    def counts_V(self) -> NDArray[np.int64]:
        """The number of documents that hold each token id, up to the largest id seen."""
        return self._counts_V

    @property
    def mean_length(self) -> float:
        return self.tokens / self.documents if self.documents else 0.0

    def add(self, ids: Ids) -> None:
        """Count one document."""
        self.add_batch([ids])

    def add_batch(self, batch: Sequence[Ids]) -> None:
        """Count many documents; much faster than one by one.

        Raises:
            DataError: an id that is negative or beyond `LARGEST_ID`.
        """
        for part in parts(batch):
            counted = token_counts(part)
            self._include(np.bincount(counted.token_E) if len(counted.token_E) else np.zeros(0, dtype=np.int64))
            self.documents += counted.documents
            self.tokens += int(counted.lengths_N.sum())

    def merge(self, other: Self) -> None:
        """Add the counts of another shard."""
        self._include(other.counts_V)
        self.documents += other.documents
        self.tokens += other.tokens

    def _include(self, counts_V: NDArray[np.int64]) -> None:
        longest = max(len(self._counts_V), len(counts_V))
        # Padding each time is as good as a spare capacity: the length changes only with a new largest id.
        if len(self._counts_V) < longest:
            self._counts_V = np.pad(self._counts_V, (0, longest - len(self._counts_V)))
        self._counts_V[: len(counts_V)] += counts_V

    def to_arrays(self) -> dict[str, NDArray[np.int64]]:
        """Return plain arrays for safetensors or npz."""
        return {
            "document_frequencies": self._counts_V.copy(),
            "totals": np.array([self.documents, self.tokens], dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Self:
        """Read what `to_arrays` wrote.

        Raises:
            DataError: a missing array, a wrong shape, or counts that no corpus can have.
        """
        try:
            counts_V, totals = np.asarray(arrays["document_frequencies"]), np.asarray(arrays["totals"])
        except KeyError as error:
            raise DataError(f"document frequencies without the array {error}; count the corpus again") from None
        if counts_V.ndim != 1 or totals.shape != (2,) or not all(a.dtype.kind in "iu" for a in (counts_V, totals)):
            raise DataError(
                f"document frequencies of shape {counts_V.shape} {counts_V.dtype} with totals of shape "
                f"{totals.shape} {totals.dtype}; need integers of shapes (vocabulary,) and (2,); count the corpus again"
            )
        documents, tokens = (int(total) for total in totals)
        most, least = int(counts_V.max(initial=0)), int(counts_V.min(initial=0))
        if documents < 0 or least < 0 or most > documents or int(counts_V.sum()) > tokens:
            raise DataError(
                f"document frequencies from {least} to {most} of {documents} documents with {tokens} tokens; no corpus "
                "has them: the file is damaged, count the corpus again"
            )
        frequencies = cls()
        frequencies.documents, frequencies.tokens = documents, tokens
        frequencies._counts_V = counts_V.astype(np.int64)
        return frequencies


def token_counts(batch: Sequence[Ids]) -> TokenCounts:
    """Count the tokens of each document of a batch; raise `DataError` for ids that cannot be token ids."""
    lengths_N = np.fromiter((len(ids) for ids in batch), dtype=np.int64, count=len(batch))
    flat = _flat(batch, int(lengths_N.sum()))
    if len(flat) and (int(flat.min()) < 0 or int(flat.max()) > LARGEST_ID):
        wrong = int(flat.min()) if int(flat.min()) < 0 else int(flat.max())
        raise DataError(f"token id {wrong}; allowed: 0 to {LARGEST_ID}; was the text tokenised, and padding removed?")
    width = int(flat.max(initial=0)) + 1
    keys = np.repeat(np.arange(len(batch), dtype=np.int64) * width, lengths_N)
    keys += flat
    keys.sort()
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, dtype=np.intp)
    distinct = keys[first]
    document_E = distinct // width
    return TokenCounts(
        documents=len(batch),
        lengths_N=lengths_N,
        document_E=document_E,
        token_E=distinct - document_E * width,
        count_E=np.diff(first, append=len(keys)),
    )


def _flat(batch: Sequence[Ids], total: int) -> NDArray[np.int64]:
    if batch and all(isinstance(ids, np.ndarray) for ids in batch):
        joined = np.concatenate([np.asarray(ids) for ids in batch])
        if joined.dtype.kind not in "iu" and len(joined):
            raise DataError(f"token ids of type {joined.dtype}; need integers")
        return joined.astype(np.int64, copy=False)
    try:
        return np.fromiter(chain.from_iterable(batch), dtype=np.int64, count=total)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"token ids that are not integers ({error}); tokenise the text first") from None


def parts(batch: Sequence[Ids]) -> Iterator[Sequence[Ids]]:
    """Cut a batch where its documents exceed `TOKENS_AT_ONCE` tokens, so that memory does not depend on its length."""
    first = tokens = 0
    for place, ids in enumerate(batch):
        tokens += len(ids)
        if tokens >= TOKENS_AT_ONCE:
            yield batch[first : place + 1]
            first, tokens = place + 1, 0
    if first < len(batch):
        yield batch[first:]


def documents_of(sequences: Iterable[TokenSequence]) -> Iterator[tuple[int, list[int]]]:
    """Join the sequences of each document, in order; yield its position in the corpus and its token ids.

    Tokens that a sequence repeats from the one before it (an overlap, a begin-of-text token) are taken once.
    """
    for document, pieces in groupby(sequences, key=lambda sequence: sequence.document):
        ids: list[int] = []
        for piece in pieces:
            ids += piece.ids[max(0, len(ids) - piece.start) :]
        yield document, ids


class WordIds:
    """Numbers words in the order in which they are first seen, for corpora without a tokenizer.

    Words are case-folded runs of letters, digits and underscores. Shards share one object, or their counts cannot be
    merged.
    """

    def __init__(self, words: Sequence[str] = ()):
        self._ids = {word: place for place, word in enumerate(words)}
        if len(self._ids) != len(words):
            raise ConfigError(f"{len(words) - len(self._ids)} words are given twice; each word has one id")

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self._ids)

    def ids(self, text: str) -> list[int]:
        """Return the ids of the words of `text`; new words get new ids."""
        known = self._ids
        return [known.setdefault(word, len(known)) for word in WORD.findall(text.casefold())]
