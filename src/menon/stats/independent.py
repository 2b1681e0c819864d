"""Two samples of different items: difference and ratio of two accuracies that cannot be paired.

Sources: Newcombe 1998, Stat. Med. 17:873 (method 10, the square-and-add interval); Fisher 1935 for the exact test.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from menon.stats.clusters import Clusters, outcomes
from menon.stats.interval import check_level, normal_quantile
from menon.stats.proportions import effective_size, wilson_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """second - first for two independent samples, with limits and the p-value of "equal"."""

    value: float
    low: float
    high: float
    p: float
    n_first: int
    n_second: int


def independent_difference(
    first: ArrayLike,
    second: ArrayLike,
    first_clusters: ArrayLike | None = None,
    second_clusters: ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> Difference:
    """Return the difference of two means of outcomes in [0, 1] over different items.

    p is Fisher's exact test for single 0/1 outcomes, and a normal test on the effective sizes otherwise.
    """
    first_N, second_N = outcomes(first, "first"), outcomes(second, "second")
    groups = [Clusters.of(first_clusters, len(first_N)), Clusters.of(second_clusters, len(second_N))]
    sizes = [
        effective_size(group.totals(values), group.sizes, most=len(values))
        for group, values in zip(groups, (first_N, second_N), strict=True)
    ]
    z = normal_quantile(0.5 + check_level(level) / 2)
    one, two = float(first_N.mean()), float(second_N.mean())
    (low_1, high_1), (low_2, high_2) = wilson_limits(one, sizes[0], z), wilson_limits(two, sizes[1], z)
    value = two - one
    plain = all(len(group) == len(values) for group, values in zip(groups, (first_N, second_N), strict=True))
    if plain and np.all(first_N % 1 == 0) and np.all(second_N % 1 == 0):
        p = fisher_exact(int(first_N.sum()), len(first_N), int(second_N.sum()), len(second_N))
    else:
        p = _normal_p(one, sizes[0], two, sizes[1])
    return Difference(
        value=value,
        low=value - math.hypot(two - low_2, high_1 - one),
        high=value + math.hypot(high_2 - two, one - low_1),
        p=p,
        n_first=len(first_N),
        n_second=len(second_N),
    )


def fisher_exact(k1: int, n1: int, k2: int, n2: int) -> float:
    """Return the two-sided p-value of equal proportions: tables no likelier than the one seen."""
    total = k1 + k2
    k = np.arange(max(0, total - n2), min(n1, total) + 1)
    logs = np.array([_log_choose(n1, int(i)) + _log_choose(n2, total - int(i)) for i in k])
    logs -= np.logaddexp.reduce(logs)
    seen = logs[k1 - int(k[0])]
    return min(1.0, float(np.exp(np.logaddexp.reduce(logs[logs <= seen + 1e-9]))))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _normal_p(one: float, size_1: float, two: float, size_2: float) -> float:
    pooled = (one * size_1 + two * size_2) / (size_1 + size_2)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / size_1 + 1 / size_2))
    if spread <= 1e-12:
        return 1.0
    return math.erfc(abs(two - one) / spread / math.sqrt(2))
