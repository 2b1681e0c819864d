"""The training loop of Quiet-STaR: AdamW with four parameter groups, resumable bit for bit.

A generator that yields one small report per optimizer step. What a step draws depends on the run's names and its
number, so a state on disk is the parameters, the optimizer's moments and that number.
Source: Quiet-STaR (arXiv:2403.09629, appendix A): 20 warm-up steps, weight decay 0.001, gradient norm 1.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from menon.core.errors import Diverged
from menon.models.thoughts.attention import thought_attention
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.support import check_positions
from menon.teaching.config import TrainConfig
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.curriculum import Stage, distil_gradients, stage_at, stages
from menon.teaching.quiet.step import Drawn, Sums, TextBatch, accumulate_gradients, draw_chance
from menon.teaching.train import learning_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietStep:
    """One optimizer step: losses in nats per token, reward in nats per thought.

    `reward_std` is the spread of rewards within a position, `weight` the mean mixing weight, `useful` the share of
    thoughts that gain at least 0.1 nats, `thought_nll` the policy's own surprise per thought token.
    """

    step: int
    stage: int
    text_loss: float
    talk_loss: float
    policy_loss: float
    reward: float
    reward_std: float
    weight: float
    useful: float
    thought_nll: float
    gradient_norm: float
    learning_rate: float
    tokens: int

    @property
    def finite(self) -> bool:
        numbers = (self.text_loss, self.talk_loss, self.policy_loss, self.reward, self.gradient_norm)
        return all(torch.isfinite(torch.tensor(numbers)))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def make_quiet_optimizer(quiet: QuietModel, config: QuietConfig, train: TrainConfig) -> torch.optim.AdamW:
    """Build AdamW: matrices and vectors of the model, the thought vectors, the mixing head; each has its own rate."""
    own = {id(p) for part in (quiet.thought_tokens, quiet.head) for p in part.parameters()}
    model = [p for p in quiet.parameters() if p.requires_grad and id(p) not in own]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model if p.ndim >= 2], "weight_decay": train.weight_decay, "factor": 1.0},
        {"params": [p for p in model if p.ndim < 2], "weight_decay": 0.0, "factor": 1.0},
        {"params": list(quiet.thought_tokens.parameters()), "weight_decay": 0.0, "factor": config.token_rate},
        {"params": list(quiet.head.parameters()), "weight_decay": train.weight_decay, "factor": config.head_rate},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=train.learning_rate, betas=train.betas, fused=True)


def teach_quiet(
    quiet: QuietModel,
    batch_at: Callable[[int], TextBatch],
    config: QuietConfig,
    train: TrainConfig,
    *,
    names: Sequence[str | int],
    optimizer: torch.optim.AdamW,
    first_step: int = 0,
    reference: QuietModel | None = None,
    teacher: Callable[[bool], QuietModel] | None = None,
) -> Iterator[QuietStep]:
    """Teach `quiet` in place from `first_step` to `config.steps`, yielding after each optimizer step.

    Args:
        batch_at: texts of forward pass number i; step s uses passes s * accumulate and on.
        names: what the chance of this run is named after.
        reference: the model before teaching, for `config.kl`.
        teacher: returns the frozen thinking model of the stage without thoughts; told whether the stage begins here.

    Raises:
        Diverged: a loss, the reward or the gradient is not finite; the parameters are those before the bad step.
        ConfigError: a text with its thought is longer than the model's positions.
    """
    plan = stages(config, quiet.shape)
    frozen: QuietModel | None = None
    _checkpointing(quiet, train)
    with _training(quiet), thought_attention(quiet.plain):
        for step in range(first_step, config.steps):
            stage = stage_at(plan, step)
            if stage.thoughtless and frozen is None:
                frozen = teacher(step == stage.first) if teacher else frozen_copy(quiet)
            rate = _set_rates(optimizer, train, step, config.steps)
            sums = _gradients(quiet, batch_at, config, train, stage, step, names, reference, frozen)
            norm = float(nn.utils.clip_grad_norm_(quiet.parameters(), train.clip))
            report = _report(sums, step, stage, norm, rate)
            if not report.finite:
                optimizer.zero_grad(set_to_none=True)
                raise Diverged(_diverged(report, config.steps, train))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            yield report


def frozen_copy(quiet: QuietModel) -> QuietModel:
    """Return a copy that is never trained."""
    return copy.deepcopy(quiet).requires_grad_(False).eval()


def _gradients(
    quiet: QuietModel,
    batch_at: Callable[[int], TextBatch],
    config: QuietConfig,
    train: TrainConfig,
    stage: Stage,
    step: int,
    names: Sequence[str | int],
    reference: QuietModel | None,
    teacher: QuietModel | None,
) -> Sums:
    batches = [batch_at(step * train.accumulate + i) for i in range(train.accumulate)]
    shape = stage.shape
    for batch in batches:
        check_positions(quiet.plain, int(batch.lengths_B.max()), shape)
    drawn = [draw_chance(batch, quiet, shape, config, *names, step, i) for i, batch in enumerate(batches)]
    batches = [batch.to(quiet.device) for batch in batches]
    drawn = [Drawn(places=d.places.to(quiet.device), uniforms_BMPK=d.uniforms_BMPK) for d in drawn]
    bf16 = train.precision == "bfloat16"
    with torch.autocast(quiet.device.type, torch.bfloat16) if bf16 else nullcontext():
        if teacher is not None and stage.thoughtless:
            return distil_gradients(quiet, teacher, batches, drawn, config, shape)
        return accumulate_gradients(quiet, batches, drawn, config, shape, reference=reference)


def _set_rates(optimizer: torch.optim.AdamW, train: TrainConfig, step: int, steps: int) -> float:
    rate = learning_rate(train, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


def _report(sums: Sums, step: int, stage: Stage, norm: float, rate: float) -> QuietStep:
    spread = sums.mean("reward_square", "thoughts")
    return QuietStep(
        step=step,
        stage=stage.number,
        text_loss=sums.mean("text_nll", "text_count"),
        talk_loss=sums.mean("talk_nll", "talk_count"),
        policy_loss=sums.mean("policy", "thought_tokens"),
        reward=sums.mean("reward", "thoughts"),
        reward_std=spread**0.5 if spread >= 0 else float("nan"),
        weight=sums.mean("weight", "thoughts"),
        useful=sums.mean("useful", "thoughts"),
        thought_nll=sums.mean("thought_nll", "thought_tokens"),
        gradient_norm=norm,
        learning_rate=rate,
        tokens=int(sums.values.get("tokens", 0)),
    )


def _diverged(report: QuietStep, steps: int, train: TrainConfig) -> str:
    return (
        f"step {report.step + 1} of {steps} gave text loss {report.text_loss:.4g}, talk loss {report.talk_loss:.4g}, "
        f"reward {report.reward:.4g} and gradient norm {report.gradient_norm:.4g}; lower train.learning_rate (now "
        f"{train.learning_rate:g}) or quiet.policy, load the model in float32, or look for broken rows in the data"
    )


def _checkpointing(quiet: QuietModel, train: TrainConfig) -> None:
    if not train.gradient_checkpointing:
        return
    plain = quiet.plain
    # Only the non-reentrant kind sees keys and values that come from outside the layer.
    settings = {"use_reentrant": False}
    if hasattr(plain, "activation_checkpointing_enable"):
        plain.activation_checkpointing_enable(activation_checkpointing_kwargs=settings)
    else:
        plain.gradient_checkpointing_enable(gradient_checkpointing_kwargs=settings)


@contextmanager
def _training(quiet: QuietModel) -> Iterator[None]:
    was = quiet.training
    quiet.train()
    try:
        yield
    finally:
        quiet.train(was)
