"""The two phases of parallel thoughts: sample them step by step without gradient, then run all of them at once with it.

The text goes through the model once and is shared by every thought. `leaf` cuts the graph at the text's keys, values
and hidden states, so that thoughts can be run and differentiated slice by slice: what gathers there goes back through
the text once, at the end. The sums are those of one packed pass over text and thoughts.
Source: Quiet-STaR (arXiv:2403.09629, section 4.2 and algorithm 1). The official code samples inside the graph, a row
at a time, and repeats the text for every thought.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from menon.models.thoughts.attention import KeyValue, ThoughtState, recomputed_with_thoughts, thought_attention
from menon.models.thoughts.layout import Places, ThoughtShape
from menon.models.thoughts.quiet import QuietModel


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPass:
    """The text's hidden states after the last norm, and keys and values of every layer."""

    hidden_BLD: Tensor
    base: dict[int, KeyValue]

    def leaf(self) -> "TextPass":
        """Return copies without history that gather gradients."""
        hidden_BLD = self.hidden_BLD.detach().requires_grad_(self.hidden_BLD.requires_grad)
        base = {
            layer: (k.detach().requires_grad_(k.requires_grad), v.detach().requires_grad_(v.requires_grad))
            for layer, (k, v) in self.base.items()
        }
        return TextPass(hidden_BLD=hidden_BLD, base=base)

    def backward(self, leaf: "TextPass", loss: Tensor | None = None) -> None:
        """Send the gradients that `leaf` gathered, and `loss`, back through the text."""
        outputs = [(self.hidden_BLD, leaf.hidden_BLD)]
        for layer, pair in self.base.items():
            outputs += zip(pair, leaf.base[layer], strict=True)
        tensors = [out for out, cut in outputs if cut.grad is not None]
        grads: list[Tensor | None] = [cut.grad for _, cut in outputs if cut.grad is not None]
        if loss is not None and loss.requires_grad:
            tensors.append(loss)
            grads.append(None)
        if tensors:
            torch.autograd.backward(tensors, grads)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoughtPass:
    """Hidden states of all rows of all thoughts, and the two parts that anybody reads."""

    hidden_BMPTD: Tensor
    shape: ThoughtShape

    @property
    def policy_BMPKD(self) -> Tensor:
        """Rows from which the K thought tokens are predicted: the start vector and all thought tokens but the last."""
        return self.hidden_BMPTD[:, :, :, : self.shape.tokens]

    @property
    def talk_BMPND(self) -> Tensor:
        """Rows from which the N true tokens are predicted: the end vector and the N - 1 true tokens behind it."""
        return self.hidden_BMPTD[:, :, :, self.shape.tokens + 1 :]


def text_pass(quiet: QuietModel, tokens_BL: Tensor) -> TextPass:
    """Run the text once. Rows are padded on the right; what stands in the padding reaches nothing that counts."""
    state = ThoughtState(mode="text")
    positions_BL = torch.arange(tokens_BL.shape[1], device=tokens_BL.device).expand_as(tokens_BL)
    hidden_BLD = _decode(quiet, quiet.embed(tokens_BL), positions_BL, state)
    return TextPass(hidden_BLD=hidden_BLD, base=state.base)


@torch.no_grad()
def sample_thoughts(
    quiet: QuietModel,
    text: TextPass,
    places: Places,
    shape: ThoughtShape,
    uniforms_BMPK: Tensor,
    temperature: float = 1.0,
) -> Tensor:
    """Sample K tokens after the start vector, for P thoughts at every place; returns ids [B, M, P, K].

    Args:
        uniforms_BMPK: numbers in [0, 1); a token is where the cumulative probability passes its number, so what is
            drawn does not depend on how places are cut into slices.
        temperature: divides the logits; 0 takes the likeliest token.
    """
    batch, count, passes, _ = uniforms_BMPK.shape
    reach, low = int(places.positions_BM.max()) + 1, int(places.positions_BM.min()) + 1
    base, positions_BC = _detached(text.base), places.positions_BM
    state = ThoughtState(mode="step", base=base, positions_BC=positions_BC, capacity=1, reach=reach, low=low)
    inputs_BCD = quiet.thought_tokens.start.expand(batch, count, -1)
    uniforms_BCK = uniforms_BMPK.flatten(1, 2)
    drawn = []
    for step in range(shape.tokens):
        hidden_BCD = _decode(quiet, inputs_BCD, positions_BC + 1 + step, state)
        if step == 0:  # all thoughts of a place begin with the same row, which is run once
            hidden_BCD = hidden_BCD.repeat_interleave(passes, 1)
        logits_BCV = quiet.readout.logits(hidden_BCD)
        numbers_BC = uniforms_BCK[:, :, step].to(logits_BCV.device)
        ids_BC = draw(logits_BCV, numbers_BC, temperature, quiet.banned_ids)
        drawn.append(ids_BC)
        if step + 1 == shape.tokens:
            break
        if step == 0:
            positions_BC = positions_BC.repeat_interleave(passes, 1)
            own = {layer: _spread(pair, passes, shape.tokens) for layer, pair in state.own.items()}
            state = ThoughtState(
                mode="step",
                base=base,
                positions_BC=positions_BC,
                capacity=shape.tokens,
                own=own,
                reach=reach,
                low=low,
            )
        inputs_BCD = quiet.embed(ids_BC)
        state.next_row()
    return torch.stack(drawn, -1).unflatten(1, (count, passes))


