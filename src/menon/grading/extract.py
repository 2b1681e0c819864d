r"""Extractors of a final number: where an answer stands in a completion, by five rules that can disagree.

hashes       the first number after the last `####` (GSM8K)
boxed        the number in the last `\boxed{}` that holds one
answer_is    the number directly after the last "answer is", "answer:" or "answer ="
after_a      the first number after the last `A:` (the rule behind the labels of OpenAI's GSM8K solutions)
last_number  the last number of the text

The default chain asks them in that order; the first whose mark is present decides, even when what follows the mark is
no number: an explicit but unreadable answer is `unparsed`, not whatever number stands elsewhere.
A completion that runs on to a next question ("Q:" or "Question:" on a new line) is read up to there.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from menon.grading.numbers import Number, canonical, numbers, plain

LONGEST_BOX = 200
MOST_BOXES = 100
LONGEST_ANSWER = 1000

_NEXT_QUESTION = re.compile(r"\S[^\S\n]{0,80}\n\s{0,80}(?:Q|Question) ?:")
_ANSWER_IS = re.compile(r"\banswer(?: is|s?:| =)[\s:=*(\\]{0,8}(?=[-+$0-9.\u20ac\u00a3])", re.IGNORECASE)
_AFTER_A = re.compile(r"(?<![A-Za-z0-9])A:")
_SAID = re.compile(r"\banswer(?: is|s?:| =)[\s:=*]{0,8}", re.IGNORECASE)
_FRACTION = re.compile(r"\\[dt]?frac ?\{(-?[0-9]{1,50})\} ?\{([0-9]{1,50})\}")
_LATEX_NOISE = re.compile(
    r"\\[!,;: ]|\^ ?\{? ?\\circ ?\}?|\\(?:text|mathrm|mbox) ?\{[^{}]{0,100}\}|(?<=[0-9])\{(?=,)|(?<=,)\}"
)


@dataclass(frozen=True, slots=True)
class Found:
    """The mark of an extractor was present: `value` after it, the answer statement beginning at `start`."""

    value: Fraction | None
    start: int


def hashes(text: str) -> Found | None:
    """Read the first number after the last `####`, on its line or, when that is empty, the next."""
    mark = text.rfind("####")
    if mark < 0:
        return None
    line = text[mark + 4 :].lstrip().split("\n", 1)[0]
    return Found(_first_value(line), mark)


def boxed(text: str) -> Found | None:
    r"""Read the last `\boxed{}` that holds a number; boxes without digits do not count."""
    end = len(text)
    for _ in range(MOST_BOXES):
        end = text.rfind("\\boxed", 0, end)
        if end < 0:
            return None
        number = _first(_latex(_braced(text[end + 6 : end + 6 + LONGEST_BOX])))
        if number is not None:
            return Found(number.value, end)
    return None


def answer_is(text: str) -> Found | None:
    """Read the number directly after the last "answer is", "answer:" or "answer ="."""
    last = _last(_ANSWER_IS, text)
    if last is None:
        return None
    number = _first(text, last.end())
    return Found(number.value, last.start()) if number is not None and number.start <= last.end() else None


def after_a(text: str) -> Found | None:
    """Read the first number after the last `A:`."""
    last = _last(_AFTER_A, text)
    if last is None:
        return None
    return Found(_first_value(text, last.end()), last.start())


def last_number(text: str) -> Found | None:
    """Read the last number of the text."""
    last = None
    for last in numbers(text):  # noqa: B007  the last match is wanted
        pass
    return Found(last.value, last.start) if last is not None else None


EXTRACTORS: Mapping[str, Callable[[str], Found | None]] = {
    "hashes": hashes,
    "boxed": boxed,
    "answer_is": answer_is,
    "after_a": after_a,
    "last_number": last_number,
}
DEFAULT_CHAIN = tuple(EXTRACTORS)


def readable(text: str) -> str:
    """Return the part of a completion that extractors read: signs as ASCII, cut before a next question."""
    text = plain(text)
    following = _NEXT_QUESTION.search(text)
    return text[: following.start() + 1] if following else text


def extract(text: str, chain: tuple[str, ...] = DEFAULT_CHAIN) -> tuple[str, Found] | None:
    """Return the first extractor of `chain` whose mark is in `text`, with what it found; `text` must be `readable`."""
    for name in chain:
        found = EXTRACTORS[name](text)
        if found is not None:
            return name, found
    return None


def extract_all(text: str) -> dict[str, str | None]:
    """Return what every extractor reads in `text`, in canonical form; None where it reads nothing."""
    text = readable(text)
    answers: dict[str, str | None] = {}
    for name, extractor in EXTRACTORS.items():
        found = extractor(text)
        answers[name] = canonical(found.value) if found is not None and found.value is not None else None
    return answers


def answer_text(text: str) -> tuple[str, int, str] | None:
    """Return an answer that need not be a number, where its statement begins, and the mark that showed it.

    Marks are those of the extractors, in their order, without `last_number`; the answer is the rest of the marked line,
    what the last box holds, or the rest of the sentence after "answer is".
    """
    if (mark := text.rfind("####")) >= 0:
        return _marked(text[mark + 4 :].lstrip().split("\n", 1)[0], mark, "hashes")
    if (mark := text.rfind("\\boxed")) >= 0:
        return _marked(_braced(text[mark + 6 : mark + 6 + LONGEST_ANSWER]), mark, "boxed")
    if (said := _last(_SAID, text)) is not None:
        sentence = re.split(r"\n|\.(?:\s|$)", text[said.end() : said.end() + LONGEST_ANSWER], maxsplit=1)[0]
        return _marked(sentence, said.start(), "answer_is")
    if (said := _last(_AFTER_A, text)) is not None:
        return _marked(text[said.end() :].lstrip().split("\n", 1)[0], said.start(), "after_a")
    return None


def _marked(answer: str, start: int, name: str) -> tuple[str, int, str] | None:
    answer = answer.strip().rstrip(".").strip("* ")
    return (answer, start, name) if answer and len(answer) <= LONGEST_ANSWER else None


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for last in pattern.finditer(text):  # noqa: B007  the last match is wanted
        pass
    return last


def _first(text: str, start: int = 0) -> Number | None:
    return next(numbers(text, start), None)


def _first_value(text: str, start: int = 0) -> Fraction | None:
    number = _first(text, start)
    return number.value if number is not None else None


def _braced(text: str) -> str:
    """Return what the brace group at the start of `text` holds; the rest of `text` when it is never closed."""
    if not text.startswith("{"):
        return text.split(None, 1)[0] if text.strip() else ""
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return text[1:at]
    return text[1:]


def _latex(text: str) -> str:
    return _LATEX_NOISE.sub("", _FRACTION.sub(r"\1/\2", text))
