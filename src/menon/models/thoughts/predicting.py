"""Predict the next token of several texts, with a thought before it wherever the budget lets one be.

A thought reads the text, is read for its last hidden state, and is dropped: its keys and values never become part of
the text. Rows that do not think at a token are not run with those that do.
Source: Quiet-STaR (arXiv:2403.09629, sections 4.3 and 4.4). Deviation: the paper thinks at every token; here a budget
may say where, and entropy and mixing weight are told by the plain prediction and by an empty thought.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.models.thoughts.attention import ThoughtState, thought_attention
from menon.models.thoughts.budget import ThinkingBudget
from menon.models.thoughts.decoding_state import TextStore, decode, extend
from menon.models.thoughts.mixing import mix_hidden, mix_log_probs
from menon.models.thoughts.passes import draw
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.support import inner_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """What was thought before one token: its ids (none for pause tokens), its mixing weight, and what it changed.

    `gain` is by how many nats the thought raised the log-probability of the token that came.
    """

    ids: tuple[int, ...]
    weight: float
    gain: float


@dataclass(slots=True, kw_only=True)
class Prediction:
    """Logits [B, V] of the next token (float32), the plain model's hidden states [B, D], and the thoughts by row."""

    logits_BV: Tensor
    base_BD: Tensor
    ids: dict[int, tuple[int, ...]] = field(default_factory=dict)
    weights: dict[int, float] = field(default_factory=dict)

    def thoughts(self, quiet: QuietModel, tokens: Sequence[int]) -> list[Thought | None]:
        """Return the thought of every row before `tokens`, the tokens that came; None where there was none."""
        found: list[Thought | None] = [None] * len(tokens)
        rows = [row for row in self.ids if tokens[row] >= 0]
        if not rows:
            return found
        at = torch.tensor(rows, device=self.logits_BV.device)
        came = torch.tensor([tokens[row] for row in rows], device=at.device)[:, None]
        mixed = self.logits_BV[at].log_softmax(-1).gather(-1, came)
        plain = quiet.readout.logits(self.base_BD[at]).float().log_softmax(-1).gather(-1, came)
        for row, gain in zip(rows, (mixed - plain)[:, 0].tolist(), strict=True):
            found[row] = Thought(ids=self.ids[row], weight=self.weights[row], gain=gain)
        return found


def thought_numbers(budget: ThinkingBudget, taught: int, seed: int, sample: int, place: int) -> list[float]:
    """Return the K numbers in [0, 1) that one thought is drawn with; they depend on nothing but their names."""
    seed = seed_for("thoughts", seed, sample, place)
    return np.random.Generator(np.random.Philox(seed)).random(budget.length(taught)).tolist()


def needs_numbers(quiet: QuietModel, budget: ThinkingBudget) -> bool:
    """Say whether thoughts are drawn at random."""
    kind = quiet.settings.kind
    return kind == "random" or (kind == "sampled" and budget.thought_temperature > 0)


@torch.inference_mode()
def predict(
    quiet: QuietModel,
    store: TextStore,
    tokens: Sequence[int],
    places: Sequence[int],
    budget: ThinkingBudget,
    numbers_BK: Tensor | None = None,
) -> Prediction:
    """Write `tokens` into the texts and predict what follows.

    Args:
        places: which token of its answer each row predicts, from 0.
        numbers_BK: in [0, 1), for thoughts that are drawn at random (`needs_numbers`).
    """
    with thought_attention(quiet.plain):
        base_BD = extend(quiet, store, tokens)
        chosen = _chosen(quiet, store, base_BD, places, budget)
        if not chosen:
            return Prediction(logits_BV=quiet.readout.logits(base_BD).float(), base_BD=base_BD)
        numbers = None if numbers_BK is None else numbers_BK[chosen]
        ids_RK, talk_RD = _think(quiet, store, chosen, budget.length(quiet.settings.tokens), numbers, budget)
    at_R = torch.tensor(chosen, device=base_BD.device)
    w_R = quiet.head(base_BD[at_R], talk_RD)
    shown = ids_RK.tolist() if quiet.settings.kind != "pause" else [()] * len(chosen)
    return Prediction(
        logits_BV=mixed_logits(quiet, base_BD, at_R, talk_RD, w_R),
        base_BD=base_BD,
        ids={row: tuple(ids) for row, ids in zip(chosen, shown, strict=True)},
        weights=dict(zip(chosen, w_R.float().tolist(), strict=True)),
    )


def check_room(quiet: QuietModel, budget: ThinkingBudget, prompt: int, new: int) -> None:
    """Raise `ConfigError` when an answer of `new` tokens and the thoughts before them do not fit into the positions."""
    limit = answer_room(quiet, budget)
    if limit is None or prompt + new <= limit:
        return
    rows = budget.rows(quiet.settings.tokens)
    thought = f" and a thought of {rows} rows ({rows - 2} tokens, start and end)" if rows else ""
    room = limit - prompt
    remedy = f"lower max_tokens to at most {room}" if room > 0 else "shorten the prompt"
    raise ConfigError(
        f"a prompt of {prompt} tokens, an answer of {new}{thought} do not fit into the model's "
        f"{_positions(quiet)} positions; {remedy}{', or let thoughts be shorter (tokens)' if rows else ''}"
    )


