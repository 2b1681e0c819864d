"""Lines of thought as charts: every dependency graph gives a chart that passes the check and runs as the graph says."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon.core.errors import ConfigError
from menon.core.progress import Progress
from menon.core.values import Completion, Request
from menon.flowcharts.calling import Models
from menon.flowcharts.check import check
from menon.flowcharts.document import read_chart
from menon.flowcharts.executor import Executor
from menon.flowcharts.outcome import Outcome
from menon.flowcharts.surroundings import Surroundings
from menon.grading.arithmetic import evaluate
from menon.problems.prompts import MENON, PLAIN
from menon.sampling.protocol import SILENT
from menon.solving.functions import READING
from menon.solving.library import load_strategy
from menon.solving.linear import MOST_AT_ONCE, chart_of_steps

read_steps = READING["read_steps"].call


class Continuing:
    """Answers a question with a fixed chain of thought; works a left side out; states the last result it is shown."""

    immediate = True
    name = "continuing"

    def __init__(self, chain: str, *, gone: str = "never"):
        self.chain, self.gone, self.asked = chain, gone, list[str]()

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        for request in requests:
            assert isinstance(request.prompt, str)
            self.asked.append(request.prompt)
            yield Completion(key=request.key, text=self.reply(request.prompt), model=self.name)

    def reply(self, prompt: str) -> str:
        shown = prompt.partition("=")[2]
        if self.gone in shown:
            return "no idea"
        if not shown:
            return self.chain
        if shown.endswith(";"):
            return f"#{shown.rstrip(';').rpartition('=')[2]}"
        return str(evaluate(shown.rpartition(";")[2].removesuffix("=")))

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


def from_chain(model: Continuing, question: str = "how many?") -> Outcome:
    executor = Executor(load_strategy("from_chain"), Surroundings(models=Models(model), style=MENON))
    return asyncio.run(executor.run("one", {"question": question}))


# Texts as models write them, and what could break a Markdown file, a prompt or a label.
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["12+3=15", "so x = {y}", "```python", "## step_1", "- call: x", '"quoted" #quot;', "| --> |", "a\u2028b"]
    ),
)


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw steps with any earlier steps as what they use, results that may be equal, and any text."""
    bare = draw(st.booleans())
    steps = []
    for index in range(1, draw(st.integers(1, 9)) + 1):
        uses = draw(st.sets(st.integers(1, index - 1), max_size=4)) if index > 1 else set()
        result = draw(st.sampled_from(["15", "7", "-3", "1/2", None]))
        text = f"{draw(st.integers(0, 20))}+7={result or 15}" if bare else draw(TEXTS)
        steps.append({"index": index, "text": text, "result": result, "uses": sorted(uses)})
    return steps


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_chart_passes_the_check_for_any_graph(steps: list[dict[str, Any]]):
    chart = read_chart(chart_of_steps("how many?", steps))
    assert check(chart) == []
    edges = {(edge.source, edge.target) for edge in chart.edges}
    used = {(f"step_{use}", f"step_{step['index']}") for step in steps for use in step["uses"]}
    assert used == {edge for edge in edges if edge[0] not in ("start", "state") and edge[1] != "state"}


@pytest.mark.parametrize("count", [MOST_AT_ONCE, MOST_AT_ONCE + 1])
def test_long_lines_of_thought_pass_the_check(count: int):
    steps = [{"index": i, "text": f"{i}+1={i + 1}", "result": str(i + 1), "uses": [i - 1]} for i in range(1, count + 1)]
    assert check(read_chart(chart_of_steps("q", steps))) == []


def test_new_results_are_carried_on():
    model = Continuing("10+5=16;16-2=14;#14")  # the first step is wrong and is worked out right the second time
    outcome = from_chain(model)
    assert (outcome.answer, outcome.values["reworked"]) == ("13", True)
    assert model.asked[1:] == ["how many?=10+5=", "how many?=10+5=15;15-2=", "how many?=10+5=15;15-2=13;"]


def test_independent_steps_are_asked_at_once():
    model = Continuing("10+5=15;20+2=22;15+22=37;#37")
    assert from_chain(model).answer == "37"
    assert model.asked[1:3] == ["how many?=10+5=", "how many?=20+2="]
    assert model.asked[3] == "how many?=10+5=15;20+2=22;15+22="


def test_a_step_that_cannot_be_worked_out_leaves_the_chain_standing():
    outcome = from_chain(Continuing("10+5=16;16-2=14;#14", gone="-2="))
    assert (outcome.answer, outcome.values["reworked"]) == ("14", False)


def test_a_chain_without_steps_stands():
    outcome = from_chain(Continuing("#14"))
    assert (outcome.answer, outcome.values["reworked"]) == ("14", False)


def test_a_used_result_is_replaced_once_from_the_left():
    steps = [
        {"index": 1, "text": "2+3=5", "result": "5", "uses": []},
        {"index": 2, "text": "5+5=10", "result": "10", "uses": [1]},
    ]
    assert "{step_1}+5=" in chart_of_steps("q", steps)


def test_prose_is_asked_in_words_without_the_old_results():
    text = chart_of_steps("q", read_steps("Tom has 3 + 4 = 7 pens.\nEva doubles them: 7 * 2 = 14 pens {in all}."))
    prompts = [
        node.ask.prompt.render({"question": "Q?", "step_1": 8, "step_2": 16})
        for node in read_chart(text).nodes.values()
        if node.ask
    ]
    assert "Next step: Tom has 3 + 4 = ? pens." in prompts[0]
    assert "Next step: Eva doubles them: 8 * 2 = ? pens { in all }." in prompts[1]
    assert "=> 8" in prompts[1]
    assert "14" not in "".join(prompts)


def test_prose_runs_from_end_to_end():
    class Wordy(Continuing):
        def reply(self, prompt: str) -> str:
            if "State the answer" in prompt:
                return "#### 99"
            return "The answer is 9." if "Next step" in prompt else self.chain

    model = Wordy("Tom has 3 + 4 = 7 pens.\nEva has 7 + 1 = 8 pens.\n#### 8")
    executor = Executor(load_strategy("from_chain"), Surroundings(models=Models(model), style=PLAIN))
    outcome = asyncio.run(executor.run("one", {"question": "how many?"}))
    assert (outcome.answer, len(model.asked)) == ("99", 4)
    assert "Next step: Eva has 9 + 1 = ? pens." in model.asked[2]


@pytest.mark.parametrize(
    "steps",
    [
        [],
        ["12+3=15"],
        [{"text": "a"}],
        [{"index": 0, "text": "a"}],
        [{"index": 1, "text": "a"}, {"index": 1, "text": "b"}],
    ],
)
def test_what_are_no_steps_is_refused(steps: list[Any]):
    with pytest.raises(ConfigError, match="step"):
        chart_of_steps("q", steps)
