"""What the sandbox's front and its two backends share: limits, the result, and the switch that kills a run."""

import ast
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Kind = Literal["done", "error", "refused", "time", "memory", "output"]
ANSWER_NAMES = ("answer", "result", "ans")  # what program-of-thought programs call their answer, in the order looked at


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use; `recursion` counts nested calls, `output_chars` what is printed and what is returned."""

    seconds: float = 2.0
    memory_mb: int = 128
    output_chars: int = 100_000
    recursion: int = 200


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How one run ended: `error` is one sentence for a person, None only when `kind` is "done"."""

    values: dict[str, Any]
    printed: str
    error: str | None
    kind: Kind
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One checked program with its syntax tree and inputs; `seed` starts its `random` module."""

    code: str
    tree: ast.Module
    inputs: Mapping[str, Any]
    wants: Sequence[str]
    seed: int


@dataclass(slots=True)
class Stop:
    """Lets another thread kill a run: a backend arms it while there is something to kill."""

    asked: bool = False
    _kill: Callable[[], None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, kill: Callable[[], None]) -> None:
        """Set what `stop` calls; call it at once where the run was stopped before it began."""
        with self._lock:
            self._kill = kill
            if self.asked:
                kill()

    def disarm(self) -> None:
        """Forget what to kill, so that a late `stop` harms no other run."""
        with self._lock:
            self._kill = None

    def stop(self) -> None:
        """Kill the run, now or when it begins."""
        with self._lock:
            self.asked = True
            if self._kill is not None:
                self._kill()


class Backend(Protocol):
    """Runs one program at a time per calling thread; never raises for what a program does."""

    name: str

    def run(self, program: Program, stop: Stop) -> SandboxResult: ...

    def close(self) -> None: ...


def too_slow(limits: Limits) -> str:
    """Say that the time is over."""
    return f"the code ran longer than {limits.seconds:g} s"


def too_big(limits: Limits) -> str:
    """Say that the memory is used up."""
    return f"the code needed more than {limits.memory_mb} MB of memory"


def too_long(limits: Limits) -> str:
    """Say that too much was printed or returned."""
    return f"the code printed or returned more than {limits.output_chars} characters"
