"""What the ranking of one query looks like: how concentrated, how full of the answer, how close to a lexical ranking.

Works on plain arrays with one entry per document, so it needs no manifest; what was not given is None. Only documents
with a positive score count as influential. Left out: whether a document is a procedure of the right kind, which only a
corpus of known truth can tell.
Source: Ruis et al. 2024, arXiv:2411.12580, section 5.2 (answers among the most influential documents); the other
features are ours.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError
from menon.stats.association import spearman
from menon.stats.rankings import ranked

DEPTH = 10
_HEAD, _BODY = 5, 50

# What each feature a verdict may rest on says, in words; for all of them, higher speaks for retrieval.
FEATURES: Mapping[str, str] = {
    "answer_excess": "share of the most influential documents that contain the answer, above that of the corpus",
    "stated_top": "share of their influence from documents that hold question and answer together",
    "overlap_top": "closest match with the question among the most influential documents",
    "head_share": "share of the influence of the first 50 distinct documents that the first 5 carry",
    "copies_top": "share of near-copies among the most influential documents",
    "lexical_top": "share of the most influential documents that a lexical ranking puts first as well",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryFeatures:
    """The features of one query; shares lie in [0, 1].

    `top` documents were looked at: `depth`, or fewer where fewer have a positive score. `positive` is the sum of the
    positive scores; `first_share`, `five_share` and `fifty_share` are what the best documents carry of it; `effective`
    is how many documents of equal weight would be as spread out. The same with `group`: near-copies count as one.
    `answer_top` and `answer_corpus` are shares of documents that contain the answer; `lexical_rank` is the rank
    correlation with the lexical scores over all documents. See `FEATURES` for the others.
    """

    documents: int
    depth: int
    top: int
    positive: float
    first_share: float
    five_share: float
    fifty_share: float
    effective: float
    group_share: float
    group_effective: float
    head_share: float
    copies_top: float | None = None
    answer_top: float | None = None
    answer_corpus: float | None = None
    answer_excess: float | None = None
    overlap_top: float | None = None
    stated_top: float | None = None
    lexical_top: float | None = None
    lexical_rank: float | None = None

    @property
    def rule_values(self) -> dict[str, float]:
        """Return the features that a verdict may rest on, as far as they are known."""
        values = self.to_json()
        return {name: value for name in FEATURES if (value := values[name]) is not None}

    def to_json(self) -> dict[str, float | None]:
        return asdict(self)


def query_features(
    scores: ArrayLike,
    *,
    answer: ArrayLike | None = None,
    overlap: ArrayLike | None = None,
    lexical: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    depth: int = DEPTH,
) -> QueryFeatures:
    """Return the features of one query from its `scores`, one entry per document in every array.

    Args:
        answer: whether the document contains the answer (bool).
        overlap: how much of the question the document holds, in [0, 1]: 1 if all of it, or a share of n-grams.
        lexical: scores of a lexical ranking, as BM25.
        groups: labels; near-copies share one.
        depth: how many of the most influential documents are looked at.
    """
    scores_N = _finite("scores", scores, None)
    documents = len(scores_N)
    if depth < 1:
        raise ConfigError(f"depth {depth!r}; at least one document must be looked at, 10 is usual")
    positive_N = np.maximum(scores_N, 0.0)
    total = float(positive_N.sum())
    order = ranked(scores_N, min(documents, max(depth, _BODY)))
    order = order[scores_N[order] > 0]
    top = order[:depth]
    best = positive_N[order]
    group_N = None if groups is None else _groups(groups, documents)
    sums_G = positive_N if group_N is None else np.bincount(group_N, weights=positive_N)
    body = np.sort(np.partition(sums_G, max(0, len(sums_G) - _BODY))[-_BODY:])[::-1]
    weights = positive_N[top] / max(float(positive_N[top].sum()), np.finfo(np.float64).tiny)
    answer_N = None if answer is None else _flags(answer, documents)
    overlap_N = None if overlap is None else _shares(overlap, documents)
    lexical_N = None if lexical is None else _finite("lexical scores", lexical, documents)
    answer_top = None if answer_N is None else _mean(answer_N[top])
    answer_corpus = None if answer_N is None else float(answer_N.mean())
    return QueryFeatures(
        documents=documents,
        depth=depth,
        top=len(top),
        positive=total,
        first_share=_part(best[:1], total),
        five_share=_part(best[:_HEAD], total),
        fifty_share=_part(best[:_BODY], total),
        effective=_effective(positive_N),
        group_share=_part(body[:1], total),
        group_effective=_effective(sums_G),
        head_share=_part(body[:_HEAD], float(body.sum())),
        copies_top=None if group_N is None or not len(top) else 1 - len(np.unique(group_N[top])) / len(top),
        answer_top=answer_top,
        answer_corpus=answer_corpus,
        answer_excess=_excess(answer_top, answer_corpus),
        overlap_top=None if overlap_N is None else float(overlap_N[top].max(initial=0.0)),
        stated_top=None
        if overlap_N is None or answer_N is None
        else min(1.0, float(weights @ (overlap_N[top] * answer_N[top]))),
        lexical_top=None if lexical_N is None else _common(top, lexical_N),
        lexical_rank=None if lexical_N is None else _rank_agreement(scores_N, lexical_N),
    )


def _part(values: np.ndarray, total: float) -> float:
    return min(1.0, float(values.sum()) / total) if total > 0 else 0.0


def _effective(values: np.ndarray) -> float:
    """Return the participation ratio, (sum)^2 / sum of squares; 0 where all are 0."""
    largest = float(values.max())
    if largest <= 0:
        return 0.0
    scaled = values / largest
    return float(scaled.sum() ** 2 / np.square(scaled).sum())


def _mean(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def _excess(top: float | None, corpus: float | None) -> float | None:
    """Return the share of the documents without the answer, expected by chance, that hold it all the same."""
    if top is None or corpus is None:
        return None
    return max(0.0, (top - corpus) / (1 - corpus)) if corpus < 1 else 0.0


def _common(top: np.ndarray, lexical_N: np.ndarray) -> float:
    """Return the share of `top` among as many documents of the lexical ranking that match at all."""
    if not len(top):
        return 0.0
    best = ranked(lexical_N, len(top))
    return len(np.intersect1d(top, best[lexical_N[best] > 0])) / len(top)


def _rank_agreement(scores_N: np.ndarray, lexical_N: np.ndarray) -> float | None:
    """Return the rank correlation; None where one of the rankings says nothing."""
    if len(scores_N) < 2:
        return None
    value = spearman(scores_N, lexical_N)
    return None if np.isnan(value) else value


def _finite(name: str, values: ArrayLike, documents: int | None) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or (documents is not None and len(array) != documents):
        wanted = "at least one document" if documents is None else f"{documents} documents"
        raise ConfigError(f"{name} of shape {array.shape!r}; need a vector with one number for each of {wanted}")
    if not np.isfinite(array).all():
        raise ConfigError(f"{name} hold NaN or infinity at document {int(np.argmin(np.isfinite(array)))}")
    return array


def _flags(values: ArrayLike, documents: int) -> NDArray[np.bool_]:
    array = np.asarray(values)
    if array.dtype != np.bool_ or array.shape != (documents,):
        raise ConfigError(
            f"answer flags of type {array.dtype} and shape {array.shape!r}; "
            f"need a boolean for each of {documents} documents"
        )
    return array


def _shares(values: ArrayLike, documents: int) -> NDArray[np.float64]:
    array = _finite("overlaps", values, documents)
    if array.min() < 0 or array.max() > 1:
        raise ConfigError(f"overlaps range from {array.min()!r} to {array.max()!r}; they are shares in [0, 1]")
    return array


def _groups(values: ArrayLike, documents: int) -> NDArray[np.intp]:
    array = np.asarray(values)
    if array.shape != (documents,):
        raise ConfigError(f"groups of shape {array.shape!r}; need a label for each of {documents} documents")
    return np.unique(array, return_inverse=True)[1]
