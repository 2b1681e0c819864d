"""The study of code in pre-training as a process: killed with -9 while workers train, it goes on and ends the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from menon.core.recipe import dump_toml
from menon.store import Run, without_measured
from menon.studies.code_mixture.recipe import CodeMixture, MixtureArm, MixturePhase, Tasks
from menon.studies.known.training import ModelSize
from menon.teaching.config import TrainConfig

RECIPE = CodeMixture(
    seeds=(0,),
    tokens=9_000,
    tuning_tokens=2_000,
    size=ModelSize(width=16, layers=1, heads=2),
    train=TrainConfig(learning_rate=3e-3, warmup_steps=2, tokens_per_batch=128),
    tasks=Tasks(originals=4, variants=1, questions=4, facts=4, programs=4),
    workers=1,
    arms=(
        MixtureArm(name="text", title="text only", phases=(MixturePhase(mix={"text": 1.0}),), sweep=True),
        MixtureArm(
            name="code-25", title="25 % code", phases=(MixturePhase(mix={"text": 0.75, "code": 0.25}),), sweep=True
        ),
        MixtureArm(name="tuned", title="tuned", after="text", phases=(MixturePhase(mix={"answers": 1.0}),)),
    ),
)
SCRIPT = """
import sys
from pathlib import Path
from menon.core.recipe import load_recipe
from menon.studies.code_mixture.recipe import CodeMixture
from menon.studies.code_mixture.study import run_code_mixture

recipe = load_recipe(sys.argv[1], CodeMixture, sys.argv[3:])
run_code_mixture(recipe, out=Path(sys.argv[2]), command="menon run tiny.toml")
"""
PATIENCE = 300.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes")


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(dump_toml(RECIPE), encoding="utf-8")
    return path


def begin(recipe: Path, out: Path, *overrides: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(recipe), str(out), *overrides],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def ended(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    return said


def kept(out: Path) -> dict[str, Any]:
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    with Run.open(out) as run:
        return {
            "report": without_measured(report),
            "units": sorted((unit.stage, unit.names) for unit in run.units()),
            "fingerprint": run.fingerprint(),
            "weights": {
                str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("final/model.safetensors"))
            },
            "tables": (out / "code-mixture.md").read_bytes(),
            "pictures": {path.name: path.read_bytes() for path in sorted(out.glob("*.svg"))},
        }


def workers_below(out: Path) -> list[int]:
    """Return the processes that hold a member of this run open, by the locks that they write."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            held = [os.readlink(link) for link in (folder / "fd").iterdir()]
        except OSError:
            continue
        if any(str(out) in name for name in held):
            found.append(int(folder.name))
    return found


def wait_until(condition: Any) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    ended(begin(recipe_file, out))
    return out


def test_a_killed_study_leaves_no_worker_and_ends_with_the_same_report(recipe_file: Path, whole: Path, tmp_path: Path):
    out = tmp_path / "run"
    process = begin(recipe_file, out)
    wait_until(lambda: process.poll() is not None or list(out.glob("checkpoints/members/*/checkpoints")))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert not (out / "report.json").exists()
    if Path("/proc/self/fd").is_dir():
        wait_until(lambda: not workers_below(out))
    ended(begin(recipe_file, out))
    stopped, undisturbed = kept(out), kept(whole)
    for name, value in undisturbed.items():
        assert stopped[name] == value, name


def test_the_report_holds_every_arm_and_the_files_are_there(whole: Path):
    found = kept(whole)
    assert [arm["name"] for arm in found["report"]["arms"]] == ["text", "code-25", "tuned"]
    tokens = [arm["tokens"] for arm in found["report"]["arms"]]
    assert all(0.97 * RECIPE.tokens < count <= RECIPE.tokens for count in tokens[:2])
    assert 0.9 * RECIPE.tuning_tokens < tokens[2] <= RECIPE.tuning_tokens
    assert len(found["weights"]) == 3
    assert len(set(found["weights"].values())) == 3
    assert set(found["pictures"]) == {"code-mixture-arms.svg", "code-mixture-sweep.svg"}
    assert (whole / "report.html").stat().st_size > 20_000
