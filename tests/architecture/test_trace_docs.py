"""docs/tracing.md says of every setting, flag, method, feature and size what the code says, and its Python runs."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from menon.cli.app import app
from menon.core.recipe import Section, load_recipe
from menon.studies.trace.recipe import TraceCorpus, TraceQueries, TraceRecipe, TraceShown
from menon.tracing.config import METHODS, TraceConfig
from menon.tracing.features import FEATURES

ROOT = Path(__file__).parents[2]
TOP = "At the top"
SECTIONS: dict[str, type[Section]] = {
    TOP: TraceRecipe,
    "`[corpus]`": TraceCorpus,
    "`[queries]`": TraceQueries,
    "`[shown]`": TraceShown,
    "`[tracing]`": TraceConfig,
}
INSIDE = ("study", "corpus", "queries", "shown", "tracing")  # of the recipe: its name and its sections
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMANDS: Any = typer.main.get_command(app)
TRACE: Any = COMMANDS.commands["trace"]
COMMON = {"--out", "--set", "--fresh", "--json", "--debug"}  # of every verb, told elsewhere


def _page() -> str:
    return (ROOT / "docs" / "tracing.md").read_text(encoding="utf-8")


def _part(heading: str) -> str:
    found = re.search(rf"^##+ {re.escape(heading)}.*?\n(.*?)(?=^##|\Z)", _page(), re.S | re.M)
    assert found, f"docs/tracing.md has no heading {heading!r}"
    return found[1]


def _fields(section: str) -> dict[str, Any]:
    model = SECTIONS[section]
    return {name: field for name, field in model.model_fields.items() if section != TOP or name not in INSIDE}


def _rows(section: str) -> list[tuple[list[str], list[Any]]]:
    """The names and the defaults of every line of a section's table; a default that is left blank is none."""
    lines = [line.split("|")[1:3] for line in _part(section).splitlines() if line.startswith("| `")]
    return [
        (re.findall(r"`(\w+)`", names), tomllib.loads(f"value = [{defaults.replace('`', '')}]")["value"])
        for names, defaults in lines
    ]


@pytest.mark.parametrize("section", SECTIONS)
def test_tables_name_every_setting_and_no_other(section: str):
    named = [name for names, _ in _rows(section) for name in names]
    assert sorted(named) == sorted(_fields(section))


@pytest.mark.parametrize("section", SECTIONS)
def test_defaults_of_the_tables_are_those_of_the_code(section: str):
    said: dict[str, Any] = {}
    for names, defaults in _rows(section):
        assert len(defaults) in (0, 1, len(names)), names
        said |= dict.fromkeys(names) if not defaults else dict(zip(names, defaults * len(names), strict=False))
    assert said == {name: _plain(field) for name, field in _fields(section).items()}


def _plain(field: Any) -> Any:
    default = field.get_default(call_default_factory=True)
    return list(default) if isinstance(default, tuple) else default


def test_every_option_is_told():
    options = {name for parameter in TRACE.params for name in parameter.opts if name.startswith("--")} - COMMON
    assert len(options) > 15
    page = _page()
    assert not [option for option in sorted(options) if not re.search(rf"{option}(?![\w-])", page)]


def test_methods_and_features_are_those_of_the_code():
    methods = re.findall(r"^\| `(\w+)` \|", _part("Baselines"), re.M)
    assert methods == list(METHODS)
    features = re.findall(r"^\| `(\w+_\w+)` \|", _part("The verdict"), re.M)
    assert sorted(features) == sorted(FEATURES)


def _commands(document: Path) -> list[str]:
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", document.read_text(encoding="utf-8"), re.S | re.M)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("menon trace ")]


def test_the_page_shows_commands():
    assert len(_commands(ROOT / "docs" / "tracing.md")) >= 8


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_are_shown_parse_to_recipes(document: Path):
    for command in _commands(document):
        words = shlex.split(command, comments=True)[2:]
        with TRACE.make_context("trace", words, resilient_parsing=False) as context:
            load_recipe("trace", TraceRecipe, list(context.params["overrides"] or []))


def _printed(block: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], capture_output=True, text=True, env={**os.environ}, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_sizes_of_a_large_model_are_those_that_the_printed_program_counts():
    pytest.importorskip("torch")
    part = _part("Time and memory")
    (block,) = re.findall(r"^```python\n(.*?)^```", part, re.S | re.M)
    counted = json.loads(_printed(block).replace("'", '"'))
    told = {name: float(cell.split()[0]) for name, cell in re.findall(r"^\| ([\w ]+) \| ([\d.]+ GiB) \|", part, re.M)}
    counted["a batch_mib"] = counted["activations_mib"] + counted["logits_mib"]
    names = {"curvature": "factors", "queries": "bank", "on disk": "disk"}
    assert set(told) == {"weights", "curvature", "queries", "a batch", "peak", "on disk"}
    assert {name: round(counted[f"{names.get(name, name)}_mib"] / 1024, 1) for name in told} == told


def test_the_printed_program_of_the_page_runs():
    pytest.importorskip("torch")
    (block,) = re.findall(r"^```python\n(.*?)^```", _part("How it is computed"), re.S | re.M)
    scores = [float(number) for number in re.findall(r"-?\d+\.\d*(?:e[+-]?\d+)?", _printed(block))]
    assert len(scores) == 5  # two documents by two methods, and the information of the answer
    assert scores[1] > 0
