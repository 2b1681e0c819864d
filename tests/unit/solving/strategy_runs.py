"""A strategy executed with a model that answers by what stands in the prompt."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from menon.core.values import Completion, Problem, Request
from menon.flowcharts.calling import Models
from menon.flowcharts.executor import Executor
from menon.flowcharts.journal import Memory
from menon.flowcharts.outcome import Outcome
from menon.flowcharts.sandbox import Sandbox
from menon.flowcharts.surroundings import Surroundings
from menon.solving.functions import Workbench
from menon.solving.library import load_strategy
from menon.solving.retrieval import Documents
from menon.solving.tools import Tools, places
from menon.solving.verifiers import Arithmetic, Verifier

QUESTION = "Ann has 3 pens and buys twice as many. How many pens has she?"
DRIVEL = "the day is long and kim sings"

Reply = str | list[str] | Callable[[str], str]


class Scripted:
    """Answers by the first pattern found in the prompt; a list is one reply per sample asked for, in their order.

    A prompt that no pattern fits is answered with drivel, as a model does that follows no instruction.
    """

    immediate = True
    name = "scripted"

    def __init__(self, replies: Mapping[str, Reply]):
        self.replies = replies
        self.prompts: list[str] = []
        self.samples = 0
        self._used: dict[str, int] = {}

    def sample(self, requests: Iterable[Request], *, progress: Any = None) -> Iterator[Completion]:
        for request in requests:
            prompt = str(request.prompt)
            self.prompts.append(prompt)
            for sample in range(request.n):
                self.samples += 1
                yield Completion(key=request.key, sample=sample, text=self._text(prompt), model=self.name)

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError

    def _text(self, prompt: str) -> str:
        for pattern, reply in self.replies.items():
            if re.search(pattern, prompt):
                if isinstance(reply, str):
                    return reply
                if callable(reply):
                    return reply(prompt)
                place = self._used[pattern] = self._used.get(pattern, -1) + 1
                return reply[min(place, len(reply) - 1)]
        return DRIVEL

    def with_(self, pattern: str) -> list[str]:
        """Return the prompts that hold a pattern."""
        return [prompt for prompt in self.prompts if re.search(pattern, prompt)]


@dataclass(kw_only=True)
class Run:
    """One or more executions of a strategy, and what the model was asked."""

    outcome: Outcome
    outcomes: list[Outcome]
    model: Scripted
    path: list[str]

    @property
    def answer(self) -> Any:
        return self.outcome.answer


def run(
    name: str,
    replies: Mapping[str, Reply],
    *,
    asked: Sequence[str] = (QUESTION,),
    problem: Problem | None = None,
    documents: Documents | None = None,
    verifier: Verifier | None = None,
    **inputs: Any,
) -> Run:
    """Execute a strategy with a scripted model for every question asked; the path is that of the first."""
    model, journal = Scripted(replies), Memory()
    with Sandbox() if name == "program_of_thought" else nullcontext() as sandbox:
        tools = Tools(documents=documents, sandbox=sandbox)
        chart = load_strategy(name, Workbench(grader="number", tools=tools, verifier=verifier or Arithmetic()))
        models = Models(model, journal=journal)
        surroundings = Surroundings(models=models, grader="number", sandbox=sandbox, places=places(tools))
        executor = Executor(chart, surroundings)

        async def work() -> list[Outcome]:
            jobs = [(f"p{at}", {"question": q, **inputs}, problem) for at, q in enumerate(asked)]
            try:
                return await executor.run_many(jobs, at_once=len(jobs))
            finally:
                await models.close()

        outcomes = asyncio.run(work())
    events = sorted(journal.events["p0"].values(), key=lambda event: event["position"])
    path = [event["node"] for event in events if "[" not in event["address"].split("/")[-1]]
    return Run(outcome=outcomes[0], outcomes=outcomes, model=model, path=path)
