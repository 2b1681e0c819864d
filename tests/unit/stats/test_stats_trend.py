"""The logistic slope against maximisation by search, its interval and test against simulation, and separation."""

import math

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.stats import TrendNote, logistic_trend


def log_likelihood(intercept: np.ndarray, slope: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    z = intercept[..., None] + slope[..., None] * x
    return (y * z - np.logaddexp(0, z)).sum(axis=-1)


def penalised(intercept: np.ndarray, slope: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Firth's likelihood: half the log determinant of the information is added."""
    p = 1 / (1 + np.exp(-(intercept[..., None] + slope[..., None] * x)))
    w = p * (1 - p)
    determinant = w.sum(-1) * (w * x * x).sum(-1) - (w * x).sum(-1) ** 2
    return log_likelihood(intercept, slope, x, y) + 0.5 * np.log(np.maximum(determinant, 1e-300))


def searched(function, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The maximum over a grid that is refined around its best point."""
    centre, width = np.array([0.0, 0.0]), 8.0
    for _ in range(40):
        axis = np.linspace(-1, 1, 21) * width
        intercept, slope = np.meshgrid(centre[0] + axis, centre[1] + axis, indexing="ij")
        values = function(intercept, slope, x, y)
        place = np.unravel_index(np.argmax(values), values.shape)
        centre = np.array([intercept[place], slope[place]])
        width *= 0.7
    return float(centre[0]), float(centre[1])


@pytest.mark.parametrize("seed", range(4))
def test_slope_against_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(0.3, 1.2, 40)
    y = (rng.random(40) < 1 / (1 + np.exp(-(0.4 - 0.8 * x)))).astype(float)
    result = logistic_trend(y, x, resamples=99)
    assert result.note is None
    assert (result.intercept, result.slope) == pytest.approx(searched(log_likelihood, x, y), abs=1e-3)


def test_shares_count_as_outcomes() -> None:
    x = np.arange(10.0)
    y = np.array([1, 0.9, 1, 0.8, 0.5, 0.6, 0.4, 0.2, 0.3, 0.1])
    result = logistic_trend(y, x, resamples=999)
    assert (result.intercept, result.slope) == pytest.approx(searched(log_likelihood, x, y), abs=1e-3)
    assert result.p < 0.01


@pytest.mark.parametrize("y", [[0, 0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1]])
def test_separation_is_penalised_and_noted(y: list[int]) -> None:
    x, outcomes = np.arange(8.0) - 3, np.array(y, dtype=float)
    result = logistic_trend(outcomes, x, resamples=999)
    assert result.note in (TrendNote.SEPARATED, TrendNote.ONE_OUTCOME)
    assert (result.intercept, result.slope) == pytest.approx(searched(penalised, x, outcomes), abs=1e-2)
    assert math.isfinite(result.low)
    assert result.low < result.slope < result.high


def test_coverage_and_size_in_clusters() -> None:
    """Items of a template share an ability; intervals and p-values that ignored it would fail here."""
    hits, rejected, ignored, repeats = 0, 0, 0, 300
    rng = np.random.default_rng(8)
    for seed in range(repeats):
        labels = np.repeat(np.arange(40), 6)
        x = np.repeat(rng.normal(size=40), 6) + 0.1 * rng.normal(size=240)
        ability = np.repeat(rng.normal(0, 1.5, 40), 6)
        y = (rng.random(240) < 1 / (1 + np.exp(-ability))).astype(float)
        result = logistic_trend(y, x, labels, seed=seed, resamples=199)
        hits += result.low <= 0 <= result.high
        rejected += result.p <= 0.05
        ignored += logistic_trend(y, x, seed=seed, resamples=199).p <= 0.05
    assert 0.91 <= hits / repeats <= 0.985
    assert 0.02 <= rejected / repeats <= 0.085
    assert ignored / repeats > 0.12


def test_power_and_size_without_clusters() -> None:
    rng = np.random.default_rng(9)
    x = rng.normal(size=120)
    chance = 1 / (1 + np.exp(-0.7 * x))
    found = np.mean([logistic_trend(rng.random(120) < chance, x, resamples=199).p <= 0.05 for _ in range(100)])
    wrong = np.mean([logistic_trend(rng.random(120) < 0.5, x, resamples=199).p <= 0.05 for _ in range(300)])
    assert found > 0.85
    assert 0.02 <= wrong <= 0.085


def test_accuracy_and_halving() -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(1, 30, 400).astype(float)
    result = logistic_trend(rng.random(400) < 1 / (1 + np.exp(-(3 - 0.3 * x))), x, resamples=99)
    half = result.halving(1)
    assert result.accuracy(half) == pytest.approx(result.accuracy(1) / 2)
    assert half == pytest.approx(10, abs=1.5)
    rising = logistic_trend(rng.random(400) < 1 / (1 + np.exp(-(0.3 * x - 3))), x, resamples=99)
    assert rising.halving(1) == math.inf


def test_few_clusters_are_noted_and_refusals() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=60), rng.random(60) < 0.5
    assert logistic_trend(y, x, np.repeat(np.arange(6), 10), resamples=99).note is TrendNote.FEW_CLUSTERS
    with pytest.raises(ConfigError, match="at least two values"):
        logistic_trend([1, 0], [3.0, 3.0])
    with pytest.raises(ConfigError, match="finite numbers"):
        logistic_trend([1, 0], [3.0, float("inf")])
