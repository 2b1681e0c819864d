"""The one training loop: AdamW on weighted next-token loss, resumable bit for bit.

A generator that yields one small report per optimizer step; whoever calls it decides what to log, probe or save. The
batch of a step is a pure function of the step, so a state on disk is the model, the optimizer's moments and a number.
Left out: trainer classes, callbacks, distributed training (the units above it are what is distributed).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from menon.core.errors import Diverged, RunError
from menon.core.seeds import seed_for
from menon.teaching.config import TrainConfig
from menon.teaching.objectives import weighted_cross_entropy
from menon.teaching.rows import Row, collate

STATE = "state.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One optimizer step: mean loss per weighted token (nats), gradient norm before clipping, real tokens seen."""

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    tokens: int


def learning_rate(config: TrainConfig, step: int, steps: int) -> float:
    """Return the learning rate of `step` (from 0) in a run of `steps`."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return config.learning_rate * (1 - (1 - config.final_share) * min(1.0, progress))


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Build AdamW over the trainable parameters; vectors (norms, biases) are not decayed."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=config.learning_rate, betas=config.betas, fused=True
    )


def train(
    model: nn.Module,
    batch_at: Callable[[int], Sequence[Row]],
    config: TrainConfig,
    *,
    steps: int,
    pad: int,
    optimizer: torch.optim.AdamW | None = None,
    first_step: int = 0,
) -> Iterator[Step]:
    """Train `model` in place from `first_step` to `steps`, yielding after each optimizer step.

    Args:      batch_at: rows of forward pass number i; step s uses passes s * accumulate and on.
    Raises:    Diverged: the loss or the gradient is not finite; the parameters are those before the bad step.
    """
    adam = optimizer or make_optimizer(model, config)
    device = next(model.parameters()).device
    if config.gradient_checkpointing:
        # transformers 5 renames it; the older name warns there and is the only one before.
        enable: Any = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable()
    autocast = torch.autocast(device.type, torch.bfloat16) if config.precision == "bfloat16" else nullcontext()
    was_training = model.training
    model.train()
    try:
        for step in range(first_step, steps):
            rate = learning_rate(config, step, steps)
            for group in adam.param_groups:
                group["lr"] = rate
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed(seed_for("train", step))  # dropout of a resumed run as in an uninterrupted one
                loss, tokens = _accumulate_gradients(model, batch_at, config, step, pad, device, autocast)
            norm = float(nn.utils.clip_grad_norm_(model.parameters(), config.clip))
            if not (torch.isfinite(torch.tensor([loss, norm])).all()):
                adam.zero_grad(set_to_none=True)
                raise Diverged(
                    f"training step {step + 1} of {steps} gave loss {loss} and gradient norm {norm}; lower "
                    f"train.learning_rate (now {config.learning_rate:g}) or look for broken rows in the data"
                )
            adam.step()
            adam.zero_grad(set_to_none=True)
            yield Step(step=step, loss=loss, gradient_norm=norm, learning_rate=rate, tokens=tokens)
    finally:
        model.train(was_training)


def _accumulate_gradients(model, batch_at, config, step, pad, device, autocast) -> tuple[float, int]:
    batches = [collate(batch_at(step * config.accumulate + i), pad) for i in range(config.accumulate)]
    weight = sum(float(batch.weights_BT[:, 1:].sum()) for batch in batches)
    total, tokens = 0.0, 0
    for batch in batches:
        inputs = batch.tokens_BT.to(device)
        with autocast:
            logits = model(input_ids=inputs, attention_mask=_needed_mask(batch, device), use_cache=False).logits
        loss, _ = weighted_cross_entropy(logits, inputs, batch.weights_BT.to(device))
        (loss / weight).backward()
        total += float(loss.detach()) / weight
        tokens += batch.tokens
    return total, tokens


def _needed_mask(batch, device):
    # Padding on the right is behind the causal mask of every token that counts, and no mask is the fastest path.
    return None if device.type == "cpu" else batch.mask_BT.to(device)


def save_state(
    folder: Path, model: nn.Module, optimizer: torch.optim.AdamW, step: int, history: Sequence[Step] = ()
) -> None:
    """Write the trainable parameters, the optimizer's moments, the next step and the steps so far as safetensors."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    past = [[s.step, s.loss, s.gradient_norm, s.learning_rate, s.tokens] for s in history]
    tensors = {"next": torch.tensor(step), "history": torch.tensor(past, dtype=torch.float64).reshape(-1, 5)}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[parameter]
            tensors[f"parameter.{name}"] = parameter.detach().cpu().contiguous()
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{key}.{name}"] = value.detach().cpu().contiguous()
    save_file(tensors, folder / STATE)


def load_state(folder: Path, model: nn.Module, optimizer: torch.optim.AdamW) -> tuple[int, list[Step]]:
    """Restore what `save_state` wrote; return the step to go on from and the steps so far.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        tensors = load_file(folder / STATE)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"cannot read the training state in {folder}: {error}; delete that folder to redo the stage"
        ) from error
    for name, parameter in model.named_parameters():
        if f"parameter.{name}" not in tensors:
            continue
        with torch.no_grad():
            parameter.copy_(tensors[f"parameter.{name}"])
        state = {
            key: tensors[f"{key}.{name}"].to(parameter.device if key != "step" else "cpu")
            for key in ("step", "exp_avg", "exp_avg_sq")
            if f"{key}.{name}" in tensors
        }
        if state:
            optimizer.state[parameter] = state
    history = [
        Step(step=int(step), loss=loss, gradient_norm=norm, learning_rate=rate, tokens=int(tokens))
        for step, loss, norm, rate, tokens in tensors["history"].tolist()
    ]
    return int(tensors["next"]), history
