"""Curves: closed forms on built pools, drawn estimates against exact ones, intervals, and what is refused."""

import math
import random

import pytest
from pools import samples

from menon.core.errors import ConfigError
from menon.solving.curves import accuracy_curves, expected_accuracy, majority_accuracy
from menon.solving.decoders import BEST_OF_N, MAJORITY, VERIFIER_WEIGHTED
from menon.solving.pool import Pool, Sample


def coin_pool(problems: int, size: int, p: float, seed: int) -> Pool:
    """Answers right with probability p, wrong ones all different; scores are uniform and say nothing."""
    rng = random.Random(seed)
    return Pool.of(
        Sample(
            problem=f"problem {number}",
            index=at,
            answer="7" if (right := rng.random() < p) else f"wrong {at}",
            right=right,
            tokens=20 + at % 2,
            score=rng.random(),
            step_scores=(rng.random(),),
        )
        for number in range(problems)
        for at in range(size)
    )


def test_curves_of_coins_hold_the_truth():
    """Wrong answers that all differ lose to two right ones; a single right one wins 1 in n times as first seen."""
    p, pool = 0.4, coin_pool(400, 8, 0.4, seed=5)
    curves = {curve.decoder: curve for curve in accuracy_curves(pool, ("first", "majority", "best_of_n", "oracle"))}
    for point in curves["majority"].points:
        n = point.n
        truth = 1 - (1 - p) ** n - n * p * (1 - p) ** (n - 1) * (1 - 1 / n)
        assert point.accuracy.low <= truth <= point.accuracy.high, n
        assert point.tokens == pytest.approx(20.5 * n)
        assert point.method == "exact"
    for point in curves["oracle"].points:
        assert point.accuracy.low <= 1 - (1 - p) ** point.n <= point.accuracy.high
    for point in (*curves["best_of_n"].points, *curves["first"].points):
        assert point.accuracy.low <= p <= point.accuracy.high
    assert [point.n for point in curves["first"].points] == [1, 2, 4, 8]
    assert {point.tokens for point in curves["first"].points} == {20.5}
    assert curves["oracle"].upper_bound
    assert curves["majority"].to_json()["points"][0]["n"] == 1


def test_best_of_n_with_a_perfect_verifier_is_the_oracle():
    pool = Pool.of(
        Sample(problem="p", index=at, answer=str(at), right=at < 3, score=float(at < 3), tokens=1) for at in range(10)
    )
    best, oracle = accuracy_curves(pool, ("best_of_n", "oracle"))
    for mine, bound in zip(best.points, oracle.points, strict=True):
        assert mine.accuracy.value == pytest.approx(bound.accuracy.value)
        assert bound.accuracy.value == pytest.approx(1 - math.comb(7, bound.n) / math.comb(10, bound.n))


def test_drawn_estimates_agree_with_exact_ones():
    """Equal scores make the verifier's vote the majority, which is known exactly."""
    pool = samples(["7"] * 5 + ["3"] * 4 + [None, "1", "1"], score=[1.0] * 12)
    for n in (2, 3, 7, 12):
        exact, how = expected_accuracy(pool, n, MAJORITY)
        drawn, drawn_how = expected_accuracy(pool, n, VERIFIER_WEIGHTED, draws=2000)
        assert (how, drawn_how) == ("exact", "exact" if n < 4 else "drawn")  # 12 * 11 * 10 orders can all be looked at
        assert drawn == pytest.approx(exact, abs=1e-12 if n < 4 else 4 * math.sqrt(0.25 / 2000))
    assert expected_accuracy(pool, 3, VERIFIER_WEIGHTED) == expected_accuracy(pool, 3, VERIFIER_WEIGHTED)


def test_answers_with_two_verdicts_are_drawn():
    """A grader that tells answers apart that vote together leaves no closed form; all four are equally likely first."""
    pool = [Sample(problem="p", index=at, answer="0.5" if at else "1/2", right=not at) for at in range(4)]
    found, how = expected_accuracy(pool, 4, MAJORITY, draws=23)
    assert how == "drawn"
    assert found == pytest.approx(0.25, abs=0.3)
    assert expected_accuracy(pool, 4, MAJORITY, draws=24) == (0.25, "exact")  # all 4! orders


def test_large_pools_stay_exact():
    """60 % right in 200: the hypergeometric sum, which Python's integers give exactly."""
    right, total, n = 120, 200, 51
    ways = sum(math.comb(right, k) * math.comb(total - right, n - k) for k in range(26, n + 1))
    found = majority_accuracy([right, total - right], [True, False], total)
    assert found[n - 1] == pytest.approx(ways / math.comb(total, n), rel=1e-9)
    assert found[-1] == pytest.approx(1.0)


def test_clusters_widen_the_interval():
    pool = Pool.of(
        Sample(problem=f"{group}/{item}", index=0, answer="1", right=group % 2 == 0, tokens=1)
        for group in range(10)
        for item in range(10)
    )
    labels = {problem: problem.partition("/")[0] for problem in pool.groups}
    alone, together = (accuracy_curves(pool, ("first",), clusters=c)[0].points[0].accuracy for c in (None, labels))
    assert alone.value == together.value == 0.5
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_what_is_refused():
    pool = coin_pool(2, 4, 0.5, seed=1)
    with pytest.raises(ConfigError, match="allowed: 1 to 4"):
        accuracy_curves(pool, ("majority",), sizes=[8])
    with pytest.raises(ConfigError, match="holds no samples"):
        accuracy_curves(Pool.of([]))
    with pytest.raises(ConfigError, match="without a verdict"):
        accuracy_curves(Pool.of([Sample(problem="p", index=0)]))
    with pytest.raises(ConfigError, match="has no score"):
        accuracy_curves(Pool.of(samples(["7"])), (BEST_OF_N,))
    with pytest.raises(ConfigError, match="unknown decoder 'majorty'.*majority"):
        accuracy_curves(pool, ("majorty",))
