"""What stands at the top and the bottom of a ranking: precision, recall, and shares against those of the corpus.

Rankings are by score; equal scores keep the order of the documents. Limits are over queries, with the corpus taken as
it is. Left out: limits over documents, and limits for a single query (they are those that any share has).
Sources: Ruis et al. 2024, arXiv:2411.12580, section 5.2 (over-representation; its limits are ours); Wilson 1927, J. Am.
Stat. Assoc. 22:209, at the effective size of Kish 1965, "Survey Sampling".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError
from menon.stats.clusters import Clusters
from menon.stats.interval import Interval, check_level, t_quantile
from menon.stats.proportions import effective_size, wilson_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class AtK:
    """Mean precision and recall of the `k` best documents over queries, and what a random ranking would have.

    `recall` is None where no query has a true document.
    """

    k: int
    precision: Interval
    recall: Interval | None
    random_precision: float
    random_recall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplier:
    """The share of a label in the `k` best and the `k` worst documents, and over its share in the corpus."""

    label: str
    k: int
    corpus_share: float
    top_share: Interval
    bottom_share: Interval
    top: Interval
    bottom: Interval


def ranked(scores: ArrayLike, k: int | None = None, *, bottom: bool = False) -> NDArray[np.intp]:
    """Return the positions of the `k` highest (or lowest) scores, the most extreme first; ties by position."""
    scores_N = _row(scores)
    k = len(scores_N) if k is None else k
    if not 1 <= k <= len(scores_N):
        raise ConfigError(f"k {k!r}; must lie in 1..{len(scores_N)}, the number of documents")
    # Unsigned and narrow integers would wrap when negated.
    keys_N = scores_N if bottom else -(scores_N if scores_N.dtype.kind == "f" else scores_N.astype(np.float64))
    if k == len(scores_N):
        return np.argsort(keys_N, kind="stable")
    limit = np.partition(keys_N, k - 1)[k - 1]
    before, level = np.flatnonzero(keys_N < limit), np.flatnonzero(keys_N == limit)
    chosen = np.sort(np.concatenate([before, level[: k - len(before)]]))
    return chosen[np.argsort(keys_N[chosen], kind="stable")]


def precision_at(scores: ArrayLike, truth: ArrayLike, k: int) -> float:
    """Return the share of the `k` best documents that are true."""
    return float(_truth(truth, scores)[ranked(scores, k)].mean())


def recall_at(scores: ArrayLike, truth: ArrayLike, k: int) -> float:
    """Return the share of the true documents among the `k` best; NaN where none is true."""
    truth_N = _truth(truth, scores)
    total = int(truth_N.sum())
    return float(truth_N[ranked(scores, k)].sum()) / total if total else np.nan


def average_precision(scores: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean, over true documents, of the precision down to each; NaN where none is true."""
    hits = _truth(truth, scores)[ranked(scores)]
    places = np.flatnonzero(hits) + 1
    return float((np.arange(1, len(places) + 1) / places).mean()) if len(places) else np.nan


def random_average_precision(documents: int, true: int) -> float:
    """Return the expected average precision of a random ranking of `documents`, of which `true` are true."""
    if not 1 <= true <= documents:
        raise ConfigError(f"{true!r} true of {documents!r} documents; need at least one, and no more than there are")
    if documents == 1:
        return 1.0
    harmonic = float((1 / np.arange(1, documents + 1)).sum())
    return (harmonic + (documents - harmonic) * (true - 1) / (documents - 1)) / documents


