"""Worlds of music, chess, sets and drawing: same item in all worlds, solver and gold agree, splits are disjoint."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon import Completion, Verdict
from menon.grading.drawing import RELATIONS, Shape
from menon.grading.verdicts import grade
from menon.problems.splits import SPLITS
from menon.problems.worlds import WORLDS
from menon.problems.worlds.drawing import DRAWING, moved

NAMES = ("chords", "melodies", "chess", "set", "drawing")
TASK = st.sampled_from([WORLDS.get(name) for name in NAMES])
SPLIT = st.sampled_from(sorted(SPLITS))
INDEX = st.integers(0, 10**6)
TURNED = {  # what a relation of the upright picture becomes, looked up from the shapes themselves below
    "rotate-90": {"above": "right of", "right of": "below", "below": "left of", "left of": "above"},
    "rotate-180": {"above": "below", "below": "above", "left of": "right of", "right of": "left of"},
    "flip": {"above": "below", "below": "above"},
}


def right(problem: Any, answer: str) -> bool:
    return grade(problem, Completion(key="k", text=f"So it is.\n#### {answer}")).verdict is Verdict.RIGHT


@settings(max_examples=60)
@given(TASK, SPLIT, INDEX, st.integers(0, 9))
def test_gold_and_solver_are_accepted_in_every_world(task: Any, split: str, index: int, number: int) -> None:
    worlds = ("default", *task.worlds)
    world = worlds[number % len(worlds)]
    for make in (task.problem, task.control):
        problem = make(split, index, world=world)
        assert problem == make(split, index, world=world)
        assert (problem.family, problem.world, problem.split, problem.index) == (task.name, world, split, index)
        assert right(problem, problem.answer)
        assert right(problem, task.solve(problem))


@settings(max_examples=40)
@given(TASK, SPLIT, INDEX)
def test_no_answer_serves_two_worlds(task: Any, split: str, index: int) -> None:
    usual = task.problem(split, index)
    for world in task.worlds:
        other = task.problem(split, index, world=world)
        assert other.meta["item"] == usual.meta["item"]
        assert other.question != usual.question
        assert not right(other, usual.answer)
        assert not right(usual, other.answer)


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_disjoint(name: str) -> None:
    task = WORLDS.get(name)
    seen: dict[str, str] = {}
    for split in SPLITS:
        for index in range(25):
            item = task.problem(split, index, difficulty=task.difficulties[0]).meta["item"]
            assert seen.setdefault(item, split) == split
    assert len(seen) >= 60


SHAPES = st.one_of(
    st.builds(
        lambda x, y, r: Shape(kind="circle", numbers=(x, y, r)),
        *(st.integers(0, 100), st.integers(0, 100), st.integers(1, 40)),
    ),
    st.builds(
        lambda x, y, w, h: Shape(kind="rect", numbers=(x, y, w, h)),
        *(st.integers(0, 90), st.integers(0, 90), st.integers(1, 40), st.integers(1, 40)),
    ),
)


@given(SHAPES, SHAPES, st.sampled_from(DRAWING.worlds))
def test_relations_turn_with_the_shapes(a: Shape, b: Shape, world: str) -> None:
    for relation in ("above", "below", "left of", "right of", "inside", "touches"):
        turned = TURNED[world].get(relation, relation)
        assert RELATIONS[relation](a, b) == RELATIONS[turned](moved(a, world), moved(b, world))
    assert RELATIONS["touches"](a, b) == RELATIONS["touches"](b, a)
    assert not (RELATIONS["above"](a, b) and RELATIONS["below"](a, b))
