"""How long `import menon` and `menon --help` take, beside Python itself and other commands of the field.

    python benchmarks/startup.py [--repeats 9] [--json]

Every command runs in a process of its own, in turns, so that a busy moment of the machine hits all alike; the minimum
is the figure least disturbed by others, the median is what a user meets. Ratios are peer time / our time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
TARGETS_MS = {"import menon": 150, "menon --help": 300, "menon teach star --help": 300}


def commands() -> dict[str, list[str]]:
    """Return the commands to time by name; peers that are not installed are left out."""
    python = sys.executable
    ours = {
        "python -c pass": [python, "-c", "pass"],
        "import menon": [python, "-c", "import menon"],
        "menon --help": [str(BIN / "menon"), "--help"],
        "menon run --help": [str(BIN / "menon"), "run", "--help"],
        "menon teach star --help": [str(BIN / "menon"), "teach", "star", "--help"],
        "menon problems list": [str(BIN / "menon"), "problems", "list"],
    }
    peers = {f"{name} --help": [str(BIN / name), "--help"] for name in ("hf", "transformers", "trl", "lm_eval")}
    return ours | {name: command for name, command in peers.items() if Path(command[0]).exists()}


def seconds(command: list[str]) -> float:
    """Run `command` once and return its wall time."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def measure(repeats: int) -> dict[str, dict[str, float]]:
    """Return minimum and median in milliseconds per command, after one warm-up run of each."""
    chosen = commands()
    times: dict[str, list[float]] = {name: [] for name in chosen}
    for command in chosen.values():
        seconds(command)
    for _ in range(repeats):
        for name, command in chosen.items():
            times[name].append(1000 * seconds(command))
    return {
        name: {"min_ms": round(min(taken), 1), "median_ms": round(statistics.median(taken), 1)}
        for name, taken in times.items()
    }


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.repeats)
    own = found["menon --help"]["median_ms"]
    peers = {
        name: row["median_ms"] for name, row in found.items() if not name.startswith(("menon", "import", "python"))
    }
    result = {
        "benchmark": "startup",
        "repeats": options.repeats,
        "load_average": os.getloadavg()[0],
        "times": found,
        "own_import_ms": round(found["import menon"]["median_ms"] - found["python -c pass"]["median_ms"], 1),
        "ratio": {name: round(taken / own, 2) for name, taken in peers.items()},
        "targets_ms": TARGETS_MS,
    }
    if options.json:
        print(json.dumps(result))
        return
    for name, row in found.items():
        target = f"  (target {TARGETS_MS[name]} ms)" if name in TARGETS_MS else ""
        print(f"{name:<26}{row['min_ms']:>8.0f} ms min{row['median_ms']:>8.0f} ms median{target}")
    for name, ratio in result["ratio"].items():
        print(f"{name} takes {ratio:.1f} times as long as menon --help")


if __name__ == "__main__":
    main()
