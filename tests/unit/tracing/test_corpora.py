"""Corpora held in memory or made by a function: places, counts, hashes and labels."""

from dataclasses import replace

import pytest

from menon.core.errors import ConfigError
from menon.models.load import load_tokenizer
from menon.problems.corpus import Corpus as BaseCorpus
from menon.problems.corpus import Mixture
from menon.problems.known.values import KnownDocument
from menon.tracing.corpora import MemoryCorpus, StreamCorpus, base_corpus, from_known
from menon.tracing.corpus_base import MOST_LABELS, OTHER
from menon.tracing.tokenise import Tokeniser
from menon.tracing.values import TracedDocument


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("menon:base")


def made(index: int) -> TracedDocument:
    text = "" if index % 10 == 3 else f"document {index % 7} of tom." + " more" * (index == 5) * 40
    return TracedDocument(id=str(index), text=text, labels={"source": f"s{index % 3}", "n": str(index)})


def test_memory_and_stream_agree(tokenizer) -> None:
    memory = MemoryCorpus([made(i) for i in range(600)], tokenizer, context=24, name="x")
    stream = StreamCorpus(made, 600, tokenizer, context=24, name="x")
    assert len(memory) == len(stream) == 600
    assert memory.hash == stream.hash
    assert memory.notes == stream.notes
    assert memory.sequences(250, 300) == stream.sequences(250, 300)
    assert [s.document for s in memory.sequences(3, 7)][:3] == [4, 5, 5]
    assert stream.document(5) == made(5)
    assert stream.documents_at([9, 2, 9]) == [made(9), made(2), made(9)]
    with pytest.raises(IndexError, match="has 600 documents, and 600"):
        stream.document(600)


def test_notes_count_what_is_odd(tokenizer) -> None:
    corpus = StreamCorpus(made, 100, tokenizer, context=24)
    notes = corpus.notes
    texts = [made(i).text for i in range(100)]
    sequences = corpus.sequences(0, 100)
    assert notes.documents == 100
    assert notes.empty == 10
    assert notes.duplicated == 100 - len(set(texts))
    assert notes.split_long == 1
    assert notes.sequences == len(sequences) == 90 + sum(s.start > 0 for s in sequences)
    assert notes.tokens == sum(len(s.ids) for s in sequences) == int(corpus.tokens_N.sum())
    assert [place for place in range(100) if corpus.tokens_N[place] == 0] == list(range(3, 100, 10))
    assert [line.split()[0] for line in notes.sentences()] == ["10", str(notes.duplicated), "1"]
    assert abs(StreamCorpus(made, 100, tokenizer, context=24).estimate_tokens(50) / notes.tokens - 1) < 0.3
    assert corpus.estimate_tokens() == notes.tokens


def test_skipped_documents_are_not_empty_ones(tokenizer) -> None:
    notes = StreamCorpus(made, 100, Tokeniser(tokenizer, context=24, long="skip")).notes
    assert (notes.skipped, notes.split_long, notes.empty, notes.sequences) == (1, 0, 10, 89)


def test_counts_are_kept_beside_a_run(tokenizer, tmp_path) -> None:
    first = StreamCorpus(made, 50, tokenizer, context=24, folder=tmp_path)
    notes = first.notes
    calls = []

    def counted(index: int) -> TracedDocument:
        calls.append(index)
        return made(index)

    again = StreamCorpus(counted, 50, tokenizer, context=24, folder=tmp_path)
    assert again.hash == first.hash
    calls.clear()
    assert again.notes == notes
    assert (again.tokens_N == first.tokens_N).all()
    assert calls == []
    assert StreamCorpus(made, 50, tokenizer, context=12, folder=tmp_path).notes.split_long > notes.split_long


def test_the_hash_depends_on_text_prompt_order_and_tokens(tokenizer) -> None:
    documents = [made(1), made(2)]
    corpora = [
        MemoryCorpus(documents, tokenizer),
        MemoryCorpus(documents[::-1], tokenizer),
        MemoryCorpus([replace(documents[0], prompt="doc"), documents[1]], tokenizer),
        MemoryCorpus(documents, tokenizer, context=9),
        MemoryCorpus(documents, tokenizer, ids=[((4,), (5,)), ((4,), (6,))]),
    ]
    assert len({corpus.hash for corpus in corpora}) == len(corpora)
    assert MemoryCorpus([replace(d, labels={}) for d in documents], tokenizer).hash == corpora[0].hash


def test_exact_ids_are_taken_as_they_are(tokenizer) -> None:
    corpus = MemoryCorpus([made(1), made(2)], tokenizer, context=4, ids=[((4, 5), (6,)), ((), (7, 8, 9, 10, 11))])
    assert [(s.document, s.ids, s.prompt) for s in corpus.sequences(0, 2)] == [
        (0, (4, 5, 6), 2),
        (1, (7, 8, 9, 10), 0),
        (1, (10, 11), 1),
    ]


def test_labels_are_columns_with_shares(tokenizer) -> None:
    columns = StreamCorpus(made, 600, tokenizer).labels("source", "absent")
    source = columns["source"]
    assert [source.values[code] for code in source.codes_N[:4]] == ["s0", "s1", "s2", "s0"]
    assert source.shares() == {"s0": 1 / 3, "s1": 1 / 3, "s2": 1 / 3}
    assert columns["absent"].shares() == {"": 1.0}
    many = StreamCorpus(made, MOST_LABELS + 50, tokenizer).labels("n")["n"]
    assert len(many.values) == MOST_LABELS + 1
    assert many.shares()[OTHER] == pytest.approx(51 / (MOST_LABELS + 50))


def test_documents_of_the_generated_corpora(tokenizer) -> None:
    source, mixture = BaseCorpus(), Mixture()
    corpus = base_corpus(tokenizer, 40, lambda index: source.document(index, mixture), context=512)
    plain = source.document(11, mixture)
    document = corpus.document(11)
    assert document.text == plain.prompt + plain.completion
    assert document.prompt == plain.prompt
    assert document.labels == {"kind": plain.kind, "family": plain.family, "difficulty": str(plain.difficulty)}
    known = KnownDocument(
        kind="near-duplicate",
        form="text",
        source="quiz",
        family="slope",
        teaches=("procedure:slope", "fact:tom"),
        prompt="q=",
        completion="#4",
        copy_of="i",
    )
    traced = from_known(known)
    assert (traced.id, traced.text, traced.prompt) == (known.id, "q=#4", "q=")
    assert traced.labels == {
        "kind": "near-duplicate",
        "form": "text",
        "source": "quiz",
        "family": "slope",
        "teaches": "procedure:slope,fact:tom",
        "copy_of": "i",
    }


def test_nothing_to_trace_is_refused(tokenizer) -> None:
    with pytest.raises(ConfigError, match="has no document"):
        MemoryCorpus([], tokenizer)
    with pytest.raises(ConfigError, match="has 0 documents"):
        StreamCorpus(made, 0, tokenizer)
    with pytest.raises(ConfigError, match="2 documents and ids of 1"):
        MemoryCorpus([made(0), made(1)], tokenizer, ids=[((), (1, 2))])
    with pytest.raises(ConfigError, match="give it once"):
        MemoryCorpus([made(0)], Tokeniser(tokenizer, context=8), context=9)
