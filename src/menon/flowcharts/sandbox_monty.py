"""The first-choice sandbox: pydantic-monty, an interpreter in Rust that has no files, network or processes to give.

It runs in a pool of warm worker processes, so a run costs well under a millisecond. Its Python is smaller (no `yield`,
no inheritance, no `del`, no fractions or statistics): such programs end in an error that says so.
Traps met in version 1.4.0: sleep waits in the host unless told "zero"; what has no JSON comes back as text
("range(0, 3)", "<function 'f'>", "[...]" for a list inside itself); a worker whose
memory is full writes a line to our standard error.
"""

import ast
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from menon.core.errors import ConfigError
from menon.flowcharts.sandbox_protocol import (
    ANSWER_NAMES,
    Kind,
    Limits,
    Program,
    SandboxResult,
    Stop,
    too_big,
    too_long,
    too_slow,
)
from menon.flowcharts.sandbox_values import NotPlain, clean_text, first_line, plain

GRACE_S = 0.25  # how long after the limit a worker is killed that does not notice the limit itself
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # the only time there is
LINE_END = re.compile(r"(\r\n|\r|\n)")
VALUE = "__value__"  # where the last expression's value goes; no program can write this name
MAYBE_STAND_IN = re.compile(r"<.*>|[\w.]+\(.*\)|.?\.\.\..?", re.DOTALL)
COUNT_TEXTS = """
def __texts__(value):
    if isinstance(value, str):
        return 1
    if isinstance(value, dict):
        value = list(value.values())
    return sum([__texts__(item) for item in value]) if isinstance(value, (list, tuple)) else 0
__texts__({name})
"""


class MontyBackend:
    """Runs programs in a pool of at most `os.cpu_count()` workers."""

    name = "monty"

    def __init__(self, limits: Limits):
        try:
            import pydantic_monty
        except ImportError:
            raise ConfigError(
                "backend 'monty' needs pydantic-monty, which is not installed; "
                "run `pip install pydantic-monty==1.4.0`, or take backend 'process'"
            ) from None
        self._monty = pydantic_monty
        self.limits = limits
        try:
            self._pool = pydantic_monty.Monty(
                min_processes=1,
                max_processes=os.cpu_count() or 1,
                request_timeout=limits.seconds + 4 * GRACE_S,
                feed_duration_limit_grace=GRACE_S,
                turn_duration_limit_grace=GRACE_S,
            ).__enter__()
        except (OSError, RuntimeError, pydantic_monty.MontyError) as error:
            raise ConfigError(f"pydantic-monty cannot start: {error}; take backend 'process'") from error

    def run(self, program: Program, stop: Stop) -> SandboxResult:
        """Run one program to its end, to the limit or to `stop`."""
        run = _Run(self._monty, self.limits, program)
        with self._session(program) as session:
            pid = session.worker_pid

            def kill() -> None:
                if pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

            run.kill = kill
            stop.arm(kill)
            try:
                return run.outcome(session)
            finally:
                stop.disarm()

    def close(self) -> None:
        """End the worker processes."""
        self._pool.__exit__(None, None, None)

    @contextmanager
    def _session(self, program: Program) -> Iterator[Any]:
        limits = {
            "max_feed_duration_secs": self.limits.seconds,
            "max_memory": self.limits.memory_mb << 20,
            "max_recursion_depth": self.limits.recursion,
        }
        policy = {"datetime": EPOCH, "sleep": "zero", "random_start": {"seed": program.seed}}
        with self._pool.checkout(limits=limits, os_policy=policy) as session:  # pyright: ignore[reportArgumentType]
            yield session


