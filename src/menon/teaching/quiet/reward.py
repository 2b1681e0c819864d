"""What a thought earns: how much likelier the true text becomes with it, against the other thoughts of its position.

Source: Quiet-STaR (arXiv:2403.09629, section 4.4.2); `clamp` is the official code's, after TRICE (arXiv:2312.02179).
The text's own log-likelihood cancels in the difference from the mean; it is kept because the reward is reported.
"""

from typing import Literal

from torch import Tensor


def rewards(mixed_BMPN: Tensor, text_BMN: Tensor, weights_BMN: Tensor) -> Tensor:
    """Return the gain in log-likelihood (nats) summed over the talk tokens [B, M, P], without history.

    Args:      mixed_BMPN, text_BMN: log-probabilities of the true tokens with and without the thought.
               weights_BMN: weight of each true token; zero leaves it out.
    """
    gain_BMPN = mixed_BMPN.detach() - text_BMN.detach()[:, :, None]
    return (gain_BMPN * weights_BMN[:, :, None]).sum(-1)


def advantages(rewards_BMP: Tensor, *, baseline: Literal["mean", "none"] = "mean", clamp: bool = False) -> Tensor:
    """Return rewards minus their mean over the P thoughts of a position; `clamp` drops what is negative.

    Without the clamp the advantages of a position add up to zero.
    """
    advantages_BMP = rewards_BMP - rewards_BMP.mean(-1, keepdim=True) if baseline == "mean" else rewards_BMP
    return advantages_BMP.clamp(min=0) if clamp else advantages_BMP
