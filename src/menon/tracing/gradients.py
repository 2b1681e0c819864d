"""Inputs and output gradients of the traced layers, batch by batch: all that influence needs of a model.

The gradient of a sequence's loss with respect to a linear layer is the sum over tokens of the outer product of the
gradient at its output (s) and its input (a). Weight gradients are never formed by autograd: parameters are frozen, and
the graph begins at the outputs of the first traced layers, so nothing below them is differentiated.
Source: Grosse et al. 2023, arXiv:2308.03296, eq. 16 and section 3.1.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from menon.core.errors import ConfigError, DataError
from menon.tracing.layers import Layers, TracedLayer
from menon.tracing.values import TokenSequence

Consume = Callable[[int, Tensor, Tensor], None]  # layer's position, a_BTI, s_BTO


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceBatch:
    """Right-padded sequences; `weights_BT` weighs the prediction of token t, `real_BT` marks tokens that predict."""

    sequences: tuple[TokenSequence, ...]
    tokens_BT: Tensor
    weights_BT: Tensor
    real_BT: Tensor

    @property
    def documents(self) -> list[int]:
        return [sequence.document for sequence in self.sequences]


def batches(sequences: Sequence[TokenSequence], tokens_per_batch: int) -> Iterator[SequenceBatch]:
    """Group sequences of like length into batches of at most `tokens_per_batch` padded tokens."""
    ordered = sorted((s for s in sequences if len(s.ids) > 1), key=lambda s: (len(s.ids), s.document, s.start))
    current: list[TokenSequence] = []
    for sequence in ordered:
        if current and len(sequence.ids) * (len(current) + 1) > tokens_per_batch:
            yield collate(current)
            current = []
        current.append(sequence)
    if current:
        yield collate(current)


def collate(sequences: Sequence[TokenSequence]) -> SequenceBatch:
    """Stack sequences into one batch, padded on the right with token 0."""
    lengths_B = np.array([len(s.ids) for s in sequences])
    width = int(lengths_B.max())
    tokens_BT = np.zeros((len(sequences), width), dtype=np.int64)
    weights_BT = np.zeros((len(sequences), width), dtype=np.float32)
    for i, sequence in enumerate(sequences):
        tokens_BT[i, : lengths_B[i]] = sequence.ids
        weights_BT[i, 1 : lengths_B[i]] = 1.0
        weights_BT[i, 1 : sequence.prompt] = sequence.prompt_weight
    real_BT = np.arange(width)[None] < lengths_B[:, None] - 1
    return SequenceBatch(
        sequences=tuple(sequences),
        tokens_BT=torch.from_numpy(tokens_BT),
        weights_BT=torch.from_numpy(weights_BT),
        real_BT=torch.from_numpy(real_BT),
    )


class Tap:
    """Runs batches through a model and hands each layer's inputs and output gradients to a consumer.

    A context manager: inside it the parameters are frozen and hooks are in place; both are undone on leaving.
    """

    def __init__(self, model: Any, layers: Layers):
        self.model, self.layers = model, layers
        self.device = next(model.parameters()).device
        self._consume: Consume | None = None
        self._inputs: dict[int, list[Tensor]] = {}
        self._found: dict[int, list[tuple[int, Tensor]]] = {}
        self._handles: list[Any] = []
        self._was_training = False
        self._shape = (0, 0)
        self._flags: list[tuple[nn.Parameter, bool]] = []

    def __enter__(self) -> "Tap":
        self._was_training = self.model.training
        self.model.eval()
        self._flags = [(p, p.requires_grad) for p in self.model.parameters()]
        for parameter, _ in self._flags:
            parameter.requires_grad_(False)
        self._handles = [
            layer.module.register_forward_hook(self._forward_hook(position))
            for position, layer in enumerate(self.layers.items)
        ]
        return self

    def __exit__(self, *exc: object) -> None:
        for handle in self._handles:
            handle.remove()
        for parameter, flag in self._flags:
            parameter.requires_grad_(flag)
        self.model.train(self._was_training)
        self._inputs, self._found, self._consume = {}, {}, None

    def run(self, batch: SequenceBatch, consume: Consume, *, sampled: int | None = None) -> np.ndarray:
        """Hand every layer's a_BTI (with the constant of the bias) and s_BTO to `consume`; return losses (nats).

        Args:
            sampled: a seed: the labels are then drawn from the model (the true Fisher) instead of the text's own.
        Raises:
            DataError: a loss that is not finite; the message names the document.
        """
        tokens_BT = batch.tokens_BT.to(self.device)
        weights_BT = batch.weights_BT.to(self.device)
        self._consume, self._inputs, self._found = consume, {}, {}
        self._shape = (tokens_BT.shape[0], tokens_BT.shape[1])
        with torch.enable_grad():
            logits_BTV = self.model(input_ids=tokens_BT, use_cache=False).logits[:, :-1]
            logps_BTV = torch.log_softmax(logits_BTV.float(), dim=-1)
            labels_BT = tokens_BT[:, 1:]
            if sampled is not None:
                labels_BT = draw_labels(logps_BTV.detach(), batch, sampled)
                weights_BT = weights_BT.sqrt()  # the curvature of a loss with weight w is w times that without
            nll_BT = -logps_BTV.gather(-1, labels_BT[..., None])[..., 0] * weights_BT[:, 1:]
            losses_B = nll_BT.sum(1)
            if not bool(torch.isfinite(losses_B.detach()).all()):
                bad = int((~torch.isfinite(losses_B.detach())).nonzero()[0])
                raise DataError(
                    f"document {batch.sequences[bad].document} has a loss that is not finite under this model; "
                    "look at that document and at the model's weights, or load the model with dtype float32"
                )
            losses_B.sum().backward()
        return losses_B.detach().double().cpu().numpy()

    def _forward_hook(self, position: int) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            if self._consume is None or not torch.is_grad_enabled():
                return
            if not output.requires_grad:
                output.requires_grad_(True)
            calls = self._inputs.setdefault(position, [])
            number = len(calls)
            calls.append(inputs[0].detach())
            output.register_hook(lambda gradient: self._arrived(position, number, gradient))

        return hook

    def _arrived(self, position: int, number: int, gradient: Tensor) -> None:
        found = self._found.setdefault(position, [])
        found.append((number, gradient.detach()))
        if len(found) < len(self._inputs[position]):
            return
        # A layer that is used several times in a pass: its gradient is the sum over all uses.
        found.sort(key=lambda item: item[0])
        layer = self.layers.items[position]
        with torch.no_grad():
            a_BTI = self._joined(layer, self._inputs.pop(position))
            s_BTO = self._joined(layer, [s for _, s in self._found.pop(position)])
            assert self._consume is not None
            self._consume(position, with_constant(a_BTI.float(), layer), s_BTO.float())

    def _joined(self, layer: TracedLayer, uses: list[Tensor]) -> Tensor:
        """Return the rows of all uses of a layer as (B, T * uses, D)."""
        B, T = self._shape
        if any(x.numel() != B * T * x.shape[-1] for x in uses):
            raise ConfigError(
                f"layer {layer.name!r} does not see every token (experts that are chosen per token?), so the gradient "
                f"of a document cannot be told apart in it; leave it out with tracing.skip = [{layer.name!r}]"
            )
        rows = [x.reshape(B, T, x.shape[-1]) for x in uses]
        return rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)


def with_constant(a_BTI: Tensor, layer: TracedLayer) -> Tensor:
    """Append the input 1 that the bias is the weight of."""
    return nn.functional.pad(a_BTI, (0, 1), value=1.0) if layer.bias else a_BTI


def draw_labels(logps_BTV: Tensor, batch: SequenceBatch, seed: int) -> Tensor:
    """Draw one label per position from the model; they depend on the seed and the document, not on the batch."""
    uniforms_BT = torch.from_numpy(uniforms(batch, seed)).to(logps_BTV.device)
    below_BTV = logps_BTV.exp().cumsum(-1)
    points_BT1 = uniforms_BT[..., None] * below_BTV[..., -1:]
    return torch.searchsorted(below_BTV, points_BT1, right=True)[..., 0].clamp_(max=logps_BTV.shape[-1] - 1)


def uniforms(batch: SequenceBatch, seed: int) -> np.ndarray:
    """Return float32 numbers in [0, 1) of shape (B, T - 1): a hash of seed, document, position in the document."""
    width = batch.tokens_BT.shape[1] - 1
    documents_B = np.array(batch.documents, dtype=np.uint64)
    starts_B = np.array([s.start for s in batch.sequences], dtype=np.uint64)
    places_BT = starts_B[:, None] + np.arange(width, dtype=np.uint64)[None]
    keys_BT = _mixed(_mixed(documents_B + np.uint64(seed % (1 << 63)))[:, None] + places_BT)
    return ((keys_BT >> np.uint64(40)).astype(np.float32)) / np.float32(1 << 24)


def _mixed(x: np.ndarray) -> np.ndarray:
    """Mix 64-bit integers (the finaliser of splitmix64; sums wrap around)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
