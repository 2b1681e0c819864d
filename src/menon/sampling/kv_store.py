"""The sampler's own store of keys and values: cohorts of rows that share one write column.

A cohort is the set of sequences admitted together. Its rows are aligned at the right: row r holds its tokens in the
columns `start[r] .. column - 1`, so that every step writes one column for all rows, a row's position is
`column - start[r]`, and rows of equal length need no mask at all. Finished rows are overwritten by rows from the end.
Left out: pages and prefix trees (rows of one prompt copy its keys and values), quantised values.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

GROWTH = 1.25
FIRST_ROOM = 16  # columns beyond the prompt that a new cohort has before it grows


class LayerStore:
    """Keys and values of one layer, each [rows, heads, columns, d]; the layout that attention kernels take."""

    def __init__(self, rows: int, columns: int, key_BHTD: Tensor, value_BHTD: Tensor):
        _, heads, _, width = key_BHTD.shape
        self.keys = key_BHTD.new_empty(rows, heads, columns, width)
        self.values = value_BHTD.new_empty(rows, heads, columns, value_BHTD.shape[-1])

    def key_view(self) -> Tensor:
        """Return all keys as [rows, heads, columns, d], whatever their layout."""
        return self.keys

    def value_view(self) -> Tensor:
        """Return all values as [rows, heads, columns, d], whatever their layout."""
        return self.values

    def put(self, rows: slice, columns: slice, key: Tensor, value: Tensor) -> None:
        """Write keys and values [rows, heads, columns, d]."""
        self.key_view()[rows, :, columns] = key
        self.value_view()[rows, :, columns] = value

    def view(self, rows: int, columns: slice) -> tuple[Tensor, Tensor]:
        """Return the first `rows` rows of a column range, without copying."""
        return self.key_view()[:rows, :, columns], self.value_view()[:rows, :, columns]

    def move(self, into: int, source: int, columns: slice) -> None:
        """Copy one row over another."""
        for stored in (self.key_view(), self.value_view()):
            stored[into, :, columns] = stored[source, :, columns]

    def resized(self, index: Tensor | None, rows: int, capacity: int, columns: slice) -> "LayerStore":
        """Return a copy of the first `rows` rows, or of those in `index`, with another capacity."""
        keys, values = self.view(rows, columns)
        if index is not None:
            keys, values = keys[index], values[index]
        out = type(self)(len(keys), capacity, keys, values)
        out.put(slice(None), columns, keys, values)
        return out


class BagStore(LayerStore):
    """Keys [rows, heads, d, columns] and values [rows, columns, heads, d], for `local_attention.attend_bags`."""

    def __init__(self, rows: int, columns: int, key_BHTD: Tensor, value_BHTD: Tensor):
        _, heads, _, width = key_BHTD.shape
        self.keys = key_BHTD.new_empty(rows, heads, width, columns)
        self.values = value_BHTD.new_empty(rows, columns, heads, value_BHTD.shape[-1])

    def key_view(self) -> Tensor:
        return self.keys.transpose(2, 3)

    def value_view(self) -> Tensor:
        return self.values.transpose(1, 2)


class Cohort:
    """Rows that share a write column, with one `LayerStore` per layer that has been written.

    `starts[r]` is the first column of row r, `column` the next one to be written, `low` the first column in use.
    """

    def __init__(self, starts: Sequence[int], column: int, limit: int, kind: type[LayerStore] = LayerStore):
        self.kind = kind
        self.starts = list(starts)
        self.column = column
        self.limit = max(limit, column + 1)
        self.capacity = min(self.limit, column + FIRST_ROOM)
        self.layers: dict[int, LayerStore] = {}
        self.plans: dict[Any, Any] = {}  # what attention prepares once for all layers; dropped when rows change

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def low(self) -> int:
        return min(self.starts, default=0)

    @property
    def ragged(self) -> bool:
        return any(start != self.starts[0] for start in self.starts)

    def layer(self, index: int, key: Tensor, value: Tensor) -> LayerStore:
        """Return the store of layer `index`, made on first use in the shape of `key` and `value`."""
        if index not in self.layers:
            store = self.layers[index] = self.kind(len(self), self.capacity, key, value)
            if self.ragged:
                # Columns left of a row's start are read (with weight 0), so they must be finite.
                store.put(slice(None), slice(self.low, self.column), key.new_zeros(()), value.new_zeros(()))
        return self.layers[index]

    def plant(self, head: "Cohort") -> None:
        """Begin every row with the keys and values of the one row of `head`."""
        for index, store in head.layers.items():
            keys, values = store.view(1, slice(0, head.column))
            mine = self.layer(index, keys, values)
            for rows, start in runs(self.starts):
                mine.put(rows, slice(start, start + head.column), keys, values)

    def append(self, index: int, key_BH1D: Tensor, value_BH1D: Tensor) -> LayerStore:
        """Write this step's keys and values of layer `index` into the write column."""
        store = self.layer(index, key_BH1D, value_BH1D)
        store.put(slice(0, len(self)), slice(self.column, self.column + 1), key_BH1D, value_BH1D)
        return store

    def room(self) -> None:
        """Make sure that the write column exists; call before a step."""
        if self.column < self.capacity:
            return
        self.capacity = min(max(self.limit, self.column + 1), max(int(self.column * GROWTH), self.column + FIRST_ROOM))
        used = slice(self.low, self.column)
        for index, store in self.layers.items():
            self.layers[index] = store.resized(None, len(self), self.capacity, used)
        self.plans.clear()

    def advance(self) -> None:
        """Close the write column; call after a step."""
        self.column += 1

    def positions(self) -> list[int]:
        """Return the position of the token that each row feeds now."""
        return [self.column - start for start in self.starts]

    def bias(self, columns: slice, like: Tensor) -> Tensor | None:
        """Return [rows, columns] with -inf where a row has no token, or None when every row fills the range."""
        if max(self.starts) <= columns.start:
            return None
        key = ("bias", like.dtype)
        if key not in self.plans:
            start = torch.tensor(self.starts, device=like.device)[:, None]
            empty = torch.arange(self.capacity, device=like.device) < start
            self.plans[key] = like.new_zeros(empty.shape).masked_fill_(empty, -torch.inf)
        return self.plans[key][:, columns]

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Drop all rows but `rows`; return the old index of each new row. Rows from the end fill the gaps."""
        count, kept = len(rows), set(rows)
        gaps = [row for row in range(count) if row not in kept]
        movers = [row for row in rows if row >= count]
        order = list(range(count))
        for gap, mover in zip(gaps, movers, strict=True):
            order[gap] = mover
        for store in self.layers.values():
            for gap, mover in zip(gaps, movers, strict=True):
                store.move(gap, mover, slice(self.starts[mover], self.column))
        self.starts = [self.starts[row] for row in order]
        self.plans.clear()
        return order

    def reorder(self, rows: Sequence[int]) -> None:
        """Make row i a copy of the former row `rows[i]`; rows may repeat (beam search)."""
        used = slice(self.low, self.column)
        for index, store in self.layers.items():
            device = store.keys.device
            self.layers[index] = store.resized(torch.tensor(rows, device=device), len(self), self.capacity, used)
        self.starts = [self.starts[row] for row in rows]
        self.plans.clear()

    def merged(self, other: "Cohort") -> "Cohort":
        """Return one cohort with the rows of both, this one's first, aligned at the later write column."""
        column = max(self.column, other.column)
        parts = [(cohort, column - cohort.column) for cohort in (self, other)]
        starts = [start + shift for cohort, shift in parts for start in cohort.starts]
        out = Cohort(starts, column, max(cohort.limit + shift for cohort, shift in parts), self.kind)
        for index, like in (self.layers | other.layers).items():
            store, first = out.layer(index, like.key_view(), like.value_view()), 0
            for cohort, shift in parts:
                if index in cohort.layers:  # a cohort of one-token prompts has stored nothing before its first step
                    used = slice(cohort.low, cohort.column)
                    keys, values = cohort.layers[index].view(len(cohort), used)
                    target = slice(used.start + shift, used.stop + shift)
                    store.put(slice(first, first + len(cohort)), target, keys, values)
                first += len(cohort)
        return out


def runs(values: Sequence[int]) -> Iterator[tuple[slice, int]]:
    """Yield each stretch of equal neighbours as (places, value)."""
    first = 0
    for value, stretch in groupby(values):
        last = first + sum(1 for _ in stretch)
        yield slice(first, last), value
        first = last
