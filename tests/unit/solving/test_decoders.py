"""Decoders: each against a calculation by hand, on samples that tell them apart."""

import math

import pytest
from pools import samples

from menon.core.errors import ConfigError
from menon.solving.decoders import (
    BEST_OF_N,
    DECODERS,
    FIRST,
    MAJORITY,
    ORACLE,
    STEP_WEIGHTED,
    VERIFIER_WEIGHTED,
    WEIGHTED,
    Decoder,
    reduced_steps,
)


def test_majority_compares_values_and_counts_all_tokens():
    found = MAJORITY.decode(samples([None, "1/2", "seven", "0.5", "0.50", "Seven "]))
    assert found.answer == "1/2"
    assert found.votes == {"1/2": 3.0, "seven": 2.0}
    assert found.share == pytest.approx(0.6)
    assert found.tokens == 60


@pytest.mark.parametrize(
    ("answers", "k", "winner"),
    [
        (["3", "7", "7", "3"], None, "3"),
        (["3", "7", "7", "3"], 3, "7"),
        (["3", "7", "7", "3"], 1, "3"),
        ([None, "9", "3"], None, "9"),
        ([None, None], None, None),
    ],
)
def test_majority_ties_go_to_the_first_seen(answers: list[str | None], k: int | None, winner: str | None):
    found = MAJORITY.decode(samples(answers), k)
    assert found.answer == winner
    assert found.tokens == 10 * (k or len(answers))


def test_equal_sums_in_other_orders_are_ties():
    """0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ as floats added one by one."""
    pool = samples(["a"] * 3 + ["b"] * 3, weight=[0.3, 0.2, 0.1, 0.1, 0.2, 0.3])
    assert WEIGHTED.decode(pool).answer == "a"
    assert WEIGHTED.decode(pool[3:] + pool[:3]).answer == "b"


def test_weights_from_log_probabilities_are_per_token():
    pool = samples(["3", "7", "7"], logp=[math.log(0.9) * 10, math.log(0.3) * 10, math.log(0.4) * 10])
    found = WEIGHTED.decode(pool)
    assert found.answer == "3"
    assert found.votes == pytest.approx({"3": 0.9, "7": 0.7})


def test_verifier_votes():
    """argmax over y of the sum of f over the samples with answer y; steps are a factor."""
    pool = samples(
        ["3", "7", "3", None],
        score=[0.3, 0.5, 0.3, 0.99],
        step_scores=[(0.5, 0.5), (1.0, 1.0), (0.5, 0.1), (1.0,)],
    )
    assert VERIFIER_WEIGHTED.decode(pool).votes == pytest.approx({"3": 0.6, "7": 0.5})
    assert VERIFIER_WEIGHTED.decode(pool).answer == "3"
    assert STEP_WEIGHTED.decode(pool).votes == pytest.approx({"3": 0.3 * 0.5 + 0.3 * 0.3, "7": 0.5})
    assert STEP_WEIGHTED.decode(pool).answer == "7"


def test_best_of_n_by_each_reduction():
    steps = [(0.7, 0.7, 0.7, 0.7), (1.0, 0.6), (0.2, 1.0, 1.0, 1.0), (0.69, 0.95), ()]
    pool = samples(["a", "b", "c", "d", "e"], step_scores=steps, score=[0.1, 0.2, 0.3, 0.4, 0.5])
    chosen = {
        name: DECODERS.get(f"best_of_n_{name}").decode(pool).answer for name in ("min", "product", "last", "mean")
    }
    assert chosen == {"min": "a", "product": "d", "last": "c", "mean": "d"}
    assert BEST_OF_N.decode(pool).answer == "e"
    assert BEST_OF_N.decode(samples([None, "a", "b"], score=[1.0, 0.5, 0.5])).answer == "a"


def test_first_pays_for_one_sample_and_oracle_for_all():
    pool = samples(["3", "3", "7"])
    assert (FIRST.decode(pool).answer, FIRST.decode(pool).tokens, FIRST.decode(pool).right) == ("3", 10, False)
    found = ORACLE.decode(pool)
    assert (found.answer, found.tokens, found.right) == ("7", 30, True)
    assert ORACLE.decode(pool, 2).right is False
    assert ORACLE.upper_bound
    assert not MAJORITY.upper_bound


@pytest.mark.parametrize("name", DECODERS.names())
def test_every_decoder_on_nothing_parsed(name: str):
    decoder: Decoder = DECODERS.get(name)
    found = decoder.decode(samples([None, None], score=[0.5, 0.5], step_scores=[(1.0,), ()], weight=[1.0, 1.0]))
    assert decoder.name == name
    assert found.answer is None
    assert found.share == 0.0
    assert found.right is False
    assert dict(found.votes) == {}


def test_trouble_is_named():
    with pytest.raises(ConfigError, match="k is 3 for 2 samples"):
        MAJORITY.decode(samples(["1", "2"]), 3)
    with pytest.raises(ConfigError, match="k is 0"):
        MAJORITY.decode(samples(["1", "2"]), 0)
    with pytest.raises(ConfigError, match="sample 0 .* of problem 'p' has no score"):
        BEST_OF_N.decode(samples(["1"]))
    with pytest.raises(ConfigError, match="has no step scores"):
        STEP_WEIGHTED.decode(samples(["1"], score=[0.5]))
    with pytest.raises(ConfigError, match="neither a weight nor a logp"):
        WEIGHTED.decode(samples(["1"]))
    with pytest.raises(ConfigError, match="reduction 'max'; allowed: min, product, last, mean"):
        reduced_steps("max")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"weight -1\.0"):
        WEIGHTED.decode(samples(["1"], weight=[-1.0]))
    with pytest.raises(ConfigError, match="score nan"):
        BEST_OF_N.decode(samples(["1"], score=[math.nan]))
