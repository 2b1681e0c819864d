"""Correlations against scipy and plain regression; means over pairs against their definition."""

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

import menon.stats.association as association
from menon.core.errors import ConfigError
from menon.stats import correlations, group_association, pair_mean, partial_correlations, pearson, spearman
from menon.stats.association import ranks

oracle: Any = stats  # its stubs name no results


@pytest.fixture
def scores_QN() -> np.ndarray:
    rng = np.random.default_rng(3)
    shared = rng.standard_normal(500)
    return (1e-6 * (rng.standard_normal((7, 500)) + rng.random((7, 1)) * shared) + 3e-6).astype(np.float32)


def symmetric(values: np.ndarray) -> np.ndarray:
    matrix = np.triu(values, 1)
    return matrix + matrix.T + np.eye(len(values))


def test_pearson_and_spearman_agree_with_scipy(scores_QN: np.ndarray) -> None:
    first, second = scores_QN[0].astype(float), np.round(scores_QN[1].astype(float), 6)  # rounding makes ties
    assert pearson(first, second) == pytest.approx(oracle.pearsonr(first, second).statistic, abs=1e-12)
    assert spearman(first, second) == pytest.approx(oracle.spearmanr(first, second).statistic, abs=1e-12)


def test_ranks_share_ties() -> None:
    values = np.random.default_rng(1).integers(0, 30, 200)
    assert np.array_equal(ranks(values), oracle.rankdata(values))


