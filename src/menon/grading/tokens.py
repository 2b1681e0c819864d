"""Grader "tokens": a short sequence of letters, digits, words, notes or frets, compared token by token.

`tokens` reads chat answers: a mark ("####", "\\boxed{}", "answer is") decides; else the text after the last `#`; else
the only bracketed group (or one that opens the text on its own line); else a first line that is nothing but a sequence.
Blanks, commas, semicolons, bars and arrows separate; case does not count; `ijkm` reads as `i j k m` where the answer is
made of single characters. An empty sequence is the answer `[]`.
`tokens?form=prose` also looks for a sequence of the answer's length in the statement or anywhere (`sequences`); it is
for responses whose prompts asked for no mark.
`tokens?form=bracket` and `tokens?form=sentence` continue a prompt that stops before the answer, as published letter
strings and digit matrices do, and are strict: everything up to the first "]", or the whole text without its last full
stop, must be the tokens with single blanks between them, in the right case.
`order=any` compares as a multiset. `meta["accept"]` of a problem lists further right answers.
Source: the response formats of Webb et al. 2023, arXiv:2212.09196.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.grading.extract import answer_text, readable
from menon.grading.protocol import Parsed
from menon.grading.sequences import is_frets, sequence_in

EMPTY = "[]"
LONGEST_LINE = 200  # tokens; a longer line is runaway text
SLACK = 2  # words by which a bare line may be longer than the answer and still be read as a sequence

_MARK = re.compile(r"(?<![A-Ga-g])#|(?<=[A-Za-z][A-Ga-g])#")  # the `#` of a sharp note ("F#") is no mark
_GROUP = re.compile(r"\[([^\[\]\n]{0,600})\]|\(([^()\n]{0,600})\)|\{([^{}\n]{0,600})\}")
_SQUARE = re.compile(r"\[([^\[\]\n]{0,600})\]")
_ARROW = re.compile(r"->|=>|\u2192|\u21d2|\\(?:to|rightarrow)\b")
_SEPARATORS = re.compile(r"[\s,;|\u3001\uff0c\uff1b]+")
_NOISE = re.compile(r"\\(?:text|mathrm|mathtt|texttt)\s?\{([^{}]{0,600})\}")
_SPACING = re.compile(r"\\(?:[ ,;:!]|q?quad\b|left\b|right\b)|\\(?=[{}\[\]])")
_SIGNS = str.maketrans({"\u266f": "#", "\u266d": "b", "\ufe0f": None, "$": None, "`": None, '"': None, "\u201c": None,
                        "\u201d": None, "\u2018": "'", "\u2019": "'"})  # fmt: skip
_SIGNS_ONLY = str.maketrans({"\u266f": "#", "\u266d": "b", "\ufe0f": None, "$": None, "\u201c": '"', "\u201d": '"',
                             "\u2018": "'", "\u2019": "'"})  # fmt: skip
_PROSE = {"the", "is", "are", "was", "it", "to", "of", "and", "or", "that", "this", "be", "in", "by", "as", "so", "not",
          "no", "with", "each", "which", "we", "you", "sorry"}  # fmt: skip
_NOTHING = {"empty", "none", "nothing", "blank", "\u2205", "\\emptyset", "\\varnothing"}
_SHORT = re.compile(r"[^\W_]|-?[0-9]{1,6}|[A-Ga-g][#b]{1,2}[0-9]?|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensGrader:
    """Compare sequences of tokens; `form`: answer (default), prose, bracket or sentence; `order`: given or any."""

    form: str = "answer"
    order: str = "given"
    name: str = "tokens"

    def __post_init__(self):
        if self.form not in ("answer", "bracket", "sentence", "prose"):
            raise ConfigError(
                f"unknown form {self.form!r} of grader 'tokens'; allowed: answer, bracket, sentence, prose"
            )
        if self.order not in ("given", "any"):
            raise ConfigError(f"unknown order {self.order!r} of grader 'tokens'; allowed: given, any")

    def parse(self, problem: Problem, text: str) -> Parsed:
        if self.form in ("bracket", "sentence"):
            return _continued(text, self.form)
        text, golds = readable(text), _golds(problem)
        return _in_prose(text, golds) if self.form == "prose" else _answered(text, golds)

    def accepts(self, problem: Problem, answer: str) -> bool:
        given = [] if answer == EMPTY else answer.split(" ")
        return any(self._equal(given, gold) for gold in _golds(problem))

    def _equal(self, given: Sequence[str], gold: Sequence[str]) -> bool:
        if self.form in ("answer", "prose"):
            given, gold = [token.casefold() for token in given], [token.casefold() for token in gold]
            given = _unpacked(given, gold)
        if self.order == "any":
            return Counter(given) == Counter(gold)
        return list(given) == list(gold)


def tokens_of(text: str) -> list[str]:
    """Split a written sequence into its tokens, without brackets, quotes and mark-up; `[]` and "none" are empty."""
    text = _SPACING.sub(" ", _NOISE.sub(r"\1", text.translate(_SIGNS))).replace("**", "").strip()
    square = _SQUARE.search(text)
    opening = _GROUP.match(text)
    if square is not None or opening is not None:
        group = square or opening
        assert group is not None
        text = next(part for part in group.groups() if part is not None)
    elif (comment := _GROUP.search(text)) is not None:  # a remark after the sequence
        text = text[: comment.start()]
    text = _after_arrow(text).strip().removesuffix(".").strip("'")
    tokens = [token for token in (part.strip("'") for part in _SEPARATORS.split(text)) if token]
    return [] if len(tokens) == 1 and tokens[0].casefold() in _NOTHING else tokens


def written(tokens: Sequence[str]) -> str:
    """Write tokens as a problem's answer: joined by blanks, `[]` for none."""
    return " ".join(tokens) or EMPTY