def answer_room(quiet: QuietModel, budget: ThinkingBudget) -> int | None:
    """Return how many tokens prompt and answer may have together; the last one is never fed. None is no bound."""
    limit = _positions(quiet)
    rows = budget.rows(quiet.settings.tokens)
    return limit if limit is None or not rows else limit - rows + 1


def _positions(quiet: QuietModel) -> int | None:
    return getattr(inner_model(quiet.model).config.get_text_config(), "max_position_embeddings", None)


def _chosen(
    quiet: QuietModel, store: TextStore, base_BD: Tensor, places: Sequence[int], budget: ThinkingBudget
) -> list[int]:
    """Return the rows that think before their next token."""
    rows = [row for row, place in enumerate(places) if budget.may_think(place)]
    if not rows or budget.where == "every":
        return rows
    at_R = torch.tensor(rows, device=base_BD.device)
    if budget.where == "entropy":
        score_R = quiet.readout.entropy_of(base_BD[at_R])
    else:
        _, talk_RD = _think(quiet, store, rows, 0, None, budget)
        score_R = quiet.head(base_BD[at_R], talk_RD)
    return [row for row, above in zip(rows, (score_R > budget.threshold).tolist(), strict=True) if above]


def _think(
    quiet: QuietModel,
    store: TextStore,
    rows: Sequence[int],
    length: int,
    numbers_RK: Tensor | None,
    budget: ThinkingBudget,
) -> tuple[Tensor, Tensor]:
    """Run start, thought and end after the last token of some rows; return ids [R, K] and the end's state [R, D]."""
    last_R1 = store.last(quiet.device)[torch.tensor(rows, device=quiet.device)][:, None]
    state = ThoughtState(
        mode="step",
        base=store.rows(rows),
        positions_BC=last_R1,
        capacity=length + 2,
        reach=max(store.lengths[row] for row in rows),
    )
    ids_RK = fixed_thoughts(quiet, len(rows), length, numbers_RK)
    meta = quiet.thought_tokens
    fed_RTD = meta.start.expand(len(rows), 1, -1)
    if ids_RK is None:
        ids_RK = torch.empty(len(rows), length, dtype=torch.long, device=quiet.device)
        for step in range(length):
            logits_RV = quiet.readout.logits(_run(quiet, state, fed_RTD, last_R1)[:, -1])
            numbers = torch.zeros(len(rows)) if numbers_RK is None else numbers_RK[:, step]
            ids_RK[:, step] = draw(
                logits_RV, numbers.to(logits_RV.device), budget.thought_temperature, quiet.banned_ids
            )
            fed_RTD = quiet.embed(ids_RK[:, step : step + 1])
    elif length:
        filler = meta.pause.expand(len(rows), length, -1) if quiet.settings.kind == "pause" else quiet.embed(ids_RK)
        fed_RTD = torch.cat([fed_RTD, filler], 1)
    ending = torch.cat([fed_RTD, meta.end.expand(len(rows), 1, -1)], 1)
    return ids_RK, _run(quiet, state, ending, last_R1)[:, -1]


def _run(quiet: QuietModel, state: ThoughtState, fed_RTD: Tensor, last_R1: Tensor) -> Tensor:
    """Feed the next rows of every thought and return their hidden states."""
    state.rows = fed_RTD.shape[1]
    steps_T = torch.arange(state.filled, state.filled + state.rows, device=last_R1.device)
    hidden_RTD = decode(quiet, fed_RTD, last_R1 + 1 + steps_T, state)
    if state.filled + state.rows < state.capacity:
        assert state.rows == 1, "rows are fed one by one until the last"
        state.next_row()
    return hidden_RTD


def fixed_thoughts(quiet: QuietModel, rows: int, length: int, numbers_RK: Tensor | None) -> Tensor | None:
    """Return the ids of a control's thoughts, -1 for the pause vector; None where the model thinks itself."""
    if quiet.settings.kind == "pause":
        return torch.full((rows, length), -1, device=quiet.device)
    if quiet.settings.kind == "sampled" or not length:
        return None
    if numbers_RK is None:
        raise ValueError("random thoughts need numbers to be drawn with")
    allowed = torch.tensor([i for i in range(quiet.vocabulary) if i not in quiet.banned_ids])
    return allowed[(numbers_RK.cpu() * len(allowed)).long().clamp(max=len(allowed) - 1)].to(quiet.device)


def mixed_logits(quiet: QuietModel, base_BD: Tensor, at_R: Tensor, talk_RD: Tensor, w_R: Tensor) -> Tensor:
    """Return the logits of all rows, those of `at_R` mixed with their thoughts."""
    if quiet.settings.mixing == "hidden":
        mixed_RD = mix_hidden(base_BD[at_R], talk_RD, w_R).to(base_BD.dtype)
        return quiet.readout.logits(base_BD.index_copy(0, at_R, mixed_RD)).float()
    logits_BV = quiet.readout.logits(base_BD).float()
    talk_RV = quiet.readout.logits(talk_RD).float()
    return logits_BV.index_copy(0, at_R, mix_log_probs(logits_BV[at_R], talk_RV, w_R))
