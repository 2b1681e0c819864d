"""The two losses of a thought: the mixed prediction of the true tokens, and REINFORCE on the thought's own tokens.

Sums, not means: a step divides by what it counts over all its slices and forward passes.
Source: Quiet-STaR (arXiv:2403.09629, sections 4.3 and 4.4). Deviation: entropy and divergence of a thought are part of
its tokens' advantages, each token carrying what stands from it on, which has the expected gradient of the penalties.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from menon.models.thoughts.layout import Places
from menon.models.thoughts.mixing import mix_hidden
from menon.models.thoughts.passes import TextPass, ThoughtPass, talk_partners, true_tokens
from menon.models.thoughts.quiet import QuietModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """Mixed predictions of the N true tokens after every place."""

    logp_BMPN: Tensor
    weight_BMPN: Tensor


def mixed_predictions(
    quiet: QuietModel, text: TextPass, tokens_BL: Tensor, places: Places, thought: ThoughtPass
) -> Talk:
    """Return log-probabilities of the true tokens under the mixture, and the mixing weight (of the thought)."""
    talk_BMPND = thought.talk_BMPND
    shape = talk_BMPND.shape
    partner = talk_partners(text.hidden_BLD, places, thought.shape.talk)[:, :, None].expand(shape)
    targets = true_tokens(tokens_BL, places, thought.shape.talk)[:, :, None].expand(shape[:-1])
    weight_BMPN = quiet.head(partner, talk_BMPND)
    if quiet.settings.mixing == "hidden":
        logp = quiet.readout.log_probs_of(mix_hidden(partner, talk_BMPND, weight_BMPN), targets)
    else:
        logp = quiet.readout.mixed_log_probs_of(partner, talk_BMPND, weight_BMPN, targets)
    return Talk(logp_BMPN=logp, weight_BMPN=weight_BMPN)


def talk_loss(logp_BMPN: Tensor, weights_BMN: Tensor) -> Tensor:
    """Return minus the weighted sum of log-probabilities over all thoughts and talk tokens."""
    return -(logp_BMPN * weights_BMN[:, :, None]).sum()


def policy_loss(logp_BMPK: Tensor, advantages_BMPK: Tensor, valid_BM: Tensor) -> Tensor:
    """Return minus the sum of advantage times log-probability over the tokens of valid thoughts.

    Every token of a thought gets the thought's whole advantage; start, end and true tokens get nothing.
    """
    terms = advantages_BMPK.detach() * logp_BMPK
    return -torch.where(valid_BM[:, :, None, None], terms, torch.zeros_like(terms)).sum()


def text_log_probs(quiet: QuietModel, text: TextPass, tokens_BL: Tensor) -> Tensor:
    """Return the plain model's log-probability of every token but the first [B, L - 1]."""
    return quiet.readout.log_probs_of(text.hidden_BLD[:, :-1], tokens_BL[:, 1:])
