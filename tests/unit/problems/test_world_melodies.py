"""Melodies: scales against written-out ones, melodies against a second walk, keys, controls."""

import pytest

from menon import Completion, ConfigError
from menon.grading.verdicts import grade
from menon.problems.worlds.melodies import KEYS, MELODIES
from menon.problems.worlds.music import major_scale, names_of, pitch_of

ALL_WORLDS = ("default", *MELODIES.worlds)
SCALES = {
    "C": "C D E F G A B",
    "G": "G A B C D E F#",
    "F": "F G A Bb C D E",
    "D": "D E F# G A B C#",
    "Bb": "Bb C D Eb F G A",
    "A": "A B C# D E F# G#",
    "Eb": "Eb F G Ab Bb C D",
    "E": "E F# G# A B C# D#",
    "Ab": "Ab Bb C Db Eb F G",
    "B": "B C# D# E F# G# A#",
    "Db": "Db Eb F Gb Ab Bb C",
    "F#": "F# G# A# B C# D# E#",
}


def test_scales_are_those_of_the_books() -> None:
    assert {key for keys in KEYS.values() for key in keys} == set(SCALES)
    for key, scale in SCALES.items():
        assert " ".join(major_scale(key)) == scale
        assert len({pitch_of(note) for note in scale.split()}) == 7


@pytest.mark.parametrize("world", ALL_WORLDS)
def test_last_notes(world: str) -> None:
    for index in range(200):
        problem = MELODIES.problem("test", index, world=world)
        start, _, moves = problem.meta["item"].partition(": ")
        place = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh"].index(start)
        signed = [int(move.replace("up ", "").replace("down ", "-")) for move in moves.split(", ")]
        assert len(signed) == problem.difficulty
        scale = SCALES[problem.meta["key"]].split() * 40
        assert problem.answer == scale[140 + place + sum(signed)]
        assert MELODIES.solve(problem) == problem.answer
        assert problem.meta["key"] in KEYS[world]


@pytest.mark.parametrize("world", MELODIES.worlds)
def test_no_key_gives_the_answer_of_c_major(world: str) -> None:
    for index in range(200):
        usual, other = MELODIES.problem("test", index), MELODIES.problem("test", index, world=world)
        assert usual.meta["item"] == other.meta["item"]
        assert pitch_of(usual.answer) != pitch_of(other.answer)


def test_enharmonic_names_are_right_and_neighbours_are_not() -> None:
    respelled = 0
    for index in range(150):
        problem = MELODIES.problem("test", index, world="far-keys")
        for name in {problem.answer, *names_of(pitch_of(problem.answer))}:
            assert grade(problem, Completion(key="k", text=f"Step by step.\n#### {name}")).right
            respelled += name != problem.answer
        for step in (1, 11):
            near = names_of(pitch_of(problem.answer) + step)[0]
            assert not grade(problem, Completion(key="k", text=f"#### {near}")).right
    assert respelled > 30


@pytest.mark.parametrize("world", ALL_WORLDS)
def test_controls_ask_for_the_scale(world: str) -> None:
    for index in range(100):
        control = MELODIES.control("test", index, world=world)
        assert MELODIES.solve(control) == control.answer
        assert sorted(control.answer.split()) == sorted(SCALES[control.meta["key"]].split())
        notes = control.answer.split()
        assert grade(control, Completion(key="k", text=f"#### {', '.join(notes)}")).right
        assert not grade(control, Completion(key="k", text=f"#### {' '.join(notes[::-1])}")).right
        for other in control.meta["accept"]:
            assert [pitch_of(a) for a in other.split()] == [pitch_of(b) for b in notes]
            assert grade(control, Completion(key="k", text=f"#### {other}")).right


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="no world 'minor'"):
        MELODIES.control("test", 0, world="minor")
    with pytest.raises(ConfigError, match="no difficulty 13; allowed: 2 to 12"):
        MELODIES.problem("test", 0, difficulty=13)
