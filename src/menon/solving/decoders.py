"""Decoders: from the samples of one problem to one answer, all of them pure functions of the same stored samples.

majority            every parsed answer has one vote
weighted            votes weighed by the probability of the text (per token), or by the samples' own weights
verifier_weighted   votes weighed by a verifier's outcome
step_weighted       the same, times the samples' step scores
best_of_n           the sample with the best outcome
best_of_n_min, _product, _last, _mean   the sample whose step scores, so reduced, are best
first               the first sample alone
oracle              right if any sample is: an upper bound, no method

Answers are compared as numbers where they are numbers, else as text with spaces and case aside. Ties go to the answer
or sample seen first. A sample without an answer never votes, and its tokens count.
Sources: Wang et al. 2022, arXiv:2203.11171 (majority, weighted); Li et al. 2022, arXiv:2206.02336 (verifier votes;
there steps enter by the training of the verifier, here by a factor); Lightman et al. 2023, arXiv:2305.20050 (steps).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, Protocol

from menon.core.errors import ConfigError
from menon.core.registry import Registry
from menon.grading import canonical, parse_number
from menon.solving.pool import Sample

DECODERS = Registry(
    "decoders",
    {
        "majority": "menon.solving.decoders:MAJORITY",
        "weighted": "menon.solving.decoders:WEIGHTED",
        "verifier_weighted": "menon.solving.decoders:VERIFIER_WEIGHTED",
        "step_weighted": "menon.solving.decoders:STEP_WEIGHTED",
        "best_of_n": "menon.solving.decoders:BEST_OF_N",
        "best_of_n_min": "menon.solving.decoders:BEST_OF_N_MIN",
        "best_of_n_product": "menon.solving.decoders:BEST_OF_N_PRODUCT",
        "best_of_n_last": "menon.solving.decoders:BEST_OF_N_LAST",
        "best_of_n_mean": "menon.solving.decoders:BEST_OF_N_MEAN",
        "first": "menon.solving.decoders:FIRST",
        "oracle": "menon.solving.decoders:ORACLE",
    },
    noun="decoder",
)

Reduction = Literal["min", "product", "last", "mean"]

REDUCTIONS: Mapping[Reduction, Callable[[Sequence[float]], float]] = {
    "min": min,
    "product": math.prod,
    "last": lambda steps: steps[-1],
    "mean": lambda steps: math.fsum(steps) / len(steps),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The chosen answer (None where no sample has one), each answer's votes, and the tokens of all samples looked at.

    `share` is the part of all votes that the answer has; `right` is the verdict on it, where the samples have one.
    """

    answer: str | None
    votes: Mapping[str, float]
    share: float
    tokens: int
    right: bool | None = None


