"""Ask a live model: the instrument first, then the probes in the recipe's order, each as resumable units."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from menon.auditing.probe import Answered, Material, Probe, ProbeReport, Question, skipped
from menon.auditing.probes import PROBES
from menon.core.errors import ConfigError, SamplerError
from menon.core.progress import Progress
from menon.core.values import Problem
from menon.problems.datasets import load_problems
from menon.store import Run
from menon.studies.audit.asking import Interview, Spent
from menon.studies.audit.instrument import InstrumentResult, run_instrument
from menon.studies.audit.models import Subject
from menon.studies.audit.pools import pools
from menon.studies.audit.recipe import AuditRecipe
from menon.studies.audit.standins import examine, withdrawn

ANSWERS_PER_MEASURE = 8  # a probe that asks by itself asks each problem about this often
# What the embedded model's language has words for; other probes would only find that it cannot read them.
EMBEDDED_PROBES = ("data", "memorisation", "frequency", "horizon", "overthinking")


@dataclass(slots=True)
class LiveAudit:
    """Everything found on one model; `answered` holds every answer behind the probes, by probe."""

    subject: Subject
    instrument: InstrumentResult | None
    reports: list[ProbeReport] = field(default_factory=list)
    answered: dict[str, list[Answered]] = field(default_factory=dict)
    examined: dict[str, dict[str, Any]] = field(default_factory=dict)
    spent: Spent | None = None
    trouble: str = ""
    notes: list[str] = field(default_factory=list)


def audit_live(
    run: Run, recipe: AuditRecipe, spec: str, progress: Progress, *, same_as: LiveAudit | None = None
) -> LiveAudit:
    """Audit the model `spec`; with `same_as`, exactly the questions that the other audit asked, without stopping early.

    Raises:
        ConfigError, DataError: what the recipe names cannot be used. SamplerError: the model cannot be opened, or
            answered nothing at all.
    """
    subject = Subject(spec, recipe, think=None if same_as else recipe.think)
    spent = Spent(recipe.budget)
    style = subject.style()
    interview = Interview(
        run=run,
        model=spec,
        sampler=subject.sampler,
        style=style,
        cot=recipe.cot == "yes",
        max_tokens=recipe.max_tokens or style.max_tokens,
        block=recipe.block,
        spent=spent,
        progress=progress,
        temperature=recipe.temperature,
        stage="against" if same_as else "ask",
    )
    problems = _data(recipe, progress)
    _check_corpus(recipe)
    found = pools(recipe, embedded=subject.embedded, progress=progress)
    before = same_as.instrument if same_as else None
    instrument = run_instrument(interview, found, recipe, scores=subject.scores, same_as=before) if found else None
    result = LiveAudit(subject=subject, instrument=instrument, spent=spent)
    for name in chosen(recipe, subject):
        probe: Probe = PROBES.get(name)
        material = _material(recipe, subject, name, problems, progress)
        report = _probe(run, interview, probe, material, result)
        result.reports.append(report)
    if interview.trouble and not spent.questions:
        raise SamplerError(f"{spec} answered nothing: {interview.trouble}")
    result.trouble = interview.trouble
    result.notes = _unfinished(interview)
    return result


def _unfinished(interview: Interview) -> list[str]:
    """Say what was not asked to the end, and why."""
    names = ", ".join(dict.fromkeys(interview.unfinished))
    if not names:
        return []
    if interview.trouble:
        return [
            f"Not all was answered ({names}), because requests failed: {interview.trouble}. The same command asks "
            "again and keeps what was answered."
        ]
    return [f"The budget was spent before all questions were asked: {names}."]


def chosen(recipe: AuditRecipe, subject: Subject) -> list[str]:
    """Return the names of the probes to run, in order."""
    if recipe.probes == ("none",):
        return []
    if recipe.probes == ("all",):
        return PROBES.names()
    if recipe.probes == ("auto",):
        return [name for name in PROBES.names() if not subject.embedded or name in EMBEDDED_PROBES]
    return list(dict.fromkeys(recipe.probes))


def _probe(run: Run, interview: Interview, probe: Probe, material: Material, result: LiveAudit) -> ProbeReport:
    objection = probe.objection(material)
    if objection is not None:
        return skipped(probe, objection)
    questions = probe.questions(material)
    if questions and interview.spent.left == 0:
        return skipped(probe, "the budget was spent before this probe")
    answered = interview.ask(questions, probe.name)
    if questions and not answered:
        return skipped(probe, f"every request failed: {interview.trouble}")
    result.answered[probe.name] = answered
    measured = _measured(run, interview, probe, material)
    return judged(probe, answered, measured, material, result.examined)


def _measured(run: Run, interview: Interview, probe: Probe, material: Material) -> list[dict[str, Any]]:
    """Return what the probe measures beside answers, as one unit; nothing where the budget is spent.

    A row that holds a `verdict` is an answer that the probe asked for itself, and counts against the budget.
    """
    stage = f"measure-{interview.stage}"
    left = interview.spent.left
    if left == 0:
        interview.unfinished.append(f"{probe.name} (measurements)")
        return []
    if left is not None:
        material = replace(material, per_cell=max(1, min(material.per_cell, left // ANSWERS_PER_MEASURE)))

    def compute(writer: Any) -> dict[str, Any]:
        rows, asked, tokens = 0, 0, 0
        for row in probe.measure(material):
            writer.add("measured", row)
            rows += 1
            if "verdict" in row:
                asked += 1
                tokens += sum(row.get(name, 0) for name in ("thinking_tokens", "closing_tokens"))
        return {"rows": rows, "asked": asked, "prompt_tokens": 0, "sampled_tokens": tokens}

    interview.spent.add(run.unit(stage, probe.name, compute=compute))
    return list(run.records("measured", stage=stage, names_prefix=(probe.name,)))


def judged(
    probe: Probe,
    answered: Sequence[Answered],
    measured: Sequence[dict[str, Any]],
    material: Material,
    examined: dict[str, dict[str, Any]],
) -> ProbeReport:
    """Return the probe's report; its finding is withdrawn where the probe does not know the stand-ins apart."""
    report = probe.report(answered, measured, material)
    if report.finding is None or not answered or not report.finding.conclusive:
        return report
    said = examine(probe, _asked(answered), material)
    examined[probe.name] = {nature: None if f is None else f.to_json() for nature, f in said.items()}
    finding = withdrawn(report.finding, said)
    if finding is report.finding:
        return report
    return replace(report, finding=finding, notes=(*report.notes, f"No verdict: {finding.reason}."))


