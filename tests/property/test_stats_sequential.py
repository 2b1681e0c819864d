"""Bounds of any plan spend their error, and the adaptive audit keeps the error rate of a single look."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon.auditing.adaptive import Plan
from menon.stats import (
    crossing_probabilities,
    expanded_level,
    power_spending,
    recitation_share,
    sequential_bounds,
)


@settings(deadline=None, max_examples=40)
@given(
    steps=st.lists(st.integers(1, 20), min_size=1, max_size=8),
    alpha=st.floats(0.005, 0.3),
    power=st.floats(0.7, 3.5),
)
def test_any_plan_spends_its_error_and_no_more(steps: list[int], alpha: float, power: float) -> None:
    times = (np.cumsum(steps) / sum(steps)).tolist()
    spent = [power_spending(time, alpha, power=power) for time in times]
    bounds = sequential_bounds(times, spent)
    assert np.cumsum(crossing_probabilities(bounds, times)) == pytest.approx(spent, abs=1e-6)
    assert all(bound > 0 for bound in bounds)


def limits(right_NR: np.ndarray, fresh_NR: np.ndarray, levels: list[float]) -> list[np.ndarray]:
    """The bootstrap limits of the share of R audits at once (all with the same resampled templates), at each level."""
    count, draws = len(right_NR), 6000
    weights_BN = np.random.default_rng(count).multinomial(count, np.full(count, 1 / count), draws).astype(np.float32)
    shares_BR = 1 - (weights_BN @ fresh_NR.astype(np.float32)) / (weights_BN @ right_NR.astype(np.float32))
    tails = [tail for level in levels for tail in ((1 - level) / 2, (1 + level) / 2)]
    found = np.quantile(shares_BR, tails, axis=0, method="inverted_cdf")
    return [found[2 * place : 2 * place + 2] for place in range(len(levels))]


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_all_looks_together_hold_the_coverage_of_one(share: float) -> None:
    """Five looks miss the truth about as often as one (5 %); intervals of 95 % at every look miss it twice as often."""
    plan, repeats, rng = Plan(looks=Plan().looks[1::2]), 1500, np.random.default_rng([66, round(100 * share)])
    at = [look / plan.looks[-1] for look in plan.looks]
    bounds = sequential_bounds(at, [power_spending(time, 0.05, power=plan.power) for time in at])
    count, fresh = plan.looks[-1] // (1 + plan.per_original), 0.7 * (1 - share)
    known = 0.7 * share / (1 - fresh)
    ability = rng.beta(2 * fresh, 2 * (1 - fresh), (count, repeats))
    right = (rng.random(ability.shape) < known) | (rng.random(ability.shape) < ability)
    variants = rng.binomial(plan.per_original, ability) / plan.per_original
    missed = np.zeros((2, 2, repeats), dtype=bool)  # planned or 95 % throughout; truth below or above
    for bound, look in zip(bounds, plan.looks, strict=True):
        used = look // (1 + plan.per_original)
        levels = [expanded_level(bound, used), 0.95]
        for place, (low, high) in enumerate(limits(right[:used], variants[:used], levels)):
            missed[place, 0] |= share < low
            missed[place, 1] |= high < share
    planned, uncorrected = missed.any(axis=1).mean(axis=1)
    assert planned <= 0.065, planned
    assert np.all(missed[0].mean(axis=1) <= 0.04), missed[0].mean(axis=1)
    assert uncorrected >= 0.1, uncorrected
    # The many audits at once are those of `recitation_share`.
    estimate = recitation_share(right[:, 0], variants[:, :1], resamples=6000)
    (low, high) = limits(right[:, :1], variants[:, :1], [0.95])[0]
    assert (estimate.low, estimate.high) == pytest.approx((low[0], high[0]), abs=0.02)
