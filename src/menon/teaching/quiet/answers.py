"""Known answers: how likely a model makes them, with and without thoughts, by the measure of the official code.

Source: the evaluation of the Quiet-STaR authors' code, which calls the product of renormalised token probabilities
accuracy; see `renormalised_answer_probability`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from menon.core.seeds import seed_for
from menon.models.thoughts.attention import thought_attention
from menon.models.thoughts.layout import Places, ThoughtShape, given_places
from menon.models.thoughts.passes import TextPass, talk_partners, text_pass, think
from menon.models.thoughts.quiet import QuietModel
from menon.teaching.quiet.evaluate import renormalised_answer_probability
from menon.teaching.quiet.step import sample


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswer:
    """Token ids of a question and of its answer."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


@torch.no_grad()
def answer_probabilities(
    quiet: QuietModel, answers: Sequence[KnownAnswer], *, thinking: bool, seed: int = 0, rows: int = 16
) -> list[float]:
    """Return for each answer the product of its tokens' probabilities, renormalised over all answers' tokens.

    With `thinking`, one thought is had before every token of the answer, sampled as `settings` says.
    """
    allowed = sorted({token for known in answers for token in known.answer})
    found: list[float] = []
    was = quiet.training
    quiet.eval()
    try:
        for start in range(0, len(answers), rows):
            part = answers[start : start + rows]
            logits_XV = _answer_logits(quiet, part, thinking, seed_for("answers", seed, start))
            found += renormalised_answer_probability(logits_XV, [known.answer for known in part], allowed).tolist()
    finally:
        quiet.train(was)
    return found


def _answer_logits(quiet: QuietModel, answers: Sequence[KnownAnswer], thinking: bool, seed: int) -> Tensor:
    shape = ThoughtShape(tokens=quiet.settings.tokens, talk=1)
    lengths_B = torch.tensor([len(known.prompt) + len(known.answer) for known in answers])
    width = int(lengths_B.max())
    ids = [[*known.prompt, *known.answer, *[0] * (width - n)] for known, n in zip(answers, lengths_B, strict=True)]
    tokens_BL = torch.tensor(ids, device=quiet.device)
    before = [range(len(known.prompt) - 1, len(known.prompt) + len(known.answer) - 1) for known in answers]
    places = given_places(before, lengths_B.to(quiet.device), shape)
    with thought_attention(quiet.plain):
        text = text_pass(quiet, tokens_BL)
        if not thinking:
            return quiet.readout.logits(talk_partners(text.hidden_BLD, places, 1)[:, :, 0][places.valid_BM])
        return _thinking_logits(quiet, text, tokens_BL, places, shape, seed)


def _thinking_logits(
    quiet: QuietModel, text: TextPass, tokens_BL: Tensor, places: Places, shape: ThoughtShape, seed: int
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    uniforms = torch.rand(*places.positions_BM.shape, 1, shape.tokens, generator=generator)
    thoughts = sample(quiet, text, places, shape, uniforms)
    after = think(quiet, text, tokens_BL, places, thoughts, shape).talk_BMPND[:, :, 0, 0]
    base = talk_partners(text.hidden_BLD, places, 1)[:, :, 0]
    return quiet.mixed(base[places.valid_BM], after[places.valid_BM])[0]
