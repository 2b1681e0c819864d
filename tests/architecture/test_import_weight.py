"""What is imported for light work: never torch, transformers or anything that brings them."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "tokenizers", "peft", "accelerate", "datasets", "pandas", "pyarrow")


def _loaded(code: str) -> set[str]:
    report = f"import sys\n{code}\nsys.stderr.write('LOADED ' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, timeout=120)
    assert "LOADED" in done.stderr, done.stderr
    return set(done.stderr.rpartition("LOADED ")[2].split())


def _command(*argv: str) -> str:
    return f"from menon.cli import main\nmain({list(argv)!r})"


def test_import_menon_is_light():
    assert not _loaded("import menon").intersection((*HEAVY, "numpy", "pydantic", "typer", "rich", "openai", "jinja2"))


@pytest.mark.parametrize(
    "package", ["core", "problems", "grading", "stats", "store", "sampling", "auditing", "reports", "cli"]
)
def test_packages_that_only_read_and_write_do_not_load_torch(package: str):
    assert not _loaded(f"import menon.{package}").intersection(HEAVY)


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["run", "--help"],
        ["doctor", "--help"],
        ["teach", "star", "--help"],
        ["grade", "--help"],
        ["problems", "make", "--help"],
        ["env", "--help"],
    ],
    ids=" ".join,
)
def test_help_loads_neither_rich_nor_pydantic_nor_numpy(argv: list[str]):
    assert not _loaded(_command(*argv)).intersection((*HEAVY, "rich", "pydantic", "numpy", "openai", "jinja2"))


@pytest.mark.parametrize(
    "argv",
    [
        ["env"],
        ["problems", "list"],
        ["problems", "show", "chain"],
        ["problems", "make", "addition", "--count", "2"],
        ["grade", "no/such/run"],
        ["run", "no-such-recipe"],
    ],
    ids=" ".join,
)
def test_work_without_a_model_does_not_load_torch(argv: list[str]):
    assert not _loaded(_command(*argv)).intersection(HEAVY)
