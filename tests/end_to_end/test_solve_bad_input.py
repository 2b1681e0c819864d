"""Bad input to `menon solve`: a clear message, the documented exit code, what was done is kept, and nothing runs.

Charts, models, servers, arguments, folders. Commands run inside this process, except one that Ctrl-C stops.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from threaded_server import Reply, asked, chat, event, serving, streamed, whole

from menon.cli.app import run_command
from menon.store import EventLog, Run

QUICK = "timeout_s=10&total_s=10&retries=2&backoff_s=0.01"
SCRIPT = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
DIAGRAM = "start([question]) --> one[first] --> two[second] --> done([answer])"
ONE, TWO = "- writes: first (text)\n\n```text\none: {question}\n```", "```text\ntwo: {first}\n```"


class Told:
    """The exit code of `menon solve`, what it said, and its report if there is one."""

    def __init__(self, capsys: pytest.CaptureFixture[str], out: Path, *arguments: str | Path):
        capsys.readouterr()
        words = [str(word) for word in arguments]
        place = [] if "--resume" in words or "--check" in words or "--out" in words else ["--out", str(out)]
        self.code = run_command(["solve", *words, *place])
        self.out, self.err = capsys.readouterr()
        self.said = self.out + self.err
        file = out / "report.json"
        self.report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        self.page = (out / "report.html").read_text(encoding="utf-8") if file.is_file() else ""
        assert "Traceback" not in self.said

    def says(self, code: int, *parts: str) -> None:
        assert self.code == code, self.said
        for part in parts:
            assert part in self.said, self.said

    @property
    def outcome(self) -> dict[str, Any]:
        (one,) = self.report["outcomes"]
        return one


Solve = Callable[..., Told]


@pytest.fixture
def solve(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Solve:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return lambda *arguments: Told(capsys, tmp_path / "run", *arguments)


def written(diagram: str, sections: dict[str, str], head: str = "") -> str:
    text = f"# A chart\n\n{head}\n\n```mermaid\nflowchart TD\n{diagram}\n```\n"
    return text + "".join(f"\n## {name}\n\n{body}\n" for name, body in sections.items())


TWO_ASKS = written(DIAGRAM, {"one": ONE, "two": "- writes: answer (text)\n\n" + TWO})


@pytest.fixture
def chart(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str | bytes = TWO_ASKS, name: str = "chart.md") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# Charts


def test_a_chart_of_ten_thousand_nodes(solve: Solve, chart: Any, tmp_path: Path):
    count = 10_000
    steps = "\n".join(f"n{i} --> n{i + 1}[/x/]" for i in range(count - 1))
    diagram = f"start([q]) --> n0[/x/]\n{steps}\nn{count - 1} --> done([d])"
    sections = {"n0": "```python\nx = 1\n```"} | {f"n{i}": "```python\nx = x + 1\n```" for i in range(1, count)}
    file = chart(written(diagram, sections, "- returns: x"))
    begin = time.process_time()
    solve("--check", file).says(0, "no errors")
    solve("--draw", file, "--out", tmp_path / "chart.svg").says(0)
    assert ET.parse(tmp_path / "chart.svg").getroot().tag.endswith("svg")
    told = solve("1", "-s", file, "--model", "scripted:oracle", "--budget-steps", "20000")
    told.says(0, "answer: 10000", "10,002 steps")
    assert told.outcome["status"] == "answered"
    assert time.process_time() - begin < 60  # about 10 on a free core; what is quadratic takes minutes


def test_subgraphs_a_thousand_deep(solve: Solve, chart: Any, tmp_path: Path):
    diagram = "start([q]) --> a[/x/] --> done([d])"
    inside = "\n".join(f"subgraph s{i} [part {i}]" for i in range(1_000)) + f"\n{diagram}\n" + "end\n" * 1_000
    file = chart(written(inside, {"a": "```python\nanswer = question\n```"}))
    solve("--check", file).says(0, "no errors")
    solve("--draw", file, "--out", tmp_path / "chart.svg").says(0)
    solve("what", "-s", file, "--model", "scripted:oracle").says(0, "answer: what")


def test_names_and_labels_of_all_alphabets(solve: Solve, chart: Any, tmp_path: Path):
    diagram = "начало([Ω?]) --> 数[/计算 ∑ 🧮/] --> été{è vero?}\nété -->|да| konec([konec])\nété -->|else| 数"
    sections = {"数": "```python\nответ = len(question)\n```", "été": "```python\n'да' if ответ else 'ні'\n```"}
    file = chart(written(diagram, sections, "- returns: ответ"))
    told = solve("--check", file)
    assert told.code == 0, told.said
    solve("--draw", file, "--out", tmp_path / "chart.svg").says(0)
    assert "🧮" in "".join(ET.parse(tmp_path / "chart.svg").getroot().itertext())
    told = solve("četiri", "-s", file, "--model", "scripted:oracle", "--trace")
    told.says(0, "answer: 6", "été -[да]")
    assert "计算" in told.page


FILES: dict[str, tuple[bytes, str]] = {
    "empty.md": (b"", "no mermaid block"),
    "binary.md": (bytes(range(256)) * 40, "UTF-8"),
    "latin.md": (TWO_ASKS.replace("first", "café").encode("latin-1"), "UTF-8"),
    "utf16.md": (TWO_ASKS.encode("utf-16"), "UTF-8"),
    "nul.md": (b"\x00" * 5_000, "no mermaid block"),
    "large.md": (b"x" * 30_000_000, "larger than 20 MB"),
    "unclosed.md": (TWO_ASKS.rpartition("```")[0].encode(), "this fenced block has no end"),
    "two.md": ((TWO_ASKS + "\n```mermaid\nflowchart TD\n```\n").encode(), "a second mermaid block"),
    "html.md": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "no mermaid block"),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_that_are_no_chart(solve: Solve, chart: Any, name: str):
    content, part = FILES[name]
    file = chart(content, name)
    is_text = part not in ("UTF-8", "larger than 20 MB")
    code = 3 if is_text else 2
    solve("--check", file).says(code, name, part)
    solve("--draw", file).says(code, name, part)
    told = solve("1", "-s", file, "--model", "scripted:oracle")
    told.says(code, name, part)
    assert not told.report


def test_paths_that_are_no_file(solve: Solve, tmp_path: Path):
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "loop.md").symlink_to(tmp_path / "loop.md")
    for name in ("folder.md", "loop.md", "none.md", "x" * 300 + ".md"):
        for words in (("--check", tmp_path / name), ("--draw", tmp_path / name), ("1", "-s", tmp_path / name)):
            solve(*words).says(2, "no chart file")


@pytest.mark.parametrize("change", ["\r\n", "\r", "bom"])
def test_line_ends_and_marks_of_other_systems(solve: Solve, chart: Any, change: str):
    text = TWO_ASKS.encode("utf-8-sig") if change == "bom" else TWO_ASKS.replace("\n", change).encode()
    file = chart(text)
    with serving(lambda body: chat(asked(body))) as server:
        told = solve("1+1", "-s", file, "--model", f"{server.url}#m")
    told.says(0, "answer: two: one: 1+1")
    assert told.report["title"] == "A chart"
    assert [body["messages"][0]["content"] for body in server.seen] == ["one: 1+1", "two: one: 1+1"]


def calling(name: str, *more: str) -> str:
    body = "\n".join([f"- call: {name}", *(f"- {line}" for line in more)])
    return written("start([q]) --> go[[go]] --> done([d])", {"go": body})


def test_calls_without_end(solve: Solve, chart: Any):
    first = chart(calling("./second.md"), "first.md")
    chart(calling("./first.md"), "second.md")
    solve("--check", first).says(3, "first.md:", "second.md", "[recursion]", "depth")
    solve("1", "-s", first, "--model", "scripted:oracle").says(3, "[recursion]")
    itself = chart(calling("itself"), "itself.md")
    solve("--check", itself).says(3, "itself.md:", "[recursion]", "depth")
    deep = chart(calling("deep", "depth: 40"), "deep.md")
    solve("--check", deep).says(3, "every way through 'deep' calls 'deep' again")
    diagram = "start([q]) --> enough{enough?}\nenough -->|yes| done([d])\nenough -->|no| go[[go]] --> done"
    sections = {"enough": "```python\nlen(question) > 99\n```", "go": "- call: deep\n- depth: 40"}
    told = solve(
        "1", "-s", chart(written(diagram, sections, "- returns: question"), "deep.md"), "--model", "scripted:oracle"
    )
    told.says(0, "partial", "depth are spent")
    assert told.outcome["exhausted"]["limit"] == 40


def test_a_call_of_what_is_not_there(solve: Solve, chart: Any):
    file = chart(calling("leest_to_most"))
    solve("--check", file).says(3, "chart.md:", "leest_to_most", "least_to_most", "name a chart that exists")
    solve("1", "-s", file).says(3, "leest_to_most")
    solve("--check", chart(calling("./none.md"))).says(3, "no chart file", "none.md")


# Markup


class Elements(HTMLParser):
    """The elements of a page and all its text outside of scripts and styles."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else self._inside

    def handle_endtag(self, tag: str) -> None:
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        self.text += "" if self._inside else data


