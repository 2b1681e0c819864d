"""What the local sampler does with requests, models and callers that are out of the ordinary."""

from itertools import islice
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from transformers import (  # noqa: E402
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from menon.core.errors import SamplerError  # noqa: E402
from menon.core.values import Request  # noqa: E402
from menon.sampling.local import LocalSampler  # noqa: E402


class Letters:
    """A tokenizer whose ids are letters."""

    bos_token_id, eos_token_id, chat_template = None, None, None

    def __call__(self, text: Any, **_: Any) -> dict[str, Any]:
        texts = [text] if isinstance(text, str) else text
        ids = [[ord(letter) - 96 for letter in t] for t in texts]
        return {"input_ids": ids[0] if isinstance(text, str) else ids}

    def decode(self, ids: list[int], **_: Any) -> str:
        return "".join(chr(96 + i) for i in ids)


class Listener:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.started: list[tuple[str, str]] = []
        self.amount, self.notes = 0.0, []

    def start(self, what: str, total: float | None = None, unit: str = "") -> None:
        self.started.append((what, unit))

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self.amount += amount
        self.notes.append(note)

    def say(self, message: str) -> None:
        pass


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=27,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=20,
            eos_token_id=None,
        )
    ).eval()


def ask(key: str = "k", prompt: Any = "abc", **options: Any) -> Request:
    return Request(key=key, prompt=prompt, seed=0, **{"max_tokens": 5, **options})


def test_a_prompt_longer_than_the_positions_is_one_failed_completion(model: Any):
    asked = [ask("long", "a" * 30, n=2), ask("fits"), ask("tight", "a" * 18)]
    done = {(c.key, c.sample): c for c in LocalSampler(model, Letters(), name="m").sample(asked)}
    assert len(done) == 4
    for sample in (0, 1):
        failed = done["long", sample]
        assert failed.finish == "error"
        assert "30 tokens" in (failed.error or "")
        assert "20" in (failed.error or "")
    assert done["fits", 0].completion_tokens == 5
    assert (done["tight", 0].completion_tokens, done["tight", 0].finish) == (2, "length")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prompt": ""}, "empty"),
        ({"prompt": (1, 99)}, "0..26"),
        ({"n": 0}, "n=0"),
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"top_k": -1}, "top_k=-1"),
        ({"beams": 2, "n": 3}, "beams=2"),
    ],
)
def test_a_request_that_cannot_be_sampled_says_why_and_the_rest_go_on(model: Any, options: Any, words: str):
    done = {c.key: c for c in LocalSampler(model, Letters()).sample([ask("bad", **options), ask("good")])}
    assert done["bad"].finish == "error"
    assert words in (done["bad"].error or "")
    assert done["good"].finish == "length"


def test_what_is_no_number_ends_its_own_sample_only(model: Any):
    with torch.no_grad():
        model.model.embed_tokens.weight[26] = torch.nan
    done = {c.key: c for c in LocalSampler(model, Letters()).sample([ask("nan", "az"), ask("fine", "ab", top_k=1)])}
    assert done["nan"].finish == "error"
    assert "not finite" in (done["nan"].error or "")
    assert done["fine"].finish in ("length", "error")


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        (MambaForCausalLM, MambaConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1), "recurrent"),
        (
            T5ForConditionalGeneration,
            T5Config(vocab_size=9, d_model=8, d_ff=8, num_layers=1, num_heads=2, d_kv=4),
            "encoder",
        ),
    ],
)
def test_models_without_a_plain_key_value_store_are_refused(kind: Any, config: Any, words: str):
    with pytest.raises(SamplerError, match=words) as raised:
        LocalSampler(kind(config).eval(), Letters())
    assert "Llama" in str(raised.value)
    assert "endpoint" in str(raised.value)


def test_a_model_that_ignores_its_store_is_refused(model: Any, monkeypatch: pytest.MonkeyPatch):
    plain = model.forward

    def forward(input_ids: Any, past_key_values: Any = None, **options: Any) -> Any:
        return plain(input_ids=input_ids, use_cache=False)

    monkeypatch.setattr(model, "forward", forward)
    with pytest.raises(SamplerError, match="off by"):
        LocalSampler(model, Letters())


def test_the_model_is_left_as_it_was(model: Any):
    model.train()
    before = model.config._attn_implementation
    ours = LocalSampler(model, Letters())
    state = torch.get_rng_state()
    for _ in ours.sample([ask(n=3)]):
        assert model.training
        assert model.config._attn_implementation == before
        model(input_ids=torch.tensor([[1, 2]]), labels=torch.tensor([[1, 2]])).loss.backward()
    assert torch.equal(state, torch.get_rng_state())


def test_sampling_may_be_broken_off(model: Any):
    ours = LocalSampler(model, Letters(), slots=2)
    assert len(list(islice(ours.sample([ask(str(i)) for i in range(9)]), 3))) == 3
    assert len(list(ours.sample([ask(str(i)) for i in range(9)]))) == 9


def test_progress_counts_tokens(model: Any):
    listener = Listener()
    done = list(LocalSampler(model, Letters(), slots=2).sample([ask(str(i)) for i in range(5)], progress=listener))
    assert listener.started == [("sampling", "tokens")]
    assert listener.amount == sum(c.completion_tokens for c in done) == 25
    assert "4/5 samples" in listener.notes[-1]
    assert "tokens/s" in listener.notes[-1]


def test_completions_are_filled(model: Any):
    done = next(LocalSampler(model, Letters(), name="m").sample([ask(logprobs=True)]))
    assert (done.model, done.prompt_tokens, done.completion_tokens, done.prompt_ids) == ("m", 3, 5, (1, 2, 3))
    assert done.seconds > 0
    assert len(done.logps or ()) == len(done.token_ids or ()) == len(done.text) == 5
    assert next(LocalSampler(model, Letters()).sample([ask()])).logps is None


def test_what_cannot_be_scored_is_refused(model: Any):
    ours = LocalSampler(model, Letters())
    assert len(ours.score("ab", "cde")) == 3
    with pytest.raises(SamplerError, match="15 \\+ 8 tokens"):
        ours.score("a" * 15, "b" * 8)
    with pytest.raises(SamplerError, match="empty prompt"):
        ours.score("", "b")
    with pytest.raises(SamplerError, match=r"0\.\.26"):
        ours.score([1], [40])


def test_slots_must_be_some(model: Any):
    with pytest.raises(SamplerError, match="slots=0"):
        LocalSampler(model, Letters(), slots=0)
