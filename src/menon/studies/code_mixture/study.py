"""`menon run code-mixture`: is there a kind of document from which many tasks are learned?

Every arm spends the same number of tokens on another mixture of text, programs and markup; every model of every seed is
asked the same questions. A model is a unit and its examination another; workers do them side by side.
Source: "To Code, or Not To Code?" (arXiv:2408.10914) and Ma et al. (arXiv:2309.16298), at toy scale and on a corpus
whose truth is known; left out: their cooldown, synthetic verified code, and judging free answers by a model.
"""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from menon.core.progress import Progress, Silent
from menon.core.recipe import dump_toml
from menon.models.machine import manifest
from menon.reports.code_mixture import write_code_mixture
from menon.store import Run, atomic_write
from menon.studies.code_mixture.assemble import assemble
from menon.studies.code_mixture.crew import Crew
from menon.studies.code_mixture.recipe import CodeMixture, MixtureArm

Found = dict[tuple[str, int], dict[str, Any]]


def run_code_mixture(
    recipe: CodeMixture, *, out: Path, command: str = "", fresh: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Run or resume the study; writes report.json, report.html, code-mixture.md and the pictures to `out`."""
    with Run.create_or_resume(out, recipe_toml=dump_toml(recipe), manifest=manifest(), fresh=fresh) as run:
        models, examined = _members(run, recipe, progress or Silent())
        report = assemble(recipe, models, examined, command=command, manifest=run.manifest, seconds=run.seconds())
        atomic_write(out / "report.json", json.dumps(report, indent=1, ensure_ascii=False))
        page = write_code_mixture(out, report)
    return {**report, "run": str(out), "page": str(page)}


def _members(run: Run, recipe: CodeMixture, progress: Progress) -> tuple[Found, Found]:
    """Train and examine every arm of every seed; return both values by (arm, seed)."""
    models: Found = {}
    examined: Found = {}
    progress.start("training and examining", total=2 * len(recipe.arms) * len(recipe.seeds), unit="units")
    with Crew(recipe, run.path / "recipe.toml", run.checkpoint("members")) as crew:
        # Arms that go on from others come second, so that those are there.
        for arms in ([a for a in recipe.arms if not a.after], [a for a in recipe.arms if a.after]):
            for (name, seed), model, answers in _side_by_side(run, recipe, crew, arms, progress):
                models[name, seed], examined[name, seed] = model, answers
    return models, examined


def _side_by_side(
    run: Run, recipe: CodeMixture, crew: Crew, arms: list[MixtureArm], progress: Progress
) -> Iterator[tuple[tuple[str, int], dict[str, Any], dict[str, Any]]]:
    def member(arm: MixtureArm, seed: int) -> tuple[tuple[str, int], dict[str, Any], dict[str, Any]]:
        model = run.unit("model", arm.name, seed, compute=lambda _: crew.call("train", arm.name, seed))
        progress.advance(1, f"{arm.title}, seed {seed}: loss {model['loss']:.2f}")
        answers = run.unit("examined", arm.name, seed, compute=lambda _: crew.call("examine", arm.name, seed))
        progress.advance(1, f"{arm.title}, seed {seed}: examined")
        return (arm.name, seed), model, answers

    if not recipe.workers:
        yield from (member(arm, seed) for seed in recipe.seeds for arm in arms)
        return
    pool = ThreadPoolExecutor(max_workers=recipe.workers)
    waiting: list[Future[Any]] = []
    try:
        waiting = [pool.submit(member, arm, seed) for seed in recipe.seeds for arm in arms]
        for done in as_completed(waiting):
            yield done.result()
    except BaseException:
        for future in waiting:
            future.cancel()
        crew.stop()  # a thread that waits for its process would keep this one from ending
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
