"""Charts in a few lines, models whose every word stands in the test, and one way to execute the one with the other."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from menon.core.values import Completion, Request
from menon.flowcharts.calling import Models, Prices
from menon.flowcharts.chart import Budget, Chart
from menon.flowcharts.check import require
from menon.flowcharts.document import read_chart
from menon.flowcharts.executor import Executor
from menon.flowcharts.journal import Journal
from menon.flowcharts.outcome import Outcome
from menon.flowcharts.surroundings import Surroundings

Say = Callable[[str, int], str | Completion]


class Scripted:
    """A model that says what a function of prompt and sample number says; `asked` are the requests in their order."""

    immediate = True

    def __init__(self, say: Say = lambda prompt, sample: prompt, *, name: str = "scripted", tokens: int = 0):
        self.name, self._say, self._tokens = name, say, tokens
        self.asked: list[Request] = []

    @property
    def prompts(self) -> list[str]:
        return [text_of(request) for request in self.asked]

    def sample(self, requests: Any, *, progress: Any = None) -> Iterator[Completion]:
        for request in requests:
            self.asked.append(request)
            for sample in range(request.n):
                said = self._say(text_of(request), sample)
                if isinstance(said, str):
                    said = Completion(key="", sample=0, text=said, completion_tokens=self._tokens, model=self.name)
                yield replace(said, key=request.key, sample=sample)

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


def text_of(request: Request) -> str:
    """Return a prompt as one text."""
    prompt: Any = request.prompt
    return prompt if isinstance(prompt, str) else "\n".join(f"{one.role}: {one.content}" for one in prompt)


def chart_text(diagram: str, head: str = '- takes: question (text) = "q"\n- returns: 1', **sections: str) -> str:
    """Return a strategy file of these Mermaid lines and sections by node."""
    text = f"# A chart\n\n{head}\n\n```mermaid\nflowchart TD\n{diagram}\n```\n"
    return text + "".join(f"\n## {name}\n\n{body}\n" for name, body in sections.items())


def chart_of(
    diagram: str, head: str = '- takes: question (text) = "q"\n- returns: 1', *, checked: Any = True, **sections: Any
) -> Chart:
    """Return the checked chart of these Mermaid lines and sections by node."""
    chart = read_chart(chart_text(diagram, head, **sections), file="chart.md", name="chart")
    return require(chart) if checked else chart


def ask(prompt: str, *settings: str) -> str:
    """Return the section of a node that asks a model."""
    return _body("text", prompt, settings)


def compute(code: str, *settings: str) -> str:
    """Return the section of a node that computes or decides."""
    return _body("python", code, settings)


def _body(language: str, text: str, settings: tuple[str, ...]) -> str:
    return "".join(f"- {setting}\n" for setting in settings) + f"\n```{language}\n{text}\n```"


def execute(
    chart: Chart,
    model: Any = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    key: str = "k",
    journal: Journal | None = None,
    replay: bool = False,
    prices: Prices | None = None,
    budget: Budget | None = None,
    named: Mapping[str, Any] | None = None,
    within_s: float = 20.0,
    **around: Any,
) -> Outcome:
    """Execute a chart once; a chart that hangs fails the test."""

    async def work() -> Outcome:
        sampler = None if replay else Scripted() if model is None else model
        models = Models(sampler, name="scripted", named=named, journal=journal, replay=replay, prices=prices)
        try:
            executor = Executor(chart, Surroundings(models=models, **around), budget=budget)
            async with asyncio.timeout(within_s):
                return await executor.run(key, inputs or {})
        finally:
            await models.close()

    return asyncio.run(work())
