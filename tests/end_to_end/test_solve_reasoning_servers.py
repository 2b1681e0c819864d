"""Servers write reasoning in three ways; a strategy gets the same answers, branches and values from all, and shows it.

The replies are as such servers send them, whole and in pieces.
"""

import html
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from threaded_server import asked, event, serving, streamed, whole

from menon.cli.app import run_command
from menon.store import EventLog

STYLES = ("reasoning", "reasoning_content", "raw", "opened in the prompt")
THOUGHT = {
    "plan": 'Not yet: {"first": 1, "second": 1}? No, <b>it</b> must be 3 and 4.\n\nAnswer: no. #1',
    "check": "It could be no. The choices are yes and no. no? But 3 is less than 4, so yes.",
    "sum": "First I think 99.\n#### 99\nBut 3 plus 4 is 7.",
}
ANSWER = {
    "plan": 'Here it is:\n```json\n{"first": 3, "second": 4}\n```',
    "check": "Yes.",
    "sum": "3 + 4 = 7\n#### 7",
}
CHART = """# Plan, check, add

- takes: question (text)
- returns: answer

```mermaid
flowchart TD
    start([question]) --> plan[find the numbers] --> check{is the first less?}
    check -->|yes| sum[add them] --> done([answer])
    check -->|no| wrong[/give up/] --> done
```

## plan

- writes: plan (json), said (text)

```text
plan: {question}
```

```json
{"type": "object", "properties": {"first": {"type": "number"}, "second": {"type": "number"}},
 "required": ["first", "second"]}
```

## check

- writes: verdict (choice)

```text
check: is {plan["first"]} less than {plan["second"]}?
```

## sum

- writes: answer (answer)

```text
sum: {plan["first"]} and {plan["second"]}
```

## wrong

```python
answer = "wrong"
```
"""


def message(style: str, thought: str, answer: str) -> dict[str, Any]:
    if style == "reasoning":
        return {"content": f"\n\n{answer}", "reasoning": f"{thought}\n"}
    if style == "reasoning_content":
        return {"content": answer, "reasoning_content": f"\n{thought}\n", "reasoning": None}
    if style == "raw":
        return {"content": f"<think>\n{thought}\n</think>\n\n{answer}"}
    return {"content": f"{thought}\n</think>\n{answer}"}


def recorded(style: str, in_pieces: bool, body: dict[str, Any]) -> Any:
    kind = asked(body).partition(":")[0]
    said = message(style, THOUGHT[kind], ANSWER[kind])
    usage = {"prompt_tokens": 11, "completion_tokens": 23}
    if not in_pieces:
        choice = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": "stop"}
        return whole({"id": "r1", "object": "chat.completion", "choices": [choice], "usage": usage})
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning", "reasoning_content", "content"):
        value = said.get(name) or ""
        deltas += [{name: value[place : place + 7]} for place in range(0, len(value), 7)]
    rows: list[Any] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    rows += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": usage}]
    return streamed(*map(event, rows), event("[DONE]"))


class Visible(HTMLParser):
    """The text of a page, scripts and styles left out."""

    def __init__(self, page: str):
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def solved(style: str, in_pieces: bool, folder: Path, capsys: Any) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """Return the report, the visits in their order and the page of one execution."""
    folder.mkdir(exist_ok=True)
    (folder / "chart.md").write_text(CHART, encoding="utf-8")
    with serving(lambda body: recorded(style, in_pieces, body)) as server:
        model = f"{server.url}{'?stream=true' if in_pieces else ''}#thinker"
        words = ["solve", "What is 3 and 4?", "--strategy", str(folder / "chart.md"), "--model", model]
        code = run_command([*words, "--trace", "--out", str(folder / "run")])
        assert len(server.seen) == 3
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "answer: 7" in told.out
    report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    (outcome,) = report["outcomes"]
    with EventLog(folder / "run", read_only=True) as log:
        rows = [json.loads(data) for data in log.visits(outcome["key"]).values()]
    page = (folder / "run" / "report.html").read_text(encoding="utf-8")
    return report, sorted(rows, key=lambda row: row["position"]), page


@pytest.mark.parametrize("in_pieces", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("style", STYLES)
def test_reasoning_is_kept_apart_and_shown(style: str, in_pieces: bool, tmp_path: Path, capsys: Any):
    report, events, page = solved(style, in_pieces, tmp_path, capsys)
    assert report["outcomes"][0]["answer"] == "7"
    assert [row["node"] for row in events] == ["start", "plan", "check", "sum", "done"]
    values = {name: value for row in events for name, value in row["writes"].items()}
    assert values["plan"] == {"first": 3, "second": 4}
    assert values["said"] == ANSWER["plan"]
    assert values["verdict"] == "yes"
    assert values["answer"] == "7"
    for row in events:
        if row["node"] in THOUGHT:
            (completion,) = row["completions"]
            assert completion["reasoning"] == THOUGHT[row["node"]]
            assert completion["text"] == ANSWER[row["node"]]
            assert (completion["prompt_tokens"], completion["completion_tokens"]) == (11, 23)
    assert report["totals"]["completion_tokens"] == 3 * 23
    shown = "".join(Visible(page).words)
    for thought in THOUGHT.values():
        assert thought in shown
        assert "<b>" not in thought or html.escape("<b>it</b>") in page
    assert "<b>it</b>" not in page


def test_all_servers_give_the_same_trace(tmp_path: Path, capsys: Any):
    """Whole or in pieces, in whichever field: the visits differ in nothing but times and the server's name."""
    traces = []
    for style in STYLES:
        _, events, _ = solved(style, style == "raw", tmp_path / style.replace(" ", "-"), capsys)
        for row in events:
            row.pop("seconds")
            for completion in row.get("completions") or []:
                for name in ("seconds", "model", "id"):  # the id is made from the server's name too
                    completion.pop(name, None)
        traces.append(events)
    assert traces[0] == traces[1] == traces[2] == traces[3]


def test_a_server_that_only_thinks_is_told_as_cut_off(tmp_path: Path, capsys: Any):
    (tmp_path / "chart.md").write_text(CHART, encoding="utf-8")
    said = {"role": "assistant", "content": "<think>\nIt may be 7, #### 7 perhaps"}
    choice = {"index": 0, "message": said, "finish_reason": "length"}
    with serving(lambda body: whole({"choices": [choice]})) as server:
        words = ["solve", "3 and 4?", "--strategy", str(tmp_path / "chart.md"), "--model", f"{server.url}#thinker"]
        code = run_command([*words, "--out", str(tmp_path / "run")])
    told = capsys.readouterr()
    assert code == 1
    assert "failed: node 'plan'" in told.out
    assert "cut off by max tokens" in told.out
    assert "Traceback" not in told.err
