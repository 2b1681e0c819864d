"""Charts that nobody meant to write: the reader says what is wrong, and what it accepts comes to an end.

Arbitrary texts, the strategies that ship with lines and signs deleted, doubled, exchanged, and charts made to be slow.
Time is processor time, so that a busy machine fails nothing.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Completion, Request
from menon.flowcharts.calling import Models
from menon.flowcharts.chart import Budget, Chart, ChartError, Finding
from menon.flowcharts.check import check
from menon.flowcharts.document import Library, read_chart
from menon.flowcharts.executor import Executor
from menon.flowcharts.journal import Memory
from menon.flowcharts.outcome import Outcome
from menon.flowcharts.program import prepare
from menon.flowcharts.sandbox import Sandbox
from menon.flowcharts.surroundings import Surroundings
from menon.solving.library import folder, library

SLOWEST_S = 2.0
SIGNS = "()[]{}<>/\\|`\"'-=.:%&~#*,;@_ \t\né数\u2028\x00\x0c1n"
NAMES = sorted(path.stem for path in folder().glob("*.md"))
INPUTS = {"question": "2+3", "choices": [], "examples": [], "questions": ["1+1", "2+3"], "tools": [], "problem": {}}
REPLIES = (
    "yes", "no", "7", "#7", "[1, 2]", '{"a": 1}', "Action: search", "1. one\n2. two", "```python\nanswer = 3\n```",
    "\x00", "The answer is 5.", "Finish[3]", "\ud800", "{answer}", "<think>", "</think>", "0.5", "|", "-->",
)  # fmt: skip
ASK = "```text\nSay {question}\n```"
DIAGRAM = "start([q]) --> a[x] --> done([d])"


@cache
def known() -> Library:
    return library()


@cache
def lines_of(name: str) -> tuple[str, ...]:
    return tuple((folder() / f"{name}.md").read_text(encoding="utf-8").split("\n"))


def findings_of(text: str, name: str = "chart") -> tuple[Chart | None, Sequence[Finding]]:
    """Read and check a text as every caller does; the chart is None where it was not read or has errors."""
    begin = time.process_time()
    try:
        chart = read_chart(text, file="chart.md", name=name, library=known())
        found = check(chart)
    except ChartError as error:
        chart, found = None, error.findings
        assert found
    assert time.process_time() - begin < SLOWEST_S
    last = max(1, len(text.splitlines()))
    for one in found:
        if one.file == "chart.md":
            assert 1 <= one.line <= last, one
        assert one.mend.strip(), one
        assert one.problem.strip(), one
        assert one.rule, one
    return (None if any(one.level == "error" for one in found) else chart), found


def written(diagram: str, sections: dict[str, str], head: str = "") -> str:
    text = f"# A chart\n\n{head}\n\n```mermaid\nflowchart TD\n{diagram}\n```\n"
    return text + "".join(f"\n## {name}\n\n{body}\n" for name, body in sections.items())


def asking(settings: str) -> str:
    return written(DIAGRAM, {"a": f"- {settings}\n\n{ASK}"})


@st.composite
def mutated(draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[str, str]:
    """Draw a strategy that ships with one to four slips in it."""
    name = draw(st.sampled_from(NAMES))
    lines = list(lines_of(name))
    for _ in range(draw(st.integers(1, 4))):
        place, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        line = lines[place]
        column = draw(st.integers(0, len(line)))
        match draw(st.integers(0, 6)):
            case 0 if len(lines) > 1:
                del lines[place]
            case 1:
                lines.insert(other, line)
            case 2:
                lines[place], lines[other] = lines[other], line
            case 3:
                lines[place] = line[:column] + draw(st.sampled_from(SIGNS)) + line[column:]
            case 4:
                lines[place] = line[:column] + draw(st.sampled_from(SIGNS)) + line[column + 1 :]
            case 5:
                lines[place] = line[:column] + line[column + 1 :]
            case _:
                lines[place] = line[:column] + lines[other]
    return name, "\n".join(lines)


class Babbling:
    """Answers anything to everything; what it says hangs on the request's seed alone."""

    immediate = True
    name = "babbling"

    def sample(self, requests: Iterable[Request], *, progress: Any = None) -> Iterator[Completion]:
        for request in requests:
            for sample in range(request.n):
                rng = rng_for("babble", request.seed, sample)
                text = " ".join(rng.choice(REPLIES) for _ in range(rng.randrange(5)))
                yield Completion(key=request.key, sample=sample, text=text, model=self.name, completion_tokens=1)

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as found:
        yield found