def hostile_page(solve: Solve, chart: Any) -> Told:
    quoted = SCRIPT.replace('"', "#quot;")
    diagram = f'start(["{quoted}"]) --> one["{quoted}"] --> two["`{quoted}`"] --> done(["</svg>{quoted}"])'
    file = chart(
        written(diagram, {"one": ONE, "two": "- writes: answer (text)\n\n" + TWO}).replace("# A", f"# {SCRIPT} A")
    )
    with serving(lambda body: chat(f"{SCRIPT} </pre></details>]]>", reasoning=SCRIPT)) as server:
        told = solve(f"{SCRIPT} 1+1", "-s", file, "--model", f"{server.url}#{SCRIPT}")
    told.says(0)
    return told


def test_markup_is_text_in_the_report_and_the_drawing(solve: Solve, chart: Any, tmp_path: Path):
    told = hostile_page(solve, chart)
    plain = Elements(told.page)
    assert not [tag for tag, _ in plain.tags if tag in ("img", "iframe", "object", "embed", "base", "link")]
    assert not [name for _, attributes in plain.tags for name in attributes if name.startswith("on")]
    assert plain.text.count(SCRIPT) >= 5  # title, question, prompt, completion, reasoning
    scripts = re.findall(r"<script[^>]*>", told.page)
    assert told.page.count("<script>document.title") == 0
    assert 1 <= len([tag for tag, _ in plain.tags if tag == "script"]) <= len(scripts)
    solve("--draw", tmp_path / "chart.md", "--out", tmp_path / "chart.svg").says(0)
    root = ET.parse(tmp_path / "chart.svg").getroot()
    assert not [one for one in root.iter() if one.tag.rpartition("}")[2] in ("script", "img", "foreignObject", "image")]
    assert not [name for one in root.iter() for name in one.attrib if name.startswith("on")]
    assert "<script>" in "".join(root.itertext())


