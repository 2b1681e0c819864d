"""How a hub carries requests to samplers that need no thread: at once, or as a conversation in the loop."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from menon.core.values import Completion, Request
from menon.sampling.protocol import Sampler, failed

GRUDGE_S = 30.0  # how long a server that seemed dead is not asked again

Deliver = Callable[[Iterable["Ticket"]], None]
Fail = Callable[[Iterable["Ticket"], BaseException], None]


@dataclass(slots=True, eq=False)
class Ticket:
    """One ask: its request, who waits for it, and what has arrived of it by sample."""

    request: Request
    future: "asyncio.Future[list[Completion]]"
    got: dict[int, Completion] = field(default_factory=dict)

    def take(self, completion: Completion) -> bool:
        """Keep `completion` under the request's own key; say whether it was the last that was missing."""
        if not 0 <= completion.sample < self.request.n or completion.sample in self.got:
            return False
        if completion.key != self.request.key:
            completion = replace(completion, key=self.request.key)
        self.got[completion.sample] = completion
        return len(self.got) == self.request.n

    def fill(self, model: str) -> None:
        """Record the samples that did not come as failed."""
        if len(self.got) == self.request.n:
            return
        error = f"the sampler returned {len(self.got)} of {self.request.n} completions"
        for sample in range(self.request.n):
            if sample not in self.got:
                self.got[sample] = failed(self.request, sample, error, model=model)

    @property
    def completions(self) -> list[Completion]:
        """What has arrived, samples ascending."""
        if len(self.got) == 1:
            return list(self.got.values())
        return [self.got[sample] for sample in sorted(self.got)]


class Carrier(Protocol):
    """Takes tickets to a sampler; `gathers` says that larger groups are worth a moment of waiting."""

    gathers: bool

    def put(self, tickets: list[Ticket]) -> None:
        """Have `tickets` answered."""
        ...

    def withdraw(self, ticket: Ticket) -> None:
        """Stop the work on `ticket` where that is possible."""
        ...

    async def close(self) -> None:
        """Stop everything; nobody waits for an answer any more."""
        ...


class Immediate:
    """Calls a sampler that has nothing to wait for, a group at a time."""

    gathers = False

    def __init__(self, sampler: Sampler, deliver: Deliver, fail: Fail):
        self._sampler, self._deliver, self._fail = sampler, deliver, fail

    def put(self, tickets: list[Ticket]) -> None:
        done: list[Ticket] = []
        errors: list[tuple[list[Ticket], Exception]] = []
        while tickets:
            group, tickets = distinct(tickets) if len(tickets) > 1 else ({tickets[0].request.key: tickets[0]}, [])
            answered: dict[str, Ticket] = {}
            try:
                for completion in self._sampler.sample([ticket.request for ticket in group.values()]):
                    ticket = group.get(completion.key)
                    if ticket is not None and ticket.take(completion):
                        answered[completion.key] = ticket
            except Exception as error:  # it is raised again in the asks that it left without an answer
                errors.append(([ticket for key, ticket in group.items() if key not in answered], error))
            else:
                for ticket in group.values():
                    ticket.fill(self._sampler.name)
                answered = group
            done.extend(answered.values())
        self._deliver(done)
        for left, error in errors:
            self._fail(left, error)

    def withdraw(self, ticket: Ticket) -> None:
        """Nothing is under way between two groups."""

    async def close(self) -> None:
        """Nothing is open."""


class Conversing:
    """Asks an endpoint from inside the loop: one conversation, one limit on requests in flight."""

    gathers = False

    def __init__(self, sampler: Any, loop: asyncio.AbstractEventLoop, deliver: Deliver, fail: Fail):
        self._sampler, self._loop, self._deliver, self._fail = sampler, loop, deliver, fail
        self._tasks: dict[Ticket, asyncio.Task[None]] = {}
        self._ready: list[Ticket] = []
        self._open = AsyncExitStack()
        self._talk: Any = None

    def put(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            task = self._tasks[ticket] = self._loop.create_task(self._answer(ticket))
            task.add_done_callback(lambda _, ticket=ticket: self._tasks.pop(ticket, None))

    def withdraw(self, ticket: Ticket) -> None:
        if task := self._tasks.get(ticket):
            task.cancel()

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._open.aclose()

    async def _answer(self, ticket: Ticket) -> None:
        try:
            if self._talk is None:
                talk = await self._open.enter_async_context(self._sampler.open_conversation(grudge_s=GRUDGE_S))
                self._talk = self._talk or talk
            for completion in await self._sampler.ask_async(self._talk, ticket.request):
                ticket.take(completion)
        except Exception as error:  # it is raised again in the ask
            self._fail([ticket], error)
            return
        ticket.fill(self._sampler.name)
        self._ready.append(ticket)
        if len(self._ready) == 1:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        ready, self._ready = self._ready, []
        self._deliver(ready)


def distinct(tickets: list[Ticket]) -> tuple[dict[str, Ticket], list[Ticket]]:
    """Return the first ticket of each key by key, and the rest."""
    group: dict[str, Ticket] = {}
    rest: list[Ticket] = []
    for ticket in tickets:
        if group.setdefault(ticket.request.key, ticket) is not ticket:
            rest.append(ticket)
    return group, rest
