"""Sample from a server that speaks the OpenAI protocol: vLLM, SGLang, llama.cpp, Ollama, `transformers serve`, hosted.

The server is spoken to, never imported. Asynchronous inside, an ordinary iterator outside: the event loop runs on a
thread of its own, so a caller that already has a loop can use it too; a hub asks from inside its own loop instead.
Left out: half an answer for the caller (streaming only keeps long answers from running into time-outs, of the server
or on the way) and tool calls. Log-probabilities are the server's own; whether they are taken before or after
temperature and truncation differs between servers.
"""

import asyncio
import logging
import os
import queue
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field

from menon.core.errors import ConfigError, SamplerError
from menon.core.progress import Progress
from menon.core.seeds import seed_for
from menon.core.values import Completion, Request
from menon.sampling.client import Conversation, Patience, Unanswered
from menon.sampling.pacing import AdaptiveLimit
from menon.sampling.protocol import SILENT, failed
from menon.sampling.spec import Options, read_options, split_query
from menon.sampling.wire import Answer, Api, Dialect, body_of, completions_of, echo_body, echoed_logps, refusal

log = logging.getLogger(__name__)
T = TypeVar("T")

FORM = "http://host:port/v1#model, options before the #, as in http://host/v1?api=completions#model"
PATHS = {"chat": "/chat/completions", "completions": "/completions"}
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class EndpointOptions(Options):
    """What the name of an endpoint may carry.

    `concurrency` is the most requests in flight; `timeout_s` bounds one attempt, `total_s` one request with all its
    attempts; `key_variable` names the environment variable that holds the key. With `stream` the answer comes in
    pieces, and `timeout_s` bounds the wait for each.
    """

    api: Api = "chat"
    concurrency: int = Field(default=64, ge=1, le=4096)
    timeout_s: float = Field(default=180.0, gt=0)
    total_s: float = Field(default=900.0, gt=0)
    retries: int = Field(default=6, ge=0, le=100)
    backoff_s: float = Field(default=0.5, ge=0)
    key_variable: str = Field(default="OPENAI_API_KEY", min_length=1)
    stream: bool = False


