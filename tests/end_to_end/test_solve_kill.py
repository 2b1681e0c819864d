"""Kill `menon solve` at random moments: the same answers in the end, and no finished call made twice.

The server that stands in for the model gives every request a reply of its own, so that what the journal holds at a kill
can be compared, call by call, with what the server was asked.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from menon.store import EventLog, layout
from menon.store.measured import without_measured

EXECUTIONS, KILLS, CALLS = 200, 5, 4
SLOW_S = (0.004, 0.03)

CHART = """# Two halves

- takes: question (text)
- returns: answer

```mermaid
flowchart TD
    start([question]) --> plan[plan] --> left[left] --> both[both] --> good{good?}
    plan --> right[right] --> both
    good -->|yes| done([answer])
    good -->|no| short[/cut/] --> done
```

## plan

- writes: plan (text)

```text
Plan: {question}
```

## left

- writes: l (text)

```text
Left of {plan}
```

## right

- temperature: 0.7
- writes: r (text)

```text
Right of {plan}
```

## both

- writes: answer (text)

```text
Join {l} and {r}
```

## good

```python
startswith(answer, "yes")
```

## short

```python
answer = take(answer, 12)
```
"""


@dataclass
class Server:
    """Answers chat completions slowly, each with a text made from the whole request; notes what came and what went."""

    port: int = 0
    received: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)

    @staticmethod
    def texts(body: dict[str, Any]) -> list[str]:
        """Return the replies to a request: equal requests have equal replies, others have others."""
        asked = {name: body[name] for name in sorted(body) if name not in ("model", "stream")}
        mark = sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        word = "yes" if int(mark, 16) % 3 else "no"
        return [f"{word}, {mark} {i}" for i in range(body.get("n") or 1)]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
                texts = self.texts(json.loads(await reader.readexactly(length)))
                self.received.append(texts[0])
                low, high = SLOW_S
                await asyncio.sleep(low + (high - low) * (int(texts[0][-8:-2], 16) / 16**6))
                choices = [
                    {"index": i, "message": {"content": text}, "finish_reason": "stop"} for i, text in enumerate(texts)
                ]
                usage = {"prompt_tokens": 7, "completion_tokens": 3 * len(texts)}
                reply = json.dumps({"choices": choices, "usage": usage}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(reply)
                )
                writer.write(reply)
                await writer.drain()
                self.answered.append(texts[0])
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client was killed
        finally:
            writer.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a thread of its own."""
    known, ready, loop = Server(), threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        listening = await asyncio.start_server(known.handle, "127.0.0.1", 0, backlog=512)
        known.port = listening.sockets[0].getsockname()[1]
        ready.set()
        async with listening:
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield known
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.close()


def begin(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the command; it is the same each time."""
    model = f"http://127.0.0.1:{port}/v1#stub"
    words = ["solve", "--strategy", "two.md", "--model", model, "--data", "questions.jsonl", "--out", "run"]
    return subprocess.Popen(
        [sys.executable, "-m", "menon.cli", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen[bytes]) -> str:
    told = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0, told
    return told


def committed(run: Path) -> list[str]:
    """Return the first reply of every call that the journal holds."""
    if not (run / layout.RECORDS).is_file():
        return []
    with EventLog(run, read_only=True) as log:
        return [json.loads(data)[0]["text"] for key in log.executions("call") for data in log.calls(key).values()]


def results(run: Path) -> bytes:
    """Return report.json without what differs between two runs of the same: times, and who ran it when."""
    report = without_measured(json.loads((run / "report.json").read_bytes()))
    return json.dumps({key: value for key, value in report.items() if key != "manifest"}).encode()


def test_killed_at_random_moments_it_gives_the_same_answers_and_repeats_no_finished_call(
    tmp_path: Path, server: Server
) -> None:
    folders = [tmp_path / "whole", tmp_path / "killed"]
    rows = [{"question": f"What is {i} + {7 * i % 100}?", "answer": str(i + 7 * i % 100)} for i in range(EXECUTIONS)]
    for folder in folders:
        folder.mkdir()
        (folder / "two.md").write_text(CHART)
        (folder / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))

    finish(begin(folders[0], server.port))
    asked = list(server.received)
    assert len(asked) == len(set(asked)) == EXECUTIONS * CALLS
    assert sorted(committed(folders[0] / "run")) == sorted(asked)

    rng = random.Random("kills")
    sessions: list[list[str]] = []
    held: list[list[str]] = [[]]  # by the journal, when each session begins
    lost: list[set[str]] = []
    moments = sorted(rng.sample(range(20, EXECUTIONS * CALLS - 20), KILLS))
    for moment in moments:
        server.received.clear()
        server.answered.clear()
        process = begin(folders[1], server.port)
        wanted, deadline = max(1, moment - len(held[-1])), time.monotonic() + 60
        while len(server.answered) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it ended before it was killed"
        time.sleep(2 * SLOW_S[1])  # what was in flight comes to its end in the server
        sessions.append(list(server.received))
        held.append(committed(folders[1] / "run"))
        lost.append(set(sessions[-1]) - set(held[-1]))
    server.received.clear()
    finish(begin(folders[1], server.port))
    sessions.append(list(server.received))
    lost.append(set())

    first, second = (results(folder / "run") for folder in folders)
    assert first == second
    assert b'"answered": 200' in first

    for session, before in zip(sessions, held, strict=True):
        assert len(set(session)) == len(session), "nothing is asked twice in one session"
        assert not set(session) & set(before), "what is finished is not asked again"
    for before, after in itertools.pairwise(held):
        assert set(before) <= set(after), "a kill takes nothing back"
    times = Counter(text for session in sessions for text in session)
    assert set(times) == set(asked)
    for text, count in times.items():
        assert count == 1 + sum(text in some for some in lost), "only what was in flight at a kill is asked again"
    assert sum(times.values()) == EXECUTIONS * CALLS + sum(map(len, lost))
    assert sorted(committed(folders[1] / "run")) == sorted(asked)
    assert all(held[1:])
    assert any(lost), "some kill came while calls were in flight"
