"""Tensors and score tables on disk: one safetensors file per piece of work."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from menon.core.errors import RunError

TENSORS = "tensors.safetensors"


def save_tensors(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Write `tensors` into `folder`; call it inside an `atomic_directory`."""
    save_file({name: x.detach().cpu().contiguous() for name, x in tensors.items()}, folder / TENSORS)


def load_tensors(folder: Path) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote; raise `RunError` when it is missing or damaged."""
    try:
        return load_file(folder / TENSORS)
    except (OSError, SafetensorError) as error:
        raise _damaged(folder, error) from error


def load_arrays(folder: Path) -> dict[str, NDArray]:
    """Read what `save_tensors` wrote as NumPy arrays."""
    return {name: tensor.numpy() for name, tensor in load_tensors(folder).items()}


def tensors_of(arrays: Mapping[str, NDArray]) -> dict[str, Tensor]:
    """Return NumPy arrays as tensors that `save_tensors` takes."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


class ScoreTable:
    """Scores of one method as shards on disk: documents are read a query at a time, so memory is one row.

    `shards` are folders in the order of their documents, each holding the tensor `name` of shape (K, documents);
    query q is its row `first` + q.
    """

    def __init__(self, shards: Sequence[Path], name: str, *, queries: int, first: int = 0):
        self._shards, self._name, self._first = list(shards), name, first
        self.queries = queries

    def row(self, query: int) -> NDArray:
        """Return the scores of all documents for one query, (N,)."""
        return np.concatenate([self._part(shard, query) for shard in self._shards])

    def rows(self) -> Iterator[NDArray]:
        """Yield the rows of all queries."""
        for query in range(self.queries):
            yield self.row(query)

    def matrix(self) -> NDArray:
        """Return all scores, (Q, N); for corpora that fit in memory."""
        return np.stack(list(self.rows()))

    def _part(self, shard: Path, query: int) -> NDArray:
        try:
            with safe_open(str(shard / TENSORS), framework="np") as file:
                return file.get_slice(self._name)[self._first + query]
        except (OSError, SafetensorError) as error:
            raise _damaged(shard, error) from error


def vector(shards: Sequence[Path], name: str) -> NDArray:
    """Return a per-document vector that every shard holds, put together."""
    return np.concatenate([load_tensors(shard)[name].numpy() for shard in shards])


def _damaged(folder: Path, error: Exception) -> RunError:
    return RunError(
        f"cannot read {str(folder / TENSORS)!r}: {error}. A finished piece of this run is damaged; "
        "start over with --fresh, or give another folder (--out DIR)"
    )
