"""Chains of steps: the fit against the likelihood, the curves against simulation, the length that halves accuracy."""

import math

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.stats import chain_curve, fit_chain, half_length


def chains(error: float, recovery: float, lengths: list[int], rng: np.random.Generator) -> list[list[bool]]:
    sequences = []
    for length in lengths:
        state, steps = True, []
        for _ in range(length):
            state = bool(rng.random() >= error) if state else bool(rng.random() < recovery)
            steps.append(state)
        sequences.append(steps)
    return sequences


def test_rates_are_transition_counts() -> None:
    fit = fit_chain([[True, False, True], [False, False, True, True], []])
    # Four steps come after a right state (the start is one), two of them wrong; three after a wrong one, two right.
    assert fit.error.value == pytest.approx(2 / 4)
    assert fit.recovery is not None
    assert fit.recovery.value == pytest.approx(2 / 3)
    assert (fit.num_problems, fit.num_steps) == (2, 7)


def test_fit_maximises_the_likelihood() -> None:
    sequences = chains(0.15, 0.3, [8] * 60, np.random.default_rng(1))
    fit = fit_chain(sequences)
    assert fit.recovery is not None

    def log_likelihood(error: float, recovery: float) -> float:
        total = 0.0
        for steps in sequences:
            before = True
            for step in steps:
                wrong = error if before else 1 - recovery
                total += math.log(1 - wrong if step else wrong)
                before = step
        return total

    best = log_likelihood(fit.error.value, fit.recovery.value)
    for shift in (-0.01, 0.01):
        assert log_likelihood(fit.error.value + shift, fit.recovery.value) < best
        assert log_likelihood(fit.error.value, fit.recovery.value + shift) < best


def test_curve_against_recursion_and_simulation() -> None:
    error, recovery = 0.1, 0.25
    curve, s = chain_curve(error, recovery, 30), 1.0
    for value in curve:
        s = s * (1 - error) + (1 - s) * recovery
        assert value == pytest.approx(s)
    seen = np.array(chains(error, recovery, [30] * 8000, np.random.default_rng(2))).mean(axis=0)
    assert np.abs(seen - curve).max() < 0.02
    assert chain_curve(error, recovery, 500)[-1] == pytest.approx(recovery / (recovery + error))
    assert chain_curve(error, 0, 12) == pytest.approx((1 - error) ** np.arange(1, 13))
    assert chain_curve(0, 0, 3) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(("error", "recovery"), [(0.05, 0.0), (0.2, 0.05), (0.3, 0.29), (0.45, 0.1), (0.01, 0.005)])
def test_half_length_is_where_the_curve_halves(error: float, recovery: float) -> None:
    length = half_length(error, recovery)
    curve = chain_curve(error, recovery, math.ceil(length) + 1)
    below = int(np.argmax(curve <= 0.5)) + 1
    assert math.ceil(length - 1e-9) == below


def test_half_length_at_the_ends() -> None:
    assert half_length(0.1, 0.0) == pytest.approx(math.log(0.5) / math.log(0.9))
    assert half_length(0.1, 0.1) == math.inf
    assert half_length(0.0, 0.0) == math.inf
    assert half_length(0.5, 0.9) == 1
    assert half_length(1.0, 0.0) == 1


def test_coverage_of_every_interval() -> None:
    error, recovery, rng = 0.12, 0.06, np.random.default_rng(3)
    bound, half = recovery / (error + recovery), half_length(error, recovery)
    hits = np.zeros(4)
    for seed in range(300):
        fit = fit_chain(chains(error, recovery, [6] * 80, rng), seed=seed, resamples=400)
        assert fit.recovery is not None
        assert fit.bound is not None
        hits += [
            fit.error.low <= error <= fit.error.high,
            fit.recovery.low <= recovery <= fit.recovery.high,
            fit.bound.low <= bound <= fit.bound.high,
            fit.half_low <= half <= fit.half_high,
        ]
    assert np.all(hits / 300 >= 0.91), hits / 300
    assert np.all(hits / 300 <= 0.99), hits / 300


def test_without_errors_or_without_chances_to_recover() -> None:
    perfect = fit_chain([[True] * 5] * 10)
    assert (perfect.error.value, perfect.recovery, perfect.bound) == (0, None, None)
    assert perfect.half_length == math.inf
    assert perfect.to_json()["half_length"] is None
    assert perfect.error.high > 0
    last = fit_chain([[True, False]] * 8)
    assert last.recovery is None
    assert last.independent(2) == pytest.approx([0.5, 0.25])
    assert last.curve(2) == pytest.approx([0.5, 0.25])


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="no sequence has a step"):
        fit_chain([[]])
    with pytest.raises(ConfigError, match="probabilities"):
        chain_curve(1.2, 0, 3)
    with pytest.raises(ConfigError, match="length 0"):
        chain_curve(0.2, 0, 0)
