"""What lies where in a run directory, and which folders are run directories."""

import json
import os
import shlex
from pathlib import Path

from menon.core.errors import RunError
from menon.store.files import OLD, TEMP, clean_leftovers, os_failure, sync_folder
from menon.store.lock import is_lock

RECIPE = "recipe.toml"
MANIFEST = "manifest.json"
RECORDS = "records.sqlite"
METRICS = "metrics.jsonl"
THOUGHTS = "thoughts.jsonl"
CHECKPOINTS = "checkpoints"
LOCK = "run.lock"

# In the order in which a fresh start removes them: the records first, so that a kill leaves no units without files.
_OWN = (
    RECORDS,
    f"{RECORDS}-wal",
    f"{RECORDS}-shm",
    METRICS,
    THOUGHTS,
    "report.html",
    "report.json",
    "fork.html",
    "fork.json",
    "trace.jsonl",
    "trace.parquet",
    CHECKPOINTS,
    MANIFEST,
    RECIPE,
)


def is_run(path: Path) -> bool:
    """Say whether the folder `path` is a run directory, finished or just begun."""
    return is_lock(path / LOCK) or ((path / RECIPE).is_file() and (path / RECORDS).is_file())


def check_usable(path: Path) -> None:
    """Raise `RunError` when `path` is a file, or a folder with content that is no run; nothing is written."""
    try:
        if path.exists() and not path.is_dir():
            raise RunError(f"{str(path)!r} is a file; a run needs a folder: give another one (--out DIR)")
        names = os.listdir(path) if path.exists() else []
    except OSError as error:
        raise os_failure(error, "read", path) from error
    foreign = [name for name in names if name != LOCK and TEMP not in name and not name.endswith(OLD)]
    if foreign and not is_run(path):
        raise RunError(
            f"{str(path)!r} holds {len(foreign)} entries (such as {sorted(foreign)[0]!r}) but is not a Menon run, so "
            "nothing is written or deleted there; give a new or empty folder (--out DIR)"
        )


def clear(path: Path) -> None:
    """Remove what Menon wrote to the run directory `path`; files of other people stay. Needs the lock."""
    for name in _OWN:
        try:
            os.rename(path / name, path / f".{name}{TEMP}trash")
        except FileNotFoundError:
            continue
    sync_folder(path)
    clean_leftovers(path)


def resume_hint(path: Path) -> str:
    """Return one sentence with the command that goes on with the run in `path`.

    It is the manifest's `command` without `--fresh`; when that is unknown, a command from the resolved recipe.
    """
    try:
        command = json.loads((path / MANIFEST).read_text(encoding="utf-8")).get("command")
    except (OSError, ValueError, AttributeError):
        command = None
    try:
        words = [word for word in shlex.split(command or "") if word != "--fresh"]
    except (ValueError, AttributeError, TypeError):
        words = []
    if not words:
        words = ["menon", "run", str(path / RECIPE), "--out", str(path)]
    return f"finished units are kept in {str(path)!r}; go on with: {shlex.join(words)}"
