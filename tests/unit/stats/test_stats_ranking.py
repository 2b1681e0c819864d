"""The area under the ROC curve against brute force, and its interval against simulation."""

import math

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.stats import auc


def brute(positives: np.ndarray, negatives: np.ndarray) -> float:
    return float(np.mean([(a > b) + 0.5 * (a == b) for a in positives for b in negatives]))


def test_value_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        positives, negatives = rng.integers(0, 6, rng.integers(1, 15)), rng.integers(0, 5, rng.integers(1, 15))
        result = auc(positives, negatives)
        assert result.value == pytest.approx(brute(positives, negatives))
        assert 0 <= result.low <= result.value <= result.high <= 1
        turned = auc(negatives, positives)
        assert (turned.value, turned.low) == pytest.approx((1 - result.value, 1 - result.high))


def test_perfect_separation_keeps_a_width() -> None:
    few, many = auc([3, 4, 5], [0, 1, 2]), auc(range(100, 200), range(100))
    assert few.value == many.value == 1
    assert few.low < 0.75
    assert 0.95 < many.low < 1
    assert few.high == 1
    assert few.n == 6


@pytest.mark.parametrize(("m", "n", "shift"), [(30, 30, 1.0), (12, 40, 2.0), (50, 50, 0.0)])
def test_coverage(m: int, n: int, shift: float) -> None:
    """Two normal groups, whose area is Phi(shift / sqrt 2)."""
    truth, rng = 0.5 * math.erfc(-shift / 2), np.random.default_rng([m, n])
    intervals = [auc(rng.normal(shift, 1, m), rng.normal(0, 1, n)) for _ in range(600)]
    assert 0.925 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 0.985


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="negatives"):
        auc([1.0], [])
    with pytest.raises(ConfigError, match="NaN"):
        auc([float("nan")], [1.0])
