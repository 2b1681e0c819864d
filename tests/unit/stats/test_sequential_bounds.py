"""Group-sequential bounds against published tables, simulation and closed forms."""

from statistics import NormalDist

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.stats import (
    bound_level,
    crossing_probabilities,
    expanded_level,
    obrien_fleming_spending,
    power_spending,
    sequential_bounds,
)

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


def test_one_look_is_the_normal_quantile() -> None:
    assert sequential_bounds([1.0], [0.05])[0] == pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-9)
    assert sequential_bounds([0.3], [0.01])[0] == pytest.approx(NormalDist().inv_cdf(0.995), abs=1e-9)


@pytest.mark.parametrize(
    ("bounds", "name"),
    [
        # Jennison and Turnbull 2000, "Group Sequential Methods", tables 2.1 and 2.3, five looks, two-sided 5 %.
        ((2.413,) * 5, "Pocock"),
        (tuple(2.040 * (5 / look) ** 0.5 for look in range(1, 6)), "O'Brien and Fleming"),
    ],
)
def test_published_bounds_cross_as_often_as_they_say(bounds: tuple[float, ...], name: str) -> None:
    assert crossing_probabilities(bounds, FIFTHS).sum() == pytest.approx(0.05, abs=2e-4), name


def test_published_error_spending_bounds() -> None:
    """Lan and DeMets' table for five equal looks, spending of O'Brien and Fleming's kind."""
    spent = [obrien_fleming_spending(time, 0.05) for time in FIFTHS]
    assert sequential_bounds(FIFTHS, spent) == pytest.approx((4.877, 3.357, 2.680, 2.290, 2.031), abs=1e-3)
    assert spent[-1] == pytest.approx(0.05)


def test_bounds_spend_exactly_what_they_may() -> None:
    times, alpha = (0.1, 0.25, 0.7, 1.0), 0.05
    spent = [power_spending(time, alpha, power=1.5) for time in times]
    crossed = crossing_probabilities(sequential_bounds(times, spent), times)
    assert np.cumsum(crossed) == pytest.approx(spent, abs=1e-7)


def test_bounds_against_simulated_paths() -> None:
    times = np.array([0.1, 0.2, 0.5, 0.6, 1.0])
    spent = [power_spending(float(time), 0.05, power=2) for time in times]
    bounds = np.array(sequential_bounds(times.tolist(), spent))
    steps = np.random.default_rng(11).normal(size=(200_000, 5)) * np.sqrt(np.diff(times, prepend=0))
    for drift in (0.0, 2.5):
        z = (np.cumsum(steps, axis=1) + drift * times) / np.sqrt(times)
        crossed = np.maximum.accumulate(np.abs(z) > bounds, axis=1).mean(axis=0)
        exact = np.cumsum(crossing_probabilities(bounds.tolist(), times.tolist(), drift=drift))
        assert crossed == pytest.approx(exact, abs=0.0035)


def test_later_looks_do_not_change_earlier_bounds() -> None:
    early = sequential_bounds((0.2, 0.5), (0.01, 0.03))
    assert sequential_bounds((0.2, 0.5, 0.55), (0.01, 0.03, 0.05))[:2] == early


def test_even_spending_is_pococks_kind_and_late_spending_obriens() -> None:
    spread = {}
    for power in (1.0, 3.0):
        bounds = sequential_bounds(FIFTHS, [power_spending(time, 0.05, power=power) for time in FIFTHS])
        assert list(bounds) == sorted(bounds, reverse=True)
        spread[power] = bounds[0] - bounds[-1]
    assert spread[1.0] < 0.4
    assert spread[3.0] > 1.2


def test_level_of_a_bound() -> None:
    assert bound_level(1.959963985) == pytest.approx(0.95)
    assert NormalDist().inv_cdf(0.5 + bound_level(2.5) / 2) == pytest.approx(2.5)


def test_expanded_level_makes_the_bootstrap_of_a_mean_as_wide_as_students_interval() -> None:
    """The deviation of resampled means is s sqrt((n - 1) / n) / sqrt n; at this level it reaches t s / sqrt n."""
    t_24 = 2.063899  # tabulated 97.5 % point of Student's t with 24 degrees of freedom
    reached = NormalDist().inv_cdf(0.5 + expanded_level(1.959964, 25) / 2) * np.sqrt(24 / 25)
    assert reached == pytest.approx(t_24, abs=1e-4)
    assert expanded_level(2.5, 100_000) == pytest.approx(bound_level(2.5), abs=1e-5)
    with pytest.raises(ConfigError, match="2 clusters"):
        expanded_level(2, 2)


def test_refusals() -> None:
    for times, spent in [((), ()), ((0.5, 0.5), (0.01, 0.02)), ((0.5, 1.1), (0.01, 0.02)), ((0.5,), (0.0,))]:
        with pytest.raises(ConfigError, match="strictly ascending"):
            sequential_bounds(times, spent)
    with pytest.raises(ConfigError, match="as many of both"):
        sequential_bounds((0.5, 1.0), (0.01,))
    with pytest.raises(ConfigError, match="fraction 0"):
        power_spending(0, 0.05)
    with pytest.raises(ConfigError, match="power -1"):
        power_spending(0.5, 0.05, power=-1)