def precision_recall(
    scores_QN: ArrayLike | Sequence[ArrayLike],
    truth_QN: ArrayLike | Sequence[ArrayLike],
    ks: Sequence[int],
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> tuple[AtK, ...]:
    """Return precision and recall at every k as means over queries; `clusters` holds one label per query.

    A query without a true document counts in the precision and not in the recall.
    """
    hits, totals, documents = [], [], []
    for scores_N, truth_N in _paired(scores_QN, truth_QN):
        found = np.cumsum(truth_N[ranked(scores_N, _most(ks, len(scores_N)))])
        hits.append([found[k - 1] for k in ks])
        totals.append(truth_N.sum())
        documents.append(len(scores_N))
    hits_QK, totals_Q, documents_Q = np.array(hits, dtype=np.float64), np.array(totals, dtype=np.float64), documents
    labels = None if clusters is None else np.asarray(clusters)
    has = totals_Q > 0
    rows = []
    for column, k in enumerate(ks):
        recall = None
        if has.any():
            of_these = None if labels is None else labels[has]
            recall = mean_share(hits_QK[has, column] / totals_Q[has], of_these, most=float(totals_Q.sum()), level=level)
        rows.append(
            AtK(
                k=int(k),
                precision=mean_share(hits_QK[:, column] / k, labels, most=float(k * len(hits)), level=level),
                recall=recall,
                random_precision=float((totals_Q / documents_Q).mean()),
                random_recall=float((k / np.array(documents_Q)).mean()),
            )
        )
    return tuple(rows)


def mean_average_precision(
    scores_QN: ArrayLike | Sequence[ArrayLike],
    truth_QN: ArrayLike | Sequence[ArrayLike],
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Interval:
    """Return the mean average precision over the queries that have a true document.

    Raises:
        ConfigError: no query has one.
    """
    pairs = list(_paired(scores_QN, truth_QN))
    values = np.array([average_precision(scores_N, truth_N) for scores_N, truth_N in pairs])
    has = np.isfinite(values)
    if not has.any():
        raise ConfigError("no query has a true document; average precision has no value")
    labels = None if clusters is None else np.asarray(clusters)[has]
    return mean_share(values[has], labels, most=float(sum(truth_N.sum() for _, truth_N in pairs)), level=level)


def multipliers(
    scores_QN: ArrayLike | Sequence[ArrayLike],
    labels: ArrayLike,
    ks: Sequence[int],
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> tuple[Multiplier, ...]:
    """Return how over-represented every label (one per document) is at both ends of the rankings.

    A random ranking has a multiplier of 1. `clusters` holds one label per query.
    """
    names, index_N = np.unique(np.asarray(labels), return_inverse=True)
    counts_EQKS: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for scores in scores_QN:  # type: ignore[union-attr]
        scores_N = _row(scores)
        if index_N.shape != scores_N.shape:
            raise ConfigError(f"{len(index_N)} labels for {len(scores_N)} documents; give one per document")
        for end, bottom in enumerate((False, True)):
            sources = index_N[ranked(scores_N, _most(ks, len(scores_N)), bottom=bottom)]
            counts_EQKS[end].append(np.stack([np.bincount(sources[:k], minlength=len(names)) for k in ks]))
    if not counts_EQKS[0]:
        raise ConfigError("no row of scores; at least one query is needed")
    shares_S = np.bincount(index_N) / len(index_N)
    top_QKS, bottom_QKS = (np.stack(counts) for counts in counts_EQKS)
    rows = []
    for number, name in enumerate(names):
        for column, k in enumerate(ks):
            most = float(k * len(top_QKS))
            top = mean_share(top_QKS[:, column, number] / k, clusters, most=most, level=level)
            bottom = mean_share(bottom_QKS[:, column, number] / k, clusters, most=most, level=level)
            share = float(shares_S[number])
            rows.append(
                Multiplier(
                    label=str(name),
                    k=int(k),
                    corpus_share=share,
                    top_share=top,
                    bottom_share=bottom,
                    top=_over(top, share),
                    bottom=_over(bottom, share),
                )
            )
    return tuple(rows)


def mean_share(
    values: ArrayLike, clusters: ArrayLike | None = None, *, most: float | None = None, level: float = 0.95
) -> Interval:
    """Return the mean of shares in [0, 1], one per query, with Wilson limits at the effective number of outcomes.

    `most` is how many single outcomes are behind the values (default: one each). The quantile is Student's, and one
    query (or cluster) alone has limits 0 and 1.
    """
    values_Q = np.asarray(values, dtype=np.float64)
    if values_Q.ndim != 1 or not len(values_Q) or not bool(np.all((values_Q >= 0) & (values_Q <= 1))):
        raise ConfigError(f"shares of shape {values_Q.shape!r}; need a vector of at least one number in [0, 1]")
    groups = Clusters.of(clusters, len(values_Q))
    mean = min(1.0, float(values_Q.mean()))
    low, high = 0.0, 1.0
    if len(groups) > 1:
        size = effective_size(
            groups.totals(values_Q), groups.sizes, most=max(len(values_Q), len(values_Q) if most is None else most)
        )
        # effective_size divides by G; an unbiased variance divides by G - 1.
        size *= (len(groups) - 1) / len(groups)
        low, high = wilson_limits(mean, size, t_quantile(0.5 + check_level(level) / 2, len(groups) - 1))
    return Interval(value=mean, low=low, high=high, n=len(values_Q), level=level)


def _over(share: Interval, corpus_share: float) -> Interval:
    return Interval(
        value=share.value / corpus_share,
        low=share.low / corpus_share,
        high=share.high / corpus_share,
        n=share.n,
        level=share.level,
    )


def _most(ks: Sequence[int], documents: int) -> int:
    if not ks or not all(1 <= k <= documents for k in ks):
        raise ConfigError(f"ranks {list(ks)!r}; need at least one, each in 1..{documents}, the number of documents")
    return max(ks)


def _row(scores: ArrayLike) -> np.ndarray:
    scores_N = np.asarray(scores)
    if scores_N.ndim != 1 or not len(scores_N) or bool(np.isnan(scores_N).any()):
        raise ConfigError(f"scores of shape {scores_N.shape!r}; need a vector of at least one, none of them NaN")
    return scores_N


def _truth(truth: ArrayLike, scores: ArrayLike) -> NDArray[np.bool_]:
    truth_N = np.asarray(truth)
    if truth_N.dtype != np.bool_ or truth_N.shape != np.shape(scores):
        raise ConfigError(
            f"truth of type {truth_N.dtype} and shape {truth_N.shape!r} for scores of shape {np.shape(scores)!r}; "
            "need one boolean per document"
        )
    return truth_N


def _paired(
    scores_QN: ArrayLike | Sequence[ArrayLike], truth_QN: ArrayLike | Sequence[ArrayLike]
) -> Iterator[tuple[np.ndarray, NDArray[np.bool_]]]:
    rows, truths = list(scores_QN), list(truth_QN)  # type: ignore[arg-type]
    if len(rows) != len(truths) or not rows:
        raise ConfigError(f"{len(rows)} rows of scores and {len(truths)} of truth; need one for each query")
    for scores, truth in zip(rows, truths, strict=True):
        yield _row(scores), _truth(truth, scores)
