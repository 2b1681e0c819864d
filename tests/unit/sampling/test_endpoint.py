"""The endpoint sampler against a scripted server on loopback: what it sends, what it makes of every kind of answer."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from menon.core.errors import ConfigError, SamplerError
from menon.core.seeds import seed_for
from menon.core.values import Completion, Message, Request
from menon.sampling import open_sampler, sample_in_order
from menon.sampling.endpoint import EndpointSampler
from menon.sampling.pacing import http_date

KEY = "sk-verysecret1234567890"
TYPED_PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "2"}]
Reply = tuple[int, dict[str, str], bytes]


@dataclass
class FakeServer:
    """Answers by calling `reply(path, body)`; `seen` keeps the bodies, `most` the largest number in flight."""

    reply: Callable[[str, dict[str, Any]], Reply]
    seen: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    busy: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def ok(body: Any) -> Reply:
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def error(status: int, message: Any, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps({"error": message}).encode()


def chat(*texts: str, finish: str | None = "stop", **message: Any) -> Reply:
    choices = [{"index": i, "message": {"content": t, **message}, "finish_reason": finish} for i, t in enumerate(texts)]
    return ok({"id": "1", "choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 3 * len(texts)}})


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeServer]]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    running: list[ThreadingHTTPServer] = []

    def start(reply: Callable[[str, dict[str, Any]], Reply]) -> FakeServer:
        fake = FakeServer(reply)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with fake.lock:
                    fake.seen.append(body)
                    fake.times.append(time.monotonic())
                    fake.headers.append({name.lower(): value for name, value in self.headers.items()})
                    fake.busy += 1
                    fake.most = max(fake.most, fake.busy)
                self.answer(body)

            def do_GET(self) -> None:
                self.answer({})

            def answer(self, body: dict[str, Any]) -> None:
                try:
                    status, headers, content = fake.reply(self.path, body)
                finally:
                    with fake.lock:
                        fake.busy -= 1
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                if "truncated" in headers:
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that hung up is part of these tests

        server = Server(("127.0.0.1", 0), Handler)
        running.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        fake.url = f"http://127.0.0.1:{server.server_port}/v1"
        return fake

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def sampler_for(fake: FakeServer, **options: Any) -> EndpointSampler:
    options = {"backoff_s": 0.01, "timeout_s": 5.0, **options}
    sampler = open_sampler(f"{fake.url}#tiny", **options)
    assert isinstance(sampler, EndpointSampler)
    return sampler


def ask(fake: FakeServer, request: Request | None = None, **options: Any) -> list[Completion]:
    return sample_in_order(sampler_for(fake, **options), [request or Request(key="a", prompt="1+1=", seed=3)])


def test_chat_request_and_completion(serve: Any) -> None:
    fake = serve(lambda path, body: chat("2#"))
    request = Request(key="k", prompt="1+1=", seed=3, max_tokens=7, temperature=0.5, top_p=0.9, stop=("#",))
    (completion,) = ask(fake, request)
    assert fake.seen == [
        {
            "model": "tiny",
            "messages": [{"role": "user", "content": "1+1="}],
            "max_tokens": 7,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop": ["#"],
            "seed": seed_for(3, 0) % 2**31,
        }
    ]
    assert (completion.key, completion.text, completion.finish, completion.error) == ("k", "2", "stop", None)
    assert (completion.prompt_tokens, completion.completion_tokens) == (5, 3)
    assert completion.model == f"{fake.url}#tiny"


def test_messages_are_sent_as_they_are(serve: Any) -> None:
    fake = serve(lambda path, body: chat("2"))
    messages = (Message(role="system", content="be brief"), Message(role="user", content="1+1"))
    ask(fake, Request(key="k", prompt=messages, seed=0))
    assert fake.seen[0]["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "1+1"},
    ]


def test_completions_api_with_logprobs(serve: Any) -> None:
    logprobs = {"tokens": ["2", "#"], "token_logprobs": [-0.25, -0.5]}
    fake = serve(lambda path, body: ok({"choices": [{"text": "2#", "finish_reason": "length", "logprobs": logprobs}]}))
    (completion,) = ask(fake, Request(key="k", prompt="1+1=", seed=0, logprobs=True), api="completions")
    assert fake.seen[0]["prompt"] == "1+1="
    assert (completion.text, completion.finish, completion.logps) == ("2#", "length", (-0.25, -0.5))
    assert completion.completion_tokens == 2
    assert completion.model.endswith("/v1?api=completions#tiny")


def test_chat_logprobs(serve: Any) -> None:
    choice = {"message": {"content": "2"}, "finish_reason": "stop", "logprobs": {"content": [{"logprob": -0.125}]}}
    fake = serve(lambda path, body: ok({"choices": [choice]}))
    (completion,) = ask(fake, Request(key="k", prompt="1+1=", seed=0, logprobs=True))
    assert fake.seen[0]["logprobs"] is True
    assert completion.logps == (-0.125,)


@pytest.mark.parametrize(
    ("content", "extra", "reasoning", "text"),
    [
        ("2", {"reasoning": "one and one"}, "one and one", "2"),
        ("2", {"reasoning_content": "one and one"}, "one and one", "2"),
        ("<think>one and one</think>\n2", {}, "one and one", "2"),
        ("one and one</think>2", {}, "one and one", "2"),
        ("<think>one and", {}, "one and", ""),
        ("<think></think>2", {}, None, "2"),
        (TYPED_PARTS, {}, "hm", "2"),
        (None, {"reasoning": "all spent"}, "all spent", ""),
    ],
)
def test_reasoning_in_every_form(serve: Any, content: Any, extra: dict[str, str], reasoning: str, text: str) -> None:
    fake = serve(lambda path, body: chat(content, **extra))
    (completion,) = ask(fake)
    assert (completion.reasoning, completion.text) == (reasoning, text)


def test_n_in_one_request(serve: Any) -> None:
    fake = serve(lambda path, body: chat(*[f"answer {i}" for i in range(body["n"])]))
    completions = ask(fake, Request(key="k", prompt="p", seed=1, n=3))
    assert [(c.sample, c.text, c.completion_tokens) for c in completions] == [
        (0, "answer 0", 3),
        (1, "answer 1", 3),
        (2, "answer 2", 3),
    ]
    assert len(fake.seen) == 1


def test_server_that_returns_one_choice_is_asked_again_with_other_seeds(serve: Any) -> None:
    fake = serve(lambda path, body: chat(str(body["seed"])))
    sampler = sampler_for(fake)
    requests = [Request(key=key, prompt="p", seed=seed, n=3) for key, seed in (("a", 1), ("b", 2))]
    for request in requests:
        completions = sample_in_order(sampler, [request])
        assert [c.text for c in completions] == [str(seed_for(request.seed, j) % 2**31) for j in range(3)]
    assert [body.get("n") for body in fake.seen] == [3, None, None, None, None, None]


@pytest.mark.parametrize(
    "refuse",
    [
        lambda name: error(400, {"message": f"Unrecognized request argument supplied: {name}", "param": name}),
        lambda name: (422, {}, json.dumps({"detail": [{"loc": ["body", name], "msg": "Extra inputs"}]}).encode()),
        lambda name: (422, {}, json.dumps({"detail": f"Unexpected fields in the request: {{'{name}'}}"}).encode()),
    ],
)
def test_refused_fields_are_left_out_once_and_for_all(
    serve: Any, refuse: Callable[[str], Reply], caplog: pytest.LogCaptureFixture
) -> None:
    def reply(path: str, body: dict[str, Any]) -> Reply:
        wrong = [name for name in ("seed", "logprobs", "n") if name in body]
        return refuse(wrong[0]) if wrong else chat("2")

    fake = serve(reply)
    sampler = sampler_for(fake)
    request = Request(key="k", prompt="p", seed=1, n=2, logprobs=True)
    assert [c.text for c in sample_in_order(sampler, [request])] == ["2", "2"]
    asked = len(fake.seen)
    assert [c.finish for c in sample_in_order(sampler, [request])] == ["stop", "stop"]
    assert len(fake.seen) == asked + 2
    said = [record.getMessage() for record in caplog.records if "left out from now on" in record.getMessage()]
    assert len(said) == 3


def test_max_tokens_under_its_newer_name(serve: Any) -> None:
    def reply(path: str, body: dict[str, Any]) -> Reply:
        if "max_tokens" in body:
            return error(400, {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."})
        return chat("2")

    fake = serve(reply)
    (completion,) = ask(fake, Request(key="k", prompt="p", seed=1, max_tokens=9))
    assert completion.text == "2"
    assert fake.seen[-1]["max_completion_tokens"] == 9


def test_a_field_that_changes_the_distribution_is_never_dropped(serve: Any) -> None:
    fake = serve(lambda path, body: error(400, "unknown field 'top_k'"))
    (completion,) = ask(fake, Request(key="k", prompt="p", seed=1, top_k=5))
    assert completion.finish == "error"
    assert "top_k" in str(completion.error)
    assert len(fake.seen) == 1


@pytest.mark.parametrize("header", ["seconds", "date", "milliseconds"])
def test_retry_after_is_honoured(serve: Any, header: str) -> None:
    def reply(path: str, body: dict[str, Any]) -> Reply:
        if len(fake.seen) > 1:
            return chat("2")
        headers = {
            "seconds": {"Retry-After": "0.4"},
            "date": {"Retry-After": http_date(time.time() + 2.0)},
            "milliseconds": {"retry-after-ms": "400"},
        }
        return error(429, "slow down", **headers[header])

    fake = serve(reply)
    (completion,) = ask(fake)
    assert completion.text == "2"
    assert 0.35 <= fake.times[1] - fake.times[0] <= 10.0


def test_retry_after_beyond_the_total_time_fails_at_once(serve: Any) -> None:
    fake = serve(lambda path, body: error(429, "slow down", **{"Retry-After": "3600"}))
    started = time.monotonic()
    (completion,) = ask(fake, total_s=5.0)
    assert time.monotonic() - started < 3
    assert completion.finish == "error"
    assert "3.6e+03 s" in str(completion.error)
    assert "total_s=5" in str(completion.error)


def test_transient_failures_are_retried_and_the_last_one_is_kept(serve: Any) -> None:
    def reply(path: str, body: dict[str, Any]) -> Reply:
        lucky = body["messages"][0]["content"] == "good" and len(fake.seen) > 4
        return chat("2") if lucky else error(503, "loading")

    fake = serve(reply)
    requests = [Request(key=key, prompt=key, seed=1) for key in ("good", "bad")]
    good, bad = sample_in_order(sampler_for(fake, retries=5), requests)
    assert good.text == "2"
    assert bad.finish == "error"
    assert "status 503: loading (asked 6 times)" in str(bad.error)


def test_concurrency_rises_on_success_and_falls_on_overload(serve: Any) -> None:
    def reply(path: str, body: dict[str, Any]) -> Reply:
        with fake.lock:
            full = fake.busy > 12
        if full:
            return error(429, "too many")
        time.sleep(0.1)
        return chat("2")

    fake = serve(reply)
    requests = [Request(key=str(i), prompt="p", seed=i) for i in range(150)]
    completions = sample_in_order(sampler_for(fake, concurrency=40, retries=50), requests)
    assert {c.finish for c in completions} == {"stop"}
    assert 8 < fake.most <= 40
    refused = len(fake.seen) - len(requests)
    assert refused < len(requests) / 2


def test_concurrency_never_exceeds_its_bound(serve: Any) -> None:
    def reply(path: str, body: dict[str, Any]) -> Reply:
        time.sleep(0.01)
        return chat("2")

    fake = serve(reply)
    requests = [Request(key=str(i), prompt="p", seed=i) for i in range(30)]
    assert len(list(sampler_for(fake, concurrency=3).sample(requests))) == 30
    assert fake.most == 3


def broken(content: bytes, **headers: str) -> Callable[[str, dict[str, Any]], Reply]:
    return lambda path, body: (200, headers, content)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (broken(b"<!DOCTYPE html><html><title>Login</title></html>"), "web page instead of JSON"),
        (broken(b'{"choices": [{"mess'), "not valid JSON or was cut off"),
        (broken(b'{"choices": []}'), "unknown shape: choices"),
        (broken(b"{}", **{"Content-Length": "500", "truncated": "1"}), "broke before the answer was complete"),
        (lambda path, body: error(404, {"message": "The model `tiny` does not exist"}), "model `tiny` does not exist"),
        (lambda path, body: (404, {}, b"<html><title>404 Not Found</title></html>"), "usually ends in /v1"),
        (lambda path, body: error(401, {"message": "Incorrect API key"}), "no key was sent, set OPENAI_API_KEY"),
        (lambda path, body: error(400, "prompt is too long"), "status 400: prompt is too long"),
        (lambda path, body: error(400, "no chat template is set"), "open the endpoint with ?api=completions"),
        (lambda path, body: (502, {}, b"<html><title>Bad Gateway</title></html>"), "a web page titled 'Bad Gateway'"),
    ],
)
def test_every_failure_is_kept_with_a_clear_message(serve: Any, reply: Any, said: str) -> None:
    completions = ask(serve(reply), Request(key="k", prompt="p", seed=0, n=2), retries=1)
    assert [c.sample for c in completions] == [0, 1]
    assert {c.finish for c in completions} == {"error"}
    assert said in str(completions[0].error)


def test_wrong_model_name_lists_what_there_is(serve: Any) -> None:
    def reply(path: str, body: dict[str, Any]) -> Reply:
        if path == "/v1/models":
            return ok({"data": [{"id": "tiny-2b"}, {"id": "huge-70b"}]})
        return error(404, {"message": "no such model", "code": "model_not_found"})

    fake = serve(reply)
    requests = [Request(key=str(i), prompt="p", seed=i) for i in range(40)]
    completions = sample_in_order(sampler_for(fake, concurrency=4), requests)
    assert len(completions) == 40
    assert all("lists: 'tiny-2b', 'huge-70b'. Did you mean 'tiny-2b'?" in str(c.error) for c in completions)
    assert len(fake.seen) <= 4, "a hopeless conversation ends"
    assert sampler_for(fake).models() == ["tiny-2b", "huge-70b"]


def test_hanging_server(serve: Any) -> None:
    released = threading.Event()

    def reply(path: str, body: dict[str, Any]) -> Reply:
        released.wait(10)
        return chat("late")

    fake = serve(reply)
    started = time.monotonic()
    (completion,) = ask(fake, timeout_s=0.15, retries=1)
    released.set()
    assert time.monotonic() - started < 8
    assert "within 0.15 s (asked 2 times)" in str(completion.error)


def test_connection_refused_ends_soon_for_all(serve: Any) -> None:
    sampler = open_sampler("http://127.0.0.1:9/v1#tiny", backoff_s=0.01)
    completions = sample_in_order(sampler, [Request(key=str(i), prompt="p", seed=i) for i in range(50)])
    assert all("cannot connect to http://127.0.0.1:9/v1" in str(c.error) for c in completions)


def test_prompts_that_cannot_be_sent(serve: Any) -> None:
    fake = serve(lambda path, body: chat("2"))
    requests = [
        Request(key="ids", prompt=(1, 2), seed=0),
        Request(key="beams", prompt="p", seed=0, beams=2),
        Request(key="fine", prompt="p", seed=0),
    ]
    ids, beams, fine = sample_in_order(sampler_for(fake), requests)
    assert "token ids need a local model" in str(ids.error)
    assert "beam search" in str(beams.error)
    assert fine.text == "2"
    messages = Request(key="m", prompt=(Message(role="user", content="p"),), seed=0)
    (completion,) = ask(fake, messages, api="completions")
    assert "use api=chat" in str(completion.error)


def test_the_key_is_sent_and_never_shown(
    serve: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake = serve(lambda path, body: error(401, f"Incorrect API key provided: {KEY}, header Bearer {KEY}"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    sampler = sampler_for(fake)
    (completion,) = sample_in_order(sampler, [Request(key="k", prompt="p", seed=0)])
    assert fake.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "the key that was sent is not accepted" in str(completion.error)
    shown = [str(completion), repr(sampler), sampler.name, *(record.getMessage() for record in caplog.records)]
    assert not any(KEY in text for text in shown)
    with pytest.raises(ConfigError) as caught:
        open_sampler(f"http://user:{KEY}@127.0.0.1/v1#tiny")
    assert KEY not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        open_sampler(f"http://127.0.0.1/v1?api_key={KEY}#tiny")
    assert KEY not in str(caught.value)


def test_a_proxy_is_not_asked_for_a_server_on_this_machine(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = serve(lambda path, body: chat("2"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert ask(fake)[0].text == "2"


def test_another_variable_for_the_key(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = serve(lambda path, body: chat("2"))
    monkeypatch.setenv("MY_KEY", "other")
    ask(fake, key_variable="MY_KEY")
    assert fake.headers[0]["authorization"] == "Bearer other"


def test_base_url_from_the_environment(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = serve(lambda path, body: chat("2"))
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL"):
        open_sampler("endpoint:tiny")
    monkeypatch.setenv("OPENAI_BASE_URL", fake.url)
    (completion,) = sample_in_order(open_sampler("endpoint:tiny"), [Request(key="k", prompt="p", seed=0)])
    assert completion.model == f"{fake.url}#tiny"


def test_usable_inside_a_running_event_loop(serve: Any) -> None:
    fake = serve(lambda path, body: chat("2"))

    async def main() -> list[Completion]:
        return ask(fake)

    assert asyncio.run(main())[0].text == "2"


def test_completions_come_as_they_arrive_and_closing_stops_the_rest(serve: Any) -> None:
    released = threading.Event()

    def reply(path: str, body: dict[str, Any]) -> Reply:
        if body["messages"][0]["content"] == "slow":
            released.wait(10)
        return chat("2")

    fake = serve(reply)
    requests = [Request(key=key, prompt=key, seed=0) for key in ("slow", "quick")]
    started = time.monotonic()
    with closing(sampler_for(fake, timeout_s=30).sample(requests)) as completions:  # type: ignore[type-var]
        assert next(completions).key == "quick"
    assert time.monotonic() - started < 8
    released.set()


def test_score_by_echo(serve: Any) -> None:
    def reply(path: str, body: dict[str, Any]) -> Reply:
        logprobs = {"tokens": ["<s>", "1+1", "=", "2", "x"], "token_logprobs": [None, -3.0, -1.0, -0.5, -9.0]}
        return ok({"choices": [{"text": body["prompt"] + "x", "logprobs": logprobs}]})

    fake = serve(reply)
    assert sampler_for(fake, api="completions").score("1+1", "=2") == [-1.0, -0.5]
    assert fake.seen[-1]["echo"] is True


def test_score_where_it_is_not_offered(serve: Any) -> None:
    logprobs = {"tokens": ["2"], "token_logprobs": [-0.5], "text_offset": [0]}
    fake = serve(lambda path, body: ok({"choices": [{"text": "2", "logprobs": logprobs}]}))
    with pytest.raises(SamplerError, match="does not offer `echo`"):
        sampler_for(fake, api="completions").score("1+1", "=2")
    with pytest.raises(SamplerError, match="api=completions"):
        sampler_for(fake).score("1+1", "=2")
