"""How well a thinking model predicts: each token with and without a thought before it, and where thinking pays.

Predictions are of the next token only (the first talk token). With several thoughts per position the numbers are means
over them, as one thought would give on average.
Source: Quiet-STaR (arXiv:2403.09629, section 5 and figure 7 for the split by loss). The accuracy of the official
evaluation code is `renormalised_answer_probability`, under its own name because it is no accuracy.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from menon.models.thoughts.attention import thought_attention
from menon.models.thoughts.layout import Places, ThoughtShape
from menon.models.thoughts.passes import talk_partners, text_pass, think
from menon.models.thoughts.quiet import QuietModel
from menon.stats.means import mean_interval
from menon.teaching.quiet.step import Drawn, TextBatch, sample, slices

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Next-token predictions at the valid places of some texts, one entry per place (X), thoughts in the columns (P).

    `text_X`: number of the text. `position_X`: the thinking position; the predicted token is the next one.
    Log-probabilities in nats; `thoughts_XPK` are token ids, -1 for pauses.
    """

    text_X: np.ndarray
    position_X: np.ndarray
    logp_text_X: np.ndarray
    logp_mixed_XP: np.ndarray
    right_text_X: np.ndarray
    right_mixed_XP: np.ndarray
    weight_XP: np.ndarray
    thoughts_XPK: np.ndarray

    def __len__(self) -> int:
        return len(self.text_X)

    @property
    def gain_X(self) -> np.ndarray:
        """Nats that thinking gains at each place."""
        return self.logp_mixed_XP.mean(1) - self.logp_text_X

    def where(self, keep_X: np.ndarray) -> "Scored":
        """Return the entries where `keep_X` is true."""
        return Scored(**{name: getattr(self, name)[keep_X] for name in self.__dataclass_fields__})


@torch.no_grad()
def score_texts(
    quiet: QuietModel,
    work: Iterable[tuple[TextBatch, Drawn]],
    shape: ThoughtShape,
    *,
    slice_rows: int = 4096,
) -> Scored:
    """Predict the token after every drawn place with and without thoughts.

    `shape.talk` is taken as 1: only the next token is predicted.
    """
    shape = ThoughtShape(tokens=shape.tokens, talk=1)
    parts: list[list[np.ndarray]] = []
    texts = 0
    was = quiet.training
    quiet.eval()
    try:
        with thought_attention(quiet.plain):
            for batch, chance in work:
                batch = batch.to(quiet.device)
                text = text_pass(quiet, batch.tokens_BL)
                moved = Drawn(places=chance.places.to(quiet.device), uniforms_BMPK=chance.uniforms_BMPK)
                for part, uniforms in slices(moved, shape, slice_rows):
                    thoughts = sample(quiet, text, part, shape, uniforms)
                    thought = think(quiet, text, batch.tokens_BL, part, thoughts, shape)
                    parts.append(_scored(quiet, batch, part, text.hidden_BLD, thought.talk_BMPND, thoughts, texts))
                texts += len(batch.tokens_BL)
    finally:
        quiet.train(was)
    names = list(Scored.__dataclass_fields__)
    return Scored(**{name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)})


def _scored(
    quiet: QuietModel,
    batch: TextBatch,
    places: Places,
    hidden_BLD: Tensor,
    talk_BMPND: Tensor,
    thoughts_BMPK: Tensor,
    texts: int,
) -> list[np.ndarray]:
    keep = places.valid_BM
    base_XD = talk_partners(hidden_BLD, places, 1)[:, :, 0][keep]
    after_XPD = talk_BMPND[:, :, :, 0][keep]
    both_XPD = base_XD[:, None].expand(after_XPD.shape)
    rows = torch.arange(len(keep), device=keep.device)[:, None].expand(keep.shape)[keep]
    position_X = places.positions_BM[keep]
    target_X = batch.tokens_BL[rows, position_X + 1]
    logp_text_XV = quiet.readout.logits(base_XD).float().log_softmax(-1)
    logits_XPV, weight_XP = quiet.mixed(both_XPD, after_XPD)
    logp_XPV = logits_XPV.log_softmax(-1)
    target_XP = target_X[:, None].expand(logp_XPV.shape[:2])
    found = (
        rows + texts,
        position_X,
        logp_text_XV.gather(-1, target_X[:, None])[:, 0],
        logp_XPV.gather(-1, target_XP[..., None])[..., 0],
        logp_text_XV.argmax(-1) == target_X,
        logp_XPV.argmax(-1) == target_XP,
        weight_XP.float(),
        thoughts_BMPK[keep],
    )
    return [x.cpu().numpy() for x in found]


