"""Accuracy against tokens: what each decoder would reach with n samples, from one pool of N samples per problem.

The value at n is the expected accuracy over random draws of n of the N samples, in random order. Majority, best-of-n,
first and oracle have it in closed form (draws without replacement, so the estimate is unbiased for n fresh samples);
the others average seeded draws. The interval is over problems.
Left out: the spread over samples within a problem as a number of its own; it is part of the spread over problems.
Sources: the oracle is the pass@k estimator of Chen et al. 2021, arXiv:2107.03374; the others are counted the same way.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Literal

import numpy as np

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.solving.decoders import DECODERS, Best, Decoder, First, Oracle, answer_key
from menon.solving.pool import Pool, Sample
from menon.stats import Interval, wilson_clustered

MOST_EXACT = 200  # samples of a problem up to which a majority is counted exactly; time grows with the third power

Method = Literal["exact", "drawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The expected accuracy of a decoder with `n` samples, its interval over problems, and the mean tokens spent."""

    n: int
    tokens: float
    accuracy: Interval
    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One decoder's points; an `upper_bound` is no method that anybody could run."""

    decoder: str
    upper_bound: bool
    points: tuple[Point, ...]

    def to_json(self) -> dict[str, Any]:
        points = [
            {"n": point.n, "tokens": point.tokens, "accuracy": point.accuracy.to_json(), "method": point.method}
            for point in self.points
        ]
        return {"decoder": self.decoder, "upper_bound": self.upper_bound, "points": points}


