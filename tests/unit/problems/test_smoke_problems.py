"""Smoke tests: decimals and letters in words against counting and comparing done here."""

import re
from fractions import Fraction

import pytest

from menon.core.errors import ConfigError
from menon.core.values import Completion, Verdict
from menon.grading.verdicts import grade
from menon.problems.smoke import DECIMALS, LETTERS_IN_WORDS, MISLEADING, PLAIN, SMOKE_TASKS, WORDS


def digits_after_point(number: str) -> int:
    return len(number.split(".")[1])


@pytest.mark.parametrize("world", [MISLEADING, PLAIN])
def test_the_larger_decimal_is_the_answer(world: str):
    for index in range(200):
        problem = DECIMALS.problem("test", index, world=world)
        numbers = re.findall(r"\d+\.\d+", problem.question)
        larger, smaller = sorted(numbers, key=Fraction, reverse=True)
        assert problem.answer == larger == DECIMALS.solve(problem)
        more = digits_after_point(smaller) - digits_after_point(larger)
        assert more == (1 if world == MISLEADING else 0)
        if world == MISLEADING:  # read as whole numbers, the parts after the point mislead
            assert int(smaller.split(".")[1]) > int(larger.split(".")[1])


@pytest.mark.parametrize("world", [MISLEADING, PLAIN])
def test_letters_are_counted(world: str):
    answers = set()
    for index in range(200):
        problem = LETTERS_IN_WORDS.problem("test", index, world=world)
        word, letter = problem.meta["word"], problem.meta["letter"]
        assert word in WORDS
        assert problem.answer == str(len(re.findall(letter, word))) == LETTERS_IN_WORDS.solve(problem)
        assert (word in problem.question) == (world == MISLEADING)
        answers.add(problem.answer)
    assert {"1", "2", "3"} <= answers


@pytest.mark.parametrize("task", SMOKE_TASKS, ids=lambda task: task.name)
def test_versions_are_paired_and_graded(task):
    for index in range(50):
        misleading, plain = (task.problem("test", index, world=world) for world in (MISLEADING, PLAIN))
        assert misleading.answer == plain.answer
        assert misleading.question != plain.question
        assert grade(plain, Completion(key="k", text=f"#### {plain.answer}")).verdict is Verdict.RIGHT
        assert grade(plain, Completion(key="k", text="#### 1000")).verdict is Verdict.WRONG
    with pytest.raises(ConfigError, match="allowed"):
        task.problem("test", 0, world="hard")


def test_words_are_listed_once():
    assert len(WORDS) == len(set(WORDS))
