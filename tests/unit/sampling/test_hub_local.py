"""The hub in front of a local model: full batches, asks that join and leave a running one, the same texts always."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from menon.core.errors import SamplerError  # noqa: E402
from menon.core.values import Completion, Request  # noqa: E402
from menon.sampling import open_sampler  # noqa: E402
from menon.sampling.hub import Hub  # noqa: E402
from menon.sampling.local import LocalSampler  # noqa: E402


class Letters:
    """A tokenizer whose ids are characters."""

    bos_token_id, eos_token_id, chat_template = 1, 2, None

    def decode(self, ids: list[int], **_: Any) -> str:
        return "".join(chr(96 + i) for i in ids if i > 2)


class Watch:
    """Counts what the engine of a sampler does, and may act before a step."""

    def __init__(self, engine: Any, before_step: Callable[[int], object] = lambda step: None):
        self.prefills, self.widest = 0, 0
        self.rows: list[int] = []
        prefill, step = engine.prefill, engine.step

        def watched_prefill(prompts: Any, copies: Any, limit: int) -> Any:
            self.prefills += 1
            return prefill(prompts, copies, limit)

        def watched_step(cohorts: Any, tokens: Any) -> Any:
            before_step(len(self.rows))
            self.rows.append(len(tokens))
            self.widest = max(self.widest, *(cohort.column for cohort in cohorts))
            return step(cohorts, tokens)

        engine.prefill, engine.step = watched_prefill, watched_step


def local(slots: int = 128, *, ends: bool = False) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=29,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=4096,
        bos_token_id=1,
        eos_token_id=2,
    )
    tokenizer = Letters()
    model = LlamaForCausalLM(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(4)
    if not ends:
        tokenizer.eos_token_id = model.generation_config.eos_token_id = None  # type: ignore[assignment]
    return LocalSampler(model, tokenizer, name="random", slots=slots)


def ids(place: int, length: int = 5) -> tuple[int, ...]:
    rng = random.Random(f"prompt {place}")
    return tuple(rng.randrange(3, 29) for _ in range(length))


def test_a_thousand_asks_at_once_fill_the_batch():
    sampler = local()
    watch = Watch(sampler.engine)

    async def main() -> None:
        async with Hub(sampler) as hub:
            asked = [Request(key=f"{i}", prompt=ids(i), seed=i, max_tokens=1) for i in range(1000)]
            answers = await asyncio.gather(*map(hub.ask, asked))
            assert [c.key for (c,) in answers] == [one.key for one in asked]
            assert all(len(c.token_ids or ()) == 1 for (c,) in answers)

    asyncio.run(main())
    assert watch.rows == [128] * 7 + [104]
    assert watch.prefills == 8


def test_new_asks_join_a_batch_that_runs():
    sampler = local()
    order: list[str] = []

    async def main() -> None:
        running, loop = asyncio.Event(), asyncio.get_running_loop()
        Watch(sampler.engine, lambda step: loop.call_soon_threadsafe(running.set) if step == 3 else time.sleep(0.001))
        async with Hub(sampler, on_done=lambda done: order.extend(c.key for c in done)) as hub:
            long = asyncio.create_task(hub.ask(Request(key="long", prompt=ids(0), seed=0, max_tokens=400)))
            await running.wait()
            short = [Request(key=f"short{i}", prompt=ids(i), seed=i, max_tokens=3) for i in range(3)]
            await asyncio.gather(*map(hub.ask, short))
            assert not long.done()
            (completion,) = await long
            assert completion.completion_tokens == 400

    asyncio.run(main())
    assert order[-1] == "long"
    assert sorted(order[:3]) == ["short0", "short1", "short2"]


def test_a_cancelled_ask_leaves_the_batch():
    sampler = local()

    async def main() -> None:
        running, loop = asyncio.Event(), asyncio.get_running_loop()
        watch = Watch(sampler.engine, lambda step: loop.call_soon_threadsafe(running.set) if step == 3 else None)
        async with Hub(sampler) as hub:
            tasks = [
                asyncio.create_task(hub.ask(Request(key=key, prompt=ids(0), seed=0, max_tokens=limit, n=n)))
                for key, limit, n in (("endless", 4000, 3), ("fine", 60, 1))
            ]
            await running.wait()
            tasks[0].cancel()
            (completion,) = await tasks[1]
            assert completion.completion_tokens == 60
            assert watch.rows[0] == 4
            await hub.ask(Request(key="next", prompt=ids(1), seed=0, max_tokens=1))
            assert watch.rows[-1] == 1
            assert len(watch.rows) < 200

    asyncio.run(main())


def test_closing_stops_a_batch():
    sampler = local()

    async def main() -> None:
        running, loop = asyncio.Event(), asyncio.get_running_loop()
        Watch(sampler.engine, lambda step: loop.call_soon_threadsafe(running.set) if step == 3 else time.sleep(0.002))
        hub = Hub(sampler)
        task = asyncio.create_task(hub.ask(Request(key="k", prompt=ids(0), seed=0, max_tokens=4000)))
        await running.wait()
        started = time.monotonic()
        await hub.close()
        assert time.monotonic() - started < 3
        with pytest.raises(SamplerError, match="closed"):
            await task

    asyncio.run(main())
    assert not any(thread.name == "menon-hub" for thread in threading.enumerate())


def test_refused_requests_beams_and_equal_keys_of_a_local_model():
    sampler = local()
    asked = [
        Request(key="same", prompt=ids(1), seed=1, max_tokens=4),
        Request(key="same", prompt=ids(2), seed=2, max_tokens=4, n=2),
        Request(key="beams", prompt=ids(3), seed=0, max_tokens=4, beams=3, n=2),
        Request(key="bad", prompt=(99,), seed=0),
        Request(key="too hot", prompt=ids(1), seed=0, temperature=-1.0, n=2),
    ]

    async def main() -> list[list[Completion]]:
        async with Hub(sampler) as hub:
            return await asyncio.gather(*map(hub.ask, asked))

    answers = asyncio.run(main())
    assert [[(c.key, c.sample) for c in answer] for answer in answers] == [
        [(one.key, sample) for sample in range(one.n)] for one in asked
    ]
    for place in range(3):
        alone = sorted(sampler.sample([asked[place]]), key=lambda completion: completion.sample)
        assert [c.token_ids for c in answers[place]] == [c.token_ids for c in alone]
    assert "token ids must lie in" in str(answers[3][0].error)
    assert [c.finish for c in answers[4]] == ["error", "error"]


def test_a_local_model_that_breaks_can_be_asked_again():
    sampler = local()
    step = sampler.engine.step

    def broken(cohorts: Any, tokens: Any) -> Any:
        sampler.engine.step = step
        raise torch.OutOfMemoryError("no memory")

    sampler.engine.step = broken

    async def main() -> None:
        async with Hub(sampler) as hub:
            asked = [Request(key=f"{i}", prompt=ids(i), seed=i, max_tokens=2) for i in range(3)]
            outcomes = await asyncio.gather(*map(hub.ask, asked), return_exceptions=True)
            assert all(isinstance(outcome, SamplerError) for outcome in outcomes)
            assert all("lower slots" in str(outcome) for outcome in outcomes)
            assert (await hub.ask(asked[0]))[0].completion_tokens == 2

    asyncio.run(main())


def test_a_stream_that_never_empties_neither_grows_nor_changes_what_is_sampled():
    sampler = local(slots=32)
    rng = random.Random(1)
    limits = [rng.choice([1, 2, 40, 80]) for _ in range(180)]
    asked = [Request(key=f"{i}", prompt=ids(i, 1 + i % 9), seed=i, max_tokens=limit) for i, limit in enumerate(limits)]
    alone = {c.key: c.token_ids for c in sampler.sample(asked)}
    watch = Watch(sampler.engine)
    coming, calls = iter(asked), itertools.count()

    def incoming(wait: bool) -> list[Request]:
        return list(itertools.islice(coming, 1)) if wait or next(calls) % 2 == 0 else []

    assert {c.key: c.token_ids for c in sampler.sample_stream(incoming)} == alone
    assert len(watch.rows) > 350, "the batch ran on and on"
    assert watch.widest < 200, "columns that no row uses are given back"


def test_the_embedded_model_writes_the_same_in_whatever_order_asks_arrive():
    sampler = open_sampler("menon:base")
    rng = random.Random(7)
    asked = [
        Request(
            key=str(i),
            prompt=f"{rng.randrange(10, 9999)} + {rng.randrange(10, 9999)}\n",
            seed=i,
            max_tokens=24,
            temperature=0.0 if i % 4 == 0 else 1.0,
        )
        for i in range(200)
    ]
    expected = {c.key: c.text for c in sampler.sample(asked)}

    async def late(hub: Hub, one: Request, wait_s: float) -> Completion:
        await asyncio.sleep(wait_s)
        return (await hub.ask(one))[0]

    async def main(waits: list[float]) -> dict[str, str]:
        async with Hub(sampler) as hub:
            found = await asyncio.gather(*(late(hub, one, wait) for one, wait in zip(asked, waits, strict=True)))
            return {completion.key: completion.text for completion in found}

    assert asyncio.run(main([0.0] * 200)) == expected
    assert asyncio.run(main([rng.random() * 0.3 for _ in asked])) == expected
    assert len(set(expected.values())) > 100, "the texts differ, so that equality says something"
