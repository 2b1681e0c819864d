"""Documents and examples hold together: links, paths, settings and Python that exist, guides that run."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

from menon.core.errors import ConfigError
from menon.core.recipe import load_recipe
from menon.studies.audit.recipe import AuditRecipe
from menon.studies.calibration.recipe import CalibrationRecipe
from menon.studies.code_mixture.recipe import CodeMixture
from menon.studies.procedural.recipe import ProceduralStudy
from menon.studies.quiet.recipe import QuietStudy
from menon.studies.quiet.teach_recipe import QuietStar
from menon.studies.recipe import STUDIES, Bootstrap, Comparison, Pretrain
from menon.studies.solve.recipe import SolveRecipe
from menon.studies.trace.recipe import TraceRecipe
from menon.teaching.config import PRESETS, StarConfig

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
PLACEHOLDERS = ("a.b", "section.key")
BY_NAME = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def _text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def _prose(document: Path) -> str:
    return re.sub(r"^```.*?^```", "", _text(document), flags=re.S | re.M)


def _blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", _text(document), re.S | re.M)


def _anchors(document: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", _prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@BY_NAME
def test_links_lead_somewhere(document: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (document.parent / path) if path else document
        assert place.exists(), f"{document.name} links to {target!r}, which does not exist"
        if anchor and place.suffix == ".md":
            assert anchor in _anchors(place), f"{document.name} links to {target!r}: no such heading"


@BY_NAME
def test_python_blocks_compile_and_their_imports_exist(document: Path):
    for block in _blocks(document, "python"):
        for node in ast.walk(ast.parse(block, filename=document.name)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "menon":
                module = import_module(str(node.module))
                missing = [name.name for name in node.names if not hasattr(module, name.name)]
                assert not missing, f"{document.name}: {node.module} has no {', '.join(missing)}"


@BY_NAME
def test_settings_that_are_shown_exist(document: Path):
    shown = re.findall(r"--set[ =]\"?([a-z_.]+)=(?:'([^']*)'|([^\s`\"]+))", _text(document))
    for key, quoted, bare in shown:
        if key not in PLACEHOLDERS:
            assert _accepted(f"{key}={quoted or bare}"), f"{document.name} shows the setting {key}={quoted or bare}"


def _accepted(setting: str) -> bool:
    """Say whether some built-in recipe takes the setting."""
    for name, model in {
        "quickstart": Bootstrap,
        "star-arms": Comparison,
        "base": Pretrain,
        "audit": AuditRecipe,
        "calibration": CalibrationRecipe,
        "solve": SolveRecipe,
        "quiet": QuietStudy,
        "quiet-star": QuietStar,
        "trace": TraceRecipe,
        "procedural": ProceduralStudy,
        "code-mixture": CodeMixture,
    }.items():
        with suppress(ConfigError):
            load_recipe(name, model, [setting])
            return True
    return False


@BY_NAME
def test_recipes_that_are_shown_parse(document: Path, tmp_path: Path):
    for block in _blocks(document, "toml"):
        if "study = " not in block:
            continue
        path = tmp_path / "recipe.toml"
        path.write_text(block, encoding="utf-8")
        load_recipe(str(path), STUDIES[tomllib.loads(block)["study"]])


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_example_recipes_parse(path: Path):
    load_recipe(str(path), Bootstrap)


def test_every_setting_and_preset_of_the_loop_is_explained():
    text = _text(ROOT / "docs" / "concepts.md")
    settings = text.partition("## Settings of the loop")[2].partition("\n## ")[0]
    assert not [name for name in StarConfig.model_fields if f"`{name}`" not in settings]
    presets = text.partition("## Presets")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", presets, re.MULTILINE)) == set(PRESETS)


def test_the_guide_to_probes_runs_as_it_is_printed(tmp_path: Path):
    (probe,) = _blocks(ROOT / "docs" / "adding-a-probe.md", "python")
    (tmp_path / "menon_plurals.py").write_text(probe, encoding="utf-8")
    check = (
        "from menon_plurals import PLURALS; from menon.auditing.probe import Material; "
        "from menon.studies.audit.standins import answers_of; m = Material(model='m'); "
        "q = PLURALS.questions(m); r = PLURALS.report(answers_of('reciter', q), [], m); "
        "assert r.contrasts[0].loss == 1 and r.to_json()['effects'], r"
    )
    command = [sys.executable, "-W", "error", "-c", check]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ}, timeout=60)
    assert done.returncode == 0, done.stderr


def test_files_and_tests_of_papers_exist():
    rows = [line.split("|") for line in _text(ROOT / "docs" / "papers.md").splitlines() if line.startswith("| ")]
    named = [(cell, folder) for row in rows for cell, folder in ((row[2], "src/menon"), (row[3], "tests"))]
    paths = [(path, folder) for cell, folder in named for path in re.findall(r"`([\w/]+\.py)`", cell)]
    assert len(paths) > 30
    assert not [path for path, folder in paths if not (ROOT / folder / path).is_file()]


def test_the_guide_to_families_runs_as_it_is_printed(tmp_path: Path):
    family, check = _blocks(ROOT / "docs" / "adding-a-family.md", "python")
    (tmp_path / "menon_shelf.py").write_text(family, encoding="utf-8")
    command = [sys.executable, "-W", "error", "-c", check]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ}, timeout=60)
    assert done.returncode == 0, done.stderr
