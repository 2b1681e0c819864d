"""Attention over cohorts, plugged into transformers' attention interface, and the `Cache` that feeds it.

A model that takes its attention function from that interface runs all cohorts in one forward: projections, MLP and
head see one batch of rows, and only the attention itself goes cohort by cohort over exactly the columns in use. Other
models (`Padded`) run cohort by cohort with an ordinary left-padded mask.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface
from transformers.cache_utils import Cache

from menon.sampling.kv_store import BagStore, Cohort, LayerStore

NAME = "menon_cohorts"
_MARK = "_menon_cohorts"
Windows = Sequence[int | None]  # per layer: how many tokens back it sees (itself included), None for all


class Prefill(Cache):
    """Takes the keys and values of right-padded prompts [P, T] and hands them to the cohort's rows.

    `rows[p]` is the range of rows that continue prompt p, `lengths[p]` how many of its tokens are given here. When all
    prompts begin alike, `head` holds that beginning in its one row, and the cohort's rows have it already.
    """

    def __init__(
        self,
        cohort: Cohort,
        rows: Sequence[range],
        lengths: Sequence[int],
        windows: Windows,
        head: Cohort | None = None,
    ):
        super().__init__(layers=[])
        self.cohort, self.windows, self.layer, self.head = cohort, windows, -1, head
        self.before = 0 if head is None else head.column
        self.runs = list(_runs(rows, lengths))

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any):
        store = self.cohort.layer(layer_idx, key_states, value_states)
        end = self.cohort.column
        for rows, prompts, length in self.runs:
            keys, values = key_states[prompts, :, :length], value_states[prompts, :, :length]
            store.put(rows, slice(end - length, end), keys, values)
        self.layer = layer_idx
        if self.head is not None:
            keys, values = self.head.layers[layer_idx].view(1, slice(0, self.before))
            prompts = len(key_states)
            key_states = torch.cat((keys.expand(prompts, -1, -1, -1), key_states), 2)
            value_states = torch.cat((values.expand(prompts, -1, -1, -1), value_states), 2)
        setattr(key_states, _MARK, self)
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.before

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        return self.before + query_length, 0


def _runs(rows: Sequence[range], lengths: Sequence[int]) -> Iterator[tuple[slice, slice, int]]:
    """Yield (rows, prompts, length) that one copy can write: a prompt, or neighbours of one length and one row each."""
    first = 0
    while first < len(rows):
        last = first + 1
        if len(rows[first]) == 1:
            while last < len(rows) and len(rows[last]) == 1 and lengths[last] == lengths[first]:
                last += 1
        yield slice(rows[first].start, rows[last - 1].stop), slice(first, last), lengths[first]
        first = last


class Step(Cache):
    """One new token for every row of every cohort; rows are stacked in the order of `cohorts`."""

    def __init__(self, cohorts: Sequence[Cohort], windows: Windows):
        super().__init__(layers=[])
        self.cohorts, self.windows, self.layer = cohorts, windows, -1

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any):
        first = 0
        for cohort in self.cohorts:
            rows = slice(first, first + len(cohort))
            cohort.append(layer_idx, key_states[rows], value_states[rows])
            first = rows.stop
        self.layer = layer_idx
        setattr(key_states, _MARK, self)
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return max(cohort.column - cohort.low for cohort in self.cohorts)

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0


class Padded(Step):
    """One new token for the rows of one cohort, shown to the model as an ordinary left-padded cache."""

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any):
        (cohort,) = self.cohorts
        store = cohort.append(layer_idx, key_states, value_states)
        return store.view(len(cohort), slice(cohort.low, cohort.column + 1))


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers' interface asks: query [B, H, T, d] in, [B, T, H, d] out.

    `key` must be what `Prefill.update` or `Step.update` returned; the engine's trial of a model catches those that
    change it in between.
    """
    cache = getattr(key, _MARK, None)
    if cache is None or attention_mask is not None or kwargs.get("position_bias") is not None:
        raise NotImplementedError("this model changes keys, masks or biases between cache and attention")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    extras = _Extras(scale, kwargs.get("softcap"), kwargs.get("s_aux"))
    window = cache.windows[cache.layer]
    if isinstance(cache, Prefill):
        out = _attend_prompt(query, key, value, window, extras)
    else:
        out = _attend_step(cache, query, window, extras)
    return out.transpose(1, 2), None


class _Extras:
    """What some families do to the attention scores: their scale, a soft cap, and a learned sink per head."""

    def __init__(self, scale: float, softcap: float | None, sinks: Tensor | None):
        self.scale, self.softcap, self.sinks = scale, softcap, sinks

    @property
    def plain(self) -> bool:
        return self.softcap is None and self.sinks is None

    def weights(self, scores: Tensor, bias: Tensor | None) -> Tensor:
        """Turn scaled scores [B, H, T, K] into weights; `bias` holds 0 and -inf."""
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        if bias is not None:
            scores = scores + bias
        if self.sinks is None:
            return scores.softmax(-1, dtype=torch.float32).to(scores.dtype)
        sink = self.sinks.to(scores.dtype).reshape(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        return torch.cat((scores, sink), -1).softmax(-1, dtype=torch.float32)[..., :-1].to(scores.dtype)


def _attend_prompt(query: Tensor, key: Tensor, value: Tensor, window: int | None, extras: _Extras) -> Tensor:
    """Attend causally within right-padded prompts: pads lie behind every real token, so none of those sees them.

    Keys may hold more tokens than there are queries; the queries are then the last ones.
    """
    length, groups = key.shape[2], query.shape[1] // key.shape[1]
    if extras.plain and query.shape[2] == length and (window is None or window >= length):
        return functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=extras.scale, enable_gqa=groups > 1
        )
    place = torch.arange(length, device=query.device)
    back = place[length - query.shape[2] :, None] - place
    seen = (back >= 0) if window is None else (back >= 0) & (back < window)
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if extras.plain:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=extras.scale)
    bias = torch.zeros_like(seen, dtype=query.dtype).masked_fill_(~seen, -torch.inf)
    return extras.weights(query @ key.transpose(-1, -2) * extras.scale, bias) @ value


