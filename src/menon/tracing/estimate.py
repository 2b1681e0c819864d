"""What tracing will cost: memory by counting, time by trying a few batches.

The count needs no weights, so it also answers for a model that does not fit here (a configuration on the meta device).
Left out: the peak inside library kernels, and the tokenised corpus on disk.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from menon.core.seeds import seed_for
from menon.tracing.bank import query_bank
from menon.tracing.config import TraceConfig
from menon.tracing.factors import CHUNK, Factors, covariance, eigenbasis, eigenvalues
from menon.tracing.gradients import batches
from menon.tracing.layers import Layers
from menon.tracing.scoring import score_documents
from menon.tracing.values import TokenSequence

MIB = 1 << 20
TRIED_TOKENS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes by what holds them; `peak` is the largest sum that is held at one time, `disk` what stays in the run."""

    weights: int
    factors: int
    bank: int
    activations: int
    logits: int
    disk: int

    @property
    def peak(self) -> int:
        return self.weights + max(self.factors, self.bank) + self.activations + self.logits

    def to_json(self) -> dict[str, float]:
        names = ("weights", "factors", "bank", "activations", "logits", "peak", "disk")
        return {f"{name}_mib": round(getattr(self, name) / MIB, 1) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Seconds of each pass over all documents, from a trial on `tried` tokens of this machine."""

    covariance: float
    eigenbasis: float
    eigenvalues: float
    documents: float
    tried: int

    @property
    def total(self) -> float:
        return self.covariance + self.eigenbasis + self.eigenvalues + self.documents

    def to_json(self) -> dict[str, float]:
        names = ("covariance", "eigenbasis", "eigenvalues", "documents", "total")
        return {**{f"{name}_s": round(getattr(self, name), 2) for name in names}, "tried_tokens": self.tried}


def memory_needed(
    model: Any, layers: Layers, config: TraceConfig, *, queries: int, documents: int, longest: int
) -> Memory:
    """Count the bytes that the passes hold; works for a model on the meta device.

    Args:
        longest: tokens of the longest sequence; a batch holds at least that many.
    """
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    squares = sum(layer.inputs**2 + layer.outputs**2 for layer in layers.items) * 4
    eigenvalues = layers.parameters * 4
    directions = 0
    for layer in layers.items:
        low = config.rank * (layer.inputs + layer.outputs)
        directions += 2 * queries * 4 * (min(low, layer.parameters) if config.rank else layer.parameters)
    tokens = max(config.tokens_per_batch, longest)
    settings = model.config.get_text_config()
    depth = getattr(settings, "num_hidden_layers", 1)
    width = getattr(settings, "hidden_size", max(layer.inputs for layer in layers.items))
    element = next(model.parameters()).element_size()
    # What autograd keeps per token and block: about 20 widths with the feed-forward block, and attention weights where
    # they are formed. The largest pair of a layer's inputs and output gradients is held in float32 besides.
    kept = tokens * width * depth * 20 * element
    largest = max(layer.inputs + layer.outputs for layer in layers.items) * tokens * 4
    chunk = max(max(layer.parameters for layer in layers.items), CHUNK) * 8
    logits = tokens * settings.vocab_size * (element + 12)
    scores = documents * (2 * queries + 4) * 4
    return Memory(
        weights=weights,
        factors=squares * 2 + eigenvalues * 2,
        bank=directions + squares + eigenvalues,  # the curvature is at hand while queries are preconditioned
        activations=kept + largest + chunk,
        logits=logits,
        disk=squares + eigenvalues + directions + scores,
    )


def time_needed(
    model: Any,
    layers: Layers,
    config: TraceConfig,
    sequences: Sequence[TokenSequence],
    queries: Sequence[TokenSequence],
    *,
    tokens: int,
    factor_tokens: int,
) -> Durations:
    """Try every pass on a few of `sequences` and scale to `tokens` (of all documents) and `factor_tokens`.

    All passes are linear in tokens; the eigendecomposition does not depend on them.
    """
    tried = _some(sequences)
    count = sum(len(s.ids) for s in tried)
    size, seed = config.tokens_per_batch, seed_for("estimate", config.seed)
    covariance(model, layers, tried[:1], tokens_per_batch=size, seed=seed)  # first use of kernels and threads
    sums, first = _timed(lambda: covariance(model, layers, tried, tokens_per_batch=size, seed=seed))
    basis, decomposing = _timed(lambda: eigenbasis(sums, layers))
    values, second = _timed(lambda: eigenvalues(model, layers, basis, tried, tokens_per_batch=size, seed=seed))
    factors = Factors.of(layers, basis, values)
    bank = query_bank(
        model, layers, queries[:1], factors=factors, damping=factors.damping(config.damping), rank=config.rank
    )
    full = bank.repeated(len(queries))
    places = {s.document: place for place, s in enumerate(tried)}
    moved = [TokenSequence(document=places[s.document], ids=s.ids, prompt=s.prompt) for s in tried]
    _, third = _timed(
        lambda: score_documents(model, layers, full, moved, first=0, documents=len(moved), tokens_per_batch=size)
    )
    return Durations(
        covariance=first * factor_tokens / count,
        eigenbasis=decomposing,
        eigenvalues=second * factor_tokens / count,
        documents=third * tokens / count,
        tried=count,
    )


def _some(sequences: Sequence[TokenSequence]) -> list[TokenSequence]:
    found: list[TokenSequence] = []
    total = 0
    for batch in batches(sequences, TRIED_TOKENS // 4):
        found.extend(batch.sequences)
        total += sum(len(s.ids) for s in batch.sequences)
        if total >= TRIED_TOKENS:
            break
    return found


def _timed(call: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    value = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return value, time.perf_counter() - began