@pytest.mark.browser
def test_no_markup_runs_in_a_browser(solve: Solve, chart: Any, tmp_path: Path):
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    chromium = next((path for name in names if (path := shutil.which(name))), None)
    if chromium is None:
        pytest.skip("no Chromium here")
    hostile_page(solve, chart)
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=15000",
             "--enable-logging=stderr", "--dump-dom", f"--user-data-dir={tmp_path / 'profile'}")  # fmt: skip
    page = (tmp_path / "run" / "report.html").as_uri()
    done = subprocess.run([chromium, *flags, page], capture_output=True, text=True, timeout=120, check=True)
    assert "<title>taken" not in done.stdout
    assert '<img src="x"' not in done.stdout  # as the browser writes an element that it made
    assert '<svg id="mermaid-' in done.stdout
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("name", ["<b>x</b>", "a<script>", "one-->two", "a b", "../../etc/passwd"])
def test_names_of_nodes_that_are_none(solve: Solve, chart: Any, name: str):
    file = chart(written(f"start([q]) --> {name}[x] --> done([d])", {name: "```text\n{question}\n```"}))
    solve("--check", file).says(3, "chart.md:")


# Models


JSON_CHART = written(
    "start([q]) --> one[ask] --> done([d])",
    {"one": "- writes: answer (json)\n\n```text\n{question}\n```\n\n```json\n"
     '{"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}\n```'},
)  # fmt: skip
CHOICE_CHART = written(
    "start([q]) --> one{ask}\none -->|left| done([d])\none -->|right| done",
    {"one": "- retries: 1\n\n```text\n{question}\n```"},
    "- returns: question",
)
TEXT_CHART = written(
    "start([q]) --> one[ask] --> done([d])", {"one": "- writes: answer (text)\n\n```text\n{question}\n```"}
)
OUTPUTS = {
    "empty": "",
    "blank": " \n\t ",
    "nul": "a\x00b\x00",
    "escapes": "\x1b[2J\x1b]0;taken\x07red",
    "a placeholder": "{answer} {question} {{answer}} {__import__('os')}",
    "a chart": "```mermaid\nflowchart TD\nstart([q]) --> done([d])\n```\n## one\n\n- writes: x",
    "another choice": "up",
    "both choices": "left or right",
    "other json": '{"b": [1, 2',
    "json of another shape": '{"a": "many"}',
    "deep json": "[" * 20_000 + "]" * 20_000,
    "markers": "<think>\nnever closed",
    "large": "x " * 5_000_000,
}


