"""The last JSON object or array of a text, fenced or not, with words around it.

As strict as `json_record`, and for arrays too: what is broken is told and not mended, and nothing inside of a broken
value counts as the answer. A broken value after a sound one is the model's last word, so it is told as well.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from menon.grading.json_record import json_constant, json_finite, json_object
from menon.grading.visible import fenced, without_surrogates

DEEPEST = 100
MOST_REREAD = 5  # how often, on the whole, the text may be read again after brackets that begin no JSON
MOST_FAILURES = 5_000  # each counts the lines before it, for its message
LANGUAGES = ("", "json", "json5", "jsonc", "js", "javascript")

_OPENING = re.compile(r"\{(?=\s{0,99}[\"'}])|\[(?=\s{0,99}(?:[\[{\"'\]0-9-]|true\b|false\b|null\b|NaN\b))")
_MEANT = re.compile(r"\{\s{0,99}[\"'}]|\[\s{0,99}[\[{\"'\]]")  # what only JSON begins with
_TRAILING = re.compile(r",\s*[}\]]")
_PIECE = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)  # possessive: linear without a closing quote


@dataclass(frozen=True, slots=True)
class LastJson:
    """The value, or the reason why there is none; `refused` when there was one that the caller refused."""

    value: Any = None
    reason: str = ""
    refused: bool = False


def last_json(text: str, refusal: Callable[[Any], str | None] = lambda value: None) -> LastJson:
    """Return the last outermost object or array that `refusal` has nothing against.

    Where it refuses all of them, the reason is what it said of the last one.
    """
    blocks = [body for language, body in fenced(text) if language in LANGUAGES and body.lstrip()[:1] in ("{", "[")]
    text = blocks[-1] if blocks else text
    found: LastJson | None = None
    refused = broken = ""
    at = failures = spent = 0
    while (opening := _OPENING.search(text, at)) is not None:
        start = opening.start()
        if failures > MOST_FAILURES or spent > MOST_REREAD * len(text):
            return LastJson(reason="it has too many brackets that begin no JSON")
        try:
            value, at = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            failures += 1
            spent += getattr(error, "pos", len(text)) - start
            at = start + 1
            if _MEANT.match(text, start):
                end = _closed(text, start)
                broken = _told(text, start, end, error)
                at = len(text) if end is None else end
            continue
        broken = ""
        if (deep := _too_deep(value)) is not None:
            broken = deep
        elif (why := refusal(value)) is None:
            found = LastJson(_encodable(value))
        else:
            refused = why
    if broken:
        return LastJson(reason=broken)
    if refused:
        return found or LastJson(reason=refused, refused=True)
    return found or LastJson(reason="it holds no JSON object or array")


_DECODER = json.JSONDecoder(object_pairs_hook=json_object, parse_constant=json_constant, parse_float=json_finite)


def _told(text: str, start: int, end: int | None, error: Exception) -> str:
    """Say in words why the JSON at `start` cannot be read."""
    if isinstance(error, RecursionError):
        return f"its JSON is nested more than {DEEPEST} deep"
    if end is None:
        return "its JSON is broken off: a bracket or a quotation mark is never closed"
    place = getattr(error, "pos", None)
    if place is not None and _TRAILING.match(text, text.rfind(",", start, place + 1)):
        comma = text.rfind(",", start, place + 1)
        return f"its JSON is broken: a trailing comma in {text[max(start, comma - 20) : comma + 2]!r}"
    if text[start + 1 : start + 100].lstrip().startswith("'"):
        return "its JSON is broken: names and texts stand in single quotes where JSON has double ones"
    return f"its JSON is broken: {str(error)[:80]}"


def _closed(text: str, start: int) -> int | None:
    """Return where the bracket at `start` is closed, quoted text aside; None where it is not."""
    depth = 0
    for piece in _PIECE.finditer(text, start):
        depth += (piece[0] in "[{") - (piece[0] in "]}")
        if depth == 0:
            return piece.end()
    return None


def _too_deep(value: Any) -> str | None:
    level = [value]
    for _ in range(DEEPEST + 1):
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [part for parts in inner for part in parts]
    return f"its JSON is nested more than {DEEPEST} deep" if level else None


def _encodable(value: Any) -> Any:
    """Return `value` with lone surrogates, which JSON can write as escapes, replaced."""
    text = json.dumps(value, ensure_ascii=False)
    mended = without_surrogates(text)
    return value if mended == text else json.loads(mended)
