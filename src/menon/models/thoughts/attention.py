"""Attention of thoughts as a registered attention function: any model that looks its function up can think.

Three ways of calling the decoder, told by the `ThoughtState` that travels down as a keyword argument:
text (causal, keeps each layer's keys and values), thoughts (all rows of all thoughts at once) and step (one more row of
every thought, no gradient). A thought sees the text up to its own position and its own rows, nothing else: the
diagonal structure of Quiet-STaR (arXiv:2403.09629, section 4.2) without ever building the diagonal mask.

Queries, keys and values arrive after rotary positions and norms, with as many key heads as the model has (grouped
queries are never repeated). Honoured: sliding windows (by position id), soft caps, sinks. Everything else is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from menon.core.errors import ConfigError
from menon.models.thoughts.prefix_attention import HiddenKeys, prefix_attention

NAME = "menon_thoughts"
KeyValue = tuple[Tensor, Tensor]
# What models hand down that changes nothing here: positions are applied already, masks are our own.
_HARMLESS = frozenset(
    {"position_ids", "cache_position", "use_cache", "position_embeddings", "output_hidden_states", "return_dict"}
)
_HARMLESS_WHEN_FALSE = frozenset({"output_attentions", "output_router_logits"})


@dataclass(slots=True, kw_only=True)
class ThoughtState:
    """What the attention function has to know in one call of the decoder.

    `base[layer]` holds keys and values of the text [B, Hkv, L, D]. A call of thoughts has C thoughts per row of the
    batch, at `positions_BC`, with `rows` rows each. In steps, `own[layer]` holds keys and values of the thoughts'
    earlier rows [B, Hkv, C, T, D], of which `filled` are written. `reach` keys of the text are looked at, and every
    thought is known to see the first `low` of them.
    """

    mode: Literal["text", "thoughts", "step"]
    base: dict[int, KeyValue] = field(default_factory=dict)
    positions_BC: Tensor | None = None
    rows: int = 1
    capacity: int = 0
    filled: int = 0
    own: dict[int, KeyValue] = field(default_factory=dict)
    reach: int = 0
    low: int = 0
    _bases: dict[tuple[int | None, torch.dtype], Tensor] = field(default_factory=dict)
    _hidden_keys: dict[tuple[int | None, torch.dtype, int, int], HiddenKeys] = field(default_factory=dict)

    def next_row(self) -> None:
        """Go on to the next row of every thought."""
        self.filled += 1
        self._hidden_keys.clear()
        self._bases = {key: base for key, base in self._bases.items() if key[0] is None}

    def hidden_keys(self, window: int | None, like: Tensor) -> HiddenKeys:
        """Return what is added to scores, for a window of the text or for none."""
        key = (window, like.dtype, self.filled, self.rows)
        if key not in self._hidden_keys:
            if key[:2] not in self._bases:
                self._bases[key[:2]] = self._base(window, like)
            first = self.low if window is None else 0
            self._hidden_keys[key] = HiddenKeys(base=self._bases[key[:2]], own=self._own(window, like), first=first)
        return self._hidden_keys[key]

    def _base(self, window: int | None, like: Tensor) -> Tensor:
        assert self.positions_BC is not None
        keys_L = torch.arange(self.reach, device=like.device)
        after_BCTL = self.positions_BC[:, :, None, None] - keys_L
        seen = after_BCTL >= 0
        if window is not None:
            rows_T = torch.arange(self.filled, self.filled + self.rows, device=like.device)
            seen = seen & (after_BCTL + 1 + rows_T[:, None] < window)
        return _penalty(seen, like)[:, None, :, None]

    def _own(self, window: int | None, like: Tensor) -> Tensor | None:
        if window is None and self.rows == 1:
            return None
        rows_T = torch.arange(self.filled, self.filled + self.rows, device=like.device)
        apart_TT = rows_T[:, None] - torch.arange(self.filled + self.rows, device=like.device)
        seen = apart_TT >= 0
        return _penalty(seen if window is None else seen & (apart_TT < window), like)


def _penalty(seen: Tensor, like: Tensor) -> Tensor:
    return torch.zeros(seen.shape, dtype=like.dtype, device=like.device).masked_fill_(~seen, float("-inf"))


def _no_mask(*_: Any, attention_mask: Tensor | None = None, **__: Any) -> None:
    """Build no mask; without this function transformers would drop a padding mask before `attend` could refuse it."""
    _refuse(attention_mask, 0.0, {})


@contextmanager
def recomputed_with_thoughts(model: Any) -> Iterator[None]:
    """Let gradient checkpointing run layers again under our attention, wherever `backward` is called.

    Always without reentrance: the reentrant way runs layers without a graph, and the text's keys would lose theirs.
    """

    def contexts() -> tuple[Any, Any]:
        return nullcontext(), thought_attention(model)

    layers = [layer for layer in model.modules() if getattr(layer, "gradient_checkpointing", False)]
    layers = [layer for layer in layers if hasattr(layer, "_gradient_checkpointing_func")]
    before = [layer._gradient_checkpointing_func for layer in layers]
    for layer, function in zip(layers, before, strict=True):
        layer._gradient_checkpointing_func = partial(function, use_reentrant=False, context_fn=contexts)
    try:
        yield
    finally:
        for layer, function in zip(layers, before, strict=True):
            layer._gradient_checkpointing_func = function


@contextmanager
def thought_attention(model: Any) -> Iterator[None]:
    """Exchange the model's attention function for ours, and give it its own back at the end."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, _no_mask)
    before = model.config._attn_implementation
    if before == NAME:
        yield
        return
    model.set_attn_implementation(NAME)
    if model.config._attn_implementation != NAME:
        raise ConfigError(f"the attention of {type(model).__name__} cannot be exchanged, so it cannot think")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    thought_state: ThoughtState | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attend as `thought_state.mode` says; the signature is that of transformers' attention interface.

    Args:      query: [B, H, S, D]; key and value: [B, Hkv, S, D].
    Returns:   [B, S, H, D] and no weights.
    Raises:    ConfigError: called without a state, or with something that would change the result.
    """
    if thought_state is None:
        raise ConfigError("the model is set to think, but was called as a plain model; leave `thought_attention` first")
    _refuse(attention_mask, dropout, others)
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    layer = module.layer_idx
    if thought_state.mode == "text":
        thought_state.base[layer] = (key, value)
        out = _text(query, key, value, scale, sliding_window, softcap, s_aux)
    else:
        out = _thoughts(thought_state, layer, query, key, value, scale, sliding_window, softcap, s_aux)
    return out.transpose(1, 2), None


def _refuse(attention_mask: Tensor | None, dropout: float, others: dict[str, Any]) -> None:
    if attention_mask is not None:
        raise ConfigError("an attention mask would be ignored; thinking takes right-padded rows with their lengths")
    if dropout:
        raise ConfigError(
            f"attention dropout is {dropout}: thoughts would be sampled by another model than the one that learns; "
            "set it to 0 (menon.models.thoughts.support.set_dropout_off)"
        )
    for name, given in others.items():
        if given is None or name in _HARMLESS or (name in _HARMLESS_WHEN_FALSE and given is False):
            continue
        if name == "is_causal" and given is True:
            continue
        raise ConfigError(f"the model's attention asks for {name}={given!r}, which thinking does not support")


def _text(
    query: Tensor, key: Tensor, value: Tensor, scale: float, window: int | None, softcap: float | None, sinks: Any
) -> Tensor:
    length = query.shape[2]
    if softcap is None and sinks is None and (window is None or window >= length):
        grouped = query.shape[1] != key.shape[1]
        return functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scale, enable_gqa=grouped
        )
    steps = torch.arange(length, device=query.device)
    apart = steps[:, None] - steps
    seen = (apart >= 0) if window is None else (apart >= 0) & (apart < window)
    heads = key.shape[1]
    grouped_q = query.unflatten(1, (heads, -1))  # [B, Hkv, G, L, D]
    scores = torch.matmul(grouped_q, key[:, :, None].transpose(-1, -2)) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores + _penalty(seen, scores)
    weights = _softmax_with_sinks(scores, sinks, heads)
    return torch.matmul(weights, value[:, :, None]).flatten(1, 2)


def _softmax_with_sinks(scores: Tensor, sinks: Tensor | None, heads: int) -> Tensor:
    """Normalise [B, Hkv, G, ..., keys]; a sink is one more column that takes weight and gives nothing."""
    if sinks is None:
        return scores.float().softmax(-1).to(scores.dtype)
    shape = [1, heads, -1, *[1] * (scores.dim() - 3)]
    column = sinks.reshape(shape).expand(*scores.shape[:-1], 1)
    return torch.cat([scores.float(), column.float()], -1).softmax(-1)[..., :-1].to(scores.dtype)


def _thoughts(
    state: ThoughtState,
    layer: int,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    window: int | None,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    rows, heads = state.rows, key.shape[1]
    own_k, own_v = (x.unflatten(2, (-1, rows)) for x in (key, value))  # [B, Hkv, C, T, D]
    if state.mode == "step":
        own_k, own_v = _remember(state, layer, own_k, own_v)
    base_k, base_v = (x[:, :, : state.reach] for x in state.base[layer])
    q = query.unflatten(2, (-1, rows)).unflatten(1, (heads, -1)).transpose(2, 3)  # [B, Hkv, C, G, T, D]
    if window is not None and window >= state.reach + state.filled + rows:
        window = None
    hidden = state.hidden_keys(window, q)
    if softcap is None and sinks is None:
        out = prefix_attention(q, base_k, base_v, own_k, own_v, hidden, scale)
    else:
        out = _capped(q, base_k, base_v, own_k, own_v, hidden, scale, softcap, sinks)
    return out.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _remember(state: ThoughtState, layer: int, key: Tensor, value: Tensor) -> KeyValue:
    if layer not in state.own:
        shape = (*key.shape[:3], state.capacity, key.shape[-1])
        state.own[layer] = (key.new_empty(shape), value.new_empty((*shape[:-1], value.shape[-1])))
    keys, values = state.own[layer]
    end = state.filled + state.rows
    keys[:, :, :, state.filled : end] = key
    values[:, :, :, state.filled : end] = value
    return keys[:, :, :, :end], values[:, :, :, :end]


def _capped(
    q: Tensor,
    base_k: Tensor,
    base_v: Tensor,
    own_k: Tensor,
    own_v: Tensor,
    hidden: HiddenKeys,
    scale: float,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """Attend in plain steps: for models with a soft cap or sinks."""
    shape = q.shape  # [B, Hkv, C, G, T, D]
    base = (q.flatten(2, 4) @ base_k.transpose(-1, -2)).unflatten(2, shape[2:5]) * scale
    own = (q.flatten(3, 4) @ own_k.transpose(-1, -2)).unflatten(3, shape[3:5]) * scale
    scores = torch.cat([base, own], -1)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    own_hidden = scores.new_zeros(()) if hidden.own is None else hidden.own
    penalty = torch.cat([hidden.base.expand_as(base), own_hidden.expand_as(own)], -1)
    scores = (scores + penalty).transpose(2, 3)  # groups before thoughts, as sinks are per head
    weights = _softmax_with_sinks(scores, sinks, shape[1]).transpose(2, 3)
    base_w, own_w = weights.split([base.shape[-1], own.shape[-1]], -1)
    from_base = (base_w.flatten(2, 4) @ base_v).unflatten(2, shape[2:5])
    from_own = (own_w.flatten(3, 4) @ own_v).unflatten(3, shape[3:5])
    return from_base + from_own
