"""The page of an audit: the verdict first, then the forest, every probe, and the items behind every cell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from menon.reports import audit_figures, formats, words
from menon.reports.formats import finite
from menon.reports.reading import read_report, rows, section
from menon.reports.svg import standalone
from menon.store import atomic_write

PICTURE = "forest.svg"

GLOSSARY = (
    ("recitation share", "The share of the right answers on originals that disappears on re-instantiations of the same "
     "template: 0 % for a model that only reasons, 100 % for one that only recites."),
    ("original, re-instantiation", "An original is a problem as it was published or trained on; a re-instantiation is "
     "the same template with other names and numbers, matched in difficulty."),
    ("world", "The rules under which an answer is right: the ones everybody knows, or changed ones stated in the "
     "question."),
    ("comprehension check", "Easy questions on the changed rules. Where a model fails them, its loss in that world "
     "says that it did not understand, and is not counted as reciting (hollow square)."),
    ("loss", "Accuracy on the baseline minus accuracy after the change, in percentage points, on the same items where "
     "the items are the same."),
    ("p, adjusted", "Probability of so large an effect if there were none; adjusted by Holm over the probes of this "
     "audit."),
    ("unparsed, cut off", "Answers that could not be read or hit the token limit. They are not right, and are counted "
     "apart."),
    ("stand-in", "A script whose nature is known. An audit that cannot tell a reciter from a reasoner on the same "
     "questions gives no verdict."),
)  # fmt: skip
HEADLINES = {
    "reasons": "This model reasons.",
    "recites": "This model recites.",
    "mixed": "This model reasons in part and recites in part.",
    "cannot do the task": "This model cannot do the tasks it was asked.",
    "cannot tell yet": "We cannot tell yet whether this model reasons or recites.",
}
CLAUSES = {
    "reasons": "reasons",
    "recites": "recites",
    "mixed": "reasons in part and recites in part",
    "cannot do the task": "cannot do the tasks",
}
COSTS = (
    ("questions", "questions asked", formats.count),
    ("sampled_tokens", "tokens sampled", formats.count),
    ("prompt_tokens", "tokens of prompts", formats.count),
    ("money", "money", lambda value: f"{value:.2f}"),
    ("seconds", "time", formats.duration),
    ("peak_memory_mb", "peak memory", formats.memory),
)


def view(data: Mapping[str, Any]) -> dict[str, Any]:
    """Collect everything that the template lays out."""
    verdict, cost = section(data, "verdict"), section(data, "cost")
    label = str(verdict.get("label") or "cannot tell yet")
    items = section(data, "items")
    return {
        "study": "audit",
        "model": str(data.get("model") or "model"),
        "run": str(data.get("run") or ""),
        "headline": _headline(data, label),
        "label": label,
        "sentences": _sentences(data, verdict),
        "assurance": _assurance(verdict),
        "verdict_kinds": words.VERDICT_KINDS,
        "notes": [*_unfinished(data), *(str(note) for note in data.get("notes") or ())],
        "tiles": tiles(data),
        "forest": audit_figures.forest(data),
        "effects": _effects(data),
        "by_template": audit_figures.by_template(data),
        "looks": audit_figures.looks(data),
        "shares": _shares(data),
        "exchangeability": _exchangeability(data),
        "matches": _matches(data),
        "probes": [_probe(row) for row in rows(data, "probes") if row.get("status") != "skipped"],
        "skipped": [
            (str(r.get("title")), str(r.get("reason"))) for r in rows(data, "probes") if r.get("status") == "skipped"
        ],
        "comparisons": [_comparison(row) for row in _of_worlds(data)],
        "between_models": [_between_models(row) for row in rows(data, "comparisons") if row.get("kind") == "models"],
        "cells": [{**_cell(row), "items": _items(items.get(str(row.get("id"))))} for row in rows(data, "cells")],
        "pairs": [_pair(row) for row in rows(data, "pairs")],
        "known": [
            {"ok": bool(row.get("ok")), **{key: str(row.get(key) or "?") for key in ("name", "expected", "verdict")}}
            for row in rows(data, "known_answers")
        ],
        "examined": {
            name: {nature: str(section(said, nature).get("label") or "") for nature in ("reciter", "reasoner")}
            for name, said in section(data, "examined").items()
            if isinstance(said, Mapping)
        },
        "panel": audit_figures.panel(data),
        "panel_facts": _panel_facts(data),
        "tuning": _tuning(data),
        "input": section(data, "input"),
        "costs": [(name, say(cost.get(key))) for key, name, say in COSTS if finite(cost.get(key))],
        "command": words.command_of(data),
        "manifest": formats.flattened(section(data, "manifest")),
        "glossary": GLOSSARY,
    }


def write_picture(run_dir: Path) -> Path | None:
    """Write the forest of an audit as `forest.svg` beside its report, for documents; None where it has no effects."""
    chart = audit_figures.forest(read_report(run_dir))
    if chart is None:
        return None
    atomic_write(run_dir / PICTURE, standalone(chart))
    return run_dir / PICTURE


def tiles(data: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the figures that stand in large print."""
    found = []
    pooled = section(section(data, "instrument"), "pooled")
    if finite(pooled.get("value")) is not None:
        found.append({"name": "recitation share", "value": formats.percent(pooled["value"]), "note": _between(pooled)})
    kinds = {str(row.get("name")) for row in rows(data, "probes") if row.get("status") != "skipped"}
    if kinds:
        note = "probe run" if len(kinds) == 1 else "probes run"
        found.append({"name": "kinds of evidence", "value": str(len(kinds)), "note": note})
    questions = section(data, "cost").get("questions")
    if finite(questions):
        found.append({"name": "questions", "value": formats.count(questions), "note": ""})
    answers = section(data, "input").get("answers")
    if finite(answers):
        found.append({"name": "recorded answers", "value": formats.count(answers), "note": ""})
    failed = [row for row in rows(data, "comparisons") if row.get("understood") is False]
    if failed:
        found.append({"name": "worlds not understood", "value": str(len(failed)), "note": "comprehension check failed"})
    return found


