"""Template families: arms change what they name and nothing else, equal arguments give equal problems, and matching."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon import ConfigError
from menon.core.values import Completion
from menon.grading import grade
from menon.problems.prompts import PLAIN
from menon.problems.templates.difficulty import Numbers, carries, nearest, numbers_of
from menon.problems.templates.family import ARMS, MORE_OR_LESS, TemplateFamily, own_families
from menon.problems.templates.language import Slot
from menon.problems.templates.render import default_assignment, render
from menon.problems.templates.solver import draw

FAMILIES = own_families()
FAMILY = st.sampled_from(FAMILIES)
SEED = st.integers(0, 10**9)
few = settings(max_examples=25)


def numerals(text: str) -> list[str]:
    return re.findall(r"\d+", text)


def words_of(text: str) -> str:
    return re.sub(r"\d+", "0", text)


@few
@given(FAMILY, SEED, st.sampled_from(ARMS))
def test_problems_are_right_by_their_own_grader(family: TemplateFamily, seed: int, arm: str) -> None:
    if arm not in family.arms:
        with pytest.raises(ConfigError, match="has no arm"):
            family.instances(1, arm=arm, seed=seed)
        return
    problems = family.instances(3, arm=arm, seed=seed)
    assert len({problem.id for problem in problems}) == 3
    assert problems == family.instances(3, arm=arm, seed=seed)
    for problem in [family.original(), *problems]:
        gold = Completion(key=problem.id, text=PLAIN.completion(problem, problem.rationale or "", problem.answer))
        assert grade(problem, gold).right
        wrong = Completion(key=problem.id, text=PLAIN.completion(problem, "", str(int(problem.answer) + 1)))
        assert not grade(problem, wrong).right
        assert problem.template == family.id


@few
@given(FAMILY, SEED)
def test_names_keep_the_numbers_and_numbers_keep_the_words(family: TemplateFamily, seed: int) -> None:
    original = family.original()
    for problem in family.instances(3, arm="names", seed=seed):
        assert problem.question != original.question
        assert (numerals(problem.question), problem.answer) == (numerals(original.question), original.answer)
    fraction = any(
        not value.text.isdigit() and not isinstance(value.value, str)
        for variable in family.members["base"].variables
        for value in variable.candidates
    )
    for problem in family.instances(3, arm="numbers", seed=seed):
        assert numerals(problem.question) != numerals(original.question) or fraction
        if not fraction:  # "a third" is a number in words
            assert words_of(problem.question) == words_of(original.question)


@few
@given(FAMILY, SEED)
def test_noop_is_both_with_a_clause(family: TemplateFamily, seed: int) -> None:
    for plain, other in zip(family.instances(3, seed=seed), family.instances(3, arm="noop", seed=seed), strict=True):
        clause = other.meta["clause"]["text"]
        assert other.question.replace(" " + clause, "") == plain.question
        assert (other.answer, other.rationale) == (plain.answer, plain.rationale)
        assert other.meta["features"] == plain.meta["features"]
        assert other.meta["item"] == plain.meta["item"]
        assert other.world == "noop"


@few
@given(FAMILY, SEED, st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_more_instances_begin_with_the_same_ones(
    family: TemplateFamily, seed: int, few_: int, more: int, matched: bool
) -> None:
    first = family.instances(few_, seed=seed, matched=matched)
    assert family.instances(few_ + more, seed=seed, matched=matched)[:few_] == first


@pytest.mark.parametrize("arm", ["numbers", "both", *MORE_OR_LESS])
def test_matching_brings_numbers_nearer(arm: str) -> None:
    """Over all templates, matched instances are clearly nearer to the original than drawn ones."""
    drawn, matched, templates = 0.0, 0.0, 0
    for family in FAMILIES:
        if arm not in family.arms:
            continue
        template = family.members[arm if arm in MORE_OR_LESS else "base"]
        defaults = default_assignment(template)
        assert defaults is not None
        reference = numbers_of(render(template, defaults))
        pool = [render(template, one) for one in draw(template, "pool", count=24)]
        drawn += sum(numbers_of(one).distance(reference) for one in pool[:6]) / 6
        matched += sum(numbers_of(one).distance(reference) for one in nearest(pool, reference, 6, block=4)) / 6
        templates += 1
    assert templates >= 20
    assert matched < 0.75 * drawn


def test_published_p_files_alone_use_the_original_of_their_record() -> None:
    family = next(one for one in FAMILIES if "p1" in one.arms)
    alone = TemplateFamily(name="mine", members={"p1": family.members["p1"]})
    assert alone.arms == ("p1",)
    assert alone.original().question == family.original().question
    assert alone.original().answer == family.original().answer


def test_every_slot_of_a_sibling_names_what_it_declares() -> None:
    for family in FAMILIES:
        for member in family.members.values():
            assert {part.name for part in member.question if isinstance(part, Slot)} == member.domains.keys()


@pytest.mark.parametrize(("count", "oversample"), [(0, 4), (1, 0)])
def test_counts_must_be_positive(count: int, oversample: int) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        FAMILIES[0].instances(count, oversample=oversample)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_carries_are_what_a_pupil_writes(a: int, b: int) -> None:
    """The carries of a sum are (digit sum of a + of b - of the sum) / 9."""

    def digit_sum(n: int) -> int:
        return sum(map(int, str(n)))

    assert carries(a, b) == (digit_sum(a) + digit_sum(b) - digit_sum(a + b)) // 9
    assert carries(a + b, b, "-") == carries(a, b)


NUMBERS = st.builds(
    lambda given, results, carried: Numbers(
        given={str(place): float(number) for place, number in enumerate(given)},
        results=tuple(map(float, results)),
        carries=carried,
    ),
    st.lists(st.integers(0, 10**6), max_size=5),
    st.lists(st.integers(0, 10**6), max_size=5),
    st.integers(0, 9),
)


@given(NUMBERS, NUMBERS)
def test_distance_is_zero_for_itself_and_symmetric(one: Numbers, two: Numbers) -> None:
    assert one.distance(one) == 0
    assert one.distance(two) == pytest.approx(two.distance(one))
    assert one.distance(two) >= 0


def test_a_digit_more_everywhere_is_far_and_a_unit_more_is_near() -> None:
    start = Numbers(given={"a": 45.0}, results=(90.0,), carries=0)
    near = Numbers(given={"a": 46.0}, results=(92.0,), carries=0)
    far = Numbers(given={"a": 450.0}, results=(900.0,), carries=0)
    assert start.distance(near) < 0.1 < 2 < start.distance(far)
