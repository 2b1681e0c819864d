"""Wilson intervals against published values, brute-force inversion of the score test, and exact coverage."""

import math

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.stats import wilson, wilson_clustered
from menon.stats.interval import normal_quantile, t_quantile


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe 1998, Stat. Med. 17:857, table I, method 3 (score, without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_values(k: int, n: int, low: float, high: float) -> None:
    interval = wilson(k, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert interval.value == k / n
    assert interval.n == n


@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 7), (7, 7), (11, 40), (399, 400)])
def test_limits_are_where_the_score_test_turns(k: int, n: int) -> None:
    """The interval holds exactly the proportions p with |k/n - p| <= z sqrt(p (1 - p) / n)."""
    z = normal_quantile(0.975)
    grid = np.linspace(0, 1, 200_001)
    inside = grid[np.abs(k / n - grid) <= z * np.sqrt(grid * (1 - grid) / n) + 1e-12]
    interval = wilson(k, n)
    assert (interval.low, interval.high) == pytest.approx((inside.min(), inside.max()), abs=1e-5)


def test_exact_mean_coverage_is_nominal() -> None:
    """Enumerate every outcome: over evenly spread p the coverage averages 95 %."""
    n, covered = 40, []
    intervals = [wilson(k, n) for k in range(n + 1)]
    for p in np.linspace(0.01, 0.99, 99):
        mass = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
        covered.append(sum(m for m, i in zip(mass, intervals, strict=True) if i.low <= p <= i.high))
    assert 0.945 < np.mean(covered) < 0.96


def test_narrower_level_is_inside() -> None:
    wide, narrow = wilson(7, 20, level=0.99), wilson(7, 20, level=0.8)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5), (math.nan, 5)])
def test_impossible_counts_are_refused(k: float, n: int) -> None:
    with pytest.raises(ConfigError, match=r"successes among .* need n >= 1"):
        wilson(k, n)


@pytest.mark.parametrize("level", [0, 1, 1.5])
def test_impossible_level_is_refused(level: float) -> None:
    with pytest.raises(ConfigError, match="confidence level"):
        wilson(1, 2, level=level)


def test_singleton_clusters_change_nothing() -> None:
    values = np.array([1, 0, 1, 1, 0, 0, 0, 1, 1, 1])
    plain, clustered = wilson(6, 10), wilson_clustered(values)
    assert (clustered.low, clustered.high) == pytest.approx((plain.low, plain.high))


def test_copies_in_a_cluster_add_no_information() -> None:
    once = np.array([1, 0, 1, 1, 0, 0, 0, 1, 1, 1])
    copied = wilson_clustered(np.repeat(once, 8), np.repeat(np.arange(10), 8))
    plain = wilson(6, 10)
    assert (copied.low, copied.high) == pytest.approx((plain.low, plain.high))
    assert copied.n == 80


def test_clusters_that_are_all_right_count_once_each() -> None:
    interval = wilson_clustered(np.ones(80), np.repeat(np.arange(10), 8))
    assert interval.low == pytest.approx(wilson(10, 10).low)


def test_clustered_coverage() -> None:
    """Coverage of the true mean ability, Beta(1, 1) templates of 6 items, 60 templates."""
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(60), 6)
    hits = 0
    for _ in range(800):
        values = rng.random(360) < np.repeat(rng.beta(1, 1, 60), 6)
        interval = wilson_clustered(values, labels)
        hits += interval.low <= 0.5 <= interval.high
    assert 0.92 < hits / 800 < 0.975


@pytest.mark.parametrize(
    ("df", "expected"), [(1, 12.7062), (2, 4.3027), (4, 2.7764), (7, 2.3646), (19, 2.0930), (59, 2.0010)]
)
def test_t_quantiles(df: int, expected: float) -> None:
    assert t_quantile(0.975, df) == pytest.approx(expected, rel=5e-4)
    assert t_quantile(0.025, df) == pytest.approx(-expected, rel=5e-4)


def test_t_needs_a_degree_of_freedom() -> None:
    with pytest.raises(ConfigError, match="degrees of freedom"):
        t_quantile(0.975, 0)
