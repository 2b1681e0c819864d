"""Log-probabilities from hidden states: against each family's own forward pass, and against plain torch."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, LlamaForCausalLM

from menon import ConfigError
from menon.models.thoughts.mixing import mix_log_probs
from menon.models.thoughts.readout import Readout

VOCABULARY = 37
SHAPE = {
    "vocab_size": VOCABULARY,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 32,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "gpt2": {},
    "mistral": {},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "final_logit_softcapping": 3.0},
    "gpt_neox": {},
    "granite": {"logits_scaling": 5.0},
    "cohere": {"logit_scale": 0.3},
    "opt": {"ffn_dim": 16, "word_embed_proj_dim": 8},
    "phi": {},
}


def build(family: str = "llama", **options: Any) -> Any:
    """Build a tiny model whose logits are of the size of a trained model's."""
    config = AutoConfig.for_model(family, **{**SHAPE, **FAMILIES[family], **options})
    model = AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def rows(count: int = 11, width: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    hidden = torch.randn(count, width, generator=generator).requires_grad_()
    return hidden, torch.randint(VOCABULARY, (count,), generator=generator)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_models_own_forward(family: str):
    model = build(family)
    tokens = torch.arange(1, 13).reshape(2, 6)
    with torch.no_grad():
        hidden = model.get_decoder()(input_ids=tokens, use_cache=False).last_hidden_state
        own = model(input_ids=tokens).logits
    readout = Readout(model)
    torch.testing.assert_close(readout.logits(hidden), own)
    assert own.std() > 0.5
    targets = torch.arange(12).reshape(2, 6)
    expected = own.float().log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    torch.testing.assert_close(readout.log_probs_of(hidden, targets, chunk=5).detach(), expected)


@pytest.mark.parametrize(("family", "option"), [("gemma2", "final_logit_softcapping"), ("granite", "logits_scaling")])
def test_what_is_done_to_the_logits_matters(family: str, option: str):
    # The test above could not fail if a family's cap or scale changed nothing.
    hidden = torch.ones(1, 16)
    with_it, without = Readout(build(family)), Readout(build(family, **{option: 1e9 if "cap" in option else 1.0}))
    assert not torch.allclose(with_it.logits(hidden), without.logits(hidden), rtol=0.1)


@pytest.mark.parametrize("stage", ["before", "after"])
def test_an_unknown_way_to_logits_is_refused(stage: str):
    class Odd(LlamaForCausalLM):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            out: Any = super().forward(*args, **kwargs)
            if stage == "before":
                out.logits = self.lm_head(self.model(*args, **kwargs).last_hidden_state / 2)
            else:
                out.logits = 30 * torch.tanh(out.logits / 30)  # logits of an untrained model hardly change by this
            return out

    model = Odd(build().config).eval()
    with pytest.raises(ConfigError, match=f"Odd .llama. changes the .* {stage} its head"):
        Readout(model)


def test_a_model_without_head():
    model = build()
    model.get_output_embeddings = lambda: None
    with pytest.raises(ConfigError, match="has no language-model head"):
        Readout(model)


def test_the_check_leaves_the_model_as_it_was():
    model = build("gpt2")
    model.train()
    model.transformer.h[0].eval()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    Readout(model)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.get_output_embeddings()._forward_hooks


@pytest.mark.parametrize("chunk", [1, 4, 11, 100, None])
def test_chunks_give_the_plain_values_and_gradients(chunk: int | None):
    model = build("gemma2")
    readout, head = Readout(model), model.get_output_embeddings()
    hidden, targets = rows()
    banned = [0, 1, int(targets[3]) + 1]
    weights = torch.linspace(-1, 1, 11)
    keep = torch.ones(VOCABULARY, dtype=torch.bool)
    keep[banned] = False
    weights[~keep[targets]] = 0
    targets = torch.where(keep[targets], targets, 5)

    logits = 3 * torch.tanh(hidden @ head.weight.T / 3) / 0.7
    plain = torch.where(keep, logits, -torch.inf).log_softmax(-1)[torch.arange(11), targets]
    expected = torch.autograd.grad((plain * weights).sum(), [hidden, head.weight])
    ours = readout.log_probs_of(hidden, targets, temperature=0.7, banned=banned, chunk=chunk)
    found = torch.autograd.grad((ours * weights).sum(), [hidden, head.weight])
    torch.testing.assert_close(ours, plain, rtol=1e-6, atol=1e-6)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() < 1e-6 * other.norm()


def test_banned_tokens_take_no_probability():
    model = build()
    readout = Readout(model)
    hidden, _ = rows()
    banned = [0, 7, 36]
    every = torch.arange(VOCABULARY)
    logp = readout.log_probs_of(hidden[:1].expand(VOCABULARY, 16), every, banned=torch.tensor(banned)).detach()
    assert torch.equal(logp.isinf().nonzero()[:, 0], torch.tensor(banned))
    torch.testing.assert_close(logp.exp().sum(), torch.tensor(1.0))
    free = readout.log_probs_of(hidden[:1].expand(VOCABULARY, 16), every).detach()
    keep = [index for index in range(VOCABULARY) if index not in banned]
    torch.testing.assert_close(logp[keep], free[keep] - free[keep].exp().sum().log())


def test_a_temperature_divides_the_logits():
    readout = Readout(build())
    hidden, targets = rows()
    expected = (readout.logits(hidden) / 3).log_softmax(-1)[torch.arange(11), targets]
    torch.testing.assert_close(readout.log_probs_of(hidden, targets, temperature=3.0), expected)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="one above 0"):
            readout.log_probs_of(hidden, targets, temperature=wrong)


