r"""Successive solutions in what a model thought and wrote: spans that each end with an answer statement.

A statement is `#### X`, `\boxed{X}`, "answer is X", the embedded model's `#X`, or, where a stretch before a restart
("wait", "alternatively", "let me double-check") has none of these, its last sentence "so/therefore ... N". It counts
only where the problem's grader can read an answer in it. The same answer again without new work is the same solution.
Left out: what follows the last statement is no solution of its own; it belongs to the last one.
Source: Chen et al. 2024, arXiv:2412.21187. There large models segment the text and cluster solutions by strategy; here
rules segment it, and a strategy is the set of equations written: a solution is new when it has one not written before.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from menon.core.values import Completion, Problem
from menon.grading.numbers import plain
from menon.grading.protocol import CheckFailed, CheckTimeout, Grader
from menon.grading.steps import equation_list
from menon.grading.verdicts import open_grader, split_thinking

LONGEST_STATEMENT = 200
MOST_SOLUTIONS = 2000
MOST_CUES = 20  # sentences "so ..." looked at from the end of a stretch
MOST_UNREADABLE = 300  # statements without a readable answer after which a text is read no further: it is runaway text
OTHER_MARKS = ("number", "choice", "math")  # graders that do not read the embedded model's `#X`

_TAG = re.compile(r"</?think(?:ing)?>")
_HASHES = re.compile(r"#{4,}[ \t]{0,8}\n?")
_HEADING = re.compile(r"\W{0,8}(?:step|part|case|solution|method|approach|verif|check|final answer\W{0,8}$)", re.I)
_SAID = re.compile(r"\banswer(?: is|s?:| =)[\s:=*]{0,8}(?=[^\s:=*])", re.I)
_DENIED = re.compile(r"(?:not|wrong|incorrect|no longer|unclear|off)\b", re.I)
_MARK = re.compile(r"(?<![#\s])#(?=[^\s#])|^#(?=[^\s#])", re.M)
_MARK_END = re.compile(r"[\s;<]")
_SENTENCE_END = re.compile(r"\n|[.!?](?=\s|$)|[;,] (?=(?:but|wait|however)\b)")
_CLAUSE_END = re.compile(r"[.,]\s")
_RESTART = re.compile(
    r"(?:^|[.!?\n;,][\"')*]{0,3}\s{0,4})(?:(?:but|or|hmm|oh|ok|okay|no|so|and),? )?"
    r"(?:wait|hold on|alternatively|actually|hmm|on second thought|another (?:way|approach|method)|"
    r"(?:let me|let's|let us|i(?:'ll| will| should)|(?:just )?to) (?:quickly |just )?"
    r"(?:double.?check|check|verify|re.?check|redo|re.?do|try again|reconsider|recompute|recalculate|re.?examine|"
    r"think again|be sure|make sure))\b",
    re.I,
)
_CONCLUSION = re.compile(r"(?:^|[.!?\n,;])\s{0,4}\**(?:so|therefore|thus|hence|in total|altogether)\b", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The text at [start, end): the answer is stated at [stated, stop), which `end` exceeds in the last one only.

    `method` is the set of equations written in it, `new` whether it is the first or has one not written before;
    `right` says whether the problem's grader accepts the answer.
    """

    start: int
    stated: int
    stop: int
    end: int
    answer: str
    method: frozenset[str]
    new: bool
    right: bool


def thought_and_written(completion: Completion) -> str:
    """Return reasoning and visible text as one text; `<think>` tags are blanked out."""
    if completion.reasoning:
        thought, visible, _ = split_thinking(completion.text)
        parts = (completion.reasoning, thought if thought != completion.reasoning.strip() else None, visible)
        return _TAG.sub("\n", "\n".join(part for part in parts if part))
    return _TAG.sub("\n", completion.text)


def solutions_in(problem: Problem, text: str, *, final: str | None = None) -> list[Solution]:
    """Return the solutions of `text` in order; they cover it without gaps.

    `final` is the graded answer: where the last statement says something else (or there is none), the rest of the text
    is a solution with that answer, so that an answer read by a fall-back counts too.

    Raises:
        ConfigError: an unknown grader. DataError: the problem's answer is not of its grader's kind.
    """
    grader = open_grader(problem.grader)
    text = plain(text)
    stated = _merged(text, _statements(problem, grader, text))
    if final is not None and text.strip() and (not stated or stated[-1][2] != final):
        stated.append((len(text), len(text), final))
    return _spans(problem, grader, text, stated)


def _spans(problem: Problem, grader: Grader, text: str, stated: Sequence[tuple[int, int, str]]) -> list[Solution]:
    found: list[Solution] = []
    seen: set[str] = set()
    verdicts: dict[str, bool] = {}
    start = 0
    for at, stop, answer in stated:
        if answer not in verdicts:
            verdicts[answer] = _accepted(grader, problem, answer)
        method = _method(text[start:stop])
        found.append(
            Solution(
                start=start,
                stated=at,
                stop=stop,
                end=stop,
                answer=answer,
                method=method,
                new=not found or not method <= seen,
                right=verdicts[answer],
            )
        )
        seen |= method
        start = stop
    if found:
        found[-1] = replace(found[-1], end=len(text))
    return found


