"""Where questions come from: fresh ones per round, spread evenly, and never the ones that are tested."""

from collections import Counter
from dataclasses import replace

import pytest

from menon import Problem
from menon.studies.pretrain import next_hard
from menon.studies.questions import FamilyQuestions, FixedQuestions, test_questions
from menon.studies.recipe import Window

made_for_tests = test_questions
del test_questions  # pytest would take it for a test

BOTH = FamilyQuestions(families=("addition", "chain"), count=240)


def ids(problems: list[Problem]) -> set[str]:
    return {problem.id for problem in problems}


def contents(problems: list[Problem]) -> set[tuple[int, str, str]]:
    """One-digit sums come round again, there are few of them; the hard ones must not."""
    return {(p.difficulty, p.question, p.answer) for p in problems if p.family == "chain" or p.difficulty > 2}


def test_questions_are_spread_evenly_over_families_and_difficulties():
    cells = Counter((p.family, p.difficulty) for p in BOTH.round(1))
    assert {name: sum(n for (family, _), n in cells.items() if family == name) for name in BOTH.families} == {
        "addition": 120,
        "chain": 120,
    }
    assert set(cells) == {("addition", d) for d in range(1, 7)} | {("chain", d) for d in range(1, 9)}
    assert max(cells.values()) <= 1.5 * min(cells.values())
    one = Counter(p.difficulty for p in FamilyQuestions(families=("chain",), count=80).round(1))
    assert set(one.values()) == {10}


def test_rounds_ask_fresh_questions_or_the_same():
    assert BOTH.round(2) == BOTH.round(2)
    assert not contents(BOTH.round(1)) & contents(BOTH.round(2))
    same = replace(BOTH, fresh=False)
    assert same.round(1) == same.round(5) == BOTH.round(1)


def test_other_seeds_ask_other_questions():
    assert not contents(BOTH.round(1)) & contents(replace(BOTH, seed=1).round(1))


def test_what_is_taught_is_never_tested():
    tested = made_for_tests(["addition", "chain", "facts"], 40)
    assert {p.split for p in tested} == {"test"}
    assert len(tested) == 40 * (6 + 8 + 3)
    for number in (1, 2, 3):
        assert not ids(BOTH.round(number)) & ids(tested)
    assert {p.split for p in BOTH.round(1)} == {"train"}


PROBLEMS = tuple(Problem(family="d", question=f"q{i}", answer=str(i)) for i in range(50))


def test_a_data_set_gives_another_part_each_round_or_all_of_it():
    some = FixedQuestions(problems=PROBLEMS, count=20)
    assert len(ids(some.round(1))) == 20
    assert some.round(1) == some.round(1)
    assert ids(some.round(1)) != ids(some.round(2))
    assert replace(some, fresh=False).round(1) == replace(some, fresh=False).round(2)
    assert FixedQuestions(problems=PROBLEMS, count=50).round(3) == list(PROBLEMS)


KNOWN = {"1": 0.95, "2": 0.9, "3": 0.9, "4": 0.85, "5": 0.85}


@pytest.mark.parametrize(
    ("easy", "band", "before", "after"),
    [
        (0.9, 0.05, 0.1, 0.16),  # too rare: more of it
        (0.9, 0.05, 0.0, 0.02),  # from nothing to something
        (0.9, 0.20, 0.1, 0.1),  # in the window
        (0.9, 0.60, 0.1, 0.03),  # known too well: far less of it
        (0.5, 0.0, 0.1, 0.1),  # the easy ones come first
    ],
)
def test_the_thermostat_of_the_hard_band(easy: float, band: float, before: float, after: float):
    cells = {str(d): (band if d >= 5 else easy) for d in range(1, 7)}
    found = next_hard({"addition": before}, {"addition": cells}, Window())
    assert found == {"addition": pytest.approx(after)}


def test_families_are_steered_apart():
    accuracy = {
        "addition": {str(d): 0.0 if d >= 5 else 1.0 for d in range(1, 7)},
        "chain": {str(d): 1.0 for d in range(1, 9)},
    }
    hard = {"addition": 0.1, "chain": 0.1}
    found = next_hard(hard, accuracy, Window())
    assert found["addition"] > 0.1 > found["chain"]
    assert hard == {"addition": 0.1, "chain": 0.1}