def test_half_precision_is_normalised_in_float32():
    model = build().to(torch.bfloat16)
    hidden, targets = rows()
    hidden = hidden.detach().to(torch.bfloat16)
    found = Readout(model).log_probs_of(hidden, targets).detach()
    assert found.dtype == torch.float32
    expected = (hidden @ model.get_output_embeddings().weight.T).float().log_softmax(-1)[torch.arange(11), targets]
    torch.testing.assert_close(found, expected.detach())


def test_saved_memory_is_bounded_by_the_chunk():
    readout = Readout(build())
    hidden, targets = rows(400)

    def saved(chunk: int) -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.numel()), t)[1], lambda t: t):
            readout.log_probs_of(hidden, targets, chunk=chunk)
        return max(sizes, default=0)

    assert saved(400) <= 400 * 16  # hidden states may stay, logits (400 * 37) may not
    made: list[int] = []
    hook = readout.head.register_forward_hook(lambda _, __, out: made.append(len(out)))
    readout.log_probs_of(hidden, targets, chunk=50).sum().backward()
    hook.remove()
    assert made == [50] * 16  # eight chunks, each again for the backward pass


def test_the_mixture_of_log_probs_in_chunks():
    readout = Readout(build("gemma2"))
    base, targets = rows()
    thought = base.detach().flip(0).requires_grad_()
    weight = torch.linspace(0.1, 0.9, 11).requires_grad_()
    plain = mix_log_probs(readout.logits(base), readout.logits(thought), weight)[torch.arange(11), targets]
    ours = readout.mixed_log_probs_of(base, thought, weight, targets, chunk=3)
    torch.testing.assert_close(ours, plain)
    expected = torch.autograd.grad(plain.sum(), [base, thought, weight])
    found = torch.autograd.grad(ours.sum(), [base, thought, weight])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_entropy_and_the_likeliest_token():
    readout = Readout(build())
    hidden, _ = rows(6)
    shaped = hidden.reshape(2, 3, 16)
    probabilities = readout.logits(shaped).softmax(-1)
    entropy = readout.entropy_of(shaped, chunk=2)
    assert not entropy.requires_grad
    torch.testing.assert_close(entropy, torch.distributions.Categorical(probs=probabilities).entropy().detach())
    assert readout.entropy_of(hidden, banned=range(1, VOCABULARY)).abs().max() == 0
    top = readout.top(shaped, chunk=4)
    assert torch.equal(top, probabilities.argmax(-1))
    assert (readout.top(shaped, banned=top.flatten()) != top).all()


def test_shapes_have_to_match():
    readout = Readout(build())
    hidden, targets = rows()
    with pytest.raises(ValueError, match="do not match"):
        readout.log_probs_of(hidden, targets[:-1])
    with pytest.raises(ConfigError, match="chunk is 0"):
        readout.log_probs_of(hidden, targets, chunk=0)
    assert readout.log_probs_of(hidden[:0], targets[:0]).shape == (0,)
