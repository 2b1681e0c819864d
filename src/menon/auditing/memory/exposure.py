"""Canary exposure: how far up does a secret stand among everything that could fill its place?

    exposure = log2 |R| - log2 rank

The rank is by perplexity, 1 for the most likely of the |R| fills. An untrained secret has a uniform rank and about
1.4 bits on average (1 / ln 2); a memorised one has all log2 |R| bits. Small spaces are ranked exactly; for large ones a
skew-normal distribution is fitted to a sample of fills, by moments.
Source: Carlini et al. 2019, arXiv:1802.08232, sections 4.2 to 4.4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from menon.core.errors import ConfigError

LARGEST_SKEW = 0.99  # a skew-normal distribution cannot have more than 0.9953
_NORMAL = NormalDist()


def exposure_bits(rank: int, space: int) -> float:
    """Return log2 of how much likelier than a blind guess the secret's rank makes it.

    Raises:
        ConfigError: a rank outside 1..space.
    """
    if not 1 <= rank <= space:
        raise ConfigError(f"rank {rank!r} among {space!r} fills; need 1 <= rank <= space")
    return math.log2(space) - math.log2(rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewNormal:
    """A skew-normal distribution: location, scale > 0 and shape."""

    location: float
    scale: float
    shape: float

    @classmethod
    def fit(cls, values: Sequence[float]) -> "SkewNormal":
        """Fit by the method of moments; skewness beyond what the family reaches is cut off.

        Raises:
            ConfigError: fewer than 3 values, or all equal.
        """
        values_N = np.asarray(values, dtype=np.float64)
        if len(values_N) < 3 or not float(values_N.std()) > 0:
            raise ConfigError(f"{len(values_N)} fills with spread {float(np.std(values_N))!r}; need 3 that differ")
        mean, spread = float(values_N.mean()), float(values_N.std())
        skew = float((((values_N - mean) / spread) ** 3).mean())
        skew = max(-LARGEST_SKEW, min(LARGEST_SKEW, skew))
        power = abs(skew) ** (2 / 3)
        delta = math.copysign(math.sqrt(math.pi / 2 * power / (power + ((4 - math.pi) / 2) ** (2 / 3))), skew)
        scale = spread / math.sqrt(1 - 2 * delta**2 / math.pi)
        return cls(
            location=mean - scale * delta * math.sqrt(2 / math.pi),
            scale=scale,
            shape=delta / math.sqrt(1 - delta**2),
        )

    def log2_below(self, value: float) -> float:
        """Return log2 of the probability of a value at or below `value`; precise far into the lower tail."""
        z = (value - self.location) / self.scale
        logs_N = self._log_density(z - np.concatenate([[0.0], np.geomspace(1e-6, 60.0, 20_000)]))
        steps = np.diff(np.concatenate([[0.0], np.geomspace(1e-6, 60.0, 20_000)]))
        top = float(logs_N.max())
        heights = np.exp(logs_N - top)
        area = float((steps * (heights[1:] + heights[:-1]) / 2).sum())
        return min(0.0, (top + math.log(area)) / math.log(2))

    def _log_density(self, z_N: NDArray[np.float64]) -> NDArray[np.float64]:
        below = np.array([_log_normal_below(self.shape * z) for z in z_N.tolist()])
        return math.log(2) - z_N**2 / 2 - math.log(math.sqrt(2 * math.pi)) + below


def _log_normal_below(z: float) -> float:
    if z > -8:
        return math.log(max(_NORMAL.cdf(z), 1e-300))
    # Mills' ratio, first terms of its asymptotic expansion
    return -z * z / 2 - math.log(-z * math.sqrt(2 * math.pi)) + math.log1p(-1 / z**2 + 3 / z**4)


def estimated_exposure(secret: float, sample: Sequence[float]) -> float:
    """Return the exposure of a secret of log-perplexity `secret`, from the log-perplexities of sampled fills."""
    return -SkewNormal.fit(sample).log2_below(secret)
