"""The exchangeability tests against enumeration of every relabelling, and what they refuse."""

import math
from itertools import combinations, product

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.stats import ability_spread, exchangeability_power, exchangeability_test, rank_test
from menon.stats.exchangeability import hypergeometric


def relabelled(templates: list[tuple[list[int], list[int]]]) -> list[int]:
    """The number of right originals under every choice of which problems of a template are the originals."""
    choices = []
    for originals, fresh in templates:
        everything = originals + fresh
        choices.append([sum(picked) for picked in combinations(everything, len(originals))])
    return [sum(counts) for counts in product(*choices)]


@pytest.mark.parametrize(
    "templates",
    [
        [([1], [0, 0]), ([1], [1, 0, 0]), ([0], [1]), ([1], [0, 1, 1, 0])],
        [([1, 1], [0, 1, 0]), ([0, 1, 1], [0, 0, 1]), ([1], [0, 0, 0])],
        [([0], [1, 1]), ([0], [1, 0])],
        [([1], [1, 1]), ([0], [0])],
    ],
)
def test_outcomes_against_every_relabelling(templates: list[tuple[list[int], list[int]]]) -> None:
    originals, variants, labels = [], [], []
    for number, (asked, fresh) in enumerate(templates):
        # The re-instantiations are dealt out to the template's originals; which gets which must not matter.
        dealt = [fresh[place :: len(asked)] for place in range(len(asked))]
        originals += asked
        variants += dealt
        labels += [number] * len(asked)
    result = exchangeability_test(originals, variants, labels)
    counts = np.array(relabelled(templates))
    seen = sum(originals)
    assert result.statistic == seen
    assert result.expected == pytest.approx(counts.mean())
    assert result.deviation == pytest.approx(counts.std())
    assert result.p_exact == pytest.approx((counts >= seen).mean())
    assert result.p == pytest.approx((counts > seen).mean() + (counts == seen).mean() / 2)
    assert result.p_exact - (counts == seen).mean() <= result.p_randomised <= result.p_exact
    assert result.num_templates == len(templates)


def test_templates_all_right_or_all_wrong_say_nothing() -> None:
    plain = exchangeability_test([1, 0], [[0, 0, 1], [1, 0]])
    padded = exchangeability_test([1, 0, 1, 0], [[0, 0, 1], [1, 0], [1, 1], [0, 0]])
    assert padded.p == pytest.approx(plain.p)
    assert (padded.num_informative, padded.num_templates) == (2, 4)


def test_equal_data_equal_coin() -> None:
    data = ([1, 0, 1], [[0, 1], [1, 0], [0, 0]])
    assert exchangeability_test(*data) == exchangeability_test(*data)


def test_many_templates_stay_exact() -> None:
    """Two thousand fair templates: the law is binomial, and its tail is still accurate."""
    count, right = 2000, 1100
    result = exchangeability_test([1] * right + [0] * (count - right), [[0]] * right + [[1]] * (count - right))
    assert result.expected == pytest.approx(count / 2)
    assert result.deviation == pytest.approx(np.sqrt(count / 4))
    assert result.p == pytest.approx(4.0e-6, rel=0.1)  # normal tail at 4.47 deviations: 3.9e-6


def test_hypergeometric_law() -> None:
    assert hypergeometric(5, 3, 2) == pytest.approx([0.1, 0.6, 0.3])
    assert hypergeometric(4, 0, 2) == pytest.approx([1, 0, 0])
    assert hypergeometric(3, 3, 1) == pytest.approx([0, 1])


def every_rank_sum(rows: list[list[float]]) -> np.ndarray:
    """The sum over rows of mid-rank over length, for every choice of the original in every row."""
    ranks = []
    for row in rows:
        values = np.array(row)
        ranks.append([((values < x).sum() + ((values == x).sum() + 1) / 2) / len(row) for x in values])
    return np.array([sum(choice) for choice in product(*ranks)])


@pytest.mark.parametrize(
    "rows",
    [
        [[3.0, 1, 2], [5.0, 4, 6], [1.0, 0, -1]],
        [[2.0, 2, 1], [0.0, 0, 0], [4.0, 4, 4, 5]],
        [[-1.0, -2, -3, -4], [-1.5, -1.0], [-2.0, -2.5, -2.25]],
    ],
)
def test_ranks_against_every_relabelling(rows: list[list[float]]) -> None:
    result = rank_test([row[0] for row in rows], [row[1:] for row in rows])
    sums = every_rank_sum(rows)
    seen = sums[0]
    above, equal = (sums > seen + 1e-9).mean(), (abs(sums - seen) < 1e-9).mean()
    assert result.method == "exact"
    assert result.p_exact == pytest.approx(above + equal)
    assert result.p == pytest.approx(above + equal / 2)


