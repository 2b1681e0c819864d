"""How a ranking falls off: the slope of log score against log rank, and the influence gathered down to every rank.

The limits of one ranking's slope redraw the scores of independent documents from a power law: the fitted slope over the
true one has a distribution that depends on the number of documents alone, so they hold at any size. Redrawing the given
documents instead covers 76-88 % where 95 % are meant, at 20 documents. The fitted slope itself is steeper than the law
(by a seventh at 20 documents, a twentieth at 100), so the limits do not lie evenly about it. Over queries, the limits
are those of a mean. Left out: tests of whether it is a power law at all.
Sources: Ruis et al. 2024, arXiv:2411.12580, section 5.1, finding 2 (the top 0.01 % of the documents; at least 20 is
ours); Renyi 1953, Acta Math. Acad. Sci. Hung. 4:191 (the log scores of such a ranking are sums of independent ones).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError
from menon.stats.clusters import generator, percentile_limits
from menon.stats.independent import Difference
from menon.stats.interval import Interval, check_level, t_quantile
from menon.stats.means import mean_interval

SHARE = 1e-4
LEAST = 20
_FEWEST = 3  # points that a slope with a residual needs
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """log score = intercept + value * log rank over the `n` best documents; `fit` is the R squared."""

    value: float
    low: float
    high: float
    n: int
    intercept: float
    fit: float

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """What the `k` best documents add up to, in nats of log-likelihood per nat of the query's information."""

    k: int
    total_per_nat: float
    positive_per_nat: float

    def to_json(self) -> dict[str, Any]:
        return {"k": self.k, "total_per_nat": self.total_per_nat, "positive_per_nat": self.positive_per_nat}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanCurvePoint:
    """A point of the curve as the mean over queries."""

    k: int
    total_per_nat: Interval
    positive_per_nat: Interval


def tail_size(documents: int, *, share: float = SHARE, least: int = LEAST) -> int:
    """Return how many documents the best `share` of them are: at least `least`, at most all."""
    if documents < 1 or not 0 < share <= 1:
        raise ConfigError(f"share {share!r} of {documents!r} documents; need a share in (0, 1] of at least one")
    return min(documents, max(least, round(share * documents)))


def tail_slope(
    scores: ArrayLike,
    *,
    k: int | None = None,
    resamples: int = 4000,
    seed: int = 0,
    level: float = 0.95,
) -> Slope | None:
    """Fit the `k` best of the positive scores (default `tail_size`); None with fewer than 3 positive scores.

    The limits are those of the law's own slope (see above); `resamples=0` leaves them out (NaN).
    """
    scores_N = _scores(scores)
    check_level(level)
    wanted = tail_size(len(scores_N)) if k is None else k
    if wanted < _FEWEST:
        raise ConfigError(f"a slope over {wanted!r} documents; at least {_FEWEST} are needed")
    least = len(scores_N) - min(wanted, len(scores_N))
    best = np.sort(np.partition(scores_N, least)[least:])[::-1]
    y = np.log(best[best > 0].astype(np.float64))
    if len(y) < _FEWEST:
        return None
    x = np.log(np.arange(1, len(y) + 1))
    away = x - x.mean()
    value = float(away @ y / (away @ away))
    spread = float(np.square(y - y.mean()).sum())
    fit = value**2 * float(away @ away) / spread if spread > 0 else 1.0
    low = high = np.nan
    if resamples:
        few, many = percentile_limits(_slope_ratios(len(y), resamples, seed), level)
        low, high = value / few, value / many
    return Slope(
        value=value, low=low, high=high, n=len(y), intercept=float(y.mean() - value * x.mean()), fit=min(1.0, fit)
    )


def mean_slope(scores_QN: ArrayLike | Sequence[ArrayLike], *, k: int | None = None, level: float = 0.95) -> Interval:
    """Return the mean slope with limits over queries; queries with fewer than 3 positive scores are left out.

    Raises:
        ConfigError: no query has a slope.
    """
    values = slopes(scores_QN, k=k)
    values = values[np.isfinite(values)]
    if not len(values):
        raise ConfigError("no query has 3 positive scores; there is no slope to average")
    return mean_interval(values, level=level)


def slopes(scores_QN: ArrayLike | Sequence[ArrayLike], *, k: int | None = None) -> NDArray[np.float64]:
    """Return the slope of every row; NaN where there are fewer than 3 positive scores."""
    found = [tail_slope(row, k=k, resamples=0) for row in scores_QN]  # type: ignore[union-attr]
    return np.array([np.nan if slope is None else slope.value for slope in found])


