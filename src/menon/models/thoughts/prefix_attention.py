"""Attention over a shared text and a thought's own rows, with the softmax over both and no stored probabilities.

The two parts are computed apart and joined by their log-sum-exp; the backward pass computes the probabilities anew from
it, so what is kept for it grows with the number of rows and not with rows times text.
Source: the recomputation is FlashAttention's (arXiv:2205.14135, section 3.1), here over two sets of keys.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


def prefix_attention(
    q: Tensor, base_k: Tensor, base_v: Tensor, own_k: Tensor, own_v: Tensor, base_hidden: Tensor, own_hidden: Tensor,
    scale: float,
) -> Tensor:  # fmt: skip
    """Attend from thoughts to the text and to themselves.

    Args:
        q: [B, Hkv, C, G, T, D], G query heads per key head, C thoughts, T rows each.
        base_k, base_v: [B, Hkv, L, D], shared by all thoughts. own_k, own_v: [B, Hkv, C, T', D].
        base_hidden: added to scores, broadcastable to [B, Hkv, C, G, T, L]. own_hidden: [T, T'].
    """
    return _PrefixAttention.apply(q, base_k, base_v, own_k, own_v, base_hidden, own_hidden, scale)  # pyright: ignore[reportReturnType]


def _scores(
    q: Tensor, base_k: Tensor, own_k: Tensor, base_hidden: Tensor, own_hidden: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    scaled = q * scale
    base = (scaled.flatten(2, 4) @ base_k.transpose(-1, -2)).unflatten(2, q.shape[2:5]).add_(base_hidden)
    own = (scaled.flatten(3, 4) @ own_k.transpose(-1, -2)).unflatten(3, q.shape[3:5]).add_(own_hidden)
    return base, own


class _PrefixAttention(Function):
    @staticmethod
    def forward(ctx: Any, q, base_k, base_v, own_k, own_v, base_hidden, own_hidden, scale):
        base, own = _scores(q, base_k, own_k, base_hidden, own_hidden, scale)
        lse = torch.logaddexp(base.logsumexp(-1, keepdim=True), own.logsumexp(-1, keepdim=True))
        base_p, own_p = base.sub_(lse).exp_(), own.sub_(lse).exp_()
        out = (base_p.flatten(2, 4) @ base_v).unflatten(2, q.shape[2:5])
        out += (own_p.flatten(3, 4) @ own_v).unflatten(3, q.shape[3:5])
        ctx.save_for_backward(q, base_k, base_v, own_k, own_v, base_hidden, own_hidden, out, lse)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor):
        (d_out,) = grads
        q, base_k, base_v, own_k, own_v, base_hidden, own_hidden, out, lse = ctx.saved_tensors
        base, own = _scores(q, base_k, own_k, base_hidden, own_hidden, ctx.scale)
        base_p, own_p = base.sub_(lse).exp_(), own.sub_(lse).exp_()
        d_out = d_out.contiguous()
        flat_d, wide_d = d_out.flatten(2, 4), d_out.flatten(3, 4)
        flat_p, wide_p = base_p.flatten(2, 4), own_p.flatten(3, 4)
        d_base_v = flat_p.transpose(-1, -2) @ flat_d
        d_own_v = wide_p.transpose(-1, -2) @ wide_d
        along = (d_out * out).sum(-1, keepdim=True)
        d_base = (flat_d @ base_v.transpose(-1, -2)).unflatten(2, q.shape[2:5]).sub_(along).mul_(base_p).mul_(ctx.scale)
        d_own = (wide_d @ own_v.transpose(-1, -2)).unflatten(3, q.shape[3:5]).sub_(along).mul_(own_p).mul_(ctx.scale)
        flat_s, wide_s = d_base.flatten(2, 4), d_own.flatten(3, 4)
        d_q = (flat_s @ base_k).unflatten(2, q.shape[2:5])
        d_q += (wide_s @ own_k).unflatten(3, q.shape[3:5])
        d_base_k = flat_s.transpose(-1, -2) @ q.flatten(2, 4)
        d_own_k = wide_s.transpose(-1, -2) @ q.flatten(3, 4)
        return d_q, d_base_k, d_base_v, d_own_k, d_own_v, None, None, None