@pytest.mark.parametrize("by_rank", [False, True])
@pytest.mark.parametrize("block", [7, 100, 4_000_000])
def test_matrix_agrees_with_scipy_whatever_the_block(
    scores_QN: np.ndarray, by_rank: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(association, "_BLOCK", block)
    expected = oracle.spearmanr(scores_QN.T).statistic if by_rank else np.corrcoef(scores_QN.astype(np.float64))
    assert np.allclose(correlations(scores_QN, by_rank=by_rank), expected, atol=1e-10)


def test_tiny_scores_and_a_large_offset_lose_nothing() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.standard_normal((2, 1000))
    expected = pearson(first, second)
    assert pearson(1e-170 * first, 1e-170 * second) == pytest.approx(expected, abs=1e-12)
    assert pearson(first + 1e6, second - 1e6) == pytest.approx(expected, abs=1e-8)


def test_a_constant_vector_has_no_correlation() -> None:
    matrix = correlations([[1.0, 2.0, 4.0], [0.1, 0.1, 0.1], [2.0, 4.0, 8.0]])
    assert np.isnan(matrix[1]).all()
    assert np.isnan(matrix[:, 1]).all()
    assert matrix[0, 2] == pytest.approx(1)


def test_partial_correlation_is_that_of_residuals(scores_QN: np.ndarray) -> None:
    rng = np.random.default_rng(8)
    lexical = scores_QN + 1e-6 * rng.standard_normal(scores_QN.shape)
    lengths = rng.random(scores_QN.shape[1])
    found = partial_correlations(scores_QN, [lexical, lengths])
    for i, j in itertools.combinations(range(len(scores_QN)), 2):
        design = np.stack([np.ones(lengths.shape), 1e6 * lexical[i], 1e6 * lexical[j], lengths], axis=1)
        pair = 1e6 * scores_QN[[i, j]].T.astype(np.float64)
        residual = pair - design @ np.linalg.lstsq(design, pair, rcond=None)[0]
        assert found[i, j] == pytest.approx(np.asarray(np.corrcoef(residual.T))[0, 1], abs=1e-8)
    assert np.array_equal(found, found.T)


def test_a_correlation_that_the_baseline_makes_is_removed() -> None:
    rng = np.random.default_rng(9)
    words = rng.standard_normal(5000)
    scores = words + 0.5 * rng.standard_normal((4, 5000))
    off = ~np.eye(4, dtype=bool)
    assert correlations(scores)[off].min() > 0.7
    assert np.abs(partial_correlations(scores, [words])[off]).max() < 0.05
    assert np.abs(partial_correlations(scores, [words], by_rank=True)[off]).max() < 0.1
    assert partial_correlations(scores, [rng.standard_normal((4, 5000))])[off].min() > 0.7


def test_partial_correlation_without_anything_left_is_unknown(scores_QN: np.ndarray) -> None:
    found = partial_correlations(scores_QN[:3], [scores_QN[:3]])
    assert np.isnan(found[~np.eye(3, dtype=bool)]).all()
    # A baseline that says nothing, or twice the same, changes nothing.
    constant = np.zeros(scores_QN.shape[1])
    lengths = np.arange(scores_QN.shape[1], dtype=float)
    assert np.allclose(partial_correlations(scores_QN, [constant]), correlations(scores_QN))
    once, twice = (partial_correlations(scores_QN, [lengths] * times) for times in (1, 2))
    assert np.allclose(once, twice)


def test_group_means_are_means_over_pairs() -> None:
    rng = np.random.default_rng(2)
    matrix = symmetric(rng.uniform(-1, 1, (7, 7)))
    groups = ["a", "a", "b", "b", "b", "a", "c"]
    found = group_association(matrix, groups, resamples=99)
    pairs = list(itertools.combinations(range(7), 2))
    within = [matrix[i, j] for i, j in pairs if groups[i] == groups[j]]
    between = [matrix[i, j] for i, j in pairs if groups[i] != groups[j]]
    assert found.within.value == pytest.approx(np.mean(within))
    assert found.between.value == pytest.approx(np.mean(between))
    assert found.difference.value == pytest.approx(np.mean(within) - np.mean(between))
    assert (found.within.n, found.between.n, found.missing) == (6, 7, 0)
    cells = {(cell.first, cell.second): cell for cell in found.cells}
    assert sorted(cells) == [("a", "a"), ("a", "b"), ("a", "c"), ("b", "b"), ("b", "c")]
    assert cells["a", "c"].interval.value == pytest.approx(matrix[[0, 1, 5], 6].mean())
    assert cells["b", "b"].num_pairs == 3


def test_jackknife_of_one_group_is_the_textbook_one() -> None:
    rng = np.random.default_rng(4)
    matrix = symmetric(rng.uniform(-0.5, 0.5, (9, 9)))
    without = []
    for left in range(9):
        kept = [q for q in range(9) if q != left]
        without.append(np.mean([matrix[i, j] for i, j in itertools.combinations(kept, 2)]))
    half = oracle.t.ppf(0.975, 8) * np.sqrt(8 / 9 * np.square(np.array(without) - np.mean(without)).sum())
    found = pair_mean(matrix, range(9))
    assert found.high - found.value == pytest.approx(half, rel=1e-3)
    assert found.value - found.low == pytest.approx(half, rel=1e-3)


def test_copies_of_queries_in_one_cluster_add_no_certainty() -> None:
    rng = np.random.default_rng(6)
    matrix = symmetric(rng.uniform(-0.5, 0.5, (12, 12)))
    copied = np.kron(matrix, np.ones((3, 3)))
    labels = ["a"] * 6 + ["b"] * 6
    plain = group_association(matrix, labels, resamples=9)
    repeated = [label for label in labels for _ in range(3)]
    clusters = np.repeat(np.arange(12), 3)
    careless = group_association(copied, repeated, resamples=9)
    careful = group_association(copied, repeated, clusters=clusters, resamples=9)
    width = [found.between.high - found.between.low for found in (plain, careless, careful)]
    assert width[2] == pytest.approx(width[0], rel=1e-9)
    assert width[1] < 0.8 * width[0]


def test_permutation_p_counts_all_labellings() -> None:
    """Six queries in two groups of three: 10 splits, one of them (the true one) the most extreme."""
    labels = ["a"] * 3 + ["b"] * 3
    matrix = symmetric(np.where(np.equal.outer(labels, labels), 0.9, 0.1))
    assert group_association(matrix, labels, resamples=9999).p == pytest.approx(0.1, abs=0.015)


def test_unknown_correlations_are_left_out_and_counted() -> None:
    rng = np.random.default_rng(7)
    matrix = symmetric(rng.uniform(-1, 1, (8, 8)))
    holes = matrix.copy()
    holes[3, :] = holes[:, 3] = np.nan
    labels = ["a"] * 4 + ["b"] * 4
    kept = [0, 1, 2, 4, 5, 6, 7]
    found = group_association(holes, labels, resamples=99)
    expected = group_association(matrix[np.ix_(kept, kept)], [labels[q] for q in kept], resamples=99)
    assert found.missing == 7
    assert found.within.value == pytest.approx(expected.within.value)
    assert found.between.value == pytest.approx(expected.between.value)


def test_a_single_pair_has_no_limits_of_its_own() -> None:
    matrix = symmetric(np.full((4, 4), 0.3))
    found = group_association(matrix, ["a", "a", "b", "c"], resamples=9)
    assert (found.within.value, found.within.low, found.within.high) == (0.3, -1.0, 1.0)
    alone = pair_mean(matrix, [0, 1])
    assert (alone.low, alone.high, alone.n) == (-1.0, 1.0, 2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: correlations([[1.0, np.nan], [1.0, 2.0]]), "vector 0 holds NaN"),
        (lambda: correlations([[1.0, 2.0], [1.0, np.inf]]), "vector 1 holds NaN or infinity"),
        (lambda: correlations([]), "at least one is needed"),
        (lambda: pearson([1.0, 2.0], [1.0, 2.0, 3.0]), "one length"),
        (lambda: partial_correlations(np.eye(3), [np.eye(2)]), "baseline of shape"),
        (lambda: group_association(np.eye(3), ["a", "a", "a"]), "at least two groups"),
        (lambda: group_association(np.eye(3), ["a", "b", "c"]), "one of two queries"),
        (lambda: group_association(np.eye(3), ["a", "b"]), "one per query"),
        (lambda: pair_mean(np.eye(4), [0, 1], [1, 2]), "both sides"),
        (lambda: pair_mean(np.eye(4), [1]), "nothing to average"),
        (lambda: pair_mean(np.arange(9.0).reshape(3, 3), [0, 1]), "not symmetric"),
    ],
    ids=["nan", "inf", "empty", "lengths", "baseline", "one group", "singles", "labels", "overlap", "alone", "skew"],
)
def test_bad_input_is_named(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=words):
        call()
