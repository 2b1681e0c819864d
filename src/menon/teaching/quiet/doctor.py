"""Look at a run of Quiet-STaR before it starts: think over a few texts without learning, and say what would go wrong.

Measures how many thoughts help and how far apart the thoughts of a position are, which is all that REINFORCE learns
from; estimates time and memory. A linear head begins at a weight of exactly 0, where every reward is 0: thoughts are
then judged at a weight of a half, and the report says so. Useful thoughts at the start are needed and not enough: a
thought may also help by its form alone. What shows only later, `watch` sees.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from menon.core.progress import Progress, Silent
from menon.models.thoughts.attention import thought_attention
from menon.models.thoughts.layout import ThoughtShape
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.support import evaluating
from menon.stats import wilson_clustered
from menon.teaching.config import TrainConfig
from menon.teaching.doctor import Finding
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.curriculum import stages
from menon.teaching.quiet.estimate import Memory, estimate_memory
from menon.teaching.quiet.looking import Looks, fits, judging_head, look_at
from menon.teaching.quiet.step import USEFUL, TextBatch, draw_chance
from menon.teaching.quiet.watch import FLAT, USELESS, WARM_START

LOW_WEIGHT = 0.05
_OVERFLOW = "train.precision=float32 and the model in float32, or another model: its weights may be damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietDoctorReport:
    """What the doctor saw: rewards in nats per thought, losses in nats per talk token.

    `best_gain` is how far the best thought of a position is above the mean of its thoughts; `entropy` that of the first
    thought token (nats); `equal` the share of positions whose thoughts are all the same; `judged_weight` the weight put
    in the place of a head at 0 (None: its own). Times are estimates of training from forward passes alone.
    """

    model: str
    texts: int
    short: int
    positions: int
    thoughts: int
    useful: float
    useful_low: float
    useful_high: float
    reward: float
    reward_std: float
    best_gain: float
    weight: float
    judged_weight: float | None
    plain_nll: float
    mixed_nll: float
    entropy: float
    equal: float
    tokens_per_second: float | None
    seconds_estimate: float | None
    memory: Memory
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no finding refuses the run."""
        return not any(f.level == "refuse" for f in self.findings)

    def lines(self) -> list[str]:
        """Return the report as lines of plain text."""
        lines = [f"{self.model}: {self.texts} texts, {self.positions} positions, {self.thoughts} thoughts"]
        if self.thoughts:
            lines += [
                f"useful thoughts (more than {USEFUL} nats): {self.useful:.1%} "
                f"[{self.useful_low:.1%}, {self.useful_high:.1%}]",
                f"reward {self.reward:+.3f} nats a thought, {self.reward_std:.3f} apart within a position, best "
                f"{self.best_gain:+.3f} above the mean",
                f"mixing weight {self.weight:.3f}"
                + ("" if self.judged_weight is None else f", judged at {self.judged_weight:g}"),
                f"loss of the true tokens: {self.plain_nll:.3f} without, {self.mixed_nll:.3f} nats with thought",
                f"first thought token: {self.entropy:.2f} nats of entropy; "
                f"{self.equal:.0%} of positions think one thing only",
            ]
        if self.seconds_estimate is not None and self.tokens_per_second is not None:
            lines.append(
                f"estimated time: {self.seconds_estimate / 60:.1f} minutes, {self.tokens_per_second:.0f} text tokens/s"
            )
        parts = ", ".join(f"{name} {getattr(self.memory, name):.0f}" for name in self.memory.__dataclass_fields__)
        lines.append(f"estimated peak memory: {self.memory.total:.0f} MB ({parts})")
        lines += [f"{f.level.upper()}: {f.what} -> {f.mend}" for f in self.findings]
        return [*lines, "fit to run" if self.ok else "refused; --force runs it all the same"]

    def to_json(self) -> dict[str, Any]:
        """Return the report with its findings as plain values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["findings"] = [{"level": f.level, "what": f.what, "mend": f.mend} for f in self.findings]
        memory = {name: getattr(self.memory, name) for name in self.memory.__dataclass_fields__}
        return {**values, "memory": memory, "memory_mb": self.memory.total, "ok": self.ok}


def examine_quiet(
    quiet: QuietModel,
    batches: Sequence[TextBatch],
    config: QuietConfig,
    training: TrainConfig,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> QuietDoctorReport:
    """Think over `batches` without learning and report; never raises for what it finds.

    At least two thoughts per position are drawn, whatever `quiet.passes` says, so that they can be compared.
    """
    shape = stages(config, quiet.shape)[0].shape
    drawing = config.model_copy(update={"passes": max(2, config.passes)})
    head, judged = judging_head(quiet)
    judge = (
        quiet
        if judged is None
        else QuietModel(quiet.model, quiet.thought_tokens, head, quiet.settings, quiet.banned_ids)
    )
    bf16 = training.precision == "bfloat16"
    looks, progress = Looks(), progress or Silent()
    progress.start("thinking over texts", total=len(batches), unit="batch")
    with (
        torch.no_grad(),
        evaluating(quiet.model),
        thought_attention(quiet.plain),
        torch.autocast(quiet.device.type, torch.bfloat16) if bf16 else nullcontext(),
    ):
        for index, batch in enumerate(batches):
            looks.texts += len(batch.lengths_B)
            looks.short += int((batch.lengths_B <= shape.talk).sum())
            looks.longest = max(looks.longest, int(batch.lengths_B.max()))
            if int(batch.lengths_B.max()) > shape.talk and fits(quiet, batch, shape, looks):
                chance = draw_chance(batch, quiet, shape, drawing, "doctor", seed, index)
                look_at(judge, batch, chance, drawing, training, shape, looks)
            progress.advance()
    return _report(quiet, looks, config, training, shape, judged)


def _report(
    quiet: QuietModel,
    looks: Looks,
    config: QuietConfig,
    training: TrainConfig,
    shape: ThoughtShape,
    judged: float | None,
) -> QuietDoctorReport:
    passes = max(2, config.passes)
    rewards_XP = torch.cat(looks.rewards_XP).float() if looks.rewards_XP else torch.zeros(0, passes)
    useful_XP = rewards_XP > USEFUL
    positions = len(rewards_XP)
    clusters = [position for position in range(positions) for _ in range(passes)]
    share = wilson_clustered(useful_XP.flatten().double().numpy(), clusters) if positions else None
    per_text = positions / max(1, looks.texts - looks.short)
    at_most = max(1, looks.longest - shape.talk)
    memory = estimate_memory(
        quiet, config, training, shape,
        length=looks.longest, places=min(config.positions, at_most) if config.positions else at_most,
    )  # fmt: skip
    rate, seconds = _time(looks, config, training)
    values: dict[str, Any] = {
        "useful": share.value if share else 0.0,
        "useful_low": share.low if share else 0.0,
        "useful_high": share.high if share else 1.0,
        "reward": _mean(rewards_XP),
        "reward_std": float(rewards_XP.var(-1, correction=0).mean().sqrt()) if positions else 0.0,
        "best_gain": _mean(rewards_XP.max(-1).values - rewards_XP.mean(-1)),
        "weight": 0.0 if judged is not None else _mean(_joined(looks.weights_X)),
        "judged_weight": judged,
        "equal": _mean(_joined(looks.equal_X)),
    }
    helped = float(useful_XP.any(-1).float().mean()) if positions else 0.0
    per_step = per_text * config.rows * training.accumulate
    return QuietDoctorReport(
        model=getattr(quiet.plain.config, "_name_or_path", "") or type(quiet.plain).__name__,
        texts=looks.texts,
        short=looks.short,
        positions=positions,
        thoughts=rewards_XP.numel(),
        plain_nll=looks.plain_nll / max(looks.talk_count, 1e-12),
        mixed_nll=looks.mixed_nll / max(looks.talk_count, 1e-12),
        entropy=_mean(_joined(looks.entropy_X)),
        tokens_per_second=rate,
        seconds_estimate=seconds,
        memory=memory,
        findings=tuple(_findings(quiet, config, shape, looks, values, helped, per_step)),
        **values,
    )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts)).float() if parts else torch.zeros(0)


def _mean(values: Tensor) -> float:
    return float(values.float().mean()) if values.numel() else 0.0


def _time(looks: Looks, config: QuietConfig, training: TrainConfig) -> tuple[float | None, float | None]:
    """Return text tokens a second and the seconds of all steps; later stages of a curriculum count like the first."""
    timed = looks.seconds[1:] or looks.seconds  # the first batch pays for what is done once
    if not timed or not sum(tokens for _, tokens in timed):
        return None, None
    rate = sum(tokens for _, tokens in timed) / sum(seconds for seconds, _ in timed)
    per_text = looks.tokens / max(1, looks.texts)
    return rate, config.steps * training.accumulate * config.rows * per_text / rate


def _findings(
    quiet: QuietModel,
    config: QuietConfig,
    shape: ThoughtShape,
    looks: Looks,
    values: dict[str, Any],
    helped: float,
    per_step: float,
) -> Iterator[Finding]:
    yield from _about_texts(config, shape, looks, per_step)
    if not looks.rewards_XP or not sum(len(part) for part in looks.rewards_XP):
        return
    if not math.isfinite(values["reward"]):
        yield _finding(
            "refuse", f"the mean reward is {values['reward']}: predictions after thoughts overflow", _OVERFLOW
        )
        return
    if values["judged_weight"] is not None:
        yield _finding(
            "note",
            "the linear head gives thoughts a weight of exactly 0 at first, so the first steps teach the head alone; "
            "thoughts were judged here at a weight of 0.5",
            "nothing, or thoughts.head=mlp to begin at thoughts.initial_weight",
        )
    elif abs(values["weight"]) < LOW_WEIGHT:
        yield _finding(
            "warn",
            f"the mixing weight is {values['weight']:.3f}: rewards are scaled down by it, and learning starts late",
            "thoughts.initial_weight=0.5 (head mlp), or a new head for a model that has one",
        )
    if config.policy and quiet.settings.kind == "sampled":
        yield from _about_rewards(quiet, config, values, helped, per_step)


def _about_texts(config: QuietConfig, shape: ThoughtShape, looks: Looks, per_step: float) -> Iterator[Finding]:
    if looks.too_long:
        yield _finding("refuse", looks.too_long, "shorter texts, or shorter thoughts (thoughts.tokens)")
    if looks.not_finite:
        yield _finding(
            "refuse",
            f"the model's predictions overflow in batches of {looks.not_finite} of {looks.texts} texts",
            _OVERFLOW,
        )
    longer = f"longer texts, or thoughts.talk below {shape.talk}"
    if not looks.texts:
        yield _finding("refuse", "no texts to think over", "give a data file with texts, or raise --limit")
    elif looks.short == looks.texts:
        yield _finding("refuse", f"no text has more than {shape.talk} tokens, so none can be thought over", longer)
    elif looks.short > looks.texts / 5:
        yield _finding(
            "warn",
            f"{looks.short} of {looks.texts} texts have at most {shape.talk} tokens and are never thought over",
            longer,
        )
    if config.passes == 1 and config.policy:
        yield _finding(
            "warn",
            "one thought per position is compared with nothing: that a position is easy is taken for reward",
            "quiet.passes=2 or more with quiet.baseline=mean",
        )


def _about_rewards(
    quiet: QuietModel, config: QuietConfig, values: dict[str, Any], helped: float, per_step: float
) -> Iterator[Finding]:
    if values["reward_std"] < FLAT:
        yield _finding(
            "refuse",
            "all thoughts of a position have the same reward, so no thought can be preferred to another",
            _mend_of_flat(quiet, values),
        )
        return
    if values["useful"] < USELESS:
        yield _finding(
            "warn",
            f"{values['useful']:.1%} of the thoughts help (95 % interval {values['useful_low']:.1%} to "
            f"{values['useful_high']:.1%}): there is hardly a good one to prefer",
            WARM_START,
        )
    elif helped * per_step < 1:
        wanted = math.ceil(1 / (helped * per_step)) * max(1, config.positions)
        mend = f"quiet.positions={wanted}, " if config.positions else ""
        yield _finding(
            "warn",
            f"a step thinks at {per_step:.0f} positions, and {helped:.1%} of positions have a useful thought: most "
            "steps have nothing to learn",
            f"{mend}quiet.rows above {config.rows}, or train.accumulate",
        )


def _mend_of_flat(quiet: QuietModel, values: dict[str, Any]) -> str:
    if quiet.settings.temperature == 0:
        return "thoughts.temperature=1.0: at 0 all thoughts of a position are the same"
    if values["equal"] > 0.99:
        return f"a thoughts.temperature above {quiet.settings.temperature:g}: all thoughts of a position are the same"
    if values["judged_weight"] is None and abs(values["weight"]) < LOW_WEIGHT:
        return "thoughts.initial_weight=0.5 (head mlp), so that thoughts count"
    return WARM_START


def _finding(level: Literal["refuse", "warn", "note"], what: str, mend: str) -> Finding:
    return Finding(level=level, what=what, mend=mend)
