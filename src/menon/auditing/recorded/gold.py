"""Which grader reads the answers of a task, from its name where it is known, else from what its gold answers are.

Readings are named in words, since what is read of an output decides the figure. A reading that only follows from the
type of the gold answers is marked `generic`: it may differ from that of whoever collected the responses.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from menon.core.errors import DataError
from menon.core.values import Problem
from menon.grading import open_grader
from menon.grading.numbers import canonical, parse_number
from menon.grading.sequences import is_frets
from menon.grading.squares import squares_in
from menon.grading.structures import parts_of, structures

MOSTLY = 0.9
MOST_LABELS = 1000
MOST_WORDS = 12  # different golds up to which a task counts as a choice from a closed list
LONGEST_WORD = 40
_BASE = re.compile(r"base[-_ ]?([0-9]{1,2})\Z", re.IGNORECASE)
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PACKED = re.compile(r"[xX0-9]{4,8}")
_BETWEEN_FRETS = re.compile(r"\s*[-,|/;]\s*|\s+")
_STRINGS = re.compile(r"(?:[A-Ga-g][#b]?\s*[:=]\s*(?:[xX]|[0-9]{1,2})[;,\s]*){3,12}")
_CHORDS = re.compile(r"chord|fret|guitar|ukulele|fingering", re.IGNORECASE)
_PAIRED_WORDS = ({"yes", "no"}, {"true", "false"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the answers of one task are graded, also in words.

    `choices` is the closed list that a blind guess could draw from; `labels` what may be named where there is none.
    `whole` answers count only when all of their parts are right.
    """

    grader: str
    reading: str
    choices: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    generic: bool = False
    whole: bool = False

    @property
    def meta(self) -> dict[str, Any]:
        """What the grader wants to find in a problem's `meta`."""
        return {"labels": list(self.labels)} if self.labels else {}


DIGITS = (
    "content of the last \\boxed{} that holds a digit, after the last '=', without base subscript; else the number "
    "after 'answer is'; else the last number-like token"
)
SQUARES = "squares named in the marked answer, else in the last sentences; credit is the share of the right ones"
NUMBER = "the number after '####', in the last \\boxed{}, after 'answer is' or 'A:', else the last number"
AFTER_A = "the first number after the last 'A:'"
CHOICE = "the letter of the choice after 'answer is', in a box, in brackets, or alone; else the one choice named"
WORD = "the one of {choices} that the marked answer names, else one that opens the text, else the last line with one"
LABELS = (
    "the one of the {count} gold answers of the task that the marked answer names, else the one that opens the text, "
    "else the last line with one"
)
TOKENS = "the marked, bracketed or only sequence, else the last one of the right length, token by token"
FRETS = "the marked, bracketed or only row of frets, else the last one of as many strings, fret by fret"
BRACKET = "everything up to the first ']', token by token"
SENTENCE = "the whole text without its last full stop, token by token"
FIELDS = (
    "what the marked answer, else the end of the text, says of each of the names of the gold answer; right when all of "
    "it is (the share of right parts is kept with each item)"
)
VALUE = "the marked or last value, compared as a value"
_VALUE = Way(grader="value", reading=VALUE, generic=True)
_JSON_VALUE = Way(grader="value?types=any", reading=VALUE + ", lists and tuples alike", generic=True)


def base_of(world: str) -> int | None:
    """Return the base that a world's name speaks of ("base9"), in 2 to 36."""
    match = _BASE.search(world)
    return int(match.group(1)) if match and 2 <= int(match.group(1)) <= 36 else None


def way_for(task: str, world: str, golds: Sequence[Any]) -> Way:
    """Return how to grade a task; `golds` are its gold answers in every world, `world` matters for bases only."""
    base = base_of(world)
    if base is not None and all(isinstance(g, str | int) and _in_base(g, base) for g in golds):
        return Way(grader=f"digits?base={base}", reading=DIGITS, generic=not task.startswith("arithmetic"))
    if all(isinstance(gold, list) and gold and all(_is_square(part) for part in gold) for gold in golds):
        return Way(grader="squares", reading=SQUARES, generic=not task.startswith("chess"))
    return next(way for way in _generic(task, golds) if _works(way, golds))


def _generic(task: str, golds: Sequence[Any]) -> Iterator[Way]:
    """Yield the ways that fit the type of the gold answers, the last of which can grade any."""
    texts = [str(gold).strip() for gold in golds]
    if all(named_parts(gold) for gold in golds):
        yield Way(grader="fields", reading=FIELDS, generic=True, whole=True)
    elif are_frets(task, golds):
        yield Way(grader="tokens?form=prose", reading=FRETS, generic=True)
    elif any(isinstance(gold, list | Mapping) for gold in golds):
        if not all(isinstance(gold, list) and all(isinstance(p, str | int | float) for p in gold) for gold in golds):
            yield _JSON_VALUE
    elif sum(parse_number(text) is not None for text in texts) > MOSTLY * len(texts):
        yield Way(grader="number", reading=NUMBER, generic=True)
    elif set(texts) <= set("ABCDE") and len(set(texts)) > 1:
        yield Way(grader="choice", reading=CHOICE, generic=True)
    elif (words := closed_list(texts)) is not None:
        known = task == "chess" and set(words) == {"yes", "no"}
        yield Way(grader="word", reading=WORD.format(choices=" / ".join(words)), choices=words, generic=not known)
    elif sum(_is_literal(text) for text in texts) > 0.5 * len(texts):
        yield _VALUE if all(isinstance(gold, str) for gold in golds) else _JSON_VALUE
    elif are_sequences(task, golds):
        pass
    elif len(set(texts)) <= MOST_LABELS and all(0 < len(text) <= LONGEST_WORD for text in texts):
        labels = tuple(dict.fromkeys(text.casefold() for text in texts))
        yield Way(grader="word", reading=LABELS.format(count=len(labels)), labels=labels, generic=True)
    if task.startswith("syntax"):  # which of the words is said first differs between prompts
        yield Way(grader="tokens?form=prose&order=any", reading=TOKENS + ", in any order", generic=True)
    yield Way(grader="tokens?form=prose", reading=TOKENS, generic=True)