class _Run:
    """One program in one session: what it prints, and how it ends."""

    def __init__(self, monty: Any, limits: Limits, program: Program):
        self.monty = monty
        self.limits = limits
        self.program = program
        self.printed: list[str] = []
        self.room = limits.output_chars
        self.kill: Callable[[], None] = lambda: None
        self._printing = threading.Lock()

    def outcome(self, session: Any) -> SandboxResult:
        """Run the program and read its values; two turns may take a little more than the limit, never twice."""
        start = time.perf_counter()
        values: dict[str, Any] = {}
        kind, error = "done", None
        try:
            values = self._values(session)
        except NotPlain as failure:
            kind, error = failure.kind, str(failure)
        except self.monty.MontyError as failure:
            kind, error = self._ending(failure)
        except (ValueError, TypeError, OverflowError, RecursionError) as failure:  # a value that cannot cross over
            kind, error = "error", f"the program's value cannot be read: {first_line(str(failure))}"
        seconds = time.perf_counter() - start
        if self.room < 0:
            kind, error, values = "output", too_long(self.limits), {}
        elif kind == "done" and seconds > self.limits.seconds + GRACE_S:
            kind, error, values = "time", too_slow(self.limits), {}
        printed = clean_text("".join(self.printed))[: self.limits.output_chars]
        return SandboxResult(values, printed, error, kind, seconds)  # pyright: ignore[reportArgumentType]

    def _feed(self, session: Any, code: str, **options: Any) -> Any:
        return session.feed_run(code, print_callback=self._print, **options)

    def _values(self, session: Any) -> dict[str, Any]:
        self._feed(session, _keeping_last_value(self.program), inputs=dict(self.program.inputs))
        wants = {name: name for name in self.program.wants} or self._answer(session)
        most = self.limits.output_chars
        made = {}
        for name, variable in wants.items():
            made[name] = plain(self._read(session, variable), name, most_chars=most)
            self._refuse_stand_in(session, name, variable, made[name])
        return plain(made, "result", most_chars=most)

    def _read(self, session: Any, name: str) -> Any:
        try:
            return self._feed(session, name)
        except self.monty.MontyRuntimeError as failure:
            if isinstance(failure.exception(), NameError):
                raise NotPlain(f"the code never sets '{name}'") from None
            raise

    def _answer(self, session: Any) -> dict[str, str]:
        """Return {"result": the variable that holds the answer}; nothing where the program has no answer."""
        for name in (VALUE, *ANSWER_NAMES, "solution"):
            with suppress(NotPlain):
                value = None if name in self.program.inputs else self._read(session, name)
                if name == "solution" and isinstance(value, str) and value.startswith("<function"):
                    self._feed(session, f"{VALUE} = solution()")
                    return {"result": VALUE} if self._read(session, VALUE) is not None else {}
                if value is not None:
                    return {"result": name}
        return {}

    def _refuse_stand_in(self, session: Any, name: str, variable: str, value: Any) -> None:
        """Refuse text that the program did not make; asking costs a turn, so only where there is such text."""
        texts = list(_texts(value))
        if not any(MAYBE_STAND_IN.fullmatch(text) for text in texts):
            return
        try:
            made = self._feed(session, COUNT_TEXTS.format(name=variable))
        except self.monty.MontyRuntimeError:  # it contains itself
            made = None
        if made != len(texts):
            raise NotPlain(
                f"the value of '{name}' holds something that is not JSON, or itself; "
                "return numbers, text, lists or dictionaries"
            )

    def _print(self, _stream: str, text: str) -> None:
        if self.room < 0:
            return
        self.printed.append(text[: self.room])
        self.room -= len(text)
        if self.room < 0:
            self.kill()

    def _ending(self, failure: Any) -> tuple[Kind, str]:
        monty = self.monty
        if isinstance(failure, monty.MontyCrashedError):
            if failure.timed_out:
                return "time", too_slow(self.limits)
            return "error", "the code crashed its interpreter"
        error = failure.exception()
        frames = failure.traceback() if isinstance(failure, monty.MontyRuntimeError) else []
        if isinstance(error, TimeoutError) and not frames:
            return "time", too_slow(self.limits)
        if isinstance(error, MemoryError):
            return "memory", too_big(self.limits)
        said = first_line(str(error))
        name = type(error).__name__
        line = f"line {frames[-1].line}: " if frames else ""
        return "error", line + (f"{name}: {said}" if said else name)


def _keeping_last_value(program: Program) -> str:
    """Return the program with its last expression, if it ends in one, put into a variable; lines keep their numbers."""
    last = program.tree.body[-1] if program.tree.body else None
    if not isinstance(last, ast.Expr) or last.end_lineno is None or last.end_col_offset is None:
        return program.code
    lines = LINE_END.split(program.code)  # line by line with the ends between, as the parser counts lines
    _insert(lines, last.end_lineno, last.end_col_offset, ")")
    _insert(lines, last.lineno, last.col_offset, f"{VALUE} = (")
    return "".join(lines)


def _insert(lines: list[str], number: int, offset: int, text: str) -> None:
    line = lines[2 * number - 2].encode()
    lines[2 * number - 2] = (line[:offset] + text.encode() + line[offset:]).decode()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
