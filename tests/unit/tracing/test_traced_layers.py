"""Which layers are traced, what is left out, and what is refused."""

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MixtralConfig

from menon.core.errors import ConfigError
from menon.models.adapters import with_lora
from menon.tracing.layers import traced_layers


def _llama(**changes) -> nn.Module:
    settings = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32}
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(LlamaConfig(**{**settings, **heads, **changes}))


def _gpt2() -> nn.Module:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(
        GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1)
    )


def test_mlp_of_a_llama_without_attention_and_head():
    layers = traced_layers(_llama(), select="mlp")
    assert [name.rpartition(".")[2] for name in layers.names] == ["gate_proj", "up_proj", "down_proj"] * 2
    assert layers.parameters == 2 * 3 * 16 * 24
    why = {out.name.rpartition(".")[2]: out.why for out in layers.left_out}
    assert why["lm_head"] == "output head"
    assert why["embed_tokens"] == "embedding"
    assert why["q_proj"] == "not selected by 'mlp'"
    assert why["norm"] == "norm or other vector"


def test_everything_is_either_traced_or_told():
    model = _llama()
    layers = traced_layers(model, select="all")
    told = sum(out.parameters for out in layers.left_out)
    assert layers.parameters + told == sum(p.numel() for p in model.parameters())


def test_conv1d_has_its_weight_the_other_way_round_and_a_bias():
    layers = traced_layers(_gpt2(), select="mlp")
    first = layers.items[0]
    assert (first.kind, first.inputs, first.outputs, first.bias) == ("conv1d", 17, 64, True)


def test_a_tied_head_is_not_traced():
    assert not any("lm_head" in name for name in traced_layers(_gpt2(), select="all").names)


def test_names_with_stars():
    layers = traced_layers(_llama(), select="*.0.*down_proj, *.1.*q_proj")
    assert [name.rpartition(".")[2] for name in layers.names] == ["down_proj", "q_proj"]


def test_of_a_model_with_adapters_only_they_are_traced():
    model = with_lora(_llama(), rank=2, alpha=4, seed=0)
    layers = traced_layers(model, select="mlp")
    assert layers.items
    assert all(".lora_A." in name or ".lora_B." in name for name in layers.names)
    assert any(out.why == "not part of the adapter" for out in layers.left_out)


def test_nothing_selected_lists_what_there_is():
    with pytest.raises(ConfigError, match=r"selects no linear layer; allowed: mlp, all.*q_proj"):
        traced_layers(_llama(), select="nothing*")


def _mixtral() -> nn.Module:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(
        MixtralConfig(
            vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, num_local_experts=2, num_experts_per_tok=1, max_position_embeddings=32,
        )
    )  # fmt: skip


def test_fused_experts_are_named_and_refused_and_skipped_on_request():
    model = _mixtral()
    with pytest.raises(ConfigError, match=r"cannot trace.*experts.*parameters.*tracing\.skip"):
        traced_layers(model, select="mlp")
    layers = traced_layers(model, select="all", skip=("unsupported",))
    assert any("experts" in out.name and out.why == "cannot be traced; skipped on request" for out in layers.left_out)
    assert any("q_proj" in name for name in layers.names)


def test_skipping_by_name():
    layers = traced_layers(_llama(), select="mlp", skip=("*.gate_proj",))
    assert not any("gate_proj" in name for name in layers.names)
    assert sum(out.why == "skipped on request" for out in layers.left_out) == 2


def test_the_hash_tells_selections_apart():
    model = _llama()
    assert traced_layers(model, select="mlp").hash != traced_layers(model, select="all").hash
    assert traced_layers(model, select="mlp").hash == traced_layers(_llama(), select="mlp").hash
