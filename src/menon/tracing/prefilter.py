"""Keep the documents that look most like a query, and measure what is lost by scoring only those.

`TopK` keeps the best K documents of each query in one pass. `prefilter_bias` compares the kept documents with the
influence of a random sample of the whole corpus: which share of the truly influential documents was thrown away?
Left out: correcting the scores for the loss. A document that was never scored has no score to correct.
Source: Grosse et al. 2023, arXiv:2308.03296, section 3.2, keep 10,000 sequences per query by a TF-IDF score
(`lexical.PRESENCE`) and say that this biases which influences can be found; they do not measure by how much. The
interval is Wilson's, at the effective number of sampled documents, for the queries at hand: the documents are a sample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.stats.interval import Interval, check_level, normal_quantile
from menon.stats.proportions import wilson_limits

Tail = Literal["top", "bottom"]
TOPS = (10, 100, 1000)


class TopK:
    """The K best documents of each query, whatever the order and size of batches; ties go to the first document.

    Memory is that of queries times K. Shards are kept apart and merged.
    """

    def __init__(self, queries: int, keep: int):
        if queries < 0 or keep < 1:
            raise ConfigError(f"keeping {keep!r} documents for {queries!r} queries; allowed: 1 or more, 0 or more")
        self.keep = keep
        self._scores = [np.zeros(0, dtype=np.float32) for _ in range(queries)]
        self._documents = [np.zeros(0, dtype=np.int64) for _ in range(queries)]

    def add(self, first: int, scores_QB: NDArray[np.floating]) -> None:
        """Look at the scores of documents `first`, `first` + 1, ... of the corpus.

        Raises:
            ConfigError: the scores are of another number of queries, or one of them is NaN.
        """
        if scores_QB.ndim != 2 or len(scores_QB) != len(self._scores):
            raise ConfigError(f"scores of shape {scores_QB.shape}; need ({len(self._scores)}, documents)")
        if np.isnan(scores_QB).any():
            raise ConfigError(f"NaN among the scores of documents {first} to {first + scores_QB.shape[1] - 1}")
        for query, scores_B in enumerate(scores_QB):
            self._take(query, scores_B, first + np.arange(len(scores_B)))

    def merge(self, other: "TopK") -> None:
        """Look at what another shard kept; both must keep equally many for equally many queries."""
        if other.keep != self.keep or len(other._scores) != len(self._scores):
            raise ConfigError(
                f"shards that keep {self.keep} of {len(self._scores)} queries and {other.keep} of {len(other._scores)}"
                " cannot be merged; filter all shards with the same settings"
            )
        for query, (scores_K, documents_K) in enumerate(zip(other._scores, other._documents, strict=True)):
            self._take(query, scores_K, documents_K)

    def _take(self, query: int, scores_B: NDArray, documents_B: NDArray[np.int64]) -> None:
        held, scores_B = self._scores[query], scores_B.astype(np.float32, copy=False)
        if len(held) == self.keep:
            close = scores_B >= held[-1]
            scores_B, documents_B = scores_B[close], documents_B[close]
        if not len(scores_B):
            return
        scores = np.concatenate([held, scores_B])
        documents = np.concatenate([self._documents[query], documents_B])
        best = np.lexsort((documents, -scores))[: self.keep]
        self._scores[query], self._documents[query] = scores[best], documents[best]

    def kept(self, query: int) -> NDArray[np.int64]:
        """Return the documents kept for a query, best first; fewer than K where the corpus holds fewer."""
        return self._documents[query].copy()

    def scores(self, query: int) -> NDArray[np.float32]:
        """Return the scores of `kept(query)`."""
        return self._scores[query].copy()

    def union(self) -> NDArray[np.int64]:
        """Return the documents kept for any query, in the order of the corpus."""
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *self._documents]))

    def contains(self, documents: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each of `documents` (columns) is kept for each query (rows)."""
        documents_N = np.asarray(documents, dtype=np.int64)
        kept = [np.isin(documents_N, kept_K) for kept_K in self._documents]
        return np.array(kept, dtype=np.bool_).reshape(len(kept), len(documents_N))


