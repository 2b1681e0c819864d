"""From flags to a checked recipe: everything that can be refused before torch is loaded."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from menon.core.errors import ConfigError
from menon.core.recipe import Section, dump_toml, load_recipe
from menon.core.seeds import content_id
from menon.studies.quiet.teach_recipe import QuietStar
from menon.studies.recipe import STUDIES, Bootstrap, Comparison
from menon.teaching.config import PRESETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A checked recipe, the run directory it goes to, and the command that asked for it."""

    recipe: Section
    folder: Path
    command: str

    def forced(self, force: bool) -> "Plan":
        """Return the plan whose command says that the doctor's refusal was overridden."""
        return replace(self, command=f"{self.command} --force") if force else self


class _Head(Section):
    model_config = ConfigDict(extra="ignore", frozen=True)
    study: str = "bootstrap"


def study_plan(name: str, overrides: Sequence[str], out: Path | None) -> Plan:
    """Load a recipe by built-in name or path; the run goes to `out` or to runs/NAME."""
    study = load_recipe(name, _Head, overrides).study
    if study not in STUDIES:
        raise ConfigError(f"recipe {name!r} asks for study {study!r}; allowed: {', '.join(STUDIES)}")
    recipe = load_recipe(name, STUDIES[study], overrides)
    _check_teachable(recipe)
    folder = out or Path("runs") / Path(name).stem
    words = ["menon", "run", name, *_flags(overrides, out)]
    return Plan(recipe=recipe, folder=folder, command=shlex.join(words))


def star_plan(
    *,
    model: str,
    data: str | None,
    preset: str = "star",
    overrides: Sequence[str] = (),
    out: Path | None = None,
    limit: int | None = None,
    style: str | None = None,
    exemplars: Path | None = None,
    split: str | None = None,
    map: Mapping[str, str] | None = None,
) -> Plan:
    """Build the recipe that the flags of `menon teach star` describe: the quickstart's, fitted to the data."""
    changes = [f"model={json.dumps(model)}", f"star.preset={json.dumps(preset)}"]
    if data:
        changes += [f"data={json.dumps(str(data))}", *ON_DATA]
    # What the preset asks for wins over the quickstart's own choices and those for data.
    changes += [f"star.{key}={json.dumps(value)}" for key, value in PRESETS.get(preset, {}).items()]
    words = ["menon", "teach", "star", "--model", model, "--preset", preset]
    if data:
        words += ["--data", str(data)]
    for flag, value in (
        ("split", split),
        ("limit", limit),
        ("style", style),
        ("exemplars", exemplars and str(exemplars)),
    ):
        if value:
            changes.append(f"{flag}={json.dumps(value)}")
            words += [f"--{flag}", str(value)]
    for key, value in (map or {}).items():
        changes.append(f"map.{key}={json.dumps(value)}")
        words += ["--map", f"{key}={value}"]
    recipe = load_recipe("quickstart", Bootstrap, [*changes, *overrides])
    _check_teachable(recipe)
    folder = out or Path("runs") / f"star-{content_id('recipe', dump_toml(recipe))[:8]}"
    return Plan(recipe=recipe, folder=folder, command=shlex.join([*words, *_flags(overrides, out)]))


def quiet_star_plan(
    *,
    model: str,
    data: str | None,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    limit: int | None = None,
    style: str | None = None,
    split: str | None = None,
    map: Mapping[str, str] | None = None,
) -> Plan:
    """Build the recipe that the flags of `menon teach quiet-star` describe; on the embedded model that of its own."""
    name = "quiet-base" if model == "menon:base" and not data else "quiet-star"
    changes = [f"model={json.dumps(model)}"]
    words = ["menon", "teach", "quiet-star", "--model", model]
    for flag, value in (("data", data), ("split", split), ("limit", limit), ("style", style)):
        if value:
            changes.append(f"texts.{flag}={json.dumps(value)}")
            words += [f"--{flag}", str(value)]
    for key, value in (map or {}).items():
        changes.append(f"texts.map.{key}={json.dumps(value)}")
        words += ["--map", f"{key}={value}"]
    recipe = load_recipe(name, QuietStar, [*changes, *overrides])
    folder = out or Path("runs") / f"quiet-star-{content_id('recipe', dump_toml(recipe))[:8]}"
    return Plan(recipe=recipe, folder=folder, command=shlex.join([*words, *_flags(overrides, out)]))


# Real models on real text: longer answers, a fine-tuning learning rate, and no step check that every row would have.
ON_DATA = (
    'style="auto"',
    "direct_control=false",
    "star.max_tokens=256",
    "evaluation.max_tokens=256",
    'star.filter="answer"',
    "train.learning_rate=1e-5",
)


def doctor_recipe(
    name: str | None, *, model: str | None, data: str | None, overrides: Sequence[str], **flags: Any
) -> Bootstrap | QuietStar:
    """Return the recipe of teaching that `menon doctor` is asked about; `flags` are those of `star_plan`."""
    if not name:
        recipe = star_plan(model=model or "menon:base", data=data, overrides=overrides, **flags).recipe
        assert isinstance(recipe, Bootstrap)
        return recipe
    study = load_recipe(name, _Head, overrides).study
    changes = [f"model={json.dumps(model)}"] if model else []
    if study == "quiet-star":
        changes += [f"texts.data={json.dumps(data)}"] if data else []
        changes += [f"texts.{key}={json.dumps(flags[key])}" for key in ("limit", "style", "split") if flags.get(key)]
        changes += [f"texts.map.{key}={json.dumps(value)}" for key, value in (flags.get("map") or {}).items()]
        return load_recipe(name, QuietStar, [*changes, *overrides])
    if study != "bootstrap":
        raise ConfigError(
            f"the doctor looks at teaching: recipe {name!r} is a {study!r} study; allowed: bootstrap, quiet-star"
        )
    changes += [f"data={json.dumps(data)}", *ON_DATA] if data else []
    recipe = load_recipe(name, Bootstrap, [*changes, *overrides])
    _check_teachable(recipe)
    return recipe


def _flags(overrides: Sequence[str], out: Path | None) -> list[str]:
    return [*(["--out", str(out)] if out else []), *(word for item in overrides for word in ("--set", item))]


def _check_teachable(recipe: Section) -> None:
    if not isinstance(recipe, Bootstrap | Comparison):
        return
    if recipe.model.startswith(("http://", "https://", "endpoint:", "recorded:", "scripted:")):
        raise ConfigError(
            f"cannot teach {recipe.model!r}: it has no weights here. Teach a folder, a Hugging Face id or menon:base; "
            "other models can be audited (menon audit), sampled and graded (docs/samplers.md)"
        )
