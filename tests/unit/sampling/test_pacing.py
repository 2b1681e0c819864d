"""Waiting and the adaptive limit, without a server."""

import asyncio
import time

import pytest

from menon.sampling.pacing import LONGEST_WAIT_S, AdaptiveLimit, backoff_s, http_date, retry_after_s


def test_backoff_doubles_is_capped_and_seeded() -> None:
    waits = [backoff_s(attempt, "k", first_s=1.0) for attempt in range(12)]
    assert waits == [backoff_s(attempt, "k", first_s=1.0) for attempt in range(12)]
    assert waits != [backoff_s(attempt, "other", first_s=1.0) for attempt in range(12)]
    for attempt, wait in enumerate(waits):
        longest = min(2.0**attempt, LONGEST_WAIT_S)
        assert longest / 2 <= wait <= longest


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("2", 2.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        (http_date(1_000_030), 30.0),
        (http_date(999_000), 0.0),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, now=lambda: 1_000_000.0) == seconds


def test_limit_rises_by_one_per_round_and_halves_once_per_overload() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(first=4, highest=6)
        taken: list[int] = []

        async def work(outcome: str) -> None:
            async with limit.slot() as epoch:
                taken.append(epoch)
                await asyncio.sleep(0)
                if outcome == "fine":
                    limit.succeeded()
                else:
                    limit.overloaded(epoch)

        await asyncio.gather(*(work("fine") for _ in range(4)))
        assert 4.0 < limit.limit <= 5.0
        await asyncio.gather(*(work("fine") for _ in range(60)))
        assert 5.0 <= limit.limit <= 6.0
        before = limit.limit
        await asyncio.gather(*(work("full") for _ in range(3)))
        assert limit.limit == before / 2, "requests that were in flight together count as one overload"
        for _ in range(10):
            await work("full")
        assert limit.limit == 1.0
        assert limit.held == 0

    asyncio.run(main())


def test_limit_bounds_holders_and_survives_cancellation() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(first=2, highest=2)
        most = 0

        async def work() -> None:
            nonlocal most
            async with limit.slot():
                most = max(most, limit.held)
                await asyncio.sleep(0.001)

        tasks = [asyncio.create_task(work()) for _ in range(20)]
        await asyncio.sleep(0.002)
        for task in tasks[::3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most == 2
        assert limit.held == 0
        await asyncio.wait_for(work(), 1.0)

    asyncio.run(main())


def test_a_pause_holds_everybody_back() -> None:
    async def main() -> float:
        limit = AdaptiveLimit(first=2, highest=2)
        async with limit.slot() as epoch:
            limit.overloaded(epoch, pause_s=0.1)
        started = time.monotonic()
        async with limit.slot():
            return time.monotonic() - started

    assert asyncio.run(main()) >= 0.09
