"""Do vectors of scores go together, and more so within groups than between them?

Correlations are summed over blocks of documents in float64, so memory does not grow with the documents (ranks need one
float32 copy of the scores). Pairs of queries share queries, so an interval over pairs would be far too narrow: limits
are a jackknife that leaves out one query with all its pairs, within the groups, which are fixed; its variance is too
wide rather than too narrow. Left out: the p-value of one correlation, which would take documents for independent.
Sources: Ruis et al. 2024, arXiv:2411.12580, section 5.1 (the figure; intervals and partial correlations are ours);
Efron and Stein 1981, Ann. Stat. 9:586 (the jackknife's variance); Satterthwaite 1946, Biometrics 2:110 (its degrees).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError
from menon.stats.clusters import generator
from menon.stats.interval import Interval, check_level, t_quantile

_BLOCK = 4_000_000  # values held at once, in float64: 32 MB
_PAIRS = 20_000  # pairs of queries solved at once
_EXPLAINED = 1e-10  # a share of variance left below this is rounding
_EXACT_RANKS = 2**23  # half ranks below this are exact in float32


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMean:
    """The mean correlation of the pairs between two groups of queries, or within one; `interval.n` counts queries."""

    first: str
    second: str
    interval: Interval
    num_pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAssociation:
    """Mean correlation of pairs within a group and between groups; `p` is that of labels dealt out at random.

    `missing` counts pairs without a correlation (a constant vector), which are left out.
    """

    within: Interval
    between: Interval
    difference: Interval
    p: float
    cells: tuple[PairMean, ...]
    missing: int


def pearson(first: ArrayLike, second: ArrayLike) -> float:
    """Return the Pearson correlation of two vectors; NaN where one of them is constant."""
    return float(_correlations(_vectors([first, second]))[0, 1])


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Return the rank correlation of two vectors, ties sharing their mean rank; NaN where one of them is constant."""
    return float(_correlations([ranks(row) for row in _vectors([first, second])])[0, 1])