def executed(chart: Chart, sandbox: Sandbox) -> tuple[Outcome, Memory]:
    async def main() -> tuple[Outcome, Memory]:
        memory = Memory()
        models = Models(Babbling(), journal=memory)
        executor = Executor(chart, Surroundings(models=models, sandbox=sandbox), budget=Budget(steps=200))
        given = {v.name: INPUTS.get(v.name, "x") for v in chart.takes if v.required or v.name == "question"}
        try:
            async with asyncio.timeout(60):
                return await executor.run("k", given), memory
        finally:
            await models.close()

    return asyncio.run(main())


@settings(max_examples=250)
@given(st.text())
def test_any_text_is_refused_in_words(text: str):
    chart, found = findings_of(text)
    assert chart is None
    assert found


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from(["-->", "-->|yes|", "([", "])", "[", "]", "{", "}", "[/", "/]", "subgraph", "end", "a",
                              "b", "&", "\n", ";", '"', "%%", "==>", "-.->", "click", ":::", "@{", "classDef"]),
             max_size=40),
    st.text(max_size=40),
)  # fmt: skip
def test_any_diagram_and_any_section_are_refused_in_words(signs: list[str], body: str):
    findings_of(written(" ".join(signs), {"a": body, "b": ASK}))


@settings(max_examples=300)
@given(mutated())
def test_slips_are_told_with_a_line_and_a_mend(drawn: tuple[str, str]):
    name, text = drawn
    findings_of(text, name)


