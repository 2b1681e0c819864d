"""How much a thought counts: the mixing weight, and the two ways to mix a prediction with and without thought.

`w` is always the weight of the THOUGHT: 0 is the plain model, 1 the thought alone. For a head that is linear up to
softmax the two ways are one: the renormalised mixture of log-probabilities equals the mixture of logits, which equals
the mixture of hidden states. They differ where logits are capped (Gemma 2).
Source: Quiet-STaR, Zelikman et al. 2024, arXiv:2403.09629, section 4.3. Deviations: the mixture is renormalised, the
paper's is not; a sigmoid keeps the weight in (0, 1), as the paper says but the official code does not do ("linear").
"""

import math
from typing import Literal, cast

import torch
from torch import Tensor, nn

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for

HeadKind = Literal["mlp", "linear"]
HEADS: tuple[HeadKind, ...] = ("mlp", "linear")


class MixingHead(nn.Module):
    """Three linear layers on [base; thought] (2D -> D -> D -> 1) with ReLU between, giving the thought's weight.

    "mlp" ends in a sigmoid and starts at `initial_weight` everywhere. "linear" is the official way: no bias and no
    sigmoid at the end, so that the weight starts at exactly 0 whatever `initial_weight` says, and has no bounds.
    """

    def __init__(
        self, width: int, kind: HeadKind = "mlp", *, initial_weight: float = 0.5, seed: int | None = None
    ) -> None:
        """Make the head.

        Args:
            width: D of the hidden states after the final norm.
            initial_weight: weight of the thought before training, in (0, 1); of "mlp" alone.
            seed: of the first two layers; None gives every head the same ones. The global generator is not touched.
        """
        super().__init__()
        if kind not in HEADS:
            raise ConfigError(f"mixing head {kind!r} is unknown; allowed: {', '.join(HEADS)}")
        if not 0 < initial_weight < 1:
            raise ConfigError(
                f"the initial mixing weight is {initial_weight}; it must lie strictly between 0 and 1 (usual: 0.5), "
                "because at 0 or 1 a sigmoid has no gradient"
            )
        self.kind: HeadKind = kind
        generator = torch.Generator().manual_seed(seed_for("mixing-head") if seed is None else seed)
        self.first = _linear(2 * width, width, generator)
        self.second = _linear(width, width, generator)
        self.last = _empty(width, 1, bias=kind == "mlp")
        nn.init.zeros_(self.last.weight)
        if kind == "mlp":
            nn.init.constant_(self.last.bias, math.log(initial_weight / (1 - initial_weight)))

    def forward(self, base_XD: Tensor, thought_XD: Tensor) -> Tensor:
        """Return the thought's weight [X] for hidden states of the model alone and after a thought, any leading X."""
        inner_XD = self.first(torch.cat([base_XD, thought_XD], -1)).relu()
        score_X = self.last(self.second(inner_XD).relu()).squeeze(-1)
        return score_X.sigmoid() if self.kind == "mlp" else score_X


def _empty(inputs: int, outputs: int, *, bias: bool) -> nn.Linear:
    # The usual constructor would draw from the global generator.
    return cast(nn.Linear, nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias))


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer = _empty(inputs, outputs, bias=True)
    bound = 1 / math.sqrt(inputs)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer


def mix_hidden(base_XD: Tensor, thought_XD: Tensor, w_X: Tensor) -> Tensor:
    """Return (1 - w) base + w thought, mixed after the final norm and before the head, as the official code does."""
    return (1 - w_X.unsqueeze(-1)) * base_XD + w_X.unsqueeze(-1) * thought_XD


def mix_log_probs(logp_base_XV: Tensor, logp_thought_XV: Tensor, w_X: Tensor) -> Tensor:
    """Return the log-probabilities (nats) of the normalised geometric mixture, the paper's formula.

    Logits give the same as log-probabilities. Entries of -inf are not allowed: nothing is banned in a prediction.
    """
    w_X1 = w_X.unsqueeze(-1).to(logp_base_XV.dtype)
    return ((1 - w_X1) * logp_base_XV + w_X1 * logp_thought_XV).log_softmax(-1)
