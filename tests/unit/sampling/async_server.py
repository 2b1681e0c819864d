"""A scripted OpenAI-compatible server inside the loop of a test: whole, streamed, cut, slow and wrong answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Reply:
    """`pieces` are sent in order, a number is a pause in seconds; `cut` drops the connection before the proper end."""

    pieces: tuple[bytes | float, ...] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    streamed: bool = False
    cut: bool = False


def whole(body: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(pieces=(json.dumps(body).encode(),), status=status, headers=headers)


def event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)).encode() + b"\n\n"


def streamed(*pieces: bytes | float, cut: bool = False, **headers: str) -> Reply:
    return Reply(pieces=pieces, headers={"Content-Type": "text/event-stream", **headers}, streamed=True, cut=cut)


def chat(*texts: str, finish: str = "stop", usage: tuple[int, int] = (5, 3), **message: Any) -> Reply:
    choices = [{"index": i, "message": {"content": t, **message}, "finish_reason": finish} for i, t in enumerate(texts)]
    return whole({"choices": choices, "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]}})


@dataclass
class Server:
    """What came in: bodies, the moments they came, and the largest number in flight."""

    reply: Callable[[dict[str, Any]], Reply | Awaitable[Reply]]
    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    busy: int = 0
    most: int = 0
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a client that hung up, or the end of the test
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
        body = json.loads(await reader.readexactly(length)) if length else {}
        self.seen.append(body)
        self.times.append(asyncio.get_running_loop().time())
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            reply = self.reply(body)
            reply = reply if isinstance(reply, Reply) else await reply
            await self._send(reply, writer)
        finally:
            self.busy -= 1
        return not reply.cut

    async def _send(self, reply: Reply, writer: asyncio.StreamWriter) -> None:
        size = sum(len(piece) for piece in reply.pieces if isinstance(piece, bytes)) + (100 if reply.cut else 0)
        extent = {"Transfer-Encoding": "chunked"} if reply.streamed else {"Content-Length": str(size)}
        headers = {"Content-Type": "application/json", **extent, **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} Told", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        for piece in reply.pieces:
            if isinstance(piece, bytes):
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if reply.streamed else piece)
            else:
                await writer.drain()
                await asyncio.sleep(piece)
        if reply.streamed and not reply.cut:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


@asynccontextmanager
async def serving(reply: Callable[[dict[str, Any]], Reply | Awaitable[Reply]]) -> AsyncIterator[Server]:
    """Answer every request with `reply(body)` while the context is open."""
    server = Server(reply)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0, backlog=512)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()
        for task in list(server.tasks):
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        await listening.wait_closed()
