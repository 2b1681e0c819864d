"""Grader "word": one label out of a closed list, such as True, False or Uncertain.

Labels are the problem's choices or `meta["labels"]`; `meta["synonyms"]` maps other words to labels and nothing else
counts. A marked answer decides alone; without a mark the last line that names a label does. Where a statement names two
labels, a negated one ("not True", "rather than False") is left out, and a label that opens the statement and is not
followed by "or" wins. Of two labels in all, denying one states the other ("not legal"). What is then still undecided
is unparsed, never guessed. Without a mark, a label that opens the text as a statement of its own ("Yes, it is ...")
decides unless a later line concludes otherwise, and of several labels in the last line the one it ends on with "is"
does. Notes keep their sharps ("F#" ends in no mark), and labels of one letter are read in upper case only.
Left out: what no list says ("probably", "it depends").
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from menon.core.errors import DataError
from menon.core.values import Problem
from menon.grading.protocol import Parsed
from menon.grading.stated import normal, stated

LONGEST_LINE = 400
MOST_LINES = 50

_NEGATION = re.compile(r"(?:\b(?:not|neither|nor|never|cannot be|isn't|rather than|instead of)\s+(?:be\s+|a\s+)?)$")
_OR_NOT = re.compile(r",?\s+or\s+not\b")
_ACCIDENTALS = str.maketrans({"\u266f": "#", "\u266d": "b", "\ufe0f": None})
_KEY = r"(?:major|minor|maj|min)\b"
_EXPLANATION = re.compile(r"\n\s{0,9}[*_#]{0,4}\s?(?:Explanation|Justification|Note)\b[*_]{0,2}\s?:", re.IGNORECASE)
_NOTE = re.compile(r"[A-Ga-g][#b]?|[A-Za-z]")
_CONCLUDED = re.compile(r"(?:\b(?:is|be|was)(?: the note)?|[:=])[\s*_`\"'(]*$", re.IGNORECASE)
_OPEN = re.compile(r"\b(?:or|if|whether|either)\b", re.IGNORECASE)
_CONCLUSION = re.compile(r"\b(?:therefore|thus|hence|so,? (?:the|it)|conclu\w+|overall|final\w*)\b", re.IGNORECASE)
_STATEMENT_END = re.compile(r"[\s*_`\"')]*(?:[.,:;!\u2014]|\n|$|- )")
_DETERMINER = re.compile(r"no\s+[a-z]", re.IGNORECASE)  # "no" before a noun says nothing of the question
_LETTER = re.compile(r"\(?([A-Za-z])\)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class WordGrader:
    """Compare labels, case aside."""

    name: str = "word"

    def parse(self, problem: Problem, text: str) -> Parsed:
        labels = _labels(problem)
        sharps = any("#" in label for label in labels)
        musical = any(len(label) == 2 and _NOTE.fullmatch(label) for label in labels)
        text = normal(_spelled(text) if musical else text)
        found = stated(text, sharps=sharps)
        if found is not None:
            answer = _decided(found.line, labels, problem)
            note = found.mark if answer else f"{found.mark}: no label, or more than one"
            return Parsed(answer=answer, rationale=text[: found.start].strip(), note=note)
        if problem.choices and _LETTER.fullmatch(text.strip().rstrip(".")):
            return Parsed(answer=_decided(text.strip(), labels, problem), note="a letter alone")
        if (opening := _opening(text, labels, problem)) is not None:
            return Parsed(answer=opening, note="the label that opens the text")
        for line, start in _last_lines(_before_explanation(text, labels)):
            if any(not _DETERMINER.match(line, match.start()) for match in _pattern(tuple(labels)).finditer(line)):
                answer = _decided(line, labels, problem)
                note = "last line with a label" if answer else "the last line with a label names several"
                return Parsed(answer=answer, rationale=text[:start].strip(), note=note)
        return Parsed(answer=None, rationale=text.strip(), note="no label named")

    def accepts(self, problem: Problem, answer: str) -> bool:
        gold = _labels(problem).get(problem.answer.casefold())
        if gold is None:
            raise DataError(
                f"problem {problem.id} has answer {problem.answer!r}; allowed: one of {sorted(set(_labels(problem)))}"
            )
        return answer == gold


def _labels(problem: Problem) -> dict[str, str]:
    """Return what may be said, in lower case, and the label that it stands for.

    Raises:
        DataError: the problem lists no labels.
    """
    labels = [*problem.choices] or [str(label) for label in problem.meta.get("labels", ())]
    if not labels:
        raise DataError(f"problem {problem.id} lists no labels; grader 'word' needs choices or meta['labels']")
    synonyms = problem.meta.get("synonyms", {})
    return {label.casefold(): label for label in labels} | {word.casefold(): label for word, label in synonyms.items()}


@lru_cache(maxsize=256)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    ordered = sorted(words, key=len, reverse=True)
    notes = [re.escape(word[:1].upper() + word[1:]) for word in ordered if _NOTE.fullmatch(word)]
    others = [re.escape(word) for word in ordered if not _NOTE.fullmatch(word)]
    kinds = [f"(?i:{'|'.join(others)})"] if others else []
    kinds = [rf"(?:{kind})(?![^\W_]|#)" for kind in kinds]
    kinds += [rf"(?!A [a-z]{{3}}(?<!and))(?:{'|'.join(notes)})(?![^\W_0-9]|#|[0-9][^\W_]|[\s-]{_KEY})"] if notes else []
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(kinds)})")


def _decided(line: str, labels: dict[str, str], problem: Problem) -> str | None:
    """Return the one label that a statement commits itself to; None where there is no such."""
    line = line[:LONGEST_LINE].strip().strip("*_`\"' ")
    if (whole := line.rstrip(".").strip("*_`\"' ").casefold()) in labels:
        return labels[whole]
    letter = _LETTER.fullmatch(line.rstrip("."))
    if letter and problem.choices and line.rstrip(".").casefold() not in labels:
        place = ord(letter[1].upper()) - ord("A")
        return problem.choices[place] if place < len(problem.choices) else None
    found = [
        (match, labels[match.group().casefold()])
        for match in _pattern(tuple(labels)).finditer(line)
        if match.group().casefold() in labels
    ]
    meant = [(match, label) for match, label in found if not _NEGATION.search(line[: match.start()].lower())]
    if any(_OR_NOT.match(line[match.end() :].lower()) for match, _ in meant):
        return None
    if len({label for _, label in meant}) == 1:
        return meant[0][1]
    denied, both = {label for _, label in found}, set(labels.values())
    if not meant and len(denied) == 1 and len(both) == 2:
        return (both - denied).pop()
    if meant and _is_last_word(meant[-1][0], line):
        return meant[-1][1]
    if meant and meant[0][0].start() == 0 and not re.match(r"\W*(?:or|and)\b|\s*/", line[meant[0][0].end() :].lower()):
        return meant[0][1]
    return None


def _spelled(text: str) -> str:
    """Write accidentals as `#` and `b`."""
    text = text.translate(_ACCIDENTALS)
    return re.sub(r"\b([A-G])[ -]sharp\b", r"\1#", re.sub(r"\b([A-G])[ -]flat\b", r"\1b", text))


def _before_explanation(text: str, labels: dict[str, str]) -> str:
    """Return a text up to a paragraph headed "Explanation:", where a label is named before it."""
    head = _EXPLANATION.split(text, maxsplit=1)[0]
    return head if _pattern(tuple(labels)).search(head) else text


def _is_last_word(match: re.Match[str], line: str) -> bool:
    """Tell whether a line that names several labels ends by saying that something is this one."""
    head = line[: match.start()]
    ends = not line[match.end() :].strip(" .!*_`\"')")
    return ends and _CONCLUDED.search(head) is not None and _OPEN.search(head) is None


def _opening(text: str, labels: dict[str, str], problem: Problem) -> str | None:
    """Return the label that a text of several sentences opens with, unless a later line concludes with another one."""
    body = text.strip().lstrip("*_`\"' ")
    found = _pattern(tuple(labels)).match(body)
    if found is None or not _STATEMENT_END.match(body, found.end()):
        return None
    label = labels[found.group().casefold()]
    first, _, later = body.partition("\n")
    if not later.strip() and "." not in first[found.end() :].rstrip("."):
        return None
    for line, _ in _last_lines(later):
        if _CONCLUSION.search(line) and _decided(line, labels, problem) not in (None, label):
            return None
    return label


def _last_lines(text: str) -> list[tuple[str, int]]:
    """Return the last lines with the place where each begins, the last one first."""
    lines, end = [], len(text)
    for _ in range(MOST_LINES):
        start = text.rfind("\n", 0, end) + 1
        lines.append((text[max(start, end - LONGEST_LINE) : end], start))
        if start == 0:
            break
        end = start - 1
    return lines
