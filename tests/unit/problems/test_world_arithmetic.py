"""Sums in other bases: values against Python's own conversion, pairing across bases, and what is refused."""

import pytest

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.problems.worlds.arithmetic import ARITHMETIC, BASES, Arithmetic, written

WORLDS = ("default", *ARITHMETIC.worlds)


def _base(world: str) -> int:
    return BASES["base10" if world == "default" else world]


def _operands(problem: Problem) -> tuple[str, str]:
    first, _, second = problem.meta["item"].split(" ")[0].partition("+")
    return first, second


@pytest.mark.parametrize(
    ("value", "base", "digits"), [(0, 9, "0"), (81, 9, "100"), (255, 16, "FF"), (120, 11, "AA"), (8, 8, "10")]
)
def test_numbers_are_written_in_their_base(value: int, base: int, digits: str):
    assert written(value, base) == digits


@pytest.mark.parametrize("world", WORLDS)
def test_a_sum_is_the_sum_in_its_base(world: str):
    for index in range(40):
        problem = ARITHMETIC.problem("test", index, world=world)
        first, second = _operands(problem)
        assert int(problem.answer, _base(world)) == int(first, _base(world)) + int(second, _base(world))
        assert len(first) == len(second) == problem.difficulty
        assert f"base {_base(world)}," in problem.question
        assert ARITHMETIC.solve(problem) == problem.answer


def test_the_same_operands_are_asked_in_every_base_and_none_reads_as_in_base_10():
    for index in range(40):
        problems = [ARITHMETIC.problem("test", index, world=world) for world in WORLDS]
        assert len({problem.meta["item"] for problem in problems}) == 1
        assert set("".join(_operands(problems[0]))) <= set("01234567")
        usual = str(sum(map(int, _operands(problems[0]))))
        assert problems[0].answer == usual
        assert all(problem.answer != usual for problem in problems[1:])


def test_full_digits_use_letters_and_pair_nothing():
    full = Arithmetic(digits="full")
    problems = [full.problem("test", index, world="base16", difficulty=3) for index in range(40)]
    assert any(set("ABCDEF") & set("".join(_operands(problem))) for problem in problems)
    usual = {full.problem("test", index, difficulty=3).meta["item"] for index in range(40)}
    assert not usual & {problem.meta["item"] for problem in problems}
    assert all(full.solve(problem) == problem.answer for problem in problems)


def test_the_steps_of_the_rationale_end_in_the_answer():
    problem = ARITHMETIC.problem("train", 3, world="base9", difficulty=4)
    assert problem.rationale
    lines = problem.rationale.splitlines()
    digits = "".join(line.split("write ")[1][0] for line in reversed(lines))
    assert problem.answer == ("1" if "carry 1" in lines[-1] else "") + digits


@pytest.mark.parametrize("world", WORLDS)
def test_half_of_the_checks_are_about_a_carry(world: str):
    checks = [ARITHMETIC.control("test", index, world=world) for index in range(20)]
    numbers = [check.question.split("directly after ")[1].split("?")[0] for check in checks]
    highest = written(_base(world) - 1, _base(world))
    assert sum(number.endswith(highest) for number in numbers) == 10
    for number, check in zip(numbers, checks, strict=True):
        assert int(check.answer, _base(world)) == int(number, _base(world)) + 1
        assert ARITHMETIC.solve(check) == check.answer


@pytest.mark.parametrize(
    "call",
    [
        lambda: ARITHMETIC.problem("test", 0, world="base12"),
        lambda: ARITHMETIC.problem("test", 0, difficulty=7),
        lambda: ARITHMETIC.problem("tset", 0),
        lambda: Arithmetic(digits="some"),  # pyright: ignore[reportArgumentType]
        lambda: ARITHMETIC.solve(Problem(family="x", question="2+2?", answer="4")),
    ],
)
def test_what_is_not_there_is_refused(call):
    with pytest.raises(ConfigError):
        call()
