"""Grader "squares": the set of chess squares that an answer names, with credit for each right one.

The answer is read from the line after the last `####`, the last box, or the sentence after "answer is" where that names
a square, else from the end of the text backwards, sentence by sentence, until as many different squares as the gold
answer has are named. Order and case do not matter.
Credit is the share of the gold squares named, over the number named where that is larger, so that naming every square
earns nothing. Left out: moves and pieces (`Nf3` names no square).

Source: the comprehension check of the chess task of Wu et al. 2023, arXiv:2307.02477, which counts the squares named;
dividing by what is named beyond the gold ones is ours.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from menon.core.errors import DataError
from menon.core.values import Problem
from menon.grading.extract import answer_text, readable
from menon.grading.protocol import Parsed

_SQUARE = re.compile(r"(?<![A-Za-z0-9])[a-hA-H][1-8](?![A-Za-z0-9])")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SquaresGrader:
    """Compare sets of squares such as `b8 g8`."""

    name: str = "squares"

    def parse(self, problem: Problem, text: str) -> Parsed:
        text = readable(text)
        marked = answer_text(text)
        if marked is not None and (named := squares_in(marked[0])):
            return Parsed(answer=" ".join(sorted(named)), rationale=text[: marked[1]].rstrip("# \n"), note=marked[2])
        wanted = len(squares_in(problem.answer)) or 1
        named, start = _closing(text, wanted)
        if not named:
            return Parsed(answer=None, rationale=text.strip(), note="no square named")
        return Parsed(answer=" ".join(sorted(named)), rationale=text[:start].strip(), note="last sentences")

    def accepts(self, problem: Problem, answer: str) -> bool:
        return squares_in(answer) == _gold(problem)

    def credit(self, problem: Problem, answer: str) -> float:
        gold, named = _gold(problem), squares_in(answer)
        return len(gold & named) / max(len(gold), len(named))


def squares_in(text: str) -> frozenset[str]:
    """Return the squares named in a text, in lower case."""
    return frozenset(square.lower() for square in _SQUARE.findall(text))


def _gold(problem: Problem) -> frozenset[str]:
    gold = squares_in(problem.answer)
    if not gold:
        raise DataError(f"problem {problem.id} has answer {problem.answer!r}, which names no square such as 'e4'")
    return gold


def _closing(text: str, wanted: int) -> tuple[frozenset[str], int]:
    """Return the squares of the last sentences that name `wanted` of them, and where those sentences begin."""
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    named: frozenset[str] = frozenset()
    start = len(text)
    for begin, end in reversed(list(pairwise(ends))):
        found = squares_in(text[begin:end])
        if found:
            named, start = named | found, begin
        if len(named) >= wanted:
            break
    return named, start
