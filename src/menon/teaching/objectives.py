"""Objectives as pure functions of logits, token ids and weights."""

import torch
from torch import Tensor
from torch.nn import functional


def weighted_cross_entropy(logits_BTV: Tensor, tokens_BT: Tensor, weights_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of next-token losses (nats) and the sum of the weights.

    `weights_BT[b, t]` weighs the prediction of token t from the tokens before it; the weights of token 0 are ignored.
    Computed in float32 whatever the dtype of the logits.
    """
    logits = logits_BTV[:, :-1].float().flatten(0, 1)
    losses = functional.cross_entropy(logits, tokens_BT[:, 1:].flatten(), reduction="none")
    weights = weights_BT[:, 1:].flatten()
    return torch.dot(losses, weights), weights.sum()
