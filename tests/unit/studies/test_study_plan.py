"""From flags to a checked recipe: what wins over what, and what is refused before anything heavy is loaded."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from menon import ConfigError
from menon.studies.plan import doctor_recipe, star_plan, study_plan
from menon.studies.recipe import Bootstrap, Comparison
from menon.teaching.config import PRESETS


def taught(**flags: Any) -> Bootstrap:
    recipe = star_plan(**{"model": "some/model", "data": None, **flags}).recipe
    assert isinstance(recipe, Bootstrap)
    return recipe


def test_flags_reach_the_recipe():
    recipe = taught(
        data="d.jsonl", limit=64, style="plain", exemplars=Path("shots.jsonl"), map={"question": "q", "answer": "a"}
    )
    assert (recipe.model, recipe.data, recipe.limit, recipe.style) == ("some/model", "d.jsonl", 64, "plain")
    assert (recipe.exemplars, recipe.map) == ("shots.jsonl", {"question": "q", "answer": "a"})


def test_without_data_the_recipe_is_the_quickstarts_for_another_model():
    quick = study_plan("quickstart", [], None).recipe
    assert taught() == quick.model_copy(update={"model": "some/model"})


def test_data_brings_its_own_defaults():
    recipe = taught(data="d.jsonl")
    assert recipe.style == "auto"
    assert recipe.star.filter == "answer"
    assert recipe.star.max_tokens == recipe.evaluation.max_tokens == 256
    assert recipe.train.learning_rate == 1e-5
    assert recipe.direct_control is False


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("data", [None, "d.jsonl"])
def test_a_preset_wins_over_the_defaults_of_quickstart_and_data(preset: str, data: str | None):
    star = taught(preset=preset, data=data).star
    assert star.preset == preset
    for name, value in PRESETS[preset].items():
        assert getattr(star, name) == value, name


def test_what_is_set_wins_over_everything():
    recipe = taught(preset="rft", data="d.jsonl", overrides=["star.samples=7", "star.filter=none", "style=menon"])
    assert (recipe.star.samples, recipe.star.filter, recipe.style) == (7, "none", "menon")


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="unknown preset 'start'; allowed: star, "):
        taught(preset="start")


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"data": "my data.jsonl", "limit": 9, "style": "gsm8k", "exemplars": Path("e.jsonl"), "map": {"question": "q"}},
        {"preset": "rft", "overrides": ["star.rounds=2"], "out": Path("here")},
    ],
)
def test_the_command_of_a_plan_makes_the_same_plan_again(flags: dict[str, Any]):
    plan = star_plan(**{"model": "some/model", "data": None, **flags})
    words = shlex.split(plan.command)
    assert words[:3] == ["menon", "teach", "star"]
    again: dict[str, Any] = {"overrides": [], "map": {}}
    for flag, value in zip(words[3::2], words[4::2], strict=True):
        match flag:
            case "--set":
                again["overrides"].append(value)
            case "--map":
                again["map"].update([value.split("=")])
            case "--limit":
                again["limit"] = int(value)
            case "--out" | "--exemplars":
                again[flag[2:]] = Path(value)
            case _:
                again[flag[2:]] = value
    assert star_plan(**{"data": None, **again}) == plan


def test_runs_of_other_recipes_go_to_other_folders():
    folders = {star_plan(model=model, data=None, preset=preset).folder for model in "ab" for preset in ("star", "rft")}
    assert len(folders) == 4
    assert study_plan("quickstart", [], None).folder == Path("runs/quickstart")
    assert study_plan("quickstart", [], Path("x")).folder == Path("x")


@pytest.mark.parametrize("model", ["http://localhost:1/v1#m", "https://host/v1#m", "scripted:oracle", "recorded:f"])
def test_what_has_no_weights_here_cannot_be_taught(model: str):
    with pytest.raises(ConfigError, match=r"cannot teach.*no weights here.*audited \(menon audit\)"):
        star_plan(model=model, data=None)
    with pytest.raises(ConfigError, match="cannot teach"):
        study_plan("quickstart", [f"model={json.dumps(model)}"], None)


def test_a_misspelt_key_is_named_with_its_place_and_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown key 'ronds' in section \[star\]; did you mean 'rounds'"):
        study_plan("quickstart", ["star.ronds=2"], None)
    with pytest.raises(ConfigError, match=r"unknown key 'learning_rate' in section \[star\].*'train.learning_rate'"):
        study_plan("quickstart", ["star.learning_rate=1e-3"], None)


def test_an_unknown_study_is_refused(tmp_path: Path):
    (tmp_path / "r.toml").write_text('study = "bootstrp"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="asks for study 'bootstrp'; allowed: bootstrap, comparison, pretrain"):
        study_plan(str(tmp_path / "r.toml"), [], None)


def test_the_doctor_looks_at_what_teaching_would_do():
    assert doctor_recipe(None, model="some/model", data="d.jsonl", overrides=[]) == taught(data="d.jsonl")
    quick = doctor_recipe("quickstart", model="some/model", data=None, overrides=["star.rounds=9"])
    assert isinstance(quick, Bootstrap)
    assert (quick.model, quick.star.rounds) == ("some/model", 9)
    with pytest.raises(ConfigError):
        doctor_recipe("base", model=None, data=None, overrides=[])


@pytest.mark.parametrize(
    ("arms", "told"),
    [
        ('[[arms]]\nname = "a"\nstar = { preset = "nope" }', r"arm 'a': star: unknown preset 'nope'"),
        ('[[arms]]\nname = "a"\nstar = { sampels = 3 }', r"arm 'a': star.sampels"),
        ('[[arms]]\nname = "a"\n[[arms]]\nname = "a"', "arms need different names"),
    ],
)
def test_arms_are_checked_before_the_first_of_them_runs(tmp_path: Path, arms: str, told: str):
    (tmp_path / "r.toml").write_text(f'study = "comparison"\n{arms}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        study_plan(str(tmp_path / "r.toml"), [], None)


def test_the_built_in_comparison_is_usable():
    recipe = study_plan("star-arms", [], None).recipe
    assert isinstance(recipe, Comparison)
    assert {"star", "direct", "gold", "random-reward"} <= {arm.name for arm in recipe.arms}
