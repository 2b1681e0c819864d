"""Drawing: gold and solver drawings keep the scene, other worlds' drawings do not; turning of points and shapes."""

import pytest

from menon import Completion, ConfigError
from menon.grading.drawing import DrawingGrader, Shape, parts_of, shapes_in
from menon.grading.verdicts import grade
from menon.problems.worlds.drawing import DRAWING, moved

ALL_WORLDS = ("default", *DRAWING.worlds)
GRADER = DrawingGrader()


@pytest.mark.parametrize("world", ALL_WORLDS)
def test_gold_and_solver_keep_the_scene(world: str) -> None:
    for index in range(200):
        problem = DRAWING.problem("test", index, world=world)
        for drawing in (problem.answer, DRAWING.solve(problem)):
            assert all(parts_of(problem, drawing).values()), (problem.question, drawing)
        assert len(shapes_in(problem.answer)) == problem.difficulty


@pytest.mark.parametrize("world", DRAWING.worlds)
def test_the_upright_drawing_is_wrong_in_other_worlds(world: str) -> None:
    for index in range(200):
        usual, turned = DRAWING.problem("test", index), DRAWING.problem("test", index, world=world)
        assert usual.meta["item"] == turned.meta["item"]
        assert not GRADER.accepts(turned, usual.answer)
        assert not GRADER.accepts(usual, turned.answer)
        assert 0 < GRADER.credit(turned, usual.answer) < 1


def test_relations_turn_as_shapes_do() -> None:
    """A known scene by hand: a ball on a box, a level rope to the right of the box."""
    ball = Shape(kind="circle", numbers=(30, 50, 10), name="ball")
    box = Shape(kind="rect", numbers=(20, 20, 20, 20), name="box")
    rope = Shape(kind="line", numbers=(60, 30, 80, 30), name="rope")
    assert [moved(shape, "flip").numbers for shape in (ball, box, rope)] == [
        (30, 50, 10),
        (20, 60, 20, 20),
        (60, 70, 80, 70),
    ]
    assert [moved(shape, "rotate-90").numbers for shape in (ball, box, rope)] == [
        (50, 70, 10),
        (20, 60, 20, 20),
        (30, 40, 30, 20),
    ]
    assert [moved(shape, "rotate-180").numbers for shape in (ball, box, rope)] == [
        (70, 50, 10),
        (60, 60, 20, 20),
        (40, 70, 20, 70),
    ]


@pytest.mark.parametrize("world", ALL_WORLDS)
def test_turning_as_often_as_it_takes_gives_the_picture_back(world: str) -> None:
    times = {"default": 1, "flip": 2, "rotate-90": 4, "rotate-180": 2}[world]
    for index in range(50):
        for shape in shapes_in(DRAWING.problem("test", index).answer):
            turned = shape
            for _ in range(times):
                turned = moved(turned, world)
            assert turned == shape


def test_controls_ask_for_a_point() -> None:
    where = {
        "default": lambda x, y: (x, y),
        "flip": lambda x, y: (x, 100 - y),
        "rotate-90": lambda x, y: (y, 100 - x),
        "rotate-180": lambda x, y: (100 - x, 100 - y),
    }
    for index in range(100):
        controls = {world: DRAWING.control("test", index, world=world) for world in ALL_WORLDS}
        assert len({control.answer for control in controls.values()}) == len(ALL_WORLDS)
        for world, control in controls.items():
            x, y = map(int, control.meta["item"].strip("()").split(", "))
            new_x, new_y = where[world](x, y)
            assert control.answer == f"{new_x} {new_y}" == DRAWING.solve(control)
            assert grade(control, Completion(key="k", text=f"#### ({new_x}, {new_y})")).right
            assert not grade(control, Completion(key="k", text=f"#### {new_x} {new_y + 1}")).right


def test_turned_text_says_so() -> None:
    questions = [DRAWING.problem("test", 0, world=world).question for world in ALL_WORLDS]
    assert len(set(questions)) == 4
    assert "upright, as it is described" in questions[0]
    assert "90 degrees clockwise" in questions[2]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="no world 'rotate-45'"):
        DRAWING.problem("test", 0, world="rotate-45")
    with pytest.raises(ConfigError, match="no difficulty 7; allowed: 2 to 6"):
        DRAWING.problem("test", 0, difficulty=7)
