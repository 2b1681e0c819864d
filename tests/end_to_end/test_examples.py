"""The examples as a reader runs them: an audit of stand-ins, and teaching on a file whose run is then read."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from menon.models.load import EMBEDDED, source

EXAMPLES = Path(__file__).parents[2] / "examples"
TINY = {
    "star.rounds": "1",
    "star.questions": "24",
    "star.steps": "2",
    "evaluation.per_difficulty": "2",
    "style": "menon",
}


def _run(*command: str | Path, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path + os.pathsep + os.environ.get("PATH", "")}
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=240, env=environment, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize(("sampler", "label"), [("scripted:reciter", "recites"), ("scripted:oracle?p=0.9", "reasons")])
def test_audit_recognises_a_stand_in(sampler: str, label: str):
    done = _run(sys.executable, EXAMPLES / "audit_a_model.py", sampler, "--families", "chain")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"  chain: {label}; ")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory that `teach_on_a_file.sh` leaves behind."""
    menon, shell = Path(sys.executable).with_name("menon"), shutil.which("sh")
    if not menon.exists() or shell is None:
        pytest.skip("needs a shell, and menon installed as a script beside this Python")
    if not any(Path(source(EMBEDDED)).glob("*.safetensors")):
        pytest.skip("the embedded model is not in this checkout")
    folder = tmp_path_factory.mktemp("examples")
    made = _run(
        *(menon, "problems", "make", "chain", "--split", "train", "--count", "40"),
        *("--difficulty", "2", "--out", folder / "chain.jsonl"),
    )
    assert made.returncode == 0, made.stderr
    words = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
    script = (shell, EXAMPLES / "teach_on_a_file.sh", EMBEDDED, folder / "chain.jsonl", folder / "run")
    done = _run(*script, *words, path=str(menon.parent))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fit to run" in done.stdout
    assert "0 of" in done.stdout.splitlines()[-1]
    return folder / "run"


def test_teaching_on_a_file_leaves_a_report(taught: Path):
    report = json.loads((taught / "report.json").read_text(encoding="utf-8"))
    assert report["data"]["problems"] == 40
    assert report["rounds"][0]["kept"] > 0
    assert (taught / "report.html").is_file()


def test_reading_a_run(taught: Path):
    done = _run(sys.executable, EXAMPLES / "read_a_run.py", taught)
    assert done.returncode == 0, done.stderr
    assert "star, round 1: " in done.stdout
    assert "own, kept" in done.stdout


def test_reading_what_is_no_run(tmp_path: Path):
    done = _run(sys.executable, EXAMPLES / "read_a_run.py", tmp_path)
    assert done.returncode == 1
    assert "is not a run directory" in done.stderr


def test_the_script_says_how_it_is_used():
    shell = shutil.which("sh")
    if shell is None:
        pytest.skip("needs a shell")
    done = _run(shell, EXAMPLES / "teach_on_a_file.sh", "one-word")
    assert done.returncode == 2
    assert "MODEL DATA OUT" in done.stderr
