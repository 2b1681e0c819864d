"""Document frequencies: shards, storage, ids that cannot be, and how documents come from sequences and words."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.core.errors import ConfigError, DataError
from menon.tracing import lexical_frequencies
from menon.tracing.lexical_frequencies import DocumentFrequencies, Ids, WordIds, documents_of
from menon.tracing.values import TokenSequence

DOCUMENTS = st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=15)


def counted(documents: Sequence[Ids]) -> DocumentFrequencies:
    frequencies = DocumentFrequencies()
    frequencies.add_batch(documents)
    return frequencies


def same(one: DocumentFrequencies, two: DocumentFrequencies) -> bool:
    arrays = one.to_arrays(), two.to_arrays()
    return all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])


@given(DOCUMENTS, st.integers(0, 15))
def test_merged_shards_are_one_pass(documents: list[list[int]], cut: int):
    parts = counted(documents[:cut]), counted(documents[cut:])
    for first, second in (parts, parts[::-1]):
        merged = DocumentFrequencies()
        merged.merge(first)
        merged.merge(second)
        assert same(merged, counted(documents))


@given(DOCUMENTS)
def test_one_by_one_is_the_batch(documents: list[list[int]]):
    single = DocumentFrequencies()
    for ids in documents:
        single.add(np.array(ids, dtype=np.int32))
    assert same(single, counted(documents))


def test_long_batches_are_cut(monkeypatch: pytest.MonkeyPatch):
    documents = [[1, 2, 3], [], [2] * 10, [5], [], [3, 3]]
    whole = counted(documents)
    monkeypatch.setattr(lexical_frequencies, "TOKENS_AT_ONCE", 4)
    assert same(counted(documents), whole)


@given(DOCUMENTS)
def test_arrays_read_back(documents: list[list[int]]):
    frequencies = counted(documents)
    assert same(DocumentFrequencies.from_arrays(frequencies.to_arrays()), frequencies)


def test_a_read_count_does_not_share_memory_with_its_source():
    arrays = counted([[1, 2]]).to_arrays()
    DocumentFrequencies.from_arrays(arrays).add([1])
    assert arrays["document_frequencies"].tolist() == [0, 1, 1]


BROKEN = {
    "missing": {"totals": np.array([1, 1])},
    "two-dimensional": {"document_frequencies": np.ones((1, 1), dtype=np.int64), "totals": np.array([1, 1])},
    "fractions": {"document_frequencies": np.ones(1), "totals": np.array([1, 1])},
    "more holders than documents": {"document_frequencies": np.array([3]), "totals": np.array([2, 9])},
    "more holders than tokens": {"document_frequencies": np.array([2, 2]), "totals": np.array([2, 3])},
    "negative": {"document_frequencies": np.array([-1]), "totals": np.array([2, 3])},
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_damaged_arrays_are_refused(name: str):
    with pytest.raises(DataError, match="count the corpus again"):
        DocumentFrequencies.from_arrays(BROKEN[name])


@pytest.mark.parametrize("ids", [[-1], [1 << 40], ["a"], [1.5, "x"], np.array([0.5])], ids=str)
def test_what_is_no_token_id_is_refused(ids):
    with pytest.raises(DataError):
        counted([[1], ids] if not isinstance(ids, np.ndarray) else [ids])


def test_empty_documents_count_as_documents():
    frequencies = counted([[], [4], []])
    assert (frequencies.documents, frequencies.tokens, frequencies.mean_length) == (3, 1, 1 / 3)
    assert DocumentFrequencies().mean_length == 0


def test_sequences_of_a_document_are_joined_and_overlaps_taken_once():
    sequences = [
        TokenSequence(document=0, ids=(1, 2, 3, 4)),
        TokenSequence(document=0, ids=(4, 5), start=3),
        TokenSequence(document=2, ids=(7,)),
        TokenSequence(document=3, ids=(8, 9)),
        TokenSequence(document=3, ids=(10,), start=2),
    ]
    assert list(documents_of(sequences)) == [(0, [1, 2, 3, 4, 5]), (2, [7]), (3, [8, 9, 10])]


def test_words_get_ids_in_the_order_they_are_seen():
    words = WordIds()
    assert words.ids("Ball in, ball out: 17") == [0, 1, 0, 2, 3]
    assert words.words == ("ball", "in", "out", "17")
    assert WordIds(words.words).ids("OUT new") == [2, 4]
    assert len(words) == 4
    with pytest.raises(ConfigError):
        WordIds(["a", "a"])
