"""Recitation share: hand-computed values, analytic error, edges, speed."""

import json
import math
import time

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.stats import Interval, ShareNote, ratio_limits, recitation_share, wilson


def planted(num_templates: int, num_variants: int, share: float, *, mean: float, spread: float, seed: int = 0):
    """Outcomes of a model whose templates have Beta abilities and whose right answers are recited to `share`."""
    rng = np.random.default_rng(seed)
    known = mean * share / ((1 - share) * (1 - mean))
    ability = rng.beta(mean * spread, (1 - mean) * spread, num_templates)
    originals = (rng.random(num_templates) < known) | (rng.random(num_templates) < ability)
    return originals, rng.random((num_templates, num_variants)) < ability[:, None]


def test_value_by_hand() -> None:
    # mean A = 3/4; rows mean 1, 1/2, 0, 1/2, so mean V = 1/2; share = 1 - (1/2) / (3/4) = 1/3.
    estimate = recitation_share([1, 1, 0, 1], [[1], [1, 0], [0, 0, 0], [0, 1]])
    assert estimate.value == pytest.approx(1 / 3)
    assert (estimate.n_items, estimate.n_templates, estimate.n_variants) == (4, 4, 8)
    assert (estimate.original.value, estimate.fresh.value) == (0.75, 0.5)


def test_every_original_weighs_the_same_however_many_variants_it_has() -> None:
    few = recitation_share([1, 1], [[1], [0]])
    many = recitation_share([1, 1], [[1] * 99, [0]])
    assert few.value == many.value == 0.5


def test_matrix_and_rows_agree() -> None:
    originals, variants = planted(60, 4, 0.3, mean=0.5, spread=2)
    assert recitation_share(originals, variants) == recitation_share(originals, [list(row) for row in variants])


def test_below_zero_is_reported_as_it_is() -> None:
    estimate = recitation_share([1, 0] * 20, np.ones((40, 2)))
    assert estimate.value == -1.0
    assert estimate.low is not None
    assert estimate.low < -1 < (estimate.high or math.nan) < 0


def test_bootstrap_matches_the_analytic_error() -> None:
    """Delta method: Var(V/A) is that of (V - R A) / mean A, per template."""
    originals, variants = planted(400, 5, 0.3, mean=0.5, spread=3)
    estimate = recitation_share(originals, variants, resamples=8000)
    assert estimate.method == "bootstrap"
    assert estimate.value is not None
    rows, ratio = variants.mean(axis=1), 1 - estimate.value
    error = (rows - ratio * originals).std() / originals.mean() / math.sqrt(400)
    assert (estimate.low, estimate.high) == pytest.approx(
        (estimate.value - 1.96 * error, estimate.value + 1.96 * error), abs=0.012
    )


def test_closed_form_agrees_with_the_bootstrap_where_both_apply() -> None:
    originals, variants = planted(400, 5, 0.3, mean=0.5, spread=3, seed=2)
    estimate = recitation_share(originals, variants)
    rows = variants.mean(axis=1)
    closed = ratio_limits(estimate.fresh, estimate.original, float(np.corrcoef(rows, originals)[0, 1]))
    assert (1 - closed[1], 1 - closed[0]) == pytest.approx((estimate.low, estimate.high), abs=0.012)


def test_templates_are_what_is_resampled() -> None:
    """Eight copies of every template's outcomes add no information when they share a label."""
    originals, variants = planted(50, 1, 0.2, mean=0.5, spread=2)
    once = recitation_share(originals, variants)
    copied = recitation_share(np.repeat(originals, 8), np.repeat(variants, 8, axis=0), np.repeat(np.arange(50), 8))
    loose = recitation_share(np.repeat(originals, 8), np.repeat(variants, 8, axis=0))
    assert copied.n_templates == 50
    assert copied.high is not None
    assert copied.low is not None
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=0.03)
    assert loose.high is not None
    assert loose.low is not None
    assert loose.high - loose.low < 0.5 * (copied.high - copied.low)


def test_originals_never_right_gives_no_estimate() -> None:
    estimate = recitation_share([0] * 30, [[0, 1]] * 30)
    assert (estimate.value, estimate.low, estimate.high) == (None, None, None)
    assert estimate.note is ShareNote.NEVER_RIGHT
    assert estimate.fresh.value == 0.5


