"""Score given text with thoughts: what `predict` would have said before each token, for all tokens at once.

The text is read once and the thoughts of many places run together, as in teaching.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from menon.models.thoughts.budget import ThinkingBudget
from menon.models.thoughts.layout import Places, ThoughtShape, given_places
from menon.models.thoughts.passes import TextPass, sample_thoughts, text_pass, think
from menon.models.thoughts.predicting import fixed_thoughts, mixed_logits, needs_numbers, thought_numbers
from menon.models.thoughts.quiet import QuietModel

TEXT_TOKENS = 2048  # of padded texts that are read together
THOUGHT_ROWS = 4096  # of thoughts that run together
LOGITS = 1 << 24  # elements of a block of logits


@torch.inference_mode()
def score(
    quiet: QuietModel, texts: Sequence[Sequence[int]], starts: Sequence[int], budget: ThinkingBudget
) -> Iterator[Tensor]:
    """Yield for each text [n, 3]: log p (nats) of its tokens from `starts[b]` on, and mean and variance of log p there.

    The tokens from `starts[b]` on count as the answer; thoughts come before these alone. Texts should come longest
    first, since those that are read together are padded to their longest.
    """
    at = 0
    while at < len(texts):
        together = max(1, TEXT_TOKENS // len(texts[at]))
        block = range(at, min(at + together, len(texts)))
        yield from _scored(quiet, [texts[b] for b in block], [starts[b] for b in block], budget)
        at = block.stop


def _scored(
    quiet: QuietModel, texts: Sequence[Sequence[int]], starts: Sequence[int], budget: ThinkingBudget
) -> Iterator[Tensor]:
    width = max(len(text) for text in texts)
    tokens_BL = torch.tensor([[*text, *[text[0]] * (width - len(text))] for text in texts], device=quiet.device)
    text = text_pass(quiet, tokens_BL)
    counts = [len(ids) - start for ids, start in zip(texts, starts, strict=True)]
    rows = [(b, start - 1 + j, j) for b, (n, start) in enumerate(zip(counts, starts, strict=True)) for j in range(n)]
    if not rows:
        yield from (tokens_BL.new_zeros((0, 3), dtype=torch.float32) for _ in texts)
        return
    b_X, at_X, _ = (torch.tensor(column, device=quiet.device) for column in zip(*rows, strict=True))
    base_XD = text.hidden_BLD[b_X, at_X]
    index, talk_RD = _thoughts(quiet, text, tokens_BL, rows, base_XD, budget)
    moments_X3 = torch.cat(list(_moments(quiet, base_XD, index, talk_RD, tokens_BL[b_X, at_X + 1]))).cpu()
    yield from moments_X3.split(counts)


def _moments(
    quiet: QuietModel, base_XD: Tensor, index_R: Tensor, talk_RD: Tensor, targets_X: Tensor
) -> Iterator[Tensor]:
    """Yield log p of each target with mean and variance of log p [chunk, 3]."""
    w_R = quiet.head(base_XD[index_R], talk_RD)
    chunk = max(1, LOGITS // (3 * quiet.readout.vocabulary))
    for start in range(0, len(base_XD), chunk):
        inside = (index_R >= start) & (index_R < start + chunk)
        logits = mixed_logits(
            quiet, base_XD[start : start + chunk], index_R[inside] - start, talk_RD[inside], w_R[inside]
        )
        logps = logits.log_softmax(-1)
        own = logps.gather(-1, targets_X[start : start + chunk, None])[:, 0]
        chances = logps.exp()
        finite = logps.masked_fill(chances == 0, 0.0)
        mean = (chances * finite).sum(-1)
        yield torch.stack((own, mean, (chances * (finite - mean[:, None]).square()).sum(-1)), -1)


def _thoughts(
    quiet: QuietModel,
    text: TextPass,
    tokens_BL: Tensor,
    rows: Sequence[tuple[int, int, int]],
    base_XD: Tensor,
    budget: ThinkingBudget,
) -> tuple[Tensor, Tensor]:
    """Return which of the predicted tokens have a thought [R], and the states after those thoughts [R, D]."""
    chosen = [x for x, (_, _, place) in enumerate(rows) if budget.may_think(place)]
    at_R = torch.tensor(chosen, dtype=torch.long, device=base_XD.device)
    if chosen and budget.where == "entropy":
        above = quiet.readout.entropy_of(base_XD[at_R]) > budget.threshold
    elif chosen and budget.where == "weight":
        empty_RD = _after(quiet, text, tokens_BL, [rows[x] for x in chosen], 0, budget)
        above = quiet.head(base_XD[at_R], empty_RD) > budget.threshold
    else:
        above = torch.ones_like(at_R, dtype=torch.bool)
    at_R = at_R[above]
    if not len(at_R):
        return at_R, base_XD[:0]
    length = budget.length(quiet.settings.tokens)
    return at_R, _after(quiet, text, tokens_BL, [rows[x] for x in at_R.tolist()], length, budget)


def _after(
    quiet: QuietModel,
    text: TextPass,
    tokens_BL: Tensor,
    rows: Sequence[tuple[int, int, int]],
    length: int,
    budget: ThinkingBudget,
) -> Tensor:
    """Return the hidden state after a thought of `length` tokens at each (row, position, place) [R, D]."""
    shape = ThoughtShape(tokens=length, talk=1)
    by_row: list[list[tuple[int, int]]] = [[] for _ in tokens_BL]
    for b, position, place in rows:
        by_row[b].append((position, place))
    # All rows count as full here: a thinking position of a row lies within its own text in any case.
    lengths_B = torch.full((len(tokens_BL),), tokens_BL.shape[1], device=tokens_BL.device)
    places = given_places([[position for position, _ in row] for row in by_row], lengths_B, shape)
    numbers = [[place for _, place in row] for row in by_row]
    count = max(1, THOUGHT_ROWS // (len(tokens_BL) * shape.rows))
    parts = []
    for start in range(0, places.positions_BM.shape[1], count):
        part = places.slice(start, start + count)
        drawn = [row[start : start + count] for row in numbers]
        thoughts_BMPK = _sampled(quiet, text, part, drawn, shape, budget)
        parts.append(think(quiet, text, tokens_BL, part, thoughts_BMPK, shape).talk_BMPND[:, :, 0, 0])
    return torch.cat(parts, 1)[places.valid_BM]


def _sampled(
    quiet: QuietModel,
    text: TextPass,
    places: Places,
    numbers: Sequence[Sequence[int]],
    shape: ThoughtShape,
    budget: ThinkingBudget,
) -> Tensor:
    """Return the thoughts' ids [B, M, 1, K]; `numbers` are the places in the answers, which name what is drawn with."""
    batch, count = places.positions_BM.shape
    uniforms = torch.zeros(batch, count, 1, shape.tokens)
    if shape.tokens and needs_numbers(quiet, budget):
        for b, row in enumerate(numbers):
            for m, place in enumerate(row):
                uniforms[b, m, 0] = torch.tensor(thought_numbers(budget, quiet.settings.tokens, 0, 0, place))
    flat = fixed_thoughts(quiet, batch * count, shape.tokens, uniforms.flatten(0, 2))
    if flat is not None:
        return flat.view(batch, count, 1, shape.tokens)
    if not shape.tokens:
        return places.positions_BM.new_empty((batch, count, 1, 0))
    return sample_thoughts(quiet, text, places, shape, uniforms, budget.thought_temperature)