NO_TEXT = ("empty", "blank", "nul", "escapes", "markers", "lone surrogates")


@pytest.mark.parametrize("kind", [*OUTPUTS, "lone surrogates"])
def test_what_a_model_should_not_have_said(solve: Solve, chart: Any, tmp_path: Path, kind: str):
    surrogates = b'{"choices": [{"message": {"content": "a\\ud800b \\udfff"}, "finish_reason": "stop"}]}'
    reply = Reply(pieces=(surrogates,)) if kind == "lone surrogates" else chat(OUTPUTS[kind])
    with serving(lambda body: reply) as server:
        for name, text in (("text", TEXT_CHART), ("json", JSON_CHART), ("choice", CHOICE_CHART)):
            file = chart(text, f"{name}.md")
            told = solve("left?", "-s", file, "--model", f"{server.url}?{QUICK}#m", "--fresh", "--trace")
            assert len(told.said) < 5_000
            assert "\x1b" not in told.said
            if name == "text" and kind not in NO_TEXT:
                told.says(0)
                assert OUTPUTS[kind].strip().startswith(told.outcome["answer"].strip())
                assert len(told.outcome["answer"]) >= min(999_000, len(OUTPUTS[kind].strip()))
            else:
                told.says(1, "failed: node 'one'")
                assert told.outcome["status"] == "failed"
            assert len(told.page) < 15_000_000
            json.dumps(told.report, allow_nan=False)
    again = solve("--resume", tmp_path / "run", "--replay")
    assert again.code in (0, 1)


def test_a_reply_that_looks_like_a_placeholder_is_put_in_as_it_is(solve: Solve, chart: Any):
    said = "{first} {question} {{first}} ```text {two}"
    with serving(lambda body: chat(said)) as server:
        told = solve("{first} of {answer}", "-s", chart(), "--model", f"{server.url}#m")
    told.says(0, f"answer: {said}")
    assert [asked(body) for body in server.seen] == ["one: {first} of {answer}", f"two: {said}"]


# Servers


def cut(body: Any) -> Any:
    delta = {"choices": [{"index": 0, "delta": {"content": "half"}, "finish_reason": None}]}
    return streamed(event(delta), cut=True)