def _golds(problem: Problem) -> list[list[str]]:
    accepted = [problem.answer, *problem.meta.get("accept", ())]
    return [[] if answer in ("", EMPTY) else answer.split() for answer in accepted]


def _continued(text: str, form: str) -> Parsed:
    if not text.strip():
        return Parsed(answer=None, note="nothing written")
    body, closed, _ = text.partition("]") if form == "bracket" else (text, "", "")
    body = body.strip()
    if form == "sentence":
        body = body.removesuffix(".")
    return Parsed(answer=body or EMPTY, note=form if closed or form == "sentence" else "bracket never closed")


def _answered(text: str, golds: Sequence[Sequence[str]]) -> Parsed:
    found = answer_text(text)
    if found is None and (mark := _last_mark(text)) is not None:
        found = text[mark + 1 :].lstrip().split("\n", 1)[0], mark, "hash"
    if found is None:
        found = _bracketed(text) if _SQUARE.search(text) else _bare_line(text, golds)
    if found is None:
        return Parsed(answer=None, rationale=text.strip(), note="no sequence found")
    segment, start, note = found
    tokens = tokens_of(segment)
    if not tokens and not _names_nothing(segment):
        return Parsed(answer=None, rationale=text.strip(), note=f"{note}: no tokens")
    return Parsed(answer=written(tokens), rationale=text[:start].rstrip("# \n").lstrip(), note=note)


def _in_prose(text: str, golds: Sequence[Sequence[str]]) -> Parsed:
    """Read a plain answer of the right length, else a sequence of it in the statement, else one anywhere."""
    parsed, gold = _answered(text, golds), golds[0]
    if parsed.answer is not None:
        given = _unpacked(parsed.answer.split(" "), gold)
        if len(given) == len(gold) and is_frets(given) >= is_frets(gold):
            return parsed
    marked = answer_text(text)
    for piece, start, note in (marked or ("", 0, ""), (text, 0, "last sequence")):
        if (found := sequence_in(piece.translate(_SIGNS_ONLY), gold)) is not None:
            return Parsed(answer=written(found[0]), rationale=text[: start + found[1]].strip(), note=note)
    return parsed


def _last_mark(text: str) -> int | None:
    marks = [match.start() for match in _MARK.finditer(text)]
    return marks[-1] if marks else None


def _bracketed(text: str) -> tuple[str, int, str] | None:
    """Return the one group there is, or the first where it opens the text on a line of its own."""
    groups = list(_SQUARE.finditer(text))
    first = groups[0]
    alone = not text[: first.start()].strip(" \n*`") and not text[first.end() :].split("\n", 1)[0].strip(" .*`")
    if not alone and len({tuple(tokens_of(group.group())) for group in groups}) > 1:
        return None
    return first.group(), first.start(), "bracketed"


def _bare_line(text: str, golds: Sequence[Sequence[str]]) -> tuple[str, int, str] | None:
    """Return the first line where it is only short tokens, or where it is the whole text and no sentence."""
    body = text.strip()
    line, more, _ = body.partition("\n")
    tokens = tokens_of(line)
    if not tokens or len(tokens) > LONGEST_LINE:
        return None
    short = all(_SHORT.fullmatch(token) for token in tokens)
    words = {token.casefold() for token in tokens}
    prose = bool(words & _PROSE.difference(*golds)) or line.rstrip().endswith(("?", ":"))
    alone = not more and not prose and len(tokens) <= max(map(len, golds)) + SLACK
    return (line, text.find(line), "first line") if short or alone else None


def _names_nothing(segment: str) -> bool:
    cleaned = segment.translate(_SIGNS).strip(" .*'").casefold()
    return cleaned in _NOTHING or re.fullmatch(r"\[\s*\]|\(\s*\)|\\?\{\s*\\?\}", cleaned) is not None


def _after_arrow(text: str) -> str:
    """Read one arrow between two sequences as "becomes", several as separators."""
    parts = _ARROW.split(text)
    if len(parts) == 2 and all(len(_SEPARATORS.split(part.strip())) > 1 for part in parts):
        return parts[1]
    return " ".join(parts)


def _unpacked(given: Sequence[str], gold: Sequence[str]) -> Sequence[str]:
    """Split one packed token (`ijkm`, `i-j-k-m`) into characters where the answer is made of several characters."""
    if len(given) == 1 and len(gold) > 1 and all(len(token) == 1 for token in gold):
        packed = given[0] if "-" in gold else given[0].replace("-", "")
        return list(packed)
    return given