class Decoder(Protocol):
    """Picks an answer from the first `k` of the samples of a problem (None: all of them).

    `upper_bound` says that the decoder looks at the verdicts, so that nobody could run it.
    """

    @property
    def name(self) -> str: ...

    @property
    def upper_bound(self) -> bool: ...

    def decode(self, samples: Sequence[Sample], k: int | None = None) -> Decoded:
        """Decide.

        Raises:
            ConfigError: a `k` that is not between 1 and the number of samples, or a sample without a needed score.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """The answer with the largest sum of weights."""

    name: str
    weight: Callable[[Sample], float]
    upper_bound: bool = False

    def decode(self, samples: Sequence[Sample], k: int | None = None) -> Decoded:
        used = taken(samples, k)
        groups: dict[str, list[Sample]] = {}
        for sample in used:
            if sample.answer is not None:
                groups.setdefault(answer_key(sample.answer), []).append(sample)
        # Exact sums: the order of equal weights must not decide a tie.
        sums = {key: math.fsum(map(self._weighed, group)) for key, group in groups.items()}
        total = math.fsum(sums.values())
        winner = max(sums, key=lambda key: sums[key]) if sums else None
        return Decoded(
            answer=groups[winner][0].answer if winner is not None else None,
            votes={str(groups[key][0].answer): value for key, value in sums.items()},
            share=sums[winner] / total if winner is not None and total > 0 else 0.0,
            tokens=sum(sample.tokens for sample in used),
            right=groups[winner][0].right if winner is not None else _graded_wrong(used),
        )

    def _weighed(self, sample: Sample) -> float:
        return _not_negative(sample, self.weight(sample), "weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The answer of the one sample with the largest score."""

    name: str
    score: Callable[[Sample], float]
    upper_bound: bool = False

    def decode(self, samples: Sequence[Sample], k: int | None = None) -> Decoded:
        used = taken(samples, k)
        chosen: Sample | None = None
        best: dict[str, float] = {}
        spelled: dict[str, str] = {}
        most = -math.inf
        for sample in used:
            if sample.answer is None:
                continue
            value, key = self.score(sample), answer_key(sample.answer)
            spelled.setdefault(key, sample.answer)
            best[key] = max(value, best.get(key, -math.inf))
            if chosen is None or value > most:
                chosen, most = sample, value
        total = math.fsum(best.values())
        return Decoded(
            answer=chosen.answer if chosen else None,
            votes={spelled[key]: value for key, value in best.items()},
            share=most / total if chosen and total > 0 else 0.0,
            tokens=sum(sample.tokens for sample in used),
            right=chosen.right if chosen else _graded_wrong(used),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first sample, whatever it says; the others are not paid for."""

    name: str = "first"
    upper_bound: bool = False

    def decode(self, samples: Sequence[Sample], k: int | None = None) -> Decoded:
        sample = taken(samples, k)[0]
        votes = {} if sample.answer is None else {sample.answer: 1.0}
        return Decoded(
            answer=sample.answer, votes=votes, share=float(bool(votes)), tokens=sample.tokens, right=sample.right
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """A right answer if there is one among the samples, else the majority: pass@n, which no method can exceed."""

    name: str = "oracle"
    upper_bound: bool = True

    def decode(self, samples: Sequence[Sample], k: int | None = None) -> Decoded:
        used = taken(samples, k)
        if any(sample.right is None for sample in used):
            raise ConfigError("decoder 'oracle' needs graded samples; these have no verdict (the problem has no gold)")
        found = MAJORITY.decode([sample for sample in used if sample.right] or used)
        return replace(found, tokens=sum(sample.tokens for sample in used))


def taken(samples: Sequence[Sample], k: int | None) -> Sequence[Sample]:
    """Return the first `k` samples."""
    count = len(samples) if k is None else k
    if not 1 <= count <= len(samples):
        raise ConfigError(f"k is {k!r} for {len(samples)} samples; allowed: 1 to the number of samples, which is not 0")
    return samples[:count]


@lru_cache(maxsize=65_536)
def answer_key(answer: str) -> str:
    """Return what equal answers share: the canonical number, or the text with spaces and case evened out."""
    number = parse_number(answer)
    return canonical(number) if number is not None else " ".join(answer.split()).casefold()


def text_probability(sample: Sample) -> float:
    """Return the sample's own weight, or the probability of its text per token (geometric mean)."""
    if sample.weight is not None:
        return sample.weight
    if sample.logp is None:
        raise ConfigError(f"{_place(sample)} has neither a weight nor a logp; sample with logprobs = true")
    return math.exp(min(0.0, sample.logp) / max(1, sample.tokens))


def outcome(sample: Sample) -> float:
    """Return the verifier's outcome score."""
    if sample.score is None:
        raise ConfigError(f"{_place(sample)} has no score; let a verifier judge the pool first")
    return _not_negative(sample, sample.score, "score")


def reduced_steps(reduction: Reduction) -> Callable[[Sample], float]:
    """Return a score: the step scores of a sample, reduced; a text without steps scores 0."""
    if reduction not in REDUCTIONS:
        raise ConfigError(f"reduction {reduction!r}; allowed: {', '.join(REDUCTIONS)}")
    reduce = REDUCTIONS[reduction]

    def score(sample: Sample) -> float:
        if sample.step_scores is None:
            raise ConfigError(f"{_place(sample)} has no step scores; let a verifier judge the pool first")
        for step in sample.step_scores:
            _not_negative(sample, step, "step score")
        return reduce(sample.step_scores) if sample.step_scores else 0.0

    return score


def step_aware(reduction: Reduction = "mean") -> Callable[[Sample], float]:
    """Return a weight: the outcome times the reduced step scores."""
    steps = reduced_steps(reduction)
    return lambda sample: outcome(sample) * steps(sample)


def _graded_wrong(samples: Sequence[Sample]) -> bool | None:
    """Return False, the verdict on giving no answer; None where the samples are not graded."""
    return None if all(sample.right is None for sample in samples) else False


def _not_negative(sample: Sample, value: float, what: str) -> float:
    if not (value >= 0 and math.isfinite(value)):
        raise ConfigError(f"{_place(sample)} has the {what} {value!r}; allowed: a finite number of 0 or more")
    return value


def _place(sample: Sample) -> str:
    return f"sample {sample.index} (prompt {sample.prompt}) of problem {sample.problem!r}"


MAJORITY = Vote(name="majority", weight=lambda sample: 1.0)
WEIGHTED = Vote(name="weighted", weight=text_probability)
VERIFIER_WEIGHTED = Vote(name="verifier_weighted", weight=outcome)
STEP_WEIGHTED = Vote(name="step_weighted", weight=step_aware())
BEST_OF_N = Best(name="best_of_n", score=outcome)
BEST_OF_N_MIN = Best(name="best_of_n_min", score=reduced_steps("min"))
BEST_OF_N_PRODUCT = Best(name="best_of_n_product", score=reduced_steps("product"))
BEST_OF_N_LAST = Best(name="best_of_n_last", score=reduced_steps("last"))
BEST_OF_N_MEAN = Best(name="best_of_n_mean", score=reduced_steps("mean"))
FIRST = First()
ORACLE = Oracle()


def settled(answers: Sequence[str | None], remaining: int) -> bool:
    """Tell whether no `remaining` further answers can change the majority, ties going to the answer seen first.

    With votes left to come and none cast, nothing is settled; an answer that is None does not vote.
    """
    if remaining < 0:
        raise ConfigError(f"remaining is {remaining!r}; allowed: 0 or more")
    votes: dict[str, int] = {}
    for answer in answers:
        if answer is not None:
            key = answer_key(answer)
            votes[key] = votes.get(key, 0) + 1
    if remaining == 0 or not votes:
        return remaining == 0
    leader = max(votes, key=lambda key: votes[key])
    most, after = votes[leader], False
    for key, count in votes.items():
        if key == leader:
            after = True
        elif count + remaining > most or (count + remaining == most and not after):
            return False
    return remaining <= most  # an answer not seen yet stands behind the leader in a tie