def _works(way: Way, golds: Sequence[Any]) -> bool:
    """Tell whether a grader accepts nearly all gold answers as answers to themselves."""
    return sum(_accepts(way, gold) for gold in golds) > MOSTLY * len(golds) or way.grader.startswith("tokens")


def _accepts(way: Way, gold: Any) -> bool:
    answer = answer_of(gold, way)
    problem = Problem(family="", question="", answer=answer, choices=way.choices, grader=way.grader, meta=way.meta)
    try:
        return open_grader(way.grader).accepts(problem, answer)
    except DataError:
        return False


def closed_list(texts: Sequence[str]) -> tuple[str, ...] | None:
    """Return the words that gold answers are drawn from, in lower case and sorted; None where the list is open."""
    counts = Counter(text.strip().casefold() for text in texts)
    for words in _PAIRED_WORDS:
        if set(counts) <= words:
            return tuple(sorted(words, reverse=True))
    closed = 2 <= len(counts) <= MOST_WORDS and len(texts) >= 3 * len(counts)
    closed = closed and not all(len(word) == 1 for word in counts)  # letters are choices, or notes
    plain = all(len(word) <= LONGEST_WORD and word.replace(" ", "").isalpha() for word in counts)
    return tuple(sorted(counts)) if closed and plain else None


def named_parts(gold: Any) -> dict[str, str]:
    """Return what a gold answer says of each thing, where it is an object, a list of named objects, or either as text.

    Empty where it is no such answer.
    """
    if isinstance(gold, str):
        text = gold.strip()
        read = list(structures(text)) if text[:1] in ("{", "[") and "{" in text[:4] else []
        gold = read[0] if len(read) == 1 else None
    parts = parts_of(gold)
    return {} if any(re.search(r"[;:\n]", name + value) for name, value in parts.items()) else parts


def frets_of(gold: Any) -> list[str]:
    """Return the frets of a chord's gold answer; empty where it is none: `x32010`, `x-3-2-0-1-0`, `["x", 3, 2]`."""
    text = " ".join(map(str, gold)) if isinstance(gold, list) else str(gold).strip().strip("[]()")
    if _STRINGS.fullmatch(text):
        return re.findall(r"[:=]\s*([xX0-9]{1,2})", text)
    tokens = list(text) if _PACKED.fullmatch(text) else _BETWEEN_FRETS.split(text.strip())
    return tokens if is_frets(tokens) else []


def are_frets(task: str, golds: Sequence[Any]) -> bool:
    """Tell whether the gold answers of a task are chords and not numbers or lists of them."""
    if not all(isinstance(gold, str | list) and frets_of(gold) for gold in golds):
        return False
    texts = [gold if isinstance(gold, str) else " ".join(map(str, gold)) for gold in golds]
    told = any("x" in text.lower() or _STRINGS.fullmatch(text) or "-" in text.strip("-") for text in texts)
    coded = all(_PACKED.fullmatch(text) for text in texts) and any(text.startswith("0") for text in texts)
    return told or coded or _CHORDS.search(task) is not None


def are_sequences(task: str, golds: Sequence[Any]) -> bool:
    """Tell whether gold answers are texts of as many words each, with bars, commas or semicolons between them."""
    sizes = Counter(len(_split(gold)) if isinstance(gold, str) and re.search("[|,;]", gold) else 0 for gold in golds)
    if task.startswith("syntax") and all(isinstance(gold, str) and len(gold.split()) == 2 for gold in golds):
        return True
    size, count = sizes.most_common(1)[0]
    return size > 1 and count > MOSTLY * len(golds)


def _split(gold: Any) -> list[str]:
    parts = gold if isinstance(gold, list) else [gold]
    return [token for part in parts for token in re.split(r"[\s,;|]+", str(part).strip(" .[]()")) if token]


def answer_of(gold: Any, way: Way | None = None) -> str:
    """Write a gold answer of any JSON type as the text that the grader of `way` compares with."""
    name = way.grader.partition("?")[0] if way is not None else ""
    if name == "value":
        return gold.strip() if isinstance(gold, str) and _is_literal(gold) else repr(gold)
    if name == "fields" and (parts := named_parts(gold)):
        return "; ".join(f"{field}: {value}" for field, value in parts.items())
    if way is not None and name == "tokens":
        return " ".join(frets_of(gold) if way.reading == FRETS else _split(gold)) or "[]"
    if name == "word":
        return str(gold).strip().casefold()
    if isinstance(gold, str):
        return gold.strip()
    if isinstance(gold, int | float) and not isinstance(gold, bool):
        number = parse_number(repr(gold))
        return repr(gold) if number is None else canonical(number)
    if isinstance(gold, list) and all(isinstance(part, str | int | float) for part in gold):
        return " ".join(str(part) for part in gold) or "[]"
    return json.dumps(gold, ensure_ascii=False, sort_keys=True)


def _in_base(gold: str | int, base: int) -> bool:
    text = str(gold).strip().upper()
    return bool(text) and set(text) <= set(_DIGITS[:base])


def _is_square(part: Any) -> bool:
    return isinstance(part, str) and len(part.strip()) == 2 and bool(squares_in(part))


def _is_literal(text: str) -> bool:
    """Tell whether a text is a value as programs write it: `[1, 2]`, `'a'`, `{"x": 1}`."""
    if len(text) > 2000:
        return False
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
