"""Is one arrangement special among its permutations? Ranks of the published order, with an exact test.

If a model never saw the published order, that order is exchangeable with its shuffles, so its rank among them is
uniform; small ranks (most likely first) say that it was seen. The sum of independent uniform ranks has a known
distribution, so the test holds whatever the model is. Ties count against the published order.
Source: the exchangeability argument of Oren et al. 2023, arXiv:2310.17623; they compare the log-probabilities of shards
with a t-test, which assumes a shape; ranks do not.
"""

from collections.abc import Sequence

import numpy as np

from menon.core.errors import ConfigError


def rank_among(own: float, others: Sequence[float]) -> int:
    """Return 1 + how many of `others` are at least as high as `own`."""
    return 1 + sum(other >= own for other in others)


def rank_sum_p(ranks: Sequence[int], totals: Sequence[int]) -> float:
    """Return the chance that independent ranks, uniform on 1..total, sum to at most what was observed.

    Raises:
        ConfigError: no rank, or one outside 1..total.
    """
    if not ranks or len(ranks) != len(totals) or any(not 1 <= r <= t for r, t in zip(ranks, totals, strict=True)):
        raise ConfigError(f"ranks {list(ranks)[:10]!r} among {list(totals)[:10]!r}; need 1 <= rank <= total, in pairs")
    chances = np.ones(1)  # of each sum of (rank - 1) so far
    for total in totals:
        summed = np.concatenate([[0.0], np.cumsum(np.concatenate([chances, np.zeros(total - 1)]))])
        lower = np.maximum(np.arange(1, len(summed)) - total, 0)
        chances = (summed[1:] - summed[lower]) / total
    observed = sum(ranks) - len(ranks)
    return float(min(1.0, chances[: observed + 1].sum()))
