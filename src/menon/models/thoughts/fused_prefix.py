"""Attention over text and own rows where torch's fused CPU kernel reads the text and plain steps read the own rows.

The kernel gives the text's share and its log-sum-exp; own rows join by the log-sum-exp over both. Handed the joined
output and log-sum-exp, the kernel's backward gives the gradients of the text's share within the whole. The kernel is
no public part of torch: `can_fuse` tries it once per dtype and says no where it is missing or means something else.
Source: joining by log-sum-exp is that of Ring Attention (arXiv:2310.01889, section 3).
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_NAME = "_scaled_dot_product_flash_attention_for_cpu"


def can_fuse(q: Tensor, base_k: Tensor, base_v: Tensor, own_v: Tensor) -> bool:
    """Tell whether the kernel takes these tensors."""
    alike = q.dtype == base_k.dtype == base_v.dtype == own_v.dtype and q.shape[-1] == base_v.shape[-1]
    return q.device.type == "cpu" and alike and base_k.shape[2] > 0 and _works(q.dtype)


def fused_prefix_attention(
    q: Tensor, base_k: Tensor, base_v: Tensor, own_k: Tensor, own_v: Tensor,
    mask: Tensor | None, blind: Tensor | None, own_hidden: Tensor | None, scale: float,
) -> Tensor:  # fmt: skip
    """Attend as `prefix_attention` does; `mask` and `blind` as `HiddenKeys.flat` gives them."""
    return _FusedPrefix.apply(q, base_k, base_v, own_k, own_v, mask, blind, own_hidden, scale)  # pyright: ignore[reportReturnType]


def _text(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    """Return what [B, H, S, D] queries read, and the log-sum-exp of their scores [B, H, S]; 0 for a blind query."""
    return getattr(torch.ops.aten, _NAME)(q, k, v, 0.0, False, attn_mask=mask, scale=scale)


def _text_backward(
    d_out: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, mask: Tensor | None, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    backward = getattr(torch.ops.aten, f"{_NAME}_backward")
    return backward(d_out, q, k, v, out, lse, 0.0, False, attn_mask=mask, scale=scale)


@cache
def _works(dtype: torch.dtype) -> bool:
    """Try the kernel on a few numbers, a blind query among them."""
    q, k, v, d_out = (torch.linspace(-1, 2, 18, dtype=dtype).view(1, 1, 3, 6) * factor for factor in (1, -2, 3, 0.5))
    mask = torch.zeros(1, 1, 3, 3, dtype=dtype)
    mask[..., 0, 1:] = mask[..., 1, :] = float("-inf")
    scores = (0.5 * q.double() @ k.double().transpose(-1, -2) + mask.double())[:, :, [0, 2]]
    tolerance = 1e-4 if dtype in (torch.float32, torch.float64) else 5e-2
    try:
        out, lse = _text(q, k, v, mask, 0.5)
        p = (scores - scores.logsumexp(-1, keepdim=True)).exp()
        same = _close(out[:, :, [0, 2]], p @ v.double(), tolerance)
        same = same and _close(lse[:, :, [0, 2]], scores.logsumexp(-1), tolerance)
        wide = lse.masked_fill(torch.tensor([False, True, False]), 0.0) + 1.0  # as if own rows had joined
        found = _text_backward(d_out, q, k, v, out, wide, mask, 0.5)
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return False
    p = p * torch.exp(torch.tensor(-1.0, dtype=torch.float64))
    d_out, out = d_out.double()[:, :, [0, 2]], out.double()[:, :, [0, 2]]
    d_scores = (d_out @ v.double().transpose(-1, -2) - (d_out * out).sum(-1, keepdim=True)) * p * 0.5
    d_q = torch.zeros_like(q, dtype=torch.float64)
    d_q[:, :, [0, 2]] = d_scores @ k.double()
    d_k = d_scores.transpose(-1, -2) @ q.double()[:, :, [0, 2]]
    wanted = (d_q, d_k, p.transpose(-1, -2) @ d_out)
    return same and all(_close(one, other, tolerance) for one, other in zip(found, wanted, strict=True))


def _close(found: Tensor, wanted: Tensor, tolerance: float) -> bool:
    return found.shape == wanted.shape and torch.allclose(found.double(), wanted, rtol=tolerance, atol=tolerance)


def _own_scores(q: Tensor, own_k: Tensor, own_hidden: Tensor | None, scale: float) -> Tensor:
    """Return scores [B, Hkv, C, G, T, T'], in float32 at least."""
    own = (q.flatten(3, 4) @ own_k.transpose(-1, -2)).mul_(scale).unflatten(3, q.shape[3:5])
    own = own.float() if own.dtype.itemsize < 4 else own
    return own if own_hidden is None else own.add_(own_hidden)


class _FusedPrefix(Function):
    @staticmethod
    def forward(ctx: Any, q, base_k, base_v, own_k, own_v, mask, blind, own_hidden, scale):
        sizes = q.shape[2:5]
        out, base_lse = _text(q.flatten(2, 4), base_k, base_v, mask, scale)
        if blind is not None:
            base_lse = base_lse.masked_fill(blind, float("-inf"))
        base_lse = base_lse.unflatten(2, sizes).unsqueeze(-1)
        own = _own_scores(q, own_k, own_hidden, scale)
        lse = torch.logaddexp(base_lse, own.logsumexp(-1, keepdim=True))
        own_p = own.sub_(lse).exp_().to(q.dtype)
        out = out.unflatten(2, sizes).mul_(base_lse.sub(lse).exp_())
        out += (own_p.flatten(3, 4) @ own_v).unflatten(3, sizes[1:])
        ctx.save_for_backward(q, base_k, base_v, own_k, own_v, mask, own_hidden, out, lse)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        (d_out,) = grads
        q, base_k, base_v, own_k, own_v, mask, own_hidden, out, lse = ctx.saved_tensors
        sizes = q.shape[2:5]
        flat_d, flat_q, flat_out = (x.flatten(2, 4) for x in (d_out, q, out))
        d_q, d_base_k, d_base_v = _text_backward(
            flat_d, flat_q, base_k, base_v, flat_out, lse.flatten(2, 5), mask, ctx.scale
        )
        own_p = _own_scores(q, own_k, own_hidden, ctx.scale).sub_(lse).exp_().to(q.dtype)
        along = (d_out * out).sum(-1, keepdim=True)
        wide_d, wide_p = d_out.flatten(3, 4), own_p.flatten(3, 4)
        d_own_v = wide_p.transpose(-1, -2) @ wide_d
        d_own = (wide_d @ own_v.transpose(-1, -2)).unflatten(3, sizes[1:]).sub_(along).mul_(own_p).mul_(ctx.scale)
        wide_s = d_own.flatten(3, 4)
        d_q = d_q.unflatten(2, sizes)
        d_q += (wide_s @ own_k).unflatten(3, sizes[1:])
        d_own_k = wide_s.transpose(-1, -2) @ q.flatten(3, 4)
        return d_q, d_base_k, d_base_v, d_own_k, d_own_v, None, None, None, None