def _unfinished(data: Mapping[str, Any]) -> list[str]:
    if section(data, "verdict"):
        return []
    return [f"This run has not come to a verdict. Continue it with {words.command_of(data)}; what was asked is kept."]


ITEM_TEXTS = ("problem", "completion", "question", "gold", "text", "verdict", "note", "model", "template")


def _items(found: Any) -> list[dict[str, Any]]:
    return [_item(row) for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item with every field that the page shows, whatever a report lacks."""
    texts = {key: "" if row.get(key) is None else str(row.get(key)) for key in ITEM_TEXTS}
    more = {key: None if row.get(key) is None else str(row.get(key)) for key in ("prompt", "answer", "reasoning")}
    return {**texts, **more, "extracted": section(row, "extracted")}


def _pair(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "family": str(row.get("family") or ""),
        "template": str(row.get("template") or ""),
        "original": _item(section(row, "original")),
        "variants": _items(row.get("variants")),
    }


def _between(cell: Mapping[str, Any]) -> str:
    return f"95 % interval {formats.percent(cell.get('low'))} to {formats.percent(cell.get('high'))}"


def _assurance(verdict: Mapping[str, Any]) -> str:
    basis = {
        "recitation share": "It rests on the recitation share.",
        "probes": "It rests on the probes together, because no originals are known that the model may have met.",
    }.get(str(verdict.get("basis")), "")
    return f"{words.assurance(verdict)} {basis}".strip()


def _effects(data: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            str(row.get("probe")),
            str(row.get("label")),
            _amount(row),
            formats.count(row.get("n")),
            formats.p_value(row.get("p")),
            formats.p_value(row.get("p_adjusted")) if row.get("primary") else "",
            {True: "passed", False: "failed", None: ""}[row.get("understood")],
            str(row.get("note") or ""),
        ]
        for row in rows(data, "forest")
    ]


def _amount(row: Mapping[str, Any]) -> str:
    if row.get("kind") in ("loss", "share"):
        return formats.estimate(row)
    value, low, high = (finite(row.get(key)) for key in ("value", "low", "high"))
    if value is None:
        return formats.NOTHING
    limits = "" if low is None or high is None else f" ({low:.3g} to {high:.3g})"
    return f"{value:.3g}{limits} {row.get('unit') or ''}".strip()


def _shares(data: Mapping[str, Any]) -> list[list[str]]:
    found = []
    for family, cell in section(section(data, "instrument"), "recitation_share").items():
        if isinstance(cell, Mapping):
            original, fresh = section(cell, "original"), section(cell, "fresh")
            found.append(
                [
                    family,
                    formats.estimate(cell),
                    formats.estimate(original),
                    formats.estimate(fresh),
                    formats.count(cell.get("n_items")),
                    formats.count(cell.get("n_variants")),
                    "yes" if section(cell, "match").get("matched") else "no",
                    str(cell.get("verdict") or ""),
                ]
            )
    return found


def _matches(data: Mapping[str, Any]) -> list[list[str]]:
    """Return, per family and feature, the means over originals and re-instantiations and how far they are apart."""
    found = []
    for family, cell in section(section(data, "instrument"), "recitation_share").items():
        for row in rows(section(cell, "match"), "rows") if isinstance(cell, Mapping) else []:
            means = (finite(row.get(key)) for key in ("original", "fresh", "shift"))
            shown = [formats.NOTHING if value is None else f"{value:.2f}" for value in means]
            found.append([f"{family}, {row.get('feature')}", *shown, "yes" if row.get("matched") else "no"])
    return found


def _exchangeability(data: Mapping[str, Any]) -> list[str]:
    blocks = section(section(data, "instrument"), "exchangeability").items()
    return [
        f"{family}: {block.get('sentence')}"
        for family, block in blocks
        if isinstance(block, Mapping) and block.get("sentence")
    ]


def _probe(row: Mapping[str, Any]) -> dict[str, Any]:
    finding = section(row, "finding")
    return {
        "name": str(row.get("name")),
        "title": str(row.get("title")),
        "source": str(row.get("source")),
        "sentence": str(row.get("sentence") or "").replace(" %", f"{formats.NARROW_SPACE}%"),
        "label": str(finding.get("label") or ""),
        "reason": str(finding.get("reason") or ""),
        "notes": [str(note) for note in row.get("notes") or ()],
        "curves": audit_figures.curves(row),
        "tables": [
            (title, list(body[0]), [[_shown(entry.get(name)) for name in body[0]] for entry in body])
            for title, body in section(row, "tables").items()
            if isinstance(body, list) and body and isinstance(body[0], Mapping)
        ],
        "smoke": bool(row.get("smoke")),
    }


def _shown(value: Any) -> str:
    if value is None:
        return formats.NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ", ".join(_shown(part) for part in value)
    return str(value)


def _of_worlds(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for row in rows(data, "comparisons") if row.get("kind") != "models"]


def _between_models(row: Mapping[str, Any]) -> list[str]:
    way = {True: "with working", False: "answers only", None: ""}[row.get("cot")]
    return [
        " ".join(part for part in (str(row.get("task")), str(row.get("world")), way) if part),
        f"{row.get('first_model')} {formats.percent(row.get('first_accuracy'))}",
        f"{row.get('second_model')} {formats.percent(row.get('second_accuracy'))}",
        _points(row),
        formats.count(row.get("n")),
        formats.p_value(row.get("p_adjusted")),
    ]


def _headline(data: Mapping[str, Any], label: str) -> str:
    """Say the verdict in a few words; with several models, one clause for each."""
    several = section(data, "verdicts")
    if len(several) < 2:
        return HEADLINES.get(label, HEADLINES["cannot tell yet"])
    clauses = [
        f"{name} {CLAUSES.get(str(said.get('label')), 'cannot be judged yet')}" for name, said in several.items()
    ]
    return "; ".join(clauses) + "."


def _sentences(data: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[str]:
    """Return the verdict in words, one paragraph for each model where there are several."""
    several = [
        str(said.get("sentence") or "") for said in section(data, "verdicts").values() if isinstance(said, Mapping)
    ]
    told = several if len(several) > 1 and all(several) else [str(verdict.get("sentence") or "")]
    return [text.replace(" %", f"{formats.NARROW_SPACE}%") for text in told]


def _comparison(row: Mapping[str, Any]) -> list[str]:
    way = {True: "with working", False: "answers only", None: ""}[row.get("cot")]
    return [
        " ".join(part for part in (str(row.get("task")), str(row.get("model") or ""), way) if part),
        f"{row.get('baseline_world')} → {row.get('world')}",
        formats.estimate({**row, "value": row.get("loss")}),
        formats.estimate(section(row, "share")),
        formats.percent(row.get("control_accuracy")),
        formats.p_value(row.get("p_adjusted")),
        "yes" if row.get("paired") else "no",
        str(row.get("verdict") or ""),
    ]


def _cell(row: Mapping[str, Any]) -> dict[str, Any]:
    way = {True: "with working", False: "answers only", None: ""}[row.get("cot")]
    lost = [
        f"{formats.percent(row.get(key))} {name}"
        for key, name in (("unparsed", "unparsed"), ("truncated", "cut off"))
        if finite(row.get(key))
    ]
    return {
        "id": str(row.get("id")),
        "name": " · ".join(str(p) for p in (row.get("task"), row.get("world"), row.get("model"), way) if p),
        "kind": "comprehension check" if row.get("control") else "baseline" if row.get("baseline") else "",
        "accuracy": formats.estimate({**row, "value": row.get("accuracy")}),
        "completed": formats.estimate(section(row, "completed")),
        "n": formats.count(row.get("n")),
        "lost": ", ".join(lost),
        "errors": formats.count(row.get("errors")) if row.get("errors") else "",
    }


def _panel_facts(data: Mapping[str, Any]) -> str:
    found = section(data, "panel")
    if not found:
        return ""
    auc, coverage = section(found, "auc"), section(found, "coverage")
    return (
        "On models whose nature is known the share tells reciters from reasoners with AUC "
        f"{finite(auc.get('value')) or 0:.3f}, and its 95 % interval "
        f"holds the true share in {formats.percent(coverage.get('value'))} of "
        f"{formats.count(coverage.get('n'))} audits; {formats.count(found.get('wrong_verdicts'))} of "
        f"{formats.count(found.get('checked_verdicts'))} verdicts were wrong."
    )


def _tuning(data: Mapping[str, Any]) -> dict[str, Any] | None:
    found = section(data, "tuning")
    if not found:
        return None
    body = [
        [
            f"{row.get('task')}, {row.get('condition')}",
            formats.count(row.get("n")),
            formats.count(row.get("gained")),
            formats.count(row.get("lost")),
            _points(row),
            formats.p_value(row.get("p_adjusted")),
        ]
        for row in rows(found, "rows")
    ]
    return {"first": found.get("first"), "second": found.get("second"), "sentence": found.get("sentence"), "body": body}


def _points(row: Mapping[str, Any]) -> str:
    change, low, high = (formats.points(row.get(key)) for key in ("difference", "low", "high"))
    return f"{change} ({low} to {high})"


def summary(data: Mapping[str, Any]) -> str:
    """Return the verdict and every piece of evidence in a few lines for a terminal."""
    data = formats.cleaned(data)
    verdict = section(data, "verdict")
    lines = [f"audit of {data.get('model')}", f"verdict  {verdict.get('label')}", f"         {verdict.get('sentence')}"]
    for family, cell in section(section(data, "instrument"), "recitation_share").items():
        lines.append(f"share    {family:<24} {formats.estimate(cell)}  {cell.get('verdict')}")
    for row in rows(data, "probes"):
        text = f"skipped: {row.get('reason')}" if row.get("status") == "skipped" else str(row.get("sentence") or "done")
        lines.append(f"probe    {row.get('name'):<13} {text}")
    compared = _of_worlds(data)
    for row in compared[:24]:
        cells = _comparison(row)
        lines.append(f"change   {cells[0]}: {cells[1]}  loss {cells[2]}  check {cells[4]}  {cells[7]}")
    if len(compared) > 24:
        lines.append(f"         ... and {len(compared) - 24} more in the report")
    found = section(data, "tuning")
    if found:
        lines.append(f"tuning   {found.get('sentence')}")
    lines += [f"note     {note}" for note in data.get("notes") or ()]
    lines.append(f"again    {words.command_of(data)}")
    return "\n".join(lines).replace(formats.NARROW_SPACE, " ")
