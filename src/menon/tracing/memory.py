"""All steps of tracing at once, in memory: for small models, tests and retraining studies.

Left out: shards, resuming and lexical baselines; `menon.studies.trace` has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from menon.core.errors import ConfigError
from menon.core.progress import Progress, Silent
from menon.core.seeds import seed_for
from menon.tracing.bank import QueryBank, query_bank
from menon.tracing.config import TraceConfig
from menon.tracing.factors import Factors, covariance, eigenbasis, eigenvalues
from menon.tracing.layers import Layers, traced_layers
from menon.tracing.scoring import score_documents
from menon.tracing.values import TokenSequence


@dataclass(slots=True, kw_only=True)
class Traced:
    """Scores by method, each (Q, N) float32; information (nats) and gradient norm of queries, norms of documents."""

    scores: dict[str, np.ndarray]
    information_Q: np.ndarray
    norms_N: np.ndarray
    factors: Factors | None = None


def fit_factors(
    model: Any, layers: Layers, sequences: Sequence[TokenSequence], config: TraceConfig, **described: str
) -> Factors:
    """Measure the curvature of `model` on `sequences`: covariances, their eigenvectors, corrected eigenvalues.

    The two passes draw their labels with seeds of their own.
    """
    size = config.tokens_per_batch
    first, second = seed_for("fisher", "covariance", config.seed), seed_for("fisher", "eigenvalues", config.seed)
    basis = eigenbasis(covariance(model, layers, sequences, tokens_per_batch=size, seed=first), layers)
    sums = eigenvalues(model, layers, basis, sequences, tokens_per_batch=size, seed=second)
    return Factors.of(layers, basis, sums, **described)


def trace_sequences(
    model: Any,
    sequences: Sequence[TokenSequence],
    queries: Sequence[TokenSequence],
    config: TraceConfig | None = None,
    *,
    documents: int | None = None,
    factors: Factors | None = None,
    checkpoints: Sequence[tuple[Any, float]] = (),
    progress: Progress | None = None,
) -> Traced:
    """Score every document against every query with "ekfac", "dot", "cosine", and "tracin" where checkpoints are given.

    Args:
        queries: prompt and completion as one sequence each, the prompt with weight 0.
        documents: how many documents there are; without it one more than the highest in `sequences`.
        checkpoints: models on the way with their learning rates (TracIn, Pruthi et al. 2020, arXiv:2002.08484, eq. 3).
    """
    config, progress = config or TraceConfig(), progress or Silent()
    if not queries or not sequences:
        raise ConfigError(f"got {len(sequences)} sequences and {len(queries)} queries; tracing needs one of each")
    count = documents if documents is not None else 1 + max(s.document for s in sequences)
    layers = traced_layers(model, select=config.layers, skip=config.skip)
    progress.start("tracing", total=3 + len(checkpoints), unit="passes")
    if factors is None:
        fitted = [s for s in sequences if not config.factor_documents or s.document < config.factor_documents]
        factors = fit_factors(model, layers, fitted, config)
    progress.advance(2)
    bank = query_bank(
        model, layers, queries, factors=factors, damping=factors.damping(config.damping), rank=config.rank,
        seed=config.seed,
    )  # fmt: skip
    found = score_documents(
        model, layers, bank, sequences, first=0, documents=count, tokens_per_batch=config.tokens_per_batch
    )
    progress.advance(1)
    scores = {method: found.scores_KN[bank.rows(method)] for method in bank.methods}
    scores["cosine"] = cosine(scores["dot"], bank, found.norms_N)
    if checkpoints:
        scores["tracin"] = tracin(
            checkpoints, config, sequences, queries, documents=count, tokens_per_batch=config.tokens_per_batch
        )
        progress.advance(len(checkpoints))
    return Traced(scores=scores, information_Q=bank.information_Q, norms_N=found.norms_N, factors=factors)


def cosine(dot_QN: np.ndarray, bank: QueryBank, norms_N: np.ndarray) -> np.ndarray:
    """Divide gradient dot products by both norms; a document without gradient has 0."""
    norms_QN = bank.norms_Q[:, None] * norms_N[None]
    return np.divide(dot_QN, norms_QN, out=np.zeros_like(dot_QN), where=norms_QN > 0).astype(np.float32)


def tracin(
    checkpoints: Sequence[tuple[Any, float]],
    config: TraceConfig,
    sequences: Sequence[TokenSequence],
    queries: Sequence[TokenSequence],
    *,
    documents: int,
    tokens_per_batch: int,
) -> np.ndarray:
    """Sum gradient dot products over checkpoints, each times its learning rate."""
    total = np.zeros((len(queries), documents), dtype=np.float32)
    for model, rate in checkpoints:
        layers = traced_layers(model, select=config.layers, skip=config.skip)
        bank = query_bank(model, layers, queries, factors=None, rank=config.rank, seed=config.seed)
        found = score_documents(
            model, layers, bank, sequences, first=0, documents=documents, tokens_per_batch=tokens_per_batch
        )
        total += np.float32(rate) * found.scores_KN
    return total