@settings(max_examples=120, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(mutated())
def test_what_is_accepted_comes_to_an_end(sandbox: Sandbox, drawn: tuple[str, str]):
    name, text = drawn
    chart, _ = findings_of(text, name)
    if chart is None:
        return
    outcome, memory = executed(chart, sandbox)
    assert outcome.status in ("answered", "partial", "waiting", "failed")
    assert outcome.usage.steps <= 201
    assert (outcome.status == "answered") == (outcome.error == "")
    assert memory.outcomes["k"]["status"] == outcome.status
    json.dumps([memory.events, list(memory.calls.values()), memory.outcomes])  # what the store is given


def test_every_strategy_comes_to_an_end_whatever_the_model_says(sandbox: Sandbox):
    for name in NAMES:
        chart, found = findings_of("\n".join(lines_of(name)), name)
        assert chart is not None, found
        outcome, _ = executed(chart, sandbox)
        assert outcome.status in ("answered", "partial", "failed"), (name, outcome)
        assert outcome.usage.steps <= 201


DEEP = {
    "brackets": written(DIAGRAM, {"a": "```text\n{question" + "[" * 100_000 + "]" * 100_000 + "}\n```"}),
    "braces": written(DIAGRAM, {"a": "```text\n" + "{" * 300_000 + "1" + "}" * 300_000 + "\n```"}),
    "negations": written(DIAGRAM, {"a": "```text\n{" + "not " * 4_900 + "question}\n```"}),
    "attributes": written(DIAGRAM, {"a": "```text\n{question" + ".x" * 9_000 + "}\n```"}),
    "indices": written(DIAGRAM, {"a": "```text\n{question" + "[0]" * 6_000 + "}\n```"}),
    "sums": written(DIAGRAM, {"a": "```text\n{question" + "+1" * 9_000 + "}\n```"}),
    "code": written("start([q]) --> a[/x/] --> done([d])", {"a": f"```python\nx = {'(' * 5_000}1{')' * 5_000}\n```"}),
    "nul": written("start([q]) --> a[/x/] --> done([d])", {"a": "```python\nx = '\x00'\n```"}),
    "schema": asking("writes: v (json)") + "\n```json\n" + '{"items":' * 100_000 + "{}" + "}" * 100_000 + "\n```",
    "digits of retries": asking(f"retries: {'9' * 5_000}"),
    "digits of a limit": asking(f"limit: {'9' * 5_000}"),
    "digits of n": asking(f"n: {'9' * 5_000}"),
    "digits of a budget": written(DIAGRAM, {"a": ASK}, f"- budget: {'9' * 400} steps"),
    "digits of seconds": written(DIAGRAM, {"a": ASK}, f"- budget: {'9' * 400} seconds"),
    "a default": written(DIAGRAM, {"a": ASK}, f"- takes: question (text), x (number) = {'[' * 5_000}"),
    "boxes": written("[" * 200_000, {}),
    "fences": "```\n" * 200_001,
    "a fence": "`" * 1_000_000,
    "one line": "x" * 5_000_000,
    "blanks": "- " + "a " * 200_000 + "\n- b" + " " * 200_000 + "c\n",
    "sections": "## a\n" * 100_000,
    "quotes": '# t\n```mermaid\nflowchart TD\na["' + '\\"' * 200_000 + "\n```",
}


@pytest.mark.parametrize("name", sorted(set(DEEP) - {"sums", "brackets", "braces"}))
def test_what_is_out_of_all_bounds_is_refused(name: str):
    chart, found = findings_of(DEEP[name])
    assert chart is None
    assert len(str(found[0])) < 20_000


@pytest.mark.parametrize("name", ["sums", "brackets", "braces"])
def test_what_is_long_and_may_be_meant_is_read_in_time(name: str):
    findings_of(DEEP[name])


def test_subgraphs_a_thousand_deep():
    inside = "\n".join(f"subgraph s{i} [part {i}]" for i in range(1_000)) + f"\n{DIAGRAM}\n" + "end\n" * 1_000
    chart, found = findings_of(written(inside, {"a": ASK}))
    assert chart is not None, found
    assert set(chart.nodes) == {"start", "a", "done"}


def chain(count: int) -> str:
    diagram = "\n".join([f"n{i} --> n{i + 1}[/x/]" for i in range(count - 1)])
    sections = {f"n{i}": f"```python\nx = {i}\n```" for i in range(count)}
    return written(f"start([q]) --> n0[/x/]\n{diagram}\nn{count - 1} --> done([d])", sections, "- returns: x")


def decisions(count: int) -> str:
    steps = [f"n{i} -->|yes| n{i + 1}{{ask}}\nn{i} -->|no| done([d])" for i in range(count - 1)]
    diagram = "\n".join(steps) + f"\nn{count - 1} -->|yes| done\nn{count - 1} -->|no| done"
    sections = {f"n{i}": "```text\nGo on?\n```" for i in range(count)}
    return written(f"start([q]) --> n0{{ask}}\n{diagram}", sections, "- returns: question")


def rings(count: int) -> str:
    parts = [f"a{i} --> b{i}{{done}}\nb{i} -->|yes| a{i + 1}[/x/]\nb{i} -->|no| a{i}" for i in range(count)]
    diagram = "start([q]) --> a0[/x/]\n" + "\n".join(parts) + f"\na{count} --> done([d])"
    sections = {f"a{i}": "```python\nx = len(question)\n```" for i in range(count + 1)}
    return written(diagram, sections | {f"b{i}": "```python\nx > 0\n```" for i in range(count)}, "- returns: x")


@pytest.mark.parametrize(("make", "count"), [(chain, 10_000), (decisions, 10_000), (rings, 5_000)])
def test_charts_of_ten_thousand_nodes_are_checked_and_made_ready_in_seconds(make: Callable[[int], str], count: int):
    text = make(count)
    begin = time.process_time()
    chart = read_chart(text)
    assert [one for one in check(chart) if one.level == "error"] == []
    assert len(prepare(chart).steps) >= 10_000
    assert time.process_time() - begin < 12  # about 3 on a free core; what is quadratic takes minutes


def test_loops_nested_out_of_all_bounds_are_refused():
    count = 6_000
    steps = [f"n{i} -->|yes| n{i + 1}{{ask}}\nn{i} -->|no| n{max(0, i - 3)}" for i in range(count - 1)]
    diagram = (
        "start([q]) --> n0{ask}\n" + "\n".join(steps) + f"\nn{count - 1} -->|yes| done([d])\nn{count - 1} -->|no| n0"
    )
    text = written(diagram, {f"n{i}": "```text\nGo on?\n```" for i in range(count)}, "- returns: question")
    (found,) = check(read_chart(text))
    assert (found.level, found.problem) == ("error", "the loops of this chart nest too deeply to be followed")


def test_a_text_that_calls_itself_is_refused():
    text = written("start([q]) --> a[[x]] --> done([d])", {"a": "- call: chart"})
    chart, found = findings_of(text)
    assert chart is None
    assert any(one.rule == "recursion" and "depth" in one.mend for one in found), found


@settings(max_examples=60)
@given(st.text(alphabet=st.characters(categories=("L", "M", "N", "P", "S", "Z", "Cs", "Cc")), max_size=30))
def test_a_model_cannot_write_into_a_prompt_template(text: str):
    """What a model or a question says is put into the next prompt as it is, however much it looks like a hole."""
    chart, found = findings_of(written(DIAGRAM, {"a": "- writes: answer (text)\n\n```text\n<{question}>\n```"}))
    assert chart is not None, found
    node = chart.nodes["a"]
    assert node.ask is not None
    for said in (text, "{question}", "{answer}", "{{question}}", f"{{{text}}}", "```\n## a\n```text"):
        assert node.ask.prompt.render({"question": said}) == f"<{said}>"


def test_an_unknown_input_is_no_crash(sandbox: Sandbox):
    chart, _ = findings_of(written(DIAGRAM, {"a": ASK}))
    assert chart is not None

    async def main() -> None:
        models = Models(Babbling(), journal=Memory())
        executor = Executor(chart, Surroundings(models=models, sandbox=sandbox))
        with pytest.raises(ConfigError, match="nothing"):
            await executor.run("k", {"question": "1", "nothing": 2})
        await models.close()

    asyncio.run(main())
