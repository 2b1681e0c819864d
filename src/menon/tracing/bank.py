"""Query gradients, preconditioned once and kept at low rank, against which one pass over the documents is scored.

A bank holds K = methods x queries directions per layer, either whole (K, O, I) or as U (K, O, R) and V (K, I, R) with
the direction U V^T. Source: Grosse et al. 2023, arXiv:2308.03296, section 3.2 (rank 32 by randomised SVD, Halko et al.
2011, arXiv:0909.4061, algorithms 4.4 and 5.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from menon.core.errors import DataError
from menon.core.seeds import seed_for
from menon.tracing.factors import Factors
from menon.tracing.gradients import Tap, collate
from menon.tracing.layers import Layers
from menon.tracing.values import TokenSequence

OVERSAMPLED, POWER_ITERATIONS = 8, 2
WHOLE_ELEMENTS = 1 << 28  # whole directions of all layers together take at most 1 GiB


@dataclass(slots=True, kw_only=True)
class QueryBank:
    """Directions of all queries, for `methods` one after the other; rows of a method are in the order of the queries.

    `whole[l]` is (K, O, I), or None where `left[l]` (K, O, R) and `right[l]` (K, I, R) are kept. `information_Q` is
    -log p(completion | prompt) in nats, `norms_Q` the norm of the raw query gradient over the traced layers.
    """

    methods: tuple[str, ...]
    whole: list[Tensor | None]
    left: list[Tensor | None]
    right: list[Tensor | None]
    information_Q: np.ndarray
    norms_Q: np.ndarray

    @property
    def queries(self) -> int:
        return len(self.information_Q)

    def rows(self, method: str) -> slice:
        """Return where the directions of `method` are."""
        first = self.methods.index(method) * self.queries
        return slice(first, first + self.queries)

    def direction(self, position: int, row: int) -> Tensor:
        """Return the (O, I) direction of one row in one layer."""
        whole = self.whole[position]
        if whole is not None:
            return whole[row]
        left, right = self.left[position], self.right[position]
        assert left is not None
        assert right is not None
        return left[row] @ right[row].T

    def repeated(self, queries: int) -> "QueryBank":
        """Return a bank of the same size in memory and time as one of `queries` queries (for estimates)."""

        def longer(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.repeat_interleave(queries, dim=0)

        return QueryBank(
            methods=self.methods,
            whole=[longer(x) for x in self.whole],
            left=[longer(x) for x in self.left],
            right=[longer(x) for x in self.right],
            information_Q=np.repeat(self.information_Q, queries),
            norms_Q=np.repeat(self.norms_Q, queries),
        )

    def to(self, device: torch.device) -> "QueryBank":
        for tensors in (self.whole, self.left, self.right):
            tensors[:] = [None if x is None else x.to(device) for x in tensors]
        return self

    def tensors(self) -> dict[str, Tensor]:
        found = {
            "information": torch.from_numpy(self.information_Q),
            "norms": torch.from_numpy(self.norms_Q),
        }
        for kind, tensors in (("whole", self.whole), ("left", self.left), ("right", self.right)):
            found |= {f"{kind}.{i}": x.cpu().contiguous() for i, x in enumerate(tensors) if x is not None}
        return found

    @classmethod
    def of(cls, methods: Sequence[str], tensors: dict[str, Tensor], layers: int) -> "QueryBank":
        return cls(
            methods=tuple(methods),
            whole=[tensors.get(f"whole.{i}") for i in range(layers)],
            left=[tensors.get(f"left.{i}") for i in range(layers)],
            right=[tensors.get(f"right.{i}") for i in range(layers)],
            information_Q=tensors["information"].numpy(),
            norms_Q=tensors["norms"].numpy(),
        )


def whole_is_cheaper(layers: Layers, position: int, *, rows: int, rank: int) -> bool:
    """Return whether a layer is scored by forming gradients, rather than token by token at `rank`.

    A gradient costs O I multiplications for each direction, a token R (O + I); documents have 16 tokens at least.
    """
    layer = layers.items[position]
    if rows * layers.parameters > WHOLE_ELEMENTS:
        return rank * (layer.outputs + layer.inputs) >= layer.parameters
    return layer.parameters <= 16 * rank * (layer.outputs + layer.inputs)


def query_bank(
    model: Any,
    layers: Layers,
    queries: Sequence[TokenSequence],
    *,
    factors: Factors | None,
    damping: Sequence[float] = (),
    rank: int = 32,
    dot: bool = True,
    seed: int = 0,
) -> QueryBank:
    """Take the gradient of every query, precondition it, and keep it at `rank` (0: whole).

    Where whole directions are cheaper to score against and fit into memory, as in small models, they are kept whole.

    Args:
        queries: prompt and completion as one sequence whose prompt has weight 0.
        factors: the curvature; None gives gradient dot products only.
        dot: keep the raw gradients beside the preconditioned ones.
    Raises:
        DataError: a query without completion tokens, or with a gradient that is not finite; the message says which.
    """
    methods = (*(["ekfac"] if factors is not None else []), *(["dot"] if dot or factors is None else []))
    kept: list[list[list[tuple[Tensor, ...]]]] = [[[] for _ in layers.items] for _ in methods]
    rows = len(methods) * len(queries)
    whole = [not rank or whole_is_cheaper(layers, at, rows=rows, rank=rank) for at in range(len(layers.items))]
    information, norms = [], []
    with Tap(model, layers) as tap:
        for number, query in enumerate(queries):
            if len(query.ids) <= max(1, query.prompt):
                raise DataError(f"query {number + 1} of {len(queries)} has no completion tokens to explain")
            found: dict[str, dict[int, Tensor]] = {"ekfac": {}, "dot": {}}

            def consume(
                position: int, a_BTI: Tensor, s_BTO: Tensor, found: dict[str, dict[int, Tensor]] = found
            ) -> None:
                found["dot"][position] = s_BTO[0].T @ a_BTI[0]
                if factors is not None:
                    found["ekfac"][position] = factors.inverse_of_tokens(
                        position, a_BTI[0], s_BTO[0], damping[position]
                    )

            information.append(float(tap.run(collate([query]), consume)[0]))
            norms.append(_norm(found["dot"].values()))
            if not np.isfinite(norms[-1]):
                raise DataError(
                    f"query {number + 1} of {len(queries)} has a gradient that is not finite; load the model with "
                    "dtype float32, or leave this query out"
                )
            for at, method in enumerate(methods):
                for position, direction_OI in found[method].items():
                    if whole[position]:
                        kept[at][position].append((direction_OI,))
                    else:
                        chance = seed_for("svd", seed, number, position)
                        kept[at][position].append(randomised_svd(direction_OI, rank, chance))
    return _bank(methods, kept, np.array(information), np.array(norms))


def _norm(gradients: Any) -> float:
    return float(sum(float(g.double().square().sum()) for g in gradients) ** 0.5)


def randomised_svd(x_OI: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return U (O, R) and V (I, R) with U V^T near the best approximation of that rank."""
    generator = torch.Generator().manual_seed(seed)
    width = min(rank + OVERSAMPLED, *x_OI.shape)
    probe_IW = torch.randn(x_OI.shape[1], width, generator=generator).to(x_OI)
    basis_OW = torch.linalg.qr(x_OI @ probe_IW)[0]
    for _ in range(POWER_ITERATIONS):
        basis_OW = torch.linalg.qr(x_OI @ torch.linalg.qr(x_OI.T @ basis_OW)[0])[0]
    u_WR, s_R, v_RI = torch.linalg.svd(basis_OW.T @ x_OI, full_matrices=False)
    keep = min(rank, len(s_R))
    return basis_OW @ u_WR[:, :keep] * s_R[:keep], v_RI[:keep].T.contiguous()


def _bank(
    methods: Sequence[str], kept: list[list[list[tuple[Tensor, ...]]]], information_Q: np.ndarray, norms_Q: np.ndarray
) -> QueryBank:
    whole: list[Tensor | None] = []
    left: list[Tensor | None] = []
    right: list[Tensor | None] = []
    for position in range(len(kept[0])):
        rows = [row for method in kept for row in method[position]]
        if len(rows[0]) == 1:
            whole.append(torch.stack([row[0] for row in rows]))
            left.append(None)
            right.append(None)
        else:
            whole.append(None)
            left.append(torch.stack([row[0] for row in rows]))
            right.append(torch.stack([row[1] for row in rows]))
    return QueryBank(
        methods=tuple(methods), whole=whole, left=left, right=right, information_Q=information_Q, norms_Q=norms_Q
    )
