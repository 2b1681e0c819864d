"""Log-probabilities of text together with what the model expected of them, token by token.

The mean and the variance of log p under the model's own next-token distribution say how surprising a token is beside
what else could have stood there, which Min-K%++ needs. Backends that give log-probabilities alone still serve: their
scores have no means.
Source of the two moments: Zhang et al. 2024, arXiv:2404.02936.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from menon.core.progress import Progress, Silent
from menon.sampling.protocol import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScores:
    """For each token its log-probability (nats), and the mean and variance of log p over the whole vocabulary.

    `means` and `variances` are None where the backend tells nothing but the log-probability of the text's own tokens.
    """

    logps: tuple[float, ...]
    means: tuple[float, ...] | None = None
    variances: tuple[float, ...] | None = None


@runtime_checkable
class ScoresTokens(Protocol):
    """A sampler that knows the whole next-token distribution."""

    def token_scores(self, pairs: Iterable[tuple[str, str]]) -> list[TokenScores]:
        """Score the tokens of each continuation after its prompt.

        Raises:
            SamplerError: a pair cannot be scored.
        """
        ...


@runtime_checkable
class ScoresMany(Protocol):
    """A sampler that scores several texts at once."""

    def score_many(self, pairs: Iterable[tuple[str, str]]) -> list[list[float]]: ...


def token_scores(
    sampler: Sampler, pairs: Sequence[tuple[str, str]], *, progress: Progress | None = None
) -> list[TokenScores]:
    """Score every (prompt, continuation), with means and variances where `sampler` has them.

    Raises:
        SamplerError: the backend cannot score text.
    """
    if isinstance(sampler, ScoresTokens):
        return sampler.token_scores(pairs)
    return [TokenScores(logps=tuple(logps)) for logps in text_scores(sampler, pairs, progress=progress)]


def text_scores(
    sampler: Sampler, pairs: Sequence[tuple[str, str]], *, progress: Progress | None = None
) -> list[list[float]]:
    """Return the log-probabilities of every continuation, by the fastest way that `sampler` has.

    Raises:
        SamplerError: the backend cannot score text.
    """
    if isinstance(sampler, ScoresMany):
        return sampler.score_many(pairs)
    progress = progress or Silent()
    progress.start(f"scoring with {sampler.name}", len(pairs), "texts")
    scores = []
    for prompt, continuation in pairs:
        scores.append(sampler.score(prompt, continuation))
        progress.advance()
    return scores
