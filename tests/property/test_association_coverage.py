"""Coverage of the intervals over queries: vectors of scores with a shared part whose weight differs between queries."""

from collections.abc import Callable

import numpy as np
import pytest

from menon.stats import correlations, group_association

GROUPS, DOCUMENTS = 3, 120
Weights = Callable[[np.random.Generator, int], np.ndarray]


def even(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.beta(2, 2, size)


def minority(rng: np.random.Generator, size: int) -> np.ndarray:
    """Three in ten queries carry nearly all of the correlation, as measured on small models."""
    return np.where(rng.random(size) < 0.3, 0.8, 0.05)


def topics() -> np.ndarray:
    """Orthogonal directions over documents, so that queries of different groups share nothing."""
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(np.c_[np.ones(DOCUMENTS), rng.standard_normal((DOCUMENTS, GROUPS))])
    return basis[:, 1:].T * DOCUMENTS**0.5


@pytest.mark.parametrize(
    ("weights", "queries", "repeats"),
    [(even, 10, 300), (even, 4, 300), (minority, 20, 200)],
    ids=["even-10", "even-4", "minority-20"],
)
def test_limits_over_queries_cover_and_limits_over_pairs_do_not(weights: Weights, queries: int, repeats: int) -> None:
    rng = np.random.default_rng([queries, repeats])
    truth = float(weights(rng, 500_000).mean() ** 2)
    labels = [str(group) for group in range(GROUPS) for _ in range(queries)]
    same = np.triu(np.equal.outer(labels, labels), 1)
    directions = np.repeat(topics(), queries, axis=0)
    hits = dict.fromkeys(("within", "between", "difference", "pairs"), 0)
    for _ in range(repeats):
        weight = weights(rng, len(labels))[:, None]
        noise = rng.standard_normal((len(labels), DOCUMENTS))
        matrix = correlations(weight * directions + np.sqrt(1 - weight**2) * noise)
        found = group_association(matrix, labels, resamples=1)
        hits["within"] += found.within.low <= truth <= found.within.high
        hits["between"] += found.between.low <= 0 <= found.between.high
        hits["difference"] += found.difference.low <= truth <= found.difference.high
        pairs = matrix[same]
        hits["pairs"] += abs(pairs.mean() - truth) <= 1.96 * pairs.std() / len(pairs) ** 0.5
    shares = {name: count / repeats for name, count in hits.items()}
    assert all(0.90 <= shares[name] <= 0.99 for name in ("within", "between", "difference")), shares
    assert shares["pairs"] < 0.75, shares


def test_nothing_shared_is_seldom_called_an_association() -> None:
    """The p-value keeps its level, and the limits are on the wide side."""
    rng = np.random.default_rng(9)
    labels = ["a"] * 8 + ["b"] * 8 + ["c"] * 8
    rejected = covered = 0
    for _ in range(300):
        found = group_association(correlations(rng.standard_normal((24, 50))), labels, resamples=99)
        rejected += found.p <= 0.05
        covered += found.difference.low <= 0 <= found.difference.high
    assert 0.02 <= rejected / 300 <= 0.085
    assert covered / 300 >= 0.95
