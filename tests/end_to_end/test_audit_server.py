"""`menon audit` of a model behind a server: a real one says what it says here, and one that fails loses nothing done.

The misbehaving server solves sums of two numbers; commands run inside this process.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from test_real_server import MISSING, server  # noqa: F401  (a fixture)

from menon.cli.app import run_command
from menon.problems import FAMILIES
from menon.problems.corpus import originals

SMALL = ("--style", "menon", "--probes", "none", "--set", 'instrument.families=["addition"]')
ORIGINALS = 50
QUICK = "total_s=20&retries=1&backoff_s=0.01"
Reply = tuple[int, dict[str, str], bytes]


def settings(**values: Any) -> list[str]:
    return [word for key, value in values.items() for word in ("--set", f"{key.replace('__', '.')}={value}")]


class Told:
    """The exit code of an audit, what it said, and its report if it wrote one."""

    def __init__(self, out: Path, capsys: pytest.CaptureFixture[str], *arguments: str):
        capsys.readouterr()
        self.code = run_command(["audit", *arguments, "--out", str(out)])
        self.out, self.err = capsys.readouterr()
        file = out / "report.json"
        self.report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        assert "Traceback" not in self.err


@pytest.mark.skipif(bool(MISSING), reason=f"`transformers serve` needs {', '.join(MISSING)}")
def test_a_real_server_says_what_the_model_says_here(server: str, tmp_path: Path, capsys: Any):  # noqa: F811
    from menon.models.embedded import folder

    if not (folder() / "model.safetensors").is_file():
        pytest.skip("the embedded model is not in this checkout")
    sizes = settings(instrument__originals=12, instrument__variants=1, instrument__control_family='""')
    here = Told(tmp_path / "here", capsys, "menon:base", *SMALL, *sizes)
    there = Told(tmp_path / "there", capsys, f"{server}?api=completions#{folder()}", *SMALL, *sizes)
    assert (here.code, there.code) == (0, 0), here.err + there.err
    answers = [{item["problem"]: item["text"] for item in _items(told.report)} for told in (here, there)]
    assert len(answers[0]) == 24
    assert answers[0] == answers[1]
    assert here.report["verdict"] == there.report["verdict"]
    cells = [[{**cell, "id": "", "model": ""} for cell in told.report["cells"]] for told in (here, there)]
    assert cells[0] == cells[1]
    assert "no log-likelihoods" in there.err
    assert "does not offer `echo`" in there.err


def _items(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for pair in report["pairs"] for item in (pair["original"], *pair["variants"])]


@dataclass
class Fake:
    """Answers by `reply(question, number)`; counts what it was asked."""

    reply: Callable[[str, int], Reply]
    asked: list[str] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


def said(text: str) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


@cache
def gold() -> dict[str, str]:
    """Return the answers of everything that an audit of sums asks."""
    family = FAMILIES.get("addition")
    known = originals(family)[:ORIGINALS]
    return {p.question: p.answer for first in known for p in (first, family.variant(first, 0))}


def right(question: str, number: int = 0) -> Reply:
    return said(f"#{gold()[question.rstrip('=')]}")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[str, int], Reply]], Fake]]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    running: list[ThreadingHTTPServer] = []

    def start(reply: Callable[[str, int], Reply]) -> Fake:
        fake = Fake(reply)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                question = body["messages"][-1]["content"]
                with fake.lock:
                    fake.asked.append(question)
                    number = len(fake.asked)
                status, headers, content = fake.reply(question, number)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self.send_error(404)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that hung up is part of these tests

        http = Server(("127.0.0.1", 0), Handler)
        running.append(http)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        fake.url = f"http://127.0.0.1:{http.server_port}/v1"
        return fake

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


def sums(fake: Fake, *more: str, timeout_s: float = 10) -> list[str]:
    """Return the arguments of a small audit of sums: 50 originals with a re-instantiation each, in blocks of 20."""
    sizes = settings(block=20, instrument__originals=ORIGINALS, instrument__variants=1, instrument__control_family='""')
    return [f"{fake.url}?timeout_s={timeout_s}&{QUICK}#sums", *SMALL, *sizes, *more]


def test_a_busy_server_is_waited_for(serve: Any, tmp_path: Path, capsys: Any):
    busy: set[str] = set()

    def reply(question: str, number: int) -> Reply:
        if question not in busy and len(busy) < 15:
            busy.add(question)
            return 429, {"Retry-After": "0.02", "Content-Type": "application/json"}, b'{"error": "slow down"}'
        return right(question)

    fake = serve(reply)
    told = Told(tmp_path / "run", capsys, *sums(fake))
    assert told.code == 0, told.err
    assert told.report["verdict"]["label"] == "reasons"
    assert len(busy) == 15
    assert len(fake.asked) >= 100 + 15
    assert told.report["cost"]["questions"] == 100


@pytest.mark.parametrize("limit", [("--budget-tokens", "200"), ("--budget-money", "0.0002", "--price-in", "1")])
def test_a_budget_that_only_the_answers_tell_of(serve: Any, tmp_path: Path, capsys: Any, limit: tuple[str, ...]):
    """Each answer says that it cost 5 and 3 tokens; no more than one small block is asked beyond the limit."""
    fake = serve(right)
    told = Told(tmp_path / "run", capsys, *sums(fake, *limit, "--set", "block=256"))
    assert told.code == 0, told.err
    assert len(set(fake.asked)) == told.report["cost"]["questions"]
    assert 25 <= len(set(fake.asked)) <= 40 + 32
    before = len(fake.asked)
    again = Told(tmp_path / "run", capsys, *sums(fake, *limit, "--set", "block=256"))
    assert len(fake.asked) == before
    assert again.report["cells"] == told.report["cells"]


LONG_HTML = b"<!DOCTYPE html><html><body>" + b"<p>Sign in</p>" * 500 + b"</body></html>"
TROUBLES = {
    "500": (lambda: (500, {"Content-Type": "application/json"}, b'{"error": "out of memory"}'), "out of memory"),
    "html": (lambda: (200, {"Content-Type": "text/html"}, LONG_HTML), "web page"),
    "429": (lambda: (429, {"Content-Type": "application/json"}, b'{"error": "quota of the day"}'), "quota of the day"),
    "empty": (lambda: (200, {"Content-Type": "application/json"}, b""), "127.0.0.1"),
}


def hang(released: threading.Event) -> Reply:
    released.wait(20)
    return said("late")


@pytest.mark.parametrize("kind", [*TROUBLES, "never"])
def test_a_server_that_breaks_down_costs_nothing_that_was_done(serve: Any, tmp_path: Path, capsys: Any, kind: str):
    """It answers two blocks; the same command, once it is mended, asks for the rest only."""
    released, mended = threading.Event(), threading.Event()
    served: set[str] = set()

    def reply(question: str, number: int) -> Reply:
        if len(served) < 40:
            served.add(question)
        if question in served or mended.is_set():
            return right(question)
        return hang(released) if kind == "never" else TROUBLES[kind][0]()

    fake = serve(reply)
    patience = 0.6 if kind == "never" else 10
    broken = Told(tmp_path / "run", capsys, *sums(fake, timeout_s=patience))
    released.set()
    assert broken.code == 1
    assert "not all questions were answered" in broken.err
    assert (f"within {patience} s" if kind == "never" else TROUBLES[kind][1]) in broken.err
    assert "the same command asks again" in broken.err
    assert broken.report["verdict"]["label"] == "cannot tell yet"
    assert broken.report["cost"]["questions"] == 40
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "because requests failed" in page
    assert "<p>Sign in</p>" not in page
    mended.set()
    before = len(fake.asked)
    whole = Told(tmp_path / "run", capsys, *sums(fake, timeout_s=patience))
    assert whole.code == 0, whole.err
    assert len(set(fake.asked[before:])) == 60
    assert whole.report["verdict"]["label"] == "reasons"
    assert whole.report["cost"]["questions"] == 100


@pytest.mark.parametrize("kind", [*TROUBLES, "never"])
def test_a_server_that_never_answers_leaves_no_run_behind(serve: Any, tmp_path: Path, capsys: Any, kind: str):
    released = threading.Event()
    fake = serve(lambda question, number: hang(released) if kind == "never" else TROUBLES[kind][0]())
    told = Told(tmp_path / "run", capsys, *sums(fake, timeout_s=0.2 if kind == "never" else 10))
    released.set()
    assert told.code == 1
    assert "answered nothing" in told.err
    assert ("within 0.2 s" if kind == "never" else TROUBLES[kind][1]) in told.err
    assert len(told.err) < 1500
    assert not _records(tmp_path / "run")


def _records(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.name != "run.lock"]


def test_nobody_there(tmp_path: Path, capsys: Any):
    told = Told(tmp_path / "run", capsys, *sums(Fake(right, url="http://127.0.0.1:9/v1")))
    assert told.code == 1
    assert "cannot connect to http://127.0.0.1:9/v1" in told.err
    assert not _records(tmp_path / "run")


def test_some_failed_requests_are_counted_and_asked_again_by_the_same_command(serve: Any, tmp_path: Path, capsys: Any):
    mended = threading.Event()
    unlucky = sorted(gold())[::2]

    def reply(question: str, number: int) -> Reply:
        if question.rstrip("=") in unlucky and not mended.is_set():
            return 400, {"Content-Type": "application/json"}, b'{"error": "content policy"}'
        return right(question)

    fake = serve(reply)
    told = Told(tmp_path / "run", capsys, *sums(fake))
    assert told.code == 0, told.err
    assert told.report["verdict"]["label"] == "cannot tell yet"
    assert "requests failed" in told.report["verdict"]["sentence"]
    failed = sum(cell["errors"] for cell in told.report["cells"])
    assert 30 < failed < 70
    assert "content policy" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    again = Told(tmp_path / "run", capsys, *sums(fake))
    assert again.report["verdict"] == told.report["verdict"]
    mended.set()
    before = len(fake.asked)
    whole = Told(tmp_path / "run", capsys, *sums(fake))
    assert len(set(fake.asked[before:])) == failed
    assert sum(cell["errors"] for cell in whole.report["cells"]) == 0
    assert whole.report["verdict"]["label"] == "reasons"


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_model_that_writes_100_000_characters(serve: Any, tmp_path: Path, capsys: Any, place: str):
    babble = "and so on, 7 by 7 <b>\u202e\x00 " * 4000

    def reply(question: str, number: int) -> Reply:
        answer = f"\n#{gold()[question.rstrip('=')]}\n"
        return said(babble + answer if place == "before" else answer + babble)

    told = Told(tmp_path / "run", capsys, *sums(serve(reply)))
    assert told.code == 0, told.err
    if place == "before":
        assert told.report["verdict"]["label"] == "reasons"
    page = tmp_path / "run" / "report.html"
    assert page.stat().st_size < 3_000_000
    assert "characters left out" in page.read_text(encoding="utf-8")


def test_what_needs_log_probabilities_is_skipped_with_that_reason(serve: Any, tmp_path: Path, capsys: Any):
    file = tmp_path / "own.jsonl"
    rows = [
        {"question": f"A box holds {i} red and {i + 2} blue balls. How many?", "answer": str(2 * i + 2)}
        for i in range(8)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    fake = serve(lambda question, number: said("no idea"))
    probes = ("--probes", "memorisation", "--data", str(file), "--set", "instrument.families=[]", "--per-cell", "4")
    told = Told(tmp_path / "run", capsys, f"{fake.url}?{QUICK}#chat", *probes)
    assert told.code == 0, told.err
    (probe,) = told.report["probes"]
    assert "Min-K%" in json.dumps(probe)
    assert "log-probabilities" in json.dumps(probe)
    assert "log-probabilities" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_the_second_model_of_a_comparison_breaks_down(serve: Any, tmp_path: Path, capsys: Any):
    first = serve(right)
    second = serve(lambda question, number: right(question) if number <= 20 else TROUBLES["500"][0]())
    told = Told(tmp_path / "run", capsys, *sums(first, "--against", f"{second.url}?{QUICK}#other"))
    assert told.code == 1
    assert "out of memory" in told.err
    assert told.report["verdict"]["label"] == "reasons"
    assert set(first.asked) == {f"{text}=" for text in gold()}
    assert len(told.report["tuning"]["rows"]) > 0
