"""Grader "choice": the letter of a multiple-choice answer, with the text of a choice as a last resort.

Read in this order: "answer is (b)" / "answer: B" / "#### B" (also "answer is blotter (e)."), a completion that is only
a letter, the last `(b)`, a last line beginning "B." or "B)", and, noted as such, the one choice whose text stands after
"answer is" or else in the last sentence. Letters beyond the choices are no answer. `choice?rule=star` is the rule of
the STaR code instead: the third character from the end of the first line, as in "... is blotter (e)."

Source: Zelikman et al. 2022, arXiv:2203.14465, and its published code.
"""

import re
from dataclasses import dataclass

from menon.core.errors import ConfigError, DataError
from menon.core.values import Problem
from menon.grading.extract import readable
from menon.grading.protocol import Parsed

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
UNKNOWN_CHOICES = 10  # letters accepted when the problem does not list its choices

_STATEMENT = re.compile(r"\b(?:answer|choice|option)(?: is|s?:| =)|####", re.IGNORECASE)
_BRACKETED = re.compile(r"[(\[]([A-Za-z])[)\]]")
_BOXED = re.compile(r"\\boxed ?\{\s{0,8}(?:\\text ?\{)?\(?([A-Za-z])\)?\}")
_BARE = re.compile(r"[\s*:(\[\"']{0,8}([A-Za-z])(?:[)\].,:;!*\"']|\s{0,20}$|\s{1,20}(?:because|since|as)\b)")
_LABEL = re.compile(r"[*\s]{0,8}([A-Za-z])[).:](?:\s|$)")
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceGrader:
    """Compare choice letters; `rule`: "chain" (default) or "star"."""

    rule: str = "chain"
    name: str = "choice"

    def __post_init__(self):
        if self.rule not in ("chain", "star"):
            raise ConfigError(f"unknown rule {self.rule!r} of grader 'choice'; allowed: chain, star")

    def parse(self, problem: Problem, text: str) -> Parsed:
        text = readable(text)
        letters = LETTERS[: len(problem.choices) or UNKNOWN_CHOICES]
        found = _star(text) if self.rule == "star" else _chain(text, letters, problem.choices)
        if found is None:
            return Parsed(answer=None, rationale=text.strip(), note="no choice named")
        letter, start, note = found
        if letter not in letters:
            return Parsed(answer=None, rationale=text.strip(), note=f"{note}: {letter!r} is not among the choices")
        return Parsed(answer=letter, rationale=_sentence_before(text, start), note=note)

    def accepts(self, problem: Problem, answer: str) -> bool:
        return answer.strip("() .").upper() == gold_letter(problem)


def gold_letter(problem: Problem) -> str:
    """Return the letter of the right choice; the problem's answer may be a letter or the text of a choice.

    Raises:
        DataError: it is neither.
    """
    answer = problem.answer.strip("() .").upper()
    if len(answer) == 1 and answer in LETTERS[: len(problem.choices) or len(LETTERS)]:
        return answer
    matches = [at for at, choice in enumerate(problem.choices) if choice.strip() == problem.answer.strip()]
    if len(matches) != 1:
        raise DataError(
            f"problem {problem.id} has answer {problem.answer!r}; allowed: a letter or one of {problem.choices!r}"
        )
    return LETTERS[matches[0]]


def _star(text: str) -> tuple[str, int, str] | None:
    line = text.strip().split("\n", 1)[0].strip()
    letter = line[-3].upper() if len(line) >= 3 else ""
    return (letter, text.find(line) + len(line) - 4, "star") if letter.isalpha() and letter.isascii() else None


def _chain(text: str, letters: str, choices: tuple[str, ...]) -> tuple[str, int, str] | None:
    statement = _last(_STATEMENT, text)
    if statement is not None:
        sentence = re.split(r"\n|(?<=[.!?])\s", text[statement.end() : statement.end() + 400], maxsplit=1)[0]
        bare = _BARE.match(sentence)
        named = bare or _last(_BRACKETED, sentence)
        if named is not None:
            return named.group(1).upper(), statement.start(), "answer_is"
    if (boxed := _last(_BOXED, text)) is not None:
        return boxed.group(1).upper(), boxed.start(), "boxed"
    if (alone := _BARE.match(text.strip())) is not None and len(text.strip(" \n*()[].:,\"'")) == 1:
        return alone.group(1).upper(), 0, "letter"
    if (bracketed := _last(_BRACKETED, text)) is not None:
        return bracketed.group(1).upper(), bracketed.start(), "bracketed"
    last_line_at = text.rstrip().rfind("\n") + 1
    if (label := _LABEL.match(text, last_line_at)) is not None and label.group(1).upper() in letters:
        return label.group(1).upper(), last_line_at, "label"
    return _by_text(text, statement.end() if statement is not None else None, choices)


def _by_text(text: str, after: int | None, choices: tuple[str, ...]) -> tuple[str, int, str] | None:
    """Find the one choice whose words stand in the answer statement, else in the last sentence."""
    start = after if after is not None else _last_sentence(text)
    words = _words(text[start:])
    named = [at for at, choice in enumerate(choices) if _words(choice) and f" {_words(choice)} " in f" {words} "]
    longest = [at for at in named if not any(at != o and _words(choices[at]) in _words(choices[o]) for o in named)]
    return (LETTERS[longest[0]], start, "text of the choice") if len(longest) == 1 else None


def _last_sentence(text: str) -> int:
    body = text.rstrip(" \n.!?")
    return max(body.rfind(". "), body.rfind("\n"), body.rfind("? "), body.rfind("! ")) + 1


def _sentence_before(text: str, start: int) -> str:
    """Return the text before the sentence that begins around `start`."""
    head = text[:start]
    cut = max(head.rfind(". ") + 1, head.rfind("\n") + 1, head.rfind("? ") + 1, head.rfind("! ") + 1)
    return head[:cut].strip()


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for last in pattern.finditer(text):  # noqa: B007  the last match is wanted
        pass
    return last


def _words(text: str) -> str:
    return " ".join(_WORDS.findall(text.lower()))
