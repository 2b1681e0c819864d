"""Which models can think: every family on the list is built and checked, each kind that cannot is refused."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.llama.modeling_llama import LlamaMLP

from menon import ConfigError
from menon.models.thoughts.layout import ThoughtShape, given_places
from menon.models.thoughts.mixing import MixingHead
from menon.models.thoughts.passes import text_pass, think
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.settings import ThoughtSettings
from menon.models.thoughts.support import (
    SUPPORTED,
    check_positions,
    check_supported,
    check_together,
    set_dropout_off,
)
from menon.models.thoughts.tokens import ThoughtTokens

SHAPE = {
    "vocab_size": 29,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
EXPERTS = {"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
OPTIONS: dict[str, dict[str, Any]] = {
    "opt": {"ffn_dim": 16, "word_embed_proj_dim": 16},
    "qwen2": {"use_sliding_window": True, "max_window_layers": 1},
    "qwen2_moe": {**EXPERTS, "shared_expert_intermediate_size": 16},
    **{name: {"head_dim": 4} for name in ("qwen3", "gemma", "gemma2", "gemma3_text", "glm", "glm4", "seed_oss")},
    **{name: {"head_dim": 4} for name in ("ernie4_5", "ministral3")},
    **dict.fromkeys(("mixtral", "phimoe", "olmoe", "granitemoe"), EXPERTS),
    **{name: {**EXPERTS, "head_dim": 4} for name in ("qwen3_moe", "gpt_oss")},
    "gpt2": {"resid_pdrop": 0.1},
    "qwen3_next": {**EXPERTS, "head_dim": 4, "num_local_experts": 4, "shared_expert_intermediate_size": 16},
    "recurrent_gemma": {"lru_width": 16, "attention_window_size": 4},
}


def build(family: str = "llama", **options: Any) -> Any:
    """Build a tiny model with a sliding window of 5 wherever the family has one."""
    config = AutoConfig.for_model(family, **{**SHAPE, **OPTIONS.get(family, {}), **options})
    if getattr(config, "sliding_window", None):
        config.sliding_window = 5
    model = AutoModelForCausalLM.from_config(config).eval()
    return stir(model)


def stir(model: Any) -> Any:
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
    return model


@pytest.mark.parametrize("family", SUPPORTED)
def test_every_family_on_the_list(family: str):
    model = build(family)
    assert model.config.model_type == family
    before = model.config._attn_implementation
    check_supported(model)
    assert model.config._attn_implementation == before
    torch.testing.assert_close(*thought_and_its_literal_run(model), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def thought_and_its_literal_run(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return hidden states of two packed thoughts, and of the plain model that reads text, thought, text in a row."""
    shape, place, text = ThoughtShape(tokens=3, talk=2), 7, torch.arange(2, 14)[None]
    embedding = model.get_input_embeddings()
    vectors = ThoughtTokens((embedding.weight[3] + embedding.weight[4]) / 2, -embedding.weight[5])
    width = model.get_output_embeddings().weight.shape[1]
    quiet = QuietModel(model, vectors, MixingHead(width), ThoughtSettings(tokens=3, talk=2))
    thoughts = torch.tensor([[4, 9, 27], [8, 8, 16]])
    places = given_places([[place]], torch.tensor([12]), shape)
    found = think(quiet, text_pass(quiet, text), text, places, thoughts[None, None], shape).hidden_BMPTD[0, 0]
    literal = []
    for thought in thoughts:
        parts = [embedding(text[0, : place + 1]), vectors.start[None], embedding(thought), vectors.end[None]]
        row = torch.cat([*parts, embedding(text[0, place + 1 : place + 2])])
        positions = torch.arange(len(row))[None]
        out = model.get_decoder()(inputs_embeds=row[None], position_ids=positions, use_cache=False)
        literal.append(out.last_hidden_state[0, place + 1 :])
    return found, torch.stack(literal)


REFUSED = {
    "bloom": "attention is written out",
    "gptj": "attention is written out",
    "codegen": "attention is written out",
    "falcon": "attention is written out",
    "mpt": "attention is written out",
    "biogpt": "does not declare",
    "stablelm": "does not declare",
    "mamba": "layers of the kind linear_attention",
    "qwen3_next": "layers of the kind linear_attention",
    "recurrent_gemma": "layers of the kind linear_attention",
    "llama4_text": "layers of the kind chunked_attention",
    "lfm2": "layers of the kind conv",
    "bert": "looks forward",
    "doge": "attention mask of its own",
    "diffllama": "each of which must do so once",
}


@pytest.mark.parametrize("family", REFUSED)
def test_families_that_cannot(family: str):
    options = {"layer_types": ["conv", "full_attention"]} if family == "lfm2" else {}
    model = build(family, **options)
    with pytest.raises(ConfigError, match=f".{family}. cannot think: .*{REFUSED[family]}.*Supported: llama, gpt2, .*"):
        check_supported(model)