def ranks(values: ArrayLike) -> NDArray[np.floating]:
    """Return ranks from 1, ties sharing their mean rank; float32 where that is exact."""
    (values_N,) = _vectors([values])
    order = np.argsort(values_N, kind="stable")
    ordered = values_N[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    stops = np.r_[starts[1:], len(ordered)]
    ranks_N = np.empty(len(ordered), dtype=np.float32 if len(ordered) < _EXACT_RANKS else np.float64)
    ranks_N[order] = np.repeat((starts + 1 + stops) / 2, stops - starts)
    return ranks_N


def correlations(scores_QN: ArrayLike | Sequence[ArrayLike], *, by_rank: bool = False) -> NDArray[np.float64]:
    """Return the (Q, Q) correlations of the rows; rows and columns of constant vectors are NaN."""
    rows = _vectors(list(scores_QN))  # type: ignore[arg-type]
    return _correlations([ranks(row) for row in rows] if by_rank else rows)


def partial_correlations(
    scores_QN: ArrayLike | Sequence[ArrayLike], baselines: Sequence[ArrayLike], *, by_rank: bool = False
) -> NDArray[np.float64]:
    """Return the (Q, Q) correlations of what `baselines` do not explain of the rows.

    A baseline is a (Q, N) array with a row for each query, or one vector for all queries (as the documents' lengths).
    Both vectors of a pair are regressed on the baselines of both queries, then the residuals are correlated; NaN where
    a vector is constant or explained completely.
    """
    rows = _vectors(list(scores_QN))  # type: ignore[arg-type]
    num_queries = len(rows)
    places = np.empty((len(baselines), num_queries), dtype=np.intp)
    for number, baseline in enumerate(baselines):
        own = _baseline_rows(baseline, num_queries, len(rows[0]))
        places[number] = len(rows) + (np.arange(num_queries) if len(own) > 1 else 0)
        rows = rows + own
    matrix_RR = np.nan_to_num(_correlations([ranks(row) for row in rows] if by_rank else rows))
    found_QQ = np.full((num_queries, num_queries), np.nan)
    first_P, second_P = np.triu_indices(num_queries, 1)
    for start in range(0, len(first_P), _PAIRS):
        i, j = first_P[start : start + _PAIRS], second_P[start : start + _PAIRS]
        found_QQ[i, j] = found_QQ[j, i] = _partial(matrix_RR, i, j, places)
    alone = matrix_RR.diagonal()[:num_queries] > 0
    found_QQ[alone, alone] = 1.0
    return found_QQ


def pair_mean(
    matrix_QQ: ArrayLike,
    first: Sequence[int],
    second: Sequence[int] | None = None,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Interval:
    """Return the mean of the pairs between queries `first` and `second` (within `first` if None), over queries."""
    correlations_QQ = _matrix(matrix_QQ)
    labels_Q = np.zeros(len(correlations_QQ), dtype=np.intp)
    labels_Q[list(first)] = 1
    if second is not None:
        if set(first) & set(second):
            raise ConfigError(f"queries {sorted(set(first) & set(second))!r} are on both sides; give disjoint sides")
        labels_Q[list(second)] = 2
    selected_QQ = np.outer(labels_Q == 1, labels_Q == (1 if second is None else 2))
    return _interval([_Part.of(correlations_QQ, selected_QQ, _Deletions.of(labels_Q, clusters))], level)


def group_association(
    matrix_QQ: ArrayLike,
    groups: Sequence[str],
    *,
    clusters: ArrayLike | None = None,
    resamples: int = 4999,
    seed: int = 0,
    level: float = 0.95,
) -> GroupAssociation:
    """Compare the pairs of queries within the same group with those across groups; every pair counts once.

    `clusters` (one label per query) are left out together; p is two-sided and deals the labels out to single queries.

    Raises:
        ConfigError: a group label is missing, there is only one group, or no group has two queries.
    """
    correlations_QQ = _matrix(matrix_QQ)
    names, labels_Q = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(labels_Q) != len(correlations_QQ):
        raise ConfigError(f"{len(labels_Q)} groups for {len(correlations_QQ)} queries; give one per query")
    deletions = _Deletions.of(labels_Q, clusters)
    cells = {
        (a, b): _Part.of(correlations_QQ, np.outer(labels_Q == a, labels_Q == b), deletions)
        for a in range(len(names))
        for b in range(a, len(names))
    }
    within = _pooled([part for (a, b), part in cells.items() if a == b])
    between = _pooled([part for (a, b), part in cells.items() if a != b])
    if not within or not between:
        raise ConfigError(
            f"groups {names.tolist()!r} of sizes {np.bincount(labels_Q).tolist()!r} leave no pairs within a group or "
            "none between groups; need at least two groups, and one of two queries"
        )
    difference = _interval([*within, *(replace(part, weight=-part.weight) for part in between)], level)
    num_pairs = sum(part.count for part in (*within, *between))
    return GroupAssociation(
        within=_interval(within, level),
        between=_interval(between, level),
        difference=difference,
        p=_permutation_p(correlations_QQ, labels_Q, difference.value, resamples, seed),
        cells=tuple(
            PairMean(first=str(names[a]), second=str(names[b]), interval=_interval([part], level), num_pairs=part.count)
            for (a, b), part in cells.items()
            if part.count
        ),
        missing=len(correlations_QQ) * (len(correlations_QQ) - 1) // 2 - num_pairs,
    )


def _vectors(values: Sequence[ArrayLike]) -> list[np.ndarray]:
    """Return vectors of one length, at least 2, without copying; what is not finite is found while summing."""
    rows = [np.asarray(row) for row in values]
    if not rows:
        raise ConfigError("no vector of scores; at least one is needed")
    for row in rows:
        if row.ndim != 1 or len(row) < 2 or len(row) != len(rows[0]):
            raise ConfigError(
                f"scores of shape {row.shape!r} beside {rows[0].shape!r}; need vectors of one length, at least 2"
            )
    return rows


def _baseline_rows(baseline: ArrayLike, num_queries: int, num_documents: int) -> list[np.ndarray]:
    array = np.asarray(baseline)
    if array.shape == (num_documents,):
        return [array]
    if array.shape != (num_queries, num_documents):
        raise ConfigError(
            f"baseline of shape {array.shape!r}; need {(num_queries, num_documents)!r} or {(num_documents,)!r}"
        )
    return list(array) if num_queries > 1 else [array[0]]


def _blocks(rows: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the rows in float64, some documents at a time."""
    step = max(1, _BLOCK // len(rows))
    for start in range(0, len(rows[0]), step):
        yield np.stack([row[start : start + step].astype(np.float64) for row in rows])


def _correlations(rows: Sequence[np.ndarray]) -> NDArray[np.float64]:
    """Return the correlations of the rows, NaN for a constant row: one pass for the means, one for the products."""
    num_rows, num_documents = len(rows), len(rows[0])
    totals, lows, highs = np.zeros(num_rows), np.full(num_rows, np.inf), np.full(num_rows, -np.inf)
    for block_RN in _blocks(rows):
        bad = np.flatnonzero(~np.isfinite(block_RN).all(axis=1))
        if len(bad):
            raise ConfigError(f"vector {int(bad[0])} holds NaN or infinity; every score must be finite")
        totals += block_RN.sum(axis=1)
        lows, highs = np.minimum(lows, block_RN.min(axis=1)), np.maximum(highs, block_RN.max(axis=1))
    means = totals / num_documents
    scale = np.where(highs > lows, highs - lows, 1.0)  # keeps the squares of tiny scores above zero
    gram_RR = np.zeros((num_rows, num_rows))
    for block_RN in _blocks(rows):
        block_RN -= means[:, None]
        block_RN /= scale[:, None]
        gram_RR += block_RN @ block_RN.T
    spread = np.sqrt(np.where(lows == highs, np.nan, gram_RR.diagonal()))
    matrix_RR = np.clip(gram_RR / np.outer(spread, spread), -1.0, 1.0)
    np.fill_diagonal(matrix_RR, np.where(np.isnan(spread), np.nan, 1.0))
    return matrix_RR


def _partial(matrix_RR: np.ndarray, i: np.ndarray, j: np.ndarray, places_CQ: np.ndarray) -> NDArray[np.float64]:
    """Return the partial correlations of the pairs (i, j) from the correlations of all vectors."""
    given_PK = np.concatenate([places_CQ[:, i], places_CQ[:, j]]).T
    pair_P2 = np.stack([i, j], axis=1)
    own_P22 = matrix_RR[pair_P2[:, :, None], pair_P2[:, None, :]]
    cross_P2K = matrix_RR[pair_P2[:, :, None], given_PK[:, None, :]]
    inverse_PKK = np.linalg.pinv(matrix_RR[given_PK[:, :, None], given_PK[:, None, :]], rcond=1e-10, hermitian=True)
    left_P22 = own_P22 - cross_P2K @ inverse_PKK @ cross_P2K.transpose(0, 2, 1)
    variance_P2 = np.stack([left_P22[:, 0, 0], left_P22[:, 1, 1]], axis=1)
    variance_P2[variance_P2 < _EXPLAINED] = np.nan
    return np.clip(left_P22[:, 0, 1] / np.sqrt(variance_P2.prod(axis=1)), -1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deletions:
    """What the jackknife leaves out: the queries of each cluster, and the stratum that the cluster is drawn from."""

    members_GQ: np.ndarray
    stratum_G: np.ndarray

    @classmethod
    def of(cls, labels_Q: np.ndarray, clusters: ArrayLike | None) -> "_Deletions":
        """A cluster's stratum is the set of its groups; strata of one cluster are put together."""
        num_queries = len(labels_Q)
        given = np.arange(num_queries) if clusters is None else np.asarray(clusters)
        if given.shape != (num_queries,):
            raise ConfigError(f"cluster labels of shape {given.shape!r} for {num_queries} queries; give one per query")
        _, index_Q = np.unique(given, return_inverse=True)
        members_GQ = (np.arange(index_Q.max() + 1)[:, None] == index_Q).astype(np.float64)
        sets = [tuple(np.unique(labels_Q[row > 0]).tolist()) for row in members_GQ]
        kinds = {labels: number for number, labels in enumerate(sorted(set(sets)))}
        stratum_G = np.array([kinds[labels] for labels in sets])
        stratum_G[np.bincount(stratum_G)[stratum_G] == 1] = -1
        return cls(members_GQ=members_GQ, stratum_G=stratum_G)

    def left(self, matrix_QQ: np.ndarray) -> NDArray[np.float64]:
        """Return the sum over the pairs that do not touch a cluster, for each cluster."""
        touched_G = self.members_GQ @ matrix_QQ.sum(axis=1)
        inside_G = ((self.members_GQ @ matrix_QQ) * self.members_GQ).sum(axis=1)
        return (matrix_QQ.sum() - 2 * touched_G + inside_G) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The mean of some pairs, the same with each cluster left out (NaN: no pair is left), and its weight in a sum.

    The weights stay as they are when a query is left out: letting a group weigh less then would hide its spread.
    """

    mean: float
    without_G: np.ndarray
    count: int
    queries_Q: np.ndarray
    stratum_G: np.ndarray
    weight: float = 1.0

    @classmethod
    def of(cls, correlations_QQ: np.ndarray, selected_QQ: np.ndarray, deletions: _Deletions) -> "_Part":
        """Take the selected pairs (in either order) that have a correlation; the diagonal never counts."""
        chosen_QQ = (selected_QQ | selected_QQ.T) & np.isfinite(correlations_QQ)
        np.fill_diagonal(chosen_QQ, False)
        values_QQ = np.where(chosen_QQ, correlations_QQ, 0.0)
        sums_G, counts_G = deletions.left(values_QQ), deletions.left(chosen_QQ.astype(np.float64))
        count = int(chosen_QQ.sum()) // 2
        return cls(
            mean=float(values_QQ.sum()) / 2 / count if count else np.nan,
            without_G=sums_G / np.where(counts_G > 0.5, counts_G, np.nan),
            count=count,
            queries_Q=np.asarray(chosen_QQ.any(axis=1)),
            stratum_G=deletions.stratum_G,
        )


def _pooled(parts: Sequence[_Part]) -> list[_Part]:
    """Weigh the parts that have pairs by their numbers of pairs."""
    total = sum(part.count for part in parts)
    return [replace(part, weight=part.count / total) for part in parts if part.count]


def _interval(parts: Sequence[_Part], level: float) -> Interval:
    """Return the weighted sum of the means with its jackknife limits.

    Where leaving out one query leaves nothing of a part, the limits are those that any correlations have.
    """
    value = float(sum(part.weight * part.mean for part in parts))
    widest = float(sum(abs(part.weight) for part in parts))
    n = int(np.count_nonzero(np.stack([part.queries_Q for part in parts]).any(axis=0)))
    if not n:
        raise ConfigError("no pair of queries with a correlation was chosen; there is nothing to average")
    without_G = np.sum([part.weight * part.without_G for part in parts], axis=0)
    variance, degrees = _jackknife(without_G, parts[0].stratum_G)
    half = t_quantile(0.5 + check_level(level) / 2, degrees) * variance**0.5
    return Interval(value=value, low=max(-widest, value - half), high=min(widest, value + half), n=n, level=level)


def _jackknife(without_G: np.ndarray, stratum_G: np.ndarray) -> tuple[float, int]:
    """Return the variance, infinite where it is unknown, and Satterthwaite's degrees of freedom."""
    if not np.isfinite(without_G).all():
        return np.inf, 1
    parts, degrees = [], []
    for stratum in np.unique(stratum_G):
        values = without_G[stratum_G == stratum]
        if len(values) > 1:
            parts.append((len(values) - 1) / len(values) * float(np.square(values - values.mean()).sum()))
            degrees.append(len(values) - 1)
    total = sum(parts)
    if not parts:
        return np.inf, 1
    if total <= 0:
        return 0.0, sum(degrees)
    return total, max(1, int(total**2 / sum(v**2 / d for v, d in zip(parts, degrees, strict=True))))


def _permutation_p(
    correlations_QQ: np.ndarray, labels_Q: np.ndarray, observed: float, resamples: int, seed: int
) -> float:
    """Return how often labels dealt out at random give a difference of at least the observed size."""
    rng = generator("group_association", seed)
    known_QQ = np.isfinite(correlations_QQ) & ~np.eye(len(correlations_QQ), dtype=bool)
    matrices = (np.where(known_QQ, correlations_QQ, 0.0), known_QQ.astype(np.float64))
    all_values, all_pairs = (float(matrix.sum()) for matrix in matrices)
    num_queries, num_groups = len(labels_Q), int(labels_Q.max()) + 1
    step, done, extreme = max(1, _BLOCK // (num_queries * num_groups)), 0, 0
    while done < resamples:
        count = min(step, resamples - done)
        drawn_BQ = rng.permuted(np.broadcast_to(labels_Q, (count, num_queries)), axis=1)
        members_QBG = (drawn_BQ.T[:, :, None] == np.arange(num_groups)).astype(np.float64)
        flat = members_QBG.reshape(num_queries, -1)
        values_B, pairs_B = (
            ((matrix @ flat) * flat).reshape(num_queries, count, num_groups).sum(axis=(0, 2)) for matrix in matrices
        )
        between_B = (all_values - values_B) / np.maximum(1.0, all_pairs - pairs_B)
        drawn_B = values_B / np.maximum(1.0, pairs_B) - between_B
        extreme += int(np.count_nonzero(np.abs(drawn_B) >= abs(observed) - 1e-12))
        done += count
    return (extreme + 1) / (resamples + 1)


def _matrix(matrix_QQ: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(matrix_QQ, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise ConfigError(f"correlations of shape {array.shape!r}; need a square matrix of at least two queries")
    off = ~np.eye(len(array), dtype=bool)
    if not np.allclose(array[off], array.T[off], equal_nan=True) or bool(np.isinf(array).any()):
        raise ConfigError("the matrix of correlations is not symmetric, or not finite; give that of correlations()")
    return array
