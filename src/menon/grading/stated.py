r"""Where a completion states its answer, for answers that are words, fields or literals.

The marks are those of `extract.answer_text`; where there is none, the text after the last single `#` (the embedded
model's form) is the statement. Full-width and other compatibility characters are written in their plain form first;
letters of other alphabets are left as they are and fit nothing.
"""

import re
import unicodedata
from dataclasses import dataclass

from menon.grading.extract import answer_text, readable

LONGEST_TAIL = 2000

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201a": "'"})
_MARK = re.compile(r"(?<![A-Ga-g])#|(?<=[A-Za-z][A-Ga-g])#")
_WRAPPED = re.compile(r"\\(?:text|texttt|textbf|textit|mathrm|mathtt|mathbf) ?\{([^{}]{0,1000})\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The line that states the answer, all of the text from there on, where it begins, and the mark that showed it."""

    line: str
    tail: str
    start: int
    mark: str


def normal(text: str) -> str:
    """Return the part of a completion that is read, with compatibility characters and quotes in their plain form."""
    if not text.isascii():
        # By character, and only where one stands for one: some ligatures are eighteen times as long written out.
        plain = {char: unicodedata.normalize("NFKC", char) for char in set(text) if not char.isascii()}
        text = text.translate({ord(char): form for char, form in plain.items() if len(form) == 1}).translate(_QUOTES)
    return readable(text)


def stated(text: str, *, sharps: bool = False) -> Stated | None:
    """Return the marked statement of the answer in `normal` text; None where nothing is marked.

    With `sharps`, the `#` of a note ("F#") is no mark.
    """
    if (found := answer_text(text)) is not None:
        line, start, mark = found
        return Stated(line=unwrapped(line), tail=unwrapped(text[start : start + LONGEST_TAIL]), start=start, mark=mark)
    mark = next((m.start() for m in reversed(list(_MARK.finditer(text)))), -1) if sharps else text.rfind("#")
    head, sign, tail = (text[:mark], "#", text[mark + 1 :]) if mark >= 0 else ("", "", text)
    if not sign or not tail.strip() or head.endswith("#"):
        return None
    tail = tail.strip()[:LONGEST_TAIL]
    return Stated(line=tail.split("\n", 1)[0].strip(), tail=tail, start=len(head), mark="hash")


def unwrapped(text: str) -> str:
    r"""Return `text` without LaTeX wrappers such as `\text{...}`, dollar signs around it, and code marks."""
    for _ in range(2):
        text = _WRAPPED.sub(r"\1", text)
    return text.replace("\\_", "_").replace("\\{", "{").replace("\\}", "}").strip().strip("$").strip()
