"""The command line as a process, for everything that needs no model."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_version_and_help(menon_command: Command):
    import menon

    assert menon_command("--version").stdout.strip() == menon.__version__
    shown = menon_command("--help")
    assert shown.returncode == 0
    for text in ("run", "doctor", "teach", "grade", "problems", "env", "2 wrong usage", "3 refused"):
        assert text in shown.stdout


def test_no_verb_is_wrong_usage(menon_command: Command):
    done = menon_command()
    assert done.returncode == 2
    assert "Usage: menon" in done.stdout + done.stderr


def test_installed_script_is_the_same_command():
    script = Path(sys.executable).with_name("menon")
    if not script.exists():
        pytest.skip("menon is not installed as a script beside this Python")
    done = subprocess.run([script, "problems", "list", "--json"], capture_output=True, text=True, timeout=60)
    assert [family["name"] for family in json.loads(done.stdout)["families"]] == [
        "addition",
        "chain",
        "counter-programs",
        "facts",
    ]


def test_env_tells_versions_but_no_secrets(menon_command: Command, tmp_path: Path):
    secret = "hf_do_not_print_me"
    done = menon_command(
        "env", "--json", "--out", tmp_path / "e", HF_TOKEN=secret, OPENAI_API_KEY=secret, HF_HOME=str(tmp_path)
    )
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert secret not in done.stdout + done.stderr
    assert found["variables"]["HF_TOKEN"] == found["variables"]["OPENAI_API_KEY"] == "set"
    assert found["variables"]["HF_HOME"] == str(tmp_path)
    assert found["packages"]["torch"]
    assert found["cores"] >= 1
    assert found["memory_mb"]["total"] > 100
    assert json.loads((tmp_path / "e" / "env.json").read_text(encoding="utf-8")) == found
    plain = menon_command("env", OPENAI_API_KEY=secret)
    assert secret not in plain.stdout
    assert "transformers" in plain.stdout


@pytest.mark.parametrize("family", ["addition", "chain", "counter-programs", "facts"])
def test_problems_show_tells_the_hint_and_the_reference(menon_command: Command, family: str):
    done = menon_command("problems", "show", family, "3", "--json")
    shown = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert shown["answer"] not in shown["prompt"].removeprefix(shown["question"])
    assert shown["answer"] in shown["hinted_prompt"]
    assert shown["completion"].startswith(shown["rationale"])
    assert shown["variant"]["difficulty"] == shown["difficulty"]
    assert shown["variant"]["question"] != shown["question"]
    assert shown["question"] in menon_command("problems", "show", family, "3").stdout


def test_problems_make_is_repeatable_and_splits_differ(menon_command: Command, tmp_path: Path):
    options = ["--count", "20", "--difficulty", "3"]
    first = menon_command("problems", "make", "chain", *options, "--out", tmp_path / "deep" / "a.jsonl")
    assert first.returncode == 0, first.stderr
    assert "20 problems" in first.stdout
    rows = [json.loads(line) for line in (tmp_path / "deep" / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["difficulty"] for row in rows} == {3}
    again = menon_command("problems", "make", "chain", *options)
    assert [json.loads(line) for line in again.stdout.splitlines()] == rows
    other = json.loads(menon_command("problems", "make", "chain", *options, "--split", "train", "--json").stdout)
    assert not {row["id"] for row in other["problems"]} & {row["id"] for row in rows}


def test_made_problems_can_be_read_back(menon_command: Command, tmp_path: Path):
    from menon.problems.datasets import load_problems

    menon_command("problems", "make", "chain", "--count", "5", "--out", tmp_path / "a.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    found = load_problems(tmp_path / "a.jsonl").problems
    assert [(p.question, p.answer, p.rationale) for p in found] == [
        (row["question"], row["answer"], row["rationale"]) for row in rows
    ]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["problems", "show", "additon"], "Did you mean 'addition'"),
        (["problems", "make", "chain", "--split", "trian"], "train"),
        (["problems", "make", "chain", "--difficulty", "99"], "99"),
        (["problems", "make", "chain", "--set", "dificulties=[1]"], "Did you mean 'difficulties'"),
        (["problems", "make", "chain", "--out", "."], "give a file"),
    ],
)
def test_mistakes_are_wrong_usage_with_one_message(menon_command: Command, argv: list[str], told: str):
    done = menon_command(*argv)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_set_changes_a_family(menon_command: Command):
    done = menon_command("problems", "make", "chain", "--count", "9", "--set", "difficulties=[2, 4]", "--json")
    assert {row["difficulty"] for row in json.loads(done.stdout)["problems"]} == {2, 4}


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m menon.cli problems make addition --count 3000 2>/dev/null | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ),
    )
    assert done.stdout.splitlines()[-1] == "0"


def test_grade_of_something_else_is_refused_with_a_message(menon_command: Command, tmp_path: Path):
    done = menon_command("grade", tmp_path, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["type"] == "RunError"
    assert "run directory" in done.stderr
