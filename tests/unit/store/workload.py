"""A small run with everything that a kill could harm: many units, records, metrics, and checkpoints that build on them.

`python workload.py DIR [SHARDS]` does the run and prints one JSON object; `DIR --hold` keeps it open until a line comes
in; `DIR --crash-everywhere STEP` kills forked copies of itself at every STEP-th place where a file or the database is
touched, resumes each, and prints every result.
"""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path

from menon.core.seeds import rng_for
from menon.store import Run, UnitWriter, atomic_directory, atomic_remove

RECIPE = "rounds = 3\nshards = {shards}\n"


def work(folder: Path, shards: int) -> dict[str, object]:
    """Do the run (or what is left of it) and return what an uninterrupted run would return."""
    with Run.create_or_resume(folder, recipe_toml=RECIPE.format(shards=shards), manifest={"weights": "abc"}) as run:
        for number in range(3):
            for shard in reversed(range(shards)):
                run.unit("sample", number, shard, compute=lambda w: sample(run, w))
            run.unit("train", number, compute=lambda w: train(run, w))
        return outcome(run)


def sample(run: Run, writer: UnitWriter) -> dict[str, object]:
    rng = rng_for("workload", *writer.names)
    for index in range(12):
        writer.add(
            "completion", {"index": index, "text": "x" * rng.randrange(400), "seconds": rng_for(os.getpid()).random()}
        )
    writer.add("grade", {"right": rng.random()})
    run.metric(loss=rng.random())
    return {"total": rng.random()}


def train(run: Run, writer: UnitWriter) -> dict[str, object]:
    """Learn in four steps from all records so far, with a checkpoint after each, from which a later process goes on."""
    (number,) = writer.names
    state, step = "", 0
    target, partial = run.checkpoint(f"train-{number}"), run.checkpoint(f"train-{number}.partial")
    if writer.load_draft(partial):
        step, state = json.loads((partial / "state.json").read_text())
    while step < 4:
        for record in run.records("completion", stage="sample", names_prefix=(number,)):
            state = hashlib.sha256((state + record["text"] + str(record["index"])).encode()).hexdigest()
        step += 1
        run.metric(step=step)
        writer.add("row", {"state": state})
        with atomic_directory(partial) as temp:
            (temp / "state.json").write_text(json.dumps([step, state]))
            writer.save_draft(temp)
    with atomic_directory(target) as temp:
        (temp / "adapter").mkdir()
        (temp / "adapter" / "weights.bin").write_bytes(state.encode() * 50)
        (temp / "config.json").write_text(json.dumps({"number": number}))
    atomic_remove(partial)
    return {"state": state, "seconds": 1.0}


def outcome(run: Run) -> dict[str, object]:
    """Everything that must not depend on when the run was killed."""
    files = sorted(path for path in run.path.rglob("*") if path.is_file())
    kept = [p for p in files if not p.name.startswith(("records.sqlite", "run.lock"))]
    return {
        "fingerprint": run.fingerprint(),
        "order": [[u.stage, *u.names] for u in run.units()],
        "read": [r["index"] for r in run.records("completion")],
        "files": {str(p.relative_to(run.path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept},
    }


def crash_everywhere(base: Path, step: int) -> list[dict[str, object]]:
    results, place = [], 1
    while True:
        folder = base / str(place)
        child = os.fork()
        if child == 0:
            die_at(place)
            work(folder, 2)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        results.append({"place": place, "killed": os.WIFSIGNALED(status), **work(folder, 2)})
        shutil.rmtree(folder)
        if not results[-1]["killed"]:
            return results
        place += step


def die_at(place: int) -> None:
    """Make this process kill itself right before its `place`-th touch of a file or the database."""
    left = place

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(function):
        def call(*args, **kwargs):
            count()
            return function(*args, **kwargs)

        return call

    for name in ("rename", "replace", "fsync", "mkdir", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    connect = sqlite3.connect

    def traced(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(count)
        return connection

    sqlite3.connect = traced


def main() -> None:
    folder = Path(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if "--hold" in sys.argv:
        with Run.create_or_resume(folder, recipe_toml="a = 1\n", manifest={}):
            sys.stdout.write("holding\n")
            sys.stdout.flush()
            sys.stdin.readline()
    elif "--crash-everywhere" in sys.argv:
        sys.stdout.write(json.dumps(crash_everywhere(folder, int(sys.argv[3]))))
    else:
        sys.stdout.write(json.dumps(work(folder, int(sys.argv[2]) if len(sys.argv) > 2 else 10)))


if __name__ == "__main__":
    main()
