"""Audit responses on file: no model is asked; the same probes judge what was read."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from menon.auditing.probe import Answered, Material, ProbeReport
from menon.auditing.probes import PROBES
from menon.auditing.recorded import model_contrasts, read_recorded, recorded_cells, recorded_contrasts
from menon.auditing.recorded.values import Recorded
from menon.auditing.verdict import Finding, cannot_tell, combine
from menon.core.progress import Progress
from menon.core.seeds import content_id
from menon.problems.datasets import load_problems
from menon.sampling.asking import Graded, to_record
from menon.stats import holm
from menon.store import Run
from menon.studies.audit.assemble import assemble
from menon.studies.audit.live import judged
from menon.studies.audit.recipe import AuditRecipe

SHOWN_SKIPS = 200


def audit_recorded(run: Run, recipe: AuditRecipe, progress: Progress) -> dict[str, Any]:
    """Read, grade, store and judge the files that the recipe names, and return the report.

    Raises:
        ConfigError: no such file. DataError: no row that can be used.
    """
    specs = recipe.recorded or (recipe.model,)
    problems = _problems(recipe, progress)
    recorded = read_recorded(specs, problems=problems, map=recipe.map or None)
    for line in recorded.say:
        progress.say(line)
    _store(run, recorded)
    config = recipe.config()
    cells = recorded_cells(recorded, level=config.level)
    contrasts = recorded_contrasts(cells, config=config)
    reports, verdicts, examined = _judge(recipe, recorded)
    models = model_contrasts(cells, config=config)
    adjusted = holm([row.p for row in models]) if models else []
    report = assemble(
        run,
        recipe,
        model=", ".join(recorded.models) or recipe.model,
        instrument=None,
        reports=reports,
        examined=examined,
        extra_cells=cells,
        extra_contrasts=contrasts,
        given=_given(recorded),
    )
    report["comparisons"] += [
        replace(row, p_adjusted=float(p)).to_json() for row, p in zip(models, adjusted, strict=True)
    ]
    sentences = _sentences(verdicts, reports)
    report["verdicts"] = {m: {**finding.to_json(), "sentence": sentences[m]} for m, finding in verdicts.items()}
    report["verdict"] |= _verdict(verdicts, sentences)
    return report


def _judge(
    recipe: AuditRecipe, recorded: Recorded
) -> tuple[list[ProbeReport], dict[str, Finding], dict[str, dict[str, Any]]]:
    """Return the probes' reports model by model, each model's verdict, and what the stand-ins' examination said."""
    reports: list[ProbeReport] = []
    verdicts: dict[str, Finding] = {}
    examined: dict[str, dict[str, Any]] = {}
    for model in recorded.models:
        findings: dict[str, Finding] = {}
        for name in recorded.probes:
            answered = [a for part in recorded.parts if part.probe == name for a in part.answered if a.model == model]
            if not answered or name not in PROBES.names():
                continue
            said: dict[str, dict[str, Any]] = {}
            report = judged(PROBES.get(name), answered, [], _material(recipe, model, name), said)
            title = f"{report.title} — {model}" if len(recorded.models) > 1 else report.title
            reports.append(replace(report, title=title, cells=(), contrasts=()))
            examined |= {f"{key}, {model}": value for key, value in said.items()}
            if report.finding is not None and not report.smoke:
                findings[name] = report.finding
        verdicts[model] = (
            next(iter(findings.values()))
            if len(findings) == 1
            else combine(findings)
            if findings
            else cannot_tell("the answers on file are of one condition only, so nothing can be compared")
        )
    return reports, verdicts, examined


def _sentences(verdicts: dict[str, Finding], reports: Sequence[ProbeReport]) -> dict[str, str]:
    """Return each model's verdict in words."""
    sentences = {}
    for name, said in verdicts.items():
        told = [r.sentence for r in reports if r.sentence and (len(verdicts) == 1 or r.title.endswith(f" — {name}"))]
        reason = f"{said.reason[:1].upper()}{said.reason[1:]}."
        sentences[name] = f"{name}: {said.label}. {' '.join(told) or reason}"
    return sentences


def _verdict(verdicts: dict[str, Finding], sentences: dict[str, str]) -> dict[str, Any]:
    """Return label, reason and sentence over all models on file."""
    finding = next(iter(verdicts.values())) if len(verdicts) == 1 else combine(verdicts)
    return {
        "label": str(finding.label),
        "reason": finding.reason,
        "needed": finding.needed,
        "sentence": " ".join(sentences.values()),
        "basis": "probes",
    }


def _material(recipe: AuditRecipe, model: str, name: str) -> Material:
    return Material(
        model=model,
        seed=recipe.seed,
        per_cell=recipe.per_cell,
        live=False,
        options=recipe.probe.get(name, {}),
        config=recipe.config(),
    )


def _problems(recipe: AuditRecipe, progress: Progress) -> tuple[Any, ...]:
    if not recipe.data:
        return ()
    loaded = load_problems(recipe.data, split=recipe.split or None, limit=recipe.limit or None)
    progress.say(loaded.summary())
    return tuple(loaded.problems)


def _store(run: Run, recorded: Recorded) -> None:
    """Keep every graded answer; a changed file is another unit."""
    answered = recorded.answered

    def compute(writer: Any) -> dict[str, Any]:
        for item in answered:
            writer.add("graded", _record(item))
        return {"answers": len(answered)}

    digest = sha256()
    for item in answered:
        digest.update(f"{item.completion.id}\n{item.question.problem.id}\n".encode())
    run.unit("recorded", content_id("recorded", digest.hexdigest()), compute=compute)


def _record(item: Answered) -> dict[str, Any]:
    graded = Graded(problem=item.question.problem, completion=item.completion, grade=item.grade)
    question = item.question
    return to_record(graded, task=question.task, condition=question.condition, world=question.problem.world)


def _given(recorded: Recorded) -> dict[str, Any]:
    return {
        "files": [
            {"path": Path(f.path).name, "layout": f.layout, "rows": f.rows, "used": f.used} for f in recorded.files
        ],
        "layout": recorded.layout,
        "answers": len(recorded.answered),
        "lines": [str(file) for file in recorded.files],
        "readings": [part.reading for part in recorded.parts],
        "skipped": [str(skip) for skip in recorded.skipped[:SHOWN_SKIPS]],
        "skipped_count": len(recorded.skipped),
    }
