"""Read the one JSON object out of what a model wrote: fenced or not, with words around it.

Strict where guessing would choose for the model: objects inside a `<think>` block do not count, of several objects that
have the wanted fields the last one counts, a broken one is not mended, and a name that stands twice is refused.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from menon.grading.verdicts import split_thinking

LONGEST = 200_000
MOST_STARTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRecord:
    """The object, or None with the reason why there is none."""

    record: dict[str, Any] | None
    reason: str = ""


class _Refused(ValueError):
    """JSON that Python reads and that is no record: a name twice, NaN."""


def read_json_record(text: str, fields: Sequence[str] = ()) -> ReadRecord:
    """Return the last outermost object in the visible text that has all `fields`."""
    _, visible, closed = split_thinking(text)
    if not closed:
        return ReadRecord(record=None, reason="a <think> block without an end")
    if len(visible) > LONGEST:
        return ReadRecord(record=None, reason=f"{len(visible):,} characters; at most {LONGEST:,} are read")
    decoder = json.JSONDecoder(object_pairs_hook=json_object, parse_constant=json_constant, parse_float=json_finite)
    found: dict[str, Any] | None = None
    reason = "no JSON object in the text"
    at = visible.find("{")
    for _ in range(MOST_STARTS):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(visible, at)
        except (ValueError, RecursionError) as error:
            if found is None:
                reason = f"the JSON is broken: {str(error)[:80]}"
            end = at + 1
        else:
            missing = [name for name in fields if name not in value]
            if not missing:
                found = value
            elif found is None:
                reason = f"the JSON object lacks {', '.join(missing)}"
        at = visible.find("{", end)
    return ReadRecord(record=found, reason="" if found is not None else reason)


def json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise _Refused(f"a name stands twice among {names[:5]}")
    return dict(pairs)


def json_constant(name: str) -> Any:
    raise _Refused(f"{name} is no number")


def json_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Refused(f"{text[:20]} is too large a number")
    return value
