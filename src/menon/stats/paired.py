"""The same items asked twice: before and after, two models, two worlds.

Pairing removes the difficulty of the items, which is most of the noise. Left out: chi-squared McNemar.
Sources: McNemar 1947, Psychometrika 12:153 (here the exact binomial form); Newcombe 1998, Stat. Med. 17:2635.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from menon.core.errors import ConfigError
from menon.stats.clusters import Clusters, generator, outcomes, percentile_limits, resampled_totals
from menon.stats.interval import Interval, check_level, normal_quantile
from menon.stats.proportions import wilson_limits

FEW_CLUSTERS = 20  # below this many clusters, or
RARE = 10  # below this many that changed, resampling is too coarse and the closed form is used


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Mean of after - before with its limits, test and counts; `closed_form` is Newcombe's interval for comparison."""

    value: float
    low: float
    high: float
    n: int
    p: float
    gained: int
    lost: int
    method: Literal["bootstrap", "closed form"]
    closed_form: Interval

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "gained": self.gained,
            "lost": self.lost,
            "p": self.p,
            "difference": self.value,
            "low": self.low,
            "high": self.high,
            "method": self.method,
        }


def mcnemar_exact(gained: int, lost: int) -> float:
    """Return the two-sided p-value of `gained` against `lost` under a fair coin; 1.0 when nothing changed."""
    if gained < 0 or lost < 0:
        raise ConfigError(f"gained {gained!r}, lost {lost!r}; counts cannot be negative")
    n, few = gained + lost, min(gained, lost)
    if gained == lost:
        return 1.0
    k = np.arange(1, few + 1)
    log_terms = np.concatenate([[0.0], np.cumsum(np.log((n - k + 1) / k))]) - n * math.log(2)
    return min(1.0, 2 * math.exp(float(np.logaddexp.reduce(log_terms))))


def newcombe_paired(
    both: float, only_before: float, only_after: float, neither: float, level: float = 0.95
) -> Interval:
    """Return Newcombe's interval (his method 10) for the change in proportion, after - before.

    The four counts are those of the 2x2 table of right and wrong; they may be fractional.
    """
    n = both + only_before + only_after + neither
    if min(both, only_before, only_after, neither) < 0 or n <= 0:
        raise ConfigError(f"counts {(both, only_before, only_after, neither)!r}; need numbers >= 0, not all zero")
    z = normal_quantile(0.5 + check_level(level) / 2)
    before, after = (both + only_before) / n, (both + only_after) / n
    low_b, high_b = wilson_limits(before, n, z)
    low_a, high_a = wilson_limits(after, n, z)
    phi = _phi(both, only_before, only_after, neither)
    value = after - before

    def half(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    return Interval(
        value=value,
        low=value - half(after - low_a, high_b - before),
        high=value + half(high_a - after, before - low_b),
        n=round(n),
        level=level,
    )


def sign_flip_p(
    difference: ArrayLike, clusters: ArrayLike | None = None, *, seed: int = 0, resamples: int = 9999
) -> float:
    """Return the two-sided p-value of "no change" by flipping the sign of whole clusters at random.

    Valid for clustered and for averaged outcomes; with single 0/1 outcomes it approximates the exact McNemar test.
    """
    difference_N = np.asarray(difference, dtype=np.float64)
    totals_G = np.abs(Clusters.of(clusters, len(difference_N)).totals(difference_N))
    observed = abs(float(difference_N.sum()))
    totals_G = totals_G[totals_G > 0]
    rng = generator("sign_flip", seed)
    # Sums of +-t are 2 * (sum of the t drawn) - total, so one matrix product does each block of flips.
    extreme, done = 0, 0
    rows = max(1, 4_000_000 // max(1, len(totals_G)))
    while done < resamples:
        block = min(rows, resamples - done)
        kept = rng.integers(0, 2, (block, len(totals_G)), dtype=np.int8).astype(np.float64) @ totals_G
        extreme += int(np.count_nonzero(np.abs(2 * kept - totals_G.sum()) >= observed - 1e-9))
        done += block
    return (extreme + 1) / (resamples + 1)


def paired_difference(
    before: ArrayLike,
    after: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> PairedDifference:
    """Return the mean change of paired outcomes in [0, 1], with interval, p-value and counts.

    The interval is a percentile bootstrap over pairs, or over `clusters` (one label per pair); with fewer than 20
    clusters or fewer than 10 that changed it is Newcombe's closed form, shrunk to the effective number of pairs.
    p is exact McNemar for independent 0/1 pairs and a cluster sign-flip test otherwise.
    """
    before_N, after_N = outcomes(before, "before"), outcomes(after, "after")
    if before_N.shape != after_N.shape:
        raise ConfigError(f"{len(before_N)} outcomes before and {len(after_N)} after; give one pair per item")
    groups = Clusters.of(clusters, len(before_N))
    change_N = after_N - before_N
    gained, lost = int(np.count_nonzero(change_N > 0)), int(np.count_nonzero(change_N < 0))
    closed = _closed_form(before_N, after_N, groups, level)
    changed = int(np.count_nonzero(groups.totals(np.abs(change_N))))
    if len(groups) < FEW_CLUSTERS or changed < RARE:
        method, (low, high) = "closed form", (closed.low, closed.high)
    else:
        sums_GC = np.stack([groups.totals(change_N), groups.sizes], axis=1)
        drawn_BC = resampled_totals(sums_GC, resamples, generator("paired_difference", seed))
        method, (low, high) = "bootstrap", percentile_limits(drawn_BC[:, 0] / drawn_BC[:, 1], level)
    binary = bool(np.all((before_N % 1 == 0) & (after_N % 1 == 0)))
    independent = len(groups) == len(before_N)
    p = mcnemar_exact(gained, lost) if binary and independent else sign_flip_p(change_N, groups.index, seed=seed)
    return PairedDifference(
        value=float(change_N.mean()),
        low=low,
        high=high,
        n=len(before_N),
        p=p,
        gained=gained,
        lost=lost,
        method=method,
        closed_form=closed,
    )


def _closed_form(before_N: np.ndarray, after_N: np.ndarray, groups: Clusters, level: float) -> Interval:
    """Return Newcombe's interval on the table shrunk to the effective number of pairs."""
    n = len(before_N)
    change_N = after_N - before_N
    mean = float(change_N.mean())
    independent = float(np.square(change_N - mean).sum())
    clustered = float(np.square(groups.totals(change_N) - mean * groups.sizes).sum())
    # No variation between clusters says nothing on how alike their items are: each cluster then counts once.
    share = min(1.0, independent / clustered) if clustered > 1e-12 else len(groups) / n
    table = (
        float((before_N * after_N).sum()),
        float((before_N * (1 - after_N)).sum()),
        float(((1 - before_N) * after_N).sum()),
        float(((1 - before_N) * (1 - after_N)).sum()),
    )
    interval = newcombe_paired(*(share * count for count in table), level=level)
    return Interval(value=interval.value, low=interval.low, high=interval.high, n=n, level=level)


def _phi(both: float, only_before: float, only_after: float, neither: float) -> float:
    """Return the correlation of the table with Newcombe's continuity correction; 0 when a margin is empty."""
    n = both + only_before + only_after + neither
    margins = (both + only_before) * (only_after + neither) * (both + only_after) * (only_before + neither)
    if margins <= 0:
        return 0.0
    product = both * neither - only_before * only_after
    if product > 0:
        product = max(0.0, product - n / 2)
    return product / math.sqrt(margins)
