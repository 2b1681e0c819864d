"""The loss gap: how much likelier is an original than matched re-instantiations of its own template?

The gap is in nats per token, re-instantiation minus original, so that a positive gap says that the original was seen.
Pairs share the template, hence topic, length and wording; whole templates are exchanged in the test.
Source: the reference is a re-instantiated twin in place of a reference model, Carlini et al. 2021, arXiv:2012.07805.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from menon.core.errors import ConfigError
from menon.stats import sign_flip_p
from menon.stats.clusters import Clusters
from menon.stats.interval import check_level, t_quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A mean paired difference with limits and the p-value of "no difference"; limits are infinite for one cluster."""

    value: float
    low: float
    high: float
    p: float
    n: int
    num_clusters: int

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def loss_gap(
    originals: Sequence[float], twins: Sequence[float], clusters: Sequence[str], *, level: float = 0.95, seed: int = 0
) -> Gap:
    """Return the mean of twin - original with a cluster-robust t interval and a sign-flip p-value.

    `twins` holds one figure per original: the mean over its re-instantiations.
    """
    if not len(originals) or not len(originals) == len(twins) == len(clusters):
        raise ConfigError(f"{len(originals)} originals, {len(twins)} twins, {len(clusters)} clusters; need one each")
    gap_N = np.asarray(twins, dtype=np.float64) - np.asarray(originals, dtype=np.float64)
    groups = Clusters.of(list(clusters), len(gap_N))
    count, mean = len(groups), float(gap_N.mean())
    half = math.inf
    if count > 1:
        residual_G = groups.totals(gap_N) - mean * groups.sizes
        error = math.sqrt(count / (count - 1) * float(residual_G @ residual_G)) / len(gap_N)
        half = t_quantile(0.5 + check_level(level) / 2, count - 1) * error
    return Gap(
        value=mean,
        low=mean - half,
        high=mean + half,
        p=sign_flip_p(gap_N, groups.index, seed=seed),
        n=len(gap_N),
        num_clusters=count,
    )
