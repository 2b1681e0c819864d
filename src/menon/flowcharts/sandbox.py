"""Run Python that a chart or a model wrote: values in, values out, nothing else to reach.

The same program with the same inputs gives the same result: no clock, no random start, no file, no network, no
environment. Inputs go in as data and are never pasted into source. What the program does wrong is a result in words,
not an exception. The first backend is pydantic-monty; where it is not installed, a locked-down process is used.
Source: programs as answers in Gao et al. 2022 (PAL), arXiv:2211.10435, and Chen et al. 2022, arXiv:2211.12588.
"""

import asyncio
import keyword
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Literal, Self

from menon.core.errors import ConfigError
from menon.core.seeds import canonical_json, seed_for
from menon.flowcharts.sandbox_protocol import Backend, Limits, Program, SandboxResult, Stop
from menon.flowcharts.sandbox_rules import Rejected, checked
from menon.flowcharts.sandbox_values import NotPlain, plain

__all__ = ["Limits", "Sandbox", "SandboxResult", "problem_of"]

MOST_INPUT_CHARS = 10_000_000
BackendName = Literal["auto", "monty", "process"]


class Sandbox:
    """Runs programs from any thread or event loop; close it, or use it in a `with` block.

    Args:
        limits: for each run.
        backend: "monty", "process", or "auto" for the first of them that works here.
    Raises:
        ConfigError: there is no such backend, or it does not work here.
    """

    def __init__(self, limits: Limits | None = None, backend: BackendName = "auto"):
        self.limits = limits or Limits()
        _check_limits(self.limits)
        self._backend = _open_backend(backend, self.limits)
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="sandbox")

    @property
    def name(self) -> str:
        """The backend that is used: "monty" or "process"."""
        return self._backend.name

    def run(self, code: str, inputs: Mapping[str, Any], *, wants: Sequence[str] = ()) -> SandboxResult:
        """Run `code` with `inputs` as its variables and return the variables that it `wants`.

        Without `wants` there is at most one value, "result": that of the last expression, else of `answer`, `result` or
        `ans` where the code sets one, else what its function `solution` returns. An answer of None counts as none.

        Raises:
            ConfigError: an input or a wanted name cannot be one; nothing that the code does raises.
        """
        return self._run(code, inputs, wants, Stop())

    async def run_async(self, code: str, inputs: Mapping[str, Any], *, wants: Sequence[str] = ()) -> SandboxResult:
        """Do as `run` does, beside the event loop; cancelling kills the program.

        At most `os.cpu_count()` programs run at once; the others wait, which counts towards no limit.
        """
        stop = Stop()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, code, inputs, wants, stop)
        except asyncio.CancelledError:
            stop.stop()
            raise

    def close(self) -> None:
        """Wait for what runs, drop what waits, and end the backend's processes."""
        self._threads.shutdown(cancel_futures=True)
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, code: str, inputs: Mapping[str, Any], wants: Sequence[str], stop: Stop) -> SandboxResult:
        start = time.perf_counter()
        given = _checked_inputs(inputs)
        for name in wants:
            _check_name(name, "wanted name")
        try:
            tree = checked(code, given)
        except Rejected as problem:
            kind = "error" if problem.kind == "error" else "refused"
            return SandboxResult({}, "", str(problem), kind, time.perf_counter() - start)
        seed = seed_for("sandbox", code, canonical_json(given))
        result = self._backend.run(Program(code=code, tree=tree, inputs=given, wants=wants, seed=seed), stop)
        return replace(result, seconds=time.perf_counter() - start)


def problem_of(code: str, names: Sequence[str] = ()) -> str | None:
    """Say what keeps `code` from being run at all, without running it; `names` are its inputs."""
    try:
        checked(code, names)
    except Rejected as problem:
        return str(problem)
    return None


def _open_backend(backend: str, limits: Limits) -> Backend:
    if backend not in ("auto", "monty", "process"):
        raise ConfigError(f"sandbox backend {backend!r} is not known; allowed are 'auto', 'monty' and 'process'")
    from menon.flowcharts.sandbox_process import ProcessBackend

    if backend == "process" or (backend == "auto" and find_spec("pydantic_monty") is None):
        return ProcessBackend(limits)
    from menon.flowcharts.sandbox_monty import MontyBackend

    try:
        return MontyBackend(limits)
    except ConfigError:
        if backend == "monty":
            raise
        return ProcessBackend(limits)


def _checked_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    for name in inputs:
        _check_name(name, "input name")
    try:
        return {name: plain(value, name, most_chars=MOST_INPUT_CHARS) for name, value in inputs.items()}
    except NotPlain as failure:
        raise ConfigError(f"an input cannot be passed to sandboxed code: {failure}") from None


def _check_name(name: str, what: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
        raise ConfigError(f"{what} {name!r} is no variable name; take letters, digits and underscores, such as 'total'")


def _check_limits(limits: Limits) -> None:
    for name in ("seconds", "memory_mb", "output_chars", "recursion"):
        if not getattr(limits, name) > 0:
            raise ConfigError(f"sandbox limit {name} is {getattr(limits, name)!r}; it must be greater than 0")
