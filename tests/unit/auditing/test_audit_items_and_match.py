"""Fresh instances find their originals, and the match table sees a shift in difficulty."""

from dataclasses import replace

import pytest
from graded_cells import cells, grade, problem

from menon.auditing import Item, match_difficulty
from menon.auditing.items import pair_items
from menon.core.errors import ConfigError


def test_pairs_by_original_id() -> None:
    pairs = pair_items(cells([("r", "rw"), ("w", "e"), ("e", "r")]))
    assert [pair.outcome() for pair in pairs] == [1.0, 0.0, None]
    assert [pair.fresh_outcomes() for pair in pairs] == [[1.0, 0.0], [], [1.0]]


def test_completed_only() -> None:
    pair = pair_items(cells([("t", "rtu")]))[0]
    assert (pair.outcome(), pair.outcome(completed_only=True)) == (0.0, None)
    assert pair.fresh_outcomes(completed_only=True) == [1.0]


def test_samples_of_one_problem_are_joined() -> None:
    items = cells([("r", "r")])
    items += [replace(item, grade=grade("w")) for item in items]
    pairs = pair_items(items)
    assert (pairs[0].outcome(), pairs[0].fresh_outcomes()) == (0.5, [0.5])


def test_without_an_original_named_fresh_are_dealt_evenly_to_their_kind() -> None:
    originals = [Item(problem=problem(i, template="a"), grade=grade("r"), role="original") for i in range(3)]
    originals.append(Item(problem=problem(9, template="b"), grade=grade("r"), role="original"))
    fresh = [Item(problem=problem(i, split="variant", template="a"), grade=grade("w"), role="fresh") for i in range(7)]
    lost = Item(problem=problem(50, split="variant", template="c"), grade=grade("w"), role="fresh")
    harder = Item(problem=problem(51, split="variant", template="a", difficulty=5), grade=grade("w"), role="fresh")
    pairs = pair_items([*fresh, lost, harder, *originals])
    assert [len(pair.fresh) for pair in pairs] == [3, 2, 2, 0]
    dealt = [asked.id for pair in pairs for asked, _ in pair.fresh]
    assert len(set(dealt)) == 7


def test_unknown_original_is_refused() -> None:
    item = Item(problem=problem(1), grade=grade("r"), role="fresh", of="nowhere")
    with pytest.raises(ConfigError, match="'nowhere', which is not among the originals"):
        pair_items([item])


def test_unknown_role_is_refused() -> None:
    item = Item(problem=problem(1), grade=grade("r"), role="variant")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="allowed: 'original', 'fresh'"):
        pair_items([item])


def test_equal_problems_match() -> None:
    match = match_difficulty(pair_items(cells([("r", "rr")] * 30)))
    assert match.matched
    assert match.rows[0].feature == "difficulty"
    assert match.rows[0].shift == 0


def test_harder_numbers_are_seen() -> None:
    items = []
    for index in range(20):
        asked = replace(problem(index), question=f"{10 + index} and {20 + index}?")
        harder = replace(problem(index, split="variant"), question=f"{1000 + index} and {2000 + index}?")
        items.append(Item(problem=asked, grade=grade("r"), role="original"))
        items.append(Item(problem=harder, grade=grade("w"), role="fresh", of=asked.id))
    match = match_difficulty(pair_items(items))
    assert match.matched, "the family's own difficulty is equal"
    assert set(match.mismatched) == {"digits", "longest number"}
    rows = {row["feature"]: row for row in match.to_json()["rows"]}
    assert rows["digits"]["original"] == 4
    assert rows["digits"]["fresh"] == 8
    assert not rows["digits"]["matched"]


def test_nothing_to_match() -> None:
    assert match_difficulty([]).rows == ()
    assert match_difficulty([]).matched
