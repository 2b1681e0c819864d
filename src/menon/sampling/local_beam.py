"""Beam search over one prompt: the beams are the rows of one cohort.

Scores are summed log-probabilities divided by the number of tokens, the end token included. The search stops when no
running beam can, at its present mean, beat the worst finished one.
Left out: length penalties other than 1, groups, constraints.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from menon.sampling.local_engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """A sequence with its summed log-probability; `ended` when it closed with an end token or stop string."""

    tokens: tuple[int, ...]
    logps: tuple[float, ...]
    total: float
    ended: bool = False

    @property
    def score(self) -> float:
        """Mean log-probability per token."""
        return self.total / max(1, len(self.tokens))


@torch.inference_mode()
def beam_search(
    engine: Engine, prompt: Sequence[int], *, beams: int, limit: int, ended: Callable[[Sequence[int]], bool]
) -> list[Beam]:
    """Return the best `beams` continuations of at most `limit` tokens, best first."""
    cohort = engine.prefill([prompt], [beams], limit)
    running = [Beam(tokens=(), logps=(), total=0.0)]
    finished: list[Beam] = []
    feeds = [prompt[-1]] * beams
    for length in range(1, limit + 1):
        logits = engine.step([cohort], feeds)[: len(running)]
        candidates = _extend(running, logits, 2 * beams)
        following: list[tuple[int, Beam]] = []
        for rank, (parent, beam) in enumerate(candidates):
            if ended(beam.tokens):
                if rank < beams:
                    finished.append(Beam(tokens=beam.tokens, logps=beam.logps, total=beam.total, ended=True))
            elif len(following) < beams:
                following.append((parent, beam))
        finished = sorted(finished, key=lambda beam: -beam.score)[:beams]
        running = [beam for _, beam in following]
        if not running or (len(finished) == beams and running[0].total / length <= finished[-1].score):
            return finished
        parents = [parent for parent, _ in following]
        spare = beams - len(parents)
        cohort.reorder(parents + parents[:1] * spare)
        feeds = [beam.tokens[-1] for beam in running] + [running[0].tokens[-1]] * spare
    return sorted([*finished, *running], key=lambda beam: -beam.score)[:beams]


def _extend(running: Sequence[Beam], logits_BV: Tensor, count: int) -> list[tuple[int, Beam]]:
    """Return the `count` likeliest one-token extensions as (index of the parent, beam), best first."""
    logits = logits_BV if logits_BV.dtype == torch.float64 else logits_BV.float()
    logps = logits.log_softmax(-1)
    totals = torch.tensor([beam.total for beam in running], dtype=logps.dtype, device=logps.device)
    scores = (totals[:, None] + logps).flatten()
    best, places = scores.topk(min(count, len(scores)))
    vocabulary = logps.shape[-1]
    gains = logps.flatten()[places].tolist()
    out = []
    for total, place, gain in zip(best.tolist(), places.tolist(), gains, strict=True):
        parent, token = divmod(place, vocabulary)
        beam = running[parent]
        out.append((parent, Beam(tokens=(*beam.tokens, token), logps=(*beam.logps, gain), total=total)))
    return out
