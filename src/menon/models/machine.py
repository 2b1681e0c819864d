"""What a run was made with: versions, hashes, device, determinism; and the memory it took."""

import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import menon

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "peft")


def manifest(**hashes: str) -> dict[str, Any]:
    """Describe this process: package versions, Python, device, threads, determinism, and the given hashes."""
    versions = {"menon": menon.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    # A process that only talks to a server has no need of torch, and its import takes seconds.
    torch = sys.modules.get("torch")
    cuda = torch is not None and torch.cuda.is_available()
    return {
        "versions": versions,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(0) if torch is not None and cuda else _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads() if torch is not None else 1,
        "deterministic": not cuda,
        "hashes": hashes,
    }


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, in MB (GPU memory apart)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
