"""Servers write down reasoning in three ways, at once or in pieces: recorded responses of each give one completion."""

import asyncio
from typing import Any

import pytest
from async_server import Reply, event, serving, streamed, whole

from menon.core.values import Completion, Request
from menon.sampling import open_sampler
from menon.sampling.endpoint import EndpointSampler

THOUGHT = "The letters are t, h, e, o.\n\nReversed: o, e, h, t."
ANSWER = "oeht\n\nThat is all.#"
STYLES = ("reasoning", "reasoning_content", "raw", "opened in the prompt")
PIECE = 5


def message(style: str, thought: str, answer: str) -> dict[str, Any]:
    """Return the message as servers of this style deliver it: parsers keep some of the blank lines between the two."""
    if style == "reasoning":
        return {"content": f"\n\n{answer}" if answer else None, "reasoning": f"{thought}\n"}
    if style == "reasoning_content":
        return {"content": answer or None, "reasoning_content": f"\n{thought}\n", "reasoning": None}
    if style == "raw":
        return {"content": f"<think>\n{thought}\n</think>\n\n{answer}" if answer else f"<think>\n{thought}"}
    return {"content": f"{thought}\n</think>\n{answer}"}


def recorded(style: str, in_pieces: bool, thought: str, answer: str, finish: str) -> Reply:
    said = message(style, thought, answer)
    usage = {"prompt_tokens": 11, "completion_tokens": 23}
    if not in_pieces:
        choice = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": finish}
        return whole({"id": "r1", "object": "chat.completion", "choices": [choice], "usage": usage})
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning", "reasoning_content", "content"):  # the thought comes first, as it does from servers
        value = said.get(name) or ""
        deltas += [{name: value[place : place + PIECE]} for place in range(0, len(value), PIECE)]
    rows: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    rows.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    rows.append({"choices": [], "usage": usage})
    return streamed(*map(event, rows), event("[DONE]"))


def completion_of(style: str, in_pieces: bool, thought: str, answer: str, finish: str, stop: Any) -> Completion:
    async def main() -> Completion:
        async with serving(lambda body: recorded(style, in_pieces, thought, answer, finish)) as server:
            sampler = open_sampler(f"{server.url}#tiny", stream=in_pieces)
            assert isinstance(sampler, EndpointSampler)
            async with sampler.open_conversation() as talk:
                (found,) = await sampler.ask_async(talk, Request(key="k", prompt="theo", seed=0, stop=stop))
                return found

    return asyncio.run(main())


@pytest.mark.parametrize("in_pieces", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("style", STYLES)
def test_every_style_gives_the_same(style: str, in_pieces: bool):
    found = completion_of(style, in_pieces, THOUGHT, ANSWER, "stop", ())
    assert (found.text, found.reasoning, found.finish) == (ANSWER, THOUGHT, "stop")
    assert (found.prompt_tokens, found.completion_tokens) == (11, 23)


@pytest.mark.parametrize("in_pieces", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("style", STYLES)
def test_stop_strings_are_cut_in_the_answer(style: str, in_pieces: bool):
    found = completion_of(style, in_pieces, THOUGHT, ANSWER + "more", "length", ("#",))
    assert (found.text, found.reasoning, found.finish) == (ANSWER[:-1], THOUGHT, "stop")


@pytest.mark.parametrize("in_pieces", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("style", STYLES[:3])
def test_a_limit_inside_the_thought(style: str, in_pieces: bool):
    found = completion_of(style, in_pieces, THOUGHT, "", "length", ())
    assert (found.text, found.reasoning, found.finish) == ("", THOUGHT, "length")
