"""Min-K% and Min-K%++: is a text in the training data, judged by its least likely tokens alone?

Text that was trained on holds few tokens that the model finds unlikely. Both scores are higher for members. On splits
that are drawn from one distribution both are near chance for large models, and distances to unrelated text measure a
shift of topic or date: compare with re-instantiations of the same template only.
Source: Shi et al. 2023, arXiv:2310.16789 (k = 20 %); Zhang et al. 2024, arXiv:2404.02936; the warning is that of
Duan et al. 2024, arXiv:2402.07841.
"""

from collections.abc import Sequence

import numpy as np

from menon.core.errors import ConfigError
from menon.sampling.token_scores import TokenScores

SHARE = 0.2
LEAST_VARIANCE = 1e-12  # of log p; below it the model is certain and a token's own log p equals the mean


def min_k(logps: Sequence[float], share: float = SHARE) -> float:
    """Return the mean log-probability of the lowest `share` of the tokens (one token at the least).

    Raises:
        ConfigError: no token, or a share outside (0, 1].
    """
    if not len(logps) or not 0 < share <= 1:
        raise ConfigError(f"{len(logps)} tokens and share {share!r}; need at least one token and a share in (0, 1]")
    lowest = np.sort(np.asarray(logps, dtype=np.float64))[: max(1, int(share * len(logps)))]
    return float(lowest.mean())


def min_k_plus(scores: TokenScores, share: float = SHARE) -> float | None:
    """Return the mean of the lowest `share` of log-probabilities in units of their own spread at each token.

    None where the backend does not tell the mean and variance of the next-token distribution.
    """
    if scores.means is None or scores.variances is None:
        return None
    spread = np.sqrt(np.maximum(np.asarray(scores.variances), LEAST_VARIANCE))
    return min_k(((np.asarray(scores.logps) - np.asarray(scores.means)) / spread).tolist(), share)