def accuracy_curves(
    pool: Pool,
    decoders: Sequence[str | Decoder] = ("first", "majority", "oracle"),
    *,
    sizes: Sequence[int] | None = None,
    draws: int = 200,
    clusters: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> list[Curve]:
    """Return one curve per decoder from the same samples.

    Args:
        sizes: the values of n; without them 1, 2, 4, ... and the smallest number of samples that a problem has.
        draws: how many random draws stand for a decoder without a closed form.
        clusters: a label per problem, where problems are not independent (re-instantiations of one template).
    Raises:
        ConfigError: an empty pool, samples without a verdict, a size that some problem has not the samples for, or a
            decoder that needs scores which the samples lack.
    """
    _check(pool, draws)
    sizes = _sizes(pool) if sizes is None else sizes
    for size in sizes:
        if not 1 <= size <= pool.smallest:
            raise ConfigError(f"size {size!r}; allowed: 1 to {pool.smallest}, the fewest samples of a problem")
    chosen = [DECODERS.get(decoder) if isinstance(decoder, str) else decoder for decoder in decoders]
    labels = None if clusters is None else [clusters[problem] for problem in pool.groups]
    return [_curve(pool, decoder, sizes, draws, labels, level) for decoder in chosen]


def expected_accuracy(samples: Sequence[Sample], n: int, decoder: Decoder, *, draws: int = 200) -> tuple[float, Method]:
    """Return the expected accuracy on one problem with `n` of its samples, and how it was found."""
    graded = [bool(sample.right) for sample in samples]
    if isinstance(decoder, Oracle):
        return pass_at(len(samples), sum(graded), n), "exact"
    if isinstance(decoder, First):
        return sum(graded) / len(samples), "exact"
    if isinstance(decoder, Best):
        return best_of(samples, n, decoder), "exact"
    if decoder.name == "majority" and len(samples) <= MOST_EXACT and _told_apart(samples):
        counts, right = answer_counts(samples)
        return float(majority_accuracy(counts, right, len(samples))[n - 1]), "exact"
    if math.perm(len(samples), n) <= draws:  # few enough to look at every one
        found = [bool(decoder.decode(draw).right) for draw in permutations(samples, n)]
        return sum(found) / len(found), "exact"
    return _drawn(samples, n, decoder, draws), "drawn"


def pass_at(total: int, right: int, n: int) -> float:
    """Return the chance that at least one of `n` samples is right, when `right` of `total` are."""
    return 1.0 - math.comb(total - right, n) / math.comb(total, n)


def best_of(samples: Sequence[Sample], n: int, decoder: Best) -> float:
    """Return the expected accuracy of the best-scored of `n` samples; equal scores are equally likely to be first.

    The best of a draw has score s if the draw lies within the samples up to s and not within those below it.
    """
    scored = [(decoder.score(sample), bool(sample.right)) for sample in samples if sample.answer is not None]
    total = math.comb(len(samples), n)
    up_to = len(samples) - len(scored)
    expected = 0.0
    for value in sorted({score for score, _ in scored}):
        tied = [right for score, right in scored if score == value]
        ways = math.comb(up_to + len(tied), n) - math.comb(up_to, n)
        expected += ways / total * sum(tied) / len(tied)
        up_to += len(tied)
    return expected


def answer_counts(samples: Sequence[Sample]) -> tuple[list[int], list[bool]]:
    """Return how often each answer was given, and whether it is right."""
    right: dict[str, bool] = {}
    counts: Counter[str] = Counter()
    for sample in samples:
        if sample.answer is not None:
            key = answer_key(sample.answer)
            counts[key] += 1
            right.setdefault(key, bool(sample.right))
    return list(counts.values()), list(right.values())


def majority_accuracy(counts: Sequence[int], right: Sequence[bool], total: int) -> np.ndarray:
    """Return the chance that the majority of 1, 2, ..., `total` samples is right.

    Args:
        counts: how many of the `total` samples give each answer; the remaining ones give none.
        right: whether each answer is right.
    In random order, answers with equally many votes are equally likely to have been seen first. So for each number of
    winning votes the draws are counted by the number of answers that reach it, right ones and others.
    """
    expected_N = np.zeros(total + 1)
    silent = total - sum(counts)
    for votes in range(1, max(counts, default=0) + 1):
        able = [(count, good) for count, good in zip(counts, right, strict=True) if count >= votes]
        if not any(good for _, good in able):
            continue
        others = [count for count in counts if count < votes]
        ways_N = _binomials(silent + sum(others), total)
        expected_N += _won(able, votes, ways_N)
    draws_N = _binomials(total, total)
    return expected_N[1:] / draws_N[1:]


def _won(able: Sequence[tuple[int, bool]], votes: int, ways_N: np.ndarray) -> np.ndarray:
    """Return, by size of draw, the draws won by right answers with `votes` votes, ties in their share.

    `ways_RTN[r][t]` counts draws in which r right answers and t answers in all have `votes`, none more.
    """
    most = (len(ways_N) - 1) // votes
    rights = min(most, sum(good for _, good in able))
    ways_RTN = np.zeros((rights + 1, min(most, len(able)) + 1, len(ways_N)))
    ways_RTN[0, 0] = ways_N
    for count, good in able:
        next_RTN = np.zeros_like(ways_RTN)
        for taken in range(votes):
            next_RTN[..., taken:] += math.comb(count, taken) * ways_RTN[..., : ways_RTN.shape[-1] - taken]
        reached = math.comb(count, votes) * ways_RTN[..., : ways_RTN.shape[-1] - votes]
        if good:
            next_RTN[1:, 1:, votes:] += reached[:-1, :-1]
        else:
            next_RTN[:, 1:, votes:] += reached[:, :-1]
        ways_RTN = next_RTN
    won_N = np.zeros(len(ways_N))
    for good in range(1, ways_RTN.shape[0]):
        for tied in range(good, ways_RTN.shape[1]):
            won_N += good / tied * ways_RTN[good, tied]
    return won_N


def _binomials(count: int, total: int) -> np.ndarray:
    return np.array([float(math.comb(count, taken)) for taken in range(total + 1)])


def _told_apart(samples: Sequence[Sample]) -> bool:
    """Tell whether equal answers have equal verdicts, so that an answer is right or wrong as such."""
    verdicts: dict[str, bool | None] = {}
    return all(verdicts.setdefault(answer_key(s.answer), s.right) == s.right for s in samples if s.answer is not None)


def _drawn(samples: Sequence[Sample], n: int, decoder: Decoder, draws: int) -> float:
    rng = rng_for("curve", decoder.name, samples[0].problem, n)
    found = (decoder.decode(rng.sample(samples, n)).right for _ in range(draws))
    return sum(bool(right) for right in found) / draws


def _curve(
    pool: Pool, decoder: Decoder, sizes: Sequence[int], draws: int, labels: Sequence[str] | None, level: float
) -> Curve:
    groups = list(pool.groups.values())
    per_sample = math.fsum(math.fsum(s.tokens for s in group) / len(group) for group in groups) / len(groups)
    points = []
    for n in sizes:
        found = [expected_accuracy(group, n, decoder, draws=draws) for group in groups]
        # Closed forms leave 1e-16 above 1, which is no outcome.
        values = [min(1.0, max(0.0, value)) for value, _ in found]
        method: Method = "exact" if all(how == "exact" for _, how in found) else "drawn"
        tokens = per_sample if isinstance(decoder, First) else n * per_sample
        accuracy = wilson_clustered(values, labels, level)
        points.append(Point(n=n, tokens=tokens, accuracy=accuracy, method=method))
    return Curve(decoder=decoder.name, upper_bound=decoder.upper_bound, points=tuple(points))


def _sizes(pool: Pool) -> list[int]:
    return [*(2**power for power in range(pool.smallest.bit_length()) if 2**power < pool.smallest), pool.smallest]


def _check(pool: Pool, draws: int) -> None:
    if not pool.groups:
        raise ConfigError("the pool holds no samples; sample problems first")
    if draws < 1:
        raise ConfigError(f"draws is {draws!r}; allowed: 1 or more")
    ungraded = next((sample for sample in pool if sample.right is None), None)
    if ungraded is not None:
        raise ConfigError(f"problem {ungraded.problem!r} has samples without a verdict; accuracy needs gold answers")
