"""One training step of Quiet-STaR: text once, thoughts slice by slice, then everything back through the text.

Memory is that of the text and one slice, whatever the number of positions, thoughts and thought tokens.
Source: Quiet-STaR (arXiv:2403.09629, algorithm 1).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from menon.core.seeds import seed_for
from menon.models.thoughts.layout import Places, ThoughtShape, every_place, uniform_places
from menon.models.thoughts.passes import TextPass, ThoughtPass, sample_thoughts, text_pass, think
from menon.models.thoughts.quiet import QuietModel
from menon.teaching.quiet.config import QuietConfig
from menon.teaching.quiet.losses import Talk, mixed_predictions, policy_loss, talk_loss, text_log_probs
from menon.teaching.quiet.reward import advantages, rewards

SAMPLED_TOGETHER = 4  # slices; a row that is only sampled keeps a small part of what one with gradient keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBatch:
    """Right-padded texts: `weights_BL` says how much the prediction of each token counts (0 for padding)."""

    tokens_BL: Tensor
    lengths_B: Tensor
    weights_BL: Tensor

    def to(self, device: torch.device) -> "TextBatch":
        return TextBatch(
            tokens_BL=self.tokens_BL.to(device),
            lengths_B=self.lengths_B.to(device),
            weights_BL=self.weights_BL.to(device),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What chance decides of one forward pass, drawn beforehand: where to think, and one number per thought token."""

    places: Places
    uniforms_BMPK: Tensor


@dataclass(slots=True, kw_only=True)
class Sums:
    """What a step adds up over slices and forward passes (detached)."""

    values: dict[str, float] = field(default_factory=dict)

    def add(self, **values: Tensor | float) -> None:
        for name, value in values.items():
            self.values[name] = self.values.get(name, 0.0) + float(value)

    def mean(self, name: str, count: str) -> float:
        """Return a sum divided by another, zero where nothing was counted."""
        return self.values.get(name, 0.0) / max(self.values.get(count, 0.0), 1e-12)


def draw_chance(
    batch: TextBatch, quiet: QuietModel, shape: ThoughtShape, config: QuietConfig, *names: str | int
) -> Drawn:
    """Draw positions and thoughts' numbers for `batch`; they depend on `names` only, not on device or slices."""
    generator = torch.Generator().manual_seed(seed_for("thoughts", *names))
    places = (
        uniform_places(batch.lengths_B, shape, config.positions, generator)
        if config.positions
        else every_place(batch.lengths_B, shape)
    )
    size = (*places.positions_BM.shape, config.passes, shape.tokens)
    return Drawn(places=places, uniforms_BMPK=torch.rand(size, generator=generator))


def accumulate_gradients(
    quiet: QuietModel,
    batches: Sequence[TextBatch],
    drawn: Sequence[Drawn],
    config: QuietConfig,
    shape: ThoughtShape,
    *,
    reference: QuietModel | None = None,
) -> Sums:
    """Add the gradient of the step's loss to every parameter's `.grad`, and return what was seen.

    The loss is `text` x mean text loss + `talk` x mean mixed loss + `policy` x mean over thought tokens of minus
    advantage times log-probability; the means are over all `batches` together.
    """
    counts = _counts(batches, drawn, config, shape)
    sums = Sums()
    for batch, chance in zip(batches, drawn, strict=True):
        text = text_pass(quiet, batch.tokens_BL)
        logp_BL = text_log_probs(quiet, text, batch.tokens_BL)
        leaf = text.leaf()
        reference_text = _reference_text(reference, batch) if reference is not None else None
        for part, thoughts in _sampled(quiet, leaf, chance, config, shape):
            thought = think(quiet, leaf, batch.tokens_BL, part, thoughts, shape)
            talk = mixed_predictions(quiet, leaf, batch.tokens_BL, part, thought)
            loss = _thought_loss(
                quiet, batch, part, thoughts, thought, talk, logp_BL, config, counts, sums,
                None if reference is None or reference_text is None else (reference, reference_text),
            )  # fmt: skip
            loss.backward()
        nll = -(logp_BL * batch.weights_BL[:, 1:]).sum()
        sums.add(text_nll=nll.detach(), text_count=batch.weights_BL[:, 1:].sum(), tokens=batch.lengths_B.sum())
        text.backward(leaf, config.text * nll / counts["text"])
    return sums


