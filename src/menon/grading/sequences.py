"""Sequences of a known length in prose, for responses on file whose prompts asked for no mark.

Looked for, in this order: a row of frets where the answer is one (`x32010`, `x-3-2-0-1-0`, `E: 0, A: 2`); a line of
as many words with bars or commas between them (`2|striped|red|oval`, `Verb and subject: sees, cat`); the values of as
many `name: value` statements; as many quoted words in one line. The last of a kind counts.
Left out: sequences of another length, which are not told from lists of other things.
"""

import re
from collections.abc import Iterator, Sequence

LONGEST = 4000
FRET = re.compile(r"[xX]|[0-9]{1,2}")
_QUOTED = re.compile(r"[\"`]([^\"`\n]{1,60})[\"`]|(?<![^\W_])'([^'\n]{1,60})'(?![^\W_])|\*\*([^*\n]{1,60})\*\*")
_PAIR = re.compile(
    r"[^\W_][\"'*_`]{0,4}(?:\s?[:=]|\sis)\s?[\"'*_`]{0,4}([^\s,;:\"'*_`{}()\[\]]{1,60})[\"'*_`.]{0,5}\s?"
    r"(?=[,;}\n]|$|and\s)"
)
_STRING = re.compile(
    r"(?<![^\W_])[A-Ga-g][#b]?(?: string)?[*_`\"']{0,3}\s?[-:=(]{0,2}\s?[*_`\"']{0,3}([xX]|[0-9]{1,2})(?![^\W_])"
)
_EDGES = " \t.,;:*_`\"'()[]{}"


def is_frets(tokens: Sequence[str]) -> bool:
    """Tell whether tokens are the frets of a chord: three to twelve of `x` and numbers up to two digits."""
    return 3 <= len(tokens) <= 12 and all(FRET.fullmatch(token) for token in tokens)


def sequence_in(text: str, gold: Sequence[str]) -> tuple[list[str], int] | None:
    """Return the last sequence of as many tokens as `gold` has, and where it begins; None where there is none."""
    offset = max(0, len(text) - LONGEST)
    text, size = text[offset:], len(gold)
    if is_frets(gold) and (found := _frets(text, size)) is not None:
        return found[0], found[1] + offset
    if size < 2:
        return None
    for reading in (_separated, _quoted):
        if reading is _quoted and len(pairs := list(_PAIR.finditer(text))) >= size:
            last = pairs[-size:]
            return [pair[1] for pair in last], last[0].start() + offset
        for line, start in _lines(text):
            if (tokens := reading(line, size)) is not None:
                return tokens, start + offset
    return None


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Yield the lines that are not empty, the last one first."""
    end = len(text)
    while end >= 0:
        start = text.rfind("\n", 0, end) + 1
        if line := text[start:end].strip():
            yield line, start
        end = start - 1


def _frets(text: str, size: int) -> tuple[list[str], int] | None:
    apart = r"\s?[-\u2013,|/;]\s?|\s"
    row = rf"(?:[xX]|[0-9]{{1,2}})(?:(?:{apart})(?:[xX]|[0-9]{{1,2}})){{{size - 1}}}"
    pattern = re.compile(rf"(?<![\w.-])(?:{row}|[xX0-9]{{{size}}})(?![\w-]|\s?[-,|]\s?[0-9xX])")
    last = None
    for last in pattern.finditer(text):  # noqa: B007  the last match is wanted
        pass
    strings = list(_STRING.finditer(text))
    if last is None and len(strings) >= size:
        return [match[1] for match in strings[-size:]], strings[-size].start()
    if last is None:
        return None
    packed = len(last.group()) == size
    return (list(last.group()) if packed else FRET.findall(last.group())), last.start()


def _separated(line: str, size: int) -> list[str] | None:
    """Read words between bars anywhere in a line, or between commas where the line, or what is said, is only they."""
    bars = [piece.strip() for piece in line.split("|")]
    if len(bars) == size:
        ends = [bars[0].split()[-1:], *([piece] for piece in bars[1:-1]), bars[-1].split()[:1]]
        return _words([end[0] if end else "" for end in ends])
    said = re.split(r":\s|=|\b(?:is|are)\s", line)[-1]
    pieces = re.split(r"[,;/]|\s[-\u2013]\s", said.strip(_EDGES))
    if len(pieces) == size:
        return _words(pieces)
    words = line.rpartition(":")[2].split()
    return _words(words) if ":" in line and len(words) == size else None


def _quoted(line: str, size: int) -> list[str] | None:
    words = [next(group for group in match.groups() if group) for match in _QUOTED.finditer(line)]
    return _words(words) if len(words) == size else None


def _words(pieces: Sequence[str]) -> list[str] | None:
    words = [piece.strip(_EDGES) for piece in pieces]
    return words if all(word and " " not in word for word in words) else None