def _spread(pair: KeyValue, passes: int, capacity: int) -> KeyValue:
    """Return buffers of `capacity` rows for every thought, the first row that of its place."""
    buffers = []
    for first in pair:
        batch, heads, count, _, width = first.shape
        buffer = first.new_empty((batch, heads, count * passes, capacity, width))
        buffer[:, :, :, :1] = first.repeat_interleave(passes, 2)
        buffers.append(buffer)
    return buffers[0], buffers[1]


def draw(logits_XV: Tensor, uniforms_X: Tensor, temperature: float, banned_ids: tuple[int, ...] = ()) -> Tensor:
    """Draw one id per row by the inverse of the cumulative distribution; temperature 0 takes the likeliest."""
    logits_XV = logits_XV.float()
    if banned_ids:
        logits_XV = logits_XV.index_fill(-1, torch.tensor(banned_ids, device=logits_XV.device), float("-inf"))
    if temperature == 0:
        return logits_XV.argmax(-1)
    cumulative_XV = (logits_XV / temperature).softmax(-1).cumsum(-1)
    total_X = cumulative_XV[..., -1]
    target_X = torch.minimum(uniforms_X * total_X, torch.nextafter(total_X, torch.zeros_like(total_X)))
    found_X = torch.searchsorted(cumulative_XV, target_X[..., None], right=True)[..., 0]
    return found_X.clamp(max=logits_XV.shape[-1] - 1)  # beyond the end only where logits are not finite


def think(
    quiet: QuietModel,
    text: TextPass,
    tokens_BL: Tensor,
    places: Places,
    thoughts_BMPK: Tensor,
    shape: ThoughtShape,
) -> ThoughtPass:
    """Run start, thought, end and the true tokens behind it for all thoughts at once, with gradient.

    `thoughts_BMPK` below zero stands for the pause vector.
    """
    _, count, passes, _ = thoughts_BMPK.shape
    inputs_BMPTD = _inputs(quiet, tokens_BL, places, thoughts_BMPK, shape)
    positions_BC = places.positions_BM.repeat_interleave(passes, dim=1)
    rows_T = torch.arange(shape.rows, device=positions_BC.device)
    state = ThoughtState(
        mode="thoughts",
        base=text.base,
        positions_BC=positions_BC,
        rows=shape.rows,
        reach=int(places.positions_BM.max()) + 1,
        low=int(places.positions_BM.min()) + 1,
    )
    ids_BS = (positions_BC[:, :, None] + 1 + rows_T).flatten(1)
    hidden = _decode(quiet, inputs_BMPTD.flatten(1, 3), ids_BS, state)
    return ThoughtPass(hidden_BMPTD=hidden.unflatten(1, (count, passes, shape.rows)), shape=shape)


def true_tokens(tokens_BL: Tensor, places: Places, talk: int) -> Tensor:
    """Return the N tokens after each place [B, M, N]; those of places that count for nothing are arbitrary."""
    steps_N = torch.arange(1, talk + 1, device=tokens_BL.device)
    index = (places.positions_BM[:, :, None] + steps_N).clamp(max=tokens_BL.shape[1] - 1)
    return tokens_BL.gather(1, index.flatten(1)).view(index.shape)


def talk_partners(hidden_BLD: Tensor, places: Places, talk: int) -> Tensor:
    """Return the text's hidden states that predict the same N tokens, those of positions i + s [B, M, N, D]."""
    steps_N = torch.arange(talk, device=hidden_BLD.device)
    index = (places.positions_BM[:, :, None] + steps_N).clamp(max=hidden_BLD.shape[1] - 1)
    rows = torch.arange(len(hidden_BLD), device=hidden_BLD.device)[:, None, None]
    return hidden_BLD[rows, index]


def _inputs(quiet: QuietModel, tokens_BL: Tensor, places: Places, thoughts_BMPK: Tensor, shape: ThoughtShape) -> Tensor:
    batch, count, passes, _ = thoughts_BMPK.shape
    meta = quiet.thought_tokens
    embedded = quiet.embed(thoughts_BMPK.clamp(min=0))
    pause = thoughts_BMPK < 0
    if bool(pause.any()):
        embedded = torch.where(pause[..., None], meta.pause.to(embedded.dtype), embedded)
    size = (batch, count, passes, 1, embedded.shape[-1])
    parts = [meta.start.to(embedded.dtype).expand(size), embedded, meta.end.to(embedded.dtype).expand(size)]
    if shape.talk > 1:
        fed_BMN = true_tokens(tokens_BL, places, shape.talk - 1)
        parts.append(quiet.embed(fed_BMN)[:, :, None].expand(batch, count, passes, -1, -1))
    return torch.cat(parts, 3)


def _detached(base: dict[int, KeyValue]) -> dict[int, KeyValue]:
    return {layer: (k.detach(), v.detach()) for layer, (k, v) in base.items()}


def _decode(quiet: QuietModel, inputs_BSD: Tensor, positions_BS: Tensor, state: ThoughtState) -> Tensor:
    with thought_attention(quiet.plain), recomputed_with_thoughts(quiet.plain):
        out = quiet.decoder(inputs_embeds=inputs_BSD, position_ids=positions_BS, thought_state=state, use_cache=False)
    return out.last_hidden_state
