"""Turn the models and their answers into report.json."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from menon.studies.code_mixture.findings import contrasts, kinds_table, most_gained, shapes, spread
from menon.studies.code_mixture.measures import LEAST_BASE, TASKS, Task, audit_of, differences, measures_of, over_seeds
from menon.studies.code_mixture.questions import held_out
from menon.studies.code_mixture.recipe import CodeMixture, MixtureArm

Found = Mapping[tuple[str, int], dict[str, Any]]


def assemble(
    recipe: CodeMixture, models: Found, examined: Found, *, command: str, manifest: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Return the report; equal for equal units, apart from measured seconds."""
    measured = {key: measures_of(answers, recipe.tasks) for key, answers in examined.items()}
    values = {
        arm.name: {task.name: [measured[arm.name, seed][task.name] for seed in recipe.seeds] for task in TASKS}
        for arm in recipe.arms
    }
    arms = [_arm(recipe, arm, values, models, examined) for arm in recipe.arms]
    groups = ("held_in", "code_only", "absent")
    gained = most_gained({arm["name"]: arm["against"] for arm in arms[1:] if not arm["after"]})
    return {
        "schema": 1,
        "study": "code-mixture",
        "command": command,
        "seeds": list(recipe.seeds),
        "tokens": recipe.tokens,
        "tuning_tokens": recipe.tuning_tokens,
        "size": recipe.size.model_dump(),
        "groups": {name: list(getattr(recipe.tasks, name)) for name in groups},
        "asked": {
            name: getattr(recipe.tasks, name) for name in ("questions", "facts", "programs", "originals", "variants")
        },
        "guess": {name: _guess(getattr(recipe.tasks, name), recipe.tasks.questions) for name in groups},
        "tasks": [{"name": task.name, "title": task.title, "kind": task.kind} for task in TASKS],
        "arms": arms,
        "kinds": kinds_table(recipe, values),
        "spread": spread(recipe, values),
        "gained": [{"arm": name, "better": better, "worse": worse} for name, better, worse in gained],
        "contrasts": contrasts(recipe, values),
        "shapes": shapes(recipe, values),
        "families": _families(recipe, examined),
        "seconds": seconds,
        "manifest": manifest,
    }


def _arm(
    recipe: CodeMixture,
    arm: MixtureArm,
    values: Mapping[str, Mapping[str, Sequence[float]]],
    models: Found,
    examined: Found,
) -> dict[str, Any]:
    ours, base = values[arm.name], values[recipe.arms[0].name]
    learnt = [models[arm.name, seed] for seed in recipe.seeds]
    return {
        "name": arm.name,
        "title": arm.title,
        "after": arm.after,
        "code": arm.code,
        "sweep": arm.sweep,
        "phases": [phase.model_dump() for phase in arm.phases],
        **{name: float(np.mean([model[name] for model in learnt])) for name in ("tokens", "steps", "documents")},
        "tasks": {task.name: over_seeds(ours[task.name], share=task.kind == "share") for task in TASKS},
        "against": {task.name: differences(ours[task.name], base[task.name]) for task in TASKS},
        "relative": {task.name: _relative(task, ours[task.name], base[task.name]) for task in TASKS},
        "audit": audit_of([examined[arm.name, seed] for seed in recipe.seeds], recipe.tasks),
        "runs": [
            {"seed": seed, "loss": model["loss"], **{task.name: ours[task.name][place] for task in TASKS}}
            for place, (seed, model) in enumerate(zip(recipe.seeds, learnt, strict=True))
        ],
    }


def _guess(names: Sequence[str], count: int) -> float:
    """Return what always giving a family's most frequent answer would get right, as a mean over families."""
    answers = [[problem.answer for problem in held_out(name, count)] for name in names]
    return float(np.mean([max(Counter(found).values()) / len(found) for found in answers]))


def _relative(task: Task, ours: Sequence[float], base: Sequence[float]) -> float | None:
    """Return the change of the mean in per cent of text alone; None for shares so small that it would say nothing."""
    mean = float(np.mean(base))
    return None if task.kind == "share" and mean < LEAST_BASE else 100 * (float(np.mean(ours)) / mean - 1)


def _families(recipe: CodeMixture, examined: Found) -> list[dict[str, Any]]:
    """Return what each arm got right in every single cell, for whoever asks which family a mean comes from."""
    rows = []
    for arm in recipe.arms:
        cells = [examined[arm.name, seed]["tasks"] for seed in recipe.seeds]
        shares = {name: [cell[name]["right"] / cell[name]["asked"] for cell in cells] for name in cells[0]}
        rows.append({"arm": arm.name, **{name: over_seeds(found, share=True) for name, found in shares.items()}})
    return rows
