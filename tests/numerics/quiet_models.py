"""Tiny causal models of many families, built from configurations, for the tests of thinking.

Their weights are far larger than a fresh model's, so that attention is sharp and a wrong mask cannot hide.
"""

from collections.abc import Callable

import torch
from quiet_oracle import Oracle, Thinking
from torch import Tensor, nn
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GptOssConfig,
    GptOssForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Starcoder2Config,
    Starcoder2ForCausalLM,
)

from menon.core.seeds import seed_for
from menon.models.thoughts.layout import Places, ThoughtShape, given_places
from menon.models.thoughts.mixing import MixingHead
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.settings import ThoughtSettings
from menon.models.thoughts.tokens import ThoughtTokens

VOCABULARY = 29
PAD, EOS = 0, 1
WINDOW = 5

TOKENS = {"vocab_size": VOCABULARY, "pad_token_id": PAD, "bos_token_id": None, "eos_token_id": EOS}
DROPOUT = {"attention_dropout": 0.0}
SHAPE = {
    **TOKENS,
    **DROPOUT,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
GEMMA = {**SHAPE, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": WINDOW}
HALF_ROTARY = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}
LOCAL_THEN_FULL = ["sliding_attention", "full_attention"]


def _gpt2(**options: bool | int) -> GPT2LMHeadModel:
    config = GPT2Config(
        **TOKENS, n_embd=32, n_layer=3, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        **{"n_positions": 64, **options},
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def _gpt_neox() -> GPTNeoXForCausalLM:
    shape = {name: value for name, value in SHAPE.items() if name != "num_key_value_heads"}
    return GPTNeoXForCausalLM(GPTNeoXConfig(**shape, hidden_dropout=0.0, rope_parameters=HALF_ROTARY))


def _opt() -> OPTForCausalLM:
    config = OPTConfig(
        **TOKENS, hidden_size=32, word_embed_proj_dim=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, dropout=0.0, attention_dropout=0.0, layerdrop=0.0,
    )  # fmt: skip
    return OPTForCausalLM(config)


def _phi() -> PhiForCausalLM:
    return PhiForCausalLM(PhiConfig(**SHAPE, resid_pdrop=0.0, embd_pdrop=0.0))


def _starcoder2() -> Starcoder2ForCausalLM:
    config = Starcoder2Config(**SHAPE, sliding_window=WINDOW, residual_dropout=0.0, embedding_dropout=0.0)
    return Starcoder2ForCausalLM(config)


def _gpt_oss() -> GptOssForCausalLM:
    config = GptOssConfig(
        **SHAPE, head_dim=8, sliding_window=WINDOW, layer_types=LOCAL_THEN_FULL, num_local_experts=4,
        num_experts_per_tok=2, rope_parameters={"rope_type": "default", "rope_theta": 1e4},
    )  # fmt: skip
    return GptOssForCausalLM(config)


def _granite() -> GraniteForCausalLM:
    config = GraniteConfig(
        **SHAPE, embedding_multiplier=3.0, logits_scaling=2.0, residual_multiplier=0.7, attention_multiplier=0.3
    )
    return GraniteForCausalLM(config)


BUILDERS: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "gpt2": _gpt2,
    "gpt2_inverse_layer": lambda: _gpt2(scale_attn_by_inverse_layer_idx=True),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=WINDOW)),
    "qwen2": lambda: Qwen2ForCausalLM(
        Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1)
    ),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=8)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**GEMMA, attn_logit_softcapping=2.0, final_logit_softcapping=3.0)),
    "gpt_neox": _gpt_neox,
    "phi": _phi,
    "opt": _opt,
    "gpt_oss": _gpt_oss,
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**GEMMA, layer_types=LOCAL_THEN_FULL)),
    "granite": _granite,
    "cohere": lambda: CohereForCausalLM(CohereConfig(**SHAPE, use_qk_norm=True)),
    "olmo2": lambda: Olmo2ForCausalLM(Olmo2Config(**SHAPE)),
    "starcoder2": _starcoder2,
    "mixtral": lambda: MixtralForCausalLM(
        MixtralConfig(**SHAPE, sliding_window=None, num_local_experts=4, num_experts_per_tok=2)
    ),
}
"""Every family by name; the first eight are those that the project promises, the rest ride along."""


def model_of(family: str) -> PreTrainedModel:
    """Build the family's tiny model, float32, in evaluation mode, the same weights at every call."""
    return stirred(BUILDERS[family](), family)


def short_gpt2(positions: int) -> PreTrainedModel:
    """Build a GPT-2 that has learned `positions` positions only."""
    return stirred(_gpt2(n_positions=positions), "gpt2", positions)


@torch.no_grad()
def stirred(model: PreTrainedModel, *names: str | int) -> PreTrainedModel:
    """Give every parameter a value of its own: matrices of unit gain, vectors shifted by a tenth."""
    generator = torch.Generator().manual_seed(seed_for("quiet tests", *names))
    embedding = model.get_input_embeddings().weight
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter is embedding:
            parameter.copy_(0.5 * noise)
        elif parameter.ndim >= 2:
            parameter.copy_(noise / parameter.shape[-1] ** 0.5)
        else:
            parameter.add_(0.1 * noise)
    for name, module in model.named_modules():
        if name.endswith(("q_proj", "c_attn", "query_key_value")) and isinstance(weight := module.weight, nn.Parameter):
            weight.mul_(2.0)  # sharper attention: a key too many or too few moves the output visibly
    return model.eval().float()


def quiet_of(family: str, model: PreTrainedModel | None = None) -> QuietModel:
    """Wrap the family's model (or `model`), with start, end and pause vectors of their own and PAD and EOS banned."""
    model = model_of(family) if model is None else model
    embedding = model.get_input_embeddings()
    with torch.no_grad():
        start_D, end_D, pause_D = embedding(torch.tensor([3, 4, 5]))
    tokens = ThoughtTokens(1.1 * start_D, 0.9 * end_D, 1.2 * pause_D)
    head = MixingHead(len(start_D))
    return QuietModel(model, tokens, head, ThoughtSettings(tokens=3, talk=2), (PAD, EOS)).eval()


def oracle_of(quiet: QuietModel) -> Oracle:
    tokens = quiet.thought_tokens
    return Oracle(quiet.model, tokens.start, tokens.end, tokens.pause)


def given(case: Thinking) -> tuple[Places, Tensor, ThoughtShape]:
    """Turn a case into what the passes take; places that count for nothing think token 2."""
    shape = ThoughtShape(tokens=case.rows - case.talk - 1, talk=case.talk)
    places = given_places(case.positions, torch.tensor(case.lengths), shape)
    size = (len(case.lengths), places.positions_BM.shape[1], case.thoughts_per_position, shape.tokens)
    thoughts_BMPK = torch.full(size, 2)
    for b, m, p in case.each():
        thoughts_BMPK[b, m, p] = torch.tensor(case.thoughts[b][m][p])
    return places, thoughts_BMPK, shape
