"""Halls under turned directions: a rotation matrix as reference, no object where the map would put it."""

import re

import numpy as np
import pytest

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.problems.worlds.spatial import AXES, DOOR, SPATIAL

MATRICES = {
    "default": np.eye(2, dtype=int),
    "swap-ns": np.diag([1, -1]),
    "swap-we": np.diag([-1, 1]),
    "rotate-90": np.array([[0, 1], [-1, 0]]),  # clockwise
    "rotate-180": -np.eye(2, dtype=int),
    "rotate-270": np.array([[0, -1], [1, 0]]),
}
MOVES = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}


def _places(problem: Problem) -> dict[str, tuple[int, int]]:
    return {thing: (int(x), int(y)) for thing, x, y in re.findall(r"(\w+): \((\d+), (\d+)\)", problem.answer)}


def _on_the_map(problem: Problem) -> dict[str, np.ndarray]:
    """Return the displacement of each object from the door, by a usual map."""
    found = {}
    for part in problem.meta["item"].split("; "):
        thing, *moves = part.split(" ")
        ways = {name[0]: np.array(step) for name, step in MOVES.items()}
        found[thing] = sum((int(move[:-1]) * ways[move[-1]] for move in moves), np.zeros(2, dtype=int))
    return found


@pytest.mark.parametrize("world", sorted(MATRICES))
def test_positions_are_the_map_turned_by_the_matrix_of_the_world(world: str):
    for index in range(30):
        problem = SPATIAL.problem("test", index, world=world)
        turned = {thing: tuple(MATRICES[world] @ step + DOOR) for thing, step in _on_the_map(problem).items()}
        assert _places(problem) == turned
        assert SPATIAL.solve(problem) == problem.answer


def test_no_object_stands_in_the_same_place_in_two_worlds():
    for index in range(30):
        worlds = [_places(SPATIAL.problem("test", index, world=world)) for world in ("default", *SPATIAL.worlds)]
        for thing in worlds[0]:
            assert len({places[thing] for places in worlds}) == len(worlds)


def test_the_exchanged_world_has_two_readings_and_states_the_one_that_holds():
    rules = {SPATIAL.problem("test", index, world="exchanged").question.split(" Coord")[0] for index in range(30)}
    assert len(rules) == 2
    assert len(AXES["exchanged"]) == 2


def test_checks_ask_every_direction_alike():
    for world in ("default", *SPATIAL.worlds):
        checks = [SPATIAL.control("test", index, world=world) for index in range(20)]
        assert sorted({check.answer for check in checks}) == ["east", "north", "south", "west"]
        assert all(SPATIAL.solve(check) == check.answer and check.meta["chance"] == 0.25 for check in checks)
    north = SPATIAL.control("test", 0, world="rotate-180")
    (x, y), (to_x, to_y) = (tuple(map(int, at)) for at in re.findall(r"\((\d+), (\d+)\)", north.question))
    assert (to_x - x, to_y - y) == (0, -1)
    assert north.answer == "north"


def test_difficulty_is_the_number_of_moves():
    for count in (2, 3, 4):
        problem = SPATIAL.problem("train", 1, difficulty=count)
        assert [part.count(" ") for part in problem.meta["item"].split("; ")] == [count] * 3


@pytest.mark.parametrize(
    "call",
    [
        lambda: SPATIAL.problem("test", 0, world="upside-down"),
        lambda: SPATIAL.problem("test", 0, difficulty=1),
        lambda: SPATIAL.solve(Problem(family="x", question="where?", answer="here")),
    ],
)
def test_what_is_not_there_is_refused(call):
    with pytest.raises(ConfigError):
        call()
