"""Rankings against scikit-learn, exhaustive random rankings and hand counts."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from menon.core.errors import ConfigError
from menon.stats import (
    average_precision,
    mean_average_precision,
    mean_share,
    multipliers,
    precision_at,
    precision_recall,
    random_average_precision,
    ranked,
    recall_at,
    wilson,
)


@pytest.mark.parametrize("k", [1, 5, 37, 200])
@pytest.mark.parametrize("bottom", [False, True])
def test_ties_keep_the_order_of_the_documents(k: int, bottom: bool) -> None:
    scores = np.random.default_rng(k).integers(-3, 4, 200)
    expected = sorted(range(200), key=lambda d: (scores[d] if bottom else -scores[d], d))
    assert ranked(scores, k, bottom=bottom).tolist() == expected[:k]
    assert ranked(scores.astype(np.float32), k, bottom=bottom).tolist() == expected[:k]


def test_narrow_integers_do_not_wrap() -> None:
    assert ranked(np.array([0, 3, 1], dtype=np.uint8)).tolist() == [1, 2, 0]
    assert ranked(np.array([-128, 3, 1], dtype=np.int8)).tolist() == [1, 2, 0]


def test_average_precision_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    scores, truth = rng.standard_normal(300), rng.random(300) < 0.1
    assert average_precision(scores, truth) == pytest.approx(average_precision_score(truth, scores))
    assert average_precision([3.0, 2.0, 1.0], np.array([True, False, True])) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(average_precision([1.0, 2.0], np.array([False, False])))


@pytest.mark.parametrize(("documents", "true"), [(1, 1), (5, 1), (6, 2), (7, 4), (6, 6)])
def test_random_average_precision_is_the_mean_over_all_rankings(documents: int, true: int) -> None:
    scores = -np.arange(documents, dtype=float)
    values = []
    for places in itertools.combinations(range(documents), true):
        truth = np.zeros(documents, dtype=bool)
        truth[list(places)] = True
        values.append(average_precision(scores, truth))
    assert random_average_precision(documents, true) == pytest.approx(np.mean(values))


def test_precision_and_recall_are_counts() -> None:
    scores = np.array([[4.0, 3, 2, 1], [1, 2, 3, 4], [1, 1, 1, 1]])
    truth = np.array([[True, False, True, False], [True, True, False, False], [False] * 4])
    assert (precision_at(scores[0], truth[0], 2), recall_at(scores[0], truth[0], 2)) == (0.5, 0.5)
    first, second = precision_recall(scores, truth, [1, 3])
    assert (first.precision.value, second.precision.value) == (pytest.approx(1 / 3), pytest.approx((2 + 1 + 0) / 9))
    assert first.recall is not None
    assert second.recall is not None
    assert (first.recall.value, second.recall.value) == (pytest.approx(0.25), pytest.approx(0.75))
    assert (first.recall.n, first.precision.n) == (2, 3)
    assert first.random_precision == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert second.random_recall == pytest.approx(0.75)
    assert precision_recall(scores[2:], truth[2:], [1])[0].recall is None


def test_random_scores_have_the_random_precision() -> None:
    rng = np.random.default_rng(4)
    scores, truth = rng.standard_normal((300, 200)), rng.random((300, 200)) < 0.2
    row = precision_recall(scores, truth, [20])[0]
    assert row.recall is not None
    assert row.precision.low < row.random_precision < row.precision.high
    assert row.recall.low < row.random_recall < row.recall.high
    found = mean_average_precision(scores, truth)
    expected = np.mean([random_average_precision(200, int(t.sum())) for t in truth])
    assert found.low < expected < found.high


def test_multipliers_are_shares_over_the_corpus() -> None:
    labels = np.array(["code"] * 2 + ["text"] * 8)
    scores = np.array([[9.0, 8, 1, 2, 3, 4, 5, 6, 7, 0], [9, 0, 1, 2, 3, 4, 5, 6, 7, 8]])
    rows = {(row.label, row.k): row for row in multipliers(scores, labels, [1, 2])}
    code = rows["code", 2]
    assert (code.corpus_share, code.top_share.value, code.bottom_share.value) == (0.2, 0.75, 0.25)
    assert (code.top.value, code.bottom.value) == (pytest.approx(3.75), pytest.approx(1.25))
    assert code.top.low == pytest.approx(code.top_share.low / 0.2)
    assert rows["code", 1].top.value == pytest.approx(5)
    assert rows["text", 1].top.value == 0.0
    # The shares weighted by the corpus always make 1.
    for k in (1, 2):
        assert sum(rows[label, k].top.value * rows[label, k].corpus_share for label in ("code", "text")) == (
            pytest.approx(1)
        )


def test_random_rankings_have_multiplier_one() -> None:
    rng = np.random.default_rng(11)
    labels = rng.choice(["code", "maths", "prose"], size=2000, p=[0.1, 0.02, 0.88])
    for row in multipliers(rng.standard_normal((100, 2000)), labels, [50, 500]):
        assert row.top.low < 1 < row.top.high
        assert row.bottom.low < 1 < row.bottom.high


def test_one_query_has_no_limits_over_queries() -> None:
    row = multipliers([[3.0, 2, 1, 0]], ["a", "b", "b", "b"], [1])[0]
    assert (row.top_share.value, row.top_share.low, row.top_share.high, row.top.high) == (1.0, 0.0, 1.0, 4.0)


def test_mean_share_of_clusters_that_agree_counts_clusters() -> None:
    values = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], 50)
    clusters = np.repeat(np.arange(6), 50)
    clustered, single = mean_share(values, clusters), mean_share(values)
    assert clustered.high - clustered.low > 5 * (single.high - single.low)
    # Never wrong: the limits keep a width, about that of one outcome per query.
    assert mean_share(np.ones(20), most=1000.0).low == pytest.approx(wilson(20, 20).low, abs=0.03)


@pytest.mark.parametrize(
    ("queries", "a", "b", "k"), [(20, 1.0, 1.0, 10), (10, 1.0, 1.0, 50), (20, 8.0, 0.8, 10), (20, 0.5, 5.0, 10)]
)
def test_mean_share_covers(queries: int, a: float, b: float, k: int) -> None:
    """Shares that differ between queries; without the correction for few queries coverage falls to 88 %."""
    rng = np.random.default_rng([queries, k, int(10 * a)])
    hits = 0
    for _ in range(1500):
        found = mean_share(rng.binomial(k, rng.beta(a, b, queries)) / k, most=float(k * queries))
        hits += found.low <= a / (a + b) <= found.high
    assert 0.925 <= hits / 1500 <= 0.98


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ranked([1.0, np.nan]), "none of them NaN"),
        (lambda: ranked([1.0, 2.0], 3), r"1\.\.2"),
        (lambda: ranked([1.0, 2.0], 0), r"1\.\.2"),
        (lambda: precision_at([1.0, 2.0], [0, 1], 1), "one boolean per document"),
        (lambda: precision_recall([[1.0]], np.ones((2, 1), dtype=bool), [1]), "one for each query"),
        (lambda: precision_recall([[1.0]], np.ones((1, 1), dtype=bool), [2]), r"1\.\.1"),
        (lambda: mean_average_precision([[1.0]], np.zeros((1, 1), dtype=bool)), "no query has a true document"),
        (lambda: multipliers([[1.0, 2.0]], ["a"], [1]), "one per document"),
        (lambda: multipliers([], ["a"], [1]), "at least one query"),
        (lambda: random_average_precision(3, 0), "at least one"),
        (lambda: mean_share([0.5, 1.5]), r"\[0, 1\]"),
    ],
    ids=["nan", "k", "zero", "truth", "rows", "rank", "none", "labels", "empty", "true", "share"],
)
def test_bad_input_is_named(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=words):
        call()
