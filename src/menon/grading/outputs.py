"""Read a model's text as a value of a wanted kind: the one place where nodes of flowcharts parse what a model wrote.

Kinds: text, number, choice, truth, list, json. What cannot be read is `Unread` with one sentence that can be shown to a
person or given back to the model; nothing is guessed. Numbers are read by the extractors of grader `number`, choices by
the rules of graders `word` and `choice`. Left out: finish reasons, which the caller knows and the text does not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.grading.choice import LETTERS, ChoiceGrader
from menon.grading.extract import extract, readable
from menon.grading.json_schema import check_schema, violation
from menon.grading.json_value import last_json
from menon.grading.lists import MOST_ITEMS, read_list
from menon.grading.visible import LONGEST, Read, Unread, Visible, listed, shown, unread, visible
from menon.grading.word import WordGrader

__all__ = ["KINDS", "Read", "Unread", "check_schema", "read_output"]

KINDS = ("text", "number", "choice", "truth", "list", "json")
TRUTHS = {"yes": True, "true": True, "no": False, "false": False}
LARGEST_NUMBER = 10**300
LONGEST_TEXT = 1_000_000
LONGEST_NAMED = 20_000

_OPTION = re.compile(r"(?:option|choice)\s+\(?([A-Za-z])\)?\.?", re.IGNORECASE)
_COMPOUND = re.compile(r"(?<![\w-])[^\W_]+(?:-[^\W_]+)+(?![\w-])")


def read_output(
    text: str, kind: str, *, choices: Sequence[str] = (), schema: Mapping[str, Any] | None = None
) -> Read | Unread:
    """Return the value of `kind` that a model's text states.

    Values: str for text and choice (as it stands in `choices`), int or float for number, bool for truth, list for list
    (of str, or of what a JSON array holds), dict or list for json.

    Raises:
        ConfigError: an unknown kind, no choices or doubled ones, a schema that `check_schema` refuses.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of output {kind!r}; allowed: {', '.join(KINDS)}")
    allowed = _allowed(kind, choices, schema)
    longest = LONGEST_TEXT if kind == "text" else LONGEST
    seen = visible(text, allowed, keep="start" if kind in ("text", "list") else "end", longest=longest)
    if isinstance(seen, Unread):
        return seen
    if kind == "choice":
        return _choice(seen, tuple(choices), allowed)
    if kind == "json":
        return _json(seen, schema, allowed)
    return _READERS[kind](seen, allowed)


_ALLOWED = {
    "text": "any text",
    "number": "a number, best in a last line 'The answer is 12'",
    "truth": "yes or no, true or false",
    "list": "numbered or bulleted lines, a JSON array, or one item per line on at least two lines",
    "json": "one JSON object or array",
}


def _allowed(kind: str, choices: Sequence[str], schema: Mapping[str, Any] | None) -> str:
    """Say in words what can be read, and refuse settings that cannot be met."""
    if kind == "choice":
        folded = [choice.strip().casefold() for choice in choices]
        if not folded or "" in folded or len(set(folded)) < len(folded):
            raise ConfigError(f"kind 'choice' has choices {[*choices]!r:.200}; allowed: one or more different texts")
        return f"one of {listed(choices)}"
    if schema is not None:
        check_schema(schema)
    return _ALLOWED[kind] if schema is None or kind != "json" else f"{_ALLOWED[kind]} that follows the schema"


def _text(seen: Visible, allowed: str) -> Read | Unread:
    return seen.read(seen.text)


def _number(seen: Visible, allowed: str) -> Read | Unread:
    found = extract(readable(seen.text))
    if found is None:
        return unread(seen.text, "which has no number", allowed)
    rule, number = found
    if number.value is None:
        return unread(seen.text, f"where rule {rule!r} finds a number that has no one reading", allowed)
    value = _plain_number(number.value)
    if value is None:
        return unread(seen.text, f"where rule {rule!r} finds a number beyond the range of numbers", allowed)
    return seen.read(value, rule)