TROUBLES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "500": (lambda body: whole({"error": "out of memory"}, status=500), "out of memory"),
    "429": (lambda body: whole({"error": "slow down"}, status=429), "slow down"),
    "429, come back tomorrow": (
        lambda body: whole({"error": "slow down"}, 429, **{"Retry-After": "86400"}),
        "slow down",
    ),
    "401": (lambda body: whole({"error": "who are you"}, status=401), "set OPENAI_API_KEY"),
    "a web page": (lambda body: Reply(pieces=(b"<!DOCTYPE html><html><body>Sign in</body></html>",)), "web page"),
    "nothing": (lambda body: Reply(), "not valid JSON"),
    "half a line": (lambda body: Reply(pieces=(b'{"choices": [{"mess',)), "cut off"),
    "closed": (lambda body: Reply(cut=True), "broke before the answer was complete"),
    "a cut stream": (cut, "broke off"),
    "no choices": (lambda body: whole({"choices": []}), "unknown shape"),
}


@pytest.mark.parametrize("kind", sorted(TROUBLES))
def test_a_server_in_trouble_loses_nothing_that_was_done(solve: Solve, chart: Any, tmp_path: Path, kind: str):
    trouble, part = TROUBLES[kind]
    broken = True
    seen: list[str] = []

    def reply(body: Any) -> Any:
        seen.append(asked(body))
        if broken and asked(body).startswith("two"):
            return trouble(body)
        return chat(f"said {asked(body)}")

    with serving(reply) as server:
        model = f"{server.url}?{QUICK}{'&stream=true' if 'stream' in kind else ''}#m"
        told = solve("1+1", "-s", chart(), "--model", model)
        told.says(1, "failed: node 'two'", part)
        assert told.outcome["status"] == "failed"
        assert part in told.page
        broken, before = False, seen.count("one: 1+1")
        assert before == 1
        again = solve("--resume", tmp_path / "run")
        again.says(0, "answer: said two: said one: 1+1")
        assert seen.count("one: 1+1") == 1
        assert seen[-1].startswith("two")


def test_a_busy_server_is_waited_for(solve: Solve, chart: Any):
    times: list[float] = []

    def reply(body: Any) -> Any:
        times.append(time.monotonic())
        return whole({"error": "slow down"}, 429, **{"Retry-After": "0.3"}) if len(times) == 1 else chat("well")

    with serving(reply) as server:
        solve("1+1", "-s", chart(TEXT_CHART), "--model", f"{server.url}?{QUICK}#m").says(0, "answer: well")
    assert times[1] - times[0] >= 0.29


def test_a_server_that_hangs_ends_with_the_budget(solve: Solve, chart: Any, tmp_path: Path):
    hangs = True

    async def reply(body: Any) -> Any:
        if hangs and asked(body).startswith("two"):
            import asyncio

            await asyncio.sleep(60)
        return chat("well")

    with serving(reply) as server:
        begin = time.monotonic()
        model = f"{server.url}?timeout_s=50&total_s=50#m"
        told = solve("1+1", "-s", chart(), "--model", model, "--budget-seconds", "3")
        assert time.monotonic() - begin < 25
        told.says(0, "partial: stopped at node 'two'", "of 3 seconds")
        assert told.outcome["exhausted"]["values"]["first"] == "well"
        hangs = False
        before = len(server.seen)
        solve("--resume", tmp_path / "run").says(0, "answer: well")
        assert len(server.seen) == before + 1


def test_a_server_that_hangs_ends_with_its_own_time_limit(solve: Solve, chart: Any):
    def reply(body: Any) -> Any:
        return Reply(pieces=(0.0, 30.0))

    with serving(reply) as server:
        model = f"{server.url}?timeout_s=0.3&total_s=5&retries=1&backoff_s=0.01#m"
        solve("1+1", "-s", chart(TEXT_CHART), "--model", model).says(1, "failed", "within 0.3 s")


def test_a_server_that_is_not_there(solve: Solve, chart: Any):
    told = solve("1+1", "-s", chart(), "--model", "http://127.0.0.1:9/v1?retries=1&backoff_s=0.01#m")
    told.says(1, "cannot connect to http://127.0.0.1:9/v1", "is the server running")
    told = solve(
        "--problems", "chain", "--limit", "9", "-s", "cot", "--fresh", "--model", f"http://127.0.0.1:9/v1?{QUICK}#m"
    )
    told.says(1, "9 failed", "first failed: ", "cannot connect")


# Arguments and folders


