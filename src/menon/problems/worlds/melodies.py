"""Melodies by scale steps: which note is the last one, in C major and in keys with accidentals.

The melody is told as steps along the scale, so the work is the same in every key; only the scale differs.
Source: Wu et al. 2023, arXiv:2307.02477, section 3.5; there the melodies are of known songs, which mixes in recall of
the song, here they are generated. Left out: rhythm, octaves, minor keys.
"""

import re
from dataclasses import dataclass
from random import Random

from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split
from menon.problems.worlds.music import major_scale, names_of, pitch_of
from menon.problems.worlds.selection import known_difficulty, known_world

KEYS = {
    "default": ("C",),
    "near-keys": ("G", "F", "D", "Bb"),  # one or two accidentals
    "far-keys": ("A", "Eb", "E", "Ab", "B", "Db", "F#"),  # three to six
}
LARGEST_STEP = 5
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Melodies:
    """The last note of a melody of `difficulty` moves along a major scale."""

    name: str = "melodies"
    description: str = "the last note of a melody in C major; counterfactual: in other major keys"
    default: str = "c-major"
    worlds: tuple[str, ...] = ("near-keys", "far-keys")
    difficulties: tuple[int, ...] = (3, 5, 7)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index`; without `difficulty` it is 3, 5 or 7 moves, 2 to 12 are allowed."""
        world = known_world(self.name, world, self.default, self.worlds)
        size = known_difficulty(
            self.name, difficulty, self.difficulties, range(2, 13), rng_for(self.name, split, index)
        )
        start, *moves = draw_in_split(
            split, lambda rng: _melody(rng, size), lambda melody: (self.name, *melody), self.name, index, size
        )
        key = rng_for(self.name, split, index, world, "key").choice(KEYS[world])
        note = major_scale(key)[(start + sum(moves)) % 7]
        told = ", ".join(f"{'up' if move > 0 else 'down'} {abs(move)}" for move in moves)
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            difficulty=size,
            template=f"melodies/{size}",
            question=(
                f"A melody moves along the notes of the {key} major scale. One step goes to the next note of the "
                "scale; above the seventh note comes the first again, and below the first the seventh. The melody "
                f"starts on the {_ORDINALS[start]} note of the scale and then goes, in steps: {told}.\n"
                "Which note does it end on? Answer with the name of the note."
            ),
            answer=note,
            grader="tokens",
            meta={
                "item": f"{_ORDINALS[start]}: {told}",
                "key": key,
                "chance": 1 / 7,
                "accept": [name for name in names_of(pitch_of(note)) if name != note],
            },
        )

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Ask for the scale itself, from one of its notes upwards."""
        world = known_world(self.name, world, self.default, self.worlds)
        rng = rng_for(self.name, "control", split, index, world)
        key, first = rng.choice(KEYS[world]), rng.randrange(7)
        notes = [major_scale(key)[(first + step) % 7] for step in range(7)]
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            template="melodies/control",
            question=(
                f"Write the seven notes of the {key} major scale, upwards, beginning with its {_ORDINALS[first]} note. "
                "Answer with the seven names, separated by blanks."
            ),
            answer=" ".join(notes),
            grader="tokens",
            meta={
                "item": f"scale from its {_ORDINALS[first]} note",
                "key": key,
                "accept": _respelled(notes),
                "control": True,
            },
        )

    def solve(self, problem: Problem) -> str:
        """Climb the scale of the question note by note, spelling it from the key's place in the circle of fifths."""
        key = re.search(r"the ([A-G][#b]?) major scale", problem.question)
        start = re.search(r"(?:on the|with its) (\w+) note", problem.question)
        assert key is not None
        assert start is not None
        scale = _by_signature(key.group(1))
        here = _ORDINALS.index(start.group(1))
        if "Write the seven notes" in problem.question:
            return " ".join(scale[here:] + scale[:here])
        for way, size in re.findall(r"(up|down) (\d)", problem.question):
            for _ in range(int(size)):
                here = (here + 1 if here < 6 else 0) if way == "up" else (here - 1 if here > 0 else 6)
        return scale[here]


def _melody(rng: Random, moves: int) -> tuple[int, ...]:
    """Draw the first degree, from 0, and steps that are not all one way round to the same note."""
    sizes = [step for step in range(-LARGEST_STEP, LARGEST_STEP + 1) if step]
    return rng.randrange(7), *(rng.choice(sizes) for _ in range(moves))


def _respelled(notes: list[str]) -> list[str]:
    """Return the notes in sharps only and in flats only, where that is another spelling."""
    spellings = {" ".join(names_of(pitch_of(note))[which] for note in notes) for which in (0, -1)}
    return sorted(spellings - {" ".join(notes)})


def _by_signature(key: str) -> list[str]:
    """Raise or lower the letters in the order in which sharps and flats enter a key signature."""
    count = ["Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#"].index(key) - 7
    changed = "FCGDAEB"[:count] if count > 0 else "BEADGCF"[: max(-count, 0)]
    first = "CDEFGAB".index(key[0])
    letters = ["CDEFGAB"[(first + step) % 7] for step in range(7)]
    return [letter + (("#" if count > 0 else "b") if letter in changed else "") for letter in letters]


MELODIES = Melodies()
