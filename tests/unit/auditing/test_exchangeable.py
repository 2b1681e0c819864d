"""The exchangeability test on graded pairs: what counts, what is said, and the match that stands beside it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from graded_cells import cells, grade, problem

from menon.auditing import AuditConfig, Item
from menon.auditing.exchangeable import exchangeability
from menon.auditing.items import Pair, pair_items
from menon.stats import exchangeability_test

CONFIG = AuditConfig()


def pairs(rows: list[tuple[str, str]], templates: int = 0) -> list[Pair]:
    return pair_items(cells(rows, templates=templates))


def test_a_reciter_is_found_and_a_reasoner_is_not() -> None:
    reciter = exchangeability(pairs([("r", "www")] * 20 + [("r", "wwr")] * 5), CONFIG)
    assert reciter.p is not None
    assert reciter.p < 1e-6
    assert "easier than new problems of the same kind" in reciter.sentence
    assert "25 of 25 originals are right where" in reciter.sentence
    reasoner = exchangeability(pairs([("r", "rrw"), ("w", "rrr")] * 15), CONFIG)
    assert reasoner.p is not None
    assert reasoner.p > 0.05
    assert reasoner.sentence.startswith("No sign that originals are easier")


def test_is_the_test_of_stats_on_the_same_outcomes() -> None:
    rows = [("r", "rw"), ("w", "ww"), ("r", "rr"), ("w", "rw"), ("r", "ww"), ("r", "wr")]
    result = exchangeability(pairs(rows, templates=3), CONFIG)
    expected = exchangeability_test(
        [a == "r" for a, _ in rows], [[v == "r" for v in fresh] for _, fresh in rows], [0, 1, 2, 0, 1, 2]
    )
    assert result.outcomes == expected
    assert expected.num_templates == 3


def test_unanswered_problems_are_left_out_and_samples_vote() -> None:
    items = cells([("r", "w"), ("e", "r"), ("r", "e"), ("w", "r")])
    votes = [replace(items[0], grade=grade(letter)) for letter in "ww"]
    result = exchangeability(pair_items([*items, *votes]), CONFIG)
    assert result.outcomes is not None
    assert (result.outcomes.num_originals, result.outcomes.statistic) == (2, 0)


def test_scores_give_the_more_powerful_version() -> None:
    rng = np.random.default_rng(1)
    asked = pairs([("r", "rr")] * 40)
    scores = {}
    for pair in asked:
        scores[pair.original.id] = float(rng.normal(-0.4, 0.5))
        scores |= {fresh.id: float(rng.normal(-1.2, 0.5)) for fresh, _ in pair.fresh}
    result = exchangeability(asked, CONFIG, scores=scores)
    assert result.ranks is not None
    assert result.outcomes is not None
    assert result.p == result.ranks.p
    assert result.ranks.p < 1e-4
    assert result.outcomes.p == pytest.approx(0.5)  # every answer is right: outcomes say nothing
    assert "likelier than" in result.sentence
    some = exchangeability(asked, CONFIG, scores={pair.original.id: 0.0 for pair in asked})
    assert some.ranks is None, "no re-instantiation has a score"


def test_power_is_told_at_two_shares() -> None:
    weak = exchangeability(pairs([("r", "rrww"), ("w", "rwww")] * 6), CONFIG)
    strong = exchangeability(pairs([("r", "rrww"), ("w", "rwww")] * 60), CONFIG)
    assert set(weak.power) == {0.2, 0.5}
    assert weak.power[0.2] < weak.power[0.5] < strong.power[0.5]
    assert strong.power[0.5] > 0.99
    assert weak.power[0.2] < 0.5


def test_without_pairs_there_is_no_p() -> None:
    result = exchangeability([], CONFIG)
    assert result.p is None
    assert "nothing to compare" in result.sentence
    assert result.to_json()["n_templates"] == 0


def test_harder_instances_are_named() -> None:
    items = []
    for index in range(30):
        asked = problem(index, difficulty=2)
        fresh = problem(index, split="variant", difficulty=5)
        items.append(Item(problem=asked, grade=grade("r"), role="original"))
        items.append(Item(problem=fresh, grade=grade("w"), role="fresh", of=asked.id))
    result = exchangeability(pair_items(items), CONFIG)
    assert not result.match.matched
    assert "not of equal difficulty" in result.sentence


def test_json_is_plain() -> None:
    block = json.loads(json.dumps(exchangeability(pairs([("r", "rw")] * 4), CONFIG).to_json()))
    assert {"p", "statistic", "expected", "n_templates", "size_note", "power", "sentence", "match"} <= set(block)
    assert [row["share"] for row in block["power"]] == [0.2, 0.5]
