"""Token ids of documents: as in training, every token predicted once, and what does not fit the model is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from menon.core.errors import ConfigError, DataError
from menon.models.load import load_tokenizer
from menon.problems.corpus import Corpus, Mixture
from menon.studies.pretrain import encode
from menon.tracing.corpora import from_base
from menon.tracing.tokenise import Tokeniser, check_tokenizer, tokenizer_hash
from menon.tracing.values import Query, TokenSequence, TracedDocument


@pytest.fixture(scope="module")
def embedded():
    return load_tokenizer("menon:base")


def letters(*, start: str | None = None, extra: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """One token per lower-case letter; `start` is put in front of every text, as Llama's tokenizers do."""
    names = [*"abcdefghijklmnopqrstuvwxyz", "?", "<e>", *([start] if start else [])]
    inner = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    if start:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{start} $A", special_tokens=[(start, names.index(start))]
        )
    made = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="?", eos_token="<e>", bos_token=start)
    if extra:
        made.add_tokens(list(extra))
    return made


def doc(text: str, prompt: str = "", origin: str = "") -> TracedDocument:
    return TracedDocument(id=text[:8], text=text, prompt=prompt, origin=origin)


def weight(sequence: TokenSequence, t: int) -> float:
    """The weight of token `t` in the loss, as the convention of `TokenSequence` has it."""
    return 0.0 if t == 0 else sequence.prompt_weight if t < sequence.prompt else 1.0


def test_documents_of_the_embedded_model_become_the_ids_it_was_trained_on(embedded) -> None:
    corpus, mixture = Corpus(), Mixture()
    documents = [corpus.document(i, mixture) for i in range(80)]
    cuts = Tokeniser(embedded, context=512, prompt_weight=0.3).cut([from_base(d, i) for i, d in enumerate(documents)])
    for place, (document, cut) in enumerate(zip(documents, cuts, strict=True)):
        row = encode(document, embedded, 0.3)
        (sequence,) = cut.sequences
        assert (sequence.ids, sequence.prompt, sequence.prompt_weight) == (row.ids, row.prompt, row.prompt_weight)
        assert (sequence.document, sequence.start) == (place, 0)


@given(
    length=st.integers(2, 60),
    context=st.integers(2, 20),
    overlap=st.integers(1, 19),
    prompt=st.integers(0, 60),
    prompt_weight=st.sampled_from([0.0, 0.25, 1.0]),
)
def test_windows_predict_every_token_exactly_once(length, context, overlap, prompt, prompt_weight) -> None:
    overlap, prompt = min(overlap, context - 1), min(prompt, length)
    tokeniser = Tokeniser(letters(), context=context, overlap=overlap, prompt_weight=prompt_weight)
    ids = tuple(range(length))
    total, contexts = [0.0] * length, [0] * length
    cut = tokeniser.windows(ids, document=7, prompt=prompt)
    for sequence in cut.sequences:
        assert sequence.document == 7
        assert sequence.ids == ids[sequence.start : sequence.start + len(sequence.ids)]
        assert 2 <= len(sequence.ids) <= context
        for t in range(len(sequence.ids)):
            total[sequence.start + t] += weight(sequence, t)
            if weight(sequence, t):
                contexts[sequence.start + t] = t
    wanted = [0.0, *(prompt_weight if t < prompt else 1.0 for t in range(1, length))]
    assert total == wanted
    inside = [t for t in range(context, length) if t >= prompt]
    assert all(contexts[t] >= overlap for t in inside if prompt_weight in (0.0, 1.0))
    assert cut.long == (length > context)


def test_long_documents_are_truncated_or_skipped_on_request() -> None:
    text = "abcdefghij"
    cut = Tokeniser(letters(), context=4, long="truncate").cut([doc(text)])[0]
    assert [s.ids for s in cut.sequences] == [(0, 1, 2, 3)]
    assert (cut.long, cut.skipped, cut.tokens) == (True, False, 4)
    cut = Tokeniser(letters(), context=4, long="skip").cut([doc(text)])[0]
    assert (cut.sequences, cut.long, cut.skipped) == ((), True, True)
    cut = Tokeniser(letters(), context=11, long="skip").cut([doc(text)])[0]
    assert (len(cut.sequences), cut.long, cut.skipped) == (1, False, False)


def test_short_documents_have_no_sequence() -> None:
    plain = Tokeniser(letters(), append_eos=False)
    assert [len(cut.sequences) for cut in plain.cut([doc(""), doc("a"), doc("ab")])] == [0, 0, 1]
    assert [len(cut.sequences) for cut in Tokeniser(letters()).cut([doc(""), doc("a")])] == [0, 1]
    only_prompt = Tokeniser(letters(), append_eos=False, prompt_weight=0.0).cut([doc("abc", prompt="abc")])[0]
    assert only_prompt.sequences == ()


