"""BM25 against plain loops over the formula, TF-IDF against scikit-learn's vectoriser."""

import math
from collections import Counter

import numpy as np
import pytest

from menon.tracing.lexical import OKAPI, PRESENCE, Bm25, LexicalScorer, scores
from menon.tracing.lexical_frequencies import DocumentFrequencies

text = pytest.importorskip("sklearn.feature_extraction.text")

CORPORA = {  # name: documents, vocabulary, longest document, queries, longest query
    "small": (12, 8, 6, 5, 4),
    "wide": (200, 5000, 60, 20, 30),
    "repetitive": (150, 30, 200, 15, 40),
    "one document": (1, 10, 20, 3, 5),
}


def corpus(name: str) -> tuple[list[list[int]], list[list[int]]]:
    documents, vocabulary, longest, queries, longest_query = CORPORA[name]
    rng = np.random.default_rng(list(CORPORA).index(name))

    def drawn(count: int, longest: int, size: int) -> list[list[int]]:
        lengths = rng.integers(0, longest + 1, count)
        return [np.minimum(rng.zipf(1.3, length), size).tolist() for length in lengths]

    # Queries hold tokens that no document holds, and some texts are empty.
    return [*drawn(documents, longest, vocabulary), [1, 2]], [*drawn(queries, longest_query, 2 * vocabulary), [], [1]]


def bm25_by_loops(documents: list[list[int]], query: list[int], bm25: Bm25) -> list[float]:
    mean = sum(map(len, documents)) / len(documents)
    distinct = [set(document) for document in documents]
    holders = {token: sum(token in other for other in distinct) for token in query}
    out = []
    for document in documents:
        total = 0.0
        for token in query:
            idf = math.log((len(documents) - holders[token] + 0.5) / (holders[token] + 0.5) + 1)
            frequency = document.count(token)
            if bm25.presence:
                frequency = min(frequency, 1)
                total += (bm25.k1 + 1) * frequency / (bm25.k1 + frequency) * idf
            else:
                norm = bm25.k1 * (1 - bm25.b + bm25.b * len(document) / mean)
                total += idf * frequency * (bm25.k1 + 1) / (frequency + norm) if frequency else 0.0
        out.append(total)
    return out


@pytest.mark.parametrize("bm25", [OKAPI, PRESENCE, Bm25(k1=0.9, b=0.3)], ids=["okapi", "presence", "other constants"])
@pytest.mark.parametrize("name", list(CORPORA))
def test_bm25_is_the_formula(name: str, bm25: Bm25):
    documents, queries = corpus(name)
    bm25_QB, _ = scores(documents, queries, bm25=bm25)
    expected_QB = np.array([bm25_by_loops(documents, query, bm25) for query in queries])
    np.testing.assert_allclose(bm25_QB, expected_QB, rtol=1e-6, atol=1e-6)
    assert expected_QB.max() > 0


@pytest.mark.parametrize("name", list(CORPORA))
def test_tfidf_is_that_of_scikit_learn(name: str):
    documents, queries = corpus(name)
    vectorizer = text.TfidfVectorizer(analyzer=lambda ids: [str(token) for token in ids])
    documents_NV = vectorizer.fit_transform(documents)
    expected_QB = (vectorizer.transform(queries) @ documents_NV.T).toarray()
    _, tfidf_QB = scores(documents, queries)
    np.testing.assert_allclose(tfidf_QB, expected_QB, rtol=0, atol=1e-6)
    assert expected_QB.max() > 0.1


def test_documents_outside_the_counted_corpus_are_scored_as_scikit_learn_does():
    counted, queries = corpus("repetitive")
    others, _ = corpus("wide")
    vectorizer = text.TfidfVectorizer(analyzer=lambda ids: [str(token) for token in ids]).fit(counted)
    expected_QB = (vectorizer.transform(queries) @ vectorizer.transform(others).T).toarray()
    frequencies = DocumentFrequencies()
    frequencies.add_batch(counted)
    _, tfidf_QB = LexicalScorer(frequencies, queries).score(others)
    np.testing.assert_allclose(tfidf_QB, expected_QB, rtol=0, atol=1e-6)


def test_frequencies_are_counts():
    documents, _ = corpus("wide")
    frequencies = DocumentFrequencies()
    frequencies.add_batch(documents)
    holders = Counter(token for document in documents for token in set(document))
    assert {token: int(count) for token, count in enumerate(frequencies.counts_V) if count} == dict(holders)
    assert frequencies.tokens == sum(map(len, documents))
    assert frequencies.documents == len(documents)
