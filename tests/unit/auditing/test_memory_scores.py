"""Min-K%, Min-K%++, the loss gap, rank sums and exposure against closed forms, enumeration and simulation."""

import itertools
import math

import numpy as np
import pytest

from menon.auditing.memory.exposure import SkewNormal, estimated_exposure, exposure_bits
from menon.auditing.memory.loss_gap import loss_gap
from menon.auditing.memory.min_k import min_k, min_k_plus
from menon.auditing.memory.ranks import rank_among, rank_sum_p
from menon.core.errors import ConfigError
from menon.sampling.token_scores import TokenScores


def test_min_k_is_the_mean_of_the_lowest_fifth() -> None:
    logps = [-float(i) for i in range(1, 11)]
    assert min_k(logps) == -9.5
    assert min_k(logps, 1.0) == -5.5
    assert min_k([-3.0, -1.0]) == -3.0
    with pytest.raises(ConfigError, match="at least one token"):
        min_k([])
    with pytest.raises(ConfigError, match="share 20"):
        min_k(logps, 20)


def test_min_k_plus_is_in_units_of_the_spread() -> None:
    scores = TokenScores(logps=(-5.0, -1.0, -9.0), means=(-4.0, -2.0, -3.0), variances=(4.0, 1.0, 9.0))
    assert min_k_plus(scores) == -2.0
    assert min_k_plus(scores, 1.0) == pytest.approx((-0.5 + 1.0 - 2.0) / 3)
    certain = TokenScores(logps=(0.0,), means=(0.0,), variances=(0.0,))
    assert min_k_plus(certain) == 0.0
    assert min_k_plus(TokenScores(logps=(-1.0,))) is None


def test_a_planted_gap_is_found_and_no_gap_is_not() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(2, 1, 80)
    clusters = [f"t{i // 2}" for i in range(80)]
    found = loss_gap(base.tolist(), (base + rng.normal(0.5, 0.3, 80)).tolist(), clusters)
    assert found.low < 0.5 < found.high
    assert (found.n, found.num_clusters) == (80, 40)
    assert found.p < 0.001
    with pytest.raises(ConfigError, match="need one each"):
        loss_gap([1.0], [1.0, 2.0], ["a"])


def test_the_interval_of_the_gap_covers_and_the_test_keeps_its_size() -> None:
    rng = np.random.default_rng(5)
    covered, rejected, rounds = 0, 0, 300
    clusters = [f"t{i // 3}" for i in range(60)]
    for _ in range(rounds):
        shared = np.repeat(rng.normal(0, 1, 20), 3)
        gap = loss_gap([0.0] * 60, (shared + rng.normal(0, 0.5, 60)).tolist(), clusters)
        covered += gap.low <= 0 <= gap.high
        rejected += gap.p <= 0.05
    assert 0.915 <= covered / rounds <= 0.985
    assert rejected / rounds <= 0.085


def test_one_template_alone_has_no_interval() -> None:
    assert loss_gap([1.0, 2.0], [2.0, 3.0], ["a", "a"]).high == math.inf


@pytest.mark.parametrize("totals", [(2, 3), (6, 6, 6), (24, 2, 5), (1, 4)])
def test_rank_sums_equal_enumeration(totals: tuple[int, ...]) -> None:
    every = [sum(ranks) for ranks in itertools.product(*(range(1, total + 1) for total in totals))]
    for ranks in itertools.product(*(range(1, total + 1) for total in totals)):
        expected = sum(value <= sum(ranks) for value in every) / len(every)
        assert rank_sum_p(ranks, totals) == pytest.approx(expected, abs=1e-12)


def test_many_ranks_agree_with_the_normal_limit() -> None:
    totals = [21] * 400
    ranks = [10] * 400
    z = (4000 + 0.5 - 400 * 11) / math.sqrt(400 * (21**2 - 1) / 12)
    assert rank_sum_p(ranks, totals) == pytest.approx(0.5 * math.erfc(-z / math.sqrt(2)), rel=0.02)


def test_ties_count_against_the_published_order() -> None:
    assert rank_among(-2.0, [-1.0, -2.0, -3.0]) == 3
    assert rank_among(-2.0, []) == 1
    with pytest.raises(ConfigError, match="1 <= rank <= total"):
        rank_sum_p([0], [5])


def test_exposure_has_its_two_ends() -> None:
    assert exposure_bits(1, 900) == math.log2(900)
    assert exposure_bits(900, 900) == 0
    assert np.mean([exposure_bits(rank, 4096) for rank in range(1, 4097)]) == pytest.approx(1 / math.log(2), abs=0.01)
    with pytest.raises(ConfigError, match="rank 0"):
        exposure_bits(0, 900)


@pytest.mark.parametrize("shape", [-3.0, 0.0, 1.5, 4.0])
def test_the_skew_normal_fit_recovers_its_distribution(shape: float) -> None:
    rng = np.random.default_rng(7)
    delta = shape / math.sqrt(1 + shape**2)
    first, second = np.abs(rng.normal(size=200_000)), rng.normal(size=200_000)
    values = 5 + 2 * (delta * first + math.sqrt(1 - delta**2) * second)  # the definition of a skew-normal variable
    fitted = SkewNormal.fit(values[:50_000].tolist())
    assert (fitted.location, fitted.scale) == pytest.approx((5, 2), abs=0.15 if shape else 0.6)
    for chance in (0.001, 0.05, 0.5, 0.9):
        assert 2 ** fitted.log2_below(float(np.quantile(values, chance))) == pytest.approx(chance, rel=0.25, abs=0.003)


def test_the_lower_tail_is_that_of_the_normal_distribution_without_skew() -> None:
    normal = SkewNormal(location=0.0, scale=1.0, shape=0.0)
    for z in (-1.0, 0.0, -6.0, -12.0):
        expected = math.log2(0.5 * math.erfc(-z / math.sqrt(2)))
        assert normal.log2_below(z) == pytest.approx(expected, rel=2e-3, abs=1e-3)


def test_estimated_and_exact_exposure_agree_where_both_can_be_had() -> None:
    rng = np.random.default_rng(11)
    losses = np.sort(rng.normal(30, 4, 100_000))
    for rank in (100, 1000, 20_000):
        estimated = estimated_exposure(float(losses[rank - 1]), rng.choice(losses, 2000).tolist())
        assert estimated == pytest.approx(exposure_bits(rank, 100_000), abs=0.35)
    with pytest.raises(ConfigError, match="need 3 that differ"):
        estimated_exposure(1.0, [2.0, 2.0, 2.0])