def oracle(*more: str | Path) -> tuple[str | Path, ...]:
    return ("--problems", "chain", "--limit", "2", "--model", "scripted:oracle", *more)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("-s", "self_consistency", "--param", "samples"), ("--param", "samples")),
        (("-s", "self_consistency", "--param", "sample=3"), ("no parameter 'sample'", "samples")),
        (("-s", "cot", "--param", "x=1"), ("it takes none",)),
        (("-s", "nothing"), ("no chart named 'nothing'",)),
        (("-s", "cot", "--budget-money", "1"), ("budget.price_in",)),
        (("-s", "cot", "--verifier", "none"), ("verifier", "none")),
        (("-s", "cot", "--reply", "a=b"), ("--resume DIR",)),
        (("-s", "cot", "--fork", "a"), ("--resume DIR",)),
        (("-s", "cot", "--replay"), ("--resume DIR",)),
        (("-s", "cot", "--temperature", "-1"), ("--temperature",)),
        (("-s", "cot", "--set", "at_once=0"), ("at_once",)),
        (("-s", "cot", "--with", "judge"), ("--with",)),
    ],
)
def test_arguments_that_cannot_be_used(solve: Solve, words: tuple[str, ...], parts: tuple[str, ...]):
    told = solve(*oracle(*words))
    told.says(2, *parts)
    assert not told.report


def test_values_of_parameters_that_are_of_no_use(solve: Solve):
    for value in ("-1", "many", "1e99", "[]", "nan"):
        told = solve(
            *oracle("-s", "self_consistency", "--param", f"samples={value}", "--fresh", "--budget-steps", "60")
        )
        assert told.code in (0, 1, 2), told.said
        if told.code == 2:
            assert "samples" in told.said or "param" in told.said, told.said


def test_a_folder_of_documents_that_is_not_there(solve: Solve, tmp_path: Path):
    solve(*oracle("-s", "cot", "--documents", tmp_path / "none")).says(1, "no folder at", "none")


def test_nothing_to_solve(solve: Solve):
    solve("--model", "scripted:oracle").says(2, "nothing to solve", "--problems NAME")
    solve("1+1", "--problems", "chain", "--model", "scripted:oracle").says(2, "give one of question, problems, data")


PERSON = written(
    "start([q]) --> ok[/is it good?\\]\nok -->|yes| done([d])\nok -->|no| again[/x/] --> done",
    {"ok": "```text\nGood? {question}\n```", "again": "```python\nx = 1\n```"},
    "- returns: question",
)


def test_replies_of_persons_that_do_not_fit(solve: Solve, chart: Any, tmp_path: Path):
    told = solve("1+1", "-s", chart(PERSON), "--model", "scripted:oracle")
    told.says(0, "a person is asked at ok", "--reply ok=yes   (or no)")
    again = ("--resume", tmp_path / "run")
    solve(*again, "--reply", "ok=maybe").says(2, "yes, no", "'maybe'")
    solve(*again, "--reply", "nobody=yes").says(2, "nobody waits at 'nobody'")
    solve(*again, "--reply", "yes").says(2, "--reply")
    solve(*again, "--reply", "ok=YES").says(0, "answer: 1+1")
    solve(*again, "--reply", "ok=yes").says(2, "nobody waits at 'ok'")


def test_forks_that_do_not_fit(solve: Solve, chart: Any, tmp_path: Path):
    with serving(lambda body: chat("well")) as server:
        solve("1+1", "-s", chart(), "--model", f"{server.url}#m").says(0)
        again = ("--resume", tmp_path / "run")
        solve(*again, "--fork", "one").says(2, "--change NAME=VALUE")
        solve(*again, "--change", "first=1").says(2, "--fork ADDRESS")
        solve(*again, "--fork", "one", "--change", "first=1", "--prompt", "x").says(2, "--change NAME=VALUE")
        solve(*again, "--fork", "one", "--change", "second=1").says(1, "'second'", "first")
        told = solve(*again, "--fork", "nowhere", "--change", "first=1")
        assert told.code in (1, 2), told.said
        assert "nowhere" in told.said
        told = solve(*again, "--fork", "one", "--change", "first=1", "--execution", "nobody")
        assert told.code == 2, told.said
        assert "nobody" in told.said
        solve("2+2", *again).says(2, "leave out the question")


