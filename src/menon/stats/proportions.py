"""Score intervals for one proportion, for independent items and for items that come in clusters.

Left out: Wald intervals (they have no width at 0 and 1) and exact Clopper-Pearson (wider than needed).
Source: Wilson 1927, J. Am. Stat. Assoc. 22:209; the effective size is Kish 1965, "Survey Sampling".
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from menon.core.errors import ConfigError
from menon.stats.clusters import Clusters, outcomes
from menon.stats.interval import Interval, check_level, normal_quantile


def wilson(k: float, n: int, level: float = 0.95) -> Interval:
    """Return the Wilson interval of `k` successes among `n` items.

    `k` may be fractional, when an item's outcome is itself a mean over samples; the interval is then on the wide side.
    """
    if n <= 0 or not 0 <= k <= n:
        raise ConfigError(f"{k!r} successes among {n!r} items; need n >= 1 and 0 <= k <= n")
    low, high = wilson_limits(k / n, n, normal_quantile(0.5 + check_level(level) / 2))
    return Interval(value=k / n, low=low, high=high, n=n, level=level)


def wilson_clustered(values: ArrayLike, clusters: ArrayLike | None = None, level: float = 0.95) -> Interval:
    """Return the Wilson interval of the mean of `values` (each in [0, 1]) at its effective sample size.

    `clusters` holds one label per value; without it each value is its own cluster, and 0/1 values give `wilson`.
    """
    values_N = outcomes(values, "values")
    groups = Clusters.of(clusters, len(values_N))
    size = effective_size(groups.totals(values_N), groups.sizes, most=len(values_N))
    low, high = wilson_limits(float(values_N.mean()), size, normal_quantile(0.5 + check_level(level) / 2))
    return Interval(value=float(values_N.mean()), low=low, high=high, n=len(values_N), level=level)


def wilson_limits(p: float, n: float, z: float) -> tuple[float, float]:
    """Return both Wilson limits for proportion `p` at size `n` (may be fractional) and normal quantile `z`."""
    denominator = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / denominator
    half = z / denominator * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # The limits at 0 and 1 are exact; without the clamps rounding leaves 1e-17 there.
    return (0.0 if p <= 0 else max(0.0, centre - half)), (1.0 if p >= 1 else min(1.0, centre + half))


def effective_size(totals_G: np.ndarray, sizes_G: np.ndarray, *, most: float) -> float:
    """Return how many independent items carry as much information on the mean as these clusters do.

    The binomial variance p (1 - p) over the variance of the ratio of cluster totals to cluster sizes, at most `most`.
    Where the clusters do not differ at all (always right, always wrong) the data cannot say how alike the items of a
    cluster are, and each cluster counts once.
    """
    total = float(sizes_G.sum())
    p = float(totals_G.sum()) / total
    variance = float(np.square(totals_G - p * sizes_G).sum()) / (total * total)
    if variance <= 1e-15:
        return float(min(len(sizes_G), most))
    return min(p * (1 - p) / variance, most)
