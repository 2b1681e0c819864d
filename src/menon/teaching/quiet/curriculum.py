"""Fast Quiet-STaR: thoughts that become shorter by stages, and at last a model that needs none.

Source: Fast Quiet-STaR (arXiv:2505.17746): lengths 16, 12, 8 and a last stage without thoughts. Deviation: there the
last stage is reinforcement learning on the difference of the two losses of the true token; here the plain model learns
the whole mixed distribution of the thinking one (a Kullback-Leibler divergence beside the text loss), which has less
variance and needs no reward. Each stage has an equal share of the steps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from menon.models.thoughts.layout import Places, ThoughtShape
from menon.models.thoughts.passes import TextPass, ThoughtPass, talk_partners, text_pass, think
from menon.models.thoughts.quiet import QuietModel
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.losses import text_log_probs
from menon.teaching.quiet.step import Drawn, Sums, TextBatch, sample, slices, talk_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps from `first` on have thoughts of this shape; in a `thoughtless` one only the frozen teacher has them."""

    number: int
    first: int
    shape: ThoughtShape
    thoughtless: bool = False


def stages(config: QuietConfig, shape: ThoughtShape) -> list[Stage]:
    """Return the stages of a run in order; without a curriculum there is one."""
    lengths = list(config.curriculum) or [shape.tokens]
    count = len(lengths) + config.thoughtless
    lengths += lengths[-1:] * config.thoughtless
    return [
        Stage(
            number=number,
            first=config.steps * number // count,
            shape=ThoughtShape(tokens=length, talk=shape.talk),
            thoughtless=config.thoughtless and number == count - 1,
        )
        for number, length in enumerate(lengths)
    ]


def stage_at(plan: Sequence[Stage], step: int) -> Stage:
    """Return the stage that `step` belongs to."""
    return [stage for stage in plan if stage.first <= step][-1]


def distil_gradients(
    quiet: QuietModel,
    teacher: QuietModel,
    batches: Sequence[TextBatch],
    drawn: Sequence[Drawn],
    config: QuietConfig,
    shape: ThoughtShape,
) -> Sums:
    """Add the gradient of one step of the stage without thoughts.

    The loss is `text` x mean text loss + `talk` x mean divergence (nats) of the plain prediction after each place from
    the mixed prediction of `teacher`, averaged over its P thoughts and weighted as the predicted token is.
    """
    sums = Sums()
    text_count = sum(float(batch.weights_BL[:, 1:].sum()) for batch in batches)
    counted = sum(float(talk_weights(batch, d.places, 1).sum()) for batch, d in zip(batches, drawn, strict=True))
    for batch, chance in zip(batches, drawn, strict=True):
        text = text_pass(quiet, batch.tokens_BL)
        logp_BL = text_log_probs(quiet, text, batch.tokens_BL)
        nll = -(logp_BL * batch.weights_BL[:, 1:]).sum()
        leaf, away = text.leaf(), 0.0
        with torch.no_grad():
            taught = text_pass(teacher, batch.tokens_BL)
        for part, uniforms in slices(chance, shape, config.slice_rows):
            with torch.no_grad():
                thoughts = sample(teacher, taught, part, shape, uniforms)
                thought = think(teacher, taught, batch.tokens_BL, part, thoughts, shape)
                goal_BMV = mixed_distribution(teacher, taught, thought, part)
            own_BMD = talk_partners(leaf.hidden_BLD, part, 1)[:, :, 0]
            own_BMV = quiet.readout.logits(own_BMD).float().log_softmax(-1)
            each_BM = functional.kl_div(own_BMV, goal_BMV, reduction="none", log_target=True).sum(-1)
            divergence = (each_BM * talk_weights(batch, part, 1)[:, :, 0]).sum()
            (config.talk * divergence / max(counted, 1e-12)).backward()
            away += float(divergence.detach())
        text.backward(leaf, config.text * nll / max(text_count, 1e-12))
        sums.add(
            text_nll=nll.detach(), text_count=batch.weights_BL[:, 1:].sum(), tokens=batch.lengths_B.sum(),
            talk_nll=away, talk_count=talk_weights(batch, chance.places, 1).sum(),
        )  # fmt: skip
    return sums


def mixed_distribution(quiet: QuietModel, text: TextPass, thought: ThoughtPass, places: Places) -> Tensor:
    """Return log-probabilities of the token after each place, the mean over the P thoughts' mixtures [B, M, V]."""
    after_BMPD = thought.talk_BMPND[:, :, :, 0]
    base_BMPD = talk_partners(text.hidden_BLD, places, 1).expand(after_BMPD.shape)
    logp = quiet.mixed(base_BMPD, after_BMPD)[0].log_softmax(-1)
    return logp.logsumexp(2) - math.log(logp.shape[2])