def test_permutation_p_against_every_relabelling() -> None:
    rows = [[2.0, 0.5, 1.0], [1.5, 2.5, 0.0], [3.0, 1.0, 2.75]]
    gaps = [[x - (sum(row) - x) / (len(row) - 1) for x in row] for row in rows]
    studentised = np.array([sum(pick) / np.sqrt(sum(x * x for x in pick)) for pick in product(*gaps)])
    result = rank_test([row[0] for row in rows], [row[1:] for row in rows], resamples=40_000)
    assert result.p_difference == pytest.approx((studentised >= studentised[0] - 1e-9).mean(), abs=0.008)
    assert result.difference == pytest.approx(np.mean([row[0] for row in gaps]))


def test_mean_rank_is_the_share_of_fellows_exceeded() -> None:
    assert rank_test([5.0, 1.0], [[1, 2, 3, 4], [1, 1]]).mean_rank == pytest.approx((1 + 0.5) / 2)
    assert rank_test([0.0], [[1, 2]]).mean_rank == 0


def test_large_rank_sums_use_the_normal_law_and_agree() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(60, 6)) + np.array([0.35, 0, 0, 0, 0, 0])
    exact = rank_test(scores[:, 0], scores[:, 1:])
    uneven = rank_test(scores[:, 0], [row[1 : 3 + place % 4] for place, row in enumerate(scores)])
    many = rank_test(np.tile(scores[:, 0], 60), np.tile(scores[:, 1:], (60, 1)), resamples=99)
    assert (exact.method, many.method) == ("exact", "normal")
    assert uneven.p == pytest.approx(exact.p, abs=0.1)
    z = (exact.mean_rank - 0.5) / np.sqrt((6 * 6 - 1) / 12 / 25 / 60)
    assert many.p == pytest.approx(0, abs=1e-12)
    assert exact.p == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), rel=0.15)


def simulated_power(templates: int, variants: int, share: float, accuracy: float, repeats: int = 400) -> float:
    rng = np.random.default_rng([templates, variants, round(100 * share), round(100 * accuracy)])
    mean = accuracy * (1 - share)
    known = accuracy * share / (1 - mean)
    rejected = 0
    for _ in range(repeats):
        ability = rng.beta(2 * mean, 2 * (1 - mean), templates)
        originals = (rng.random(templates) < known) | (rng.random(templates) < ability)
        fresh = rng.random((templates, variants)) < ability[:, None]
        rejected += exchangeability_test(originals.astype(int), fresh.astype(int)).p <= 0.05
    return rejected / repeats


@pytest.mark.parametrize(
    ("templates", "variants", "share", "accuracy"), [(100, 10, 0.1, 0.7), (60, 2, 0.2, 0.6), (150, 4, 0.05, 0.9)]
)
def test_power_formula_against_simulation(templates: int, variants: int, share: float, accuracy: float) -> None:
    formula = exchangeability_power(templates, variants, share=share, accuracy=accuracy)
    assert formula == pytest.approx(simulated_power(templates, variants, share, accuracy), abs=0.07)


def test_power_at_the_ends() -> None:
    assert exchangeability_power(100, 10, share=0, accuracy=0.5) == pytest.approx(0.05, abs=0.001)
    assert exchangeability_power(100, 10, share=1, accuracy=0.8) > 0.999
    assert exchangeability_power(100, 10, share=0.5, accuracy=0) == 0


def test_spread_of_ability_is_recovered() -> None:
    rng = np.random.default_rng(5)
    for spread in (0.5, 2, 8):
        ability = rng.beta(0.6 * spread, 0.4 * spread, 4000)
        assert ability_spread(rng.random((4000, 6)) < ability[:, None]) == pytest.approx(spread, rel=0.12)
    assert ability_spread([[1.0], [0.0]]) == 2
    assert ability_spread([[1.0, 1.0], [1.0, 1.0]]) == 2
    assert ability_spread([[1.0, 0.0], [0.0, 1.0]]) == 50


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="each 0 or 1"):
        exchangeability_test([0.5], [[1]])
    with pytest.raises(ConfigError, match="original 1 has no re-instantiation"):
        exchangeability_test([1, 0], [[1], []])
    with pytest.raises(ConfigError, match="of 1 originals for 2 originals"):
        rank_test([1.0, 2.0], [[1.0]])
    with pytest.raises(ConfigError, match="not finite"):
        rank_test([float("nan")], [[1.0]])
    with pytest.raises(ConfigError, match="need at least 1 of both"):
        exchangeability_power(0, 3, share=0.2, accuracy=0.5)
    with pytest.raises(ConfigError, match="share 1.2"):
        exchangeability_power(10, 3, share=1.2, accuracy=0.5)
