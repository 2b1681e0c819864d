"""Imports point down, and torch is imported only where it may be."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "menon"
HEAVY = {"torch", "transformers", "peft", "accelerate", "datasets"}
MAY_IMPORT_HEAVY = (
    "models/",
    "sampling/local",
    "sampling/decoding.py",
    "sampling/kv_store.py",
    "sampling/thinking.py",
    "teaching/",
    "tracing/",
    "studies/quiet/",  # the experiment's own tiny model; its recipes and settings load without
)


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def test_layers_hold():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_has_a_layer():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = [path.parent.name for path in SOURCE.glob("*/__init__.py")]
    missing = [name for name in packages if f"menon.{name}" not in text.partition("layers = [")[2]]
    assert packages
    assert not missing, f"packages without a layer in pyproject.toml: {missing}"


def test_heavy_packages_are_imported_only_where_they_may_be():
    found = {}
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        heavy = HEAVY.intersection(_imports(ast.parse(path.read_text(encoding="utf-8"))))
        if heavy and not name.startswith(MAY_IMPORT_HEAVY):
            found[name] = sorted(heavy)
    # Reading a Hugging Face data set by name needs its library, inside the function that does it.
    found.pop("problems/datasets.py", None)
    assert not found
