"""Lexical scores: order of tokens, batches, empties, unseen tokens, and the ranges that are promised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.core.errors import ConfigError, DataError
from menon.tracing import lexical, lexical_frequencies
from menon.tracing.lexical import PRESENCE, Bm25, DocumentFrequencies, LexicalScorer, WordIds, scores

IDS = st.lists(st.integers(0, 12), max_size=10)
DOCUMENTS = st.lists(IDS, min_size=1, max_size=10)


def scorer(documents: list[list[int]], queries: list[list[int]], **settings: Bm25) -> LexicalScorer:
    frequencies = DocumentFrequencies()
    frequencies.add_batch(documents)
    return LexicalScorer(frequencies, queries, **settings)


@given(DOCUMENTS, st.lists(IDS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_tokens_does_not_matter(documents: list[list[int]], queries: list[list[int]], rng):
    shuffled = [rng.sample(ids, len(ids)) for ids in documents]
    turned = [ids[::-1] for ids in queries]
    for one, two in zip(scores(documents, queries), scores(shuffled, turned), strict=True):
        assert np.array_equal(one, two)


@given(DOCUMENTS, st.lists(IDS, min_size=1, max_size=4), st.integers(1, 5))
def test_batches_of_any_size_give_the_same_bits(documents: list[list[int]], queries: list[list[int]], size: int):
    one = scorer(documents, queries)
    pieces = [one.score(documents[first : first + size]) for first in range(0, len(documents), size)]
    for method, whole in enumerate(one.score(documents)):
        assert np.array_equal(whole, np.concatenate([piece[method] for piece in pieces], axis=1))


def test_blocks_and_parts_give_the_same_bits(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(3)
    documents = [rng.integers(0, 50, length).tolist() for length in rng.integers(0, 40, 60)]
    queries = [rng.integers(0, 50, 12).tolist() for _ in range(7)]
    whole = scores(documents, queries)
    monkeypatch.setattr(lexical, "CELLS_AT_ONCE", 70)
    monkeypatch.setattr(lexical_frequencies, "TOKENS_AT_ONCE", 90)
    for one, two in zip(whole, scores(documents, queries), strict=True):
        assert np.array_equal(one, two)


@given(DOCUMENTS, st.lists(IDS, min_size=1, max_size=4))
def test_ranges(documents: list[list[int]], queries: list[list[int]]):
    bm25_QB, tfidf_QB = scores(documents, queries)
    shares_QB = np.array([[bool(set(query) & set(ids)) for ids in documents] for query in queries])
    assert bm25_QB.dtype == tfidf_QB.dtype == np.float32
    assert bm25_QB.shape == tfidf_QB.shape == (len(queries), len(documents))
    assert ((bm25_QB > 0) == shares_QB).all()
    assert ((tfidf_QB > 0) == shares_QB).all()
    assert (tfidf_QB <= 1).all()


@given(st.lists(IDS.filter(bool), min_size=1, max_size=8))
def test_a_document_is_most_like_itself(documents: list[list[int]]):
    _, tfidf_QB = scores(documents, documents)
    np.testing.assert_allclose(np.diag(tfidf_QB), 1, atol=1e-6)
    np.testing.assert_allclose(tfidf_QB, tfidf_QB.T, atol=1e-6)


def test_empty_and_unseen_score_zero():
    one = scorer([[1, 2], [], [2, 3]], [[], [99], [2, 99]])
    for method in one.score([[1, 2], [], [77, 99], [2]]):
        assert method[:2].tolist() == [[0, 0, 0, 0]] * 2
        assert (method[2] > 0).tolist() == [True, False, False, True]
    # The unseen token of the query is dropped: what is left is the document itself.
    assert one.score([[2]])[1][2, 0] == pytest.approx(1)


def test_no_queries_and_no_documents_give_empty_arrays():
    assert scorer([[1]], []).score([[1], [2]])[0].shape == (0, 2)
    assert scorer([[1]], [[1]]).score([])[1].shape == (1, 0)


def test_only_empty_documents_can_be_counted():
    bm25_QB, tfidf_QB = scorer([[], []], [[1]]).score([[], [1]])
    assert not bm25_QB.any()
    assert not tfidf_QB.any()


def test_rare_tokens_and_short_documents_count_more_and_repeats_saturate():
    documents = [[1, 5], [1, 6], [1, 7], [2, 8], [2, 9, 9, 9, 9, 9], [2, 2, 8]]
    bm25_QB, _ = scores(documents, [[1], [5], [2]])
    assert bm25_QB[1, 0] > bm25_QB[0, 0]
    assert bm25_QB[2, 3] > bm25_QB[2, 4]
    assert bm25_QB[2, 3] < bm25_QB[2, 5] < 2 * bm25_QB[2, 3]
    presence_QB, _ = scores(documents, [[1], [5], [2]], bm25=PRESENCE)
    assert presence_QB[2, 3] == presence_QB[2, 4] == presence_QB[2, 5]


def test_nothing_counted_is_refused():
    with pytest.raises(DataError, match="count the corpus"):
        LexicalScorer(DocumentFrequencies(), [[1]])


@pytest.mark.parametrize(("k1", "b"), [(-1, 0.75), (float("inf"), 0.75), (1.5, 1.5), (1.5, float("nan"))])
def test_impossible_constants_are_refused(k1: float, b: float):
    with pytest.raises(ConfigError, match="allowed"):
        Bm25(k1=k1, b=b)


def test_words_work_as_tokens():
    words = WordIds()
    documents = [words.ids(text) for text in ["The ball is blue.", "A box is red", "tom walks"]]
    bm25_QB, tfidf_QB = scores(documents, [words.ids("Is the BALL blue?")])
    assert bm25_QB[0].argmax() == tfidf_QB[0].argmax() == 0
    assert bm25_QB[0, 1] > 0
    assert bm25_QB[0, 2] == 0
