"""docs/quiet-star.md says of every setting and architecture what the code says."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from menon.core.recipe import Section
from menon.models.thoughts.budget import ThinkingBudget
from menon.models.thoughts.settings import ThoughtSettings
from menon.models.thoughts.support import SUPPORTED
from menon.studies.quiet.teach_recipe import QuietEvaluation, QuietTexts
from menon.teaching.quiet.config import QuietConfig

ROOT = Path(__file__).parents[2]
SECTIONS = {
    "thoughts": ThoughtSettings,
    "quiet": QuietConfig,
    "texts": QuietTexts,
    "evaluation": QuietEvaluation,
    "think": ThinkingBudget,
}


def _page() -> str:
    return (ROOT / "docs" / "quiet-star.md").read_text(encoding="utf-8")


def _rows(section: str) -> list[tuple[list[str], list[Any]]]:
    """The names and the defaults of every line of a section's table; defaults that are left blank are none."""
    table = re.search(rf"^### `\[{section}\]`.*?\n(.*?)(?=^##)", _page(), re.S | re.M)
    assert table, f"docs/quiet-star.md has no heading for [{section}]"
    lines = [line.split("|")[1:3] for line in table[1].splitlines() if line.startswith("| `")]
    return [
        (re.findall(r"`(\w+)`", names), tomllib.loads(f"value = [{defaults.replace('`', '')}]")["value"])
        for names, defaults in lines
    ]


@pytest.mark.parametrize("section", SECTIONS)
def test_tables_name_every_setting_and_no_other(section: str):
    named = [name for names, _ in _rows(section) for name in names]
    assert sorted(named) == sorted(SECTIONS[section].model_fields)


@pytest.mark.parametrize("section", SECTIONS)
def test_defaults_of_the_tables_are_those_of_the_code(section: str):
    said = {}
    for names, defaults in _rows(section):
        assert len(defaults) in (0, 1, len(names)), names
        said |= dict(zip(names, defaults * len(names) if len(defaults) == 1 else defaults, strict=False))
    assert len(said) >= len(SECTIONS[section].model_fields) / 2
    assert {name: _plain(SECTIONS[section], name) for name in said} == said


def _plain(section: type[Section], name: str) -> Any:
    default = section.model_fields[name].get_default(call_default_factory=True)
    return list(default) if isinstance(default, tuple) else default


def test_the_list_of_architectures_is_that_of_the_code():
    listed = re.search(r"`menon\.models\.thoughts\.support\.SUPPORTED`\): (.*?)\. ", _page(), re.S)
    assert listed
    assert sorted(re.split(r",\s+", listed[1])) == sorted(SUPPORTED)
