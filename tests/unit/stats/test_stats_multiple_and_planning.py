"""Holm against its definition; sample sizes against the exact power they promise."""

import itertools
import math

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.stats import (
    holm,
    mcnemar_exact,
    needed_n_decision,
    needed_n_half_width,
    needed_n_paired,
    needed_n_unpaired,
    wilson,
)


def closed_testing(p: tuple[float, ...]) -> list[float]:
    """Adjust by brute force: a hypothesis falls when every set that holds it falls under Bonferroni."""
    sets = [s for size in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), size)]
    return [max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(len(p))]


@pytest.mark.parametrize("p", [(0.01, 0.04, 0.03, 0.005), (0.2, 0.2, 0.9), (1.0,), (0.0, 0.5), (0.04, 0.01, 0.01, 0.6)])
def test_holm_is_closed_bonferroni(p: tuple[float, ...]) -> None:
    assert holm(p) == pytest.approx(closed_testing(p))


def test_holm_of_nothing() -> None:
    assert len(holm([])) == 0


@pytest.mark.parametrize("p", [[0.1, 1.2], [-0.1], [math.nan]])
def test_holm_refuses_what_is_not_a_p_value(p: list[float]) -> None:
    with pytest.raises(ConfigError, match="p-values"):
        holm(p)


@pytest.mark.parametrize(("gained", "lost"), [(0.2, 0.05), (0.3, 0.15), (0.15, 0.05)])
def test_paired_size_gives_the_promised_power(gained: float, lost: float) -> None:
    """Simulate McNemar's exact test at the recommended size; exactness costs a few points of power."""
    n = needed_n_paired(gained, lost)
    rng = np.random.default_rng(8)
    tables = rng.multinomial(n, [gained, lost, 1 - gained - lost], 1500)
    power = np.mean([mcnemar_exact(b, c) <= 0.05 for b, c, _ in tables.tolist()])
    assert 0.70 < power < 0.85


def test_unpaired_size_gives_the_promised_power() -> None:
    n = needed_n_unpaired(0.5, 0.65)
    assert n == 170
    rng = np.random.default_rng(9)
    x, y = rng.binomial(n, 0.5, 4000) / n, rng.binomial(n, 0.65, 4000) / n
    mean = (x + y) / 2
    power = np.mean(np.abs(x - y) > 1.96 * np.sqrt(2 * mean * (1 - mean) / n))
    assert power == pytest.approx(0.8, abs=0.025)


def test_pairing_needs_fewer() -> None:
    assert needed_n_paired(0.20, 0.05) < needed_n_unpaired(0.5, 0.65)


@pytest.mark.parametrize(("p", "threshold"), [(0.0, 0.1), (0.05, 0.1), (0.3, 0.1), (1.0, 0.9)])
def test_decision_size_is_where_wilson_lets_go(p: float, threshold: float) -> None:
    n = needed_n_decision(p, threshold)

    def holds(size: int) -> bool:
        interval = wilson(p * size, size)
        return interval.low <= threshold <= interval.high

    assert not holds(n)
    assert holds(n - 1)


def test_half_width_follows_the_root_law() -> None:
    assert needed_n_half_width(100, 0.2, 0.1) == 400
    assert needed_n_half_width(100, 0.1, 0.2) == 25


@pytest.mark.parametrize(
    "call",
    [
        lambda: needed_n_paired(0.1, 0.1),
        lambda: needed_n_paired(0.8, 0.5),
        lambda: needed_n_unpaired(0.5, 0.5),
        lambda: needed_n_unpaired(0.5, 1.5),
        lambda: needed_n_half_width(0, 0.1, 0.1),
        lambda: needed_n_decision(0.1, 0.1),
        lambda: needed_n_paired(0.2, 0.1, power=1.0),
    ],
)
def test_impossible_plans_are_refused(call) -> None:
    with pytest.raises(ConfigError, match=r"need|must lie"):
        call()
