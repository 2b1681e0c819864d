"""Where a model thinks and how long: shapes, thinking positions, and which of them have enough text behind them.

Source: Quiet-STaR (arXiv:2403.09629, section 4.2). Deviation: positions may be a uniform sample, which leaves the
expectation of every loss as it is and costs in proportion; the paper thinks everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from menon.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoughtShape:
    """K sampled `tokens` of a thought and the N true tokens (`talk`) that are predicted after it."""

    tokens: int
    talk: int

    @property
    def rows(self) -> int:
        """T: start, K sampled tokens, end, and the N - 1 true tokens that are fed."""
        return self.tokens + self.talk + 1

    def first_short(self, lengths_B: Tensor) -> Tensor:
        """Return per row the first position that has fewer than N true tokens behind it."""
        return (lengths_B - self.talk).clamp(min=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Thinking positions: `positions_BM` ascends in every row; where `valid_BM` is false the place counts for
    nothing."""

    positions_BM: Tensor
    valid_BM: Tensor

    @property
    def count(self) -> int:
        """Number of valid places."""
        return int(self.valid_BM.sum())

    def slice(self, start: int, stop: int) -> "Places":
        """Return the places number `start` to `stop` of every row."""
        return Places(positions_BM=self.positions_BM[:, start:stop], valid_BM=self.valid_BM[:, start:stop])

    def to(self, device: torch.device) -> "Places":
        return Places(positions_BM=self.positions_BM.to(device), valid_BM=self.valid_BM.to(device))

    def ordered(self) -> "Places":
        """Return the places in ascending order, those that count for nothing last."""
        last = torch.iinfo(torch.int64).max
        order_BM = self.positions_BM.masked_fill(~self.valid_BM, last).argsort(dim=1, stable=True)
        return Places(positions_BM=self.positions_BM.gather(1, order_BM), valid_BM=self.valid_BM.gather(1, order_BM))


def every_place(lengths_B: Tensor, shape: ThoughtShape) -> Places:
    """Think after every token that has N true tokens behind it."""
    ends_B = _checked_ends(lengths_B, shape)
    steps = torch.arange(int(ends_B.max()), device=lengths_B.device)
    valid_BM = steps[None] < ends_B[:, None]
    return Places(positions_BM=steps[None] * valid_BM, valid_BM=valid_BM).ordered()


def uniform_places(lengths_B: Tensor, shape: ThoughtShape, count: int, generator: torch.Generator) -> Places:
    """Draw `count` different positions per row uniformly; rows with fewer take all they have.

    `generator` lives on the CPU, so that every device draws the same.
    """
    ends_B = _checked_ends(lengths_B, shape)
    width = int(ends_B.max())
    if count >= width:
        return every_place(lengths_B, shape)
    keys_BL = torch.rand(len(ends_B), width, generator=generator)
    beyond_BL = torch.arange(width)[None] >= ends_B.cpu()[:, None]
    chosen_BM = keys_BL.masked_fill(beyond_BL, 2.0).topk(count, dim=1, largest=False).indices.to(lengths_B.device)
    valid_BM = chosen_BM < ends_B[:, None]
    return Places(positions_BM=chosen_BM * valid_BM, valid_BM=valid_BM).ordered()


def given_places(positions: Sequence[Sequence[int]], lengths_B: Tensor, shape: ThoughtShape) -> Places:
    """Think at these positions of each row.

    Raises:
        ConfigError: a position has no N true tokens behind it.
    """
    ends = _checked_ends(lengths_B, shape).tolist()
    for row, (chosen, end) in enumerate(zip(positions, ends, strict=True)):
        for position in chosen:
            if not 0 <= position < end:
                raise ConfigError(
                    f"row {row} cannot think after position {position}: positions 0 to {end - 1} have "
                    f"{shape.talk} true tokens behind them"
                )
    width = max(1, max(len(chosen) for chosen in positions))
    filled = [[*chosen, *[0] * (width - len(chosen))] for chosen in positions]
    counts = torch.tensor([len(chosen) for chosen in positions], device=lengths_B.device)
    valid_BM = torch.arange(width, device=lengths_B.device)[None] < counts[:, None]
    return Places(positions_BM=torch.tensor(filled, device=lengths_B.device), valid_BM=valid_BM).ordered()


def _checked_ends(lengths_B: Tensor, shape: ThoughtShape) -> Tensor:
    ends_B = shape.first_short(lengths_B)
    if int(ends_B.max()) < 1:
        raise ConfigError(
            f"no text here is longer than {int(lengths_B.max())} tokens; thinking with thoughts.talk={shape.talk} "
            f"needs at least {shape.talk + 1}: give longer texts or lower thoughts.talk"
        )
    return ends_B
