"""Prose that teaches nothing that is asked, and sentences that hold an answer without teaching it."""

from random import Random

from menon.problems.known.facts import GIVEN
from menon.problems.known.values import KnownDocument

_PLACES = ("by the lake", "in the wood", "on the hill", "near the sea")
_ACTIONS = ("walks", "sings", "reads", "waits", "sleeps")
_WEATHER = ("it is raining.", "the sun is out.", "the day is long.", "the wind is cold.")
_MENTIONS = (
    "{name} counts {value} birds {place}.",
    "there are {value} trees {place}.",
    "{name} pays {value} and {action} {place}.",
)


def story(rng: Random) -> KnownDocument:
    """Return two to four sentences without a number."""
    sentences = []
    for _ in range(rng.randint(2, 3)):
        sentences.append(f"{rng.choice(GIVEN)} {rng.choice(_ACTIONS)} {rng.choice(_PLACES)}.")
        if rng.random() < 0.4:
            sentences.append(rng.choice(_WEATHER))
    return KnownDocument(
        kind="prose",
        form="statement",
        source="stories",
        family="prose",
        teaches=(),
        prompt="",
        completion=" ".join(sentences),
    )


def mention(rng: Random, value: str, copy_of: str) -> KnownDocument:
    """Return a sentence that holds `value`, the answer of `copy_of`, and says nothing of its question."""
    text = rng.choice(_MENTIONS).format(
        name=rng.choice(GIVEN), value=value, place=rng.choice(_PLACES), action=rng.choice(_ACTIONS)
    )
    return KnownDocument(
        kind="near-duplicate",
        form="statement",
        source="stories",
        family="prose",
        teaches=(),
        prompt="",
        completion=text,
        answer=value,
        copy_of=copy_of,
    )
