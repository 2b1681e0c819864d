"""Does success depend on a covariate (length, frequency)? The slope of a logistic regression, with interval and test.

The interval is Wald's with the cluster sandwich (Student's t on the clusters less one). Where the covariate separates
right from wrong, the maximum of the likelihood lies at infinity and Firth's penalised fit takes its place, noted.
Left out: several covariates at once.
Sources: Liang and Zeger 1986, Biometrika 73:13 (sandwich); Firth 1993, Biometrika 80:27 and Heinze and Schemper 2002,
Stat. Med. 21:2409 (separation); the test of clustered data flips the signs of the clusters' scores.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError
from menon.stats.clusters import Clusters, generator, outcomes
from menon.stats.interval import check_level, t_quantile

_STEPS = 100
_BLOCK = 4_000_000  # permuted values held at once


class TrendNote(StrEnum):
    """What a reader must know about a slope; absent when there is nothing."""

    SEPARATED = "separated: penalised fit"
    ONE_OUTCOME = "all outcomes equal: penalised fit"
    FEW_CLUSTERS = "few clusters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Log-odds of success per unit of the covariate, with limits and the p-value of "no slope"."""

    slope: float
    low: float
    high: float
    intercept: float
    p: float
    n: int
    num_clusters: int
    note: TrendNote | None = None

    def accuracy(self, covariate: float) -> float:
        """Return the fitted chance of success at `covariate`."""
        return float(_sigmoid(np.array(self.intercept + self.slope * covariate)))

    def halving(self, start: float) -> float:
        """Return the covariate beyond `start` at which the fitted chance is half of that at `start`; inf if nowhere."""
        if self.slope >= 0:
            return math.inf
        half = self.accuracy(start) / 2
        return (math.log(half / (1 - half)) - self.intercept) / self.slope

    def to_json(self) -> dict[str, Any]:
        return {
            "slope": self.slope,
            "low": self.low,
            "high": self.high,
            "intercept": self.intercept,
            "p": self.p,
            "n": self.n,
            "num_clusters": self.num_clusters,
            "note": None if self.note is None else str(self.note),
        }


def logistic_trend(
    success: ArrayLike,
    covariate: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    seed: int = 0,
    resamples: int = 4999,
    level: float = 0.95,
) -> Trend:
    """Fit success (outcomes in [0, 1]) to one covariate.

    p permutes the covariate over independent items; with `clusters` (one label per item) it flips the signs of the
    clusters' scores, which holds whatever the dependence within a cluster. Both are two-sided.

    Raises:
        ConfigError: shapes differ, a covariate is not finite, or the covariate is constant.
    """
    success_N, covariate_N = outcomes(success, "success"), np.asarray(covariate, dtype=np.float64)
    if covariate_N.shape != success_N.shape or not bool(np.isfinite(covariate_N).all()):
        raise ConfigError(
            f"covariate of shape {covariate_N.shape!r} for {len(success_N)} outcomes; need finite numbers"
        )
    centre, scale = float(covariate_N.mean()), float(covariate_N.std())
    if scale <= 1e-12 * max(1.0, abs(centre)):
        raise ConfigError(f"the covariate is {centre!r} throughout; a slope needs at least two values")
    groups = Clusters.of(clusters, len(success_N))
    design_NF = np.stack([np.ones(len(success_N)), (covariate_N - centre) / scale], axis=1)
    note = _objection(success_N, covariate_N)
    weights_F = _newton(design_NF, success_N, firth=note is not None)
    variance_FF = _variance(design_NF, success_N, weights_F, groups, model_based=note is not None)
    if note is None and len(groups) < 20:
        note = TrendNote.FEW_CLUSTERS
    slope = float(weights_F[1]) / scale
    half = t_quantile(0.5 + check_level(level) / 2, max(1, len(groups) - 1)) * math.sqrt(variance_FF[1, 1]) / scale
    return Trend(
        slope=slope,
        low=slope - half,
        high=slope + half,
        intercept=float(weights_F[0]) - slope * centre,
        p=_p(design_NF[:, 1], success_N - success_N.mean(), groups, seed=seed, resamples=resamples),
        n=len(success_N),
        num_clusters=len(groups),
        note=note,
    )


