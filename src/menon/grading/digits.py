r"""Grader "digits": a whole number written in base 2 to 36, compared digit by digit.

Read in this order: the line after the last `####`; the last `\boxed{}` that holds a digit (what follows its last `=`,
without spacing commands, `\text{}`, a base subscript and spaces); the number directly after the last "answer is"; the
last number-like token. Base subscripts, exponents, "base 9" and asides in brackets are not answers, nor are boxes
around single digits of a number, as in a sum written column by column.
A digit that the base lacks makes an answer wrong; a letter of another alphabet makes it unparsed, whatever it looks
like. Full-width digits and letters read as plain ones.
Left out: fractions and negative numbers.

Source: the arithmetic task of Wu et al. 2023, arXiv:2307.02477; an empty or literal `\boxed{result}` never counts.
"""

import re
import unicodedata
from dataclasses import dataclass

from menon.core.errors import ConfigError, DataError
from menon.core.values import Problem
from menon.grading.extract import LONGEST_BOX, MOST_BOXES, readable
from menon.grading.protocol import Parsed

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST = 200  # digits; longer runs are runaway text
SHOWN = 40

_BASE_WORDS = r"\b(?:in |the )?base[-\s]?(?:[0-9]{1,2}\b|_?\{[0-9]{1,2}\})"
_BASE = re.compile(_BASE_WORDS, re.IGNORECASE)
_ASIDE = re.compile(r"(?<!\\)\([^()\n]{0,200}\)")
_MARKED_OFF = re.compile(r"(?:_|\^) ?(?:\{[^{}\n]{0,40}\}|\\text ?\{[^{}\n]{0,40}\}|[0-9]{1,3})")
_SPACING = re.compile(r"\\(?:[hv]?phantom ?\{[^{}]{0,80}\}|q?quad\b|[,;:! ])|[~$]")
_WRAPPER = re.compile(r"\\(?:text[a-z]{0,6}|math[a-z]{0,6}|mbox|underline|overline) ?\{([^{}]{0,200})\}")
_THOUSANDS = re.compile(
    r"(?:(?<![0-9A-Za-z,])[0-9]{1,2}|(?:(?<== )|(?<==)|(?<=is ))[0-9]{3})(?:\{?,\}?[0-9]{3})+(?!,?[0-9])"
)
_ALL_THOUSANDS = re.compile(r"[0-9]{1,3}(?:\{?,\}?[0-9]{3})+")
_TOKEN = re.compile(r"[^\W_]+(?:\.[0-9]+)?")
_INTRODUCED = re.compile(r"(?:=|:|#|\b(?:is|to|be|as|get|gives))[\s\"'`*\\]{0,8}$")
_WRITTEN_SUM = re.compile(r"\}[0-9A-Za-z]{1,4}$")
_SAID = re.compile(r"\banswer(?: is|s?:| =)[\s:=*\"'`(]{0,8}", re.IGNORECASE)
_WIDE = {0xFF21 + i: DIGITS[10 + i] for i in range(26)} | {0xFF41 + i: DIGITS[10 + i].lower() for i in range(26)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsGrader:
    """Compare whole numbers in base `base`, leading zeros aside."""

    base: int | str = 10
    name: str = "digits"

    def __post_init__(self):
        if not str(self.base).isdecimal() or not 2 <= int(self.base) <= 36:
            raise ConfigError(f"option base of grader 'digits' is {self.base!r}; allowed: a whole number from 2 to 36")

    @property
    def digits(self) -> str:
        return DIGITS[: int(self.base)]

    def parse(self, problem: Problem, text: str) -> Parsed:
        text = readable(text).translate(_WIDE)
        for name, reading in (("hashes", _hashes), ("boxed", _boxed), ("answer_is", _said), ("last_number", _last)):
            found = reading(text, self.digits)
            if found is not None:
                answer, start = found
                return _parsed(answer, text[:start].rstrip("# \n").lstrip(), name)
        return Parsed(answer=None, rationale=text.strip(), note="no number")

    def accepts(self, problem: Problem, answer: str) -> bool:
        gold = problem.answer.strip().upper()
        if not gold or not set(gold) <= set(self.digits):
            raise DataError(
                f"problem {problem.id} has answer {problem.answer!r}, which is no number in base {self.base}"
            )
        return _bare(answer) == _bare(gold)


def _parsed(answer: str, rationale: str, name: str) -> Parsed:
    foreign = next((char for char in answer if not char.isascii()), None)
    if foreign is not None:
        letter = unicodedata.name(foreign, "a character without a name")
        return Parsed(answer=None, rationale=rationale, note=f"{name}: {answer[:SHOWN]!r} holds {letter}, no digit")
    if len(answer) > LONGEST:
        return Parsed(answer=None, rationale=rationale, note=f"{name}: a run of {len(answer)} digits")
    return Parsed(answer=answer.upper(), rationale=rationale, note=name)


def _bare(number: str) -> str:
    return number.strip().upper().lstrip("0") or "0"


def _hashes(text: str, digits: str) -> tuple[str, int] | None:
    mark = text.rfind("####")
    if mark < 0:
        return None
    found = _content(text[mark + 4 :].lstrip().split("\n", 1)[0][:LONGEST_BOX], digits)
    return None if found is None else (found, mark)


def _boxed(text: str, digits: str) -> tuple[str, int] | None:
    end = len(text)
    for _ in range(MOST_BOXES):
        end = text.rfind("\\boxed", 0, end)
        if end < 0:
            return None
        if _WRITTEN_SUM.search(text, max(0, end - 16), end):
            return None
        found = _content(_braced(text, end + 6), digits)
        if found is not None:
            return found, end
    return None


def _braced(text: str, start: int) -> str:
    """Return what the brace group at `start` holds, or the word there."""
    piece = text[start : start + LONGEST_BOX].lstrip()
    if not piece.startswith("{"):
        return piece.split(None, 1)[0] if piece else ""
    depth = 0
    for at, char in enumerate(piece):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return piece[1:at]
    return piece[1:]


def _content(inner: str, digits: str) -> str | None:
    """Read the number of a box or a marked line; None when it holds none."""
    inner = _WRAPPER.sub(r"\1", _MARKED_OFF.sub("", _SPACING.sub("", inner.rpartition("=")[2])))
    inner = _BASE.sub("", _ASIDE.sub("", inner) or inner)
    bare = re.sub(r"[\s\"'`*.()\[\]]", "", inner)
    if _ALL_THOUSANDS.fullmatch(bare):
        bare = re.sub("[{},]", "", bare)
    bare = _without_prefix(bare, digits)
    if bare and (
        set(bare.upper()) <= set(digits) or (bare.isalnum() and _holds_digit(bare) and " " not in inner.strip())
    ):
        return bare
    last = _last(inner, digits)
    return None if last is None else last[0]


def _without_prefix(number: str, digits: str) -> str:
    prefix = {16: "0x", 8: "0o", 2: "0b"}.get(len(digits))
    return number[2:] if prefix and number.lower().startswith(prefix) and len(number) > 2 else number


def _holds_digit(text: str) -> bool:
    return any(char in DIGITS[:10] for char in text)


def _said(text: str, digits: str) -> tuple[str, int] | None:
    said = None
    for said in _SAID.finditer(text):  # noqa: B007  the last match is wanted
        pass
    if said is None:
        return None
    token = _TOKEN.match(text, said.end())
    if token is None:
        return None
    alone = (
        len(token.group()) == 1 and token.group().isupper() and text[token.end() : token.end() + 1] in ("", ".", "\n")
    )
    return (token.group(), said.start()) if alone or _is_number(token, digits) else None


def _last(text: str, digits: str) -> tuple[str, int] | None:
    """Return the last number-like token, with where it stands in the shortened text."""
    text = _BASE.sub(_blank, _MARKED_OFF.sub(_blank, _ASIDE.sub(_blank, text)))
    text = _THOUSANDS.sub(lambda match: re.sub("[{},]", "", match.group()).rjust(len(match.group())), text)
    last = None
    for token in _TOKEN.finditer(text):
        if _is_number(token, digits):
            last = token
    return None if last is None else (_without_prefix(last.group(), digits), last.start())


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _is_number(token: re.Match[str], digits: str) -> bool:
    """Tell whether a token is meant as a number: `192` in base 8 is (and wrong), `2nd` and a plain `A` are not."""
    word = token.group()
    plain = word.partition(".")[0]
    if _holds_digit(plain) and ((plain.isascii() and plain.upper() == plain) or set(plain.upper()) <= set(digits)):
        return True
    if word.isalpha() and word.isupper() and set(word) <= set(digits):
        return _INTRODUCED.search(token.string, max(0, token.start() - 16), token.start()) is not None
    foreign = not word.isascii() and _holds_digit(word)
    return foreign and all(char in DIGITS or not char.isascii() for char in word.upper())
