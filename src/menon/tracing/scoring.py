"""One pass over documents that scores them against a whole bank of queries.

Two ways that give the same numbers: form each sequence's gradient and multiply it with the whole directions, or
contract tokens with low-rank directions and never form a gradient. The cheaper one is taken per layer and batch.
Source: Grosse et al. 2023, arXiv:2308.03296, section 3.2 and eq. 30-31 (influence is a sum over layers and tokens).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from menon.core.errors import DataError
from menon.tracing.bank import QueryBank, whole_is_cheaper
from menon.tracing.factors import CHUNK, sequence_gradients
from menon.tracing.gradients import Tap, batches, collate
from menon.tracing.layers import Layers
from menon.tracing.values import TokenSequence


@dataclass(slots=True, kw_only=True)
class DocumentScores:
    """Scores of documents `first`..: (K, N) in the rows of the bank, gradient norms and losses (nats) of shape (N,)."""

    first: int
    scores_KN: np.ndarray
    norms_N: np.ndarray
    losses_N: np.ndarray


def score_documents(
    model: Any,
    layers: Layers,
    bank: QueryBank,
    sequences: Sequence[TokenSequence],
    *,
    first: int,
    documents: int,
    tokens_per_batch: int,
) -> DocumentScores:
    """Score documents first .. first + documents - 1, whose sequences are given; those without a sequence score 0.

    Scores follow the sign convention of the package: positive means that training on the document raised the
    log-likelihood of the query's completion.

    Raises:
        DataError: a gradient that is not finite; the message names the document.
    """
    rows = bank.queries * len(bank.methods)
    scores_KN = np.zeros((rows, documents), dtype=np.float32)
    squares_N, losses_N = np.zeros(documents), np.zeros(documents)
    directions = [_flat(bank, position, layers) for position in range(len(layers.items))]
    device = next(model.parameters()).device
    formed = [len(flat_XK) for flat_XK in directions if flat_XK is not None]
    buffer = torch.empty(max(CHUNK, *formed) if formed else 0, device=device)
    with Tap(model, layers) as tap:
        for batch in batches(sequences, tokens_per_batch):
            size = len(batch.sequences)
            scores_BK = torch.zeros(size, rows, device=device)
            squares_B = torch.zeros(size, device=device)

            def consume(
                position: int, a_BTI: Tensor, s_BTO: Tensor, scores: Tensor = scores_BK, squares: Tensor = squares_B
            ) -> None:
                direction = directions[position]
                if direction is not None:
                    _by_gradient(a_BTI, s_BTO, direction, scores, squares, buffer)
                else:
                    _by_tokens(a_BTI, s_BTO, bank, position, scores, squares)

            losses_B = tap.run(batch, consume)
            if not bool(torch.isfinite(scores_BK).all()):
                bad = int((~torch.isfinite(scores_BK).all(1)).nonzero()[0])
                raise DataError(
                    f"document {batch.sequences[bad].document} has a gradient that is not finite; load the model with "
                    "dtype float32, or take that document out of the corpus"
                )
            at_B = np.array(batch.documents) - first
            np.add.at(scores_KN.T, at_B, scores_BK.cpu().numpy())
            np.add.at(squares_N, at_B, squares_B.double().cpu().numpy())
            np.add.at(losses_N, at_B, losses_B)
    return DocumentScores(first=first, scores_KN=scores_KN, norms_N=np.sqrt(squares_N), losses_N=losses_N)


def _flat(bank: QueryBank, position: int, layers: Layers) -> Tensor | None:
    """Return the directions as (O * I, K) where forming gradients is the cheaper way, else None."""
    whole = bank.whole[position]
    if whole is None:
        left, right = bank.left[position], bank.right[position]
        assert left is not None
        assert right is not None
        if not whole_is_cheaper(layers, position, rows=left.shape[0], rank=left.shape[2]):
            return None
        whole = left @ right.transpose(1, 2)
    return whole.reshape(whole.shape[0], -1).T


def _by_gradient(
    a_BTI: Tensor, s_BTO: Tensor, flat_XK: Tensor, scores_BK: Tensor, squares_B: Tensor, buffer: Tensor
) -> None:
    step = max(1, len(buffer) // len(flat_XK))
    for start in range(0, a_BTI.shape[0], step):
        rows = slice(start, start + step)
        scores_BK[rows] += sequence_gradients(a_BTI[rows], s_BTO[rows], buffer).flatten(1) @ flat_XK
    squares_B += _squared_norms(a_BTI, s_BTO)


def _by_tokens(
    a_BTI: Tensor, s_BTO: Tensor, bank: QueryBank, position: int, scores_BK: Tensor, squares_B: Tensor
) -> None:
    left_KOR, right_KIR = bank.left[position], bank.right[position]
    assert left_KOR is not None
    assert right_KIR is not None
    K, outputs, R = left_KOR.shape
    step = max(1, CHUNK // max(1, a_BTI.shape[0] * a_BTI.shape[1] * R))
    for start in range(0, K, step):
        rows = slice(start, start + step)
        left_OX = left_KOR[rows].permute(1, 0, 2).reshape(outputs, -1)
        right_IX = right_KIR[rows].permute(1, 0, 2).reshape(a_BTI.shape[2], -1)
        both_BTX = (s_BTO @ left_OX) * (a_BTI @ right_IX)
        scores_BK[:, rows] += both_BTX.sum(1).unflatten(1, (-1, R)).sum(2)
    squares_B += _squared_norms(a_BTI, s_BTO)


def _squared_norms(a_BTI: Tensor, s_BTO: Tensor) -> Tensor:
    """Return the squared norm of the sum over tokens of outer products, without forming it."""
    return ((a_BTI @ a_BTI.transpose(1, 2)) * (s_BTO @ s_BTO.transpose(1, 2))).sum((1, 2))


@dataclass(slots=True, kw_only=True)
class TokenScores:
    """The exact parts of one score: per token of the sequence, and per layer; each adds up to the score."""

    tokens_T: np.ndarray
    layers_L: np.ndarray


def token_scores(
    model: Any, layers: Layers, bank: QueryBank, row: int, sequences: Sequence[TokenSequence]
) -> list[TokenScores]:
    """Split the score of row `row` of the bank into tokens and layers, for each of `sequences`.

    The part of token t is what its position carries: its inputs and the gradients that arrive there, those from the
    losses of all later tokens included. The last token predicts nothing and has no part.
    """
    found = []
    with Tap(model, layers) as tap:
        for sequence in sequences:
            tokens_T = np.zeros(len(sequence.ids))
            layers_L = np.zeros(len(layers.items))

            def consume(
                position: int, a_BTI: Tensor, s_BTO: Tensor, tokens: np.ndarray = tokens_T, per: np.ndarray = layers_L
            ) -> None:
                direction_OI = bank.direction(position, row)
                parts_X = ((s_BTO[0] @ direction_OI) * a_BTI[0]).sum(1).double().cpu().numpy()
                tokens += parts_X.reshape(-1, len(tokens)).sum(0)
                per[position] = parts_X.sum()

            tap.run(collate([sequence]), consume)
            found.append(TokenScores(tokens_T=tokens_T, layers_L=layers_L))
    return found