def test_start_and_end_tokens_are_put_once() -> None:
    tokeniser = Tokeniser(letters(start="<s>"))
    cuts = tokeniser.cut([doc("ab"), doc("ab", prompt="a"), doc("<s>ab<e>"), doc("ab<e>\n")])
    ids = [cut.sequences[0].ids for cut in cuts]
    assert ids[:3] == [(28, 0, 1, 27)] * 3
    assert ids[3][:4] == (28, 0, 1, 27)
    assert ids[3].count(27) == 1
    assert cuts[1].sequences[0].prompt == 2
    assert tokeniser.query(Query(prompt="ab", completion="c")) == ((28, 0, 1), (2,))


def test_a_prompt_that_the_text_does_not_begin_with_is_named() -> None:
    with pytest.raises(DataError, match=r"x\.jsonl:3 does not begin with its prompt 'q'"):
        Tokeniser(letters()).cut([doc("abc", prompt="q", origin="x.jsonl:3")])


def test_tokens_without_an_embedding_are_refused_with_their_place() -> None:
    with pytest.raises(ConfigError, match=r"y\.jsonl:9 has token 'z' \(id 25\), and the model has 25 embeddings"):
        Tokeniser(letters(), vocabulary=25, append_eos=False).cut([doc("abz", origin="y.jsonl:9")])
    with pytest.raises(ConfigError, match="document 4"):
        Tokeniser(letters(), vocabulary=25, append_eos=False).cut([doc("abc"), doc("z")], first=3)


def test_check_tokenizer(embedded) -> None:
    assert check_tokenizer(embedded, len(embedded), 512) == ()
    with pytest.raises(ConfigError, match=r"does not match the model: token '.' has id 25, and the model has 25"):
        check_tokenizer(letters(), 25)
    with pytest.raises(ConfigError, match="'<e>' has id 27"):
        check_tokenizer(letters(), 27)
    assert (
        "1 added tokens of the tokenizer have no embedding ('<x>')" in check_tokenizer(letters(extra=("<x>",)), 28)[0]
    )
    assert "is it the model's own?" in check_tokenizer(embedded, 50257)[0]
    assert "made for 512 tokens and the model takes 1024" in check_tokenizer(embedded, 512, 1024)[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"context": 1}, "context is 1"),
        ({"context": 8, "overlap": 8}, "overlap is 8; allowed: 1 to 7"),
        ({"overlap": 0}, "overlap is 0"),
        ({"long": "drop"}, "'drop'; allowed: split, truncate, skip"),
        ({"prompt_weight": -1.0}, "prompt_weight is -1.0"),
    ],
)
def test_bad_options(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Tokeniser(letters(), **options)


def test_queries_keep_their_ids_and_must_fit() -> None:
    tokeniser = Tokeniser(letters(), context=6, vocabulary=28)
    assert tokeniser.query(Query(prompt="ab", completion="cd")) == ((0, 1), (2, 3))
    stored = Query(prompt="ab", completion="cd", prompt_ids=(9,), completion_ids=(8, 7))
    assert tokeniser.query(stored) == ((9,), (8, 7))
    for query, words in (
        (Query(prompt="abcd", completion="efg"), r"4 \+ 3 tokens and the model takes 6"),
        (Query(prompt="ab", completion=""), "no completion to explain"),
        (Query(prompt="", completion="a"), "it needs 1"),
        (Query(prompt="a", completion="b", completion_ids=(28,)), "id 28"),
    ):
        with pytest.raises(ConfigError, match=words):
            tokeniser.query(query)


def test_the_hash_depends_on_what_changes_ids(embedded) -> None:
    assert tokenizer_hash(embedded) == tokenizer_hash(load_tokenizer("menon:base"))
    variants = [
        Tokeniser(embedded, context=512),
        Tokeniser(embedded, context=256),
        Tokeniser(embedded, context=512, append_eos=False),
        Tokeniser(embedded, context=512, long="truncate"),
        Tokeniser(letters(), context=512),
        Tokeniser(letters(start="<s>"), context=512),
    ]
    assert len({tokeniser.hash for tokeniser in variants}) == len(variants)


@pytest.mark.parametrize("text", ["naïve café — 東京 🦊", "\x00\x01\x02", "￿\ufdd0", "\u202e x"])
def test_any_text_has_ids_and_comes_back(embedded, text: str) -> None:
    (cut,) = Tokeniser(embedded, context=512, append_eos=False).cut([doc(text)])
    assert embedded.decode(cut.sequences[0].ids) == text
