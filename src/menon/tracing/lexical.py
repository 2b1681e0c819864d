"""BM25 and TF-IDF of queries against documents, over token ids: the baselines beside every influence score.

Two passes over the corpus: `DocumentFrequencies` counts, `LexicalScorer` scores batch after batch. A document's scores
depend on its own tokens and on the counts only, so batches and shards of any size give the same bits.
What counts:
    query        its prompt and completion tokens; a token that occurs twice counts twice
    unseen       a token that the counted documents do not hold counts for nothing (in a document: for its length only)
    empty        an empty query, an empty document, or one without a seen token scores 0
Left out: stop words, stemming, and pseudo relevance feedback.
Source: BM25 is that of Robertson and Zaragoza 2009, Found. Trends Inf. Retr. 3:333, with k1 = 1.5 and
b = 0.75, inside the ranges that they advise. Its IDF has + 1 inside the logarithm, as in Grosse et al. 2023,
arXiv:2308.03296, section 3.2, so that frequent tokens never count against a document. `PRESENCE` is the score of Grosse
et al., which looks at whether a token occurs at all and not at lengths: its fraction in k1 is then 1 and it is the sum
of the IDFs of the shared tokens. TF-IDF is scikit-learn's default: raw counts, ln((1 + n) / (1 + df)) + 1, cosine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from menon.core.errors import ConfigError, DataError
from menon.tracing.lexical_frequencies import (
    DocumentFrequencies,
    Ids,
    TokenCounts,
    WordIds,
    documents_of,
    parts,
    token_counts,
)

__all__ = ["OKAPI", "PRESENCE", "Bm25", "DocumentFrequencies", "LexicalScorer", "WordIds", "documents_of", "scores"]

CELLS_AT_ONCE = 1 << 21  # entries times queries looked at together


@dataclass(frozen=True, slots=True, kw_only=True)
class Bm25:
    """`k1` says how fast repetitions of a token saturate, `b` how much length counts; `presence` ignores both."""

    k1: float = 1.5
    b: float = 0.75
    presence: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.k1 < math.inf and 0 <= self.b <= 1):
            raise ConfigError(f"BM25 with k1={self.k1!r}, b={self.b!r}; allowed: finite k1 >= 0 and 0 <= b <= 1")


OKAPI = Bm25()
PRESENCE = Bm25(presence=True)


class LexicalScorer:
    """Scores documents against fixed queries; holds the vocabulary and the queries, never a document.

    Raises:
        DataError: no document was counted, so no token has a frequency.
    """

    def __init__(self, frequencies: DocumentFrequencies, queries: Sequence[Ids], *, bm25: Bm25 = OKAPI):
        if not frequencies.documents:
            raise DataError("lexical scores from 0 counted documents; count the corpus with DocumentFrequencies first")
        self._bm25 = bm25
        self._mean_length = frequencies.mean_length
        counts_V, documents = frequencies.counts_V.astype(np.float64), frequencies.documents
        seen_V = counts_V > 0
        self._bm25_idf_V = np.where(seen_V, np.log1p((documents - counts_V + 0.5) / (counts_V + 0.5)), 0.0)
        self._idf_V = np.where(seen_V, np.log((1 + documents) / (1 + counts_V)) + 1, 0.0)
        counted = token_counts(queries)
        known = counted.token_E < len(seen_V)
        known[known] = seen_V[counted.token_E[known]]
        tokens_U, column_E = np.unique(counted.token_E[known], return_inverse=True)
        self._row_V = np.full(len(seen_V), -1, dtype=np.int64)
        self._row_V[tokens_U] = np.arange(len(tokens_U))
        self._counts_UQ = np.zeros((len(tokens_U), len(queries)))
        self._counts_UQ[column_E, counted.document_E[known]] = counted.count_E[known]
        norms_Q = np.sqrt(np.square(self._counts_UQ * self._idf_V[tokens_U, None]).sum(axis=0))
        self._scale_Q = np.divide(1.0, norms_Q, out=np.zeros_like(norms_Q), where=norms_Q > 0)

    @property
    def queries(self) -> int:
        return self._counts_UQ.shape[1]

    def score(self, batch: Sequence[Ids]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return BM25 and TF-IDF cosine, each float32 of shape (Q, B) for B documents.

        BM25 is 0 or more and has no upper end; the cosine lies in [0, 1].
        """
        bm25_QB = np.zeros((self.queries, len(batch)), dtype=np.float32)
        tfidf_QB = np.zeros((self.queries, len(batch)), dtype=np.float32)
        first = 0
        for part in parts(batch):
            columns = slice(first, first + len(part))
            self._score(token_counts(part), bm25_QB[:, columns], tfidf_QB[:, columns])
            first += len(part)
        return bm25_QB, tfidf_QB

    def _score(self, counted: TokenCounts, bm25_QB: NDArray[np.float32], tfidf_QB: NDArray[np.float32]) -> None:
        inside = counted.token_E < len(self._row_V)
        document_E, token_E, count_E = (a[inside] for a in (counted.document_E, counted.token_E, counted.count_E))
        weight_E = count_E * self._idf_V[token_E]
        norm_N = np.sqrt(np.bincount(document_E, weights=weight_E * weight_E, minlength=counted.documents))
        shared = np.flatnonzero(self._row_V[token_E] >= 0)
        document_E, token_E, count_E = document_E[shared], token_E[shared], count_E[shared]
        tfidf_E = weight_E[shared] * self._idf_V[token_E] / norm_N[document_E]
        bm25_E = self._bm25_idf_V[token_E] * self._saturation(count_E, counted.lengths_N[document_E])
        row_E = self._row_V[token_E]
        for first, last in _blocks(document_E, max(1, CELLS_AT_ONCE // max(1, self.queries))):
            starts = np.flatnonzero(np.diff(document_E[first:last], prepend=-1))
            columns = document_E[first:last][starts]
            counts_EQ = self._counts_UQ[row_E[first:last]]
            # reduceat adds the entries of one document in order, whatever stands beside it.
            bm25_QB[:, columns] = np.add.reduceat(counts_EQ * bm25_E[first:last, None], starts, axis=0).T
            counts_EQ *= tfidf_E[first:last, None]
            tfidf_QB[:, columns] = (np.add.reduceat(counts_EQ, starts, axis=0) * self._scale_Q).T
        np.minimum(tfidf_QB, 1.0, out=tfidf_QB)

    def _saturation(self, count_E: NDArray[np.int64], length_E: NDArray[np.int64]) -> NDArray[np.float64]:
        if self._bm25.presence:
            return np.ones(len(count_E))
        k1, b = self._bm25.k1, self._bm25.b
        return count_E * (k1 + 1) / (count_E + k1 * (1 - b + b * length_E / self._mean_length))


def _blocks(document_E: NDArray[np.int64], most: int) -> list[tuple[int, int]]:
    """Cut entries into runs of whole documents with about `most` entries each."""
    borders = np.append(np.flatnonzero(np.diff(document_E)) + 1, len(document_E))
    blocks, first = [], 0
    while first < len(document_E):
        place = min(int(np.searchsorted(borders, first + most)), len(borders) - 1)
        blocks.append((first, int(borders[place])))
        first = int(borders[place])
    return blocks


def scores(
    documents: Sequence[Ids], queries: Sequence[Ids], *, bm25: Bm25 = OKAPI
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return BM25 and TF-IDF of `queries` against `documents` that fit in memory, both passes at once."""
    frequencies = DocumentFrequencies()
    frequencies.add_batch(documents)
    return LexicalScorer(frequencies, queries, bm25=bm25).score(documents)
