"""What a model learns from: rows of token ids with one weight per token, and their grouping into batches.

Rows of similar length go into one batch, padded on the right; the causal mask then makes an attention mask needless
for the loss, because padding stands after everything that counts. Left out: packing several rows into one sequence,
which leaks attention between them unless the backend takes block masks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from menon.core.errors import DataError
from menon.core.seeds import rng_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Token ids to learn from; the first `prompt` of them count with `prompt_weight`, the rest with `weight`."""

    ids: tuple[int, ...]
    prompt: int = 0
    weight: float = 1.0
    prompt_weight: float = 0.0

    def __post_init__(self) -> None:
        if len(self.ids) < 2 or not 0 <= self.prompt < len(self.ids):
            raise DataError(
                f"a row to learn from has {len(self.ids)} tokens, {self.prompt} of them prompt; it needs two"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Right-padded rows: `tokens_BT` (int64), `weights_BT` (float32), `mask_BT` (1 where a token is real)."""

    tokens_BT: Tensor
    weights_BT: Tensor
    mask_BT: Tensor

    @property
    def tokens(self) -> int:
        """Number of real tokens."""
        return int(self.mask_BT.sum())


def collate(rows: Sequence[Row], pad: int) -> Batch:
    """Stack `rows` into one right-padded batch."""
    length = max(len(row.ids) for row in rows)
    tokens = torch.full((len(rows), length), pad, dtype=torch.int64)
    weights = torch.zeros(len(rows), length)
    mask = torch.zeros(len(rows), length, dtype=torch.int64)
    for i, row in enumerate(rows):
        count = len(row.ids)
        tokens[i, :count] = torch.tensor(row.ids)
        weights[i, : row.prompt] = row.prompt_weight
        weights[i, row.prompt : count] = row.weight
        mask[i, :count] = 1
    return Batch(tokens_BT=tokens, weights_BT=weights, mask_BT=mask)


def bucket(rows: Sequence[Row], tokens_per_batch: int, *names: str | int) -> list[list[Row]]:
    """Group all `rows` into batches of at most `tokens_per_batch` padded tokens, in an order drawn from `names`.

    A single row longer than the limit forms a batch of its own.
    """
    rng = rng_for("bucket", *names)
    shuffled = list(rows)
    rng.shuffle(shuffled)
    batches: list[list[Row]] = []
    current: list[Row] = []
    for row in sorted(shuffled, key=lambda r: len(r.ids)):
        if current and len(row.ids) * (len(current) + 1) > tokens_per_batch:
            batches.append(current)
            current = []
        current.append(row)
    if current:
        batches.append(current)
    rng.shuffle(batches)
    return batches


class Epochs:
    """Endless batches over a fixed set of rows: `batch(step)` is a pure function of the step and the names."""

    def __init__(self, rows: Sequence[Row], tokens_per_batch: int, *names: str | int):
        if not rows:
            raise DataError("no rows to learn from")
        self._rows, self._limit, self._names = rows, tokens_per_batch, names
        self._plans: list[list[list[Row]]] = []

    def batch(self, step: int) -> list[Row]:
        """Return the rows of the batch at `step`, counted from 0 over all epochs."""
        epoch = 0
        while True:
            if epoch == len(self._plans):
                self._plans.append(bucket(self._rows, self._limit, *self._names, epoch))
            if step < len(self._plans[epoch]):
                return self._plans[epoch][step]
            step -= len(self._plans[epoch])
            epoch += 1
