"""Features of one query's ranking against counts by hand."""

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.tracing.features import FEATURES, query_features

SCORES = np.array([4.0, -9.0, 3.0, 2.0, 1.0, 0.0, -1.0], dtype=np.float32)


def test_concentration_counts_the_positive_influence() -> None:
    found = query_features(SCORES, depth=2)
    assert (found.documents, found.top, found.positive) == (7, 2, 10.0)
    assert (found.first_share, found.five_share, found.fifty_share) == (0.4, 1.0, 1.0)
    assert found.effective == pytest.approx(100 / 30)
    assert (found.group_share, found.group_effective) == (0.4, pytest.approx(100 / 30))


def test_equal_influence_is_spread_over_all() -> None:
    found = query_features(np.full(1000, 1e-8))
    assert found.effective == pytest.approx(1000)
    assert found.head_share == pytest.approx(0.1)
    assert found.first_share == pytest.approx(0.001)


def test_near_copies_count_as_one() -> None:
    found = query_features(SCORES, groups=["a", "a", "b", "b", "c", "d", "d"], depth=3)
    assert found.group_share == pytest.approx(0.5)
    assert found.group_effective == pytest.approx(100 / (16 + 25 + 1))
    assert found.copies_top == pytest.approx(1 / 3)
    assert found.first_share == 0.4


def test_answers_are_compared_with_the_corpus() -> None:
    answer = np.array([True, True, False, True, False, False, False])
    found = query_features(SCORES, answer=answer, depth=3)
    assert (found.answer_top, found.answer_corpus) == (pytest.approx(2 / 3), pytest.approx(3 / 7))
    assert found.answer_excess == pytest.approx((2 / 3 - 3 / 7) / (4 / 7))
    fewer = query_features(SCORES, answer=~answer, depth=1)
    assert (fewer.answer_top, fewer.answer_excess) == (0.0, 0.0)
    everywhere = query_features(SCORES, answer=np.ones(7, dtype=bool))
    assert (everywhere.answer_top, everywhere.answer_excess) == (1.0, 0.0)


def test_overlap_counts_only_among_the_influential() -> None:
    overlap = np.array([0.5, 1.0, 0.2, 0.0, 0.9, 1.0, 1.0])
    answer = np.array([True, True, True, False, False, True, True])
    found = query_features(SCORES, overlap=overlap, answer=answer, depth=3)
    assert found.overlap_top == 0.5
    assert found.stated_top == pytest.approx((4 * 0.5 + 3 * 0.2 + 2 * 0) / 9)
    # A near-duplicate of the question with another answer states nothing.
    assert query_features(SCORES, overlap=np.ones(7), answer=np.zeros(7, dtype=bool)).stated_top == 0.0


def test_agreement_with_a_lexical_ranking() -> None:
    same = query_features(SCORES, lexical=SCORES - SCORES.min(), depth=3)
    assert (same.lexical_top, same.lexical_rank) == (1.0, pytest.approx(1.0))
    other = query_features(SCORES, lexical=-SCORES, depth=3)
    assert other.lexical_top == 0.0
    assert other.lexical_rank == pytest.approx(-1.0)
    # Documents without a word of the query are no agreement, however the tie is broken.
    nothing = query_features(SCORES, lexical=np.zeros(7), depth=3)
    assert (nothing.lexical_top, nothing.lexical_rank) == (0.0, None)


def test_only_documents_that_raised_the_answer_are_looked_at() -> None:
    found = query_features(SCORES, answer=np.ones(7, dtype=bool), depth=10)
    assert (found.top, found.depth) == (4, 10)


def test_no_positive_score_gives_zeros_not_errors() -> None:
    found = query_features(
        np.zeros(5),
        answer=np.ones(5, dtype=bool),
        overlap=np.ones(5),
        lexical=np.arange(5.0),
        groups=[0, 0, 1, 1, 2],
    )
    assert (found.positive, found.top, found.first_share, found.effective, found.head_share) == (0, 0, 0, 0, 0)
    assert (found.answer_top, found.overlap_top, found.stated_top, found.lexical_top) == (0, 0, 0, 0)


def test_what_is_not_given_is_unknown() -> None:
    assert query_features(SCORES).rule_values == {"head_share": 1.0}
    full = query_features(SCORES, answer=SCORES > 2, overlap=np.ones(7), lexical=np.arange(7), groups=np.arange(7))
    assert list(full.rule_values) == list(FEATURES)
    assert all(0 <= value <= 1 for value in full.rule_values.values())
    assert full.to_json()["documents"] == 7


def test_features_do_not_depend_on_the_unit_or_the_order() -> None:
    rng = np.random.default_rng(2)
    scores, overlap, lexical = rng.standard_normal(400), rng.random(400), rng.random(400)
    answer, groups = rng.random(400) < 0.2, rng.integers(0, 200, 400)
    order = rng.permutation(400)
    first = query_features(scores, answer=answer, overlap=overlap, lexical=lexical, groups=groups).to_json()
    second = query_features(
        1e-12 * scores[order],
        answer=answer[order],
        overlap=overlap[order],
        lexical=lexical[order],
        groups=groups[order],
    ).to_json()
    positive = second.pop("positive")
    assert positive == pytest.approx(1e-12 * first.pop("positive"))  # type: ignore[operator]
    assert second == pytest.approx(first)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: query_features([1.0, np.nan]), "scores hold NaN or infinity at document 1"),
        (lambda: query_features([]), "at least one document"),
        (lambda: query_features(SCORES, depth=0), "at least one document must be looked at"),
        (lambda: query_features(SCORES, answer=[1, 0, 0, 0, 0, 0, 0]), "need a boolean"),
        (lambda: query_features(SCORES, overlap=[0.5]), "each of 7 documents"),
        (lambda: query_features(SCORES, overlap=np.full(7, 1.5)), r"shares in \[0, 1\]"),
        (lambda: query_features(SCORES, lexical=np.full(7, np.nan)), "lexical scores hold NaN"),
        (lambda: query_features(SCORES, groups=[1, 2]), "need a label"),
    ],
    ids=["nan", "empty", "depth", "answer", "length", "share", "lexical", "groups"],
)
def test_bad_input_is_named(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=words):
        call()
