"""The study of procedural knowledge on models too small to learn: it runs, and killed anywhere it ends the same.

Run as a script, this file is the process that is killed: it imports once and forks a child per attempt, and a child
kills itself when it has been told of its progress N times.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from menon.core.progress import Silent
from menon.core.recipe import load_recipe
from menon.store import Run, without_measured
from menon.studies.known import training
from menon.studies.procedural.recipe import ProceduralStudy
from menon.studies.procedural.study import METHODS, run_procedural

RECIPE = """
study = "procedural"
base_documents = 120
top = [5, 20]
shuffles = 99
[corpus]
documents = 160
traced = 120
[[models]]
name = "small"
epochs = 2
size = { width = 16, layers = 1, heads = 2 }
train = { warmup_steps = 2 }
[[models]]
name = "large"
epochs = 1
size = { width = 24, layers = 1, heads = 2 }
[queries]
reasoning = 4
factual = 4
factual_control = 2
reasoning_control = 2
pool = 2
planted = 8
max_tokens = 40
[tracing]
shard = 60
"""
KILLS = (3, 12, 22)  # how often a child is told of progress before it dies; each goes on from the one before

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")


class Dying(Silent):
    def __init__(self, left: int):
        self.left = left

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(folder: Path, kill: int) -> int:
    """Run the study in a child and return its wait status; `kill` 0 lets it live."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        training.BLOCK, training.SAVE_EVERY = 1, 1  # a state after every step
        recipe = load_recipe(str(folder.parent / "tiny.toml"), ProceduralStudy)
        run_procedural(recipe, out=folder, command="menon run procedural", progress=Dying(kill) if kill else Silent())
    except BaseException:
        traceback.print_exc()
        os._exit(70)
    os._exit(0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("procedural")
    (folder / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [sys.executable, __file__, str(folder)], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout) == {"killed": len(KILLS)}
    return folder


def outcome(folder: Path) -> dict[str, Any]:
    """Everything that a run left, apart from what is measured."""
    with Run.open(folder) as run:
        return {
            "report": without_measured(json.loads((folder / "report.json").read_text(encoding="utf-8"))),
            "units": [(unit.stage, unit.names) for unit in run.units()],
            "everything": run.fingerprint(),
            "models": {
                str(path.relative_to(folder)): path.read_bytes()
                for path in sorted((folder / "checkpoints").rglob("model.safetensors"))
            },
        }


def test_a_killed_study_ends_as_one_that_was_not(runs: Path):
    whole, killed = outcome(runs / "whole"), outcome(runs / "killed")
    assert len(whole["models"]) == 2
    for part, value in whole.items():
        assert killed[part] == value, part
    assert not list((runs / "killed").rglob("partial"))


def test_the_report_has_all_models_queries_methods_and_files(runs: Path):
    folder = runs / "whole"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in report["models"]] == ["small", "large", "base"]
    for model in report["models"]:
        found = model["findings"]
        assert set(found["alike"]["methods"]) == set(METHODS)
        assert {row["method"] for row in found["procedures"]} == set(METHODS)
        assert model["asked"]["reasoning"] == 4
        assert len(model["queries"]) == sum(model["asked"].values())
    base = report["models"][-1]
    assert {row["role"] for row in base["accuracy"]} == {
        "reasoning", "factual", "factual-control", "reasoning-control",
    }  # fmt: skip
    right = {row["family"]: row["value"] for row in base["accuracy"] if row["level"] in ("difficulty 2", "frequent")}
    assert min(right.values()) > 0.5  # the embedded model does know its own text
    assert report["sizes"]["alike"]
    assert report["verdict"]["why_not"]  # four planted cases make no rule
    assert not (folder / "verdict.json").exists()
    for name in ("report.html", "procedural.md", "procedural-alike-base.svg", "procedural-sizes.svg"):
        assert (folder / name).is_file()


def main(folder: Path) -> None:
    training.known_tokenizer()  # the children find it made; without threads of its own a fork is safe
    assert attempt(folder / "whole", 0) == 0
    killed = 0
    for kill in KILLS:
        status = attempt(folder / "killed", kill)
        killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert attempt(folder / "killed", 0) == 0
    sys.stdout.write(json.dumps({"killed": killed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
