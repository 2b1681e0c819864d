"""What a thought should see and give, by brute force: the stock model, run alone on each literal sequence.

For row b, position i and thought p the sequence is: embeddings of tokens 0..i, the start vector, embeddings of the K
thought tokens, the end vector, embeddings of tokens i+1..i+N-1. The last T = K + N + 1 hidden states after the final
norm are the thought's. Nothing of Menon is used: no packing, no mask, no cache, `attn_implementation="eager"`.
A second way, `packed_hidden`, runs stock attention once over the text and all its thoughts with a mask written out.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from menon.core.seeds import seed_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """One batch to think over: right-padded texts, where to think, and what is thought there."""

    tokens_BL: Tensor
    lengths: tuple[int, ...]
    positions: tuple[tuple[int, ...], ...]
    thoughts: tuple[
        tuple[tuple[tuple[int, ...], ...], ...], ...
    ]  # [row][position][pass][token], below 0 the pause vector
    talk: int

    @property
    def thoughts_per_position(self) -> int:
        return len(next(row[0] for row in self.thoughts if row))

    @property
    def rows(self) -> int:
        """Length of a thought with its talk tokens."""
        return len(next(row[0] for row in self.thoughts if row)[0]) + self.talk + 1

    def each(self) -> Iterator[tuple[int, int, int]]:
        """Yield (row, place in the row's list of positions, pass) of every thought."""
        for b, row in enumerate(self.positions):
            for m in range(len(row)):
                for p in range(self.thoughts_per_position):
                    yield b, m, p


class Oracle:
    """A stock copy of a model with start, end and pause vectors, run on one literal sequence at a time."""

    def __init__(self, model: PreTrainedModel, start_D: Tensor, end_D: Tensor, pause_D: Tensor) -> None:
        self.model = copy.deepcopy(model)
        self.model.set_attn_implementation("eager")
        self.model.eval()
        self.vectors = {
            name: vector.detach().clone().requires_grad_()
            for name, vector in {"start": start_D, "end": end_D, "pause": pause_D}.items()
        }

    def embed(self, ids: list[int]) -> Tensor:
        return self.model.get_input_embeddings()(torch.tensor([ids], dtype=torch.long))[0]

    def hidden(self, embeddings_SD: Tensor) -> Tensor:
        """Run the decoder alone on one sequence and return its hidden states after the final norm [S, D]."""
        return self.model.base_model(inputs_embeds=embeddings_SD[None], use_cache=False).last_hidden_state[0]

    def text(self, case: Thinking, b: int) -> Tensor:
        return self.hidden(self.embed(case.tokens_BL[b, : case.lengths[b]].tolist()))

    def inserted(self, case: Thinking, b: int, m: int, p: int) -> Tensor:
        """The T embeddings that follow the prefix."""
        i = case.positions[b][m]
        row = case.tokens_BL[b].tolist()
        thought = [
            self.vectors["pause"][None] if token < 0 else self.embed([token]) for token in case.thoughts[b][m][p]
        ]
        true = self.embed(row[i + 1 : i + case.talk])
        return torch.cat([self.vectors["start"][None], *thought, self.vectors["end"][None], true])

    def thought(self, case: Thinking, b: int, m: int, p: int) -> Tensor:
        """Hidden states [T, D] of one thought."""
        prefix = self.embed(case.tokens_BL[b, : case.positions[b][m] + 1].tolist())
        inserted = self.inserted(case, b, m, p)
        return self.hidden(torch.cat([prefix, inserted]))[-len(inserted) :]

    def thoughts(self, case: Thinking) -> Tensor:
        """Hidden states of every thought [B, M, P, T, D]; NaN where a row has fewer positions than the widest."""
        width = len(self.vectors["start"])
        places = max(len(row) for row in case.positions)
        shape = (len(case.positions), places, case.thoughts_per_position, case.rows, width)
        result = torch.full(shape, torch.nan)
        with torch.no_grad():
            for b, m, p in case.each():
                result[b, m, p] = self.thought(case, b, m, p)
        return result

    def gradients(self, case: Thinking, text_BLD: Tensor, thought_BMPTD: Tensor) -> dict[str, Tensor]:
        """Gradients of sum(text hidden * text_BLD) + sum(thought hidden * thought_BMPTD), one sequence at a time."""
        self.model.zero_grad(set_to_none=True)
        for vector in self.vectors.values():
            vector.grad = None
        for b, length in enumerate(case.lengths):
            (self.text(case, b) * text_BLD[b, :length]).sum().backward()
        for b, m, p in case.each():
            (self.thought(case, b, m, p) * thought_BMPTD[b, m, p]).sum().backward()
        named = {**dict(self.model.named_parameters()), **self.vectors}
        return {name: value.grad for name, value in named.items() if value.grad is not None}


@torch.no_grad()
def packed_hidden(oracle: Oracle, case: Thinking, b: int, attention: str, window: int | None, mixed: bool) -> Tensor:
    """Hidden states [M, P, T, D] of row b from one run of stock attention over the text and all its thoughts.

    `mixed` models take one mask for the layers with a window and one for those without.
    """
    length = case.lengths[b]
    here = [(m, p) for row, m, p in case.each() if row == b]
    pieces = [oracle.embed(case.tokens_BL[b, :length].tolist())]
    owner: list[tuple[int, int] | None] = [None] * length
    place = list(range(length))
    for m, p in here:
        pieces.append(oracle.inserted(case, b, m, p))
        owner += [(m, p)] * case.rows
        place += [case.positions[b][m] + 1 + t for t in range(case.rows)]

    def sees(q: int, k: int, reach: int | None) -> bool:
        if reach is not None and place[q] - place[k] >= reach:
            return False
        if owner[k] is not None:
            return owner[k] == owner[q] and place[k] <= place[q]
        mine = owner[q]
        return place[k] <= (place[q] if mine is None else case.positions[b][mine[0]])

    def mask(reach: int | None) -> Tensor:
        size = range(len(place))
        seen_SS = torch.tensor([[sees(q, k, reach) for k in size] for q in size])[None, None]
        if attention == "sdpa":
            return seen_SS
        return torch.zeros(seen_SS.shape).masked_fill(~seen_SS, torch.finfo(torch.float32).min)

    masks = {"full_attention": mask(None), "sliding_attention": mask(window)} if mixed else mask(window)
    oracle.model.set_attn_implementation(attention)
    try:
        hidden = oracle.model.base_model(
            inputs_embeds=torch.cat(pieces)[None],
            position_ids=torch.tensor([place]),
            attention_mask=masks,
            use_cache=False,
        ).last_hidden_state[0]
    finally:
        oracle.model.set_attn_implementation("eager")
    return hidden[length:].view(len(case.positions[b]), case.thoughts_per_position, case.rows, -1)


def some_thinking(
    name: str,
    *,
    lengths: tuple[int, ...],
    positions: tuple[tuple[int, ...], ...] | None = None,
    thought: int = 3,
    talk: int = 2,
    passes: int = 2,
    vocabulary: int = 29,
) -> Thinking:
    """Draw texts and thoughts (ids 2 and above); positions None means every place that leaves `talk` true tokens."""
    generator = torch.Generator().manual_seed(seed_for("quiet case", name))
    tokens_BL = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for b, length in enumerate(lengths):
        tokens_BL[b, :length] = torch.randint(2, vocabulary, (length,), generator=generator)
    if positions is None:
        positions = tuple(tuple(range(length - talk)) for length in lengths)
    thoughts = tuple(
        tuple(
            tuple(tuple(torch.randint(2, vocabulary, (thought,), generator=generator).tolist()) for _ in range(passes))
            for _ in row
        )
        for row in positions
    )
    return Thinking(tokens_BL=tokens_BL, lengths=lengths, positions=positions, thoughts=thoughts, talk=talk)
