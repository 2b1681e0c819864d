"""Workers of a study: processes of one thread each, because models this small gain nothing from a second thread.

A worker is started by its module name and spoken to over pipes, so nothing depends on how this process was started.
Without workers the work is done here.
"""

import json
import os
import queue
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from menon.core.errors import RunError
from menon.core.progress import Silent
from menon.studies.code_mixture.recipe import CodeMixture
from menon.studies.code_mixture.teach import perform

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
WORKER = "menon.studies.code_mixture.worker"


class Crew:
    """Up to `recipe.workers` processes; `call` may be used from as many threads at once."""

    def __init__(self, recipe: CodeMixture, recipe_file: Path, members: Path):
        self.recipe, self.recipe_file, self.members = recipe, recipe_file, members
        self._free: queue.SimpleQueue[subprocess.Popen[str] | None] = queue.SimpleQueue()
        self._started: list[subprocess.Popen[str]] = []
        for _ in range(recipe.workers):
            self._free.put(None)  # started when it is first needed

    def call(self, work: str, arm: str, seed: int) -> dict[str, Any]:
        """Have one piece of work done and return its value.

        Raises:
            RunError: the work failed, or its process ended.
        """
        if not self.recipe.workers:
            return perform(work, self.recipe, self.members, arm, seed, Silent())
        process = self._free.get()
        try:
            process = process or self._start()
            return self._ask(process, {"work": work, "arm": arm, "seed": seed})
        finally:
            self._free.put(process if process is not None and process.poll() is None else None)

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **THREADS, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            text=True,
            encoding="utf-8",
        )
        self._started.append(process)
        return process

    def _ask(self, process: subprocess.Popen[str], order: dict[str, Any]) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        order |= {"recipe": str(self.recipe_file), "members": str(self.members)}
        line = ""
        with suppress(OSError):  # the process is gone, which the empty answer says
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        named = f"{order['work']} arm {order['arm']!r} of seed {order['seed']}"
        if not line.endswith("\n"):
            code = process.wait()
            raise RunError(
                f"the process that was to {named} ended with code {code}; what it wrote stands above. Run the same "
                "command again to go on; with `--set workers=0` the work is done without further processes"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise RunError(f"cannot {named}: {answer['error']}")
        return answer["value"]

    def stop(self) -> None:
        """End every process at once."""
        for process in self._started:
            process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        for process in self._started:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
