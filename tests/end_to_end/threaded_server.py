"""The scripted OpenAI-compatible server of the unit tests on a thread, for commands that bring their own loop."""

import asyncio
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PATH = Path(__file__).parents[1] / "unit" / "sampling" / "async_server.py"


def _load() -> Any:
    if "async_server" not in sys.modules:
        spec = importlib.util.spec_from_file_location("async_server", _PATH)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules["async_server"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["async_server"]


scripted = _load()
chat, event, streamed, whole, Reply = (getattr(scripted, n) for n in ("chat", "event", "streamed", "whole", "Reply"))


def asked(body: dict[str, Any]) -> str:
    """Return the prompt of a request."""
    return body["messages"][-1]["content"] if "messages" in body else body["prompt"]


@contextmanager
def serving(reply: Callable[[dict[str, Any]], Any]) -> Iterator[Any]:
    """Answer every request with `reply(body)` while the context is open; yields the server with `url` and `seen`."""
    started, loop, found = threading.Event(), asyncio.new_event_loop(), []
    stop = asyncio.Event()

    async def main() -> None:
        async with scripted.serving(reply) as server:
            found.append(server)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
