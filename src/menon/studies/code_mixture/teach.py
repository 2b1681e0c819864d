"""What one worker does for one model: train an arm of a seed, or examine it. Both are pure functions of their order."""

from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError
from menon.core.progress import Progress
from menon.core.recipe import dump_toml
from menon.models.machine import manifest
from menon.store import Run
from menon.studies.code_mixture.questions import examine
from menon.studies.code_mixture.recipe import CodeMixture, MixtureArm
from menon.studies.code_mixture.streams import phases_of
from menon.studies.known.training import train_phases

WORK = ("train", "examine")


def arm_of(recipe: CodeMixture, name: str) -> MixtureArm:
    return next(arm for arm in recipe.arms if arm.name == name)


def member_folder(members: Path, arm: str, seed: int) -> Path:
    """Return the folder of one model's own run."""
    return members / f"{arm}-{seed}"


def weights_folder(members: Path, arm: str, seed: int) -> Path:
    return member_folder(members, arm, seed) / "checkpoints" / "train" / arm / str(seed) / "final"


def perform(work: str, recipe: CodeMixture, members: Path, arm: str, seed: int, progress: Progress) -> dict[str, Any]:
    """Do one piece of work below the folder `members` and return its value, plain JSON."""
    if work == "train":
        return _train(recipe, members, arm_of(recipe, arm), seed, progress)
    if work == "examine":
        return examine(weights_folder(members, arm, seed), recipe)
    raise ConfigError(f"no work {work!r}; allowed: {', '.join(WORK)}")


def _train(recipe: CodeMixture, members: Path, arm: MixtureArm, seed: int, progress: Progress) -> dict[str, Any]:
    """Train one model in a run of its own, so that a killed training goes on within."""
    folder = member_folder(members, arm.name, seed)
    with Run.create_or_resume(folder, recipe_toml=dump_toml(recipe), manifest=manifest()) as run:
        phases = phases_of(recipe, arm, seed)
        trained = train_phases(
            run,
            "train",
            arm.name,
            seed,
            phases=phases,
            size=recipe.size,
            train=recipe.tuning if arm.after else recipe.train,
            seed=seed,
            progress=progress,
            start=weights_folder(members, arm.after, seed) if arm.after else None,
        )
        return {
            "steps": trained.steps,
            "tokens": trained.tokens,
            "documents": trained.documents,
            "weights_hash": trained.weights_hash,
            "loss": trained.curve[-1]["loss"],
        }
