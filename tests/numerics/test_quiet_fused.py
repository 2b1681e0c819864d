"""Attention of thoughts by the fused kernel and by plain steps: the same numbers, forward and backward."""

import pytest
import torch
from torch import Tensor

from menon.core.seeds import seed_for
from menon.models.thoughts import prefix_attention as module
from menon.models.thoughts.prefix_attention import HiddenKeys, prefix_attention

CASES = {"grouped": (2, 3), "single": (4, 1)}
B, C, T, L, D = 2, 5, 4, 11, 8


def case(name: str, window: int | None) -> tuple[list[Tensor], Tensor, Tensor]:
    """Queries, keys and values of random thoughts, and what they may not see of the text and of themselves."""
    heads, groups = CASES[name]
    generator = torch.Generator().manual_seed(seed_for("fused", name, window))
    shapes = [(B, heads, C, groups, T, D), *[(B, heads, L, D)] * 2, *[(B, heads, C, T, D)] * 2]
    tensors = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    positions_BC = torch.randint(0, L, (B, C), generator=generator).sort(1).values
    after = positions_BC[:, :, None, None] - torch.arange(L)
    rows = torch.arange(T)
    seen = (after >= 0).expand(B, C, T, L)
    own = rows[:, None] >= rows
    if window is not None:
        seen = seen & (after + 1 + rows[:, None] < window)
        own = own & (rows[:, None] - rows < window)
    hidden = [torch.zeros(x.shape).masked_fill(~x, float("-inf")) for x in (seen, own)]
    return tensors, hidden[0][:, None, :, None], hidden[1]


def literal(tensors: list[Tensor], base_hidden: Tensor, own_hidden: Tensor, scale: float) -> Tensor:
    """One softmax over text and own rows."""
    q, base_k, base_v, own_k, own_v = tensors
    base = torch.einsum("bhcgtd,bhld->bhcgtl", q, base_k) * scale + base_hidden
    own = torch.einsum("bhcgtd,bhcsd->bhcgts", q, own_k) * scale + own_hidden
    weights = torch.cat([base, own], -1).softmax(-1)
    return torch.einsum("bhcgtl,bhld->bhcgtd", weights[..., :L], base_v) + torch.einsum(
        "bhcgts,bhcsd->bhcgtd", weights[..., L:], own_v
    )


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("fused", [True, False])
def test_both_ways_are_one_softmax(monkeypatch: pytest.MonkeyPatch, name: str, window: int | None, fused: bool):
    tensors, base_hidden, own_hidden = case(name, window)
    q, base_k, base_v, own_k, own_v = tensors
    if fused and not module.can_fuse(q, base_k, base_v, own_v):
        pytest.skip("this build of torch has no kernel that can be fused")
    if not fused:
        monkeypatch.setattr(module, "can_fuse", lambda *_: False)
    hidden = HiddenKeys(base=base_hidden, own=own_hidden, first=0)
    found = prefix_attention(q, base_k, base_v, own_k, own_v, hidden, 0.3)
    wanted = literal(tensors, base_hidden, own_hidden, 0.3)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    direction = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    found_grads = torch.autograd.grad((found * direction).sum(), tensors)
    for one, other in zip(found_grads, torch.autograd.grad((wanted * direction).sum(), tensors), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
