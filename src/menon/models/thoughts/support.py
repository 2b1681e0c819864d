"""Which models can think, found out by trying: every reason against it is an error before the first step.

Thoughts are packed side by side and told apart by the attention function alone. So attention has to be exchangeable in
every layer, nothing else may carry information from one position to another (convolution, recurrence, token shift), and
masks must be of the kinds that the function knows. A list of names would be out of date with the next release; two
passes over a few tokens decide instead. Left out: encoders with decoders, prompts learned by PEFT, devices split by
layer.
"""

import inspect
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from menon.core.errors import ConfigError
from menon.models.thoughts.attention import ThoughtState, thought_attention
from menon.models.thoughts.layout import ThoughtShape

SUPPORTED = (
    "llama", "gpt2", "gpt_bigcode", "gpt_neox", "opt", "phi", "phi3", "phimoe", "mistral", "ministral3", "mixtral",
    "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3_text", "gpt_oss", "olmo", "olmo2", "olmo3",
    "olmoe", "granite", "granitemoe", "cohere", "cohere2", "starcoder2", "smollm3", "persimmon", "exaone4", "ernie4_5",
    "glm", "glm4", "seed_oss", "apertus", "arcee",
)  # fmt: skip
"""Model types whose smallest versions the tests build, check and compare; others may pass the same check."""

_LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})
_PROBE = "menon_probe"
_PROBE_TOKENS = 12


