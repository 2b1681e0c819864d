"""Coverage of the recitation share's interval over true shares and template counts, and other properties of stats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon.stats import holm, mcnemar_exact, paired_difference, recitation_share, wilson

REPEATS = 500


def coverage(num_templates: int, num_variants: int, share: float, mean: float, spread: float) -> tuple[float, float]:
    """Simulate models with Beta abilities and a planted share of recited right answers.

    Returns the shares of intervals that hold the truth, and that lie wholly above it.
    """
    rng = np.random.default_rng([num_templates, num_variants, round(100 * share), round(100 * mean)])
    known = mean * share / ((1 - share) * (1 - mean))
    assert known <= 1
    hits = above = 0
    for _ in range(REPEATS):
        ability = rng.beta(mean * spread, (1 - mean) * spread, num_templates)
        originals = (rng.random(num_templates) < known) | (rng.random(num_templates) < ability)
        variants = rng.random((num_templates, num_variants)) < ability[:, None]
        estimate = recitation_share(originals, variants, resamples=400, seed=1)
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= share <= estimate.high
        above += share < estimate.low
    return hits / REPEATS, above / REPEATS


def test_coverage_over_shares_and_template_counts() -> None:
    """Every cell within 92-98 %, and the grid as a whole between 94 and 97 %."""
    cells = {
        (templates, share): coverage(templates, 10, share, 0.35, 2)[0]
        for templates in (50, 100, 300)
        for share in (0.0, 0.2, 0.4, 0.6)
    }
    assert all(0.92 <= cell <= 0.98 for cell in cells.values()), cells
    assert 0.94 <= np.mean(list(cells.values())) <= 0.97, cells


@pytest.mark.parametrize(
    ("templates", "variants", "share", "mean"),
    [(20, 5, 0.3, 0.5), (12, 5, 0.3, 0.5), (50, 3, 0.0, 0.9), (100, 1, 0.95, 0.02), (60, 2, 0.0, 0.97)],
)
def test_coverage_at_the_edges(templates: int, variants: int, share: float, mean: float) -> None:
    """Few templates, hardly any right, hardly any wrong: where a plain bootstrap covers 70-90 %."""
    assert 0.92 <= coverage(templates, variants, share, mean, 4)[0] <= 0.99


def test_paired_coverage() -> None:
    rng = np.random.default_rng(21)
    for before_rate, gain, loss in [(0.5, 0.2, 0.1), (0.9, 0.3, 0.02), (0.2, 0.02, 0.02)]:
        true = (1 - before_rate) * gain - before_rate * loss
        hits = 0
        for _ in range(REPEATS):
            before = rng.random(150) < before_rate
            after = np.where(before, rng.random(150) >= loss, rng.random(150) < gain)
            result = paired_difference(before, after, resamples=400)
            hits += result.low <= true <= result.high
        # In the last case three pairs change; no interval for counts that small can be close to 95 %, so it errs wide.
        assert 0.92 <= hits / REPEATS <= 0.995, (before_rate, gain, loss)


@given(n=st.integers(1, 400), data=st.data())
def test_wilson_properties(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    interval, mirrored = wilson(k, n), wilson(n - k, n)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low < interval.high
    assert (1 - interval.high) == pytest.approx(mirrored.low, abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_properties(gained: int, lost: int) -> None:
    p = mcnemar_exact(gained, lost)
    assert 0 < p <= 1
    assert p == mcnemar_exact(lost, gained)
    if gained > lost:
        assert mcnemar_exact(gained + 1, lost) <= p


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_properties(pvalues: list[float]) -> None:
    adjusted = holm(pvalues)
    assert all(p <= a <= 1 for p, a in zip(pvalues, adjusted, strict=True))
    order = np.argsort(pvalues, kind="stable")
    assert list(adjusted[order]) == sorted(adjusted)


@settings(deadline=None, max_examples=60)
@given(
    outcomes=st.lists(
        st.tuples(st.booleans(), st.lists(st.booleans(), min_size=1, max_size=4)), min_size=2, max_size=40
    )
)
def test_share_is_its_definition_and_lies_in_its_interval(outcomes: list[tuple[bool, list[bool]]]) -> None:
    originals, variants = [a for a, _ in outcomes], [v for _, v in outcomes]
    estimate = recitation_share(originals, variants, resamples=100)
    if not any(originals):
        assert estimate.value is None
        return
    assert estimate.value is not None
    assert estimate.value == pytest.approx(1 - np.mean([np.mean(v) for v in variants]) / np.mean(originals))
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low <= estimate.value + 1e-9
    assert estimate.value <= estimate.high + 1e-9
    assert estimate.high <= 1 + 1e-9
