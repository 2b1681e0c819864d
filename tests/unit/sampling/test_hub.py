"""The hub in front of every kind of sampler: grouping, order, cancelling, failure, and nothing lost between threads."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from menon.core.errors import ConfigError, SamplerError
from menon.core.values import Completion, Problem, Request
from menon.sampling import open_sampler
from menon.sampling.hub import Hub
from menon.sampling.recorded import RecordedSampler


def request(key: str, **options: Any) -> Request:
    return Request(key=key, prompt=f"prompt of {key}", **{"seed": 0, **options})


class Echo:
    """Answers `text/sample` in reverse order of samples; `lists` keeps the keys of each call."""

    name = "echo"

    def __init__(self, *, immediate: bool, act: Callable[[Request], None] = lambda request: None):
        self.immediate, self.act = immediate, act
        self.lists: list[list[str]] = []

    def sample(self, requests: Iterable[Request], *, progress: Any = None) -> Iterator[Completion]:
        requests = list(requests)
        self.lists.append([request.key for request in requests])
        for asked in requests:
            self.act(asked)
            for sample in reversed(range(asked.n)):
                yield Completion(key=asked.key, sample=sample, text=f"{asked.prompt}/{sample}", model=self.name)

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


BOTH = pytest.mark.parametrize("immediate", [True, False], ids=["in the loop", "on a thread"])


@BOTH
def test_each_asker_gets_its_own_completions_in_the_order_of_samples(immediate: bool):
    sampler = Echo(immediate=immediate)

    async def main() -> None:
        async with Hub(sampler) as hub:
            asked = [request(f"q{i}", n=1 + i % 3) for i in range(1000)]
            answers = await asyncio.gather(*map(hub.ask, asked))
            for one, answer in zip(asked, answers, strict=True):
                assert [(c.key, c.text) for c in answer] == [(one.key, f"{one.prompt}/{j}") for j in range(one.n)]
            assert (hub.asked, hub.answered, hub.in_flight) == (1000, 1000, 0)

    asyncio.run(main())
    assert len(sampler.lists) == 1, "all that is asked in one round of the loop is one group"


@BOTH
def test_executions_that_go_on_together_stay_together(immediate: bool):
    sampler = Echo(immediate=immediate)

    async def execution(hub: Hub, name: int) -> list[str]:
        return [(await hub.ask(request(f"{name}.{step}")))[0].text for step in range(5)]

    async def main() -> list[list[str]]:
        async with Hub(sampler) as hub:
            return await asyncio.gather(*(execution(hub, name) for name in range(300)))

    texts = asyncio.run(main())
    assert texts == [[f"prompt of {name}.{step}/0" for step in range(5)] for name in range(300)]
    if immediate:
        assert [len(keys) for keys in sampler.lists] == [300] * 5


@BOTH
def test_equal_keys_at_once(immediate: bool):
    sampler = Echo(immediate=immediate)
    asked = [Request(key="same", prompt=f"p{i}", seed=i, n=2) for i in range(4)]
    groups: list[int] = []

    async def main() -> list[list[Completion]]:
        async with Hub(sampler, on_done=lambda completions: groups.append(len(completions))) as hub:
            return await asyncio.gather(*map(hub.ask, asked))

    answers = asyncio.run(main())
    assert [[(c.key, c.text) for c in answer] for answer in answers] == [
        [("same", f"p{i}/0"), ("same", f"p{i}/1")] for i in range(4)
    ]
    assert all(len(set(keys)) == len(keys) for keys in sampler.lists), "the sampler sees each key once at a time"
    assert sum(groups) == 8
    assert len(groups) == 1 or not immediate


@BOTH
def test_completions_are_written_before_anybody_goes_on(immediate: bool):
    log: list[Any] = []

    async def main() -> None:
        async with Hub(Echo(immediate=immediate), on_done=lambda done: log.append([c.key for c in done])) as hub:

            async def execution(key: str) -> None:
                await hub.ask(request(key))
                log.append(key)

            await asyncio.gather(*(execution(str(i)) for i in range(50)))

    asyncio.run(main())
    written: set[str] = set()
    for entry in log:
        if isinstance(entry, list):
            written |= set(entry)
        else:
            assert entry in written
    assert len(log) > 50
    if immediate:
        assert log[0] == [str(i) for i in range(50)]


@BOTH
def test_where_writing_fails_the_asks_of_the_group_fail(immediate: bool):
    full = [True]

    def write(completions: list[Completion]) -> None:
        if full[0]:
            raise OSError("no space left")

    async def main() -> None:
        async with Hub(Echo(immediate=immediate), on_done=write) as hub:
            outcomes = await asyncio.gather(*(hub.ask(request(str(i))) for i in range(3)), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [OSError] * 3
            assert len({id(outcome) for outcome in outcomes}) == 3
            full[0] = False
            assert (await hub.ask(request("later")))[0].text == "prompt of later/0"
            assert hub.in_flight == 0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("immediate", "error"),
    [
        (True, SamplerError("out of memory")),
        (True, ValueError("a slip")),
        (False, SamplerError("out of memory")),
        (False, ValueError("a slip")),
        (False, SystemExit(3)),
    ],
)
def test_a_sampler_that_breaks_tells_every_asker_once_and_can_be_asked_again(immediate: bool, error: BaseException):
    def act(asked: Request) -> None:
        if asked.key == "bad":
            raise error

    async def main() -> None:
        async with Hub(Echo(immediate=immediate, act=act)) as hub:
            keys = ["first", "bad", "last"]
            first, bad, last = await asyncio.gather(*(hub.ask(request(k)) for k in keys), return_exceptions=True)
            assert isinstance(first, list), "what was answered before is not lost"
            for outcome in (bad, last):
                assert isinstance(outcome, type(error) if isinstance(error, Exception) else SamplerError)
                assert str(error) in str(outcome)
            assert bad is not last
            assert (await hub.ask(request("again")))[0].text == "prompt of again/0"

    asyncio.run(main())


@BOTH
def test_completions_that_do_not_come_are_failures(immediate: bool):
    class Forgetful(Echo):
        def sample(self, requests: Iterable[Request], *, progress: Any = None) -> Iterator[Completion]:
            for completion in super().sample(requests):
                if completion.sample != 1:
                    yield completion
            yield Completion(key="nobody's")

    async def main() -> tuple[list[Completion], list[Completion]]:
        async with Hub(Forgetful(immediate=immediate)) as hub:
            return await asyncio.gather(hub.ask(request("a", n=2)), hub.ask(request("b")))

    a, b = asyncio.run(main())
    assert [(c.sample, c.finish) for c in a] == [(0, "stop"), (1, "error")]
    assert "1 of 2 completions" in str(a[1].error)
    assert [c.finish for c in b] == ["stop"]


def test_cancelling_before_the_group_is_put():
    sampler = Echo(immediate=True)

    async def main() -> None:
        async with Hub(sampler) as hub:
            tasks = [asyncio.create_task(hub.ask(request(key))) for key in "abc"]
            asyncio.get_running_loop().call_soon(tasks[1].cancel)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(outcomes[1], asyncio.CancelledError)
            assert (hub.asked, hub.answered, hub.in_flight) == (3, 2, 0)

    asyncio.run(main())
    assert sorted(key for keys in sampler.lists for key in keys) == ["a", "c"]


def test_cancelling_on_a_thread_skips_what_waits_and_ends_a_group_that_nobody_wants():
    begun, go_on = threading.Event(), threading.Event()

    begun_with: list[str] = []

    def act(asked: Request) -> None:
        begun_with.append(asked.key)
        if asked.key == "slow":
            begun.set()
            go_on.wait(10)

    sampler = Echo(immediate=False, act=act)
    done: list[str] = []

    async def main() -> None:
        async with Hub(sampler, on_done=lambda completions: done.extend(c.key for c in completions)) as hub:
            group = [asyncio.create_task(hub.ask(request(key))) for key in ("quick", "slow", "second", "third")]
            await asyncio.to_thread(begun.wait, 10)
            waiting, wanted = (asyncio.create_task(hub.ask(request(key))) for key in ("waiting", "wanted"))
            await asyncio.sleep(0.01)
            for task in (*group[1:], waiting):
                task.cancel()
            await asyncio.gather(*group, waiting, return_exceptions=True)
            assert hub.in_flight == 1
            assert group[0].result()[0].key == "quick"
            go_on.set()
            assert (await wanted)[0].text == "prompt of wanted/0"

    asyncio.run(main())
    assert sampler.lists == [["quick", "slow", "second", "third"], ["wanted"]]
    assert begun_with == ["quick", "slow", "wanted"]
    assert done == ["quick", "wanted"]


def test_closing_raises_in_those_who_wait_and_ends_the_thread():
    begun, go_on = threading.Event(), threading.Event()

    def act(asked: Request) -> None:
        begun.set()
        go_on.wait(10)

    async def main() -> None:
        hub = Hub(Echo(immediate=False, act=act))
        asks = [asyncio.create_task(hub.ask(request(key))) for key in "ab"]
        await asyncio.to_thread(begun.wait, 10)
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await hub.close()
        for outcome in await asyncio.gather(*asks, return_exceptions=True):
            assert "closed before this was answered" in str(outcome)
        with pytest.raises(SamplerError, match="make a new one"):
            await hub.ask(request("late"))
        await hub.close()

    asyncio.run(main())
    assert not any(thread.name == "menon-hub" for thread in threading.enumerate())


def test_slips_of_the_caller():
    hub = Hub(Echo(immediate=True))

    async def main() -> None:
        await hub.ask(request("a"))
        with pytest.raises(ConfigError, match="n=0"):
            await hub.ask(request("b", n=0))

    asyncio.run(main())
    with pytest.raises(SamplerError, match="another event loop"):
        asyncio.run(main())
    with pytest.raises(ConfigError, match="window_s"):
        Hub(Echo(immediate=True), window_s=-1)


def test_a_window_gathers_asks_that_come_apart():
    sampler = Echo(immediate=False)

    async def main() -> None:
        async with Hub(sampler, window_s=0.2) as hub:
            tasks = []
            for key in "abcd":
                tasks.append(asyncio.create_task(hub.ask(request(key))))
                await asyncio.sleep(0.005)
            await asyncio.gather(*tasks)

    asyncio.run(main())
    assert sampler.lists == [["a", "b", "c", "d"]]


def test_progress_counts_completions():
    class Listener:
        amount, started = 0.0, ""

        def start(self, what: str, total: float | None = None, unit: str = "") -> None:
            self.started = f"{what} {unit}"

        def advance(self, amount: float = 1.0, note: str = "") -> None:
            self.amount += amount

        def say(self, message: str) -> None:
            pass

    listener = Listener()

    async def main() -> None:
        async with Hub(Echo(immediate=True), progress=listener) as hub:
            await asyncio.gather(hub.ask(request("a", n=3)), hub.ask(request("b")))

    asyncio.run(main())
    assert (listener.amount, listener.started) == (4, "asking echo completions")


def test_scripted_and_recorded_samplers_are_called_in_the_loop(tmp_path: Any):
    problem = Problem(family="f", question="1+1", answer="2")
    scripted = open_sampler("scripted:oracle?p=1")
    scripted.bind([problem])  # type: ignore[attr-defined]
    path = tmp_path / "responses.jsonl"
    path.write_text('{"key": "k", "text": "two"}\n')

    async def main() -> None:
        before = threading.active_count()
        async with Hub(scripted) as first, Hub(RecordedSampler(path)) as second:
            assert (await first.ask(request(problem.id)))[0].text == "#2"
            (there,), (absent,) = await asyncio.gather(second.ask(request("k")), second.ask(request("other")))
            assert (there.text, absent.finish) == ("two", "error")
            assert threading.active_count() == before

    asyncio.run(main())