def _method(text: str) -> frozenset[str]:
    """Return the equations of `text`; "2*3=6, 6+1=7" and "2*3=6. 6+1=7" are two each."""
    return frozenset(equation_list(_CLAUSE_END.sub("; ", text)))


def _accepted(grader: Grader, problem: Problem, answer: str) -> bool:
    try:
        return grader.accepts(problem, answer)
    except (CheckTimeout, CheckFailed):
        return False


def _statements(problem: Problem, grader: Grader, text: str) -> list[tuple[int, int, str]]:
    """Return (start, stop, answer) of every answer statement in order; explicit ones, else conclusions."""
    explicit: list[tuple[int, int, str]] = []
    unreadable = 0
    for start, stop in sorted(_explicit(text, single_mark=grader.name not in OTHER_MARKS)):
        if explicit and start < explicit[-1][1]:
            continue
        answer = grader.parse(problem, text[start:stop]).answer
        if answer is not None:
            explicit.append((start, stop, answer))
        else:
            unreadable += 1
        if len(explicit) == MOST_SOLUTIONS or unreadable == MOST_UNREADABLE:
            break
    starts = [start for start, _, _ in explicit]
    restarts = [(restart.start(), restart.end()) for restart in _RESTART.finditer(text)]
    concluded: list[tuple[int, int, str]] = []
    for (_, begin), (end, _) in pairwise([(0, 0), *restarts]):
        if bisect_left(starts, begin) < bisect_left(starts, end) or len(concluded) == MOST_SOLUTIONS:
            continue
        if (statement := _conclusion(problem, grader, text, begin, end)) is not None:
            concluded.append(statement)
    return sorted(explicit + concluded)[:MOST_SOLUTIONS]


def _explicit(text: str, *, single_mark: bool) -> Iterator[tuple[int, int]]:
    """Yield the character spans that look like explicit answer statements, unordered."""
    for mark in _HASHES.finditer(text):
        stop = _line_end(text, mark.end())
        if not _HEADING.match(text[mark.end() : stop]):
            yield mark.start(), stop
    at = text.find("\\boxed")
    while at >= 0:
        yield at, _box_end(text, at + len("\\boxed"))
        at = text.find("\\boxed", at + 1)
    for begin, after, stop in _marked(text, _SAID, _SENTENCE_END):
        if not _DENIED.match(text, after):
            yield begin, stop
    if single_mark:
        for begin, _, stop in _marked(text, _MARK, _MARK_END):
            yield begin, stop


def _marked(text: str, mark: re.Pattern[str], end: re.Pattern[str]) -> Iterator[tuple[int, int, int]]:
    """Yield where each mark begins, where what it marks begins, and where that ends; marks inside are passed over."""
    stop = 0
    while found := mark.search(text, stop):
        limit = min(len(text), found.end() + LONGEST_STATEMENT)
        ends = end.search(text, found.end(), limit)
        stop = ends.start() if ends else limit
        yield found.start(), found.end(), stop


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start, start + LONGEST_STATEMENT)
    return end if end >= 0 else min(len(text), start + LONGEST_STATEMENT)


def _box_end(text: str, start: int) -> int:
    """Return where the brace group at `start` closes, or where the line ends when it does not."""
    depth, limit = 0, min(len(text), start + LONGEST_STATEMENT)
    for at in range(start, limit):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0 and text[at] == "}":
            return at + 1
    return _line_end(text, start)


def _conclusion(problem: Problem, grader: Grader, text: str, begin: int, end: int) -> tuple[int, int, str] | None:
    """Return the last sentence "so ... N" before a restart as a statement, or None where a number follows it."""
    for cue in reversed([*_CONCLUSION.finditer(text, begin, end)][-MOST_CUES:]):
        limit = min(end, cue.end() + LONGEST_STATEMENT)
        ends = _SENTENCE_END.search(text, cue.end(), limit)
        stop = ends.start() if ends else limit
        sentence = text[cue.start() : stop].lstrip(".!?,; \n")
        if any(char.isdigit() for char in text[stop:end]):
            return None
        if any(char.isdigit() for char in sentence):
            answer = grader.parse(problem, sentence).answer
            return None if answer is None else (cue.start(), stop, answer)
    return None


def _merged(text: str, stated: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Join a statement to the one before where it says the same and nothing was worked out or restarted between."""
    kept: list[tuple[int, int, str]] = []
    for start, stop, answer in stated:
        if kept and kept[-1][2] == answer:
            between = text[kept[-1][1] : start]
            if _RESTART.search(between) is None and not _method(between):
                kept[-1] = (kept[-1][0], stop, answer)
                continue
        kept.append((start, stop, answer))
    return kept