def _sampled(
    quiet: QuietModel, text: TextPass, chance: Drawn, config: QuietConfig, shape: ThoughtShape
) -> Iterator[tuple[Places, Tensor]]:
    """Cut the places into slices with their thoughts; those of `SAMPLED_TOGETHER` slices are sampled at once."""
    for group, uniforms in slices(chance, shape, SAMPLED_TOGETHER * config.slice_rows):
        thoughts_BMPK = sample(quiet, text, group, shape, uniforms)
        drawn = Drawn(places=group, uniforms_BMPK=uniforms)
        done = 0
        for part, numbers in slices(drawn, shape, config.slice_rows):
            count = numbers.shape[1]
            yield part, thoughts_BMPK[:, done : done + count]
            done += count


def sample(quiet: QuietModel, text: TextPass, places: Places, shape: ThoughtShape, uniforms_BMPK: Tensor) -> Tensor:
    """Return the thoughts' tokens by `settings.kind`: sampled, pause (-1) or uniformly random."""
    if quiet.settings.kind == "pause":
        return torch.full(uniforms_BMPK.shape, -1, device=places.positions_BM.device)
    if quiet.settings.kind == "random":
        allowed = torch.tensor([i for i in range(quiet.vocabulary) if i not in quiet.banned_ids])
        chosen = (uniforms_BMPK * len(allowed)).long().clamp(max=len(allowed) - 1)
        return allowed[chosen].to(places.positions_BM.device)
    return sample_thoughts(quiet, text, places, shape, uniforms_BMPK, quiet.settings.temperature)


