"""The hub in front of a server: one limit for all asks, waits that hold for all, failures that stay with their ask."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from async_server import Reply, chat, serving, whole

from menon.core.errors import SamplerError
from menon.core.values import Completion, Request
from menon.sampling import open_sampler
from menon.sampling.hub import Hub


def request(key: str, **options: Any) -> Request:
    return Request(key=key, prompt=f"prompt of {key}", **{"seed": 0, **options})


def with_server(reply: Any, main: Callable[[Hub, Any], Any], **options: Any) -> None:
    async def run() -> None:
        async with serving(reply) as server:
            sampler = open_sampler(f"{server.url}#tiny", **{"backoff_s": 0.01, "timeout_s": 5.0, **options})
            async with Hub(sampler) as hub:
                await main(hub, server)

    asyncio.run(run())


def prompt_of(body: dict[str, Any]) -> str:
    return body["messages"][0]["content"]


def test_three_hundred_asks_share_one_limit():
    async def reply(body: dict[str, Any]) -> Reply:
        await asyncio.sleep(0.01)
        return chat(prompt_of(body))

    async def main(hub: Hub, server: Any) -> None:
        answers = await asyncio.gather(*(hub.ask(request(str(i))) for i in range(300)))
        assert [(c.key, c.text) for (c,) in answers] == [(str(i), f"prompt of {i}") for i in range(300)]
        assert 8 < server.most <= 12

    with_server(reply, main, concurrency=12)


def test_the_limit_falls_and_rises_for_all_asks_together():
    refused = 0

    async def reply(body: dict[str, Any]) -> Reply:
        nonlocal refused
        if server_of[0].busy > 10:
            refused += 1
            return whole({"error": "too many"}, 429)
        await asyncio.sleep(0.02)
        return chat("2")

    server_of: list[Any] = []

    async def main(hub: Hub, server: Any) -> None:
        server_of.append(server)
        answers = await asyncio.gather(*(hub.ask(request(str(i))) for i in range(200)))
        assert {c.finish for (c,) in answers} == {"stop"}
        assert 8 < server.most <= 40
        assert 0 < refused < 100

    with_server(reply, main, concurrency=40, retries=50)


def test_retry_after_holds_every_ask():
    def reply(body: dict[str, Any]) -> Reply:
        return whole({"error": "slow down"}, 429, **{"Retry-After": "1"}) if len(calls()) == 1 else chat("2")

    seen: list[Any] = []

    def calls() -> list[Any]:
        return seen[0].seen

    async def main(hub: Hub, server: Any) -> None:
        seen.append(server)
        answers = await asyncio.gather(*(hub.ask(request(str(i))) for i in range(5)))
        assert {c.text for (c,) in answers} == {"2"}
        assert server.times[1] - server.times[0] >= 0.99

    with_server(reply, main, concurrency=1)


def test_one_bad_ask_does_not_harm_the_others():
    replies = {
        "hang": Reply(pieces=(6.0, b"{}")),
        "cut": Reply(pieces=(b'{"choices": [{"mess',), cut=True),
        "page": Reply(pieces=(b"<html><title>Login</title></html>",)),
        "shape": whole({"choices": []}),
        "long": whole({"error": "prompt is too long"}, 400),
    }
    said = {
        "hang": "within 1 s",
        "cut": "broke before the answer was complete",
        "page": "web page instead of JSON",
        "shape": "unknown shape",
        "long": "prompt is too long",
    }

    async def main(hub: Hub, server: Any) -> None:
        await hub.ask(request("first"))
        names = ["fine", *replies, "also fine"]
        answers = await asyncio.gather(*(hub.ask(Request(key=n, prompt=n, seed=0, n=2)) for n in names))
        for name, answer in zip(names, answers, strict=True):
            assert [c.sample for c in answer] == [0, 1]
            for completion in answer:
                assert completion.finish == ("error" if name in said else "stop")
                assert said.get(name, "None") in str(completion.error)

    with_server(
        lambda body: replies.get(prompt_of(body)) or chat("2", "2"), main, timeout_s=1.0, retries=0, concurrency=8
    )


def test_cancelling_an_ask_gives_its_place_to_the_next():
    async def main(hub: Hub, server: Any) -> None:
        stuck = asyncio.create_task(hub.ask(request("stuck")))
        waiting = asyncio.create_task(hub.ask(request("waiting")))
        unsent = asyncio.create_task(hub.ask(request("unsent")))
        while not server.seen:
            await asyncio.sleep(0.005)
        unsent.cancel()
        stuck.cancel()
        assert (await asyncio.wait_for(waiting, 10))[0].text == "2"
        assert [prompt_of(body) for body in server.seen] == ["prompt of stuck", "prompt of waiting"]

    stall = Reply(pieces=(20.0, b"{}"))
    with_server(lambda body: stall if "stuck" in prompt_of(body) else chat("2"), main, concurrency=1, timeout_s=30.0)


def test_a_server_that_seemed_dead_is_asked_again_later(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("menon.sampling.hub_carriers.GRUDGE_S", 1.0)
    broken = [True]

    async def main(hub: Hub, server: Any) -> None:
        answers = await asyncio.gather(*(hub.ask(request(str(i))) for i in range(20)))
        assert {c.finish for (c,) in answers} == {"error"}
        asked = len(server.seen)
        assert asked < 20, "after a few silences the others fail at once"
        broken[0] = False
        await asyncio.sleep(1.05)
        assert (await hub.ask(request("later")))[0].text == "2"

    with_server(
        lambda body: Reply(pieces=(b"{",), cut=True) if broken[0] else chat("2"), main, retries=0, concurrency=2
    )


def test_a_conversation_that_cannot_be_opened_tells_every_asker():
    class Unopened:
        name = "unopened"

        def open_conversation(self, **options: Any) -> Any:
            raise SamplerError("no client")

        async def ask_async(self, talk: Any, asked: Request) -> list[Completion]:
            raise AssertionError

    async def main() -> None:
        async with Hub(Unopened()) as hub:  # type: ignore[arg-type]
            outcomes = await asyncio.gather(*(hub.ask(request(k)) for k in "ab"), return_exceptions=True)
            assert [str(outcome) for outcome in outcomes] == ["no client"] * 2

    asyncio.run(main())
