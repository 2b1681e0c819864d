"""Record what a live sampler writes, line by line, for `recorded:FILE` to replay."""

import dataclasses
import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError
from menon.core.progress import Progress
from menon.core.values import SCHEMA, Completion, Message, Problem, Request
from menon.sampling.protocol import SILENT, Sampler, bind_problems


class Recorder:
    """A sampler that passes everything on to another one and writes each completion down as it comes."""

    def __init__(self, sampler: Sampler, path: str | Path):
        """Record what `sampler` writes into the JSONL file at `path`, after what is there already.

        Raises:
            ConfigError: the path ends in .gz (append to plain JSONL, compress afterwards) or cannot be written.
        """
        self._sampler, self.path = sampler, Path(path)
        self.name = sampler.name
        self._lock = threading.Lock()
        if self.path.suffix == ".gz":
            raise ConfigError(f"cannot append to {str(path)!r}: record into .jsonl and compress it afterwards")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                _end_torn_line(file)
        except OSError as error:
            raise ConfigError(
                f"cannot record into {str(path)!r}: {error.strerror}; name a file that can be written"
            ) from None

    def bind(self, problems: Iterable[Problem]) -> None:
        """Pass problems on to the recorded sampler."""
        bind_problems(self._sampler, problems)

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        """Yield what the recorded sampler yields; a completion is on file before it is yielded."""
        requests = list(requests)
        prompts = {request.key: prompt_text(request.prompt) for request in requests}
        for completion in self._sampler.sample(requests, progress=progress):
            row = {"schema": SCHEMA, "prompt": prompts[completion.key], **dataclasses.asdict(completion)}
            self._append(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            yield completion

    def score(self, prompt: str, continuation: str) -> list[float]:
        """Pass on; scores are not recorded."""
        return self._sampler.score(prompt, continuation)

    def _append(self, line: str) -> None:
        # One write of a whole line in append mode: two recorders of one file never mix their lines.
        with self._lock, self.path.open("ab", buffering=0) as file:
            file.write(line.encode())


def record(sampler: Sampler, path: str | Path) -> Recorder:
    """Wrap `sampler` so that everything it writes is also appended to `path`, for `recorded:PATH` to replay."""
    return Recorder(sampler, path)


def prompt_text(prompt: Any) -> str:
    """Return one text that stands for a prompt: itself, `role: content` lines of messages, or token ids as JSON."""
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list | tuple) and prompt and isinstance(prompt[0], Message | dict):
        rows = [(m.role, m.content) if isinstance(m, Message) else (m.get("role"), m.get("content")) for m in prompt]
        return rows[0][1] if len(rows) == 1 and isinstance(rows[0][1], str) else "\n".join(f"{r}: {c}" for r, c in rows)
    return json.dumps(prompt)


def _end_torn_line(file: Any) -> None:
    """Close a last line that a killed process left without its end, so that the next row starts a line of its own."""
    if file.seek(0, 2) == 0:
        return
    file.seek(-1, 2)
    if file.read(1) != b"\n":
        file.write(b"\n")