def test_an_encoder_with_a_decoder():
    model = build()
    model.config.is_encoder_decoder = True
    with pytest.raises(ConfigError, match="an encoder with a decoder"):
        check_supported(model)


def test_a_hidden_convolution_is_found():
    class Shifting(LlamaMLP):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + 0.1 * nn.functional.pad(x, (0, 0, 1, 0))[:, :-1]

    model = build()
    model.model.layers[1].mlp = Shifting(model.config)
    with pytest.raises(ConfigError, match="something beside attention mixes its positions"):
        check_supported(stir(model))


def test_a_window_that_stays_in_the_mask_is_found():
    model = build()
    model.config.layer_types = ["full_attention", "sliding_attention"]  # Llama hands no window down
    with pytest.raises(ConfigError, match="the sliding window of layer 1 does not reach"):
        check_supported(model)


def test_an_attention_bias_that_we_do_not_know_is_found():
    model = build()

    def bias(_: nn.Module, __: Any, given: dict[str, Any], out: Any) -> None:
        if "thought_state" not in given:
            out.last_hidden_state = out.last_hidden_state.flip(-1)

    model.model.register_forward_hook(bias, with_kwargs=True)
    with pytest.raises(ConfigError, match="hidden states differ under our attention"):
        check_supported(model)


def test_a_failure_gives_the_attention_back():
    model = build()
    before = model.config._attn_implementation
    model.model.layers[0].mlp.forward = lambda _: 1 / 0  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ZeroDivisionError):
        check_supported(model)
    assert model.config._attn_implementation == before


def test_half_precision_passes():
    check_supported(build("qwen3_moe").to(torch.bfloat16))
    check_supported(build("gemma2").to(torch.bfloat16))


def test_a_learned_prompt_is_refused():
    model = build()
    wrapped = SimpleNamespace(
        get_base_model=lambda: model, peft_config={"default": SimpleNamespace(is_prompt_learning=True)}
    )
    with pytest.raises(ConfigError, match="learned prompt.*use LoRA"):
        check_supported(wrapped)


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt", "phi", "gpt_neox", "mixtral"])
def test_dropout_off_makes_training_deterministic(family: str):
    noise = {
        "gpt2": {"attn_pdrop": 0.3, "embd_pdrop": 0.3},
        "opt": {"dropout": 0.3, "attention_dropout": 0.3, "layerdrop": 0.5},
        "phi": {"resid_pdrop": 0.3, "embd_pdrop": 0.3},
        "gpt_neox": {"hidden_dropout": 0.3, "attention_dropout": 0.3},
        "mixtral": {"router_jitter_noise": 0.3, "attention_dropout": 0.3},
    }.get(family, {"attention_dropout": 0.3})
    model = build(family, **noise).train()
    tokens = torch.arange(2, 14)[None]

    def twice() -> bool:
        torch.manual_seed(0)
        one = model(input_ids=tokens).logits
        torch.manual_seed(1)
        return torch.equal(one, model(input_ids=tokens).logits)

    assert not twice()
    changed = set_dropout_off(model)
    assert {f"config.{name}" for name in noise} <= set(changed)
    assert twice()
    assert set_dropout_off(model) == []
    expected = copy.deepcopy(model).eval()(input_ids=tokens).logits
    torch.testing.assert_close(model(input_ids=tokens).logits, expected)


def test_positions():
    shape = ThoughtShape(tokens=12, talk=4)  # 17 rows
    for family in ("gpt2", "opt", "llama"):
        model = build(family)
        check_positions(model, 47, shape)
        with pytest.raises(ConfigError, match=r"48 tokens and a thought of 17 rows.* 65 positions, .* has 64; .* 47 "):
            check_positions(model, 48, shape)
    with pytest.raises(ConfigError, match="make the thoughts shorter"):
        check_positions(build("gpt2"), 10, ThoughtShape(tokens=58, talk=4))


def test_the_last_position_that_fits_really_exists():
    model, shape = build("gpt2"), ThoughtShape(tokens=12, talk=4)
    last = 64 - shape.rows - 1  # the last token of the longest text, and a thought after it
    model(input_ids=torch.tensor([[3]]), position_ids=torch.tensor([[last + shape.rows]]))
    with pytest.raises(IndexError):
        model(input_ids=torch.tensor([[3]]), position_ids=torch.tensor([[last + 1 + shape.rows]]))


def test_parts_on_another_dtype_or_device():
    model = build()
    check_together(model, MixingHead(16))
    with pytest.raises(ConfigError, match=r"MixingHead\.first\.weight is torch\.bfloat16 on cpu.*\.to\("):
        check_together(model, MixingHead(16).to(torch.bfloat16))
    with pytest.raises(ConfigError, match=r"is torch\.float32 on meta, but .* torch\.float32 on cpu"):
        check_together(model, MixingHead(16).to("meta"))
