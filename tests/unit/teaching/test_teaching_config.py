"""Presets, what overrides them, and that a resolved recipe survives being written."""

from pathlib import Path

import pytest

from menon import ConfigError
from menon.core.recipe import dump_toml, load_recipe, recipe_hash
from menon.studies.recipe import Bootstrap
from menon.teaching.config import PRESETS, StarConfig


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown preset 'rfd'; allowed: star, .*rft, rest-em"):
        load_recipe("quickstart", Bootstrap, ["star.preset=rfd"])


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_what_it_names_and_nothing_else(preset: str):
    found, plain = StarConfig.model_validate({"preset": preset}), StarConfig()
    for name in StarConfig.model_fields:
        wanted = PRESETS[preset].get(name, getattr(plain, name)) if name != "preset" else preset
        assert getattr(found, name) == wanted, name


@pytest.mark.parametrize("preset", [name for name in PRESETS if name.startswith(("star", "rft", "rest"))])
def test_presets_of_the_papers_learn_from_the_models_own_text(preset: str):
    assert StarConfig.model_validate({"preset": preset}).learn == "own"
    assert StarConfig.model_validate({"preset": preset}).rationalize is (preset == "star")
    assert StarConfig.model_validate({"preset": preset}).restart is True  # from the base, as the papers do


def test_what_is_given_wins_over_the_preset():
    star = StarConfig.model_validate({"preset": "rft", "samples": 9, "rationalize": True})
    assert (star.samples, star.rationalize, star.dedupe) == (9, True, "equations")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_resolved_recipe_survives_being_written(preset: str, tmp_path: Path):
    recipe = load_recipe("quickstart", Bootstrap, [f"star.preset={preset}", "star.samples=3"])
    (tmp_path / "r.toml").write_text(dump_toml(recipe), encoding="utf-8")
    again = load_recipe(str(tmp_path / "r.toml"), Bootstrap)
    assert again == recipe
    assert recipe_hash(again) == recipe_hash(recipe)
    assert again.star.samples == 3


@pytest.mark.parametrize(
    "setting", ["star.rounds=0", "star.temperature=-1", "star.filter=stpes", "star.replay=1.0", "train.betas=[0.9]"]
)
def test_values_outside_their_range_are_refused(setting: str):
    with pytest.raises(ConfigError, match=setting.partition("=")[0].replace(".", r"\.")):
        load_recipe("quickstart", Bootstrap, [setting])