def _attend_step(cache: Step, query: Tensor, window: int | None, extras: _Extras) -> Tensor:
    """Attend from one token of each row to the columns of its cohort that the layer sees."""
    parts, first = [], 0
    for cohort in cache.cohorts:
        low = cohort.low if window is None else max(cohort.low, cohort.column + 1 - window)
        columns = slice(low, cohort.column + 1)
        rows = slice(first, first + len(cohort))
        parts.append(_attend_cohort(cohort, cohort.layers[cache.layer], query[rows], columns, extras))
        first = rows.stop
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _attend_cohort(cohort: Cohort, store: LayerStore, query: Tensor, columns: slice, extras: _Extras) -> Tensor:
    """Attend for one cohort; queries that share a key head form the rows of one matrix."""
    if isinstance(store, BagStore):
        return attend_bags(cohort, store, query, columns, extras)
    key, value = store.view(len(cohort), columns)
    rows, heads, _, width = query.shape
    grouped = query.reshape(rows, key.shape[1], heads // key.shape[1], width)
    bias = cohort.bias(columns, query)
    if bias is not None:
        bias = bias[:, None, None, :]
    if extras.plain:
        out = functional.scaled_dot_product_attention(grouped, key, value, attn_mask=bias, scale=extras.scale)
    else:
        scores = grouped @ key.transpose(-1, -2) * extras.scale
        out = extras.weights(scores.reshape(rows, heads, 1, -1), bias).reshape(scores.shape) @ value
    return out.reshape(rows, heads, 1, value.shape[-1])


def attend_bags(cohort: Cohort, store: BagStore, query: Tensor, columns: slice, extras: _Extras) -> Tensor:
    """Attend from one token per row with two weighted sums of table rows, float32 on a CPU.

    Scores are sums of the keys' rows [d, columns] weighted by the query, outputs are sums of the values' rows weighted
    by the attention: both stream memory once, where one matrix product per row and head mostly waits.
    """
    rows, heads, _, _ = query.shape
    groups = heads // store.keys.shape[1]
    plan = _bag_plan(cohort, store, columns, groups)
    table = store.keys.view(-1, store.keys.shape[-1])
    weights = (query * extras.scale).reshape(-1)
    scores = functional.embedding_bag(plan.key_rows, table, plan.key_bags, mode="sum", per_sample_weights=weights)
    scores = scores[:, columns].view(rows, heads, 1, -1)
    bias = cohort.bias(columns, query)
    seen = extras.weights(scores, None if bias is None else bias[:, None, None, :]).reshape(-1)
    table = store.values.view(-1, store.values.shape[-1])
    out = functional.embedding_bag(plan.value_rows, table, plan.value_bags, mode="sum", per_sample_weights=seen)
    return out.view(rows, heads, 1, -1)


@dataclass(frozen=True, slots=True)
class _BagPlan:
    """Which table rows each (row, head) sums: flat indices and where each bag begins."""

    key_rows: Tensor
    key_bags: Tensor
    value_rows: Tensor
    value_bags: Tensor


def _bag_plan(cohort: Cohort, store: BagStore, columns: slice, groups: int) -> _BagPlan:
    """Return the plan for these columns, made once per step and shared by all layers of one shape."""
    rows, (_, heads, width, _), capacity = len(cohort), store.keys.shape, store.values.shape[1]
    kind = torch.long if store.keys.numel() >= 2**31 or store.values.numel() >= 2**31 else torch.int32
    shape = ("bags", columns.start, heads, width, groups)
    made = cohort.plans.get(shape)
    if made is not None and made[0] == columns.stop:
        return made[1]
    bags = torch.arange(rows * heads * groups, dtype=kind)
    if made is None:
        head = torch.arange(rows * heads, dtype=kind).repeat_interleave(groups)
        key_rows = (head[:, None] * width + torch.arange(width, dtype=kind)).view(-1)
        key_bags = bags * width
    else:
        key_rows, key_bags = made[1].key_rows, made[1].key_bags
    count = columns.stop - columns.start
    first = torch.arange(rows, dtype=kind)[:, None] * (capacity * heads) + torch.arange(heads, dtype=kind)
    steps = torch.arange(columns.start, columns.stop, dtype=kind) * heads
    value_rows = (first.view(-1).repeat_interleave(groups)[:, None] + steps).view(-1)
    plan = _BagPlan(key_rows, key_bags, value_rows, bags * count)
    cohort.plans[shape] = (columns.stop, plan)
    return plan


AttentionInterface.register(NAME, attend)
