"""`mean_interval`: closed forms where there are any, coverage where there are none."""

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for, seed_for
from menon.stats.interval import t_quantile
from menon.stats.means import mean_interval


def drawn(*names: str | int) -> np.random.Generator:
    return np.random.default_rng(seed_for("means tests", *names))


def test_without_clusters_it_is_the_interval_of_student():
    values = [1.0, 4.0, 2.5, 7.0, -3.0]
    found = mean_interval(values)
    half = t_quantile(0.975, 4) * np.std(values, ddof=1) / np.sqrt(5)
    assert (found.value, found.n) == (pytest.approx(2.3), 5)
    assert (found.low, found.high) == (pytest.approx(2.3 - half), pytest.approx(2.3 + half))


def test_clusters_of_equal_size_give_the_interval_of_their_means():
    values_GI = drawn("equal").normal(size=(7, 4)) + np.arange(7)[:, None]
    labels = np.repeat([f"text {g}" for g in range(7)], 4)
    order = rng_for("means tests", "order").sample(range(28), 28)  # where a value stands says nothing
    found = mean_interval(values_GI.ravel()[order], labels[order], level=0.9)
    wanted = mean_interval(values_GI.mean(1), level=0.9)
    assert found.value == pytest.approx(wanted.value)
    assert (found.low, found.high) == (pytest.approx(wanted.low), pytest.approx(wanted.high))
    assert found.n == 28


def test_clusters_of_two_sizes_by_hand():
    # Sizes 1 and 3: the mean of all is 4; totals are 1 - 4 and 15 - 12 away from it.
    found = mean_interval([1.0, 4.0, 5.0, 6.0], [0, 1, 1, 1])
    half = t_quantile(0.975, 1) * np.sqrt(2 / 1 * ((1 - 4) ** 2 + (15 - 12) ** 2) / 4**2)
    assert (found.value, found.low, found.high) == (4.0, pytest.approx(4 - half), pytest.approx(4 + half))


def test_values_that_repeat_within_a_cluster_add_nothing():
    values, labels = [0.2, 1.5, -0.7, 0.4], [0, 1, 2, 3]
    once, often = mean_interval(values), mean_interval(np.repeat(values, 50), np.repeat(labels, 50))
    assert (often.low, often.high) == (pytest.approx(once.low), pytest.approx(once.high))


@pytest.mark.parametrize(
    ("sizes", "least", "most"), [((5,) * 12, 0.935, 0.965), ((1, 2, 3, 4, 5, 6, 8, 10) * 3, 0.9, 0.97)]
)
def test_it_covers_the_mean_of_clustered_values_and_the_naive_one_does_not(
    sizes: tuple[int, ...], least: float, most: float
):
    rng, labels, trials = drawn("coverage", len(sizes)), np.repeat(np.arange(len(sizes)), sizes), 3000
    hits = naive = 0
    for _ in range(trials):
        values = rng.normal(size=len(sizes))[labels] + 0.5 * rng.normal(size=len(labels)) + 2.0
        found, blind = mean_interval(values, labels), mean_interval(values)
        hits += found.low <= 2.0 <= found.high
        naive += blind.low <= 2.0 <= blind.high
    assert least <= hits / trials <= most
    assert naive / trials < 0.8


def test_one_cluster_has_a_mean_and_no_limits():
    found = mean_interval([1.0, 2.0], ["a", "a"])
    assert (found.value, found.low, found.high) == (1.5, -np.inf, np.inf)


def test_sizes_and_offsets_do_not_matter():
    values, labels = drawn("shift").normal(size=30), np.arange(30) % 6
    found, moved = mean_interval(values, labels), mean_interval(1e6 + 1e3 * values, labels)
    assert (moved.low - 1e6) / 1e3 == pytest.approx(found.low, abs=1e-6)
    assert (moved.high - 1e6) / 1e3 == pytest.approx(found.high, abs=1e-6)


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, float("nan")], [float("inf")]])
def test_what_has_no_mean_is_refused(values: list[float]):
    with pytest.raises(ConfigError, match="finite number"):
        mean_interval(values)


def test_labels_and_level_are_checked():
    with pytest.raises(ConfigError, match="cluster labels"):
        mean_interval([1.0, 2.0], ["a"])
    with pytest.raises(ConfigError, match="level"):
        mean_interval([1.0, 2.0], level=1.0)
