"""The process behind grader "math": reads {"gold", "answer"} lines, writes {"equal"} or {"error"} lines.

Input is read in a thread, so that the process leaves as soon as its parent is gone, even in the middle of a comparison
that never ends. Memory is limited where the system can do that.
"""

import json
import logging
import os
import queue
import sys
import threading
from importlib import import_module
from typing import Any

MOST_MEMORY = 4 << 30  # bytes of address space


def main() -> None:
    """Answer questions until the input ends."""
    logging.disable(logging.CRITICAL)
    _limit_memory()
    checker = import_module("math_verify")
    questions: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(questions,), daemon=True).start()
    _write({"ready": True})
    while True:
        question = json.loads(questions.get())
        try:
            _write({"equal": _equal(checker, question["gold"], question["answer"])})
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            _write({"error": f"{type(error).__name__}: {error}"[:300]})


def _equal(checker: Any, gold: str, answer: str) -> bool:
    """Compare two expressions; time limits are off, since the parent kills what takes too long."""
    wanted, given = (checker.parse(_wrapped(text), parsing_timeout=None) for text in (gold, answer))
    if not wanted:
        raise ValueError(f"math-verify cannot read the gold answer {gold!r}")
    return bool(given and checker.verify(wanted, given, timeout_seconds=None, raise_on_error=True))


def _wrapped(text: str) -> str:
    return text if "$" in text or "\\boxed" in text else f"${text}$"


def _read(questions: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        questions.put(line)
    os._exit(0)


def _write(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _limit_memory() -> None:
    try:
        resource = import_module("resource")
    except ImportError:  # no such limit on this system
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


if __name__ == "__main__":
    main()
