"""Studies: recipes that join the packages below; the main job lives here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menon.core.progress import Progress, Silent

if TYPE_CHECKING:
    from menon.teaching.doctor import DoctorReport
    from menon.teaching.quiet.doctor import QuietDoctorReport

__all__ = ["run_doctor", "run_study", "run_teach_quiet_star", "run_teach_star"]


def run_study(
    recipe: str,
    *,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    fresh: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run or resume the study that `recipe` (a built-in name or a TOML path) describes, and return its report.

    Raises:
        ConfigError: the recipe cannot be used. RunError: the run directory cannot. Refused: the doctor says no.
    """
    from menon.studies.audit.recipe import AuditRecipe
    from menon.studies.calibration.recipe import CalibrationRecipe
    from menon.studies.code_mixture.recipe import CodeMixture
    from menon.studies.flowcharts_recipe import FlowchartsRecipe
    from menon.studies.plan import study_plan
    from menon.studies.procedural.recipe import ProceduralStudy
    from menon.studies.quiet.recipe import QuietStudy
    from menon.studies.quiet.teach_recipe import QuietStar
    from menon.studies.solve.recipe import SolveRecipe
    from menon.studies.trace.recipe import TraceRecipe

    plan = study_plan(recipe, overrides, out)
    if isinstance(plan.recipe, AuditRecipe):
        from menon.studies.audit.run import AuditPlan, run_audit

        audit = AuditPlan(recipe=plan.recipe, folder=plan.folder, command=plan.command)
        return run_audit(audit, fresh=fresh, progress=progress)
    if isinstance(plan.recipe, CalibrationRecipe):
        from menon.studies.calibration import run_calibration

        return run_calibration(plan.recipe, out=plan.folder, fresh=fresh, progress=progress)
    if isinstance(plan.recipe, FlowchartsRecipe):
        from menon.studies.flowcharts import run_flowcharts

        return run_flowcharts(plan.recipe, out=plan.folder, fresh=fresh, progress=progress)
    if isinstance(plan.recipe, SolveRecipe):
        from menon.studies.solve import SolvePlan, run_solve

        return run_solve(
            SolvePlan(recipe=plan.recipe, folder=plan.folder, command=plan.command), fresh=fresh, progress=progress
        )
    if isinstance(plan.recipe, QuietStudy):
        from menon.studies.quiet.study import run_quiet

        return run_quiet(plan.recipe, out=plan.folder, command=plan.command, fresh=fresh, progress=progress)
    if isinstance(plan.recipe, QuietStar):
        from menon.studies.quiet.teach import run_quiet_star

        return run_quiet_star(plan.forced(force), fresh=fresh, force=force, progress=progress)
    if isinstance(plan.recipe, TraceRecipe):
        from menon.studies.trace.study import TracePlan, run_trace

        return run_trace(
            TracePlan(recipe=plan.recipe, folder=plan.folder, command=plan.command), fresh=fresh, progress=progress
        )
    if isinstance(plan.recipe, ProceduralStudy):
        from menon.studies.procedural.study import run_procedural

        return run_procedural(plan.recipe, out=plan.folder, command=plan.command, fresh=fresh, progress=progress)
    if isinstance(plan.recipe, CodeMixture):
        from menon.studies.code_mixture.study import run_code_mixture

        return run_code_mixture(plan.recipe, out=plan.folder, command=plan.command, fresh=fresh, progress=progress)
    from menon.studies.runner import execute  # after the recipe is known to be usable: this loads torch

    return execute(plan.forced(force), fresh=fresh, force=force, progress=progress or Silent())


def run_teach_star(
    *,
    model: str = "menon:base",
    data: str | None = None,
    preset: str = "star",
    overrides: Sequence[str] = (),
    out: Path | None = None,
    fresh: bool = False,
    force: bool = False,
    limit: int | None = None,
    style: str | None = None,
    exemplars: Path | None = None,
    split: str | None = None,
    map: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Teach `model` on the problems of `data` (or on the generated families) and return the report."""
    from menon.studies.plan import star_plan

    plan = star_plan(
        model=model,
        data=data,
        preset=preset,
        overrides=overrides,
        out=out,
        limit=limit,
        style=style,
        exemplars=exemplars,
        split=split,
        map=map,
    )
    from menon.studies.runner import execute

    return execute(plan.forced(force), fresh=fresh, force=force, progress=progress or Silent())


def run_teach_quiet_star(
    *,
    model: str = "menon:base",
    data: str | None = None,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    fresh: bool = False,
    force: bool = False,
    limit: int | None = None,
    style: str | None = None,
    split: str | None = None,
    map: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Teach `model` to think before every token of the texts in `data` (or of its own corpus) and return the report."""
    from menon.studies.plan import quiet_star_plan

    plan = quiet_star_plan(
        model=model, data=data, overrides=overrides, out=out, limit=limit, style=style, split=split, map=map
    )
    from menon.studies.quiet.teach import run_quiet_star

    return run_quiet_star(plan.forced(force), fresh=fresh, force=force, progress=progress)


def run_doctor(
    recipe: str | None = None,
    *,
    model: str | None = None,
    data: str | None = None,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    progress: Progress | None = None,
    **flags: Any,
) -> "DoctorReport | QuietDoctorReport":
    """Examine what a recipe (or a model and data) would do, without training; `out` receives doctor.json.

    `flags` are limit, style, exemplars, split and map, as for `run_teach_star`.
    """
    from menon.studies.plan import doctor_recipe
    from menon.studies.quiet.teach_recipe import QuietStar

    checked = doctor_recipe(recipe, model=model, data=data, overrides=overrides, **flags)
    if isinstance(checked, QuietStar):
        from menon.studies.quiet.teach import diagnose_quiet

        return diagnose_quiet(checked, out, progress or Silent())
    from menon.studies.runner import diagnose

    return diagnose(checked, out, progress or Silent())
