"""From a plan to a finished run directory: open or resume it, run the study, write report.json and report.html."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from menon.core.errors import Refused
from menon.core.progress import Progress
from menon.core.recipe import Section, dump_toml
from menon.core.seeds import content_id
from menon.models.load import load_tokenizer, source
from menon.models.machine import manifest
from menon.reports import write_arms, write_card, write_report
from menon.store import Run, atomic_write
from menon.studies.assemble import assemble
from menon.studies.bootstrap import bootstrap, doctor_report
from menon.studies.comparison import comparison
from menon.studies.material import Material, gather
from menon.studies.plan import Plan
from menon.studies.pretrain import pretrain
from menon.studies.recipe import Bootstrap, Comparison, Pretrain
from menon.teaching.doctor import DoctorReport
from menon.teaching.learner import Learner

REPORT = "report.json"


def execute(plan: Plan, *, fresh: bool, force: bool, progress: Progress) -> dict[str, Any]:
    """Run or resume the plan's study, write its reports, and return report.json with the run's path."""
    text = dump_toml(plan.recipe)
    material = gather(plan.recipe) if isinstance(plan.recipe, Bootstrap) else None
    if material and material.dataset:
        progress.say(material.dataset.summary())
    described = {**_manifest(plan.recipe, material, text), "command": plan.command}
    with Run.create_or_resume(plan.folder, recipe_toml=text, manifest=described, fresh=fresh) as run:
        try:
            report = _study(run, plan.recipe, material, force, progress)
        except Refused:
            # Nothing was done but the doctor's look: the mended command may use the same folder.
            if all(unit.stage == "doctor" for unit in run.units()):
                run.discard()
            raise
        report = {**report, "command": plan.command, "manifest": run.manifest}
        atomic_write(plan.folder / REPORT, json.dumps(report, indent=1, ensure_ascii=False))
        page = _write_page(plan, report)
    return {**report, "run": str(plan.folder), "page": str(page)}


def _write_page(plan: Plan, report: dict[str, Any]) -> Path:
    if isinstance(plan.recipe, Comparison):
        return write_arms(plan.folder, report)
    if isinstance(plan.recipe, Pretrain):
        return write_card(plan.folder, report)
    return write_report(plan.folder)


def diagnose(recipe: Bootstrap, out: Path | None, progress: Progress) -> DoctorReport:
    """Run only the doctor of a bootstrap recipe; `out` receives doctor.json."""
    material = gather(recipe)
    if material.dataset:
        progress.say(material.dataset.summary())
    learner = Learner(recipe.model, device=recipe.device, dtype=recipe.dtype, slots=recipe.slots)
    report = doctor_report(recipe, material, learner, progress)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        atomic_write(out / "doctor.json", json.dumps(report.to_json(), indent=1))
    return report


def _study(run: Run, recipe: Section, material: Material | None, force: bool, progress: Progress) -> dict[str, Any]:
    if isinstance(recipe, Pretrain):
        return pretrain(run, recipe, progress)
    if isinstance(recipe, Comparison):
        return comparison(run, recipe, progress)
    assert isinstance(recipe, Bootstrap)
    assert material is not None
    outcome = bootstrap(run, recipe, material, force=force, progress=progress)
    return assemble(run, recipe, material, outcome)


def _manifest(recipe: Section, material: Material | None, text: str) -> dict[str, Any]:
    hashes = {"recipe": content_id("recipe", text)}
    if isinstance(recipe, Bootstrap | Comparison):
        tokenizer = load_tokenizer(recipe.model)
        hashes["tokenizer"] = content_id("tokenizer", sorted(tokenizer.get_vocab().items()))
        if weights := weights_file_hash(recipe.model):
            hashes["weights"] = weights
    if material is not None:
        style = material.few_shot or material.style
        hashes["prompts"] = content_id("prompts", [style.prompt(problem) for problem in material.test[:20]])
    if isinstance(recipe, Bootstrap) and Path(recipe.data).is_file():
        hashes["data"] = _file_hash([Path(recipe.data)])
    return manifest(**hashes)


def weights_file_hash(model: str) -> str | None:
    """Return a hash of a local model's weight files, None for a hub id."""
    folder = source(model)
    return _file_hash(sorted(folder.glob("*.safetensors"))) if isinstance(folder, Path) else None


def _file_hash(paths: list[Path]) -> str:
    digest = sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:20]