def slices(chance: Drawn, shape: ThoughtShape, limit: int) -> Iterator[tuple[Places, Tensor]]:
    """Cut the places so that at most `limit` rows of thoughts are run at once; 0 does not cut."""
    batch, count, passes, _ = chance.uniforms_BMPK.shape
    size = max(1, limit // (batch * passes * shape.rows)) if limit else count
    for start in range(0, count, size):
        yield chance.places.slice(start, start + size), chance.uniforms_BMPK[:, start : start + size]


def talk_weights(batch: TextBatch, places: Places, talk: int) -> Tensor:
    """Return the weights of the N true tokens after each place [B, M, N]; zero where a place does not count."""
    steps_N = torch.arange(1, talk + 1, device=places.positions_BM.device)
    index = (places.positions_BM[:, :, None] + steps_N).clamp(max=batch.weights_BL.shape[1] - 1)
    weights = batch.weights_BL.gather(1, index.flatten(1)).view(index.shape)
    return weights * places.valid_BM[:, :, None]


def first_tokens(weights_BMN: Tensor, count: int) -> Tensor:
    """Return the weights with all but the first `count` talk tokens left out; 0 keeps all."""
    if not count:
        return weights_BMN
    keep_N = torch.arange(weights_BMN.shape[-1], device=weights_BMN.device) < count
    return weights_BMN * keep_N


def _counts(
    batches: Sequence[TextBatch], drawn: Sequence[Drawn], config: QuietConfig, shape: ThoughtShape
) -> dict[str, float]:
    text = talk = policy = 0.0
    for batch, chance in zip(batches, drawn, strict=True):
        text += float(batch.weights_BL[:, 1:].sum())
        weights = first_tokens(talk_weights(batch, chance.places, shape.talk), config.loss_tokens)
        talk += float(weights.sum()) * config.passes
        policy += chance.places.count * config.passes * shape.tokens
    return {name: max(value, 1e-12) for name, value in (("text", text), ("talk", talk), ("policy", policy))}


def _thought_loss(
    quiet: QuietModel,
    batch: TextBatch,
    places: Places,
    thoughts_BMPK: Tensor,
    thought: ThoughtPass,
    talk: Talk,
    text_logp_BL: Tensor,
    config: QuietConfig,
    counts: dict[str, float],
    sums: Sums,
    reference: tuple[QuietModel, TextPass] | None,
) -> Tensor:
    weights_BMN = talk_weights(batch, places, thought.shape.talk)
    loss = config.talk * talk_loss(talk.logp_BMPN, first_tokens(weights_BMN, config.loss_tokens)) / counts["talk"]
    text_BMN = _at_places(text_logp_BL.detach(), places, thought.shape.talk)
    reward_BMP = rewards(talk.logp_BMPN, text_BMN, first_tokens(weights_BMN, config.reward_tokens))
    _note(sums, places, weights_BMN, talk, text_BMN, reward_BMP)
    if not config.policy or quiet.settings.kind != "sampled":
        return loss
    advantage_BMP = advantages(reward_BMP, baseline=config.baseline, clamp=config.clamp)
    logp_BMPK = policy_log_probs(quiet, thought, thoughts_BMPK)
    advantage = advantage_BMP[..., None].expand_as(logp_BMPK)
    if config.entropy:
        advantage = advantage - config.entropy * _to_go(logp_BMPK.detach())
    if reference is not None:
        model, text = reference
        with torch.no_grad():
            other = think(model, text, batch.tokens_BL, places, thoughts_BMPK, thought.shape)
            away = logp_BMPK.detach() - policy_log_probs(model, other, thoughts_BMPK)
        advantage = advantage - config.kl * _to_go(away)
        sums.add(kl=(away * places.valid_BM[:, :, None, None]).sum())
    policy = policy_loss(logp_BMPK, advantage, places.valid_BM)
    valid = places.valid_BM[:, :, None, None]
    sums.add(
        policy=policy.detach(),
        thought_nll=-(logp_BMPK.detach().masked_fill(~valid, 0.0)).sum(),
        thought_tokens=places.count * thoughts_BMPK.shape[2] * thoughts_BMPK.shape[3],
    )
    return loss + config.policy * policy / counts["policy"]


def _to_go(values_BMPK: Tensor) -> Tensor:
    """Sum over each token and those behind it: what a token is answerable for."""
    return values_BMPK.flip(-1).cumsum(-1).flip(-1)


def policy_log_probs(quiet: QuietModel, thought: ThoughtPass, thoughts_BMPK: Tensor) -> Tensor:
    """Return the log-probability of every thought token under the distribution that it was drawn from."""
    return quiet.readout.log_probs_of(
        thought.policy_BMPKD,
        thoughts_BMPK,
        temperature=quiet.settings.temperature or 1.0,
        banned=quiet.banned_ids,
    )


def _at_places(logp_BL: Tensor, places: Places, talk: int) -> Tensor:
    """Pick the text's log-probabilities of the N true tokens after each place; entry i of `logp_BL` is token i + 1."""
    steps_N = torch.arange(talk, device=logp_BL.device)
    index = (places.positions_BM[:, :, None] + steps_N).clamp(max=logp_BL.shape[1] - 1)
    return logp_BL.gather(1, index.flatten(1)).view(index.shape)


def _note(sums: Sums, places: Places, weights_BMN: Tensor, talk: Talk, text_BMN: Tensor, reward_BMP: Tensor) -> None:
    valid_BMP = places.valid_BM[:, :, None].expand_as(reward_BMP)
    kept = torch.where(valid_BMP, reward_BMP, torch.zeros_like(reward_BMP))
    spread = torch.where(valid_BMP, (reward_BMP - reward_BMP.mean(-1, keepdim=True)) ** 2, torch.zeros_like(reward_BMP))
    sums.add(
        reward=kept.sum(),
        reward_square=spread.sum(),
        useful=(kept > USEFUL).sum(),
        thoughts=valid_BMP.sum(),
        weight=(talk.weight_BMPN.detach() * valid_BMP[..., None]).sum() / talk.weight_BMPN.shape[-1],
        talk_nll=talk_loss(talk.logp_BMPN.detach(), weights_BMN),
        talk_count=weights_BMN.sum() * reward_BMP.shape[-1],
    )


USEFUL = 0.1  # nats that a thought must gain over its talk tokens to count as useful


def _reference_text(reference: QuietModel, batch: TextBatch) -> TextPass:
    with torch.no_grad():
        return text_pass(reference, batch.tokens_BL)
