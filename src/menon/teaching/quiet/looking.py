"""Think over texts without learning, and gather what the doctor of Quiet-STaR wants to know."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from menon.core.errors import ConfigError
from menon.models.thoughts.layout import Places, ThoughtShape
from menon.models.thoughts.mixing import MixingHead
from menon.models.thoughts.passes import text_pass, think
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.support import check_positions
from menon.teaching.config import TrainConfig
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.losses import mixed_predictions, text_log_probs
from menon.teaching.quiet.reward import rewards
from menon.teaching.quiet.step import Drawn, TextBatch, first_tokens, policy_log_probs, sample, slices, talk_weights


@dataclass(slots=True, kw_only=True)
class Looks:
    """What was gathered over batches; tensors have one row per valid position."""

    rewards_XP: list[Tensor] = field(default_factory=list)
    weights_X: list[Tensor] = field(default_factory=list)
    entropy_X: list[Tensor] = field(default_factory=list)
    equal_X: list[Tensor] = field(default_factory=list)
    plain_nll: float = 0.0
    mixed_nll: float = 0.0
    talk_count: float = 0.0
    texts: int = 0
    short: int = 0
    tokens: int = 0
    longest: int = 0
    seconds: list[tuple[float, int]] = field(default_factory=list)  # a step's forward and backward passes, text tokens
    too_long: str = ""
    not_finite: int = 0  # texts in batches whose plain predictions overflow


def judging_head(quiet: QuietModel) -> tuple[MixingHead, float | None]:
    """Return the head to judge with; one of weight 0 everywhere is replaced by one of a half."""
    head = quiet.head
    if head.kind != "linear" or bool(head.last.weight.any()):
        return head, None
    weight = head.last.weight
    half = MixingHead(quiet.thought_tokens.width, "mlp", initial_weight=0.5)
    return half.to(device=weight.device, dtype=weight.dtype), 0.5


def fits(quiet: QuietModel, batch: TextBatch, shape: ThoughtShape, looks: Looks) -> bool:
    """Say whether texts and thoughts have positions enough; the first reason against it is kept."""
    try:
        check_positions(quiet.plain, int(batch.lengths_B.max()), shape)
    except ConfigError as error:
        looks.too_long = looks.too_long or str(error)
        return False
    return True


def look_at(
    quiet: QuietModel,
    batch: TextBatch,
    chance: Drawn,
    config: QuietConfig,
    training: TrainConfig,
    shape: ThoughtShape,
    looks: Looks,
) -> None:
    """Think over one batch and add what is seen; the time is that of a step's forward and backward passes."""
    device, clock = quiet.device, _clock(quiet.device)
    batch = batch.to(device)
    again = 4 if training.gradient_checkpointing else 3  # a backward pass costs two forward ones
    started = clock()
    text = text_pass(quiet, batch.tokens_BL)
    logp_BL = text_log_probs(quiet, text, batch.tokens_BL)
    seconds = again * (clock() - started)
    if not bool(torch.where(batch.weights_BL[:, 1:] > 0, logp_BL, torch.zeros_like(logp_BL)).isfinite().all()):
        looks.not_finite += len(batch.lengths_B)
        return
    moved = Places(positions_BM=chance.places.positions_BM.to(device), valid_BM=chance.places.valid_BM.to(device))
    for places, uniforms in slices(Drawn(places=moved, uniforms_BMPK=chance.uniforms_BMPK), shape, config.slice_rows):
        started = clock()
        thoughts = sample(quiet, text, places, shape, uniforms)
        drawn = clock()
        thought = think(quiet, text, batch.tokens_BL, places, thoughts, shape)
        talk = mixed_predictions(quiet, text, batch.tokens_BL, places, thought)
        if quiet.settings.kind == "sampled" and config.policy:
            policy_log_probs(quiet, thought, thoughts)
        seconds += drawn - started + again * (clock() - drawn)
        weights_BMN = talk_weights(batch, places, shape.talk)
        index = (places.positions_BM[:, :, None] + torch.arange(shape.talk, device=device)).clamp(
            max=logp_BL.shape[1] - 1
        )
        plain_BMN = logp_BL.gather(1, index.flatten(1)).view(index.shape)
        valid = places.valid_BM
        counted = first_tokens(weights_BMN, config.reward_tokens)
        looks.rewards_XP.append(rewards(talk.logp_BMPN, plain_BMN, counted)[valid].cpu())
        looks.weights_X.append(talk.weight_BMPN[valid].float().mean((-1, -2)).cpu())
        looks.equal_X.append((thoughts == thoughts[:, :, :1]).all(-1).all(-1)[valid].cpu())
        looks.plain_nll -= float((plain_BMN * weights_BMN).sum())
        looks.mixed_nll -= float((talk.logp_BMPN.mean(2) * weights_BMN).sum())
        looks.talk_count += float(weights_BMN.sum())
        first_BMD = thought.policy_BMPKD[:, :, 0, 0]
        temperature = quiet.settings.temperature or 1.0
        entropy_BM = quiet.readout.entropy_of(first_BMD, temperature=temperature, banned=quiet.banned_ids)
        looks.entropy_X.append(entropy_BM[valid].cpu())
    looks.tokens += int(batch.lengths_B.sum())
    looks.seconds.append((seconds, int(batch.lengths_B.sum())))


def _clock(device: torch.device) -> Callable[[], float]:
    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return now
