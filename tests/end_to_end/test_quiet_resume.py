"""`menon teach quiet-star` killed between file operations and before optimizer steps: resumed, it ends the same.

Run as a script, this file is the process that is killed: it imports once and forks a child per attempt. A child counts
its file operations in the run's folder and its optimizer steps, and kills itself before number N of them. So a failing
moment can be tried again, which a kill by the clock does not allow.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from menon.store import Run, without_measured

VARIANTS = {
    "accumulated": {"train.accumulate": "2", "train.gradient_checkpointing": "true", "quiet.slice_rows": "48"},
    "curriculum": {"quiet.curriculum": "[4,3]", "quiet.thoughtless": "true", "quiet.kl": "0.1"},
    "adapter": {"quiet.lora_rank": "2", "quiet.curriculum": "[4,3]", "quiet.thoughtless": "true"},
    "bfloat16": {"train.precision": '"bfloat16"', "thoughts.head": '"linear"'},
}
SMALL = {
    "thoughts.tokens": "3",
    "thoughts.talk": "2",
    "quiet.steps": "12",
    "quiet.rows": "2",
    "quiet.passes": "2",
    "quiet.positions": "4",
    "quiet.token_rate": "1.0",
    "quiet.head_rate": "1.0",
    "texts.length": "32",
    "texts.held_out": "0.2",
    "evaluation.rows": "4",
    "evaluation.positions": "4",
    "evaluation.shown": "1",
    "train.learning_rate": "1e-2",
    "train.warmup_steps": "2",
    "train.accumulate": "1",
    "save_every": "3",
}
# Per variant, the thirds of the run in which the chains begin with a kill. The last one holds the end of the teaching.
THIRDS = {"accumulated": (1,), "curriculum": (2, 1, 0), "adapter": (2, 1), "bfloat16": (2,)}
FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree"}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")


def argv_of(variant: str, model: Path, texts: Path) -> list[str]:
    sets = {**SMALL, **VARIANTS[variant]}
    flags = ["--model", str(model), "--data", str(texts), "--out", "run", "--force", "--json"]
    return [
        "teach",
        "quiet-star",
        *flags,
        *(word for key, value in sets.items() for word in ("--set", f"{key}={value}")),
    ]


def outcome(folder: Path) -> dict[str, Any]:
    """Everything that a run left, apart from what is measured."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    with Run.open(folder) as run:
        return {
            "report": without_measured(report),
            "units": [(unit.stage, unit.names) for unit in run.units()],
            "everything": run.fingerprint(),
            "metrics": list(run.metrics("teach")),
            "warnings": run.warnings,
            "checkpoints": {
                str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted((folder / "checkpoints").rglob("*"))
                if path.is_file()
            },
        }


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """All variants, each run once to its end and once with kills; where they lie, and what happened."""
    root = tmp_path_factory.mktemp("killed")
    seed = random.SystemRandom().randrange(2**31)
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, __file__, str(root), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=alone)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    return root, json.loads(done.stdout)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_that_was_killed_ends_like_one_that_was_not(killed: tuple[Path, dict[str, Any]], variant: str):
    root, told = killed
    whole = outcome(root / variant / "whole" / "run")
    assert len(whole["report"]["curve"]) == len(whole["metrics"]) == 12
    weights = "adapter_model" if variant == "adapter" else "model"
    files = (f"{weights}.safetensors", "thoughts.safetensors", "thoughts.json")
    assert {f"checkpoints/quiet/{name}" for name in files} <= set(whole["checkpoints"])
    assert not [name for name in whole["checkpoints"] if not name.startswith("checkpoints/quiet/")]
    for chain, kills in told[variant]["kills"].items():
        assert kills, chain
        found = outcome(root / variant / chain / "run")
        for name, wanted in whole.items():
            assert found[name] == wanted, f"killed at {kills}: {name} differs"
        assert (root / variant / chain / "run" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_command_again_computes_nothing(killed: tuple[Path, dict[str, Any]], variant: str):
    root, told = killed
    assert (told[variant]["steps"], told[variant]["steps_again"]) == (12, 0)
    first, again = ((root / variant / "whole" / name).read_bytes() for name in ("first.json", "run/report.json"))
    assert first == again  # to the byte: what was measured is read back too
    assert told[variant]["same_json"]


class Moments:
    """Counts what a child does in the run's folder, and kills it before moment number `limit`."""

    def __init__(self) -> None:
        from torch.optim.optimizer import register_optimizer_step_pre_hook

        self.folder, self.told = "", -1
        self.limit = self.step_limit = self.count = self.steps = 0
        sys.addaudithook(self.hear)
        register_optimizer_step_pre_hook(self.before_step)

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self.folder and event in FILE_EVENTS and os.path.abspath(str(args[0])).startswith(self.folder):
            self.come_to(event)

    def before_step(self, *_: Any) -> None:
        self.steps += 1
        if self.steps == self.step_limit:
            self.kill(f"step {self.steps}")

    def come_to(self, what: str) -> None:
        self.count += 1
        if self.count == self.limit:
            self.kill(f"{what} {self.count}")

    def kill(self, where: str) -> None:
        os.write(self.told, json.dumps({"killed": where}).encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def attempt(self, folder: Path, argv: list[str], limit: int = 0, step_limit: int = 0) -> dict[str, Any]:
        """Run the command in a child, killed at a moment or step if it comes to that; return what the child did."""
        folder.mkdir(parents=True, exist_ok=True)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            self._be_child(folder, argv, (limit, step_limit), write)
        os.close(write)
        told = os.read(read, 10_000)
        os.close(read)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
            raise SystemExit(
                f"{argv} in {folder} ended with {status}:\n{folder.with_suffix('.err').read_text()[-4000:]}"
            )
        return json.loads(told)

    def _be_child(self, folder: Path, argv: list[str], limits: tuple[int, int], write: int) -> None:
        from menon.cli.app import run_command

        code = 70
        try:
            os.chdir(folder)
            for stream, name in ((1, ".out"), (2, ".err")):
                os.dup2(os.open(folder.with_suffix(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            self.folder, self.told, (self.limit, self.step_limit) = str(folder / "run"), write, limits
            code = run_command(argv)
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(write, json.dumps({"moments": self.count, "steps": self.steps}).encode())
        except BaseException:
            traceback.print_exc()
        os._exit(code)


def try_variant(
    moments: Moments, folder: Path, argv: list[str], thirds: Sequence[int], rng: random.Random
) -> dict[str, Any]:
    """Run the variant once to its end and once more, then in chains of kills; return what happened."""
    whole = folder / "whole"
    first = moments.attempt(whole, argv)
    first_json = (folder / "whole.out").read_bytes()
    (whole / "first.json").write_bytes((whole / "run" / "report.json").read_bytes())
    again = moments.attempt(whole, argv)
    kills: dict[str, list[str]] = {}
    for third in thirds:
        name, long = f"chain-{third}", first["moments"] // 3
        limit = rng.randrange(third * long, (third + 1) * long) + 1
        attempts = [
            moments.attempt(folder / name, argv, limit),
            moments.attempt(folder / name, argv, step_limit=rng.randrange(1, first["steps"])),
            moments.attempt(folder / name, argv),
        ]
        kills[name] = [attempt["killed"] for attempt in attempts if "killed" in attempt]
    return {
        "kills": kills,
        "steps": first["steps"],
        "steps_again": again["steps"],
        "same_json": first_json == (folder / "whole.out").read_bytes(),
    }


def make_material(root: Path) -> None:
    from small_models import save_small

    texts = [f"The sum of {i} and {i % 7} is {i + i % 7}. --- We add {i % 5} and get {i + i % 5}." for i in range(60)]
    (root / "texts.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    save_small("llama", root / "model", [*texts, "---"], positions=64)


def main() -> None:
    """Run all variants under the first argument and print what happened as one JSON object."""
    root, seed = Path(sys.argv[1]), int(sys.argv[2])
    import peft  # noqa: F401  the children import these; here it costs once
    import torch
    from small_models import save_small  # noqa: F401
    from transformers import AutoModelForCausalLM, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: F401

    import menon.studies.quiet.teach  # noqa: F401

    torch.set_num_threads(1)
    maker = os.fork()  # training a tokenizer starts threads, which a process that forks may not have
    if not maker:
        make_material(root)
        os._exit(0)
    os.waitpid(maker, 0)
    moments = Moments()
    told = {}
    for variant in VARIANTS:
        rng = random.Random(f"{seed} {variant}")
        told[variant] = try_variant(
            moments, root / variant, argv_of(variant, root / "model", root / "texts.jsonl"), THIRDS[variant], rng
        )
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
