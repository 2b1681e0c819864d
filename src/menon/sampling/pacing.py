"""How fast to ask a server: a limit on requests in flight that adapts, and how long to wait before asking again.

The limit rises by one per round of successes and halves when the server says that it is overloaded, as congestion
control does (additive increase, multiplicative decrease; Chiu and Jain 1989). Nothing here knows about HTTP.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from menon.core.seeds import rng_for

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0


def backoff_s(attempt: int, *names: str | int, first_s: float = FIRST_WAIT_S) -> float:
    """Return the wait after failed attempt `attempt` (0, 1, ...): doubling, capped, with jitter seeded by `names`."""
    longest = min(first_s * 2.0**attempt, LONGEST_WAIT_S)
    return longest * rng_for("backoff", *names, attempt).uniform(0.5, 1.0)


def retry_after_s(value: str | None, *, now: Callable[[], float] = time.time) -> float | None:
    """Read a Retry-After header, seconds or an HTTP date; None when there is none or it cannot be read."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        # A date in "-0000" has no zone and means UTC.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now()
    return max(0.0, seconds) if seconds < float("inf") else None


def http_date(timestamp: float) -> str:
    """Write `timestamp` (seconds since 1970) as an HTTP date."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


class AdaptiveLimit:
    """At most `limit` holders at a time, first come, first served; the limit moves between 1 and `highest`.

    One event loop only: it is made inside the loop that uses it.
    """

    def __init__(self, *, first: int, highest: int):
        self.highest = highest
        self.limit = float(min(first, highest))
        self.held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._epoch = 0
        self._closed_until = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """Hold one slot; the value names the moment it was taken, for `overloaded`."""
        await self._acquire()
        try:
            yield self._epoch
        finally:
            self.held -= 1
            self._wake()

    def succeeded(self) -> None:
        """Report a request that was answered: the limit rises by one per `limit` of them, if it was reached at all."""
        if self.held + 1 >= int(self.limit):
            self.limit = min(float(self.highest), self.limit + 1.0 / self.limit)
            self._wake()

    def overloaded(self, taken: int, pause_s: float = 0.0) -> None:
        """Report that the server was too busy for the request that began at `taken`; start nothing for `pause_s`.

        All requests in flight fail together when a server is full, so they halve the limit once, not each.
        """
        if taken == self._epoch:
            self._epoch += 1
            self.limit = max(1.0, self.limit / 2.0)
        self._closed_until = max(self._closed_until, time.monotonic() + pause_s)

    async def _acquire(self) -> None:
        if self._waiting or self.held >= int(self.limit):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn  # whoever wakes this future has counted it as held
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.held -= 1
                    self._wake()
                raise
        else:
            self.held += 1
        try:
            while (wait := self._closed_until - time.monotonic()) > 0:
                await asyncio.sleep(wait)
        except asyncio.CancelledError:
            self.held -= 1
            self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self.held < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self.held += 1
                turn.set_result(None)
