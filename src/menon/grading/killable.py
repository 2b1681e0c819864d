"""A worker process that can be killed: one JSON line in, one JSON line out, never a signal handler, never pickle.

Symbolic checkers hang on hostile input, and signals only work in the main thread. Here the parent waits on a queue, and
when the time is over it kills the process; the next question starts a fresh one. A worker whose parent dies sees the
end of its input and leaves by itself.
"""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from menon.grading.protocol import CheckFailed, CheckTimeout

STARTUP_S = 60.0


class Worker:
    """Runs `python -m module`; questions from several threads are asked one after the other."""

    def __init__(self, module: str):
        self.module = module
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def ask(self, question: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Return the worker's answer; the limit counts from when the worker is ready.

        Raises:
            CheckTimeout: no answer in time; the worker was killed.
            CheckFailed: the worker died or reported an error.
        """
        with self._lock:
            process = self._started()
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(question) + "\n")
                process.stdin.flush()
            except OSError as error:
                self._stop()
                raise CheckFailed(f"the worker process of {self.module} died: {error}") from error
            return self._wait(timeout_s)

    def close(self) -> None:
        """End the worker process, if there is one."""
        with self._lock:
            self._stop()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        self._answers = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdout is not None
        threading.Thread(target=_read_lines, args=(self._process.stdout, self._answers), daemon=True).start()
        self._wait(STARTUP_S)
        return self._process

    def _wait(self, timeout_s: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            self._stop()
            raise CheckTimeout(f"no answer within {timeout_s:g} s") from None
        if line is None:
            self._stop()
            raise CheckFailed(f"the worker process of {self.module} died (out of memory, or its package is broken)")
        answer = json.loads(line)
        if "error" in answer:
            raise CheckFailed(str(answer["error"]))
        return answer

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                _close(pipe)


def _read_lines(lines: IO[str], answers: "queue.SimpleQueue[str | None]") -> None:
    with suppress(ValueError):  # the pipe was closed while it was being read
        for line in lines:
            answers.put(line)
    answers.put(None)


def _close(pipe: IO[str]) -> None:
    with suppress(OSError):  # unsent input of a process that is gone
        pipe.close()
