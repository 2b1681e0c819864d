"""Every recipe that ships parses, survives being written, and is short enough to read."""

import tomllib
from pathlib import Path

import pytest

from menon.core.recipe import builtin_recipes, dump_toml, load_recipe

SOURCE = Path(__file__).parents[2] / "src" / "menon"
RECIPES = sorted(SOURCE.rglob("recipes/*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_parses(path: Path):
    from menon.studies.recipe import STUDIES

    study = tomllib.loads(path.read_text(encoding="utf-8"))["study"]
    recipe = load_recipe(str(path), STUDIES[study], [])
    assert tomllib.loads(dump_toml(recipe))["study"] == study


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_found_by_its_name(path: Path):
    assert path.stem in builtin_recipes()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_short(path: Path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and line[0] != "#"]
    assert len(lines) <= 60


def test_the_main_jobs_are_built_in():
    assert {"quickstart", "base"} <= set(builtin_recipes())
