"""What is shown of a visit that failed: the prompt, what the model wrote, the code, and why; and what a chart hears."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from menon.core.values import Completion, Request
from menon.flowcharts.calling import Models
from menon.flowcharts.document import read_chart
from menon.flowcharts.executor import Executor
from menon.flowcharts.journal import Memory
from menon.flowcharts.outcome import Outcome
from menon.flowcharts.sandbox import Sandbox
from menon.flowcharts.surroundings import Surroundings

CHART = """# Failing

- takes: question (text)
- returns: answer

```mermaid
flowchart TD
    start([question]) --> try[TRY] --> done([answer])
    try -->|failed| tell[/tell why/] --> done
```

## try

SETTINGS

## tell

```python
answer = "because " + error
```
"""


class Model:
    name, immediate = "model", True

    def __init__(self, *texts: str):
        self.texts = list(texts)

    def sample(self, requests: Iterable[Request], progress: Any = None) -> Iterator[Completion]:
        for request in requests:
            yield Completion(key=request.key, text=self.texts.pop(0), prompt_tokens=3, completion_tokens=2)

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


def run(text: str, *texts: str, sandbox: Sandbox | None = None) -> tuple[Outcome, Mapping[str, Any]]:
    journal = Memory()
    surroundings = Surroundings(models=Models(Model(*texts), journal=journal), sandbox=sandbox)
    outcome = asyncio.run(Executor(read_chart(text), surroundings).run("k", {"question": "how many?"}))
    return outcome, journal.events["k"]["try"]


def test_a_reply_that_cannot_be_read_stays_with_its_prompt_and_every_attempt():
    settings = "- writes: answer (number)\n- retries: 1\n\n```text\nCount. {question}\n```"
    outcome, event = run(CHART.replace("SETTINGS", settings), "none", "many")
    assert [row["text"] for row in event["completions"]] == ["none", "many"]
    assert event["prompt"].startswith("Count. how many?")
    assert event["error"] in outcome.answer
    assert outcome.answer.startswith("because the reply could not be read")
    assert outcome.values["error"] == event["error"]
    assert (outcome.usage.calls, outcome.usage.tokens) == (2, 10)


def test_code_that_fails_is_shown_with_its_error():
    chart = CHART.replace("[TRY]", "[/run/]").replace("SETTINGS", '- code: "answer = 1 / 0"\n- writes: answer')
    with Sandbox() as sandbox:
        outcome, event = run(chart, sandbox=sandbox)
    assert event["prompt"] == "answer = 1 / 0"
    assert "division by zero" in event["error"]
    assert outcome.answer == f"because {event['error']}"


def test_without_an_edge_the_execution_fails_and_keeps_the_prompt():
    settings = "- writes: answer (number)\n\n```text\nCount. {question}\n```"
    chart = CHART.replace("SETTINGS", settings).replace("    try -->|failed| tell[/tell why/] --> done\n", "")
    outcome, event = run(chart.partition("## tell")[0], "none")
    assert (outcome.status, outcome.address) == ("failed", "try")
    assert (event["prompt"], event["completions"][0]["text"]) == ("Count. how many?", "none")
