"""`menon run`, `doctor` and `grade` as processes, on an untrained model that is small enough to take seconds."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

# Gold rationales as the preset: an untrained model keeps nothing of its own.
SMALL = {
    "star.preset": "gold",
    "star.rounds": "1",
    "star.questions": "8",
    "star.steps": "2",
    "star.max_tokens": "16",
    "evaluation.max_tokens": "16",
    "evaluation.per_difficulty": "1",
    "evaluation.originals": "2",
    "families": '["chain"]',
    "direct_control": "false",
}


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from menon.models.embedded import build_model, build_tokenizer
    from menon.problems.corpus import tokenizer_texts

    folder = tmp_path_factory.mktemp("tiny")
    build_model(width=32, layers=1, heads=2).save_pretrained(folder)
    build_tokenizer(tokenizer_texts(300)).save_pretrained(folder)
    return folder


def _small(model: Path) -> list[str]:
    return [word for name, value in {"model": str(model), **SMALL}.items() for word in ("--set", f"{name}={value}")]


def _interrupt(argv: list[str], at: str) -> subprocess.CompletedProcess[str]:
    """Run a command and send it Ctrl-C when a line of standard error begins with `at`."""
    command = [sys.executable, "-m", "menon.cli", *argv]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=dict(os.environ)) as process:
        assert process.stderr is not None
        seen = []
        for line in process.stderr:
            seen.append(line)
            if line.startswith(at):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, out, "".join(seen) + err)


def test_a_run_is_stopped_continued_reported_and_graded(menon_command: Command, tiny_model: Path, tmp_path: Path):
    folder = tmp_path / "run"
    argv = ["run", "quickstart", "--out", str(folder), "--force", *_small(tiny_model)]

    stopped = _interrupt([*argv, "--json"], "round 1")
    assert stopped.returncode == 130, stopped.stderr
    assert json.loads(stopped.stdout)["error"]["exit_code"] == 130
    assert f"To go on: menon run quickstart --out {folder}" in stopped.stderr
    assert "Traceback" not in stopped.stderr

    done = menon_command(*argv, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    wanted = {"run", "seconds", "tokens", "verdict", "accuracy", "hard_band", "recitation_share", "rounds"}
    assert wanted <= report.keys()
    assert Path(report["run"]) == folder
    stored = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert {name: stored[name] for name in wanted - {"run"}} == {name: report[name] for name in wanted - {"run"}}

    again = menon_command(*argv)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == f"report: {folder / 'report.html'}"
    assert (folder / "report.html").is_file()

    graded: dict[str, Any] = json.loads(menon_command("grade", folder, "--json").stdout)
    assert graded["completions"] > 0
    assert graded["disagreements"] == 0


def test_a_doomed_run_is_refused(menon_command: Command, tiny_model: Path, tmp_path: Path):
    looked = menon_command("doctor", "quickstart", "--json", "--out", tmp_path / "seen", *_small(tiny_model))
    assert looked.returncode == 3, looked.stderr
    report = json.loads(looked.stdout)
    assert report["ok"] is False
    assert json.loads((tmp_path / "seen" / "doctor.json").read_text(encoding="utf-8")) == report

    refused = menon_command("run", "quickstart", "--json", "--out", tmp_path / "run", *_small(tiny_model))
    assert refused.returncode == 3, refused.stderr
    assert json.loads(refused.stdout)["error"]["type"] == "Refused"
    assert "--force" in refused.stderr


def test_a_misspelt_setting_is_named(menon_command: Command, tmp_path: Path):
    done = menon_command("run", "quickstart", "--set", "star.ronds=2", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "ronds" in done.stderr
    assert "rounds" in done.stderr
    assert not (tmp_path / "run").exists()


def test_presets_in_the_help_are_those_that_exist():
    from menon.cli.teach import PRESETS as SHOWN
    from menon.teaching.config import PRESETS

    assert set(SHOWN) == set(PRESETS)
