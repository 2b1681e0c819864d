"""Pitch classes, note names, scales and chords as the music worlds need them.

A pitch class is a number of semitones above C, 0 to 11. Left out: octaves, minor scales, double sharps.
"""

SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)

# semitones above the root; none leaves a gap of more than five, so some fret of 0..4 sounds a note on every string
CHORD_STEPS = {
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "dominant seventh": (0, 4, 7, 10),
    "major seventh": (0, 4, 7, 11),
    "minor seventh": (0, 3, 7, 10),
    "major sixth": (0, 4, 7, 9),
    "minor sixth": (0, 3, 7, 9),
    "suspended second": (0, 2, 7),
    "suspended fourth": (0, 5, 7),
    "augmented": (0, 4, 8),
}
ROOTS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def pitch_of(name: str) -> int:
    """Return the pitch class of a note as "C", "F#" or "Bb"; "Cb" and "E#" are read too."""
    return ("C D EF G A B".index(name[0]) + name.count("#") - name.count("b")) % 12


def names_of(pitch: int) -> tuple[str, ...]:
    """Return the usual names of a pitch class: one for a white key, sharp and flat for a black one."""
    return tuple(dict.fromkeys((SHARPS[pitch % 12], FLATS[pitch % 12])))


def major_scale(tonic: str) -> tuple[str, ...]:
    """Spell the major scale of `tonic` with each letter once, as its key signature does."""
    first = "CDEFGAB".index(tonic[0])
    letters = ["CDEFGAB"[(first + step) % 7] for step in range(7)]
    return tuple(_spelled(letter, pitch_of(tonic) + step) for letter, step in zip(letters, MAJOR_SCALE, strict=True))


def _spelled(letter: str, pitch: int) -> str:
    away = (pitch - pitch_of(letter) + 6) % 12 - 6
    return letter + ("#" * away if away > 0 else "b" * -away)
