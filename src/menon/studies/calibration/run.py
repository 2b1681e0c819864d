"""Run the calibration panel and write what it found: report.json, calibration.md with its picture, panel.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from menon.auditing import AuditConfig
from menon.core.progress import Progress, Silent
from menon.core.recipe import dump_toml, load_recipe
from menon.core.seeds import content_id
from menon.models.machine import manifest
from menon.problems import FAMILIES
from menon.problems.corpus import originals
from menon.sampling import open_sampler
from menon.sampling.asking import Asking, Graded, ask
from menon.sampling.protocol import bind_problems
from menon.stats import wilson
from menon.stats.ranking import auc
from menon.store import Run, atomic_write
from menon.studies.calibration.audits import Population, audit_population, mixtures
from menon.studies.calibration.members import STYLE, answers, members, questions
from menon.studies.calibration.page import lines, write_page
from menon.studies.calibration.recipe import CalibrationRecipe

STAND_INS = (
    ("scripted:oracle?p=0.9", 0.0),
    ("scripted:oracle?p=0.6", 0.0),
    ("scripted:mixture?share=0.25&p=0.9", 0.25),
    ("scripted:mixture?share=0.5&p=0.9", 0.5),
    ("scripted:mixture?share=0.75&p=0.9", 0.75),
    ("scripted:reciter", 1.0),
)
RECITER_FROM, REASONER_TO = 0.5, 0.1  # planted shares that count as reciter and as reasoner for the AUC
AUDITS_OF_A_MIXTURE = 20


def run_calibration(
    recipe: CalibrationRecipe | None = None,
    *,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    fresh: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train or read back the panel, audit every member, and return the findings with the lines to print.

    Raises:
        ConfigError: the recipe cannot be used. RunError: the folder cannot.
    """
    progress = progress or Silent()
    recipe = recipe or load_recipe("calibration", CalibrationRecipe, overrides)
    folder = out or Path("runs") / "calibration"
    text = dump_toml(recipe)
    described = {**manifest(recipe=content_id("recipe", text)), "study": "calibration", "model": recipe.model}
    with Run.create_or_resume(folder, recipe_toml=text, manifest=described, fresh=fresh) as run:
        found = _panel(run, recipe, progress)
        report = {"schema": 1, "study": "calibration", "model": recipe.model, **found, "manifest": run.manifest}
        atomic_write(folder / "report.json", json.dumps(report, indent=1))
        atomic_write(folder / "panel.json", json.dumps(_short(found), indent=1) + "\n")
        page = write_page(folder, found)
    return {**_short(found), "run": str(folder), "page": str(page), "lines": [*lines(found), f"page: {page}"]}


def _panel(run: Run, recipe: CalibrationRecipe, progress: Progress) -> dict[str, Any]:
    config = AuditConfig(seed=recipe.seed)
    trained = [
        audit_population(
            _population(m.name, m.share, questions(recipe, m), answers(run, recipe, m, progress)), recipe, config
        )
        for m in members(recipe)
    ]
    progress.say("auditing stand-ins")
    scripted = [audit_population(_scripted(spec, share, recipe), recipe, config) for spec, share in STAND_INS]
    few = recipe.model_copy(update={"audits": AUDITS_OF_A_MIXTURE})
    drawn = [audit_population(population, few, config) for population in mixtures(recipe)]
    everything = [*trained, *scripted]
    return {
        "models": [_without(row) for row in trained],
        "stand_ins": [_without(row) for row in scripted],
        "mixtures": _pooled(drawn),
        "auc": _auc(everything),
        "coverage": _coverage(everything),
        "coverage_models": _coverage(trained),
        "bias": max((row["bias"] for row in everything), key=abs),
        "wrong_verdicts": sum(row["wrong_verdicts"] for row in everything),
        "checked_verdicts": sum(sum(row["verdicts"].values()) for row in everything),
        "audit": {"originals": recipe.audit_templates, "variants": recipe.audit_variants, "audits": recipe.audits},
    }


def _population(name: str, planted: float, asked: Sequence[tuple[Any, str]], graded: Sequence[Graded]) -> Population:
    outcome = {item.problem.id: item.grade.score for item in graded}
    heads = [problem for problem, of in asked if not of]
    fresh: dict[str, list[float]] = {problem.id: [] for problem in heads}
    for problem, of in asked:
        if of:
            fresh[of].append(outcome[problem.id])
    kept = [problem for problem in heads if fresh[problem.id]]
    fewest = min(len(fresh[problem.id]) for problem in kept)
    return Population(
        name=name,
        planted=planted,
        originals=tuple(outcome[problem.id] for problem in kept),
        variants=tuple(tuple(fresh[problem.id][: max(fewest, 1)]) for problem in kept),
        problems=tuple(kept),
    )


def _scripted(spec: str, planted: float, recipe: CalibrationRecipe) -> Population:
    family = FAMILIES.get("chain")
    asked = []
    for original in originals(family)[: recipe.originals]:
        asked.append((original, ""))
        asked += [(family.variant(original, number), original.id) for number in range(recipe.variants)]
    problems = [problem for problem, _ in asked]
    sampler = open_sampler(spec)
    bind_problems(sampler, problems)
    return _population(spec, planted, asked, ask(sampler, problems, Asking(style=STYLE)))


def _auc(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how well the estimated share tells reciters from reasoners, one score per audit."""
    reciters = [share for row in rows if row["planted"] >= RECITER_FROM for share in row["shares"]]
    reasoners = [share for row in rows if row["planted"] <= REASONER_TO for share in row["shares"]]
    return auc(reciters, reasoners).to_json()


def _coverage(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    audits = sum(row["audits"] for row in rows)
    return wilson(sum(row["coverage"]["value"] * row["audits"] for row in rows), audits).to_json()


def _pooled(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mixtures in bands of their true share."""
    bands = [(0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 1.01)]
    found = []
    for low, high in bands:
        inside = [row for row in rows if low <= max(0.0, row["truth"]) < high]
        if inside:
            bias = sum(row["bias"] for row in inside) / len(inside)
            width = sum(row["width"] for row in inside) / len(inside)
            found.append(
                {"low": low, "high": min(high, 1.0), "models": len(inside), "bias": bias, "width": width}
                | {"coverage": _coverage(inside)}
            )
    return found


def _without(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "shares"}


def _short(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in ("lines",)}
