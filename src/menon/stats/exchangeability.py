"""Exchangeability: do originals do better than chance lets one of their re-instantiations do?

If nothing is memorised, an original and re-instantiations drawn from the same distribution can be swapped. Given how
many of a template's problems were answered rightly, each of them is then equally likely to be among those, so the
number of right originals has a known law (a sum of hypergeometric counts; Poisson-binomial with one original per
template). With scores in place of outcomes, the rank of the original among its re-instantiations is uniform. Both tests
are one-sided: memorising makes originals easier. They hold only if the re-instantiations match in difficulty.

Left out: an effect size; that is the recitation share.
Source: the idea is the exchangeability test of Oren et al. 2023, arXiv:2310.17623, there over the order of examples,
here over originals and re-instantiations; mid-p after Lancaster 1961, J. Am. Stat. Assoc. 56:223.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError
from menon.stats.clusters import Clusters, generator
from menon.stats.interval import normal_quantile

_LATTICE = 20_000  # points of the exact rank distribution; beyond, the normal approximation is used
_ORDERS = 4_000_000  # permuted values held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeabilityTest:
    """Originals right against what exchangeability expects.

    `p` is the mid-p value; `p_exact` counts the observed number fully and so rejects at most as often as it says;
    `p_randomised` is uniform under the null, at the price of a coin (seeded by the data). `num_informative` counts the
    templates whose problems were neither all right nor all wrong; the others say nothing.
    """

    statistic: int
    expected: float
    deviation: float
    p: float
    p_exact: float
    p_randomised: float
    num_templates: int
    num_informative: int
    num_originals: int

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTest:
    """Scores of originals against those of their re-instantiations.

    `mean_rank` is the mean share of its fellows that an original exceeds (0.5 if exchangeable, ties count half); `p` is
    the mid-p value of the rank sum and `p_exact` the conservative one (equal where the normal approximation is used).
    `difference` is the mean of score(original) - mean score(re-instantiations), `p_difference` its permutation p-value.
    """

    mean_rank: float
    p: float
    p_exact: float
    method: Literal["exact", "normal"]
    difference: float
    p_difference: float
    num_originals: int

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def exchangeability_test(
    originals: ArrayLike, variants: Sequence[ArrayLike] | np.ndarray, clusters: ArrayLike | None = None
) -> ExchangeabilityTest:
    """Test whether originals are right more often than the re-instantiations of their templates.

    Args:
        originals: outcome of each original, 0 or 1.
        variants: for each original the outcomes of its re-instantiations, 0 or 1 (at least one; ragged is fine).
        clusters: template id per original; originals of one template are pooled with all its re-instantiations.
    """
    original_N = _binary(originals, "originals")
    rows = _rows(variants, len(original_N))
    fresh_N = np.array([_binary(row, "re-instantiations").sum() for row in rows])
    groups = Clusters.of(clusters, len(original_N))
    right_G = groups.totals(original_N)
    total_G = (right_G + groups.totals(fresh_N)).astype(int)
    size_G = (groups.sizes + groups.totals(np.array([float(len(row)) for row in rows]))).astype(int)
    marked_G = groups.sizes.astype(int)
    pmf = np.ones(1)
    for size, total, marked in zip(size_G, total_G, marked_G, strict=True):
        pmf = np.convolve(pmf, hypergeometric(int(size), int(total), int(marked)))
    statistic = int(right_G.sum())
    tail, here = float(pmf[statistic + 1 :].sum()), float(pmf[statistic])
    coin = float(generator("exchangeability", statistic, *map(int, total_G), *map(int, size_G)).random())
    values = np.arange(len(pmf))
    expected = float(values @ pmf)
    return ExchangeabilityTest(
        statistic=statistic,
        expected=expected,
        deviation=math.sqrt(max(0.0, float(np.square(values - expected) @ pmf))),
        p=min(1.0, tail + here / 2),
        p_exact=min(1.0, tail + here),
        p_randomised=min(1.0, tail + coin * here),
        num_templates=len(groups),
        num_informative=int(np.count_nonzero((total_G > 0) & (total_G < size_G))),
        num_originals=len(original_N),
    )


@lru_cache(maxsize=4096)
def hypergeometric(size: int, total: int, marked: int) -> NDArray[np.float64]:
    """Return P(0), ..., P(marked): how many of `marked` among `size` problems are among the `total` right ones."""
    everything = math.comb(size, total)
    return np.array(
        [
            math.comb(marked, x) * math.comb(size - marked, total - x) / everything if x <= total else 0.0
            for x in range(marked + 1)
        ]
    )


def exchangeability_power(
    num_templates: int,
    num_variants: int,
    *,
    share: float,
    accuracy: float,
    spread: float = 2.0,
    alpha: float = 0.05,
) -> float:
    """Return about how often the test on outcomes rejects at `alpha` when `share` is recited; one original a template.

    Normal approximation for a model that is right on `accuracy` of the originals, so on accuracy * (1 - share) of the
    re-instantiations; its ability differs over templates by a Beta law with `spread` (the sum of both parameters).

    Raises:
        ConfigError: a count below 1, or share, accuracy, spread or alpha outside its range.
    """
    if num_templates < 1 or num_variants < 1:
        raise ConfigError(
            f"{num_templates!r} templates with {num_variants!r} re-instantiations; need at least 1 of both"
        )
    if not (0 <= share <= 1 and 0 <= accuracy <= 1 and spread > 0 and 0 < alpha < 1):
        raise ConfigError(
            f"share {share!r}, accuracy {accuracy!r}, spread {spread!r}, alpha {alpha!r}; shares and accuracies lie in "
            "[0, 1], spread above 0, alpha strictly between 0 and 1"
        )
    k, mean = num_variants, accuracy * (1 - share)
    known = accuracy * share / (1 - mean) if mean < 1 else 0.0
    mixed = mean * (1 - mean) * spread / (spread + 1)  # E[ability (1 - ability)]
    unable = (1 - mean) - mixed  # E[(1 - ability)^2]
    # Ordered pairs of one right and one wrong answer within a template give the variance under the null.
    pairs = k * (k - 1) * mixed + k * (mixed + known * unable) + k * (1 - known) * mixed
    null = num_templates * pairs / (k + 1) ** 2
    if null <= 1e-12:
        return 0.0
    shift = num_templates * k / (k + 1) * (accuracy - mean)
    original = (1 - known) * (mixed + known * unable)  # E[a (1 - a)] for the original's chance a
    between = (k * known) ** 2 * (mean * (1 - mean) - mixed)
    actual = num_templates * (k * k * original + k * mixed + between) / (k + 1) ** 2
    distance = shift - normal_quantile(1 - alpha) * math.sqrt(null)
    if actual <= 1e-12:
        return float(distance > 0)
    return 0.5 * math.erfc(-distance / math.sqrt(2 * actual))


def ability_spread(variants: Sequence[ArrayLike] | np.ndarray) -> float:
    """Estimate the `spread` of a Beta law of ability from the outcomes of re-instantiations, one row per template.

    Moments: the mean within-row variance over the variance of one outcome is spread / (spread + 1). Limited to
    [0.05, 50]; 2 where no row has two outcomes or all outcomes are equal.
    """
    rows = [row for row in _rows(variants, len(variants)) if len(row) > 1]
    if not rows:
        return 2.0
    mean = float(np.mean([row.mean() for row in rows]))
    whole = mean * (1 - mean)
    if whole <= 1e-12:
        return 2.0
    ratio = float(np.mean([row.var(ddof=1) for row in rows])) / whole
    return 50.0 if ratio >= 50 / 51 else max(0.05, ratio / (1 - ratio))


def rank_test(
    originals: ArrayLike, variants: Sequence[ArrayLike] | np.ndarray, *, seed: int = 0, resamples: int = 9999
) -> RankTest:
    """Test whether originals score higher than their own re-instantiations (log-likelihood of the gold answer).

    Each original is ranked among its own re-instantiations; these ranks are independent under the null, also for
    several originals of one template. Ranks are divided by the number ranked before they are added.
    """
    original_N = np.asarray(originals, dtype=np.float64)
    if original_N.ndim != 1 or not len(original_N):
        raise ConfigError(f"scores of originals of shape {original_N.shape!r}; need a vector of at least one score")
    rows = [np.concatenate([[a], row]) for a, row in zip(original_N, _rows(variants, len(original_N)), strict=True)]
    if not all(np.isfinite(row).all() for row in rows):
        raise ConfigError("a score is not finite; leave out problems that could not be scored")
    ranks = [_doubled_ranks(row) for row in rows]
    p, p_exact, method = _rank_sum_p(ranks)
    contrasts = [(len(row) * row - row.sum()) / (len(row) - 1) for row in rows]
    above = [(float(rank[0]) / 2 - 1) / (len(rank) - 1) for rank in ranks]
    return RankTest(
        mean_rank=float(np.mean(above)),
        p=p,
        p_exact=p_exact,
        method=method,
        difference=float(np.mean([contrast[0] for contrast in contrasts])),
        p_difference=_permutation_p(contrasts, seed=seed, resamples=resamples),
        num_originals=len(rows),
    )


def _doubled_ranks(row: np.ndarray) -> NDArray[np.int64]:
    """Return twice the mid-ranks of `row` (1 = smallest), which are whole numbers with ties too."""
    below = (row[:, None] > row[None, :]).sum(axis=1)
    equal = (row[:, None] == row[None, :]).sum(axis=1)
    return 2 * below + equal + 1


def _rank_sum_p(ranks: Sequence[NDArray[np.int64]]) -> tuple[float, float, Literal["exact", "normal"]]:
    """Return mid-p and conservative p of the sum of ranks over the number ranked, one-sided upwards."""
    common = math.lcm(*{len(rank) for rank in ranks})
    scores = [(rank - rank.min()) * (common // len(rank)) for rank in ranks]
    observed = sum(int(score[0]) for score in scores)
    if sum(int(score.max()) for score in scores) <= _LATTICE:
        pmf = np.ones(1)
        for score in scores:
            pmf = np.convolve(pmf, np.bincount(score) / len(score))
        tail, here = float(pmf[observed + 1 :].sum()), float(pmf[observed])
        return min(1.0, tail + here / 2), min(1.0, tail + here), "exact"
    variance = sum(float(score.var()) for score in scores)
    z = (observed - sum(float(score.mean()) for score in scores)) / math.sqrt(variance) if variance > 0 else 0.0
    p = 0.5 * math.erfc(z / math.sqrt(2))
    return p, p, "normal"


def _permutation_p(contrasts: Sequence[np.ndarray], *, seed: int, resamples: int) -> float:
    """Return the p-value of the mean of the first contrasts over random choices of the original in every row.

    The statistic is studentised (mean over root mean square), so that rows of large spread do not decide alone.
    """
    width = max(map(len, contrasts))
    table_NK = np.zeros((len(contrasts), width))
    for place, contrast in enumerate(contrasts):
        table_NK[place, : len(contrast)] = contrast
    sizes_N = np.array([len(contrast) for contrast in contrasts])
    rng, rows = generator("rank_test", seed), np.arange(len(contrasts))
    observed, extreme, done = _studentised(table_NK[:, 0]), 0, 0
    block = max(1, _ORDERS // len(contrasts))
    while done < resamples:
        count = min(block, resamples - done)
        chosen_BN = (rng.random((count, len(contrasts))) * sizes_N).astype(np.intp)
        extreme += int(np.count_nonzero(_studentised(table_NK[rows, chosen_BN]) >= observed - 1e-12))
        done += count
    return (extreme + 1) / (resamples + 1)


def _studentised(values: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.square(values).sum(axis=-1))
    return np.divide(values.sum(axis=-1), length, out=np.zeros_like(length), where=length > 1e-12)


def _binary(values: ArrayLike, name: str) -> NDArray[np.float64]:
    values_N = np.asarray(values, dtype=np.float64)
    if values_N.ndim != 1 or not len(values_N) or not bool(np.all((values_N == 0) | (values_N == 1))):
        raise ConfigError(f"{name} {values!r}; need a vector of at least one outcome, each 0 or 1")
    return values_N


def _rows(variants: Sequence[ArrayLike] | np.ndarray, num_originals: int) -> list[NDArray[np.float64]]:
    if len(variants) != num_originals:
        raise ConfigError(
            f"re-instantiations of {len(variants)} originals for {num_originals} originals; give one row each"
        )
    rows = [np.atleast_1d(np.asarray(row, dtype=np.float64)) for row in variants]
    for place, row in enumerate(rows):
        if not len(row):
            raise ConfigError(f"original {place} has no re-instantiation; leave it out or give it at least one")
    return rows
