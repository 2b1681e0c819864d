"""Several ways of teaching from one base with the same questions, over several seeds, side by side."""

from collections.abc import Sequence
from typing import Any

from menon.auditing import accuracy_of
from menon.core.progress import Progress
from menon.core.values import Problem
from menon.problems import FAMILIES
from menon.problems.prompts import STYLES
from menon.sampling.asking import Asking, Graded, evaluate
from menon.store import Run
from menon.studies.questions import FamilyQuestions, test_questions
from menon.studies.recipe import Arm, Comparison
from menon.teaching.config import PRESETS, StarConfig
from menon.teaching.learner import Learner
from menon.teaching.star import Loop, Round


def comparison(run: Run, recipe: Comparison, progress: Progress) -> dict[str, Any]:
    """Run or resume every arm with every seed and return the report.

    `arms[name]` holds, per family: accuracy overall, of the hard band and per difficulty after each round (round 0 is
    the base), over all seeds together and for each seed, and the rounds themselves.
    """
    learner = Learner(recipe.model, device=recipe.device, dtype=recipe.dtype, slots=recipe.slots)
    test = test_questions(recipe.families, recipe.evaluation.per_difficulty)
    arms: dict[str, Any] = {}
    for arm in recipe.arms:
        seeds = [_run_arm(run, recipe, arm, seed, learner, test, progress) for seed in recipe.seeds]
        arms[arm.name] = {
            "star": _config(recipe, arm).model_dump(mode="json"),
            "rounds": [[report.to_json() for report in rounds] for rounds, _ in seeds],
            "accuracy": _over_seeds([graded for _, graded in seeds]),
        }
        progress.say(f"{arm.name}: {_line(arms[arm.name]['accuracy'])}")
    return {
        "schema": 1,
        "study": recipe.study,
        "model": recipe.model,
        "seeds": list(recipe.seeds),
        "arms": arms,
        "seconds": run.seconds(),
        "tokens": sum(u.value.get("sampled_tokens", 0) + u.value.get("tokens", 0) for u in run.units()),
    }


def _config(recipe: Comparison, arm: Arm) -> StarConfig:
    preset = PRESETS.get(arm.star.get("preset", "star"), {})
    return StarConfig.model_validate({**recipe.star, **preset, **arm.star})


def _run_arm(
    run: Run,
    recipe: Comparison,
    arm: Arm,
    seed: int,
    learner: Learner,
    test: Sequence[Problem],
    progress: Progress,
) -> tuple[list[Round], list[list[Graded]]]:
    star = _config(recipe, arm)
    stage = f"{arm.name}-seed{seed}"
    asking = Asking(
        style=STYLES.get(recipe.style),
        direct=star.learn == "direct",
        temperature=recipe.evaluation.temperature,
        max_tokens=recipe.evaluation.max_tokens,
    )
    learner.use(None)
    form = "direct" if asking.direct else "worked"
    graded = [evaluate(run, learner.sampler, test, asking, stage="base", names=(form,), progress=progress)]
    loop = Loop(
        run=run,
        learner=learner,
        questions=FamilyQuestions(families=recipe.families, count=star.questions, fresh=star.fresh, seed=seed),
        style=asking.style,
        config=star,
        train=recipe.train,
        arm=stage,
        seed=seed,
        progress=progress,
    )
    rounds = []
    for report in loop.rounds():
        rounds.append(report)
        names = (report.round, "test")
        graded.append(evaluate(run, learner.sampler, test, asking, stage=f"{stage}-test", names=names))
    return rounds, graded


def _over_seeds(seeds: Sequence[Sequence[Sequence[Graded]]]) -> dict[str, list[dict[str, Any]]]:
    """Return, per family, one row per round: all seeds pooled (a seed's answer counts as a problem) and each alone."""
    table: dict[str, list[dict[str, Any]]] = {}
    for number in range(max(len(rounds) for rounds in seeds)):
        present = [rounds[number] for rounds in seeds if number < len(rounds)]
        for name in {item.problem.family: None for item in present[0]}:
            family = FAMILIES.get(name)
            own = [[item for item in graded if item.problem.family == name] for graded in present]
            hard = [[item for item in graded if item.problem.difficulty in family.hard_band] for graded in own]
            levels = {}
            for level in family.difficulties:
                cell = [item for graded in own for item in graded if item.problem.difficulty == level]
                levels[str(level)] = sum(item.grade.right for item in cell) / len(cell)
            table.setdefault(name, []).append(
                {
                    "round": number,
                    "mean": _interval(own),
                    "hard_band": _interval(hard),
                    "hard_band_by_seed": [_interval([graded]) for graded in hard],
                    "by_difficulty": levels,
                }
            )
    return table


def _interval(groups: Sequence[Sequence[Graded]]) -> dict[str, Any]:
    """Wilson interval at the number of distinct problems: seeds share their test problems, so they add no sample."""
    return accuracy_of([(item.problem, item.grade) for graded in groups for item in graded]).to_json()


def _line(accuracy: dict[str, list[dict[str, Any]]]) -> str:
    parts = []
    for name, rows in accuracy.items():
        first, last = rows[0]["hard_band"]["value"], rows[-1]["hard_band"]["value"]
        parts.append(f"{name} hard band {first:.0%} -> {last:.0%}")
    return ", ".join(parts)
