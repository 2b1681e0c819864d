"""report.json of an audit: the verdict, the forest of effects, cells, comparisons, and the items behind them."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from menon.auditing.contrasts import Cell, Contrast, cells_of, with_p_adjusted
from menon.auditing.probe import Answered, Effect, ProbeReport
from menon.models.machine import peak_memory_mb
from menon.stats import holm
from menon.store import Run
from menon.studies.audit.asking import Spent
from menon.studies.audit.instrument import InstrumentResult
from menon.studies.audit.items import cell_items, pair_items
from menon.studies.audit.live import LiveAudit
from menon.studies.audit.recipe import AuditRecipe
from menon.studies.audit.tuning import tuning
from menon.studies.audit.verdict import adjusted, overall, sentence

SCHEMA = 1


def assemble(
    run: Run,
    recipe: AuditRecipe,
    *,
    model: str,
    instrument: InstrumentResult | None,
    reports: Sequence[ProbeReport],
    spent: Spent | None = None,
    examined: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
    extra_cells: Sequence[Cell] = (),
    extra_contrasts: Sequence[Contrast] = (),
    against: tuple[LiveAudit, LiveAudit] | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the report; equal answers give an equal report, apart from measured times and memory."""
    shares = _share_effects(instrument)
    done, corrected = adjusted(reports, shares)
    report = instrument.report if instrument else None
    finding, basis = overall(report, done)
    cells = [*(cell for r in done for cell in r.cells), *extra_cells]
    if instrument is not None:
        cells = [*cells_of("instrument", instrument.answered, level=recipe.config().level), *cells]
    contrasts = [*(row for r in done for row in r.contrasts), *extra_contrasts]
    contrasts = list(with_p_adjusted(contrasts, holm([row.p for row in contrasts]))) if contrasts else []
    forest = [{"probe": "recitation share", "group": "recitation share", **effect.to_json()} for effect in corrected]
    forest += [{"probe": r.name, "group": r.title, **effect.to_json()} for r in done for effect in r.effects]
    seconds = run.seconds()
    return {
        "schema": SCHEMA,
        "study": "audit",
        "model": model,
        "against": recipe.against or None,
        "run": run.path.name,
        "verdict": {
            "label": str(finding.label),
            "sentence": sentence(finding, basis, report, done),
            "reason": finding.reason,
            "needed": finding.needed,
            "error_rate": recipe.config().error_rate,
            "basis": basis,
            "checked": _checked(instrument, examined),
        },
        "instrument": None if instrument is None else instrument_json(instrument),
        "known_answers": [] if report is None or report.known is None else report.known.to_json(),
        "examined": dict(examined or {}),
        "probes": [r.to_json() for r in done],
        "cells": [cell.to_json() for cell in cells],
        "comparisons": [row.to_json() for row in contrasts],
        "forest": forest,
        "tuning": None if against is None else _tuning(*against, recipe),
        "panel": panel(),
        "pairs": [] if instrument is None else pair_items(_pairs(instrument), instrument.answered, 3 * recipe.items),
        "items": cell_items(cells, recipe.items),
        "input": dict(given) if given else None,
        "notes": [*(instrument.notes if instrument else ()), *notes],
        "cost": {
            "questions": spent.questions if spent else 0,
            "sampled_tokens": spent.sampled_tokens if spent else 0,
            "prompt_tokens": spent.prompt_tokens if spent else 0,
            "money": spent.money if spent else 0.0,
            "seconds": seconds,
            "peak_memory_mb": peak_memory_mb(),
        },
        "tokens": (spent.sampled_tokens + spent.prompt_tokens) if spent else 0,
        "seconds": seconds,
    }


def instrument_json(instrument: InstrumentResult) -> dict[str, Any]:
    """Return the instrument's block: shares per family, looks, originals against re-instantiations per template."""
    report = instrument.report
    return {
        **{
            key: value
            for key, value in report.to_json().items()
            if key in ("accuracy", "by_difficulty", "original_by_difficulty", "recitation_share", "pooled")
        },
        "looks": instrument.looks,
        "exchangeability": instrument.exchangeability,
        "per_template": _per_template(instrument),
        "controls": list(report.config.controls),
        "sources": {pool.name: pool.source for pool in instrument.pools},
    }


def panel() -> dict[str, Any] | None:
    """Return the calibration panel that ships with the package; None where it was never run."""
    file = files("menon.auditing") / "panel.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _share_effects(instrument: InstrumentResult | None) -> list[Effect]:
    """Return the share of each family that is no control as a row of the forest."""
    if instrument is None:
        return []
    rows = []
    for name, family in instrument.report.families.items():
        share = family.share_judged
        if share is None or share.value is None:
            continue
        control = name in instrument.report.config.controls
        test = instrument.exchangeability.get(name, {})
        rows.append(
            Effect(
                label=f"{name}{' (control)' if control else ''}",
                value=share.value,
                low=-1.0 if share.low is None else share.low,
                high=1.0 if share.high is None else share.high,
                n=share.n_items,
                kind="share",
                unit="recitation share",
                p=None if control else test.get("p"),
                primary=not control and test.get("p") is not None,
                note=str(family.finding.label),
            )
        )
    return rows


def _pairs(instrument: InstrumentResult) -> list[Any]:
    return [pair for family in instrument.report.families.values() for pair in family.pairs]


def _per_template(instrument: InstrumentResult) -> list[dict[str, Any]]:
    rows = []
    for name, family in instrument.report.families.items():
        for pair in family.pairs:
            fresh = pair.fresh_outcomes()
            rows.append(
                {
                    "family": name,
                    "template": pair.original.template or pair.original.id,
                    "problem": pair.original.id,
                    "difficulty": pair.original.difficulty,
                    "original": pair.outcome(),
                    "fresh": sum(fresh) / len(fresh) if fresh else None,
                    "n": len(fresh),
                }
            )
    return rows


def _checked(instrument: InstrumentResult | None, examined: Mapping[str, Any] | None) -> bool:
    return bool((instrument is not None and instrument.report.known is not None) or examined)


def _tuning(first: LiveAudit, second: LiveAudit, recipe: AuditRecipe) -> dict[str, Any]:
    return {
        "first": first.subject.name,
        "second": second.subject.name,
        **tuning(_answers(first), _answers(second), recipe.config()),
        "verdicts": {
            audit.subject.name: overall(audit.instrument.report if audit.instrument else None, audit.reports)[
                0
            ].to_json()
            for audit in (first, second)
        },
    }


def _answers(audit: LiveAudit) -> dict[str, Sequence[Answered]]:
    found: dict[str, Sequence[Answered]] = dict(audit.answered)
    if audit.instrument is not None:
        found["instrument"] = audit.instrument.answered
    return found
