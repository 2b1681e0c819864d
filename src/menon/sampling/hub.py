"""One asynchronous front to any sampler, shared by thousands of executions: what they ask together is done together.

An execution awaits its own completions and knows nothing of the others. Stand-ins are called in the loop, a local model
runs its continuous batch on a thread and lets new asks join it, an endpoint is one long conversation in the loop.
Left out: several samplers behind one hub, and several event loops; make one hub for each.
"""

import asyncio
import copy
import types
from collections.abc import Callable, Generator, Iterable
from types import TracebackType

from menon.core.errors import ConfigError, SamplerError
from menon.core.progress import Progress
from menon.core.values import Completion, Request
from menon.sampling.hub_carriers import Carrier, Conversing, Immediate, Ticket
from menon.sampling.hub_thread import Threaded
from menon.sampling.protocol import SILENT, Sampler

MOST_HOPS = 8  # rounds of the loop that a group waits for others to join, however many keep coming


class Hub:
    """Puts requests to `sampler` in groups and hands each asker its own completions.

    Args:
        window_s: how long a group for a local model waits for more; 0 waits until a round of the loop brings none.
        on_done: called with the completions that arrived together, before any asker goes on with one of them, so that
            they can be written durably in one go; where it raises, the asks of that group raise.
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        window_s: float = 0.0,
        on_done: Callable[[list[Completion]], None] | None = None,
        progress: Progress = SILENT,
    ):
        if window_s < 0:
            raise ConfigError(f"window_s={window_s!r}; allowed: 0 (until the loop is idle) or more seconds")
        self.sampler = sampler
        self.asked = 0
        self.answered = 0
        self._window_s, self._on_done, self._progress = window_s, on_done, progress
        self._live: set[Ticket] = set()
        self._fresh: list[Ticket] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._carrier: Carrier | None = None
        self._at_once = False
        self._closed = False

    @property
    def in_flight(self) -> int:
        """How many asks wait for their completions."""
        return len(self._live)

    async def ask(self, request: Request) -> list[Completion]:
        """Return the `n` completions of `request`, samples ascending; one that failed has `finish="error"`.

        Requests with equal keys may be in flight together. Cancelling an ask gives its place back and stops its work
        where the sampler can be stopped.

        Raises:
            SamplerError: the sampler as a whole cannot go on, or the hub is closed or belongs to another event loop.
            ConfigError: `n` is below 1.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop or self._closed:
            self._begin(loop)
        if request.n < 1:
            raise ConfigError(f"request {request.key!r} asks for n={request.n!r} samples; allowed: 1 or more")
        ticket = Ticket(request, loop.create_future())
        self.asked += 1
        self._live.add(ticket)
        self._fresh.append(ticket)
        first = len(self._fresh) == 1
        if first and not self._at_once:
            self._expect_group(loop)
        try:
            if first and self._at_once:  # puts the group itself, which saves two trips through the loop
                await _next_round()
                if not ticket.future.done():
                    self._put_group()
                return ticket.future.result()
            return await ticket.future
        except asyncio.CancelledError:
            ticket.future.cancel()
            self._withdraw(ticket)
            if first and self._at_once:
                loop.call_soon(self._put_group)  # those that asked meanwhile still wait
            raise

    async def close(self) -> None:
        """End the sampler's work; asks that still wait raise `SamplerError`. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._fresh = []
        self.fail(list(self._live), SamplerError("the hub was closed before this was answered"))
        if self._carrier is not None:
            await self._carrier.close()

    async def __aenter__(self) -> "Hub":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def deliver(self, tickets: Iterable[Ticket]) -> None:
        """Hand out the completions of tickets that were answered together; for carriers."""
        # Not by `_live`: a task that was cancelled leaves it only when it runs again.
        done = [ticket for ticket in tickets if not ticket.future.done()]
        if not done:
            return
        answers = [ticket.completions for ticket in done]
        completions = answers[0] if len(answers) == 1 else [one for answer in answers for one in answer]
        if self._on_done is not None:
            try:
                self._on_done(completions)
            except Exception as error:  # whatever the caller's code raises belongs to those who wait on it
                self.fail(done, error)
                return
        self._live.difference_update(done)
        self.answered += len(done)
        for ticket, answer in zip(done, answers, strict=True):
            if not ticket.future.done():  # `on_done` may have cancelled it
                ticket.future.set_result(answer)
        self._progress.advance(len(completions))

    def fail(self, tickets: Iterable[Ticket], error: BaseException) -> None:
        """Raise `error` in the asks of `tickets`; for carriers."""
        for ticket in tickets:
            if not ticket.future.done():
                self._live.discard(ticket)
                ticket.future.set_exception(_own_copy(error))

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed:
            raise SamplerError("this hub is closed; make a new one to go on asking")
        if self._loop is not None:
            raise SamplerError("this hub belongs to another event loop; make one hub for each call of asyncio.run")
        self._loop = loop
        self._carrier = self._carrier_in(loop)
        self._at_once = isinstance(self._carrier, Immediate)
        self._progress.start(f"asking {self.sampler.name}", unit="completions")

    def _carrier_in(self, loop: asyncio.AbstractEventLoop) -> Carrier:
        if getattr(self.sampler, "immediate", False):
            return Immediate(self.sampler, self.deliver, self.fail)
        if hasattr(self.sampler, "ask_async") and hasattr(self.sampler, "open_conversation"):
            return Conversing(self.sampler, loop, self.deliver, self.fail)
        return Threaded(self.sampler, loop, self.deliver, self.fail)

    def _expect_group(self, loop: asyncio.AbstractEventLoop) -> None:
        """Arrange for the group that begins now to be put to the sampler."""
        assert self._carrier is not None
        if not self._carrier.gathers:
            loop.call_soon(self._put_group)
        elif self._window_s > 0:
            loop.call_later(self._window_s, self._put_group)
        else:
            loop.call_soon(self._settle, loop, 0, 0)

    def _settle(self, loop: asyncio.AbstractEventLoop, before: int, hops: int) -> None:
        """Put the group once a round of the loop has added nothing to it."""
        if len(self._fresh) > before and hops < MOST_HOPS:
            loop.call_soon(self._settle, loop, len(self._fresh), hops + 1)
        else:
            self._put_group()

    def _put_group(self) -> None:
        tickets, self._fresh = self._fresh, []
        if tickets and self._carrier is not None:
            self._carrier.put([ticket for ticket in tickets if not ticket.future.done()])

    def _withdraw(self, ticket: Ticket) -> None:
        if ticket in self._live:
            self._live.discard(ticket)
            if self._carrier is not None:
                self._carrier.withdraw(ticket)
        elif ticket.future.done() and not ticket.future.cancelled():
            ticket.future.exception()  # it came too late to be raised; asyncio would complain that nobody looked


@types.coroutine
def _next_round() -> Generator[None, None, None]:
    """Let everything run that is ready now; `asyncio.sleep(0)` without its wrapping."""
    yield


def _own_copy(error: BaseException) -> Exception:
    """Return a copy of `error` for one asker: a shared one would collect the traceback of every task."""
    if isinstance(error, Exception):
        try:
            own = copy.copy(error)
        except Exception:  # an exception whose constructor wants more than its message
            own = SamplerError(f"{type(error).__name__}: {error}")
    else:  # SystemExit and its like would end the loop of whoever waits
        own = SamplerError(f"the sampler ended with {type(error).__name__}: {error}")
    own.__cause__ = error
    return own
