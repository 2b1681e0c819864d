"""Functions for charts that a model writes: take the chart out of a reply, say what is wrong with it.

A written chart is untrusted text. Beyond the checker's rules it may ask only the run's own model and keep only its own
memory: no other models, no calls of other charts, no persons, no documents, tools or verifiers.
"""

from collections.abc import Iterator, Mapping
from functools import cache

from menon.core.errors import ConfigError
from menon.flowcharts.chart import Chart, ChartError, Finding, Kind, Node
from menon.flowcharts.check import ERROR, check
from menon.flowcharts.document import Library, read_chart
from menon.flowcharts.functions import STANDARD, Function
from menon.grading.charts import chart_in
from menon.solving.linear import chart_of_steps

NAME = "program"
MOST_FINDINGS = 8
LONGEST_CHART = 50_000
INPUTS = ("question",)
VOTING = ("majority", "votes", "agreement", "same_answer", "best", "read_value", "read_list", "answer_in")


def chart_findings(text: str) -> str:
    """Return what keeps a chart from being run, one finding a line for its writer; "" when nothing does."""
    if not text.strip():
        return "The reply holds no flowchart program; write one Markdown file with one block ```mermaid"
    if len(text) > LONGEST_CHART:
        return f"The program has {len(text):,} characters; write one of at most {LONGEST_CHART:,}"
    try:
        chart = read_chart(text, file=NAME, name=NAME, library=Library(functions=_allowed()))
        found = [finding for finding in check(chart) if finding.level == ERROR]
    except ChartError as error:
        found = list(error.findings)
    except ConfigError as error:
        return str(error)
    else:
        found += _beyond(chart)
    return "\n".join(map(str, found[:MOST_FINDINGS]))


@cache
def _allowed() -> Mapping[str, Function]:
    """Return the functions that a written chart may call."""
    from menon.solving.functions import Workbench  # here: it imports this module

    known = Workbench().functions()
    return {**STANDARD, **{name: known[name] for name in VOTING}}


def _beyond(chart: Chart) -> Iterator[Finding]:
    """Find what a chart may do and a written one may not."""
    for variable in chart.takes:
        if variable.required and variable.name not in INPUTS:
            mend = "let it take the question alone, or give a default"
            yield _finding(chart, 1, f"nothing sets the input {variable.name!r}", mend)
    for node in chart.nodes.values():
        line = node.section or node.line
        for problem, mend in _refused(node):
            yield _finding(chart, line, f"node {node.id!r} {problem}", mend)


def _refused(node: Node) -> Iterator[tuple[str, str]]:
    if node.call is not None:
        yield "calls another chart", "write what it does into this one"
    if node.kind is Kind.PERSON:
        yield "waits for a person", "draw it as [ask] to ask the model"
    if node.ask is not None and node.ask.model:
        yield f"asks the model {node.ask.model!r}", "leave the setting `model` out"
    if node.lookup is not None and node.lookup.place != "memory":
        yield f"looks into {node.lookup.place!r}", "use the place `memory`"


def _finding(chart: Chart, line: int, problem: str, mend: str) -> Finding:
    return Finding(file=chart.file, line=line, rule="written", problem=problem, mend=mend)


WRITING: Mapping[str, Function] = {
    "chart_in": Function(chart_in, takes=("text",), returns="text", doc="the chart in a reply, empty if there is none"),
    "chart_findings": Function(
        chart_findings,
        takes=("text",),
        returns="text",
        doc="what keeps a chart from being run",
    ),
    "chart_of_steps": Function(
        chart_of_steps,
        takes=("text", "list"),
        returns="text",
        doc="a chart that works steps again",
    ),
}
