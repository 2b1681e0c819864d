"""Recitation share: the share of right answers on the originals that disappears when only the surface changes.

share = 1 - mean_i mean_j V_ij / mean_i A_i, where A_i is the outcome on original i and V_ij the outcome on its j-th
re-instantiation. It estimates the share for the templates that the originals were drawn from, so the interval resamples
templates, not problems. Never clipped: below 0 the model did better on the re-instantiations.

Source: the protocol of GSM-Symbolic, Mirzadeh et al. 2024, arXiv:2410.05229, who report means over sets of instances;
the ratio and its interval are ours.
The rule that picks the interval, and its measured coverage, are in docs/statistics.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError
from menon.stats.clusters import Clusters, generator, outcomes, percentile_limits, resampled_totals
from menon.stats.interval import Interval, check_level, normal_quantile, t_quantile
from menon.stats.proportions import effective_size, wilson_limits
from menon.stats.ratio import ratio_limits

FEW_CLUSTERS = 20  # below this many clusters, or
RARE = 10  # below this many with any right (or any wrong) answer, resampling is too coarse
_T_BELOW = 60  # clusters below which the closed form uses Student's t for the normal quantile


class ShareNote(StrEnum):
    """What a reader must know about an estimate; absent when there is nothing."""

    NEVER_RIGHT = "originals never right"
    ONE_CLUSTER = "one cluster"
    FEW_CLUSTERS = "few clusters"
    RARE = "few right or few wrong answers"
    UNBOUNDED = "no lower limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareEstimate:
    """A recitation share; `value` is None when no original was right, `low` None when it is unbounded.

    `original` and `fresh` are the two accuracies behind it, each with a Wilson interval at its effective size.
    """

    value: float | None
    low: float | None
    high: float | None
    n_items: int
    n_templates: int
    n_variants: int
    original: Interval
    fresh: Interval
    method: Literal["bootstrap", "closed form", "none"]
    note: ShareNote | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n_items": self.n_items,
            "n_templates": self.n_templates,
            "n_variants": self.n_variants,
            "method": self.method,
            "note": None if self.note is None else str(self.note),
            "original": self.original.to_json(),
            "fresh": self.fresh.to_json(),
        }


def recitation_share(
    originals: ArrayLike,
    variants: Sequence[ArrayLike] | np.ndarray,
    clusters: ArrayLike | None = None,
    *,
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
    chance: float = 0.0,
) -> ShareEstimate:
    """Estimate the recitation share from outcomes in [0, 1].

    Args:
        originals: A, one outcome per original.
        variants: V, for each original the outcomes on its re-instantiations (at least one; ragged is fine).
        clusters: template id per original; without it every original is its own template.
        chance: accuracy of a blind guess; it is taken off A and V, so the share is of what exceeds guessing.
    """
    original_N = outcomes(originals, "originals")
    fresh_N, num_variants = _row_means(variants, len(original_N))
    groups = Clusters.of(clusters, len(original_N))
    data = _Data(original_N=original_N, fresh_N=fresh_N, num_variants=num_variants, groups=groups, chance=chance)
    z = normal_quantile(0.5 + check_level(level) / 2)
    value, (low, high), method, note = _estimate(data, seed=seed, resamples=resamples, level=level)
    return ShareEstimate(
        value=value,
        low=low,
        high=high,
        n_items=len(original_N),
        n_templates=len(groups),
        n_variants=num_variants,
        original=data.margin(original_N, len(original_N), z, level),
        fresh=data.margin(fresh_N, num_variants, z, level),
        method=method,
        note=note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    original_N: NDArray[np.float64]
    fresh_N: NDArray[np.float64]
    num_variants: int
    groups: Clusters
    chance: float

    def margin(self, outcome_N: np.ndarray, most: int, z: float, level: float) -> Interval:
        """Return the mean outcome with its Wilson interval; `most` bounds the effective size."""
        value = float(outcome_N.mean())
        size = effective_size(self.groups.totals(outcome_N), self.groups.sizes, most=most)
        low, high = wilson_limits(value, size, z)
        return Interval(value=value, low=low, high=high, n=most, level=level)

    def rare(self) -> bool:
        """Say whether one side of the ratio rests on so few clusters that resampling is too coarse."""
        sides = [self.original_N, 1 - self.original_N, self.fresh_N, 1 - self.fresh_N]
        return any(np.count_nonzero(self.groups.totals(side) > 1e-12) < RARE for side in sides)


def _estimate(
    data: _Data, *, seed: int, resamples: int, level: float
) -> tuple[
    float | None,
    tuple[float | None, float | None],
    Literal["bootstrap", "closed form", "none"],
    ShareNote | None,
]:
    """Return value, limits, the method that gave the limits, and the note."""
    right = float(data.original_N.mean()) - data.chance
    if right <= 0:
        return None, (None, None), "none", ShareNote.NEVER_RIGHT
    value = 1 - (float(data.fresh_N.mean()) - data.chance) / right
    num_clusters = len(data.groups)
    if num_clusters == 1:
        return value, (None, None), "none", ShareNote.ONE_CLUSTER
    few = num_clusters < FEW_CLUSTERS
    if few or data.rare():
        low, high = _closed_form(data, level)
        method, note = "closed form", ShareNote.FEW_CLUSTERS if few else ShareNote.RARE
    else:
        low, high = _resampled(data, seed=seed, resamples=resamples, level=level)
        method, note = "bootstrap", None
    if math.isinf(low):
        return value, (None, high), method, ShareNote.UNBOUNDED
    return value, (low, high), method, note


def _resampled(data: _Data, *, seed: int, resamples: int, level: float) -> tuple[float, float]:
    """Return percentile limits over resampled templates; a draw without a right original counts as minus infinity."""
    groups = data.groups
    sums_GC = np.stack(
        [groups.totals(data.fresh_N - data.chance), groups.totals(data.original_N - data.chance)], axis=1
    )
    drawn_BC = resampled_totals(sums_GC, resamples, generator("recitation_share", seed))
    fresh_B, original_B = drawn_BC[:, 0], drawn_BC[:, 1]
    shares_B = np.full(len(drawn_BC), -np.inf)
    np.divide(fresh_B, original_B, out=shares_B, where=original_B > 1e-12)
    return percentile_limits(np.where(original_B > 1e-12, 1 - shares_B, -np.inf), level)


def _closed_form(data: _Data, level: float) -> tuple[float, float]:
    """Return limits from the two Wilson intervals and the correlation of the two totals over templates."""
    groups, tail = data.groups, 0.5 + level / 2
    z = t_quantile(tail, len(groups) - 1) if len(groups) < _T_BELOW else normal_quantile(tail)
    fresh = _shifted(data.margin(data.fresh_N, data.num_variants, z, level), data.chance)
    original = _shifted(data.margin(data.original_N, len(data.original_N), z, level), data.chance)
    low, high = ratio_limits(fresh, original, _correlation(data))
    return 1 - high, 1 - low


def _correlation(data: _Data) -> float:
    groups = data.groups
    fresh_G = groups.totals(data.fresh_N) - data.fresh_N.mean() * groups.sizes
    original_G = groups.totals(data.original_N) - data.original_N.mean() * groups.sizes
    spread = math.sqrt(float(fresh_G @ fresh_G) * float(original_G @ original_G))
    return float(fresh_G @ original_G) / spread if spread > 1e-12 else 0.0


def _shifted(interval: Interval, by: float) -> Interval:
    low, high = interval.low - by, interval.high - by
    return Interval(value=interval.value - by, low=low, high=high, n=interval.n, level=interval.level)


def _row_means(variants: Sequence[ArrayLike] | np.ndarray, num_items: int) -> tuple[NDArray[np.float64], int]:
    """Return the mean over each original's re-instantiations, and how many there are in all."""
    if len(variants) != num_items:
        raise ConfigError(
            f"re-instantiations of {len(variants)} originals for {num_items} originals; give one row each"
        )
    rows = [np.atleast_1d(np.asarray(row, dtype=np.float64)) for row in variants]
    lengths = np.array([len(row) for row in rows])
    if not lengths.all():
        place = int(np.argmin(lengths))
        raise ConfigError(f"original {place} has no re-instantiation; leave it out or give it at least one")
    flat = outcomes(np.concatenate(rows), "re-instantiations")
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.add.reduceat(flat, starts) / lengths, len(flat)
