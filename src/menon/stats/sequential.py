"""Looking at the data several times without paying for it in errors: group-sequential bounds by error spending.

A standardised estimate is looked at when fractions t_1 < ... < t_K of the planned information are in. Bounds b_k are
such that, if its true value is 0, |Z_k| > b_k at any of the first k looks with probability spent_k. Intervals of
estimate +- b_k standard errors then hold the truth at all looks at once with probability 1 - spent_K, **whatever rule
stops the study** (repeated confidence intervals), so that a verdict read off any of them keeps its error rate.

Left out: anytime-valid confidence sequences. At equal looks they need more questions to a verdict, and at the end of
the plan their interval is half as wide again as a single look's, here a seventh (docs/statistics.md).
Sources: Lan and DeMets 1983, Biometrika 70:659 (spending); Kim and DeMets 1987, Biometrika 74:149 (powers); Armitage,
McPherson and Rowe 1969, J. R. Stat. Soc. A 132:235 (the recursion); Jennison and Turnbull 1989, J. R. Stat. Soc. B
51:305 (repeated confidence intervals).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from menon.core.errors import ConfigError
from menon.stats.interval import normal_quantile, t_quantile

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(121)
_erf = np.vectorize(math.erf, otypes=[float])


def power_spending(fraction: float, alpha: float, *, power: float = 2.0) -> float:
    """Return alpha * fraction^power: 1 spends evenly (like Pocock's bounds), 3 late (like O'Brien and Fleming's)."""
    _check(fraction, alpha)
    if power <= 0:
        raise ConfigError(f"power {power!r} of the spending function; must be above 0, for example 2")
    return alpha * fraction**power


def obrien_fleming_spending(fraction: float, alpha: float) -> float:
    """Return the error spent by a fraction, Lan and DeMets' function for bounds of O'Brien and Fleming's kind."""
    _check(fraction, alpha)
    z = normal_quantile(1 - alpha / 4) if alpha < 1 else 0.0
    return 2 * math.erfc(z / math.sqrt(2 * fraction))


def sequential_bounds(fractions: Sequence[float], spent: Sequence[float]) -> tuple[float, ...]:
    """Return the bound b_k of each look from its information fraction and the error spent up to it.

    Earlier bounds do not depend on later looks, so looks may be added as the study goes.

    Raises:
        ConfigError: fractions that do not ascend in (0, 1], or errors that do not ascend in (0, 1).
    """
    if not fractions or len(fractions) != len(spent) or not _ascend(fractions, 1.0) or not _ascend(spent, 1 - 1e-12):
        raise ConfigError(
            f"fractions {list(fractions)!r} with errors spent {list(spent)!r}; need as many of both, strictly "
            "ascending, above 0, fractions at most 1 and errors below 1"
        )
    return _bounds(tuple(map(float, fractions)), tuple(map(float, spent)))


def crossing_probabilities(
    bounds: Sequence[float], fractions: Sequence[float], *, drift: float = 0.0
) -> NDArray[np.float64]:
    """Return the probability that |Z_k| > b_k for the first time at look k, for each k.

    `drift` is the expectation of Z at fraction 1 (0 is the null).
    """
    density = _Density(drift)
    return np.array([density.look(bound, time) for bound, time in zip(bounds, fractions, strict=True)])


def bound_level(bound: float) -> float:
    """Return the confidence level whose normal quantile is `bound`."""
    return math.erf(bound / math.sqrt(2))


def expanded_level(bound: float, num_clusters: int) -> float:
    """Return the level at which a percentile bootstrap over so many clusters is as wide as `bound` asks.

    Resampled means spread less than real ones, and their limits take no account of that spread being estimated; both
    show at extreme levels. Needs 3 clusters or more.
    Source: the expanded percentile interval of Hesterberg 2015, arXiv:1411.5279, section 5.
    """
    if num_clusters < 3:
        raise ConfigError(f"{num_clusters!r} clusters; at least 3 are needed")
    tail = 0.5 * math.erfc(bound / math.sqrt(2))
    quantile = -t_quantile(tail, num_clusters - 1)
    return bound_level(math.sqrt(num_clusters / (num_clusters - 1)) * quantile)


@lru_cache(maxsize=256)
def _bounds(fractions: tuple[float, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    density, before, bounds = _Density(0.0), 0.0, []
    for time, until in zip(fractions, spent, strict=True):
        low, high = 0.0, 12.0
        for _ in range(50):
            middle = (low + high) / 2
            if density.crossing(middle, time) > until - before:
                low = middle
            else:
                high = middle
        bounds.append(high)
        density.look(high, time)
        before = until
    return tuple(bounds)


class _Density:
    """Density of the score process S_t ~ N(drift t, t) over paths that have not crossed, on Gauss-Legendre nodes."""

    def __init__(self, drift: float) -> None:
        self.drift, self.time = drift, 0.0
        self.nodes, self.mass = np.zeros(1), np.ones(1)  # all of the probability sits at 0

    def crossing(self, bound: float, time: float) -> float:
        """Return the probability of crossing `bound` at `time` and not before."""
        limit, mean, spread = self._next(bound, time)
        inside = 0.5 * (_erf((limit - mean) / spread) - _erf((-limit - mean) / spread))
        return float(self.mass @ (1 - inside))

    def look(self, bound: float, time: float) -> float:
        """Return `crossing` and keep the paths that did not cross."""
        crossed = self.crossing(bound, time)
        limit, mean, spread = self._next(bound, time)
        nodes = limit * _NODES
        kernel = np.exp(-(((nodes[:, None] - mean[None, :]) / spread) ** 2)) / (spread * math.sqrt(math.pi))
        self.nodes, self.mass, self.time = nodes, limit * _WEIGHTS * (kernel @ self.mass), time
        return crossed

    def _next(self, bound: float, time: float) -> tuple[float, np.ndarray, float]:
        """Return the limit of S, the mean from each node, and sqrt(2) times the deviation of the step."""
        step = time - self.time
        return bound * math.sqrt(time), self.nodes + self.drift * step, math.sqrt(2 * step)


def _ascend(values: Sequence[float], most: float) -> bool:
    return all(a < b for a, b in zip([0.0, *values], values, strict=False)) and values[-1] <= most


def _check(fraction: float, alpha: float) -> None:
    if not 0 < fraction <= 1 or not 0 < alpha < 1:
        raise ConfigError(f"fraction {fraction!r}, alpha {alpha!r}; need a fraction in (0, 1] and alpha in (0, 1)")