def summarise(scored: Scored) -> dict[str, Any]:
    """Return losses, accuracies and gain with intervals over texts, and the gain by how hard the tokens were."""
    texts = scored.text_X
    return {
        "tokens": len(scored),
        "nll_text": _interval(-scored.logp_text_X, texts),
        "nll_mixed": _interval(-scored.logp_mixed_XP.mean(1), texts),
        "gain": _interval(scored.gain_X, texts),
        "accuracy_text": _interval(scored.right_text_X, texts, share=True),
        "accuracy_mixed": _interval(scored.right_mixed_XP.mean(1), texts, share=True),
        "weight": float(scored.weight_XP.mean()),
        "by_hardness": by_hardness(scored),
    }


def by_hardness(scored: Scored, hardness_X: np.ndarray | None = None, bins: int = BINS) -> list[dict[str, Any]]:
    """Split the tokens by loss into equal parts and return gain and weight of each, easiest first.

    Args:
        hardness_X: what to sort by, the model's own loss without thought by default. Sorting by the loss that the gain
        is
            measured against favours the hard end by regression to the mean: give the loss of another model, such as the
            one before teaching, to be rid of that.
    """
    hardness_X = -scored.logp_text_X if hardness_X is None else hardness_X
    order = np.argsort(hardness_X, kind="stable")
    rows = []
    for number, part in enumerate(np.array_split(order, bins)):
        if not len(part):
            continue
        here = scored.where(part)
        rows.append(
            {
                "bin": f"{100 * number // bins}-{100 * (number + 1) // bins} %",
                "nll_text": float(-here.logp_text_X.mean()),
                "gain": _interval(here.gain_X, here.text_X),
                "weight": float(here.weight_XP.mean()),
                "n": len(part),
            }
        )
    return rows


def renormalised_answer_probability(
    logits_XV: Tensor, answers_X: Sequence[Sequence[int]], allowed: Sequence[int]
) -> Tensor:
    """Return for each answer the product of its tokens' probabilities, renormalised over the `allowed` tokens.

    This is what the official evaluation code calls accuracy, with the ten digits and the line break allowed on GSM8K
    and the letters A to E and the line break on CommonsenseQA. It is the expected accuracy of sampling from the
    restricted distribution, not the share of greedy answers that are right, and it gives credit to a model that would
    never answer so. Reported beside exact match, never instead of it.

    Args:
        logits_XV: logits [answer tokens of all answers in order, V], teacher-forced.
        answers_X: token ids of every answer; all have to be allowed.
    """
    index = {token: place for place, token in enumerate(allowed)}
    logp = logits_XV[:, torch.tensor(list(allowed), device=logits_XV.device)].float().log_softmax(-1)
    flat = [index[token] for answer in answers_X for token in answer]
    each = logp.gather(-1, torch.tensor(flat, device=logp.device)[:, None])[:, 0]
    parts = each.split([len(answer) for answer in answers_X])
    return torch.stack([part.sum() for part in parts]).exp()


def _interval(values: np.ndarray, clusters: np.ndarray, *, share: bool = False) -> dict[str, float | None]:
    interval = mean_interval(values.astype(np.float64), clusters)
    known = np.isfinite(interval.low)  # one text alone has no interval
    return {
        "value": interval.value,
        "low": None if not known else max(0.0, interval.low) if share else interval.low,
        "high": None if not known else min(1.0, interval.high) if share else interval.high,
    }
