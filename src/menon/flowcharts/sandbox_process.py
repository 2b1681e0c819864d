"""The fallback sandbox: one locked-down Python process for each run, killed with its group when the time is over.

Slower than the first choice by two orders of magnitude, since every run starts an interpreter; what a program can
reach there is told in `sandbox_worker`. The clock starts when the process is ready, so that a busy machine's slow start
is not the program's fault. What comes back is data to be checked, not trusted.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError
from menon.flowcharts.sandbox_protocol import (
    ANSWER_NAMES,
    Limits,
    Program,
    SandboxResult,
    Stop,
    too_big,
    too_long,
    too_slow,
)
from menon.flowcharts.sandbox_values import NotPlain, clean_text, first_line, plain

STARTUP_S = 30.0
WORKER = Path(__file__).with_name("sandbox_worker.py")
ENVIRONMENT = {"PYTHONHASHSEED": "0", "TZ": "UTC"}  # sets in one order; nothing of ours
CHOICES = ("-s", "-S", "-P", "-B", "-X", "utf8")  # what -I means, but for reading the line above


class ProcessBackend:
    """Runs each program in a process of its own, at most `os.cpu_count()` at once."""

    name = "process"

    def __init__(self, limits: Limits):
        if sys.platform == "win32":
            raise ConfigError("the process sandbox needs Linux or macOS; install pydantic-monty==1.4.0 instead")
        self.limits = limits
        self._places = threading.BoundedSemaphore(os.cpu_count() or 1)

    def run(self, program: Program, stop: Stop) -> SandboxResult:
        """Run one program to its end, to the limit or to `stop`."""
        with self._places:
            process = subprocess.Popen(
                [sys.executable, *CHOICES, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
            try:
                stop.arm(lambda: _kill(process))
                return self._talk(process, program)
            finally:
                stop.disarm()
                _end(process)

    def close(self) -> None:
        """Do nothing: no process outlives its run."""

    def _talk(self, process: subprocess.Popen[bytes], program: Program) -> SandboxResult:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):  # the process is already gone, which the empty answer will say
            process.stdin.write(json.dumps(self._request(program)).encode("ascii"))
            process.stdin.close()
        most_bytes = 24 * self.limits.output_chars + 100_000  # what is printed and the values, escaped at worst
        lines = _Lines(process.stdout.fileno(), most_bytes=most_bytes)
        if not lines.next(STARTUP_S):
            return SandboxResult({}, "", "the sandbox process did not start", "error")
        start = time.perf_counter()
        line = lines.next(self.limits.seconds)
        seconds = time.perf_counter() - start
        if line is None:
            return SandboxResult({}, "", too_slow(self.limits), "time", seconds)
        return self._read(line, program, seconds)

    def _request(self, program: Program) -> dict[str, Any]:
        return {
            "code": program.code,
            "inputs": dict(program.inputs),
            "wants": list(program.wants),
            "seed": program.seed,
            "answer_names": ANSWER_NAMES,
            "seconds": self.limits.seconds,
            "memory_mb": self.limits.memory_mb,
            "output_chars": self.limits.output_chars,
            "recursion": self.limits.recursion,
        }

    def _read(self, line: bytes, program: Program, seconds: float) -> SandboxResult:
        if not line.endswith(b"\n"):
            return SandboxResult({}, "", "the code crashed its interpreter", "error", seconds)
        try:
            return self._checked(json.loads(line), program, seconds)
        except (ValueError, RecursionError, LookupError, TypeError):  # not what our worker writes
            return SandboxResult({}, "", "the sandbox process answered nonsense", "error", seconds)

    def _checked(self, answer: Mapping[str, Any], program: Program, seconds: float) -> SandboxResult:
        most = self.limits.output_chars
        try:
            values = plain(answer["values"], "result", most_chars=most + 1000)
        except NotPlain as failure:
            return SandboxResult({}, "", str(failure), "output" if failure.kind == "output" else "error", seconds)
        if not isinstance(values, dict) or not set(values) <= {*program.wants, "result"}:
            raise ValueError("values under names that nobody asked for")
        printed = clean_text(answer["printed"])[:most]
        match answer["kind"]:
            case "done":
                return SandboxResult(values, printed, None, "done", seconds)
            case "memory":
                return SandboxResult({}, printed, too_big(self.limits), "memory", seconds)
            case "output":
                return SandboxResult({}, printed, answer["error"] or too_long(self.limits), "output", seconds)
            case _:
                return SandboxResult({}, printed, first_line(answer["error"], 500), "error", seconds)


class _Lines:
    """Reads lines from a descriptor, each within a time limit, and never more than a number of bytes in all."""

    def __init__(self, descriptor: int, *, most_bytes: int):
        self._descriptor = descriptor
        self._left = most_bytes
        self._read = b""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def next(self, seconds: float) -> bytes | None:
        """Return one line; None when the time is over, what there is (without a line end) when the pipe ends."""
        deadline = time.monotonic() + seconds
        parts = [self._read]
        while b"\n" not in parts[-1]:
            if not self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            data = os.read(self._descriptor, 65536)
            self._left -= len(data)
            if not data or self._left < 0:
                return b"".join(parts)
            parts.append(data)
        line, end, self._read = b"".join(parts).partition(b"\n")
        return line + end


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:  # not yet waited for, so the number is still this process's own
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    _kill(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # unsent input of a process that is gone
                pipe.close()