def _objection(success_N: np.ndarray, covariate_N: np.ndarray) -> TrendNote | None:
    """Return why the likelihood has no maximum; None when it has one."""
    some_right, some_wrong = covariate_N[success_N > 0], covariate_N[success_N < 1]
    if not len(some_right) or not len(some_wrong):
        return TrendNote.ONE_OUTCOME
    if some_right.min() >= some_wrong.max() or some_wrong.min() >= some_right.max():
        return TrendNote.SEPARATED
    return None


def _newton(design_NF: np.ndarray, success_N: np.ndarray, *, firth: bool) -> NDArray[np.float64]:
    """Maximise the (penalised) log-likelihood by Newton steps of limited length."""
    weights_F = np.zeros(design_NF.shape[1])
    for _ in range(_STEPS):
        fitted_N = _sigmoid(design_NF @ weights_F)
        inverse_FF, spread_N = _information(design_NF, fitted_N)
        residual_N = success_N - fitted_N
        if firth:
            leverage_N = spread_N * np.einsum("nf,fg,ng->n", design_NF, inverse_FF, design_NF)
            residual_N = residual_N + leverage_N * (0.5 - fitted_N)
        step_F = inverse_FF @ (design_NF.T @ residual_N)
        weights_F = weights_F + step_F * min(1.0, 2.0 / max(1e-300, float(np.abs(step_F).max())))
        if np.abs(step_F).max() < 1e-10:
            break
    return weights_F


def _information(design_NF: np.ndarray, fitted_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse Fisher information and the variance of every outcome."""
    spread_N = np.maximum(fitted_N * (1 - fitted_N), 1e-12)
    return np.linalg.inv(design_NF.T @ (design_NF * spread_N[:, None])), spread_N


def _variance(
    design_NF: np.ndarray, success_N: np.ndarray, weights_F: np.ndarray, groups: Clusters, *, model_based: bool
) -> np.ndarray:
    """Return the cluster sandwich; for penalised fits, and for one cluster alone, the inverse information."""
    fitted_N = _sigmoid(design_NF @ weights_F)
    inverse_FF, _ = _information(design_NF, fitted_N)
    if model_based or len(groups) == 1:
        return inverse_FF
    scores_NF = design_NF * (success_N - fitted_N)[:, None]
    scores_GF = np.stack([groups.totals(column) for column in scores_NF.T], axis=1)
    correction = len(groups) / (len(groups) - 1)
    return correction * inverse_FF @ (scores_GF.T @ scores_GF) @ inverse_FF


def _p(centred_N: np.ndarray, residual_N: np.ndarray, groups: Clusters, *, seed: int, resamples: int) -> float:
    """Return the two-sided p-value of the score statistic sum (x - mean) (y - mean)."""
    rng = generator("logistic_trend", seed)
    observed, extreme, done = abs(float(centred_N @ residual_N)), 0, 0
    scores_G = groups.totals(centred_N * residual_N)
    independent = len(groups) == len(residual_N)
    block = max(1, _BLOCK // len(scores_G))
    while done < resamples:
        count = min(block, resamples - done)
        if independent:
            drawn_B = rng.permuted(np.broadcast_to(residual_N, (count, len(residual_N))), axis=1) @ centred_N
        else:
            drawn_B = (2.0 * rng.integers(0, 2, (count, len(scores_G))) - 1.0) @ scores_G
        extreme += int(np.count_nonzero(np.abs(drawn_B) >= observed - 1e-9))
        done += count
    return (extreme + 1) / (resamples + 1)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(values / 2))
