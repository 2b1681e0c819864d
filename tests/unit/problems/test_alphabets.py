"""Permuted and symbol alphabets, and letter strings over them."""

import pytest

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Completion, Verdict
from menon.grading.tokens import tokens_of
from menon.grading.verdicts import grade
from menon.problems.analogies.alphabets import ALTERED, EXCHANGED, LETTERS, NORMAL, SYMBOLS, draw_alphabet
from menon.problems.analogies.letters import LETTER_STRINGS


@pytest.mark.parametrize("condition", EXCHANGED)
def test_as_many_letters_are_exchanged_as_the_name_says(condition: str):
    for number in range(50):
        alphabet = draw_alphabet(rng_for("test", number), condition, touching={3, 4})
        moved = {place for place, letter in enumerate(alphabet.tokens) if letter != LETTERS[place]}
        assert len(moved) == EXCHANGED[condition]
        assert moved == alphabet.exchanged
        assert moved & {3, 4}
        assert sorted(alphabet.tokens) == list(LETTERS)


def test_symbols_are_distinct_and_survive_grading():
    assert len(set(SYMBOLS)) == len(LETTERS)
    assert tokens_of(" ".join(SYMBOLS)) == list(SYMBOLS)
    for index in range(60):
        problem = LETTER_STRINGS.problem("test", index, world="symbols")
        for text in (f"#### {problem.answer}", f"The answer is [{problem.answer}].", f"so#{problem.answer}"):
            assert grade(problem, Completion(key="k", text=text)).verdict is Verdict.RIGHT, (text, problem.answer)
    assert draw_alphabet(rng_for("a"), "symbols") != draw_alphabet(rng_for("b"), "symbols")


@pytest.mark.parametrize("world", ALTERED)
def test_the_same_item_stands_at_the_same_positions_in_every_alphabet(world: str):
    for index in range(48):
        usual, altered = (LETTER_STRINGS.problem("test", index, world=name) for name in ("default", world))
        assert usual.meta["item"] == altered.meta["item"]
        shown = altered.question.split("\n")[1].split()
        for place in (-1, 0, 1):
            parts = [problem.question.split("[")[place].split("]")[0] for problem in (usual, altered)]
            if place:
                assert [LETTERS.index(t) for t in parts[0].split()] == [shown.index(t) for t in parts[1].split()]
        assert [LETTERS.index(token) for token in usual.answer.split()] == [
            shown.index(token) for token in altered.answer.split()
        ]
        assert LETTER_STRINGS.solve(altered) == altered.answer


def test_the_usual_answer_is_wrong_in_an_altered_alphabet():
    told = 0
    for world in EXCHANGED:
        for index in range(60):
            problem = LETTER_STRINGS.problem("test", index, world=world)
            usual = problem.meta["as_if_usual"]
            if usual is not None:
                told += 1
                assert grade(problem, Completion(key="k", text=f"#### {usual}")).verdict is Verdict.WRONG
    assert told > 100
    assert all(LETTER_STRINGS.problem("test", i).meta["as_if_usual"] is None for i in range(12))


@pytest.mark.parametrize("world", [NORMAL, *ALTERED])
def test_controls_ask_for_neighbours(world: str):
    for index in range(20):
        problem = LETTER_STRINGS.control("test", index, world=world)
        shown = problem.question.split("\n")[1].split()
        asked = problem.question.rsplit("directly ", 1)[1].split()[1]
        step = {"succ": 1, "pred": -1}[problem.meta["control"]]
        assert shown[shown.index(asked) + step] == problem.answer == LETTER_STRINGS.solve(problem)
        assert grade(problem, Completion(key="k", text=f"#### {problem.answer}")).verdict is Verdict.RIGHT


def test_an_unknown_alphabet_is_refused():
    with pytest.raises(ConfigError, match="allowed: normal, permuted-2"):
        draw_alphabet(rng_for("x"), "greek")
