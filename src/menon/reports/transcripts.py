"""Transcripts for reading: what a model wrote for a problem before and after teaching, in steps side by side."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from menon.reports.reading import rows

OUTCOMES = {
    (False, True): "gained",
    (True, False): "lost",
    (True, True): "kept right",
    (False, False): "still not right",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One model's answer in a transcript, cut into steps for reading; joined, the steps are the text.

    `differs` is the index of the first step that the other side does not share, -1 where there is none.
    """

    phase: str
    verdict: str
    sound: bool | None
    steps: list[str]
    differs: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One problem with the model's working before and after teaching; `difficulty` is empty where it has none."""

    id: str
    family: str
    difficulty: str
    question: str
    answer: str
    outcome: str
    sides: list[Side]


def transcripts(report: Mapping[str, Any]) -> list[Transcript]:
    """Return the stored transcripts; `outcome` says how before and after compare, empty when one side is missing."""
    found = []
    for row in rows(report, "transcripts"):
        sides = _marked([_side(p, row[p]) for p in ("before", "after") if isinstance(row.get(p), Mapping)])
        right = tuple(side.verdict == "right" for side in sides)
        found.append(
            Transcript(
                id=str(row.get("id") or ""),
                family=str(row.get("family") or ""),
                difficulty=str(row.get("difficulty") or ""),
                question=str(row.get("question") or ""),
                answer=str(row.get("answer") or ""),
                outcome=OUTCOMES[right[0], right[1]] if len(right) == 2 else "",
                sides=sides,
            )
        )
    return found


def _side(phase: str, side: Mapping[str, Any]) -> Side:
    sound = side.get("sound")
    return Side(
        phase=phase,
        verdict=str(side.get("verdict") or "error"),
        sound=sound if isinstance(sound, bool) else None,
        steps=steps_of(str(side.get("text") or "")),
    )


def _marked(sides: list[Side]) -> list[Side]:
    """Point both sides at the first step in which they differ."""
    if len(sides) < 2:
        return sides
    pairs = enumerate(zip_longest(*(side.steps for side in sides)))
    first = next((i for i, (one, other) in pairs if one != other), -1)
    return [replace(side, differs=first) for side in sides]


def steps_of(text: str) -> list[str]:
    """Cut a rationale after each `;` and line feed, so that two of them can be compared line by line."""
    steps, start = [], 0
    for i, char in enumerate(text):
        if char in ";\n":
            steps.append(text[start : i + 1])
            start = i + 1
    return [*steps, text[start:]] if start < len(text) else steps
