"""Prompts in, continuations out, stop strings across token boundaries, with a byte-level tokenizer of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: E402
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast  # noqa: E402

from menon.core.values import Completion, Message, Request  # noqa: E402
from menon.sampling.local import LocalSampler  # noqa: E402

MERGES = [("a", "n"), ("s", "w"), ("sw", "er"), ("e", "r"), ("an", "swer"), ("Ċ", "Ċ"), ("4", "2")]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    merges = sorted(MERGES, key=lambda pair: len("".join(pair)))
    pieces = ["<pad>", "<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(m) for m in merges)]
    inner = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    torch.manual_seed(0)
    ends: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=64, **ends)
    ).eval()


@pytest.fixture
def saying(model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Completion]:
    """Sample from a model that is made to write `ids`, and return the completion."""

    def say(ids: Sequence[int], prompt: str = "Q:", **options: Any) -> Completion:
        ours = LocalSampler(model, tokenizer, name="made")
        step, planned = ours.engine.step, iter(ids)

        def forced(cohorts: Any, fed: Any) -> Any:
            logits = step(cohorts, fed)
            return torch.full_like(logits, -50).index_fill(1, torch.tensor([next(planned)]), 50)

        monkeypatch.setattr(ours.engine, "step", forced)
        settings = {"max_tokens": len(ids), "temperature": 0.0, **options}
        return next(ours.sample([Request(key="k", prompt=prompt, seed=0, **settings)]))

    return say


def encode(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text)["input_ids"]


def test_a_stop_string_ends_the_text_and_its_tokens_stay(saying: Any, tokenizer: Any):
    ids = encode(tokenizer, "so 42\n\nQ: more")
    done = saying(ids, stop=("Q:", "\n\n"))
    assert done.text == "so 42"
    assert done.finish == "stop"
    assert tokenizer.decode(done.token_ids) == "so 42\n\n"
    assert done.completion_tokens == len(done.token_ids) < len(ids)


def test_a_stop_string_may_lie_across_tokens(saying: Any, tokenizer: Any):
    ids = [*encode(tokenizer, "x "), *encode(tokenizer, "an"), *encode(tokenizer, "swer"), *encode(tokenizer, "!!")]
    assert len(encode(tokenizer, "answer")) == 1  # written here as two tokens
    done = saying(ids, stop=("answer",))
    assert (done.text, done.finish, done.token_ids) == ("x ", "stop", tuple(ids[:-2]))
    inside = saying(ids, stop=("nsw",))
    assert (inside.text, inside.finish, inside.token_ids) == ("x a", "stop", tuple(ids[:-2]))


def test_a_stop_string_of_several_bytes_per_letter_is_found(saying: Any, tokenizer: Any):
    ids = encode(tokenizer, "ok→次へ")
    assert saying(ids, stop=("→",)).text == "ok"
    assert saying(ids, stop=("次",)).text == "ok→"
    assert saying(ids, stop=(" ",)).text == "ok→次へ"


def test_a_space_ends_a_text_when_asked(saying: Any, tokenizer: Any):
    assert saying(encode(tokenizer, "one two"), stop=(" ",)).text == "one"


def test_a_stop_string_that_begins_in_the_prompt_does_not_count(saying: Any, tokenizer: Any):
    done = saying(encode(tokenizer, ": x"), prompt="Q", stop=("Q:",))
    assert (done.text, done.finish) == (": x", "length")


def test_the_end_token_is_kept_as_id_and_not_as_text(saying: Any, tokenizer: Any):
    done = saying([*encode(tokenizer, "42"), 2, 7])
    assert (done.text, done.finish, done.token_ids[-1], done.completion_tokens) == ("42", "stop", 2, 2)


def test_reaching_the_limit_is_said(saying: Any, tokenizer: Any):
    done = saying(encode(tokenizer, "abcdef"), max_tokens=3)
    assert (done.text, done.finish, done.completion_tokens) == ("abc", "length", 3)


def test_a_continuation_keeps_the_space_before_it(tokenizer: Any):
    from menon.sampling.local_text import Texts

    class Stripping:
        """Joins pieces with spaces marked by an underscore and strips the first, as SentencePiece decoders do."""

        def decode(self, ids: list[int], **_: Any) -> str:
            return "".join("_ab_cd"[3 * i : 3 * i + 3].replace("_", " ") for i in ids).lstrip()

    assert Texts(Stripping()).continuation([0], [1, 1]) == " cd cd"


def test_prompts_are_text_ids_or_messages(model: Any, tokenizer: Any):
    ours = LocalSampler(model, tokenizer, name="m")
    same = [
        Request(key="text", prompt="ab", seed=1, max_tokens=4),
        Request(key="ids", prompt=tuple(encode(tokenizer, "ab")), seed=1, max_tokens=4),
    ]
    text, ids = sorted(ours.sample(same), key=lambda c: c.key, reverse=True)
    assert (text.prompt_ids, text.token_ids) == (ids.prompt_ids, ids.token_ids)
    chat = Request(key="chat", prompt=(Message(role="user", content="hi"),), seed=1, max_tokens=2)
    refused = next(ours.sample([chat]))
    assert refused.finish == "error"
    assert "no chat template" in (refused.error or "")
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
    try:
        assert next(ours.sample([chat])).prompt_ids == tuple(encode(tokenizer, "user: hi\nassistant:"))
    finally:
        tokenizer.chat_template = None


def test_an_empty_prompt_begins_with_the_first_token(model: Any, tokenizer: Any):
    done = next(LocalSampler(model, tokenizer).sample([Request(key="k", prompt="", seed=1, max_tokens=2)]))
    assert done.prompt_ids == (1,)
