"""Families: gold answers against independent arithmetic, splits disjoint, variants matched."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon import ConfigError, Problem
from menon.grading.steps import check_columns, check_equations
from menon.problems import FAMILIES
from menon.problems.addition import ADDITION
from menon.problems.chain import CHAIN
from menon.problems.splits import SPLITS

INDEX = st.integers(0, 10**9)
SPLIT = st.sampled_from(sorted(SPLITS))


def number(labelled: str, base: int) -> int:
    """Read place letters and digits, units first, without the family's code."""
    return sum(int(digit, 16) * base**place for place, digit in enumerate(labelled[1::2]))


@given(SPLIT, INDEX, st.integers(1, 6), st.sampled_from(["default", "base=8", "base=9", "base=11", "base=16"]))
def test_addition_gold_is_the_sum(split: str, index: int, digits: int, world: str) -> None:
    problem = ADDITION.problem(split, index, difficulty=digits, world=world)
    base = 10 if world == "default" else int(world.partition("=")[2])
    a, b = problem.question.split("+")
    assert number(a, base) + number(b, base) == number(problem.answer, base)
    assert [c.lower() for c in a[::2]] == list(b[::2])
    assert len(a) == len(b) == 2 * digits
    assert problem.rationale is not None
    assert check_columns(problem.question, problem.rationale, base).sound


@given(SPLIT, INDEX, st.integers(1, 12))
def test_chain_gold_follows_the_text(split: str, index: int, steps: int) -> None:
    problem = CHAIN.problem(split, index, difficulty=steps)
    gains = re.compile(r"buys|finds|brings|gets|added")
    losses = re.compile(r"sells|loses|takes|gives away|broken")
    sentences = [s for s in problem.question.split(".") if re.search(r"\d", s)]
    value = int(re.findall(r"\d+", sentences[0])[0])
    for sentence in sentences[1:]:
        change = int(re.findall(r"\d+", sentence)[0])
        assert bool(gains.search(sentence)) != bool(losses.search(sentence))
        value += change if gains.search(sentence) else -change
    assert len(sentences) == steps + 1
    assert str(value) == problem.answer
    assert problem.rationale is not None
    assert check_equations(problem.question, problem.rationale).sound


@given(st.sampled_from(FAMILIES.names()), SPLIT, SPLIT, INDEX, INDEX)
def test_splits_never_share_a_problem(name: str, one: str, other: str, i: int, j: int) -> None:
    family = FAMILIES.get(name)
    first, second = family.problem(one, i, difficulty=1), family.problem(other, j, difficulty=1)
    if one != other:
        assert content(first) != content(second)
    assert family.problem(one, i, difficulty=1) == first


def content(problem: Problem) -> tuple[str, ...]:
    """What the problem asks, without its surface."""
    if problem.family == "addition":
        return tuple(re.sub("[G-Zg-z]", "", problem.question).split("+"))
    if problem.family == "chain":
        return (problem.rationale or "",)
    return (problem.meta["key"],)


@given(st.sampled_from(FAMILIES.names()), INDEX, st.integers(0, 5))
def test_variants_are_matched_and_new(name: str, index: int, number: int) -> None:
    family = FAMILIES.get(name)
    original = family.problem("original", index, difficulty=family.difficulties[index % len(family.difficulties)])
    variant = family.variant(original, number)
    assert variant.split == "variant"
    assert variant.difficulty == original.difficulty
    assert content(variant) != content(original)
    if name == "chain":
        assert re.sub(r"\d+", "#", variant.question) == re.sub(r"\d+", "#", original.question)
    if name == "addition" and original.difficulty > 1:
        assert variant.meta["carries"] == original.meta["carries"]
    assert family.variant(original, number) == variant


@pytest.mark.parametrize("name", FAMILIES.names())
def test_bad_requests_say_what_is_allowed(name: str) -> None:
    family = FAMILIES.get(name)
    with pytest.raises(ConfigError, match="allowed"):
        family.problem("test", 0, difficulty=99)
    with pytest.raises(ConfigError, match="allowed"):
        family.problem("test", 0, world="upside-down")
    with pytest.raises(ConfigError, match="allowed"):
        family.problem("holdout", 0)