def inner_model(model: Any) -> Any:
    """Return the model of transformers itself, inside a PEFT model or not."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run in evaluation mode, then give every module its own mode back."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def check_supported(model: Any) -> None:
    """Raise `ConfigError`, with the reason and the families that can, when `model` cannot think.

    Looks at the class and the configuration, then runs the decoder on a few tokens: once with attention that looks at
    its own position alone, to find whatever else mixes positions, and once with our attention against the model's own.
    """
    plain = inner_model(model)
    if any(getattr(config, "is_prompt_learning", False) for config in getattr(model, "peft_config", {}).values()):
        raise _unsupported(plain, "its PEFT adapter is a learned prompt, which the decoder never sees; use LoRA")
    if reason := _reason_by_configuration(plain) or _reason_by_class(plain):
        raise _unsupported(plain, reason)
    try:
        with torch.no_grad(), evaluating(plain):
            reason = _reason_by_locality(plain) or _reason_by_comparison(plain)
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError, NotImplementedError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise _unsupported(plain, f"it cannot be called with our attention ({first})") from error
    if reason:
        raise _unsupported(plain, reason)


def _unsupported(plain: Any, reason: str) -> ConfigError:
    return ConfigError(
        f"{type(plain).__name__} ({plain.config.model_type}) cannot think: {reason}. Needed is a decoder that mixes "
        f"positions by exchangeable attention alone. Supported: {', '.join(SUPPORTED)}; others may pass the same check"
    )


def _reason_by_configuration(plain: Any) -> str | None:
    config = plain.config.get_text_config()
    if plain.config.is_encoder_decoder:
        return "it is an encoder with a decoder"
    if strange := sorted(set(getattr(config, "layer_types", None) or ()) - _LAYER_TYPES):
        return f"it has layers of the kind {', '.join(strange)} (known: {', '.join(sorted(_LAYER_TYPES))})"
    return None


def _reason_by_class(plain: Any) -> str | None:
    if not plain._can_set_attn_implementation():
        return "its attention is written out in the model and cannot be exchanged"
    if not plain._supports_attention_backend:
        return "transformers does not declare its attention exchangeable (_supports_attention_backend)"
    if not {"inputs_embeds", "position_ids"} <= set(inspect.signature(plain.get_decoder().forward).parameters):
        return "its decoder takes no inputs_embeds or no position_ids"
    return None


def _reason_by_locality(plain: Any) -> str | None:
    """Find what else mixes positions: where attention looks at itself alone, rows together equal each row alone."""
    from transformers import AttentionInterface

    config, seen = plain.config.get_text_config(), _Seen()
    embedded_SD, positions_S = _probe_inputs(plain)
    embedded_SD = (embedded_SD + embedded_SD.roll(1, 0)) / 2  # like a thought vector, of no token
    AttentionInterface.register(_PROBE, _attend_to_itself)
    before = plain.config._attn_implementation
    plain.set_attn_implementation(_PROBE)
    try:
        if plain.config._attn_implementation != _PROBE:
            return "its attention function did not change when it was exchanged"
        together_SD = _decode(plain, embedded_SD[None], positions_S[None], seen)[0]
        calls = seen.calls.copy()
        alone_SD = _decode(plain, embedded_SD[:, None], positions_S[:, None], seen)[:, 0]
    finally:
        plain.set_attn_implementation(before)
    layers = config.num_hidden_layers
    if set(calls) != set(range(layers)) or set(calls.values()) != {1}:
        return f"{len(calls)} of its {layers} layers call the attention function, each of which must do so once"
    if seen.masked:
        return "it builds an attention mask of its own, which carries more than causality"
    if seen.encoder:
        return "its attention looks forward as well as back"
    if missing := _windows_declared(config) - seen.windowed:
        return f"the sliding window of layer {min(missing)} does not reach the attention function"
    if not _close(together_SD, alone_SD):
        return "something beside attention mixes its positions (a convolution, a recurrence or a token shift)"
    return None


def _reason_by_comparison(plain: Any) -> str | None:
    """Compare the decoder as it is with the decoder under our attention, on plain text."""
    embedded_SD, positions_S = _probe_inputs(plain)
    tokens_BL = _probe_tokens(plain)[None]
    own_BLD = plain.get_decoder()(input_ids=tokens_BL, use_cache=False).last_hidden_state
    with thought_attention(plain):
        ours_BLD = _decode(plain, embedded_SD[None], positions_S[None], ThoughtState(mode="text"))
    if not _close(ours_BLD[0], own_BLD[0]):
        return "its hidden states differ under our attention (it masks, biases or embeds in a way that we do not know)"
    return None


class _Seen:
    """What the probing attention function was called with."""

    def __init__(self) -> None:
        self.calls: Counter[int] = Counter()
        self.windowed: set[int] = set()
        self.masked = self.encoder = False


def _attend_to_itself(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    thought_state: _Seen,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    thought_state.calls[module.layer_idx] += 1
    thought_state.masked |= attention_mask is not None
    thought_state.encoder |= getattr(module, "is_causal", True) is False
    if sliding_window is not None:
        thought_state.windowed.add(module.layer_idx)
    return value.repeat_interleave(query.shape[1] // value.shape[1], 1).transpose(1, 2).contiguous(), None


def _probe_tokens(plain: Any) -> Tensor:
    weight = plain.get_input_embeddings().weight
    length = min(_PROBE_TOKENS, _table(plain) or _PROBE_TOKENS)
    return (torch.arange(length, device=weight.device) * 7 + 3) % len(weight)


def _probe_inputs(plain: Any) -> tuple[Tensor, Tensor]:
    tokens_S = _probe_tokens(plain)
    return plain.get_input_embeddings()(tokens_S), torch.arange(len(tokens_S), device=tokens_S.device)


def _decode(plain: Any, embedded_BSD: Tensor, positions_BS: Tensor, state: Any) -> Tensor:
    decoder = plain.get_decoder()
    return decoder(
        inputs_embeds=embedded_BSD, position_ids=positions_BS, thought_state=state, use_cache=False
    ).last_hidden_state


def _windows_declared(config: Any) -> set[int]:
    types = getattr(config, "layer_types", None)
    if types is None:
        windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
        types = ["sliding_attention"] * config.num_hidden_layers if windowed else []
    return {layer for layer, kind in enumerate(types) if kind == "sliding_attention"}


def _close(one_SD: Tensor, other_SD: Tensor) -> bool:
    """Compare rows; in half precision by the median row, since a rounded router may send a row to another expert."""
    exact = one_SD.dtype == torch.float32
    apart_S = (one_SD.float() - other_SD.float()).norm(dim=-1) / other_SD.float().norm(dim=-1).clamp_min(1e-6)
    return bool(apart_S.max() < 1e-3) if exact else bool(apart_S.median() < 5e-2)


def _is_chance(name: str, value: Any) -> bool:
    return isinstance(value, float) and value > 0 and ("drop" in name.lower() or "jitter" in name.lower())


def _chances(model: nn.Module) -> Iterator[tuple[str, Any, str]]:
    """Yield every place that draws at random in training: its name, the object that holds it, the attribute."""
    for path, module in model.named_modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            if module.p > 0:
                yield path, module, "p"
            continue
        for name, value in list(vars(module).items()):
            if _is_chance(name, value):
                yield f"{path}.{name}".lstrip("."), module, name
    plain = inner_model(model)
    for config in {id(c): c for c in (plain.config, plain.config.get_text_config())}.values():
        for name, value in list(vars(config).items()):
            if _is_chance(name, value):
                yield f"config.{name}", config, name


def set_dropout_off(model: nn.Module) -> list[str]:
    """Set every dropout (and router jitter) of the model and its configuration to 0; return the names of what changed.

    With dropout, thoughts would be sampled by another model than the one whose gradient is taken, and the thoughts of
    one position would differ by more than their tokens.
    """
    changed = []
    for name, holder, attribute in list(_chances(model)):
        setattr(holder, attribute, 0.0)
        changed.append(name)
    return changed


def _table(plain: Any) -> int | None:
    return getattr(plain.config.get_text_config(), "max_position_embeddings", None)


def check_positions(model: Any, length: int, shape: ThoughtShape) -> None:
    """Raise `ConfigError` when a text of `length` tokens with thoughts of `shape` needs more positions than there are.

    A thought after the last token goes on for T = `shape.rows` positions. Learned tables (GPT-2, OPT) end there; rotary
    models would go on, untrained and silently worse.
    """
    limit = _table(inner_model(model))
    if limit is None or length + shape.rows <= limit:
        return
    fits = limit - shape.rows
    remedy = (
        f"cut texts to at most {fits} tokens (texts.length = {fits})"
        if fits > shape.talk
        else "make the thoughts shorter"
    )
    raise ConfigError(
        f"a text of {length} tokens and a thought of {shape.rows} rows ({shape.tokens} thought tokens, {shape.talk} "
        f"true tokens and 1) need {length + shape.rows} positions, but the model has {limit}; {remedy}"
    )


def check_together(model: Any, module: nn.Module) -> None:
    """Raise `ConfigError` when `module` (thought vectors, mixing head) is of another device or dtype than the model."""
    weight = inner_model(model).get_input_embeddings().weight
    for name, parameter in module.named_parameters():
        if parameter.device != weight.device or parameter.dtype != weight.dtype:
            raise ConfigError(
                f"{type(module).__name__}.{name} is {parameter.dtype} on {parameter.device}, but the model's "
                f"embeddings are {weight.dtype} on {weight.device}; move it with .to(device=..., dtype=...)"
            )
