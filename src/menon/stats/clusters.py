"""Clusters: labels turned into indices, totals per cluster, and resampling of whole clusters.

Source: the cluster bootstrap is Davison and Hinkley 1997, "Bootstrap Methods and their Application", section 3.8.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for

_CHUNK = 4_000_000  # indices drawn at once: 32 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """For each of N items the index of its cluster, and the number of items in each of G clusters."""

    index: NDArray[np.intp]
    sizes: NDArray[np.float64]

    @classmethod
    def of(cls, labels: ArrayLike | None, num_items: int) -> "Clusters":
        """Index `labels` (one per item; None: every item is its own cluster)."""
        if labels is None:
            return cls(index=np.arange(num_items), sizes=np.ones(num_items))
        labels_N = np.asarray(labels)
        if labels_N.shape != (num_items,):
            raise ConfigError(f"cluster labels of shape {labels_N.shape!r} for {num_items} items; give one per item")
        _, index, counts = np.unique(labels_N, return_inverse=True, return_counts=True)
        return cls(index=index, sizes=counts.astype(np.float64))

    def __len__(self) -> int:
        return len(self.sizes)

    def totals(self, values_N: np.ndarray) -> NDArray[np.float64]:
        """Sum `values_N` within each cluster."""
        return np.bincount(self.index, weights=values_N, minlength=len(self)).astype(np.float64)


def outcomes(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return a non-empty vector of outcomes in [0, 1]; raise `ConfigError` otherwise."""
    values_N = np.asarray(values, dtype=np.float64)
    if values_N.ndim != 1 or not len(values_N):
        raise ConfigError(f"{name} of shape {values_N.shape!r}; need a vector of at least one outcome")
    # Written so that a NaN fails too.
    if not bool(np.all((values_N >= 0) & (values_N <= 1))):
        raise ConfigError(f"{name} range from {values_N.min()!r} to {values_N.max()!r}; outcomes lie in [0, 1]")
    return values_N


def generator(*names: str | int | float | bool | None) -> np.random.Generator:
    """Return a numpy generator seeded by names."""
    return np.random.default_rng(seed_for("stats", *names))


def resampled_totals(totals_GC: np.ndarray, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw G clusters with replacement, `resamples` times, and return the column totals of each draw, shape (B, C)."""
    if resamples < 1:
        raise ConfigError(f"{resamples!r} resamples; at least 1 is needed (2000 gives stable 95 % limits)")
    num_clusters = len(totals_GC)
    rows = max(1, _CHUNK // num_clusters)
    columns = [np.ascontiguousarray(column) for column in totals_GC.T]
    parts = []
    for first in range(0, resamples, rows):
        drawn_BG = rng.integers(0, num_clusters, (min(rows, resamples - first), num_clusters), dtype=np.uint32)
        parts.append(np.stack([column[drawn_BG].sum(axis=1) for column in columns], axis=1))
    return np.concatenate(parts)


def percentile_limits(draws_B: np.ndarray, level: float) -> tuple[float, float]:
    """Return the central interval of bootstrap draws; order statistics, so infinite draws are allowed."""
    tail = (1 - level) / 2
    low, high = np.quantile(draws_B, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)
