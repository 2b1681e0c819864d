"""Choosing tokens: greedy or by inverse distribution function, truncated or not, one uniform number per token.

Sample j of a request reads its numbers from a counter-based generator seeded by `seed_for(request.seed, j)`, so what it
draws does not depend on the rows that happen to share its batch.
Source: top-p, Holtzman et al. 2020, arXiv:1904.09751; top-k, Fan et al. 2018, arXiv:1805.04833.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from menon.core.seeds import seed_for
from menon.core.values import Request


def uniforms(request: Request, sample: int, count: int) -> list[float]:
    """Return the first `count` uniform numbers in [0, 1) of one sample."""
    return np.random.Generator(np.random.Philox(seed_for(request.seed, sample))).random(count).tolist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How each of the stacked rows chooses its token; tensors are [B], and None where no row needs them."""

    temperature: Tensor | None
    greedy: Tensor | None
    truncated: Tensor | None
    top_p: Tensor | None
    top_k: Tensor | None
    logps: bool

    @classmethod
    def of(cls, requests: Sequence[Request], device: torch.device) -> "Choice":
        """Collect the settings of the requests behind the rows."""

        def row(values: list, dtype: torch.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)

        greedy = [request.temperature == 0 for request in requests]
        cut = [i for i, r in enumerate(requests) if r.temperature and (r.top_p < 1 or r.top_k > 0)]
        heat = [request.temperature or 1.0 for request in requests]
        return cls(
            temperature=None if all(t == 1 for t in heat) else row(heat, torch.float32),
            greedy=row(greedy, torch.bool) if any(greedy) else None,
            truncated=row(cut, torch.long) if cut else None,
            top_p=row([requests[i].top_p for i in cut], torch.float32) if cut else None,
            top_k=row([requests[i].top_k or 2**31 for i in cut], torch.long) if cut else None,
            logps=any(request.logprobs for request in requests),
        )

    def pick(self, logits_BV: Tensor, draws_B: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the chosen ids [B], -1 where a row's logits are not finite, and log-probabilities [B] if wanted.

        The log-probabilities are those of the model itself: temperature 1, nothing cut off, in float32 (or float64).
        """
        logits = logits_BV if logits_BV.dtype == torch.float64 else logits_BV.float()
        if self.greedy is not None and bool(self.greedy.all()):
            top, ids = logits.max(-1)
            ids = torch.where(torch.isfinite(top), ids, -1)
        else:
            ids = self._draw(logits, draws_B)
        if not self.logps:
            return ids, None
        return ids, logits.log_softmax(-1).gather(-1, ids.clamp(min=0)[:, None])[:, 0]

    def _draw(self, logits: Tensor, draws: Tensor) -> Tensor:
        scaled = logits if self.temperature is None else logits / self.temperature[:, None]
        probs = scaled.softmax(-1)
        if self.truncated is not None:
            assert self.top_p is not None
            assert self.top_k is not None
            probs = probs.index_copy(0, self.truncated, cut(probs[self.truncated], self.top_p, self.top_k))
        ids = invert(probs, draws)
        if self.greedy is not None:
            ids = torch.where(self.greedy & (ids >= 0), logits.argmax(-1), ids)
        return ids


def cut(probs_BV: Tensor, top_p_B: Tensor, top_k_B: Tensor) -> Tensor:
    """Zero all but each row's `top_k` likeliest ids and, of those, the fewest that hold `top_p` of their mass."""
    ordered, ids = probs_BV.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(ordered.shape[-1], device=ordered.device)
    ordered = ordered.masked_fill(rank >= top_k_B[:, None], 0)
    ordered = ordered / ordered.sum(-1, keepdim=True)
    before = ordered.cumsum(-1) - ordered
    ordered = ordered.masked_fill((before >= top_p_B[:, None]) & (top_p_B[:, None] < 1) & (rank > 0), 0)
    return torch.zeros_like(probs_BV).scatter(-1, ids, ordered)


def invert(probs_BV: Tensor, draws_B: Tensor) -> Tensor:
    """Return the id at which each row's running sum passes its draw's share of the total; -1 if that is not finite."""
    running = probs_BV.cumsum(-1, dtype=torch.float64)
    total = running[:, -1]
    # Strictly below the total, so that rounding cannot step past the last id that has any mass.
    target = torch.minimum(draws_B.to(total) * total, total.nextafter(torch.zeros_like(total)))
    ids = torch.searchsorted(running, target[:, None], right=True)[:, 0]
    return torch.where(torch.isfinite(total), ids.clamp(max=probs_BV.shape[-1] - 1), -1)
