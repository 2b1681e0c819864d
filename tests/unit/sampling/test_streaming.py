"""Streamed answers: the same completions as whole ones, wherever the network cuts; an error where they break off."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from async_server import Reply, event, serving, streamed, whole
from hypothesis import given
from hypothesis import strategies as st

from menon.core.errors import SamplerError
from menon.core.values import Completion, Request
from menon.sampling import open_sampler
from menon.sampling.endpoint import EndpointSampler
from menon.sampling.streaming import Assembly, EventReader

DONE = event("[DONE]")
REQUEST = Request(key="k", prompt="1+1=", seed=3)


def piece(index: int = 0, finish: str | None = None, logprobs: Any = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}


def chunk(*choices: dict[str, Any], **more: Any) -> bytes:
    return event({"id": "1", "object": "chat.completion.chunk", "choices": list(choices), **more})


def ask(
    reply: Callable[[dict[str, Any]], Reply | Awaitable[Reply]],
    request: Request = REQUEST,
    seen: list[dict[str, Any]] | None = None,
    **options: Any,
) -> list[Completion]:
    async def main() -> list[Completion]:
        async with serving(reply) as server:
            sampler = open_sampler(
                f"{server.url}?stream=true#tiny", **{"backoff_s": 0.01, "timeout_s": 5.0, "retries": 0, **options}
            )
            assert isinstance(sampler, EndpointSampler)
            async with sampler.open_conversation() as talk:
                completions = await sampler.ask_async(talk, request)
            if seen is not None:
                seen.extend(server.seen)
            return completions

    return asyncio.run(main())


def content(completion: Completion) -> dict[str, Any]:
    """Everything but where and how fast."""
    return {**vars(completion), "seconds": 0.0, "model": ""}


def test_the_same_completion_as_without_streaming():
    logprobs = [{"token": "4", "logprob": -0.5}, {"token": "2", "logprob": -0.25}]
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    pieces = [
        chunk(piece(role="assistant", content="")),
        chunk(piece(content="4", logprobs={"content": logprobs[:1]})),
        chunk(piece(content="2", logprobs={"content": logprobs[1:]})),
        chunk(piece(finish="length")),
        chunk(usage=usage),
        DONE,
    ]
    request = Request(key="k", prompt="p", seed=0, logprobs=True)
    seen: list[dict[str, Any]] = []
    (parts,) = ask(lambda body: streamed(*pieces), request, seen)
    choice = {"message": {"content": "42"}, "finish_reason": "length", "logprobs": {"content": logprobs}}
    (at_once,) = ask(lambda body: whole({"choices": [choice], "usage": usage}), request, seen, stream=False)
    assert content(parts) == content(at_once)
    assert (parts.text, parts.finish, parts.logps, parts.completion_tokens) == ("42", "length", (-0.5, -0.25), 2)
    assert (seen[0]["stream"], seen[0]["stream_options"]) == (True, {"include_usage": True})
    assert "stream" not in seen[1]


def test_the_completions_api_and_choices_by_index():
    def text(index: int, said: str, logp: float, finish: str | None = None) -> dict[str, Any]:
        logprobs = {"tokens": [said], "token_logprobs": [logp], "text_offset": [0]}
        return {"index": index, "text": said, "finish_reason": finish, "logprobs": logprobs}

    pieces = [
        chunk(text(1, "b", -2.0)),
        chunk(text(0, "a", -1.0), text(1, "B", -2.5, "stop")),
        chunk(text(0, "A", -1.5, "length")),
    ]
    request = Request(key="k", prompt="p", seed=0, n=2, logprobs=True)
    completions = ask(lambda body: streamed(*pieces), request, api="completions")
    assert [(c.sample, c.text, c.finish, c.logps) for c in completions] == [
        (0, "aA", "length", (-1.0, -1.5)),
        (1, "bB", "stop", (-2.0, -2.5)),
    ]


def test_samples_that_the_stream_does_not_bring_are_asked_for_apart():
    completions = ask(
        lambda body: streamed(chunk(piece(content=str(body["seed"]), finish="stop")), DONE),
        Request(key="k", prompt="p", seed=0, n=3),
    )
    assert [c.sample for c in completions] == [0, 1, 2]
    assert len({c.text for c in completions}) == 3


def test_typed_parts():
    pieces = [
        chunk(piece(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}])),
        chunk(piece(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}])),
        chunk(piece(content="4")),
        chunk(piece(content=[{"type": "text", "text": "2"}], finish="stop")),
    ]
    (completion,) = ask(lambda body: streamed(*pieces))
    assert (completion.text, completion.reasoning) == ("42", "hm")


def test_a_server_that_does_not_know_stream_options(caplog: pytest.LogCaptureFixture):
    def reply(body: dict[str, Any]) -> Reply:
        if "stream_options" in body:
            return whole({"error": {"message": "Unrecognized request argument supplied: stream_options"}}, 400)
        return streamed(chunk(piece(content="2", finish="stop")), DONE)

    with caplog.at_level(logging.WARNING):
        (completion,) = ask(reply)
    assert completion.text == "2"
    assert "'stream_options' is left out from now on" in caplog.text


def test_a_server_that_answers_in_one_piece_all_the_same():
    (completion,) = ask(lambda body: whole({"choices": [{"message": {"content": "2"}, "finish_reason": "stop"}]}))
    assert (completion.text, completion.error) == ("2", None)


@pytest.mark.parametrize(
    "ending",
    [(chunk(piece(finish="stop")),), (DONE,), (chunk(piece(finish="stop")), DONE), (DONE.rstrip(b"\n"),)],
    ids=["finish", "done", "both", "no empty line"],
)
def test_either_sign_of_the_end_is_enough(ending: tuple[bytes, ...]):
    (completion,) = ask(lambda body: streamed(chunk(piece(content="2")), *ending))
    assert (completion.text, completion.finish) == ("2", "stop")


def test_a_connection_that_stays_open_behind_the_end_holds_nobody():
    (completion,) = ask(lambda body: streamed(chunk(piece(content="2")), DONE, 4.0))
    assert completion.text == "2"
    assert completion.seconds < 3.0


@pytest.mark.parametrize(
    ("pieces", "cut", "said"),
    [
        ((), False, "it ended without a finish reason"),
        ((), True, "incomplete chunked read"),
        ((2.0,), False, "nothing more came within 0.5 s"),
        ((event({"error": {"message": "out of blocks", "code": 400}}),), False, "out of blocks"),
        ((b'error: {"message": "slot lost"}\n\n',), False, "slot lost"),
        ((event("{broken"),), False, "event of unknown shape"),
        ((event({"choices": [{"delta": 5}]}),), False, "event of unknown shape"),
    ],
)
def test_a_stream_that_breaks_off_is_an_error_that_keeps_what_came(pieces: Any, cut: bool, said: str):
    begun = chunk(piece(content="half an ans"))
    (completion,) = ask(lambda body: streamed(begun, *pieces, cut=cut), timeout_s=0.5)
    assert completion.finish == "error"
    assert completion.text == "half an ans"
    assert "broke off" in str(completion.error)
    assert said in str(completion.error)


def test_a_broken_choice_among_several_and_those_that_never_began():
    reply = streamed(chunk(piece(1, content="b")), chunk(piece(0, content="a", finish="stop")))
    completions = ask(lambda body: reply, Request(key="k", prompt="p", seed=0, n=3))
    assert [(c.sample, c.text, c.finish) for c in completions] == [
        (0, "a", "error"),
        (1, "b", "error"),
        (2, "", "error"),
    ]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(pieces=(b"<html><title>Login</title></html>",), headers={"Content-Type": "text/html"}), "web page"),
        (Reply(pieces=(b'{"choices": [{"mess',)), "not valid JSON or was cut off"),
        (Reply(pieces=(b'{"choices"',), cut=True), "broke before the answer was complete"),
        (streamed(2.0), "within 0.5 s"),
        (streamed(cut=True), "broke before the answer was complete"),
        (Reply(pieces=(2.0, b"{}")), "within 0.5 s"),
        (streamed(), "it ended without a finish reason"),
        (streamed(DONE), "it ended without a finish reason"),
        (whole({"error": "too long"}, 400), "status 400: too long"),
    ],
    ids=["page", "json", "cut", "mute", "dropped", "hang", "empty", "only done", "refused"],
)
def test_what_is_no_stream_at_all(reply: Reply, said: str):
    (completion,) = ask(lambda body: reply, timeout_s=0.5)
    assert (completion.finish, completion.text) == ("error", "")
    assert said in str(completion.error)


def test_the_time_limit_is_between_pieces_not_on_the_whole():
    pieces = [part for letter in "very slowly" for part in (chunk(piece(content=letter)), 0.1)]
    (completion,) = ask(lambda body: streamed(*pieces, DONE), timeout_s=0.7)
    assert completion.text == "very slowly"
    assert completion.seconds > 1.0


def test_an_endless_stream_ends_with_the_total_time():
    pieces = [part for _ in range(100) for part in (chunk(piece(content="again ")), 0.05)]
    (completion,) = ask(lambda body: streamed(*pieces), timeout_s=0.7, total_s=0.9)
    assert completion.finish == "error"
    assert "its time was over" in str(completion.error)
    assert completion.text.startswith("again again ")
    assert completion.seconds < 3.0


def test_a_broken_stream_is_asked_for_again():
    seen: list[dict[str, Any]] = []
    replies = iter([streamed(chunk(piece(content="ha"))), streamed(chunk(piece(content="whole", finish="stop")))])
    (completion,) = ask(lambda body: next(replies), seen=seen, retries=2)
    assert (completion.text, completion.finish, len(seen)) == ("whole", "stop", 2)


TEXT = "naïve 🦉 line\u2028separator \x85 and\r\nmore: data: x"


@given(cuts=st.lists(st.integers(0, 400), max_size=30), newline=st.sampled_from([b"\n", b"\r\n"]))
def test_events_come_out_whole_wherever_the_bytes_are_cut(cuts: list[int], newline: bytes):
    rows = [chunk(piece(content=letter)) for letter in TEXT] + [b": still here\n\n", b"id: 7\nevent: x\n", DONE]
    raw = b"".join(rows).replace(b"\n", newline)
    places = sorted({0, len(raw), *(place * len(raw) // 400 for place in cuts)})
    reader, assembly = EventReader(), Assembly()
    for first, last in pairwise(places):
        for data in reader.feed(raw[first:last]):
            assembly.add(data)
    answer = assembly.answer()
    assert assembly.ended
    assert answer is not None
    assert answer.choices[0].message is not None
    assert answer.choices[0].message.content == TEXT


def test_data_on_several_lines_is_one_event():
    reader = EventReader()
    assert reader.feed(b'data: {"choices":\ndata: []}\n\ndata:[DONE]\n\n') == ['{"choices":\n[]}', "[DONE]"]
    assert json.loads(reader.feed(b"error: plain words\n")[0]) == {"error": "plain words"}


def test_an_event_of_another_kind_is_refused():
    with pytest.raises(SamplerError, match="unknown shape"):
        Assembly().add('["choices"]')
