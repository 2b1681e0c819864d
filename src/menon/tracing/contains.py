"""Does a document contain the answer, or the question? Two plain facts that tell retrieval from procedure.

An answer that is a number is looked for by its value among the numbers of a document: 7 is not in 17, 7.5 or -7, and
1000 is in 1,000. Every other answer is looked for as text, without case, with white space as one space, between word
borders. A question is looked for by its runs of words. The rules for numbers in a document, where a search wants more
than `menon.grading.numbers` reads:
    1,000        one number; `3,5` and `(3,-5)` are two (only groups of three digits are thousands)
    6/2, 3/4/20  the numbers around the slash; besides, a fraction that is not whole has its value (2/4 is 0.5)
    2 1/2        2.5 only
    10^2, 3:30   the numbers around the sign
    3x, 50%, $5  the number 3, 50, 5
    x2, 1st, 8k  no number; neither are 1.2.3 and what is glued to letters or underscores
    a-5, 9-5     5; a minus is a sign only where nothing ends before it
Left out: number words, and answers in other words (paraphrases).
Source: Ruis et al. 2024, arXiv:2411.12580, who looked for answers by keyword overlap and with a judge
model; we take exact containment, which needs no model and misses paraphrases.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from menon.core.errors import ConfigError
from menon.grading.numbers import LARGEST_POWER, LONGEST, parse_number, plain

MOST_READ = 1 << 16  # spellings of numbers whose value is remembered

_THIN = re.compile(r"(?<=\d)[\u2009\u202f](?=\d{3}(?!\d))")
_VULGAR = re.compile(r"(?=[\u00bc-\u00be\u2150-\u215e])")
_SUPER = re.compile(r"[\u00b9\u00b2\u00b3\u2070\u2074-\u2079]+")
_SUB = re.compile(r"[\u2080-\u2089]+")
_SIGN = r"(?:(?<![0-9A-Za-z_)\]}%.])[-+])?"
_THOUSANDS = r"(?<![0-9],)[0-9]{1,3}(?:,[0-9]{3}){1,9}+(?![0-9]|,[0-9])"
_DIGITS = rf"(?>(?>{_THOUSANDS}|[0-9]+)(?:\.[0-9]+)?+|(?<![0-9A-Za-z_.])\.[0-9]+)(?!\.?[0-9])"
_QUOTIENT = r"[0-9]{1,9}/[0-9]{1,9}(?![0-9/])"
_NUMBER = re.compile(
    rf"(?<![0-9A-Za-z_])(?<![0-9]\.){_SIGN}[$€£]?{_SIGN}(?:[0-9]{{1,9}} {_QUOTIENT}"
    rf"|{_DIGITS}(?:[eE][+-]?[0-9]+(?![0-9A-Za-z])|(?!(?:st|nd|rd|th|[kKMB])(?![A-Za-z]))))"
)
_FRACTION = re.compile(rf"(?<![0-9A-Za-z_./,])(?<![0-9] ){_SIGN}{_QUOTIENT}")
_WORD = re.compile(r"\w+")
_TERM = re.compile(r"\w+|[-+*/^=<>%]")  # words of a question: the signs of a formula are words too


def normal(text: str) -> str:
    """Return `text` in one spelling: NFKC, no case, one space for white space, ASCII digits and signs."""
    return _folded(_spelled(text))


def _spelled(text: str) -> str:
    """Do what `normal` does but for the case, which numbers need (5M is no 5, 5m is)."""
    if not text.isascii():
        text = _SUB.sub(lambda found: "_" + found.group(), _VULGAR.sub(" ", _THIN.sub(",", text)))
        text = _SUPER.sub(lambda found: "^" + found.group(), text)
        text = plain(unicodedata.normalize("NFKC", plain(text))).replace("\u2044", "/")
    return " ".join(text.split())


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text.casefold())


class AnswerMatcher:
    """Looks for many answers in many documents; an empty answer is in no document."""

    def __init__(self, answers: Sequence[str]):
        self.answers = tuple(answers)
        self._by_value: defaultdict[Fraction, list[int]] = defaultdict(list)
        self._by_word: defaultdict[str, list[tuple[int, str, re.Pattern[str]]]] = defaultdict(list)
        self._wordless: list[tuple[int, str]] = []
        self._read: dict[str, tuple[int, ...]] = {}
        for place, answer in enumerate(self.answers):
            self._add(place, answer)
        self._fractions = any(value.denominator > 1 for value in self._by_value)

    def _add(self, place: int, answer: str) -> None:
        text = _spelled(answer)
        if (value := parse_number(text)) is not None:
            self._by_value[value].append(place)
            return
        text = _folded(text)
        text = text.rstrip(".,;:!?") or text
        if words := _WORD.findall(text):
            self._by_word[max(words, key=len)].append((place, text, _bounded(text)))
        elif text:
            self._wordless.append((place, text))

    def found(self, document: str) -> set[int]:
        """Return the positions of the answers that `document` contains."""
        text = _spelled(document)
        places: set[int] = set()
        if self._by_value:
            places.update(*map(self._owners, set(_NUMBER.findall(text))))
            if self._fractions and "/" in text:
                places.update(*map(self._owners, set(_FRACTION.findall(text))))
        if not (self._by_word or self._wordless):
            return places
        text = _folded(text)
        places |= {place for place, answer in self._wordless if answer in text}
        if self._by_word:
            for word in self._by_word.keys() & _WORD.findall(text):
                places |= {place for place, answer, bounded in self._by_word[word] if bounded.search(text)}
        return places

    def contained(self, documents: Iterable[str]) -> NDArray[np.bool_]:
        """Return whether each answer (rows) is in each document (columns)."""
        found = [self.found(document) for document in documents]
        contained = np.zeros((len(self.answers), len(found)), dtype=np.bool_)
        for column, places in enumerate(found):
            contained[list(places), column] = True
        return contained

    def _owners(self, spelling: str) -> tuple[int, ...]:
        owners = self._read.get(spelling)
        if owners is None:
            if len(self._read) >= MOST_READ:
                self._read.clear()
            owners = self._read[spelling] = tuple(
                place for value in _values(spelling) for place in self._by_value.get(value, ())
            )
        return owners


def contains_answer(document: str, answer: str) -> bool:
    """Tell whether `document` contains `answer`; compile an `AnswerMatcher` for more than a few."""
    return bool(AnswerMatcher([answer]).found(document))


def _values(spelling: str) -> list[Fraction]:
    """Return what a piece of text that `_NUMBER` or `_FRACTION` found stands for; mostly one value."""
    digits = spelling.translate(_NO_CURRENCY)
    unsigned = digits.lstrip("+-")
    sign = -1 if "-" in digits[: len(digits) - len(unsigned)] else 1
    whole, _, part = unsigned.rpartition(" ")
    if "/" in part:
        over, under = (int(number) for number in part.split("/"))
        if whole and over < under:
            return [sign * (int(whole) + Fraction(over, under))]
        if whole:
            return [Fraction(sign * int(whole)), Fraction(over), Fraction(under)]
        # A whole quotient (6/2) is a sum to be done and not a number that stands there.
        return [sign * Fraction(over, under)] if under and over % under else []
    number, _, power = part.lower().partition("e")
    if len(number) > LONGEST or len(power) > LONGEST or abs(int(power or 0)) > LARGEST_POWER:
        return []
    return [sign * Fraction(number) * Fraction(10) ** int(power or 0)]


_NO_CURRENCY = str.maketrans("", "", "$€£,")


def _bounded(text: str) -> re.Pattern[str]:
    """Compile `text` between borders: no letter or digit beside one, no more of a number beside a digit."""
    left = right = ""
    if text[0].isdigit():
        left = r"(?<!\w)(?<!\d[.,])(?<!^-)(?<![^\w)\]}%.]-)"
    elif text[0].isalnum() or text[0] == "_":
        left = r"(?<!\w)"
    if text[-1].isdigit():
        right = r"(?!\w|\.\d|,\d{3}(?!\d))"
    elif text[-1].isalnum() or text[-1] == "_":
        right = r"(?!\w)"
    return re.compile(left + re.escape(text) + right)


class QuestionMatcher:
    """Looks for the word n-grams of many questions in many documents.

    A question with fewer than `n` words is looked for as a whole; one without words has the share 0.
    """

    def __init__(self, questions: Sequence[str], n: int = 5):
        if n < 1:
            raise ConfigError(f"n-grams of n={n!r} words; allowed: 1 or more (5 is usual)")
        self.questions = tuple(questions)
        self._owners: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._totals_Q = np.ones(len(self.questions))
        for place, question in enumerate(self.questions):
            words = _TERM.findall(normal(question))
            grams = dict.fromkeys(_grams(words, min(n, len(words)))) if words else {}
            self._totals_Q[place] = max(1, len(grams))
            for gram in grams:
                self._owners[gram].append(place)
        self._lengths = sorted({len(gram) for gram in self._owners})
        self._known = frozenset(self._owners)

    def shares(self, document: str) -> NDArray[np.float32]:
        """Return for each question the share of its distinct n-grams that `document` holds."""
        words = _TERM.findall(normal(document))
        found_Q = np.zeros(len(self.questions))
        for n in self._lengths:
            for gram in self._known.intersection(_grams(words, n)):
                found_Q[self._owners[gram]] += 1
        return (found_Q / self._totals_Q).astype(np.float32)


def _grams(words: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(n)), strict=False)


def contains_question(document: str, query: str, n: int = 5) -> float:
    """Return the share of the word n-grams of `query` that `document` holds, from 0 to 1.

    A query of fewer than `n` words is looked for as a whole. Compile a `QuestionMatcher` for more than a few.
    """
    return float(QuestionMatcher([query], n).shares(document)[0])
