"""Votes: `settled` against every continuation, and expected accuracies against every draw."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon.solving.curves import answer_counts, best_of, expected_accuracy, majority_accuracy, pass_at
from menon.solving.decoders import BEST_OF_N, MAJORITY, settled
from menon.solving.pool import Sample

ANSWERS = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=0, max_size=7)


def winner(answers: tuple[str | None, ...]) -> str | None:
    """Count naively; `Counter` keeps the order in which answers were first seen."""
    votes = Counter(answer for answer in answers if answer is not None)
    return max(votes, key=lambda answer: votes[answer], default=None)


@given(answers=ANSWERS, remaining=st.integers(0, 4))
@settings(max_examples=400)
def test_settled_is_what_every_continuation_says(answers: list[str | None], remaining: int):
    """With `remaining` votes to come, that many fresh answers and the old ones are all that can matter."""
    fresh = [f"new{number}" for number in range(2)]
    endings = itertools.product([*dict.fromkeys(answers), *fresh, None], repeat=remaining)
    winners = {winner((*answers, *ending)) for ending in endings}
    assert settled(answers, remaining) == (len(winners) == 1)


@given(answers=ANSWERS)
def test_stopping_when_settled_keeps_the_answer(answers: list[str | None]):
    needed = next(used for used in range(len(answers) + 1) if settled(answers[:used], len(answers) - used))
    assert winner(tuple(answers[:needed])) == winner(tuple(answers))
    assert needed == 0 or not settled(answers[: needed - 1], len(answers) - needed + 1)


def pool(answers: Sequence[str | None], scores: list[float] | None = None) -> list[Sample]:
    return [
        Sample(problem="p", index=at, answer=answer, right=answer == "1", score=scores[at] if scores else None)
        for at, answer in enumerate(answers)
    ]


@given(answers=st.lists(st.sampled_from(["1", "2", "3", "4", None]), min_size=1, max_size=6))
@settings(max_examples=60)
def test_majority_accuracy_is_the_mean_over_all_ordered_draws(answers: list[str | None]):
    samples = pool(answers)
    counts, right = answer_counts(samples)
    exact = majority_accuracy(counts, right, len(samples))
    for n in range(1, len(samples) + 1):
        draws = [MAJORITY.decode(draw).right for draw in itertools.permutations(samples, n)]
        assert exact[n - 1] == pytest.approx(sum(map(bool, draws)) / len(draws), abs=1e-12)


@given(
    answers=st.lists(st.sampled_from(["1", "2", None]), min_size=1, max_size=6),
    scores=st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=6, max_size=6),
)
@settings(max_examples=60)
def test_best_of_n_is_the_mean_over_all_ordered_draws(answers: list[str | None], scores: list[float]):
    samples = pool(answers, scores)
    for n in range(1, len(samples) + 1):
        draws = [BEST_OF_N.decode(draw).right for draw in itertools.permutations(samples, n)]
        assert best_of(samples, n, BEST_OF_N) == pytest.approx(sum(map(bool, draws)) / len(draws), abs=1e-12)


@given(p=st.floats(0.01, 0.99), total=st.integers(1, 15), data=st.data())
def test_pools_of_coin_flips_give_the_binomial_sums(p: float, total: int, data: st.DataObject):
    """Averaged over how many of N are right, draws of n from N are n fresh samples: no tolerance for chance needed."""
    n = data.draw(st.integers(1, total))
    pools = [math.comb(total, c) * p**c * (1 - p) ** (total - c) for c in range(total + 1)]
    majority = sum(
        weight * expected_accuracy(pool(["1"] * c + ["2"] * (total - c)), n, MAJORITY)[0]
        for c, weight in enumerate(pools)
    )
    oracle = sum(weight * pass_at(total, c, n) for c, weight in enumerate(pools))
    terms = [math.comb(n, votes) * p**votes * (1 - p) ** (n - votes) for votes in range(n + 1)]
    # Half of the ties are won.
    binomial = sum(term * ((2 * votes > n) + (2 * votes == n) / 2) for votes, term in enumerate(terms))
    assert majority == pytest.approx(binomial, abs=1e-9)
    assert oracle == pytest.approx(1 - (1 - p) ** n, abs=1e-9)