class EndpointSampler:
    """A model behind an OpenAI-compatible server."""

    def __init__(self, base_url: str, model: str, options: EndpointOptions | None = None):
        """Make a sampler for `model` at `base_url`; nothing is sent yet.

        Raises:
            ConfigError: the address is not an http(s) one, or carries a user name or password.
        """
        self.base_url, self.model = _checked_address(base_url), model
        self.options = options or EndpointOptions()
        self.dialect = Dialect(api=self.options.api, stream=self.options.stream)
        completions = "?api=completions" if self.options.api == "completions" else ""
        self.name = f"{self.base_url}{completions}#{model}"
        self._secret = os.environ.get(self.options.key_variable) or None
        url = urlsplit(self.base_url)
        if self._secret and url.scheme == "http" and url.hostname not in LOOPBACK:
            log.warning("%s: the key is sent without encryption; prefer an https address", self.base_url)

    @classmethod
    def from_spec(cls, spec: str, **options: Any) -> "EndpointSampler":
        """Read `http://host/v1?option=value#model`, or `endpoint:model` with the address in OPENAI_BASE_URL."""
        if spec.startswith("endpoint:"):
            model, query = split_query(spec.removeprefix("endpoint:"))
            base_url = os.environ.get("OPENAI_BASE_URL", "")
            if not base_url:
                raise ConfigError(f"{spec!r} needs the server's address in OPENAI_BASE_URL, or name it: {FORM}")
        else:
            address, _, fragment = spec.partition("#")
            base_url, query = split_query(address)
            model, late = split_query(fragment)  # options after the model are a natural slip
            query |= late
        base_url = _checked_address(base_url)
        if not model:
            raise ConfigError(f"no model named for the endpoint {base_url!r}. Allowed: {FORM}")
        return cls(base_url, model, read_options(EndpointOptions, f"endpoint {base_url}", query, options))

    def __repr__(self) -> str:
        return f"EndpointSampler({self.name!r})"

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        """Yield `n` completions per request as they arrive; see `menon.sampling.protocol.Sampler`."""
        requests = list(requests)
        if not requests:
            return
        progress.start(f"sampling {self.name}", sum(request.n for request in requests), "completions")

        async def main(put: Callable[[Completion], None]) -> None:
            waiting = iter(requests)
            async with self.open_conversation() as talk, asyncio.TaskGroup() as workers:
                for _ in range(min(self.options.concurrency, len(requests))):
                    workers.create_task(self._work(talk, waiting, put))

        for completion in _iterate_thread(main):
            progress.advance()
            yield completion

    def score(self, prompt: str, continuation: str) -> list[float]:
        """Return the log-probabilities of `continuation` after `prompt`; needs api=completions and a server with echo.

        Raises:
            SamplerError: the server does not offer it, or cannot be reached.
        """
        if self.options.api != "completions":
            raise SamplerError(f"{self.name} cannot score text: open it with api=completions, or use a local model")
        if not continuation:
            return []
        return next(_iterate_thread(lambda put: self._score(prompt, continuation, put)))

    def models(self) -> list[str]:
        """List the models that the server says it has; empty when it cannot be reached or does not say."""

        async def main(put: Callable[[list[str]], None]) -> None:
            async with self.open_conversation() as talk:
                put(await talk.models())

        return next(_iterate_thread(main))

    async def ask_async(self, talk: Conversation, request: Request) -> list[Completion]:
        """Return the `n` completions of `request`, samples ascending; cancelling it gives its place back."""
        found: list[Completion] = []
        await self._answer(talk, request, found.append)
        return sorted(found, key=lambda completion: completion.sample)

    @asynccontextmanager
    async def open_conversation(self, *, grudge_s: float = float("inf")) -> AsyncIterator[Conversation]:
        """Open one client with one limit on requests in flight, for `ask_async` inside one event loop.

        `grudge_s` is how long a server that seemed dead is not asked again.
        """
        import openai

        options = self.options
        # A proxy in the environment is for the world outside, not for a server on this machine.
        local = urlsplit(self.base_url).hostname in LOOPBACK
        client = openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=self._secret or "none",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False) if local else None,
        )
        async with client:
            talk = Conversation(
                client=client,
                model=self.model,
                address=self.base_url,
                secret=self._secret,
                patience=Patience(
                    timeout_s=options.timeout_s,
                    total_s=options.total_s,
                    retries=options.retries,
                    backoff_s=options.backoff_s,
                    grudge_s=grudge_s,
                ),
                limit=AdaptiveLimit(first=8, highest=options.concurrency),
                dialect=self.dialect,
            )
            try:
                yield talk
            finally:
                self.dialect = talk.dialect

    async def _work(self, talk: Conversation, waiting: Iterator[Request], put: Callable[[Completion], None]) -> None:
        for request in waiting:
            await self._answer(talk, request, put)

    async def _answer(self, talk: Conversation, request: Request, put: Callable[[Completion], None]) -> None:
        have = 0
        if request.n == 1 or "n" not in talk.dialect.refused:
            have = await self._deliver(talk, request, 0, request.n, put)
            if have < request.n:
                talk.learn("n", f"{request.n} samples were asked for and {have} returned")
        async with asyncio.TaskGroup() as rest:
            for sample in range(have, request.n):
                rest.create_task(self._deliver(talk, request, sample, 1, put))

    async def _deliver(
        self, talk: Conversation, request: Request, first: int, count: int, put: Callable[[Completion], None]
    ) -> int:
        """Put `count` samples, or as many as the server gives, or `count` failures; return how many were put."""
        started = time.monotonic()
        try:
            completions = await self._samples(talk, request, first, count)
        except Exception as error:  # the one place that records failed samples, whatever the reason
            known = isinstance(error, SamplerError)
            text = talk.redact(str(error) if known else f"{type(error).__name__}: {error}")
            log.log(logging.DEBUG if known else logging.WARNING, "%s: request %s: %s", self.base_url, request.key, text)
            seconds = time.monotonic() - started
            partial = error.partial if isinstance(error, Unanswered) else None
            completions = self._failures(request, first, count, text, seconds, partial)
        for completion in completions:
            put(completion)
        return len(completions)

    def _failures(
        self, request: Request, first: int, count: int, error: str, seconds: float, partial: Answer | None
    ) -> list[Completion]:
        """Record `count` samples as failed; what a broken stream brought of them stays in their texts."""
        begun: list[Completion] = []
        if partial is not None:
            parts = completions_of(partial, request, first=first, count=count, model=self.name, seconds=seconds)
            begun = [replace(part, finish="error", error=error) for part in parts]
        missing = range(first + len(begun), first + count)
        return [*begun, *(failed(request, sample, error, model=self.name, seconds=seconds) for sample in missing)]

    async def _samples(self, talk: Conversation, request: Request, first: int, count: int) -> list[Completion]:
        if reason := refusal(request, self.options.api):
            raise SamplerError(reason)
        started = time.monotonic()
        seed = seed_for(request.seed, first)
        answer = await talk.ask(
            PATHS[self.options.api],
            lambda dialect: body_of(request, model=self.model, dialect=dialect, seed=seed, count=count),
            request.key,
            request.seed,
            first,
        )
        seconds = time.monotonic() - started
        return completions_of(answer, request, first=first, count=count, model=self.name, seconds=seconds)

    async def _score(self, prompt: str, continuation: str, put: Callable[[list[float]], None]) -> None:
        text = prompt + continuation
        async with self.open_conversation() as talk:
            try:
                answer = await talk.ask(
                    PATHS["completions"], lambda _: echo_body(text, model=self.model), "score", text
                )
                put(echoed_logps(answer, prompt, continuation))
            except SamplerError as error:
                raise SamplerError(f"{self.name} cannot score text: {error}") from None