def _asked(answered: Sequence[Answered]) -> list[Question]:
    """Return the distinct questions behind the answers of one model."""
    seen: dict[tuple[str, str, str, bool | None, str], Question] = {}
    for item in answered:
        q = item.question
        seen.setdefault((q.problem.id, q.task, q.condition, q.cot, q.pair), q)
    return list(seen.values())


def _check_corpus(recipe: AuditRecipe) -> None:
    for path in recipe.corpus:
        if not Path(path).exists():
            raise ConfigError(
                f"no training text at {path!r}; --corpus wants a text, JSONL or Parquet file, or a folder"
            )


def _data(recipe: AuditRecipe, progress: Progress) -> tuple[Problem, ...]:
    if not recipe.data:
        return ()
    loaded = load_problems(recipe.data, split=recipe.split or None, map=recipe.map or None, limit=recipe.limit or None)
    progress.say(loaded.summary())
    return tuple(loaded.problems)


def _material(
    recipe: AuditRecipe, subject: Subject, name: str, problems: tuple[Problem, ...], progress: Progress
) -> Material:
    return Material(
        model=subject.spec,
        seed=recipe.seed,
        per_cell=recipe.per_cell,
        style=subject.style().name,
        cot=recipe.cot == "yes",
        live=True,
        scores=subject.scores,
        sampler=subject.sampler,
        problems=problems,
        corpus=tuple(Path(path) for path in recipe.corpus),
        templates=tuple(Path(path) for path in recipe.templates),
        options=recipe.probe.get(name, {}),
        config=recipe.config(),
        progress=progress,
    )
