"""Run a `menon` command in children of one warm process and kill them at random moments, until it completes.

    OMP_NUM_THREADS=1 python kill_driver.py FOLDER KILLS PER_CHAIN SEED ARGV...

Makes FOLDER/whole without any kill, then FOLDER/chain-1 and so on, each killed up to PER_CHAIN times and then left to
finish, until there were KILLS kills, and prints one JSON object. Importing torch takes seconds, so it is done once; a
child is a fork, which is safe because this process has started no threads: it imports and never computes.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTNeoXForCausalLM, PreTrainedTokenizerFast  # noqa: F401

import menon.studies.runner  # noqa: F401  the children import these; here it costs once
from menon.cli.app import run_command


def start(folder: Path, argv: list[str]) -> int:
    """Fork a child that runs the command with `folder` as its working directory; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        os.chdir(folder)
        log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = run_command(argv)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        os._exit(70)
    os._exit(code)


def finish(folder: Path, argv: list[str]) -> float:
    """Run the command to its end; return its seconds."""
    began = time.perf_counter()
    _, status = os.waitpid(start(folder, argv), 0)
    if status != 0:
        raise SystemExit(f"{folder.name} ended with status {status}:\n{folder.with_suffix('.log').read_text()[-4000:]}")
    return time.perf_counter() - began


def kill_once(folder: Path, argv: list[str], delay: float) -> bool:
    """Start the command and kill it after `delay` seconds; return False when it was done before."""
    child = start(folder, argv)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise SystemExit(f"{folder.name} failed:\n{folder.with_suffix('.log').read_text()[-4000:]}")
    return os.WIFSIGNALED(status)


def main() -> None:
    root, kills, per_chain, seed, argv = Path(sys.argv[1]), *map(int, sys.argv[2:5]), sys.argv[5:]
    torch.set_num_threads(1)
    (root / "whole").mkdir()
    seconds = finish(root / "whole", argv)
    rng, killed = random.Random(seed), []
    while sum(killed) < kills:
        folder = root / f"chain-{len(killed) + 1}"
        folder.mkdir()
        killed.append(0)
        # Long enough for a unit to be finished now and then, short enough for the chain not to end too soon.
        wanted = min(per_chain, kills - sum(killed))
        while killed[-1] < wanted and kill_once(folder, argv, rng.uniform(0, 0.3 * seconds)):
            killed[-1] += 1
        finish(folder, argv)
    print(json.dumps({"seconds": seconds, "kills": killed}))  # noqa: T201


if __name__ == "__main__":
    main()
