"""Inconsequential clauses (NoOp): topical sentences with a number that must not be used, and where they go.

A clause belongs to one template, was written by hand for its topic, and is stored with its category and with a reason
in one line why it cannot matter. `inserted` returns the template with the clause in its question; conditions, worked
solution and answer stay as they are. Whether a clause really is inconsequential is looked at in `distractors`.
Source: GSM-NoOp in Mirzadeh et al. 2024, arXiv:2410.05229; its clauses are not published, these are our own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from menon.core.errors import DataError
from menon.problems.rows import read_rows
from menon.problems.templates.functions import Value, as_value
from menon.problems.templates.language import Slot, Template, Variable

NUMBER = "noop"  # the slot of a clause's own number
OWN_CLAUSES = Path(__file__).parent / "own" / "own.noop.jsonl"

_SLOT = re.compile(r"\{\s*([A-Za-z_]\w*)\s*(?:,([^{}]*))?\}")
_SENTENCE_END = re.compile(r"[.?!][\"')]*(?=\s|$)")
_STARTS = re.compile(r"(?:[.?!]\s|\n)\s*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A sentence for the template with the id `template`, inserted behind its sentence number `after` (from 1).

    `text` holds the slot `{noop}`, a number from `low` to `high`, and may hold slots of the template's own variables.
    """

    template: str
    after: int
    text: str
    low: int
    high: int
    category: str
    reason: str
    where: str = ""

    @property
    def numbers(self) -> range:
        return range(self.low, self.high + 1)


def load_clauses(path: str | Path) -> tuple[Clause, ...]:
    """Read clauses from a JSONL file with `id_shuffled`, `after`, `clause`, `low`, `high`, `category`, `reason`.

    Raises:
        DataError: a row lacks a field or holds something else in it; the message names file and line.
    """
    return tuple(_clause(row.values, row.problem, f"{path}:{row.line}") for row in read_rows(path))


def inserted(template: Template, clause: Clause) -> Template:
    """Return `template` with `clause` in its question and the clause's number among its variables.

    Raises:
        DataError: there is no such sentence, or the clause holds an unknown slot.
    """
    known = {*template.domains, NUMBER}
    added = _parts(clause.text)
    unknown = [part.name for part in added if isinstance(part, Slot) and part.name not in known]
    if unknown or NUMBER in template.domains:
        slot = (unknown or [NUMBER])[0]
        raise DataError(
            f"{clause.where}: clause {clause.text!r} for template {template.id!r} has slot {slot!r}; "
            f"allowed: {NUMBER} and the template's own variables, none of which may be called {NUMBER}"
        )
    number = Variable(names=(NUMBER,), candidates=tuple(as_value(n) for n in clause.numbers), marked=True)
    return replace(
        template,
        question=_spliced(template, added, clause),
        variables=(*template.variables, number),
        solvers={},
        patterns={},
    )


def worded(clause: Clause, assignment: Mapping[str, Value]) -> str:
    """Return the clause as it reads under `assignment`."""
    return _SLOT.sub(lambda slot: assignment[slot[1]].text, clause.text)


def sentence_ends(parts: Sequence[str | Slot]) -> list[int]:
    """Return where the sentences of a question end, in its text with one character for each slot."""
    text = "".join(part if isinstance(part, str) else "x" for part in parts).rstrip()
    return [end.end() for end in _SENTENCE_END.finditer(text)]


def _clause(values: Any, problem: str, where: str) -> Clause:
    fields = {"id_shuffled": (int, str), "after": int, "clause": str, "low": int, "high": int, "category": str,
              "reason": str}  # fmt: skip
    wrong = [name for name, kind in fields.items() if not isinstance(values.get(name), kind)]
    if problem or wrong:
        got = problem or f"field {wrong[0]!r} is {values.get(wrong[0])!r:.40}"
        raise DataError(f"{where}: no clause: {got}; a clause has the fields {', '.join(fields)}")
    if values["low"] > values["high"]:
        raise DataError(f"{where}: low {values['low']!r} is above high {values['high']!r}; exchange them")
    return Clause(
        template=str(values["id_shuffled"]),
        after=values["after"],
        text=values["clause"],
        low=values["low"],
        high=values["high"],
        category=values["category"],
        reason=values["reason"],
        where=where,
    )


def _parts(text: str) -> list[str | Slot]:
    parts: list[str | Slot] = []
    at = 0
    for slot in _SLOT.finditer(text):
        if slot.start() > at:
            parts.append(text[at : slot.start()])
        parts.append(
            Slot(slot[1], (slot[2] or "").strip(), slot.start() == 0 or bool(_STARTS.search(text[: slot.start()])))
        )
        at = slot.end()
    return [*parts, text[at:]] if at < len(text) else parts


def _spliced(template: Template, added: Sequence[str | Slot], clause: Clause) -> tuple[str | Slot, ...]:
    """Put the parts of a clause behind sentence `clause.after`, which must not be the last one."""
    ends = sentence_ends(template.question)
    if not 1 <= clause.after < len(ends):
        raise DataError(
            f"{clause.where}: clause {clause.text!r} goes behind sentence {clause.after!r}; template {template.id!r} "
            f"has {len(ends)} sentences and a clause stands before the last one: allowed 1 to {len(ends) - 1}"
        )
    at, parts = ends[clause.after - 1], []
    for place, part in enumerate(template.question):
        size = len(part) if isinstance(part, str) else 1
        if isinstance(part, str) and at <= size:
            return (*parts, part[:at], " ", *added, part[at:], *template.question[place + 1 :])
        at -= size
        parts.append(part)
    raise AssertionError("sentences end in literal text")