def mean_difference(
    first: ArrayLike, second: ArrayLike, *, resamples: int = 9999, seed: int = 0, level: float = 0.95
) -> Difference:
    """Return mean(second) - mean(first) of one number per query, for two sets of different queries.

    The limits are Welch's; p is two-sided and deals the queries out to the two sets at random.
    """
    sides = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    intervals = [mean_interval(values, level=level) for values in sides]
    value = intervals[1].value - intervals[0].value
    half = _welch(sides, level)
    pooled, size = np.concatenate(sides), len(sides[0])
    rng = generator("mean_difference", seed)
    step, done, extreme = max(1, _BLOCK // len(pooled)), 0, 0
    while done < resamples:
        count = min(step, resamples - done)
        drawn = rng.permuted(np.broadcast_to(pooled, (count, len(pooled))), axis=1)
        away = drawn[:, size:].mean(axis=1) - drawn[:, :size].mean(axis=1)
        extreme += int(np.count_nonzero(np.abs(away) >= abs(value) * (1 - 1e-12)))
        done += count
    return Difference(
        value=value,
        low=value - half,
        high=value + half,
        p=(extreme + 1) / (resamples + 1),
        n_first=len(sides[0]),
        n_second=len(sides[1]),
    )


def log_spaced(documents: int) -> tuple[int, ...]:
    """Return 1, 2, 5, 10, 20, 50, ... and `documents` itself."""
    found, scale = [], 1
    while scale < documents:
        found += [step * scale for step in (1, 2, 5) if step * scale < documents]
        scale *= 10
    return (*found, documents)


def cumulative_influence(
    scores: ArrayLike, information: float, *, ks: Sequence[int] | None = None
) -> tuple[CurvePoint, ...]:
    """Return the sums over the `k` best documents, all of them and the positive ones, per nat of information."""
    scores_N = _scores(scores)
    if not information > 0 or not np.isfinite(information):
        raise ConfigError(f"information {information!r} nats; influence per nat needs a finite number above 0")
    points = log_spaced(len(scores_N)) if ks is None else tuple(ks)
    if not all(1 <= k <= len(scores_N) for k in points):
        raise ConfigError(f"ranks {list(points)!r}; each must lie in 1..{len(scores_N)}")
    ordered = np.sort(scores_N)[::-1].astype(np.float64)
    total, positive = np.cumsum(ordered), np.cumsum(np.maximum(ordered, 0.0))
    return tuple(
        CurvePoint(
            k=int(k),
            total_per_nat=float(total[k - 1]) / information,
            positive_per_nat=float(positive[k - 1]) / information,
        )
        for k in points
    )


def mean_curve(
    scores_QN: ArrayLike | Sequence[ArrayLike],
    information_Q: ArrayLike,
    *,
    ks: Sequence[int] | None = None,
    level: float = 0.95,
) -> tuple[MeanCurvePoint, ...]:
    """Return the mean of the queries' curves with limits over queries at every rank."""
    rows, information = list(scores_QN), np.asarray(information_Q, dtype=np.float64)  # type: ignore[arg-type]
    if len(rows) != len(information) or not rows:
        raise ConfigError(f"{len(rows)} rows of scores with {len(information)} informations; need one for each row")
    curves = [cumulative_influence(row, float(nats), ks=ks) for row, nats in zip(rows, information, strict=True)]
    return tuple(
        MeanCurvePoint(
            k=points[0].k,
            total_per_nat=mean_interval([point.total_per_nat for point in points], level=level),
            positive_per_nat=mean_interval([point.positive_per_nat for point in points], level=level),
        )
        for points in zip(*curves, strict=True)
    )


@cache
def _slope_ratios(size: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return draws of the fitted slope over the true one, for the `size` best of a power law."""
    rng, found = generator("tail_slope", size, seed), []
    x = np.log(np.arange(1, size + 1))
    # The i-th log score is the sum of the spacings from i on, so a spacing counts for every rank up to its own.
    weights = -np.cumsum(x - x.mean()) / np.arange(1, size + 1) / np.square(x - x.mean()).sum()
    step = max(1, _BLOCK // size)
    for start in range(0, resamples, step):
        found.append(rng.standard_exponential((min(step, resamples - start), size)) @ weights)
    return np.concatenate(found)


def _welch(sides: Sequence[np.ndarray], level: float) -> float:
    """Return the half-width of the difference of two means; infinite where a side has one number."""
    if min(len(side) for side in sides) < 2:
        return np.inf
    parts = [float(side.var(ddof=1)) / len(side) for side in sides]
    if sum(parts) <= 0:
        return 0.0
    degrees = sum(parts) ** 2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, sides, strict=True))
    return t_quantile(0.5 + check_level(level) / 2, max(1, int(degrees))) * sum(parts) ** 0.5


def _scores(scores: ArrayLike) -> np.ndarray:
    scores_N = np.asarray(scores)
    if scores_N.ndim != 1 or not len(scores_N) or not np.isfinite(scores_N).all():
        raise ConfigError(f"scores of shape {scores_N.shape!r}; need a vector of at least one, all of them finite")
    return scores_N
