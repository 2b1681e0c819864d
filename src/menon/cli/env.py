"""`menon env`: what a bug report or a manifest needs to know about this machine, read without importing torch."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from menon.cli.options import Debug, Json, Out, Set, settings
from menon.cli.terminal import open_terminal, table, write_file

PACKAGES = (
    *("menon", "torch", "transformers", "tokenizers", "safetensors", "numpy", "pydantic", "openai"),
    *("huggingface-hub", "peft", "accelerate", "datasets", "pyarrow", "math-verify", "typer", "rich", "jinja2"),
)
SHOWN = (
    *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
    *("NO_COLOR", "CI", "MENON_DEBUG"),
)
SECRET = ("HF_TOKEN", "OPENAI_API_KEY", "OPENAI_BASE_URL")  # a base URL can carry a password


def packages() -> dict[str, str | None]:
    """Return installed versions; None where a package is absent."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def variables() -> dict[str, str]:
    """Return the environment variables that matter: the value of harmless ones, `set` or `not set` for the others."""
    other = {name for name in os.environ if name.startswith(("HF_", "OPENAI_"))}
    hidden = sorted({*SECRET, *other} - set(SHOWN))
    shown = {name: os.environ.get(name, "not set") for name in SHOWN}
    return {**shown, **{name: "set" if os.environ.get(name) else "not set" for name in hidden}}


def torch_build() -> str | None:
    """Return what torch was built for, such as `cpu` or `cuda 12.8`; None without torch."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        text = Path(str(distribution("torch").locate_file("torch/version.py"))).read_text(encoding="utf-8")
    except (PackageNotFoundError, OSError):
        return None
    for kind in ("cuda", "hip"):
        match = re.search(rf"^{kind}\b[^=]*=\s*['\"]([^'\"]+)", text, re.MULTILINE)
        if match:
            return f"{kind} {match[1]}"
    return "cpu"


def accelerators() -> list[str]:
    """Return the accelerators that the driver reports, as `name, memory`; an Apple GPU as `mps`."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return ["mps"]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in found.splitlines() if line.strip()]


def device() -> dict[str, Any]:
    """Return the device that `auto` will probably choose, and what it was concluded from."""
    found, build = accelerators(), torch_build()
    if found == ["mps"]:
        name = "mps"
    else:
        name = "cuda" if found and build and build != "cpu" else "cpu"
    return {"device": name, "accelerators": found, "torch_build": build}


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_mb() -> dict[str, int | None]:
    """Return total and available memory in MiB; the total is the container's limit where there is a lower one."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
        return {"total": pages // 2**20 or None, "available": None}
    kib = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    total, available = kib["MemTotal"] // 1024, kib["MemAvailable"] // 1024
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")) // 2**20
    except (OSError, ValueError):  # no control group, or "max"
        limit = total
    return {"total": min(total, limit), "available": min(available, limit)}


def disk_gb() -> dict[str, float]:
    """Return free disk space in GiB of the current folder and of the Hugging Face cache."""
    cache = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    places = {"here": Path.cwd(), "hf_cache": cache}
    for name, path in places.items():
        places[name] = next(p for p in (path, *path.absolute().parents) if p.exists())
    return {name: round(shutil.disk_usage(path).free / 2**30, 1) for name, path in places.items()}


def describe() -> dict[str, Any]:
    """Collect everything that `menon env` shows."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages(),
        **device(),
        "cores": cores(),
        "threads": int(os.environ.get("OMP_NUM_THREADS") or cores()),
        "memory_mb": memory_mb(),
        "free_disk_gb": disk_gb(),
        "variables": variables(),
    }


def env_lines(found: dict[str, Any]) -> list[str]:
    """Write the description as aligned lines, absent packages and variables left out."""
    rows = {
        "python": found["python"],
        "platform": found["platform"],
        **{name: number for name, number in found["packages"].items() if number},
        "device": found["device"] + (f" ({'; '.join(found['accelerators'])})" if found["accelerators"] else ""),
        "torch build": found["torch_build"] or "torch is not installed",
        "cores, threads": f"{found['cores']}, {found['threads']}",
        "memory": ", ".join(f"{mb:,} MiB {name}" for name, mb in found["memory_mb"].items() if mb),
        "free disk": ", ".join(f"{gb:,} GiB {name}" for name, gb in found["free_disk_gb"].items()),
        **{name: state for name, state in found["variables"].items() if state != "not set"},
    }
    return table((), rows.items())


def env(out: Out = None, overrides: Set = None, as_json: Json = False, debug: Debug = False) -> None:
    """Show versions, device, memory and disk; --out writes them to PATH/env.json as well."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        settings(overrides, (), "env")
        found = describe()
        if out is not None:
            write_file(out / "env.json", json.dumps(found, indent=2) + "\n")
        terminal.emit(found, env_lines(found))
