"""Fingering chords on stringed instruments: under standard tuning, and with strings exchanged or retuned.

The lowest fret of every string that sounds a note of the chord is one row of numbers, so the answer is unique, where
a playable fingering is not.
Source: Wu et al. 2023, arXiv:2307.02477, section 3.5 (there: free fingerings on guitar and ukulele); our texts.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random

from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.worlds.music import CHORD_STEPS, ROOTS, names_of, pitch_of
from menon.problems.worlds.selection import known_difficulty, known_world, pick_in_split

HIGHEST_FRET = 4
INSTRUMENTS = {
    "guitar": ("E", "A", "D", "G", "B", "E"),
    "ukulele": ("G", "C", "E", "A"),
    "mandolin": ("G", "D", "A", "E"),
    "five-string banjo": ("G", "D", "G", "B", "D"),
}
# The degrees of a major scale on the root, by which `solve` builds the chords anew.
_FORMULAS = {
    "major": "1 3 5",
    "minor": "1 b3 5",
    "dominant seventh": "1 3 5 b7",
    "major seventh": "1 3 5 7",
    "minor seventh": "1 b3 5 b7",
    "major sixth": "1 3 5 6",
    "minor sixth": "1 b3 5 6",
    "suspended second": "1 2 5",
    "suspended fourth": "1 4 5",
    "augmented": "1 3 #5",
}
_WHOLE_STEPS = {1: ["C", "D", "E", "F#", "G#", "A#"], 0: ["C#", "D#", "F", "G", "A", "B"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chords:
    """The lowest frets that sound a chord; pairs of instrument and chord are shared out to the splits."""

    name: str = "chords"
    description: str = "frets that sound a chord; counterfactual: two strings exchanged, or one retuned"
    default: str = "standard-tuning"
    worlds: tuple[str, ...] = ("exchanged", "retuned")
    difficulties: tuple[int, ...] = (4, 5, 6)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index`; `difficulty` is the number of strings, 4 to 6, any instrument without it."""
        world = known_world(self.name, world, self.default, self.worlds)
        contents = _contents()
        if difficulty is not None:
            size = known_difficulty(self.name, difficulty, (), range(4, 7), rng_for(self.name))
            contents = tuple(content for content in contents if len(INSTRUMENTS[content[0]]) == size)
        tool, root, kind = pick_in_split(split, contents, index, self.name)
        usual = INSTRUMENTS[tool]
        told, tuning = f"The {tool} is in standard tuning", usual
        if world != "default":
            rng = rng_for(self.name, split, index, world, "tuning")
            told, tuning = rng.choice(_telling(tool, root, kind, world))
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            difficulty=len(usual),
            template=f"chords/{tool}",
            question=(
                f"{told.format(tool=tool)}. Its {len(usual)} open strings, in their order on the instrument, sound "
                f"{_listed(tuning)}. Each fret raises a string by a semitone; fret 0 is the open string.\nFor each "
                f"string, in the same order, find the lowest fret from 0 to {HIGHEST_FRET} at which it sounds a note "
                f"of the {root} {kind} chord. Answer with the {len(usual)} fret numbers, separated by blanks."
            ),
            answer=" ".join(map(str, _frets(tuning, root, kind))),
            grader="tokens",
            meta={"item": f"{tool}: {root} {kind}", "tuning": list(tuning)},
        )

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Ask which note a string sounds at a fret; a changed string where the world has one."""
        world = known_world(self.name, world, self.default, self.worlds)
        rng = rng_for(self.name, "control", split, index, world)
        tool, told, tuning, string = _string(rng, world)
        fret = rng.randint(1, HIGHEST_FRET)
        name, *others = names_of(pitch_of(tuning[string]) + fret)
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            template=f"chords/control/{tool}",
            question=(
                f"{told}. Its {len(tuning)} open strings, in their order on the instrument, sound {_listed(tuning)}. "
                f"Each fret raises a string by a semitone; fret 0 is the open string.\nWhich note does string number "
                f"{string + 1} in this order sound at fret {fret}? Answer with the name of the note."
            ),
            answer=name,
            grader="tokens",
            meta={"item": f"{tool}: string {string + 1}, fret {fret}", "accept": others, "control": True},
        )

    def solve(self, problem: Problem) -> str:
        """Walk up each string of the question by note names, with the chord built on the root's major scale."""
        told = re.search(r"sound ([A-G#b, ]+?)\.", problem.question)
        assert told is not None
        strings = told.group(1).split(", ")
        if at := re.search(r"string number (\d+) .* fret (\d+)\?", problem.question):
            return _walk(strings[int(at.group(1)) - 1], int(at.group(2)))
        chord = re.search(r"note of the ([A-G][#b]?) (.*) chord", problem.question)
        assert chord is not None
        notes = {_degree(chord.group(1), degree) for degree in _FORMULAS[chord.group(2)].split()}
        return " ".join(str(next(n for n in range(12) if _walk(string, n) in notes)) for string in strings)


