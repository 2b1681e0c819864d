"""Paired tests against enumeration of every outcome; paired intervals against closed forms."""

import itertools
import math

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.stats import mcnemar_exact, newcombe_paired, paired_difference, sign_flip_p, wilson


def enumerated_p(gained: int, lost: int) -> float:
    """Sum the probabilities of all outcomes of fair coins that are no likelier than the one seen."""
    n = gained + lost
    mass = [math.comb(n, k) / 2**n for k in range(n + 1)]
    return sum(m for m in mass if m <= mass[gained] * (1 + 1e-9))


@pytest.mark.parametrize("n", range(0, 16))
def test_mcnemar_is_the_binomial_test(n: int) -> None:
    for gained in range(n + 1):
        assert mcnemar_exact(gained, n - gained) == pytest.approx(enumerated_p(gained, n - gained))


def test_mcnemar_at_large_counts() -> None:
    # Normal approximation with continuity correction: z = (|b - c| - 1) / sqrt(b + c).
    z = (1000 - 1) / math.sqrt(199_000)
    assert mcnemar_exact(100_000, 99_000) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-2)
    assert mcnemar_exact(5000, 0) == 0.0 or mcnemar_exact(5000, 0) < 1e-300


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(ConfigError, match="cannot be negative"):
        mcnemar_exact(-1, 3)


def test_sign_flips_agree_with_enumeration() -> None:
    """Six clusters have 64 sign patterns, so the exact p-value can be listed."""
    difference = np.array([1, 1, 0, -1, 1, 1, 1, 0, 1, 1, -1, 1])
    labels = np.repeat(np.arange(6), 2)
    totals = np.bincount(labels, weights=difference)
    flips = [abs(np.dot(signs, totals)) for signs in itertools.product((-1, 1), repeat=6)]
    exact = np.mean([flip >= abs(totals.sum()) for flip in flips])
    assert sign_flip_p(difference, labels, resamples=40_000) == pytest.approx(exact, abs=0.01)


def test_sign_flips_approach_mcnemar() -> None:
    difference = np.array([1] * 12 + [-1] * 4 + [0] * 30)
    assert sign_flip_p(difference, resamples=40_000) == pytest.approx(mcnemar_exact(12, 4), abs=0.006)


def test_no_change_has_p_one() -> None:
    result = paired_difference([1, 0, 1], [1, 0, 1])
    assert (result.value, result.p, result.gained, result.lost) == (0.0, 1.0, 0, 0)
    assert result.low < 0 < result.high, "no change among three items does not prove that there is none"
    assert sign_flip_p(np.zeros(5)) == 1.0


def test_hand_computed_counts() -> None:
    before = [1, 1, 1, 0, 0, 0, 0, 0, 1, 0]
    after = [1, 0, 1, 1, 1, 1, 0, 1, 1, 1]
    result = paired_difference(before, after)
    assert (result.n, result.gained, result.lost) == (10, 5, 1)
    assert result.value == pytest.approx(0.4)
    assert result.p == pytest.approx(14 / 64)
    assert result.method == "closed form"
    assert result.to_json()["difference"] == result.value


def test_newcombe_with_independent_margins_is_square_and_add() -> None:
    """With phi = 0 the limits are those of two independent proportions, from Wilson limits."""
    both, only_before, only_after, neither = 9, 21, 21, 49
    interval = newcombe_paired(both, only_before, only_after, neither)
    before, after = wilson(30, 100), wilson(30, 100)
    low = 0 - math.hypot(after.value - after.low, before.high - before.value)
    assert interval.low == pytest.approx(low)
    assert interval.high == pytest.approx(-low)


def test_newcombe_turns_with_the_sides() -> None:
    there, back = newcombe_paired(20, 3, 9, 18), newcombe_paired(20, 9, 3, 18)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_newcombe_exact_coverage() -> None:
    """Enumerate all tables of 25 pairs under correlated right and wrong: coverage averages about 95 %."""
    n, covered = 25, []
    tables = [(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)]
    limits = [newcombe_paired(*table) for table in tables]
    factorials = [math.lgamma(k + 1) for k in range(n + 1)]
    ways = np.array([factorials[n] - sum(factorials[k] for k in table) for table in tables])
    counts = np.array(tables)
    low, high = np.array([i.low for i in limits]), np.array([i.high for i in limits])
    for shares in [(0.4, 0.1, 0.2, 0.3), (0.6, 0.05, 0.1, 0.25), (0.2, 0.3, 0.3, 0.2), (0.1, 0.05, 0.45, 0.4)]:
        mass = np.exp(ways + counts @ np.log(shares))
        true = shares[2] - shares[1]
        covered.append(float(mass[(low <= true) & (true <= high)].sum()))
    assert all(0.93 < share < 0.985 for share in covered), covered


def test_bootstrap_agrees_with_the_closed_form_and_the_analytic_error() -> None:
    rng = np.random.default_rng(3)
    before = rng.random(600) < 0.4
    after = before ^ (rng.random(600) < np.where(before, 0.1, 0.3))
    result = paired_difference(before, after)
    assert result.method == "bootstrap"
    change = after.astype(float) - before
    half = 1.96 * change.std() / math.sqrt(600)
    assert (result.low, result.high) == pytest.approx((change.mean() - half, change.mean() + half), abs=0.006)
    assert (result.low, result.high) == pytest.approx((result.closed_form.low, result.closed_form.high), abs=0.012)


def test_clusters_widen_the_interval_and_raise_p() -> None:
    rng = np.random.default_rng(4)
    effect = rng.choice([-1, 0, 1], p=[0.2, 0.4, 0.4], size=40)
    before = np.repeat(effect == -1, 10)
    after = np.repeat(effect == 1, 10)
    alone, together = paired_difference(before, after), paired_difference(before, after, np.repeat(np.arange(40), 10))
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.p > alone.p
    closed = together.closed_form
    assert (closed.low, closed.high) == pytest.approx((together.low, together.high), abs=0.06)


def test_averaged_outcomes_are_accepted() -> None:
    rng = np.random.default_rng(6)
    before, after = rng.integers(0, 5, 80) / 4, rng.integers(0, 5, 80) / 4
    result = paired_difference(before, after)
    assert result.low < result.value < result.high
    assert 0 < result.p <= 1


def test_equal_seeds_give_equal_limits() -> None:
    rng = np.random.default_rng(7)
    before, after = rng.random(50) < 0.5, rng.random(50) < 0.6
    assert paired_difference(before, after, seed=1) == paired_difference(before, after, seed=1)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ([1, 0], [1], "one pair per item"),
        ([], [], "at least one outcome"),
        ([2, 0], [1, 0], r"outcomes lie in \[0, 1\]"),
        ([math.nan, 0], [1, 0], r"outcomes lie in \[0, 1\]"),
    ],
)
def test_unusable_outcomes_are_refused(before: list[float], after: list[float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        paired_difference(before, after)


def test_labels_must_fit() -> None:
    with pytest.raises(ConfigError, match="one per item"):
        paired_difference([1, 0], [0, 1], clusters=[1, 2, 3])
