"""What the arms say together: kinds of documents and tasks, and the published shapes, each with its evidence.

A shape is `found` where the whole interval of its difference over seeds lies on the published side of zero, `not
found` where it lies on the other (or, of a shape that is flat, off zero), else `cannot tell`: over three seeds nothing
can be shown to be flat. No correction is made for looking at several.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from menon.studies.code_mixture.measures import LEAST_BASE, SHARES, Cell, differences, over_seeds, sign_of
from menon.studies.code_mixture.recipe import CodeMixture, MixtureArm

Values = Mapping[str, Mapping[str, Sequence[float]]]  # arm, task -> one value per seed
KINDS = {
    "programs without comments": {"bare": 1.0, "code": 0.5, "other": 0.5, "aligned": 0.5, "unaligned": 0.5},
    "programs with comments": {"commented": 1.0, "code": 0.5, "other": 0.5},
    "markup": {"markup": 1.0},
    "pairs of text and its program": {"aligned": 0.5},
}
TEN_PERCENT = 0.1
MOST_CODE = 0.75  # beyond it there is hardly any text, and no line fits


def kinds_table(recipe: CodeMixture, values: Values) -> list[dict[str, Any]]:
    """Return what 10 % of the tokens in a kind of document, instead of text, does to each task.

    Least squares over the arms from nothing with at most 75 % code, for each seed by itself; intervals over seeds. Half
    a pair is a program without comments; that it stands below its own text is counted on top.
    """
    arms = [arm for arm in recipe.arms if not arm.after and arm.code <= MOST_CODE]
    names = [name for name in KINDS if any(_shares(arm)[name] for arm in arms)]
    design = np.array([[1.0, *(_shares(arm)[name] for name in names)] for arm in arms])
    if not names or np.linalg.matrix_rank(design) < design.shape[1]:
        return []
    found = []
    for place, name in enumerate(names):
        effects = {}
        for task in SHARES:
            slopes = [
                float(
                    np.linalg.lstsq(design, np.array([values[arm.name][task][seed] for arm in arms]), rcond=None)[0][
                        place + 1
                    ]
                )
                for seed in range(len(recipe.seeds))
            ]
            effects[task] = over_seeds([TEN_PERCENT * slope for slope in slopes])
        found.append(
            {
                "kind": name,
                "effects": effects,
                "helps": [task for task, cell in effects.items() if sign_of(cell) > 0],
                "harms": [task for task, cell in effects.items() if sign_of(cell) < 0],
            }
        )
    return found


def _shares(arm: MixtureArm) -> dict[str, float]:
    return {kind: sum(arm.share(stream) * part for stream, part in parts.items()) for kind, parts in KINDS.items()}


def spread(recipe: CodeMixture, values: Values) -> dict[str, Any]:
    """Return how much of what sets the arms apart is common to all tasks.

    Tasks are standardised over the arms, so that each counts alike; `common` is the variance of an arm's mean over
    tasks as a share of all variance, `expected` what unrelated tasks would give (one over their number). Tasks that no
    arm changes are left out.
    """
    arms = [arm.name for arm in recipe.arms if not arm.after]
    table = np.array([[np.mean(values[arm][task]) for task in SHARES] for arm in arms])
    kept = [place for place in range(len(SHARES)) if table[:, place].std() > 1e-9]
    if len(arms) < 3 or len(kept) < 2:
        return {"common": None, "expected": None, "tasks": [SHARES[place] for place in kept], "correlations": []}
    scores = (table[:, kept] - table[:, kept].mean(0)) / table[:, kept].std(0)
    together = np.corrcoef(scores.T)
    pairs = [
        {"tasks": [SHARES[kept[i]], SHARES[kept[j]]], "value": float(together[i, j])}
        for i in range(len(kept))
        for j in range(i)
    ]
    return {
        "common": float((scores.mean(1) ** 2).mean()),
        "expected": 1 / len(kept),
        "tasks": [SHARES[place] for place in kept],
        "correlations": sorted(pairs, key=lambda pair: -abs(pair["value"])),
    }


def shapes(recipe: CodeMixture, values: Values) -> list[dict[str, Any]]:
    """Return the published shapes that the arms of this recipe can show."""
    text = recipe.arms[0].name
    sweep = sorted((arm for arm in recipe.arms if arm.sweep), key=lambda arm: arm.code)
    by_code = {round(arm.code, 3): arm.name for arm in sweep}
    found = []

    def shape(published: str, task: str, ours: str | None, other: str | None, sign: int) -> None:
        if ours is None or other is None or ours not in values or other not in values or ours == other:
            return
        cell = differences(values[ours][task], values[other][task])
        base = float(np.mean(values[other][task]))
        seen = sign_of(cell) * sign if sign else -abs(sign_of(cell))
        found.append(
            {
                "published": published,
                "task": task,
                "arm": ours,
                "other": other,
                "difference": cell,
                "relative": None if base < LEAST_BASE else 100 * float(cell["value"] or 0) / base,
                "result": "found" if seen > 0 else "not found" if seen < 0 else "cannot tell",
            }
        )

    quarter, most, whole = by_code.get(0.25), by_code.get(0.75), by_code.get(1.0)
    shape("25 % code helps reasoning in text (+3.4 %)", "held_in", quarter, text, 1)
    shape("reasoning in text is flat from 25 % to 75 % code", "held_in", most, quarter, 0)
    shape("100 % code loses reasoning in text (-18.3 %)", "held_in", whole, text, -1)
    shape("25 % code loses some knowledge (-3.4 %)", "facts", quarter, text, -1)
    shape("75 % code loses knowledge (-31 %)", "facts", most, text, -1)
    shape("100 % code loses nearly all knowledge (-86 %)", "facts", whole, text, -1)
    shape("code tasks grow with the share of code: 25 % over text", "finish", quarter, text, 1)
    shape("code tasks grow with the share of code: 75 % over 25 %", "finish", most, quarter, 1)
    shape("balanced, then text: better reasoning (+8.2 %)", "held_in", _named(recipe, "balanced-text"), text, 1)
    shape("balanced, then text: better knowledge (+4.1 %)", "facts", _named(recipe, "balanced-text"), text, 1)
    shape("code, then text: better reasoning (+8.8 %)", "held_in", _named(recipe, "code-text"), text, 1)
    shape(
        "balanced, then text: more knowledge than code, then text (+21 %)",
        "facts", _named(recipe, "balanced-text"), _named(recipe, "code-text"), 1,
    )  # fmt: skip
    shape("markup helps reasoning in text a little", "held_in", _named(recipe, "markup-25"), text, 1)
    return found


def contrasts(recipe: CodeMixture, values: Values) -> list[dict[str, Any]]:
    """Return the differences that the study asks about beside those to text alone: comments, alignment, tuning."""
    asked = [
        ("with comments - without, at 25 % code", "commented-25", "bare-25"),
        ("aligned pairs - the same unaligned", "aligned", "unaligned"),
        *((f"{arm.title} - before", arm.name, arm.after) for arm in recipe.arms if arm.after),
    ]
    return [
        {
            "title": title,
            "arm": ours,
            "other": other,
            "tasks": {task: differences(values[ours][task], values[other][task]) for task in values[ours]},
        }
        for title, ours, other in asked
        if ours in values and other in values
    ]


def most_gained(table: Mapping[str, Mapping[str, Cell]]) -> list[tuple[str, int, int]]:
    """Return per arm how many tasks are surely better and surely worse than with text alone."""
    counted = []
    for arm, cells in table.items():
        signs = [sign_of(cells[task]) for task in SHARES]
        counted.append((arm, sum(sign > 0 for sign in signs), sum(sign < 0 for sign in signs)))
    return counted


def _named(recipe: CodeMixture, name: str) -> str | None:
    return name if any(arm.name == name for arm in recipe.arms) else None
