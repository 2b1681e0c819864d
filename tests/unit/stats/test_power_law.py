"""Slopes of rankings against lines drawn by hand, scipy and simulation; curves against plain sums."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from menon.core.errors import ConfigError
from menon.stats import (
    cumulative_influence,
    log_spaced,
    mean_curve,
    mean_difference,
    mean_slope,
    slopes,
    tail_size,
    tail_slope,
)

oracle: Any = stats  # its stubs name no results


def law(slope: float, size: int, shuffled: int = 0) -> np.ndarray:
    scores = 3.0 * np.arange(1, size + 1) ** slope
    return np.random.default_rng(shuffled).permutation(scores)


def test_an_exact_power_law_is_found() -> None:
    found = tail_slope(law(-0.36, 2000), k=500)
    assert found is not None
    assert found.value == pytest.approx(-0.36)
    assert np.exp(found.intercept) == pytest.approx(3.0)
    assert (found.n, found.fit) == (500, pytest.approx(1.0))


def test_the_slope_is_that_of_least_squares() -> None:
    scores = np.random.default_rng(1).lognormal(size=1000).astype(np.float32)
    best = np.sort(scores)[::-1][:40].astype(np.float64)
    expected = oracle.linregress(np.log(np.arange(1, 41)), np.log(best))
    found = tail_slope(scores, k=40)
    assert found is not None
    assert found.value == pytest.approx(expected.slope)
    assert found.fit == pytest.approx(expected.rvalue**2)


def test_only_positive_scores_count() -> None:
    scores = np.concatenate([law(-1.0, 30), -law(-1.0, 500), np.zeros(100)])
    found = tail_slope(scores, k=100)
    assert found is not None
    assert (found.n, found.value) == (30, pytest.approx(-1.0))
    assert tail_slope([1.0, 2.0, -3.0, 0.0]) is None
    flat = tail_slope(np.ones(50))
    assert flat is not None
    assert (flat.value, flat.low, flat.high) == (0.0, 0.0, 0.0)


def test_default_size_is_a_share_with_a_floor() -> None:
    assert [tail_size(n) for n in (5, 20_000, 5_000_000)] == [5, 20, 500]


@pytest.mark.parametrize(("documents", "k", "exponent"), [(3000, 20, 3.0), (3000, 150, 2.0), (60, 60, 1.0)])
def test_limits_hold_the_law_they_come_from(documents: int, k: int, exponent: float) -> None:
    rng = np.random.default_rng([documents, k])
    hits = 0
    for _ in range(600):
        found = tail_slope(1 + rng.pareto(exponent, documents), k=k)
        assert found is not None
        hits += found.low <= -1 / exponent <= found.high
    assert 0.925 <= hits / 600 <= 0.975


def test_limits_do_not_depend_on_the_unit() -> None:
    scores = np.random.default_rng(3).pareto(2.0, 400) + 1
    first, second = tail_slope(scores), tail_slope(1e-9 * scores)
    assert first is not None
    assert second is not None
    assert (first.low, first.high) == (pytest.approx(second.low), pytest.approx(second.high))
    assert first.to_json() == {"value": first.value, "low": first.low, "high": first.high, "n": 20}


def test_mean_slope_leaves_out_queries_without_one() -> None:
    rows = [law(-0.2, 100), law(-0.4, 100), -law(-0.4, 100)]
    assert np.isnan(slopes(rows)[2])
    found = mean_slope(rows)
    assert (found.value, found.n) == (pytest.approx(-0.3), 2)
    with pytest.raises(ConfigError, match="no query has 3 positive scores"):
        mean_slope([-law(-0.4, 100)])


def test_mean_difference_is_welch() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(0, 1, 30), rng.normal(0.8, 2, 45)
    expected = oracle.ttest_ind(second, first, equal_var=False)
    limits = expected.confidence_interval(0.95)
    found = mean_difference(first, second)
    assert found.value == pytest.approx(second.mean() - first.mean())
    assert (found.low, found.high) == (pytest.approx(limits.low, abs=5e-3), pytest.approx(limits.high, abs=5e-3))
    assert found.p == pytest.approx(expected.pvalue, abs=0.02)
    assert (found.n_first, found.n_second) == (30, 45)
    assert mean_difference([1.0, 1.0, 1.0], [1.0, 1.0]).p == 1.0


def test_log_spaced_ends_with_all_documents() -> None:
    assert log_spaced(1) == (1,)
    assert log_spaced(20) == (1, 2, 5, 10, 20)
    assert log_spaced(73) == (1, 2, 5, 10, 20, 50, 73)


def test_curve_is_exact() -> None:
    scores = np.array([1.0, -2.0, 4.0, 0.5, -0.25], dtype=np.float32)
    points = cumulative_influence(scores, 2.0, ks=[1, 2, 3, 4, 5])
    assert [point.total_per_nat for point in points] == [2.0, 2.5, 2.75, 2.625, 1.625]
    assert [point.positive_per_nat for point in points] == [2.0, 2.5, 2.75, 2.75, 2.75]
    assert points[0].to_json() == {"k": 1, "total_per_nat": 2.0, "positive_per_nat": 2.0}


def test_mean_curve_is_a_mean_over_queries() -> None:
    rows = np.random.default_rng(6).standard_normal((8, 300)).astype(np.float32)
    information = np.linspace(0.5, 4, 8)
    point = mean_curve(rows, information, ks=[10])[0]
    sums = np.sort(rows, axis=1)[:, ::-1][:, :10].astype(np.float64).sum(axis=1) / information
    half = oracle.t.ppf(0.975, 7) * sums.std(ddof=1) / np.sqrt(8)
    assert point.total_per_nat.value == pytest.approx(sums.mean())
    assert point.total_per_nat.high == pytest.approx(sums.mean() + half, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tail_slope([1.0, np.nan, 2.0]), "all of them finite"),
        (lambda: tail_slope([]), "at least one"),
        (lambda: tail_slope([1.0, 2.0, 3.0], k=2), "at least 3"),
        (lambda: tail_size(0), "at least one"),
        (lambda: cumulative_influence([1.0], 0.0), "above 0"),
        (lambda: cumulative_influence([1.0], 1.0, ks=[2]), r"1\.\.1"),
        (lambda: mean_curve([[1.0]], [1.0, 2.0]), "one for each row"),
    ],
    ids=["nan", "empty", "k", "none", "information", "rank", "rows"],
)
def test_bad_input_is_named(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=words):
        call()
