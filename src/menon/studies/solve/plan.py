"""From the arguments of `menon solve` to a checked recipe and a folder."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError, RunError
from menon.core.recipe import dump_toml, load_recipe
from menon.core.seeds import content_id
from menon.store import layout
from menon.studies.solve.recipe import SolveRecipe

FLAGS = {"models": "with", "params": "param", "map": "map"}
SWITCHES = {"think.where": "--think"}  # flags without a value on the command line


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvePlan:
    """A checked recipe, the run directory it goes to, and the command that asked for it."""

    recipe: SolveRecipe
    folder: Path
    command: str


def solve_plan(
    question: str = "",
    *,
    recipe: str = "solve",
    flags: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    out: Path | None = None,
) -> SolvePlan:
    """Return the plan that the arguments describe; flags that are None or empty are left to the recipe.

    Raises:
        ConfigError: a recipe that cannot be used.
    """
    changes, words = [], ["menon", "solve"]
    if question:
        changes.append(f"question={json.dumps(question)}")
        words.append(question)
    if recipe != "solve":
        words += ["--recipe", recipe]
    for key, value in (flags or {}).items():
        if value in (None, (), [], {}):
            continue
        if isinstance(value, Mapping):
            changes += [f"{key}.{name}={_toml(inner)}" for name, inner in value.items()]
            words += [word for name, inner in value.items() for word in (f"--{FLAGS[key]}", f"{name}={inner}")]
            continue
        changes.append(f"{key}={json.dumps(value)}")
        if key in SWITCHES:
            words.append(SWITCHES[key])
            continue
        flag = "--" + key.replace("budget.price", "price").replace(".", "-").replace("_", "-")
        for part in value if isinstance(value, list | tuple) else [value]:
            words += [flag, str(part)]
    checked = load_recipe(recipe, SolveRecipe, [*changes, *overrides])
    words += [*(["--out", str(out)] if out else []), *(word for item in overrides for word in ("--set", item))]
    folder = out or Path("runs") / f"solve-{content_id('recipe', dump_toml(checked))[:8]}"
    return SolvePlan(recipe=checked, folder=folder, command=shlex.join(words))


def resumed_plan(folder: Path) -> SolvePlan:
    """Return the plan of the run in `folder`, to go on with it.

    Raises:
        RunError: there is no solving run.
    """
    path = Path(folder) / layout.RECIPE
    if not path.is_file():
        raise RunError(f"{str(folder)!r} is no run (no {layout.RECIPE}); give the folder that `menon solve` named")
    try:
        recipe = load_recipe(str(path), SolveRecipe)
    except ConfigError as error:
        raise RunError(f"{str(folder)!r} is not a run of `menon solve`: {error}") from None
    return SolvePlan(
        recipe=recipe, folder=Path(folder), command=shlex.join(["menon", "solve", "--resume", str(folder)])
    )


def _toml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
