"""The list of strategies as Markdown, with the picture and the cost of each: docs/strategies.md."""

from collections.abc import Sequence

from menon.flowcharts.chart import Chart
from menon.flowcharts.mermaid_writing import write
from menon.flowcharts.prompts import show

HEAD = """\
# Strategies

A strategy is one Markdown file: prompts, and the flowchart in which they are used. All of these ship with Menon:

    $ menon solve "..." --strategy least_to_most --model MODEL --trace
    $ menon solve --strategy least_to_most --show > mine.md     # change it; then --strategy mine.md
    $ menon solve --check mine.md
    $ menon solve --draw mine.md

[flowcharts.md](flowcharts.md) explains the language, [adding-a-strategy.md](adding-a-strategy.md) how to write one.
Parameters are set by `--param NAME=VALUE`. The cost is that of one question whose model does what it is told; where a
model does not (the embedded one understands no instructions), a branch falls back to asking the question itself, and
the path says so. What a strategy really cost, node by node, stands in the report of the run.

This page is written by `menon solve --list --out docs/strategies.md`.
"""
OF_THE_RUN = ("question", "choices", "examples", "questions", "tools", "problem")


def listing(charts: Sequence[Chart]) -> str:
    """Return the page: a table, then one section per strategy with its flowchart."""
    lines = [HEAD, "| strategy | what it is | source | model calls |", "|---|---|---|---|"]
    lines += [f"| [`{c.name}`](#{c.name}) | {c.title} | {_cell(c.source)} | {_cell(c.cost)} |" for c in charts]
    for chart in charts:
        lines += ["", f"## {chart.name}", "", f"{_prose(chart)}", "", f"Source: {chart.source}. Cost: {chart.cost}."]
        if params := _params(chart):
            lines += ["", f"Parameters: {params}."]
        lines += ["", "```mermaid", write(chart.diagram).strip("\n"), "```"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _params(chart: Chart) -> str:
    own = [variable for variable in chart.takes if variable.name not in OF_THE_RUN]
    return ", ".join(f"`{v.name}` = {show(v.default)}" if not v.required else f"`{v.name}` (needed)" for v in own)


def _prose(chart: Chart) -> str:
    """Return what the file says between its source and its settings or chart."""
    kept: list[str] = []
    for line in chart.text.splitlines():
        if line.startswith(("- ", "* ", "```")):
            break
        if not line.startswith("# ") and not line.lower().startswith("source:"):
            kept.append(line)
    return "\n".join(kept).strip()
