"""From flags to a finished audit directory: recipe, run, answers, report.json and report.html."""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError, SamplerError
from menon.core.progress import Progress, Silent
from menon.core.recipe import dump_toml, load_recipe
from menon.core.seeds import content_id
from menon.models.machine import manifest
from menon.reports import write_picture, write_report
from menon.store import Run, atomic_write
from menon.studies.audit.assemble import assemble
from menon.studies.audit.live import audit_live
from menon.studies.audit.recipe import AuditRecipe
from menon.studies.audit.recorded import audit_recorded

REPORT = "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """A checked recipe, the run directory it goes to, and the command that asked for it."""

    recipe: AuditRecipe
    folder: Path
    command: str

    @property
    def recorded(self) -> bool:
        return bool(self.recipe.recorded) or self.recipe.model.startswith("recorded:")


def audit_plan(
    models: Sequence[str] = (),
    *,
    recipe: str = "audit",
    flags: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    out: Path | None = None,
) -> AuditPlan:
    """Return the plan that the arguments of `menon audit` describe.

    Several models are only taken where all of them are files of responses.

    Raises:
        ConfigError: a recipe that cannot be used, or models that cannot be audited together.
    """
    if len(models) > 1 and not all(name.startswith("recorded:") for name in models):
        raise ConfigError(
            f"got {len(models)} models; one is audited at a time. To compare two: menon audit {models[0]} "
            f"--against {models[1]}. Several are taken only as recorded:FILE"
        )
    changes = []
    words = ["menon", "audit", *models]
    if models:
        changes.append(f"model={json.dumps(models[0] if len(models) == 1 else f'{len(models)} files of responses')}")
    if models and models[0].startswith("recorded:"):
        changes.append(f"recorded={json.dumps(list(models))}")
    if recipe != "audit":
        words += ["--recipe", recipe]
    for key, value in (flags or {}).items():
        if value in (None, (), [], {}):
            continue
        if key == "map":
            changes += [f"map.{name}={json.dumps(column)}" for name, column in value.items()]
            words += [word for name, column in value.items() for word in ("--map", f"{name}={column}")]
            continue
        changes.append(f"{key}={json.dumps(value)}")
        if key == "think.where":
            words.append("--think")
            continue
        flag = "--" + key.replace("budget.price", "price").replace(".", "-").replace("_", "-")
        several = value if isinstance(value, list | tuple) else [value]
        for part in [",".join(several)] if key == "probes" else several:
            words += [flag, str(part)]
    checked = load_recipe(recipe, AuditRecipe, [*changes, *overrides])
    words += [*(["--out", str(out)] if out else []), *(word for item in overrides for word in ("--set", item))]
    folder = out or Path("runs") / f"audit-{content_id('recipe', dump_toml(checked))[:8]}"
    return AuditPlan(recipe=checked, folder=folder, command=shlex.join(words))


def run_audit(plan: AuditPlan, *, fresh: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Run or resume an audit, write its reports, and return report.json with the run's path.

    Raises:
        ConfigError, DataError: something named in the recipe cannot be used. SamplerError: no model.
        RunError: the folder cannot be used. The model stopped answering: SamplerError, after the reports are written.
    """
    progress = progress or Silent()
    text = dump_toml(plan.recipe)
    described = {**manifest(recipe=content_id("recipe", text)), "command": plan.command, "study": "audit"}
    described["model"] = plan.recipe.model
    with Run.create_or_resume(plan.folder, recipe_toml=text, manifest=described, fresh=fresh) as run:
        try:
            report = _audit(run, plan, progress)
        except BaseException:
            if not run.units():  # nothing was asked: a mended command may use the same folder
                run.discard()
            raise
        report = {**_finite(report), "command": plan.command, "manifest": run.manifest}
        atomic_write(plan.folder / REPORT, json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False))
        page = write_report(plan.folder)
        write_picture(plan.folder)
    if report.get("trouble"):
        raise SamplerError(
            f"not all questions were answered: {report['trouble']}. The report on the others is {str(page)!r}; "
            "the same command asks again and keeps what was answered"
        )
    return {**report, "run": str(plan.folder), "page": str(page)}


def _thought(recipe: AuditRecipe) -> list[str]:
    """Say which model thought, and where."""
    if recipe.think is None or recipe.think.where == "never":
        return []
    where = "every token" if recipe.think.where == "every" else f"tokens of high {recipe.think.where}"
    other = f"; {recipe.against}, compared with it, did not think" if recipe.against else ""
    return [f"{recipe.model} thought before {where} of its answers{other}."]


def _finite(value: Any) -> Any:
    """Return JSON values with null for every number that JSON has no word for, such as a limit at infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list | tuple) else value


def _audit(run: Run, plan: AuditPlan, progress: Progress) -> dict[str, Any]:
    if plan.recorded:
        return audit_recorded(run, plan.recipe, progress)
    first = audit_live(run, plan.recipe, plan.recipe.model, progress)
    second = None
    if plan.recipe.against:
        second = audit_live(run, plan.recipe, plan.recipe.against, progress, same_as=first)
    return assemble(
        run,
        plan.recipe,
        model=plan.recipe.model,
        instrument=first.instrument,
        reports=first.reports,
        spent=first.spent,
        examined=first.examined,
        against=None if second is None else (first, second),
        notes=[*_thought(plan.recipe), *first.notes, *(second.notes if second else ())],
    ) | {"trouble": first.trouble or (second.trouble if second else "")}
