"""The curvature of a model in Kronecker-factored form, with corrected eigenvalues (EK-FAC).

Per layer: A = E[a a^T] and S = E[s s^T] as if tokens were independent, their eigenvectors (in float64), and the second
moment of exact per-sequence gradients in that basis. Labels are drawn from the model, so it is the true Fisher, which
for a softmax equals the Gauss-Newton matrix. All moments are sums, so shards of documents add up.
Source: Grosse et al. 2023, arXiv:2308.03296, sections 2.2 and 3.1; George et al. 2018, arXiv:1806.03884.
Left out: block-diagonal factors for layers too wide for one eigendecomposition.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from menon.core.errors import ConfigError, DataError, RunError
from menon.core.seeds import canonical_json
from menon.tracing.gradients import Tap, batches
from menon.tracing.layers import Layers
from menon.tracing.values import TokenSequence

CHUNK = 1 << 23  # elements of per-sequence gradients that are held at once
CACHED = 1 << 20  # of those that are formed at once: what a processor keeps near
HEURISTIC_DAMPING = 0.1


@dataclass(slots=True)
class Covariance:
    """Sums over tokens of a a^T (I, I) and s s^T (O, O) of every layer, in the order of the layers."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    tokens: int = 0

    def add(self, other: "Covariance") -> None:
        """Add the sums of another shard."""
        for mine, theirs in zip((*self.inputs, *self.outputs), (*other.inputs, *other.outputs), strict=True):
            mine += theirs.to(mine.dtype)
        self.tokens += other.tokens

    def tensors(self) -> dict[str, Tensor]:
        return {
            **{f"inputs.{i}": x for i, x in enumerate(self.inputs)},
            **{f"outputs.{i}": x for i, x in enumerate(self.outputs)},
            "tokens": torch.tensor(self.tokens),
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Covariance":
        count = sum(name.startswith("inputs.") for name in tensors)
        return cls(
            inputs=[tensors[f"inputs.{i}"] for i in range(count)],
            outputs=[tensors[f"outputs.{i}"] for i in range(count)],
            tokens=int(tensors["tokens"]),
        )


def covariance(
    model: Any, layers: Layers, sequences: Sequence[TokenSequence], *, tokens_per_batch: int, seed: int
) -> Covariance:
    """Sum the covariances of inputs and output gradients over the tokens of `sequences`.

    A token counts where it predicts another one; padding and last tokens do not.
    """
    device = next(model.parameters()).device
    total = Covariance(
        inputs=[torch.zeros(layer.inputs, layer.inputs, device=device) for layer in layers.items],
        outputs=[torch.zeros(layer.outputs, layer.outputs, device=device) for layer in layers.items],
    )
    with Tap(model, layers) as tap:
        for batch in batches(sequences, tokens_per_batch):
            real_BT = batch.real_BT.to(device)

            def consume(position: int, a_BTI: Tensor, s_BTO: Tensor, real_BT: Tensor = real_BT) -> None:
                a_XI, s_XO = _where(a_BTI, real_BT), _where(s_BTO, real_BT)
                _add_squared(total.inputs[position], a_XI)
                _add_squared(total.outputs[position], s_XO)

            tap.run(batch, consume, sampled=seed)
            total.tokens += int(batch.real_BT.sum())
    return total


def _add_squared(sum_DD: Tensor, x_XD: Tensor) -> None:
    """Add x^T x. On a processor numpy computes one triangle of it and mirrors it, which torch does not."""
    if x_XD.device.type == "cpu":
        x = x_XD.contiguous().numpy()
        sum_DD += torch.from_numpy(x.T @ x)
    else:
        sum_DD.addmm_(x_XD.T, x_XD)


def _where(x_BTD: Tensor, real_BT: Tensor) -> Tensor:
    """Keep the rows of real tokens; a layer that is used k times has k rows per token."""
    uses = x_BTD.shape[1] // real_BT.shape[1]
    return x_BTD[real_BT.repeat(1, uses)]


@dataclass(slots=True)
class Eigenbasis:
    """Eigenvectors (columns) of A (I, I) and of S (O, O), float32, of every layer."""

    inputs: list[Tensor]
    outputs: list[Tensor]


def eigenbasis(sums: Covariance, layers: Layers) -> Eigenbasis:
    """Decompose both factors of every layer in float64.

    Raises:
        DataError: a factor that is not finite; the message names the layer.
    """
    return Eigenbasis(
        inputs=[_eigenvectors(x, sums.tokens, layer.name) for x, layer in zip(sums.inputs, layers.items, strict=True)],
        outputs=[
            _eigenvectors(x, sums.tokens, layer.name) for x, layer in zip(sums.outputs, layers.items, strict=True)
        ],
    )


def _eigenvectors(x_DD: Tensor, tokens: int, name: str) -> Tensor:
    if not bool(torch.isfinite(x_DD).all()):
        raise DataError(
            f"the covariance of layer {name!r} is not finite: a gradient overflowed. Load the model with dtype "
            "float32, or look for broken weights"
        )
    wide = x_DD.double().cpu() / max(1, tokens)
    return torch.linalg.eigh((wide + wide.T) / 2)[1].float().to(x_DD.device)


@dataclass(slots=True)
class Eigenvalues:
    """Sums over sequences of the squared gradient in the eigenbasis, (O, I) of every layer, and of how many documents.

    Windows of a long document are sequences of their own here; the curvature is a mean over documents all the same.
    """

    values: list[Tensor]
    documents: int = 0

    def add(self, other: "Eigenvalues") -> None:
        """Add the sums of another shard."""
        for mine, theirs in zip(self.values, other.values, strict=True):
            mine += theirs.to(mine.dtype)
        self.documents += other.documents

    def tensors(self) -> dict[str, Tensor]:
        return {
            **{f"values.{i}": x for i, x in enumerate(self.values)},
            "documents": torch.tensor(self.documents),
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Eigenvalues":
        count = sum(name.startswith("values.") for name in tensors)
        return cls(values=[tensors[f"values.{i}"] for i in range(count)], documents=int(tensors["documents"]))


def eigenvalues(
    model: Any,
    layers: Layers,
    basis: Eigenbasis,
    sequences: Sequence[TokenSequence],
    *,
    tokens_per_batch: int,
    seed: int,
) -> Eigenvalues:
    """Sum the squares of exact per-sequence gradients, rotated into the eigenbasis, over `sequences`."""
    device = next(model.parameters()).device
    total = Eigenvalues(values=[torch.zeros(layer.outputs, layer.inputs, device=device) for layer in layers.items])
    buffer = torch.empty(max(CACHED, *(layer.parameters for layer in layers.items)), device=device)

    def consume(position: int, a_BTI: Tensor, s_BTO: Tensor) -> None:
        a_BTI, s_BTO = a_BTI @ basis.inputs[position], s_BTO @ basis.outputs[position]
        sums_OI = total.values[position]
        step = max(1, CACHED // sums_OI.numel())
        for first in range(0, a_BTI.shape[0], step):
            rows = slice(first, first + step)
            sums_OI += sequence_gradients(a_BTI[rows], s_BTO[rows], buffer).square_().sum(0)

    with Tap(model, layers) as tap:
        for batch in batches(sequences, tokens_per_batch):
            tap.run(batch, consume, sampled=seed)
    total.documents = len({sequence.document for sequence in sequences if len(sequence.ids) > 1})
    return total


def sequence_gradients(a_CTI: Tensor, s_CTO: Tensor, buffer: Tensor) -> Tensor:
    """Return the gradient (C, O, I) of every sequence, in `buffer`.

    Fresh memory for every product would cost as much as the product, and so would products that no cache holds.
    """
    C, inputs, outputs = len(a_CTI), a_CTI.shape[2], s_CTO.shape[2]
    found_COI = buffer[: C * outputs * inputs].view(C, outputs, inputs)
    s_COT, step = s_CTO.transpose(1, 2), max(1, CACHED // (outputs * inputs))
    for first in range(0, C, step):
        rows = slice(first, first + step)
        torch.bmm(s_COT[rows], a_CTI[rows], out=found_COI[rows])
    return found_COI


@dataclass(slots=True, kw_only=True)
class Factors:
    """The curvature of a model: eigenvectors and mean corrected eigenvalues (O, I) of every traced layer."""

    layers: tuple[str, ...]
    basis: Eigenbasis
    values: list[Tensor]
    described: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, layers: Layers, basis: Eigenbasis, sums: Eigenvalues, **described: str) -> "Factors":
        """Finish the factors from the sums of all shards.

        Raises:
            DataError: no sequence at all, or eigenvalues that are not finite.
        """
        if sums.documents == 0:
            raise DataError("no sequence to measure the curvature on: every document is empty or a single token")
        values = [x / sums.documents for x in sums.values]
        for layer, value in zip(layers.items, values, strict=True):
            if not bool(torch.isfinite(value).all()):
                raise DataError(
                    f"the curvature of layer {layer.name!r} is not finite: a gradient overflowed. Load the model with "
                    "dtype float32, or look for broken weights"
                )
        return cls(layers=layers.names, basis=basis, values=values, described=described)

    def damping(self, given: float | None) -> list[float]:
        """Return what is added to the eigenvalues of each layer: `given`, or 0.1 x their mean."""
        found = [given if given is not None else HEURISTIC_DAMPING * float(v.double().mean()) for v in self.values]
        for name, damping in zip(self.layers, found, strict=True):
            if damping <= 0:
                raise DataError(
                    f"layer {name!r} has no curvature on these documents (all gradients are zero); "
                    "leave it out with tracing.skip, or give tracing.damping"
                )
        return found

    def inverse_times(self, position: int, gradient_OI: Tensor, damping: float) -> Tensor:
        """Return (G + damping)^-1 V of one layer, V of shape (..., O, I)."""
        q_I, q_O = self.basis.inputs[position], self.basis.outputs[position]
        rotated = q_O.T @ gradient_OI @ q_I
        return q_O @ (rotated / (self.values[position] + damping)) @ q_I.T

    def inverse_of_tokens(self, position: int, a_TI: Tensor, s_TO: Tensor, damping: float) -> Tensor:
        """Return (G + damping)^-1 of the gradient s^T a of one layer; tokens are rotated in place of the gradient."""
        q_I, q_O = self.basis.inputs[position], self.basis.outputs[position]
        rotated_OI = (s_TO @ q_O).T @ (a_TI @ q_I)
        return q_O @ (rotated_OI / (self.values[position] + damping)) @ q_I.T

    def to(self, device: torch.device) -> "Factors":
        for tensors in (self.basis.inputs, self.basis.outputs, self.values):
            tensors[:] = [x.to(device) for x in tensors]
        return self

    def save(self, path: Path) -> None:
        """Write all of it as one safetensors file; what it was made from stands in the header."""
        tensors = {}
        for i in range(len(self.layers)):
            tensors[f"{i}.inputs"] = self.basis.inputs[i].cpu().contiguous()
            tensors[f"{i}.outputs"] = self.basis.outputs[i].cpu().contiguous()
            tensors[f"{i}.values"] = self.values[i].cpu().contiguous()
        # One key only: the order of several in the header is not the same in every process.
        made = canonical_json({"layers": list(self.layers), "described": self.described})
        save_file(tensors, path, metadata={"made": made})

    @classmethod
    def load(cls, path: Path, expected: Mapping[str, str] | None = None) -> "Factors":
        """Read factors; `expected` is what they must have been made from (model hash, layers hash ...).

        Raises:
            RunError: a file that is missing or damaged.
            ConfigError: factors of another model or of other layers.
        """
        try:
            with safe_open(str(path), framework="pt") as file:
                made = json.loads((file.metadata() or {})["made"])
                described, names = dict(made["described"]), tuple(made["layers"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise RunError(
                f"cannot read the factors at {str(path)!r}: {error}; delete the file to redo them"
            ) from error
        for key, value in (expected or {}).items():
            if described.get(key) != value:
                raise ConfigError(
                    f"the factors at {str(path)!r} were made with another {key}: {described.get(key)!r}, not {value!r};"
                    " influence would be meaningless. Leave --factors out to fit new ones"
                )
        count = len(names)
        return cls(
            layers=names,
            basis=Eigenbasis(
                inputs=[tensors[f"{i}.inputs"] for i in range(count)],
                outputs=[tensors[f"{i}.outputs"] for i in range(count)],
            ),
            values=[tensors[f"{i}.values"] for i in range(count)],
            described=described,
        )