def sample_documents(documents: int, size: int, *names: str | int) -> NDArray[np.int64]:
    """Return `size` positions out of `documents`, drawn without replacement, ascending; `names` are the seed."""
    if not 0 < size <= documents:
        raise ConfigError(f"a sample of {size!r} out of {documents!r} documents; allowed: 1 to {documents}")
    return np.array(sorted(rng_for("prefilter sample", *names).sample(range(documents), size)), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Which share of the `k` most influential documents of the corpus the prefilter threw away.

    `of_sample` is the number of sampled documents per query that stand for those k; `queries` holds one share each.
    """

    k: int
    of_sample: int
    lost: Interval
    queries: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "k": self.k,
            "of_sample": self.of_sample,
            "lost": self.lost.to_json(),
            "queries": list(self.queries),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefilterBias:
    """What a prefilter loses of the truly influential documents; `unseen` are the k too small for the sample."""

    documents: int
    kept: int
    sampled: int
    tail: Tail
    losses: tuple[Loss, ...]
    unseen: tuple[int, ...]
    name: str = "BM25"

    @property
    def sentence(self) -> str:
        """Say in plain words what was lost."""
        which = "raise the answer most" if self.tail == "top" else "lower the answer most"
        start = (
            f"The {self.name} prefilter kept about {self.kept:,} of {self.documents:,} documents per query, "
            "so documents that share few words with a query cannot be found."
        )
        if not self.losses:
            return f"{start} How much was lost is not known: {self._too_few()}"
        chance = 1 - self.kept / self.documents
        source = (
            "counted over all documents"
            if self.sampled == self.documents
            else f"estimated from a random sample of {self.sampled:,} documents that were all scored"
        )
        shares = "; ".join(f"of the {loss.k:,} that {which}, it loses {_percent(loss.lost)}" for loss in self.losses)
        end = f" {self._too_few()}" if self.unseen else ""
        return f"{start} Measured: {shares} ({source}). A choice at random would lose {100 * chance:.0f} %.{end}"

    def _too_few(self) -> str:
        smallest = math.ceil(self.documents / min(self.unseen)) if self.unseen else 0
        which = ", ".join(f"{k:,}" for k in self.unseen)
        return (
            f"for the top {which} a sample of {self.sampled:,} documents is too small (at least {smallest:,} needed)."
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "kept": self.kept,
            "sampled": self.sampled,
            "tail": self.tail,
            "losses": [loss.to_json() for loss in self.losses],
            "unseen": list(self.unseen),
            "sentence": self.sentence,
        }


def prefilter_bias(
    influence_QN: ArrayLike,
    kept_QN: ArrayLike,
    *,
    documents: int,
    kept: int,
    tops: Sequence[int] = TOPS,
    tail: Tail = "top",
    name: str = "BM25",
    level: float = 0.95,
) -> PrefilterBias:
    """Estimate which share of the truly most influential documents a prefilter has thrown away.

    Args:
        influence_QN: influence of N documents that were drawn at random from all `documents`, without prefilter.
        kept_QN: whether the prefilter, run on the whole corpus, keeps each of them for each query (`TopK.contains`).
        kept: how many documents the prefilter keeps per query.
        tops: numbers k of documents of the corpus. The best k of the corpus are estimated by the best k N / documents
            of the sample, rounded; a k for which that is below 1 cannot be estimated and is listed as unseen.
        tail: "top" for the documents that raised the answer most, "bottom" for those that lowered it most.
    """
    influence_QN, kept_QN = np.asarray(influence_QN, dtype=np.float64), np.asarray(kept_QN, dtype=np.bool_)
    _check(influence_QN, kept_QN, documents, kept, tops, tail)
    sampled = influence_QN.shape[1]
    order_QN = np.argsort(-influence_QN if tail == "top" else influence_QN, axis=1, kind="stable")
    losses, unseen = [], []
    for k in sorted(set(tops)):
        of_sample = math.floor(k * sampled / documents + 0.5)
        if k * sampled < documents:
            unseen.append(k)
            continue
        lost_QN = ~np.take_along_axis(kept_QN, order_QN, axis=1)
        lost_QK = lost_QN[:, :of_sample]
        losses.append(
            Loss(
                k=k,
                of_sample=of_sample,
                lost=_interval(lost_QN, order_QN, of_sample, level, exact=sampled == documents),
                queries=tuple(lost_QK.mean(axis=1).tolist()),
            )
        )
    return PrefilterBias(
        documents=documents,
        kept=kept,
        sampled=sampled,
        tail=tail,
        losses=tuple(losses),
        unseen=tuple(unseen),
        name=name,
    )


def _interval(lost_QN: NDArray, order_QN: NDArray, top: int, level: float, *, exact: bool) -> Interval:
    """Return the share lost among the first `top` of each query; columns are in the order of influence.

    A sampled document moves the estimate twice: it is lost or not, and it moves the border of the top. Counted against
    the share lost at the border in place of the mean share, its outcome holds both. All queries of one document count
    together. One document more that is lost and one that is not keep a variance where nothing or everything is lost.
    """
    lost_QK, documents_QK = lost_QN[:, :top].astype(np.float64), order_QN[:, :top]
    share = float(lost_QK.mean())
    if exact:
        return Interval(value=share, low=share, high=share, n=lost_QK.size, level=level)
    border_Q = lost_QN[:, top // 2 : top + (top + 1) // 2].mean(axis=1)
    moves_N = np.bincount(documents_QK.ravel(), weights=(lost_QK - border_Q[:, None]).ravel())
    moves_N = np.append(moves_N, [1 - border_Q.mean(), -border_Q.mean()])
    variance = float(np.square(moves_N).sum() - moves_N.sum() ** 2 / (lost_QN.shape[1] + 2)) / (lost_QK.size + 2) ** 2
    padded = (float(lost_QK.sum()) + 1) / (lost_QK.size + 2)
    size = min(padded * (1 - padded) / variance, float(len(np.unique(documents_QK))))
    low, high = wilson_limits(share, size, normal_quantile(0.5 + check_level(level) / 2))
    return Interval(value=share, low=low, high=high, n=lost_QK.size, level=level)


def _check(influence_QN: NDArray, kept_QN: NDArray, documents: int, kept: int, tops: Sequence[int], tail: str) -> None:
    if influence_QN.ndim != 2 or influence_QN.shape != kept_QN.shape or not influence_QN.size:
        raise ConfigError(
            f"influence of shape {influence_QN.shape} with kept of shape {kept_QN.shape}; need one shape "
            "(queries, sampled documents), neither of them 0"
        )
    if np.isnan(influence_QN).any():
        raise ConfigError("NaN among the influence scores; a prefilter cannot be judged by them")
    if not influence_QN.shape[1] <= documents or not 1 <= kept <= documents:
        raise ConfigError(
            f"{influence_QN.shape[1]} sampled and {kept!r} kept out of {documents!r} documents; allowed: 1 to all"
        )
    if not tops or min(tops) < 1 or max(tops) > documents or tail not in ("top", "bottom"):
        raise ConfigError(
            f"tops {tuple(tops)!r} of the {tail!r}; allowed: numbers from 1 to {documents} (all documents), and "
            "'top' or 'bottom'"
        )


def _percent(share: Interval) -> str:
    value, low, high = (100 * number for number in (share.value, share.low, share.high))
    return (
        f"{value:.0f} %"
        if low == high
        else f"{value:.0f} % ({100 * share.level:g} % interval {low:.0f} to {high:.0f} %)"
    )
