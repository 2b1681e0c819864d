"""The texts that are being written: keys and values in growing buffers, each row written at its own length.

A new token of the text is a thought of one row after the token before it, whose key and value stay: the same attention
serves both. What lies behind a row's length is zero or left over, and no row sees it. Texts are stored one by one;
equal prompts are computed once and copied.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from menon.models.thoughts.attention import KeyValue, ThoughtState
from menon.models.thoughts.passes import text_pass
from menon.models.thoughts.quiet import QuietModel

PREFILL_TOKENS = 4096  # of padded prompts that go through the model together
_GROWTH = 1.5
_ROOM = 32  # columns that a full buffer gains at least


class TextStore:
    """Keys and values of B texts [B, Hkv, columns, D] by layer, and how long each text is."""

    low = 0  # every row begins at the first column

    def __init__(self, lengths: Sequence[int], base: dict[int, KeyValue]) -> None:
        self.lengths = list(lengths)
        self.base = base

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def reach(self) -> int:
        """Columns that any row sees; one at least, so that no softmax is over nothing."""
        return max([1, *self.lengths])

    def last(self, device: torch.device) -> Tensor:
        """Return the position of each row's last token [B]; -1 where there is none yet."""
        return torch.tensor(self.lengths, device=device) - 1

    def rows(self, chosen: Sequence[int]) -> dict[int, KeyValue]:
        """Return keys and values of some rows, or of all of them without a copy."""
        if len(chosen) == len(self):
            return self.base
        reach = max([1, *(self.lengths[row] for row in chosen)])
        return {layer: (_pick(k, chosen, reach), _pick(v, chosen, reach)) for layer, (k, v) in self.base.items()}

    def append(self, own: dict[int, KeyValue]) -> None:
        """Write one more token of every row, its keys and values [B, Hkv, 1, 1, D], at the row's length."""
        columns = next(iter(self.base.values()))[0].shape[2]
        if max(self.lengths) >= columns:
            self._widen(max(int(columns * _GROWTH), columns + _ROOM))
        at_B = torch.tensor(self.lengths, device=next(iter(own.values()))[0].device)
        row_B = torch.arange(len(self), device=at_B.device)
        for layer, pair in own.items():
            for buffer, new in zip(self.base[layer], pair, strict=True):
                buffer[row_B, :, at_B] = new[:, :, 0, 0]
        self.lengths = [length + 1 for length in self.lengths]

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Forget all rows but these, and return them in the order that they have now."""
        kept = list(rows)
        if not kept:
            self.lengths, self.base = [], {}
            return kept
        reach = max([1, *(self.lengths[row] for row in kept)])
        self.base = {layer: (_pick(k, kept, reach), _pick(v, kept, reach)) for layer, (k, v) in self.base.items()}
        self.lengths = [self.lengths[row] for row in kept]
        return kept

    def merged(self, other: "TextStore") -> "TextStore":
        """Return one store with these rows and then the other's."""
        columns = max(self.reach, other.reach)
        base = {
            layer: tuple(_joined(a, b, columns) for a, b in zip(pair, other.base[layer], strict=True))
            for layer, pair in self.base.items()
        }
        return TextStore([*self.lengths, *other.lengths], base)  # pyright: ignore[reportArgumentType]

    def _widen(self, columns: int) -> None:
        self.base = {layer: (_widened(k, columns), _widened(v, columns)) for layer, (k, v) in self.base.items()}


@torch.inference_mode()
def read_prompts(quiet: QuietModel, prompts: Sequence[Sequence[int]], copies: Sequence[int] | None = None) -> TextStore:
    """Read every prompt but for its last token, which is the first to be fed; `copies[p]` rows for each prompt.

    Prompts are padded on the right to the longest of those that are read together, so sorted ones cost least.
    """
    copies = [1] * len(prompts) if copies is None else copies
    longest = max(len(prompt) for prompt in prompts)
    together = max(1, PREFILL_TOKENS // longest)
    parts = [
        _read(quiet, prompts[at : at + together], copies[at : at + together]) for at in range(0, len(prompts), together)
    ]
    store = parts[0]
    for part in parts[1:]:
        store = store.merged(part)
    return store


def _read(quiet: QuietModel, prompts: Sequence[Sequence[int]], copies: Sequence[int]) -> TextStore:
    lengths = [len(prompt) - 1 for prompt in prompts]
    width = max([1, *lengths])
    padded = [[*prompt[:-1], *[prompt[-1]] * (width - length)] for prompt, length in zip(prompts, lengths, strict=True)]
    text = text_pass(quiet, torch.tensor(padded, device=quiet.device))
    times = torch.tensor(copies, device=quiet.device)
    base = {
        layer: (k.repeat_interleave(times, 0), v.repeat_interleave(times, 0)) for layer, (k, v) in text.base.items()
    }
    return TextStore([length for length, count in zip(lengths, copies, strict=True) for _ in range(count)], base)


def extend(quiet: QuietModel, store: TextStore, tokens: Sequence[int]) -> Tensor:
    """Write one more token of every row and return the hidden states [B, D] from which the next is predicted.

    Has to be called with the model's attention exchanged (`thought_attention`).
    """
    before_B1 = store.last(quiet.device)[:, None]
    state = ThoughtState(mode="step", base=store.base, positions_BC=before_B1, capacity=1, reach=store.reach)
    ids_B1 = torch.tensor(tokens, device=quiet.device)[:, None]
    hidden_B1D = decode(quiet, quiet.embed(ids_B1), before_B1 + 1, state)
    store.append(state.own)
    return hidden_B1D[:, 0]


def decode(quiet: QuietModel, inputs_BSD: Tensor, positions_BS: Tensor, state: ThoughtState) -> Tensor:
    """Run the decoder with our attention, which has to be in its place already."""
    out = quiet.decoder(inputs_embeds=inputs_BSD, position_ids=positions_BS, thought_state=state, use_cache=False)
    return out.last_hidden_state


def _pick(buffer: Tensor, rows: Sequence[int], columns: int) -> Tensor:
    index = torch.tensor(rows, device=buffer.device)
    return buffer[:, :, :columns].index_select(0, index)


def _widened(buffer: Tensor, columns: int) -> Tensor:
    wide = buffer.new_zeros((*buffer.shape[:2], columns, buffer.shape[3]))
    kept = min(columns, buffer.shape[2])
    wide[:, :, :kept] = buffer[:, :, :kept]
    return wide


def _joined(one: Tensor, other: Tensor, columns: int) -> Tensor:
    return torch.cat([_widened(one, columns), _widened(other, columns)])
