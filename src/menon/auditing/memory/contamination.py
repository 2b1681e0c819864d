"""Detector: do the items stand in the training text, and does the model do better on those that do?

Needs the corpus (or a part of it) as files. Accuracy of items found in it ("dirty") is set beside that of the others
("clean") where the items were asked. Easier items may well be the commoner ones, so a difference is no proof of
reciting.
Source: clean and dirty subsets of GPT-3, arXiv:2005.14165, appendix C.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from menon.auditing.contrasts import cells_of, contrasts_of
from menon.auditing.memory.overlap import OverlapRule, overlaps, words_of
from menon.auditing.memory.panel import ITEMS, Panel, Part
from menon.auditing.memory.texts import listed
from menon.auditing.probe import Answered
from menon.core.values import Problem
from menon.stats.proportions import wilson

RULE = OverlapRule()
CLEAN, DIRTY = "not in the training text", "in the training text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """Looks every item up in the corpus."""

    name: str = "overlap"
    title: str = "n-gram overlap with the training text"

    def objection(self, panel: Panel) -> str | None:
        return None if panel.has_corpus else "needs training text as files (--corpus)"

    def measure(self, panel: Panel) -> Iterable[dict[str, Any]]:
        found = overlaps([_looked_up(s.problem) for s in panel.subjects], panel.corpus(), RULE)
        for subject, one in zip(panel.subjects, found, strict=True):
            row = {"words": one.words, "exact": one.exact, "share": one.share, "near": one.near}
            yield {**subject.names(), **row, "judged": one.judged, "dirty": one.dirty, "near_copy": one.near_copy}
        if panel.bad_rows:
            yield {"bad": panel.bad_rows}

    def report(self, rows: Sequence[Mapping[str, Any]], answered: Sequence[Answered], panel: Panel) -> Part:
        items = [row for row in rows if "item" in row]
        notes = [row["bad"] for row in rows if "bad" in row]
        short = sum(not row["judged"] for row in items)
        if short:
            notes.append(f"overlap: {short} items have fewer than {RULE.shortest} words and cannot be judged")
        if not panel.material.corpus:
            notes.append(f"overlap was looked for in {panel.corpus_name}, a sample; what is not in it may be elsewhere")
        keys = dict.fromkeys((row["arm"], row["group"]) for row in items)
        table = [_line(arm, group, [r for r in items if (r["arm"], r["group"]) == (arm, group)]) for arm, group in keys]
        found = [
            {"item": row["item"], "family": row["group"], "share": row["share"], "near": row["near"]}
            for row in items
            if row["dirty"] or row["near_copy"]
        ]
        cells = cells_of("memorisation", _by_overlap(items, answered), reading="the audit's prompt")
        contrasts = contrasts_of(cells, config=panel.material.config)
        return Part(
            effects=tuple(contrast.effect() for contrast in contrasts),
            tables={"overlap with the training text": table, "items found in the training text": found},
            notes=tuple(notes),
            sentence=_sentence([row for row in items if row["judged"] and row["arm"] == ITEMS], panel),
            cells=tuple(cells),
            contrasts=tuple(contrasts),
        )


def _looked_up(problem: Problem) -> str:
    """Return the question, with its solution where the question is too short to be told from others."""
    question = listed(problem.question, problem.choices)
    if len(words_of(question)) >= RULE.shortest:
        return question
    return "\n".join([question, problem.rationale or "", problem.answer])


def _sentence(rows: Sequence[Mapping[str, Any]], panel: Panel) -> str:
    if not rows:
        return ""
    dirty, near = sum(row["dirty"] for row in rows), sum(row["near_copy"] for row in rows)
    where = f"in the training text ({panel.corpus_name})"
    return f"{dirty} of {len(rows)} items stand {where}, and {near} more have a text of the same form there."


def _line(arm: str, group: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    judged = [row for row in rows if row["judged"]]
    line: dict[str, Any] = {"arm": arm, "family": group, "n": len(rows), "judged": len(judged)}
    if not judged:
        return {
            **line,
            "dirty": None,
            "low": None,
            "high": None,
            "exact": None,
            "8-gram share": None,
            "near copies": None,
        }
    dirty = wilson(sum(row["dirty"] for row in judged), len(judged))
    return {
        **line,
        **{"dirty": dirty.value, "low": dirty.low, "high": dirty.high},
        "exact": fmean(row["exact"] for row in judged),
        "8-gram share": fmean(row["share"] for row in judged),
        "near copies": fmean(row["near_copy"] for row in judged),
    }


def _by_overlap(rows: Sequence[Mapping[str, Any]], answered: Sequence[Answered]) -> list[Answered]:
    """Put every answer in the cell that its item's overlap says; items that were not judged are left out."""
    dirty = {row["item"]: row["dirty"] for row in rows if row["judged"]}
    found = []
    for item in answered:
        name = item.question.problem.id
        if name in dirty:
            condition = DIRTY if dirty[name] else CLEAN
            question = replace(item.question, condition=condition, baseline=dirty[name], pair="")
            found.append(replace(item, question=question))
    return found


CONTAMINATION = Contamination()