def _checked_address(base_url: str) -> str:
    """Return the address without a trailing slash; a message about a bad one never repeats a password in it."""
    url = urlsplit(base_url)
    if url.username is not None or url.password is not None:
        raise ConfigError(
            "the address of an endpoint holds a user name or password, which would end up in every record; "
            "put the key into OPENAI_API_KEY"
        )
    try:
        valid = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"{base_url!r} is not the address of an endpoint. Allowed: {FORM}")
    return urlunsplit((url.scheme, url.netloc, url.path.rstrip("/"), "", ""))


def _iterate_thread(main: Callable[[Callable[[T], None]], Awaitable[None]]) -> Iterator[T]:
    """Run `main(put)` in an event loop on its own thread and yield what it puts; closing the iterator cancels it."""
    items: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
    handle: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None] = queue.SimpleQueue()

    async def guarded() -> None:
        task = asyncio.current_task()
        assert task is not None
        handle.put((asyncio.get_running_loop(), task))
        await main(lambda item: items.put((True, item)))

    def work() -> None:
        outcome: BaseException | None = None
        try:
            asyncio.run(guarded())
        except BaseException as error:  # raised again in the caller's thread
            outcome = error
        handle.put(None)
        items.put((False, outcome))

    # A daemon: an interpreter that is going down must not wait for a server.
    thread = threading.Thread(target=work, name="menon-endpoint", daemon=True)
    thread.start()
    outcome: BaseException | None = None
    try:
        while True:
            more, item = items.get()
            if not more:
                outcome = item
                break
            yield item
    finally:
        if (found := handle.get()) is not None:
            loop, task = found
            with suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(task.cancel)
        thread.join()
    if outcome is not None:
        raise outcome
