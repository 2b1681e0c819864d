"""Attention over a shared text and a thought's own rows, with the softmax over both and no stored probabilities.

The backward pass computes the probabilities anew from the log-sum-exp over both parts, so what is kept for it grows
with the number of rows and not with rows times text. On a CPU torch's own kernel reads the text (fused_prefix.py); the
steps here are for every other device, and what the kernel is compared with.
Source: the recomputation is FlashAttention's (arXiv:2205.14135, section 3.1), here over two sets of keys.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from menon.models.thoughts.fused_prefix import can_fuse, fused_prefix_attention


@dataclass(slots=True, kw_only=True)
class HiddenKeys:
    """What is added to scores: zero where a key is seen, minus infinity where not.

    `base` [B, 1, C, 1, T or 1, reach] is for the text, of which every row sees the keys before `first`; `own` [T, own
    rows] is for the thought's own rows, None where all are seen.
    """

    base: Tensor
    own: Tensor | None
    first: int = 0
    _flat: dict[tuple[int, int], tuple[Tensor | None, Tensor | None]] = field(default_factory=dict)

    def flat(self, groups: int, rows: int) -> tuple[Tensor | None, Tensor | None]:
        """Return `base` with a line for every query [B, 1, C * groups * rows, reach], and which lines see nothing.

        Made once for all layers; None where everything is seen, or where no line is blind.
        """
        key = (groups, rows)
        if key not in self._flat:
            self._flat[key] = self._make(groups, rows)
        return self._flat[key]

    def _make(self, groups: int, rows: int) -> tuple[Tensor | None, Tensor | None]:
        batch, _, count, _, _, reach = self.base.shape
        if self.first >= reach:
            return None, None
        mask_BSL = self.base.expand(batch, 1, count, groups, rows, reach).flatten(2, 4)
        blind_BS = None if self.first else mask_BSL.amax(-1) == float("-inf")
        return mask_BSL, blind_BS if blind_BS is not None and bool(blind_BS.any()) else None


def prefix_attention(
    q: Tensor, base_k: Tensor, base_v: Tensor, own_k: Tensor, own_v: Tensor, hidden: HiddenKeys, scale: float
) -> Tensor:
    """Attend from thoughts to the text and to themselves.

    Args:
        q: [B, Hkv, C, G, T, D], G query heads per key head, C thoughts, T rows each.
        base_k, base_v: [B, Hkv, L, D], shared by all thoughts. own_k, own_v: [B, Hkv, C, T', D].
    """
    if can_fuse(q, base_k, base_v, own_v):
        mask, blind = hidden.flat(q.shape[3], q.shape[4])
        return fused_prefix_attention(q, base_k, base_v, own_k, own_v, mask, blind, hidden.own, scale)
    return _PrefixAttention.apply(q, base_k, base_v, own_k, own_v, hidden.base, hidden.own, hidden.first, scale)  # pyright: ignore[reportReturnType]


def _scores(
    q: Tensor, base_k: Tensor, own_k: Tensor, base_hidden: Tensor, own_hidden: Tensor | None, first: int, scale: float
) -> tuple[Tensor, Tensor]:
    scaled = q * scale
    base = (scaled.flatten(2, 4) @ base_k.transpose(-1, -2)).unflatten(2, q.shape[2:5])
    if first < base.shape[-1]:
        base[..., first:] += base_hidden[..., first:]
    own = (scaled.flatten(3, 4) @ own_k.transpose(-1, -2)).unflatten(3, q.shape[3:5])
    return base, own if own_hidden is None else own.add_(own_hidden)


class _PrefixAttention(Function):
    @staticmethod
    def forward(ctx: Any, q, base_k, base_v, own_k, own_v, base_hidden, own_hidden, first, scale):
        base, own = _scores(q, base_k, own_k, base_hidden, own_hidden, first, scale)
        most = own.amax(-1, keepdim=True)
        if base.shape[-1]:
            most = torch.maximum(most, base.amax(-1, keepdim=True))
        base_p, own_p = base.sub_(most).exp_(), own.sub_(most).exp_()
        total = base_p.sum(-1, keepdim=True) + own_p.sum(-1, keepdim=True)
        out = (base_p.flatten(2, 4) @ base_v).unflatten(2, q.shape[2:5])
        out += (own_p.flatten(3, 4) @ own_v).unflatten(3, q.shape[3:5])
        out /= total
        ctx.save_for_backward(q, base_k, base_v, own_k, own_v, base_hidden, own_hidden, out, most + total.log())
        ctx.first, ctx.scale = first, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        (d_out,) = grads
        q, base_k, base_v, own_k, own_v, base_hidden, own_hidden, out, lse = ctx.saved_tensors
        base, own = _scores(q, base_k, own_k, base_hidden, own_hidden, ctx.first, ctx.scale)
        base_p, own_p = base.sub_(lse).exp_(), own.sub_(lse).exp_()
        d_out = d_out.contiguous()
        flat_d, wide_d = d_out.flatten(2, 4), d_out.flatten(3, 4)
        flat_p, wide_p = base_p.flatten(2, 4), own_p.flatten(3, 4)
        d_base_v = flat_p.transpose(-1, -2) @ flat_d
        d_own_v = wide_p.transpose(-1, -2) @ wide_d
        along = (d_out * out).sum(-1, keepdim=True)
        d_base = (flat_d @ base_v.transpose(-1, -2)).unflatten(2, q.shape[2:5]).sub_(along).mul_(base_p)
        d_own = (wide_d @ own_v.transpose(-1, -2)).unflatten(3, q.shape[3:5]).sub_(along).mul_(own_p)
        flat_s, wide_s = d_base.flatten(2, 4), d_own.flatten(3, 4)
        d_q = (flat_s @ base_k).unflatten(2, q.shape[2:5])
        d_q += (wide_s @ own_k).unflatten(3, q.shape[3:5])
        scaled = q * ctx.scale
        d_base_k = flat_s.transpose(-1, -2) @ scaled.flatten(2, 4)
        d_own_k = wide_s.transpose(-1, -2) @ scaled.flatten(3, 4)
        return d_q.mul_(ctx.scale), d_base_k, d_base_v, d_own_k, d_own_v, None, None, None, None
