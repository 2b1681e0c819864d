"""Inputs and output gradients of layers: against autograd, and how labels are drawn."""

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from menon.core.errors import ConfigError, DataError
from menon.tracing.factors import covariance
from menon.tracing.gradients import Tap, batches, collate, draw_labels, uniforms
from menon.tracing.layers import named_gradients, traced_layers
from menon.tracing.values import TokenSequence


def _models() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    llama = AutoModelForCausalLM.from_config(
        LlamaConfig(
            vocab_size=30, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=32, attention_bias=True,
        )
    )  # fmt: skip
    gpt2 = AutoModelForCausalLM.from_config(
        GPT2Config(vocab_size=30, n_positions=32, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1)
    )
    return {"llama": llama, "gpt2": gpt2}


MODELS = _models()
SEQUENCES = [
    TokenSequence(document=0, ids=(3, 5, 7, 9, 11, 2)),
    TokenSequence(document=1, ids=(4, 4, 8)),
    TokenSequence(document=2, ids=(1, 2, 3, 4, 5, 6, 7, 8), prompt=4, prompt_weight=0.25),
]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_sums_of_outer_products_are_the_gradients_of_autograd(name: str):
    model = MODELS[name].eval()
    layers = traced_layers(model, select="all")
    found: dict[int, torch.Tensor] = {}
    with Tap(model, layers) as tap:
        batch = collate(SEQUENCES)
        losses = tap.run(batch, lambda at, a, s: found.__setitem__(at, torch.einsum("bto,bti->boi", s, a)))
    for place, sequence in enumerate(SEQUENCES):
        model.zero_grad()
        ids = torch.tensor([sequence.ids])
        weights = collate([sequence]).weights_BT[0, 1:]
        logps = torch.log_softmax(model(ids).logits[0, :-1], -1)
        loss = -(logps.gather(1, ids[0, 1:, None])[:, 0] * weights).sum()
        loss.backward()
        assert losses[place] == pytest.approx(float(loss.detach()), rel=1e-5)
        for position, (layer, parameters) in enumerate(named_gradients(layers)):
            weight = parameters[0].grad
            assert weight is not None
            expected = weight.T if layer.kind == "conv1d" else weight
            if layer.bias:
                bias = parameters[1].grad
                assert bias is not None
                expected = torch.cat([expected, bias[:, None]], dim=1)
            assert torch.allclose(found[position][place], expected, atol=1e-5)


def test_leaving_restores_the_model():
    model = MODELS["llama"].train()
    layers = traced_layers(model)
    with Tap(model, layers) as tap:
        tap.run(collate(SEQUENCES), lambda *_: None)
        assert not any(p.requires_grad for p in model.parameters())
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_batches_hold_every_sequence_once_within_the_limit():
    many = [TokenSequence(document=i, ids=tuple(range(2 + i % 7))) for i in range(50)]
    found = list(batches([*many, TokenSequence(document=99, ids=(1,))], 20))
    assert sorted(s.document for batch in found for s in batch.sequences) == list(range(50))
    assert all(batch.tokens_BT.numel() <= 20 for batch in found)


def test_labels_depend_on_the_document_and_not_on_the_batch():
    alone, together = collate([SEQUENCES[1]]), collate(SEQUENCES)
    assert np.array_equal(uniforms(alone, 7)[0], uniforms(together, 7)[1, :2])
    assert not np.array_equal(uniforms(alone, 7), uniforms(alone, 8))


def test_labels_are_drawn_with_the_probabilities_of_the_model():
    many = [TokenSequence(document=i, ids=(0,) * 9) for i in range(500)]
    batch = collate(many)
    wanted = torch.tensor([0.5, 0.3, 0.15, 0.05])
    labels = draw_labels(wanted.log().expand(500, 8, 4), batch, 3)
    shares = torch.bincount(labels.flatten(), minlength=4) / labels.numel()
    assert torch.allclose(shares, wanted, atol=0.03)


def test_windows_of_a_document_draw_the_labels_of_the_whole():
    whole = collate([TokenSequence(document=5, ids=tuple(range(10)))])
    window = collate([TokenSequence(document=5, ids=tuple(range(4, 10)), start=4)])
    assert np.array_equal(uniforms(whole, 1)[0, 4:], uniforms(window, 1)[0])


def test_a_loss_that_is_not_finite_names_the_document():
    model = MODELS["llama"]
    layers = traced_layers(model)
    table = model.get_input_embeddings().weight  # type: ignore[operator]
    kept = table.detach().clone()
    try:
        with torch.no_grad():
            table[29] = torch.nan
        bad = TokenSequence(document=17, ids=(1, 29, 2))
        with Tap(model, layers) as tap, pytest.raises(DataError, match="document 17 has a loss that is not finite"):
            tap.run(collate([SEQUENCES[0], bad]), lambda *_: None)
    finally:
        with torch.no_grad():
            table.copy_(kept)


class _Chosen(nn.Module):
    """A layer that sees a part of the tokens, as an expert does."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.fc1 = nn.Linear(16, 16, bias=False)
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + nn.functional.pad(self.fc1(x[:, :1]), (0, 0, 0, x.shape[1] - 1))


def test_a_layer_that_does_not_see_every_token_is_named():
    model = _models()["llama"]
    block = model.model.layers[0]  # type: ignore[union-attr, index]
    block.mlp = _Chosen(block.mlp)  # type: ignore[union-attr, operator]
    layers = traced_layers(model, select="*.fc1")
    with Tap(model, layers) as tap, pytest.raises(ConfigError, match=r"mlp\.fc1' does not see every token"):
        tap.run(collate(SEQUENCES), lambda *_: None)


def test_a_layer_that_is_used_twice_counts_both_uses():
    model = _models()["llama"]
    shared = model.model.layers[0].mlp  # type: ignore[union-attr, index]
    model.model.layers[1].mlp = shared  # type: ignore[union-attr, index]
    layers = traced_layers(model, select="*.down_proj")
    assert len(layers.items) == 1
    found: list[torch.Tensor] = []
    with Tap(model, layers) as tap:
        tap.run(collate(SEQUENCES[:1]), lambda _, a, s: found.append(torch.einsum("bto,bti->boi", s, a)[0]))
    model.zero_grad()
    ids = torch.tensor([SEQUENCES[0].ids])
    logps = torch.log_softmax(model(ids).logits[0, :-1], -1)
    (-logps.gather(1, ids[0, 1:, None]).sum()).backward()
    assert torch.allclose(found[0], shared.down_proj.weight.grad, atol=1e-5)  # type: ignore[union-attr, arg-type]
    sums = covariance(model, layers, SEQUENCES, tokens_per_batch=64, seed=0)
    assert sums.inputs[0].shape == (24, 24)


def test_the_curvature_of_a_weighted_loss_has_the_weight_and_not_its_square():
    model = MODELS["llama"]
    layers = traced_layers(model, select="*.1.*down_proj")

    def mean_square(weight: float) -> float:
        # Many documents of the same tokens: the labels differ, so this is an expectation.
        same = [TokenSequence(document=i, ids=(3, 5, 7), prompt=3, prompt_weight=weight) for i in range(400)]
        found: list[float] = []
        with Tap(model, layers) as tap:
            tap.run(
                collate(same),
                lambda _, a, s: found.append(float(torch.einsum("bto,bti->boi", s, a).square().sum())),
                sampled=1,
            )
        return found[0]

    assert mean_square(0.25) == pytest.approx(0.25 * mean_square(1.0), rel=1e-4)
