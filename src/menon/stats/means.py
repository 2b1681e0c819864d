"""The mean of any numbers, with an interval that takes clusters for what they are.

Source: the linearised ratio estimator of cluster sampling, Cochran 1977, "Sampling Techniques", section 9A.1; Student's
t with one degree of freedom less than clusters.
"""

import numpy as np
from numpy.typing import ArrayLike

from menon.core.errors import ConfigError
from menon.stats.clusters import Clusters
from menon.stats.interval import Interval, check_level, t_quantile


def mean_interval(values: ArrayLike, clusters: ArrayLike | None = None, level: float = 0.95) -> Interval:
    """Return the mean of `values` (finite, of any size) with its limits over `clusters` (one label per value).

    A single cluster has no limits of its own: they are minus and plus infinity there.
    """
    values_N = np.asarray(values, dtype=np.float64)
    if values_N.ndim != 1 or not len(values_N) or not np.isfinite(values_N).all():
        raise ConfigError(f"values of shape {values_N.shape!r}; need a vector of at least one finite number")
    groups = Clusters.of(clusters, len(values_N))
    mean = float(values_N.mean())
    if len(groups) < 2:
        return Interval(value=mean, low=-np.inf, high=np.inf, n=len(values_N), level=level)
    away_G = groups.totals(values_N) - mean * groups.sizes
    variance = len(groups) / (len(groups) - 1) * float(away_G @ away_G) / len(values_N) ** 2
    half = t_quantile(0.5 + check_level(level) / 2, len(groups) - 1) * variance**0.5
    return Interval(value=mean, low=mean - half, high=mean + half, n=len(values_N), level=level)
