"""The quickstart, small, killed with SIGKILL at fifty random moments: what is resumed ends like what was not killed."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from menon.store import Run, without_measured

DRIVER = Path(__file__).with_name("kill_driver.py")
KILLS, PER_CHAIN = 50, 10
SMALL = {
    "star.questions": 36,
    "star.rounds": 2,
    "star.steps": 6,
    "star.max_tokens": 64,
    "evaluation.max_tokens": 64,
    "evaluation.per_difficulty": 1,
    "evaluation.originals": 3,
    "evaluation.variants": 1,
    "train.tokens_per_batch": 512,
    "save_every": 2,  # so that kills also fall between a saved training state and the end of its unit
}
ARGV = ["run", "quickstart", "--out", "run", *(w for k, v in SMALL.items() for w in ("--set", f"{k}={v}"))]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")


def outcome(folder: Path) -> dict[str, Any]:
    """Everything that a run left, apart from times, speeds and memory."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    with Run.open(folder) as run:
        rows = list(run.records("row"))
        return {
            "report": without_measured(report),
            "units": [(unit.stage, unit.names) for unit in run.units()],
            "kept": [row for row in rows if row["reason"] == "kept"],
            "dropped": [row for row in rows if row["reason"] != "kept"],
            "everything": run.fingerprint(),
            "metrics": [m for m in run.metrics() if "seconds_estimate" not in m],
            "warnings": run.warnings,
            "checkpoints": {
                str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted((folder / "checkpoints").rglob("*"))
                if path.is_file()
            },
        }


def test_a_quickstart_killed_fifty_times_ends_like_one_that_was_not(tmp_path: Path):
    seed = random.SystemRandom().randrange(2**31)
    command = [sys.executable, str(DRIVER), str(tmp_path), str(KILLS), str(PER_CHAIN), str(seed), *ARGV]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=alone)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    result = json.loads(done.stdout)
    assert sum(result["kills"]) == KILLS

    whole = outcome(tmp_path / "whole" / "run")
    assert len(whole["kept"]) > 20
    assert set(whole["checkpoints"]) >= {f"checkpoints/{name}/model.safetensors" for name in ("star-1", "star-2")}
    assert not [name for name in whole["checkpoints"] if ".partial" in name]
    for chain in range(1, len(result["kills"]) + 1):
        found = outcome(tmp_path / f"chain-{chain}" / "run")
        for name, wanted in whole.items():
            assert found[name] == wanted, f"seed {seed}: {name} of chain {chain} differs"
        assert (tmp_path / f"chain-{chain}" / "run" / "report.html").stat().st_size > 10_000