def test_one_template_gives_no_interval() -> None:
    estimate = recitation_share([1, 1, 0], [[1], [0], [0]], ["t", "t", "t"])
    assert estimate.value == 0.5
    assert (estimate.low, estimate.high, estimate.note) == (None, None, ShareNote.ONE_CLUSTER)


def test_few_templates_use_the_closed_form() -> None:
    originals, variants = planted(12, 5, 0.3, mean=0.5, spread=2)
    estimate = recitation_share(originals, variants)
    assert (estimate.method, estimate.note) == ("closed form", ShareNote.FEW_CLUSTERS)


@pytest.mark.parametrize(("right_on_fresh", "expected"), [(0, 1.0), (1, 0.0)])
def test_no_variation_still_has_width(right_on_fresh: int, expected: float) -> None:
    """All resamples of a perfect reciter, or reasoner, are equal; that is not certainty."""
    estimate = recitation_share(np.ones(60), np.full((60, 1), right_on_fresh))
    assert estimate.value == expected
    assert estimate.note is ShareNote.RARE
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0.04 < estimate.high - estimate.low < 0.2
    assert estimate.low <= expected <= estimate.high


def test_two_of_three_hundred_right_is_no_certainty() -> None:
    estimate = recitation_share([1, 1] + [0] * 298, np.zeros((300, 1)))
    assert estimate.value == 1.0
    assert estimate.low is not None
    assert estimate.low < 0


def test_chance_is_taken_off_both_sides() -> None:
    """A pure reciter of five-way questions is right on every fifth re-instantiation."""
    rng = np.random.default_rng(11)
    originals, variants = np.ones(300), rng.random((300, 10)) < 0.2
    plain, corrected = recitation_share(originals, variants), recitation_share(originals, variants, chance=0.2)
    assert plain.value == pytest.approx(0.8, abs=0.03)
    assert corrected.value == pytest.approx(1.0, abs=0.03)


def test_originals_that_may_be_guesses_have_no_lower_limit() -> None:
    originals, variants = np.arange(40) < 10, np.arange(120).reshape(40, 3) % 5 == 0
    estimate = recitation_share(originals, variants, chance=0.2)
    assert estimate.value is not None
    assert (estimate.low, estimate.note) == (None, ShareNote.UNBOUNDED)
    assert json.loads(json.dumps(estimate.to_json(), allow_nan=False))["note"] == "no lower limit"


def test_equal_seeds_give_equal_limits_and_others_nearly() -> None:
    originals, variants = planted(200, 5, 0.3, mean=0.5, spread=2)
    first, again, other = (recitation_share(originals, variants, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.low != other.low
    assert first.low == pytest.approx(other.low, abs=0.01)


def test_speed() -> None:
    originals, variants = planted(200, 10, 0.3, mean=0.5, spread=2)
    rows = [list(row) for row in variants]
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        recitation_share(originals, rows)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.2


@pytest.mark.parametrize(
    ("originals", "variants", "message"),
    [
        ([], [], "at least one outcome"),
        ([1, 0], [[1]], "one row each"),
        ([1, 0], [[1], []], "original 1 has no re-instantiation"),
        ([1, 3], [[1], [1]], r"outcomes lie in \[0, 1\]"),
        ([1, 0], [[1], [math.nan]], r"outcomes lie in \[0, 1\]"),
    ],
)
def test_unusable_input_is_refused(originals, variants, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recitation_share(originals, variants)


def test_resamples_must_be_positive() -> None:
    originals, variants = planted(50, 2, 0.3, mean=0.5, spread=2)
    with pytest.raises(ConfigError, match="resamples"):
        recitation_share(originals, variants, resamples=0)


def test_ratio_limits_against_monte_carlo() -> None:
    """Two independent proportions: the limits cover their ratio about 95 times in 100."""
    rng = np.random.default_rng(13)
    hits = 0
    for a, b in zip(rng.binomial(80, 0.3, 1500), rng.binomial(80, 0.6, 1500), strict=True):
        low, high = ratio_limits(wilson(int(a), 80), wilson(int(b), 80))
        hits += low <= 0.5 <= high
    assert 0.935 < hits / 1500 < 0.97


def test_ratio_without_an_upper_limit() -> None:
    numerator = Interval(value=0.5, low=0.4, high=0.6, n=10)
    denominator = Interval(value=0.1, low=-0.1, high=0.3, n=10)
    low, high = ratio_limits(numerator, denominator)
    assert high == math.inf
    assert 0 < low < 5