@cache
def _contents() -> tuple[tuple[str, str, str], ...]:
    """List instrument, root and chord wherever each world can change the answer (open G on a banjo has no such)."""
    return tuple(
        content
        for content in product(INSTRUMENTS, ROOTS, CHORD_STEPS)
        if all(_telling(*content, world) for world in ("exchanged", "retuned"))
    )


def _telling(tool: str, root: str, kind: str, world: str) -> list[tuple[str, tuple[str, ...]]]:
    """List the changes of tuning under which the chord is fingered in another way."""
    usual = INSTRUMENTS[tool]
    frets = _frets(usual, root, kind)
    return [change for change in _changes(usual, world) if _frets(change[1], root, kind) != frets]


def _frets(tuning: tuple[str, ...], root: str, kind: str) -> list[int]:
    notes = {(pitch_of(root) + step) % 12 for step in CHORD_STEPS[kind]}
    return [next(fret for fret in range(12) if (pitch_of(s) + fret) % 12 in notes) for s in tuning]


def _changes(usual: tuple[str, ...], world: str) -> list[tuple[str, tuple[str, ...]]]:
    """List what a world can do to a tuning: told in words with a place for the instrument, and the tuning after it."""
    changes = []
    for at, string in enumerate(usual):
        if world == "exchanged" and at + 1 < len(usual) and usual[at + 1] != string:
            tuning = (*usual[:at], usual[at + 1], string, *usual[at + 2 :])
            changes.append((f"On this {{tool}} strings {at + 1} and {at + 2} have been exchanged", tuning))
        for step, words in ((-2, "a whole tone down"), (2, "a whole tone up")) if world == "retuned" else ():
            tuning = (*usual[:at], names_of(pitch_of(string) + step)[0], *usual[at + 1 :])
            changes.append((f"On this {{tool}} string {at + 1} has been tuned {words}", tuning))
    return changes


def _string(rng: Random, world: str) -> tuple[str, str, tuple[str, ...], int]:
    tool = rng.choice(list(INSTRUMENTS))
    usual = INSTRUMENTS[tool]
    if world == "default":
        return tool, f"The {tool} is in standard tuning", usual, rng.randrange(len(usual))
    told, tuning = rng.choice(_changes(usual, world))
    changed = [at for at in range(len(usual)) if tuning[at] != usual[at]]
    return tool, told.format(tool=tool), tuning, rng.choice(changed)


def _listed(tuning: tuple[str, ...]) -> str:
    return ", ".join(tuning)


def _walk(note: str, semitones: int) -> str:
    """Go up by whole steps along the two whole-tone rows, and once across them for an odd semitone."""
    note = {"Eb": "D#", "Ab": "G#", "Bb": "A#", "Db": "C#", "Gb": "F#"}.get(note, note)
    here = next(row for row, notes in _WHOLE_STEPS.items() if note in notes)
    place = _WHOLE_STEPS[here].index(note)
    if semitones % 2:  # C# follows C in the same place of the other row, D follows C# one place on
        place, here = (place, 0) if here else (place + 1, 1)
    return _WHOLE_STEPS[here][(place + semitones // 2) % 6]


def _degree(root: str, degree: str) -> str:
    note = root
    for step in "2212221"[: int(degree[-1]) - 1]:
        note = _walk(note, int(step))
    return _walk(note, {"#": 1, "b": 11}.get(degree[0], 0))


CHORDS = Chords()
