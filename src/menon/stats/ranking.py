"""How well a score separates two groups: the area under the ROC curve.

The interval keeps a width when the groups are separated perfectly, which DeLong's does not.
Left out: the curve itself, and the comparison of two scores on the same items.
Source: Newcombe 2006, Stat. Med. 25:559 (method 5): the score interval on the variance of Hanley and McNeil 1982,
Radiology 143:29, with the mean group size in place of both.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError
from menon.stats.interval import Interval, check_level, normal_quantile


def auc(positives: ArrayLike, negatives: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return P(a positive scores above a negative), ties counting half, with limits; `n` counts both groups."""
    high_M, low_N = _scores(positives, "positives"), _scores(negatives, "negatives")
    ordered = np.sort(low_N)
    below, up_to = np.searchsorted(ordered, high_M, side="left"), np.searchsorted(ordered, high_M, side="right")
    value = float((below + up_to).sum()) / (2 * len(high_M) * len(low_N))
    z = normal_quantile(0.5 + check_level(level) / 2)
    m, n = len(high_M), len(low_N)
    return Interval(
        value=value,
        low=_limit(value, 0.0, m, n, z),
        high=_limit(value, 1.0, m, n, z),
        n=m + n,
        level=level,
    )


def _limit(value: float, end: float, m: int, n: int, z: float) -> float:
    """Return the area between `value` and `end` that lies z of its own standard errors from `value`."""
    inside, outside = value, end
    for _ in range(60):
        middle = (inside + outside) / 2
        if abs(middle - value) < z * math.sqrt(_variance(middle, m, n)):
            inside = middle
        else:
            outside = middle
    return (inside + outside) / 2


def _variance(area: float, m: int, n: int) -> float:
    size = (m + n) / 2 - 1
    excess = size * (1 - area) / (2 - area) + size * area / (1 + area)
    return area * (1 - area) * (1 + excess) / (m * n)


def _scores(values: ArrayLike, name: str) -> NDArray[np.float64]:
    values_N = np.asarray(values, dtype=np.float64)
    if values_N.ndim != 1 or not len(values_N) or bool(np.isnan(values_N).any()):
        raise ConfigError(f"{name} {values!r}; need a vector of at least one score, none of them NaN")
    return values_N
