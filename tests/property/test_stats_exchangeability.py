"""Size and power of the exchangeability tests, and coverage of the share where templates have several originals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon.stats import exchangeability_test, rank_test, recitation_share

REPEATS = 2500


def planted(
    templates: int, instances: int, rng: np.random.Generator, *, fresh: float = 0.5, known: float = 0.0, originals=1
) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of (templates, originals) and (templates, originals, instances); a part of the originals is known."""
    ability = rng.beta(2 * fresh, 2 * (1 - fresh), templates)[:, None]
    right = (rng.random((templates, originals)) < known) | (rng.random((templates, originals)) < ability)
    return right.astype(float), (rng.random((templates, originals, instances)) < ability[..., None]).astype(float)


@pytest.mark.parametrize(("templates", "instances", "fresh"), [(50, 5, 0.5), (80, 10, 0.35), (40, 2, 0.8)])
def test_size_on_outcomes(templates: int, instances: int, fresh: float) -> None:
    """Under the null the randomised p rejects in 5 % +- 1, the mid-p in 5 % +- 1.5, the exact p in no more."""
    rng = np.random.default_rng([1, templates, instances])
    tests = []
    for _ in range(REPEATS):
        right, variants = planted(templates, instances, rng, fresh=fresh)
        tests.append(exchangeability_test(right[:, 0], variants[:, 0]))
    rates = {
        name: np.mean([getattr(test, name) <= 0.05 for test in tests]) for name in ("p", "p_exact", "p_randomised")
    }
    assert 0.04 <= rates["p_randomised"] <= 0.06, rates
    assert 0.035 <= rates["p"] <= 0.065, rates
    assert rates["p_exact"] <= 0.055, rates
    # The randomised p is uniform everywhere, not only at 5 %.
    deciles = np.histogram([test.p_randomised for test in tests], bins=10, range=(0, 1))[0] / REPEATS
    assert np.all(np.abs(deciles - 0.1) < 0.03), deciles


def test_size_with_several_originals_per_template_and_uneven_instances() -> None:
    rng = np.random.default_rng(2)
    rejected = []
    for _ in range(REPEATS):
        right, variants = planted(30, 6, rng, originals=3)
        rows = [row[: 1 + place % 6] for place, row in enumerate(variants.reshape(90, 6))]
        rejected.append(exchangeability_test(right.ravel(), rows, np.repeat(np.arange(30), 3)).p_randomised <= 0.05)
    assert 0.04 <= np.mean(rejected) <= 0.06


def scores(
    templates: int, instances: int, known: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Log-likelihoods of gold answers and the outcomes of the same model: right where the score passes a mark."""
    level = rng.normal(0, 1, templates)
    original = level + rng.normal(0, 1, templates) + 1.5 * (rng.random(templates) < known)
    fresh = level[:, None] + rng.normal(0, 1, (templates, instances))
    return original, fresh, (original > 0).astype(float), (fresh > 0).astype(float)


def test_size_and_power_on_scores() -> None:
    """Both score tests hold their size, and both find memorised originals more often than outcomes do."""
    rng = np.random.default_rng(3)
    rates = {}
    for known in (0.0, 0.15):
        found = np.zeros(3)
        for seed in range(300):
            original, fresh, right, variants = scores(80, 5, known, rng)
            ranked = rank_test(original, fresh, seed=seed, resamples=199)
            found += [p <= 0.05 for p in (ranked.p, ranked.p_difference, exchangeability_test(right, variants).p)]
        rates[known] = found / 300
    assert np.all((rates[0.0] >= 0.025) & (rates[0.0] <= 0.08)), rates
    assert rates[0.15][0] > rates[0.15][2] + 0.08, rates
    assert rates[0.15][1] > rates[0.15][2] + 0.08, rates


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.booleans(), min_size=1, max_size=4)), min_size=1, max_size=25))
def test_another_right_original_is_more_evidence(rows: list[tuple[bool, list[bool]]]) -> None:
    """Where an original and one of its right re-instantiations change places, p falls or stays."""
    originals, variants = [int(a) for a, _ in rows], [[int(v) for v in row] for _, row in rows]
    before = exchangeability_test(originals, variants)
    assert 0 <= before.p <= before.p_exact <= 1
    for place, row in enumerate(variants):
        if not originals[place] and any(row):
            swapped = [list(other) for other in variants]
            swapped[place][swapped[place].index(1)] = 0
            better = list(originals)
            better[place] = 1
            after = exchangeability_test(better, swapped)
            assert after.expected == pytest.approx(before.expected)
            assert after.p < before.p
            return


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_coverage_with_several_originals_per_template(share: float) -> None:
    """The share's interval resamples whole templates, so originals of one template may be as alike as they like."""
    rng, hits, repeats = np.random.default_rng([4, round(10 * share)]), 0, 500
    fresh = 0.35
    known = fresh * share / ((1 - share) * (1 - fresh))
    for _ in range(repeats):
        right, variants = planted(60, 3, rng, fresh=fresh, known=known, originals=3)
        estimate = recitation_share(
            right.ravel(), variants.reshape(180, 3), np.repeat(np.arange(60), 3), resamples=400, seed=1
        )
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= share <= estimate.high
    assert 0.92 <= hits / repeats <= 0.98