def test_folders_that_are_no_run_of_this_recipe(solve: Solve, chart: Any, tmp_path: Path):
    solve(*oracle("-s", "cot")).says(0)
    told = solve(*oracle("-s", "direct"))
    told.says(1, "another recipe", "--fresh")
    assert told.report["strategy"] == "cot"
    solve("--resume", tmp_path / "none").says(1, "is no run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "recipe.toml").write_text('study = "audit"\n', encoding="utf-8")
    solve("--resume", tmp_path / "other").says(1, "is not a run of `menon solve`")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    solve(*oracle("-s", "cot"), "--out", tmp_path / "thesis").says(1, "is not a Menon run", "thesis.tex")
    assert (tmp_path / "thesis" / "thesis.tex").exists()


def test_a_chart_that_was_changed_meanwhile_is_told(solve: Solve, chart: Any, tmp_path: Path):
    with serving(lambda body: chat(f"said {asked(body)}")) as server:
        solve("1+1", "-s", chart(), "--model", f"{server.url}#m").says(0)
        file = chart(TWO_ASKS.replace("two: {first}", "second: {first}"))
        told = solve("--resume", tmp_path / "run", "--replay")
        told.says(1, "the journal holds no call 'two'")
        solve("1+1", "-s", file, "--model", f"{server.url}#m").says(0, "answer: said second: said one: 1+1")
        assert [asked(body)[:4] for body in server.seen].count("one:") == 1


def test_a_run_that_is_in_use(solve: Solve, tmp_path: Path):
    solve(*oracle("-s", "cot")).says(0)
    text = (tmp_path / "run" / "recipe.toml").read_text(encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from menon.store import Run\n"
        "with Run.create_or_resume(Path(sys.argv[1]), recipe_toml=sys.stdin.readline() and sys.argv[2], manifest={}):\n"
        "    print('held', flush=True); sys.stdin.readline()"
    )
    held = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run"), text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert held.stdin is not None
    assert held.stdout is not None
    try:
        held.stdin.write("\n")
        held.stdin.flush()
        assert held.stdout.readline() == "held\n"
        solve(*oracle("-s", "cot")).says(1, "in use")
        solve("--resume", tmp_path / "run").says(1, "in use")
    finally:
        held.stdin.write("\n")
        held.communicate(timeout=30)
    solve("--resume", tmp_path / "run").says(0)


def test_no_disk(solve: Solve, chart: Any, tmp_path: Path):
    resource = pytest.importorskip("resource")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)

    with serving(lambda body: chat("word " * 12_000)) as server:
        words = ("1+1", "-s", chart(), "--model", f"{server.url}#m")
        resource.setrlimit(resource.RLIMIT_FSIZE, (110_000, usual[1]))
        try:
            told = solve(*words)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        told.says(1, "error: cannot write", "What to do: ")
        solve(*words).says(0, "answer: word")


def test_control_c_says_how_to_go_on(chart: Any, tmp_path: Path):
    hangs = True

    async def reply(body: Any) -> Any:
        if hangs and asked(body).startswith("two"):
            import asyncio

            await asyncio.sleep(60)
        return chat("well")

    with serving(reply) as server:
        words = ["solve", "1+1", "-s", str(chart()), "--model", f"{server.url}#m", "--out", str(tmp_path / "run")]
        command = [sys.executable, "-m", "menon.cli", *words]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
        )
        deadline = time.monotonic() + 90
        while not any(asked(body).startswith("two") for body in server.seen):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert "what is finished is kept. To go on: menon solve 1+1" in err
        assert "Traceback" not in out + err
        with Run.open(tmp_path / "run"), EventLog(tmp_path / "run", read_only=True) as log:
            assert len(log.executions("call")) == 1
        hangs = False
        before = len(server.seen)
        done = subprocess.run(command, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        assert "answer: well" in done.stdout
        assert [asked(body) for body in server.seen[before:]] == ["two: well"]
