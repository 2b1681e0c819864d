"""Chords: frets against known fingerings and a second music theory; tunings; controls."""

from itertools import product

import pytest

from menon import Completion, ConfigError
from menon.grading.verdicts import grade
from menon.problems.worlds.chords import CHORDS, INSTRUMENTS
from menon.problems.worlds.music import CHORD_STEPS, ROOTS, SHARPS, names_of, pitch_of

ALL_WORLDS = ("default", *CHORDS.worlds)
POOL = [CHORDS.problem(split, index) for split in ("corpus", "train", "test", "variant") for index in range(200)]


def find(item: str):
    return next(problem for problem in POOL if problem.meta["item"] == item)


def test_known_chords() -> None:
    """Worked out by hand from the notes of the chords."""
    by_item = {problem.meta["item"]: problem.answer for problem in POOL}
    known = {
        "guitar: C major": "0 3 2 0 1 0",  # the open C chord is the lowest fret of every string
        "guitar: E major": "0 2 2 1 0 0",  # and so is the open E chord
        "guitar: E minor": "0 2 2 0 0 0",
        "guitar: G major": "3 2 0 0 0 3",
        "guitar: A dominant seventh": "0 0 2 0 2 0",
        "ukulele: C major": "0 0 0 3",
        "ukulele: F major": "2 0 1 0",
        "ukulele: A minor": "2 0 0 0",
        "ukulele: G dominant seventh": "0 2 1 2",
        "mandolin: G major": "0 0 2 3",
    }
    met = known.keys() & by_item.keys()
    assert len(met) >= 7
    assert {item: by_item[item] for item in met} == {item: known[item] for item in met}


@pytest.mark.parametrize("world", ALL_WORLDS)
def test_frets_are_the_lowest_that_sound_the_chord(world: str) -> None:
    for index in range(200):
        problem = CHORDS.problem("test", index, world=world)
        tool, chord = problem.meta["item"].split(": ")
        root, _, kind = chord.partition(" ")
        notes = [SHARPS[(pitch_of(root) + step) % 12] for step in CHORD_STEPS[kind]]
        for string, fret in zip(problem.meta["tuning"], map(int, problem.answer.split()), strict=True):
            sounding = [SHARPS[(pitch_of(string) + f) % 12] in notes for f in range(5)]
            assert sounding.index(True) == fret
        assert CHORDS.solve(problem) == problem.answer
        assert (tuple(problem.meta["tuning"]) == INSTRUMENTS[tool]) == (world == "default")
        assert ", ".join(problem.meta["tuning"]) in problem.question


def test_every_chord_has_a_fret_on_every_string() -> None:
    for root, kind, string in product(ROOTS, CHORD_STEPS, SHARPS):
        reached = {(pitch_of(string) + fret - pitch_of(root)) % 12 for fret in range(5)}
        assert reached & set(CHORD_STEPS[kind])


@pytest.mark.parametrize("world", CHORDS.worlds)
def test_worlds_change_the_answer_of_the_same_item(world: str) -> None:
    for index in range(200):
        usual, changed = CHORDS.problem("test", index), CHORDS.problem("test", index, world=world)
        assert usual.meta["item"] == changed.meta["item"]
        assert usual.answer != changed.answer
        moved = [a != b for a, b in zip(usual.meta["tuning"], changed.meta["tuning"], strict=True)]
        assert sum(moved) == (2 if world == "exchanged" else 1)
        if "a whole tone" in changed.question:
            at = moved.index(True)
            rise = pitch_of(changed.meta["tuning"][at]) - pitch_of(usual.meta["tuning"][at])
            assert rise % 12 == (2 if "a whole tone up" in changed.question else 10)
            assert f"string {at + 1} has been tuned" in changed.question
        else:
            at = moved.index(True)
            assert f"strings {at + 1} and {at + 2} have been exchanged" in changed.question
        assert (sorted(usual.meta["tuning"]) == sorted(changed.meta["tuning"])) == (world == "exchanged")


def test_splits_share_no_chord_and_cover_them_all() -> None:
    items = {
        split: {CHORDS.problem(split, index).meta["item"] for index in range(250)}
        for split in ("corpus", "original", "probe", "train", "test", "variant")
    }
    together = [item for own in items.values() for item in own]
    assert len(together) == len(set(together)) > 450
    assert len(items["test"]) > 30


def test_difficulty_is_the_number_of_strings() -> None:
    assert all(len(CHORDS.problem("test", i, difficulty=5).answer.split()) == 5 for i in range(20))
    with pytest.raises(ConfigError, match="no difficulty 7"):
        CHORDS.problem("test", 0, difficulty=7)
    with pytest.raises(ConfigError, match="no world 'drop'"):
        CHORDS.problem("test", 0, world="drop")
    with pytest.raises(ConfigError, match="unknown split"):
        CHORDS.problem("tests", 0)


@pytest.mark.parametrize("world", ALL_WORLDS)
def test_controls_name_a_note(world: str) -> None:
    for index in range(200):
        control = CHORDS.control("test", index, world=world)
        assert CHORDS.solve(control) in (control.answer, *control.meta["accept"])
        for name in (control.answer, *control.meta["accept"]):
            assert grade(control, Completion(key="k", text=f"It goes up.\n#### {name}")).right
            assert grade(control, Completion(key="k", text=f"It goes up.#{name}")).right
        for step in (1, 11):
            near = names_of(pitch_of(control.answer) + step)[0]
            assert not grade(control, Completion(key="k", text=f"#### {near}")).right


def test_gold_is_accepted_and_neighbours_are_refused() -> None:
    for problem in POOL[:60]:
        frets = problem.answer.split()
        assert grade(problem, Completion(key="k", text=f"#### {', '.join(frets)}")).right
        assert grade(problem, Completion(key="k", text=f"#### [{' '.join(frets)}]")).right
        for at, fret in enumerate(frets):
            near = [*frets[:at], str(int(fret) + 1), *frets[at + 1 :]]
            assert not grade(problem, Completion(key="k", text=f"#### {' '.join(near)}")).right