def _plain_number(value: Fraction) -> int | float | None:
    if abs(value) > LARGEST_NUMBER:
        return None
    plain = int(value) if value.denominator == 1 else float(value)
    return plain if plain or not value else None


def _choice(seen: Visible, choices: tuple[str, ...], allowed: str) -> Read | Unread:
    """Read a choice as grader `word` reads labels, else by its label letter as grader `choice` does."""
    text = _joined(seen.text, choices)
    bare = text.strip("*_`\"'()., \n").casefold()
    if (alone := next((choice for choice in choices if choice.strip().casefold() == bare), None)) is not None:
        return seen.read(alone, "the choice alone")
    if (option := _OPTION.fullmatch(text)) is not None:
        text = option[1]
    by_letter = not any(len(choice.strip()) == 1 for choice in choices)
    asked = _asked(choices=choices) if by_letter else _asked(meta={"labels": choices})
    parsed = WordGrader().parse(asked, text)
    if parsed.answer is not None:
        return seen.read(parsed.answer, parsed.note)
    named = _named(text, choices)
    if by_letter and len(named) < 2 and len(choices) <= len(LETTERS):
        letter = ChoiceGrader().parse(asked, text)
        if letter.answer is not None:
            return seen.read(choices[LETTERS.index(letter.answer)], f"{letter.note} {letter.answer}")
    why = f"which names {listed(named)} and decides for none" if named else "which names none of the choices"
    return unread(seen.text, why, allowed)


def _truth(seen: Visible, allowed: str) -> Read | Unread:
    labels = {"labels": ("true", "false"), "synonyms": {"yes": "true", "no": "false"}}
    text = _joined(seen.text, ())
    parsed = WordGrader().parse(_asked(meta=labels), text)
    if parsed.answer is not None:
        return seen.read(TRUTHS[parsed.answer], parsed.note)
    named = _named(text, tuple(TRUTHS))
    why = f"which names {listed(named)} and decides for none" if named else "which says neither"
    return unread(seen.text, why, allowed)


def _list(seen: Visible, allowed: str) -> Read | Unread:
    found = read_list(seen.text)
    if found is None:
        return unread(seen.text, "which is no list, or an empty one", allowed)
    items, note = found
    if len(items) > MOST_ITEMS:
        note = f"{note}; cut to the first {MOST_ITEMS:,} of {len(items):,} items"
    return seen.read(items[:MOST_ITEMS], note)


def _json(seen: Visible, schema: Mapping[str, Any] | None, allowed: str) -> Read | Unread:
    found = last_json(seen.text, (lambda value: violation(value, schema)) if schema is not None else lambda value: None)
    if found.refused:  # says itself what is allowed
        return Unread(f"got {shown(seen.text)}, but {found.reason}")
    return unread(seen.text, f"but {found.reason}", allowed) if found.reason else seen.read(found.value)


_READERS: Mapping[str, Callable[[Visible, str], Read | Unread]] = {
    "text": _text,
    "number": _number,
    "truth": _truth,
    "list": _list,
}


def _asked(choices: tuple[str, ...] = (), meta: Mapping[str, Any] | None = None) -> Problem:
    """Return a stand-in for the question, as graders want one for the choices that it offers."""
    return Problem(family="output", question="", answer="", choices=choices, meta=dict(meta or {}))


def _joined(text: str, choices: tuple[str, ...]) -> str:
    """Write compounds such as "no-one" as one word, unless a choice has a hyphen; "no" does not stand in them."""
    if "-" not in text or any("-" in choice for choice in choices):
        return text
    return _COMPOUND.sub(lambda word: word[0].replace("-", ""), text)


def _named(text: str, choices: tuple[str, ...]) -> list[str]:
    """Return the choices that stand in the end of a text as words."""
    tail = text[-LONGEST_NAMED:]
    return [c for c in choices if re.search(rf"(?<!\w){re.escape(c.strip())}(?!\w)", tail, re.IGNORECASE)]
