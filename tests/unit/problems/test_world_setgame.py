"""The set game: one right card on every board, by a rule written anew from the deck of 81."""

from itertools import combinations, product

import pytest

from menon import Completion, ConfigError, Verdict
from menon.grading.verdicts import grade
from menon.problems.worlds.setgame import ATTRIBUTES, SETGAME, is_set, words

ALL_WORLDS = ("default", *SETGAME.worlds)
DECK = {words(card): card for card in product(range(3), repeat=4)}


def is_set_by_words(cards: list[str], world: str) -> bool:
    for at, name in enumerate(ATTRIBUTES):
        same = sum(DECK[a][at] == DECK[b][at] for a, b in combinations(cards, 2))  # pairs that agree: 0, 1 or 3
        if (same == 1) != (name == world):
            return False
    return True


def given_cards(question: str) -> list[str]:
    return question.split("Two cards are given: ")[1].split(".\n")[0].split("; ")


def test_the_deck_has_81_cards_and_1080_sets() -> None:
    assert len(DECK) == 81
    assert {"one striped red oval", "three solid purple squiggles"} <= set(DECK)
    cards = list(DECK.values())
    assert sum(is_set(trio, "default") for trio in combinations(cards, 3)) == 1080


@pytest.mark.parametrize("world", ALL_WORLDS)
def test_exactly_one_card_works(world: str) -> None:
    for index in range(200):
        problem = SETGAME.problem("test", index, world=world)
        given = given_cards(problem.question)
        works = [letter for letter, card in zip("ABCDEFGHIJKLMNOP", problem.choices, strict=False)
                 if is_set_by_words([*given, card], world)]  # fmt: skip
        assert works == [problem.answer]
        assert SETGAME.solve(problem) == problem.answer
        assert len({*given, *problem.choices}) == problem.difficulty + 2


@pytest.mark.parametrize("world", SETGAME.worlds)
def test_worlds_share_the_board_and_not_the_answer(world: str) -> None:
    for index in range(200):
        usual, other = SETGAME.problem("test", index), SETGAME.problem("test", index, world=world)
        assert usual.meta["item"] == other.meta["item"]
        assert usual.choices == other.choices
        assert usual.answer != other.answer


def test_the_right_letter_is_no_habit() -> None:
    for world in ALL_WORLDS:
        answers = [SETGAME.problem("test", index, world=world, difficulty=6).answer for index in range(180)]
        assert all(12 <= answers.count(letter) <= 50 for letter in "ABCDEF")


def test_only_the_right_letter_is_right() -> None:
    for index in range(40):
        problem = SETGAME.problem("test", index, difficulty=4)
        for letter in "ABCD":
            completion = Completion(key="k", text=f"They differ in colour. The answer is ({letter}).")
            assert grade(problem, completion).right == (letter == problem.answer)
        assert grade(problem, Completion(key="k", text="I cannot tell.")).verdict is Verdict.UNPARSED


@pytest.mark.parametrize("world", ALL_WORLDS)
def test_controls_are_half_sets_and_half_near_misses(world: str) -> None:
    controls = [SETGAME.control("test", index, world=world) for index in range(200)]
    assert sum(control.answer == "yes" for control in controls) == 100
    for control in controls:
        cards = control.meta["item"].split("; ")
        assert is_set_by_words(cards, world) == (control.answer == "yes")
        assert SETGAME.solve(control) == control.answer
        other = "no" if control.answer == "yes" else "yes"
        assert grade(control, Completion(key="k", text=f"All differ.#{control.answer}")).right
        assert grade(control, Completion(key="k", text=f"#### {other}")).verdict is Verdict.WRONG


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="no world 'size'; allowed: default, number, colour"):
        SETGAME.problem("test", 0, world="size")
    with pytest.raises(ConfigError, match="no difficulty 3; allowed: 4 to 16"):
        SETGAME.problem("test", 0, difficulty=3)
