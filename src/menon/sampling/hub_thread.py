"""How a hub carries requests to samplers that compute: on one thread, as a stream that new requests join."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from menon.core.values import Completion, Request
from menon.sampling.hub_carriers import Deliver, Fail, Ticket, distinct

CLOSE_WAIT_S = 5.0  # a thread that is still inside the model then is left to end by itself


class Threaded:
    """Runs a sampler on one thread: a stream that new requests join, or else group after group.

    What the two threads share is `_inbox` and `_withdrawn` on the way in (under `_news`) and `_ready` on the way out.
    """

    gathers = True

    def __init__(self, sampler: Any, loop: asyncio.AbstractEventLoop, deliver: Deliver, fail: Fail):
        self._sampler, self._loop, self._deliver, self._fail = sampler, loop, deliver, fail
        self._joins = hasattr(sampler, "sample_stream")
        self._news = threading.Condition()
        self._inbox: list[Ticket] = []
        self._withdrawn: set[Ticket] = set()
        self._closing = False
        self._taken: dict[str, Ticket] = {}  # by the key that the sampler knows; the thread's own
        self._serial = 0
        self._ready: deque[Ticket] = deque()
        self._called = False
        self._thread: threading.Thread | None = None
        self._ended = asyncio.Event()

    def put(self, tickets: list[Ticket]) -> None:
        if self._thread is None:
            # A daemon: an interpreter that is going down must not wait for a model.
            self._thread = threading.Thread(target=self._work, name="menon-hub", daemon=True)
            self._thread.start()
        with self._news:
            self._inbox.extend(tickets)
            self._news.notify()

    def withdraw(self, ticket: Ticket) -> None:
        with self._news:
            self._withdrawn.add(ticket)

    async def close(self) -> None:
        if self._thread is None:
            return
        with self._news:
            self._closing = True
            self._news.notify()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._ended.wait()
            self._thread.join()

    def _work(self) -> None:
        stream = self._sampler.sample_stream if self._joins else self._group_after_group
        while not self._closing:
            try:
                for completion in stream(self._incoming, self._gone):
                    self._keep(completion)
            except BaseException as error:  # raised again in the asks that it left without an answer
                self._hand_over()
                left, self._taken = list(self._taken.values()), {}
                self._call(self._fail, left, error)
        self._hand_over()
        self._call(self._ended.set)

    def _group_after_group(
        self, incoming: Callable[[bool], Sequence[Request]], gone: Callable[[], Collection[str]]
    ) -> Iterator[Completion]:
        while requests := incoming(True):
            completions = self._sampler.sample(requests)
            for completion in completions:
                yield completion
                self._hand_over()
                gone()
                if not self._taken:  # answered or withdrawn, all of them
                    break
            if close := getattr(completions, "close", None):
                close()

    def _incoming(self, wait: bool) -> list[Request]:
        """Return the requests that have come, under keys that differ; where `wait`, nothing is under way."""
        if wait:
            for ticket in self._taken.values():
                ticket.fill(self._sampler.name)
            self._ready.extend(self._taken.values())
            self._taken.clear()
        self._hand_over()
        if not wait and not self._inbox:
            return []
        with self._news:
            while True:
                tickets = [ticket for ticket in self._inbox if not ticket.future.done()]
                self._inbox = []
                if tickets or not wait or self._closing:
                    break
                self._news.wait()
            if self._closing:
                return []
            named = self._named(tickets)
        self._taken |= named
        return [_under(key, ticket.request) for key, ticket in named.items()]

    def _named(self, tickets: list[Ticket]) -> dict[str, Ticket]:
        """Give each ticket a key of its own, or leave those with equal keys for the next group."""
        if not self._joins:  # it may look its answers up by key, so keys stay what they are
            named, self._inbox = distinct(tickets)
            return named
        named = {f"{self._serial + place}": ticket for place, ticket in enumerate(tickets)}
        self._serial += len(tickets)
        return named

    def _gone(self) -> Collection[str]:
        """Return the keys that nobody waits for any more."""
        if self._closing:
            gone = list(self._taken)
        elif self._withdrawn:
            with self._news:
                withdrawn, self._withdrawn = self._withdrawn, set()
            gone = [key for key, ticket in self._taken.items() if ticket in withdrawn]
        else:
            return ()
        for key in gone:
            del self._taken[key]
        return frozenset(gone)

    def _keep(self, completion: Completion) -> None:
        ticket = self._taken.get(completion.key)
        if ticket is not None and ticket.take(completion):
            del self._taken[completion.key]
            self._ready.append(ticket)

    def _hand_over(self) -> None:
        if self._ready and not self._called:
            self._called = True
            self._call(self._drain)

    def _drain(self) -> None:
        self._called = False  # first, so that what is added from now on calls again
        ready = []
        with suppress(IndexError):
            while True:
                ready.append(self._ready.popleft())
        self._deliver(ready)

    def _call(self, function: Callable[..., None], *values: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it everyone who waited
            self._loop.call_soon_threadsafe(function, *values)


def _under(key: str, request: Request) -> Request:
    return request if key == request.key else replace(request, key=key)
