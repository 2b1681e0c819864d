"""Models of any family think and stay what they were; what cannot think says so, and so does what would be ignored."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from quiet_models import BUILDERS, TOKENS, given, model_of, oracle_of, quiet_of, short_gpt2
from quiet_oracle import Thinking, some_thinking
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    FalconConfig,
    GPTJConfig,
    GPTNeoConfig,
    MambaConfig,
    MptConfig,
    PreTrainedModel,
    Qwen3NextConfig,
    T5Config,
    T5ForConditionalGeneration,
)

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.models.thoughts.attention import ThoughtState, attend, thought_attention
from menon.models.thoughts.layout import ThoughtShape, every_place, given_places
from menon.models.thoughts.passes import sample_thoughts, text_pass, think
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.support import check_positions, check_supported


def _causal(config: Any) -> Callable[[], PreTrainedModel]:
    return lambda: AutoModelForCausalLM.from_config(config)


UNSUPPORTED: dict[str, Callable[[], PreTrainedModel]] = {
    "bloom": _causal(BloomConfig(**TOKENS, hidden_size=16, n_layer=1, n_head=2)),
    "falcon": _causal(FalconConfig(**TOKENS, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)),
    "mpt": _causal(MptConfig(**TOKENS, d_model=16, n_heads=2, n_layers=1)),
    "gptj": _causal(GPTJConfig(**TOKENS, n_embd=16, n_layer=1, n_head=2, rotary_dim=4)),
    "gpt_neo": _causal(
        GPTNeoConfig(**TOKENS, hidden_size=16, num_layers=1, num_heads=2, attention_types=[[["global"], 1]])
    ),
    "mamba": _causal(MambaConfig(**TOKENS, hidden_size=16, num_hidden_layers=1, state_size=4)),
    "qwen3_next": _causal(
        Qwen3NextConfig(
            **TOKENS, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, head_dim=16,
            num_key_value_heads=2, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=16,
            shared_expert_intermediate_size=16, linear_num_key_heads=2, linear_num_value_heads=2,
            linear_key_head_dim=8, linear_value_head_dim=8, layer_types=["linear_attention", "full_attention"],
        )
    ),
    "t5": lambda: T5ForConditionalGeneration(
        T5Config(vocab_size=29, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    ),
}  # fmt: skip


def uniforms(name: str, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed_for("architectures", name)))


@torch.no_grad()
def run(quiet: QuietModel, case: Thinking) -> tuple[Tensor, Tensor]:
    """Sample thoughts where the case thinks and return them with their hidden states."""
    places, _, shape = given(case)
    text = text_pass(quiet, case.tokens_BL)
    numbers = torch.stack(
        [uniforms(str(position), 2, shape.tokens) for position in range(places.positions_BM.shape[1])]
    )
    numbers = numbers.expand(len(case.lengths), -1, -1, -1)
    thoughts_BMPK = sample_thoughts(quiet, text, places, shape, numbers)
    return thoughts_BMPK, think(quiet, text, case.tokens_BL, places, thoughts_BMPK, shape).hidden_BMPTD


@pytest.mark.parametrize("family", BUILDERS)
def test_every_family_is_found_to_support_thinking(family: str) -> None:
    check_supported(model_of(family))


@pytest.mark.parametrize("family", UNSUPPORTED)
def test_a_model_that_cannot_think_is_refused_with_what_can(family: str) -> None:
    model = UNSUPPORTED[family]().eval()
    before = model.config._attn_implementation
    with pytest.raises(ConfigError, match=r"cannot think.*[Ss]upported.*llama"):
        check_supported(model)
    assert model.config._attn_implementation == before


@pytest.mark.parametrize("family", ["bloom", "falcon", "gptj"])
def test_the_attention_of_such_a_model_is_not_left_half_exchanged(family: str) -> None:
    model = UNSUPPORTED[family]().eval()
    before = model.config._attn_implementation
    with pytest.raises((ConfigError, ValueError)), thought_attention(model):
        pytest.fail("entered with attention that cannot be exchanged")
    assert model.config._attn_implementation == before


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "gemma2"])
def test_a_padded_row_thinks_what_it_thinks_alone(family: str) -> None:
    quiet = quiet_of(family)
    both = some_thinking(f"padding {family}", lengths=(12, 6))
    alone = Thinking(
        tokens_BL=both.tokens_BL[1:, :6],
        lengths=(6,),
        positions=both.positions[1:],
        thoughts=both.thoughts[1:],
        talk=both.talk,
    )
    count = len(alone.positions[0])
    together_BMPK, together = run(quiet, both)
    alone_BMPK, hidden = run(quiet, alone)
    assert torch.equal(together_BMPK[1:, :count], alone_BMPK)
    torch.testing.assert_close(together[1:, :count], hidden, rtol=0, atol=1e-5)
    noisy = both.tokens_BL.clone()
    noisy[1, 6:] = 7  # what stands in the padding does not matter
    again_BMPK, again = run(quiet, Thinking(tokens_BL=noisy, lengths=(12, 6), positions=both.positions,
                                            thoughts=both.thoughts, talk=both.talk))  # fmt: skip
    assert torch.equal(again_BMPK[1, :count], together_BMPK[1, :count])
    assert torch.equal(again[1, :count], together[1, :count])


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "qwen2", "gpt_neox", "opt"])
def test_afterwards_the_model_generates_what_it_generated_before(family: str, implementation: str) -> None:
    quiet = quiet_of(family)
    model = quiet.model
    model.set_attn_implementation(implementation)
    prompt = some_thinking("prompt", lengths=(8, 8)).tokens_BL

    def generated() -> Tensor:
        return model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False, use_cache=True
        )

    before = generated()
    run(quiet, some_thinking("between", lengths=(8, 7)))
    assert model.config._attn_implementation == implementation
    assert torch.equal(generated(), before)


def test_the_attention_comes_back_after_an_error_and_stays_through_nesting() -> None:
    model = model_of("llama")
    before = model.config._attn_implementation
    with pytest.raises(RuntimeError, match="inside"), thought_attention(model):
        with thought_attention(model):
            inner = model.config._attn_implementation
        assert model.config._attn_implementation == inner != before
        raise RuntimeError("inside")
    assert model.config._attn_implementation == before
    quiet = quiet_of("llama", model)
    case = some_thinking("error", lengths=(8,))
    places, thoughts_BMPK, shape = given(case)
    text = text_pass(quiet, case.tokens_BL)
    with pytest.raises((IndexError, RuntimeError)):
        think(quiet, text, case.tokens_BL, places, thoughts_BMPK + 1000, shape)
    layers: Any = model.get_decoder().layers
    layers[1].register_forward_pre_hook(_fail)
    with pytest.raises(RuntimeError, match="layer broke"):
        text_pass(quiet, case.tokens_BL)
    assert model.config._attn_implementation == before


def _fail(*_: Any) -> None:
    raise RuntimeError("layer broke")


def test_a_plain_call_while_the_model_is_set_to_think_is_refused() -> None:
    model = model_of("llama")
    tokens_BL = torch.tensor([[3, 4, 5]])
    with thought_attention(model), pytest.raises(ConfigError, match="thought_attention"):
        model(input_ids=tokens_BL)
    model(input_ids=tokens_BL)


def test_a_padding_mask_is_refused_and_not_dropped() -> None:
    """Without a mask function of the same name, transformers would drop it before the attention function sees it."""
    quiet = quiet_of("llama")
    embedded_BLD = quiet.embed(torch.tensor([[3, 4, 5]]))
    state, mask_BL = ThoughtState(mode="text"), torch.tensor([[0, 1, 1]])
    with thought_attention(quiet.plain), pytest.raises(ConfigError, match="mask"):
        quiet.decoder(inputs_embeds=embedded_BLD, attention_mask=mask_BL, thought_state=state, use_cache=False)


@pytest.mark.parametrize(
    ("given_too", "match"),
    [
        ({"attention_mask": torch.ones(1, 1, 3, 3, dtype=torch.bool)}, "mask"),
        ({"dropout": 0.1}, "dropout"),
        ({"position_bias": torch.zeros(1, 2, 3, 3)}, "position_bias"),
        ({"head_mask": torch.tensor([0.0, 1.0])}, "head_mask"),
        ({"output_attentions": True}, "output_attentions"),
        ({"is_causal": False}, "is_causal"),
    ],
)
def test_what_would_be_ignored_is_refused(given_too: dict[str, Any], match: str) -> None:
    heads = torch.randn(3, 1, 2, 3, 4)
    options = {"attention_mask": None, **given_too}
    layer = SimpleNamespace(layer_idx=0)
    with pytest.raises(ConfigError, match=match):
        attend(layer, *heads, thought_state=ThoughtState(mode="text"), **options)
    attend(layer, *heads, attention_mask=None, thought_state=ThoughtState(mode="text"), position_ids=torch.arange(3))


def test_learned_positions_end_where_the_table_ends() -> None:
    """GPT-2 with L + T at its limit thinks as it should; one position fewer is a clear error."""
    case = some_thinking("table", lengths=(9,), thought=3, talk=2)
    needed = 9 + case.rows
    model = short_gpt2(needed)
    quiet = quiet_of("gpt2", model)
    shape = ThoughtShape(tokens=3, talk=2)
    check_positions(model, 9, shape)
    places, thoughts_BMPK, _ = given(case)
    with torch.no_grad():
        hidden = think(quiet, text_pass(quiet, case.tokens_BL), case.tokens_BL, places, thoughts_BMPK, shape)
    torch.testing.assert_close(hidden.hidden_BMPTD, oracle_of(quiet).thoughts(case), rtol=0, atol=1e-5)
    with pytest.raises(ConfigError, match=rf"{needed} positions.*{needed - 1}.*at most 8"):
        check_positions(short_gpt2(needed - 1), 9, shape)


@pytest.mark.parametrize("positions", [[[7]], [[-1]], [[2, 8]]])
def test_a_place_without_text_behind_it_is_refused(positions: list[list[int]]) -> None:
    with pytest.raises(ConfigError, match="positions 0 to 6"):
        given_places(positions, torch.tensor([9]), ThoughtShape(tokens=3, talk=2))


def test_a_text_too_short_for_any_place_is_refused() -> None:
    with pytest.raises(ConfigError, match="thoughts.talk"):
        every_place(torch.tensor([2, 1]), ThoughtShape(tokens=3, talk=2))
    assert every_place(torch.tensor([2, 3]), ThoughtShape(tokens=3, talk=2)).valid_BM.tolist() == [[False], [True]]
