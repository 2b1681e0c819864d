"""Charts drawn in a few lines."""

import re
from collections.abc import Callable, Mapping

import pytest

from menon.flowcharts.chart import Chart
from menon.flowcharts.document import read_chart

_NODE = re.compile(r"(?P<id>\w+)(?P<open>\(\[|\(\(|\[\[|\[\(|\[/|\{\{|\[|\{)")
_BODIES = {"[": "```text\nSay something.\n```", "{": "```text\nYes or no?\n```", "[/": "```python\nnothing = 1\n```"}


def draw(diagram: str, sections: Mapping[str, str] | None = None, head: str = "- returns: 1") -> Chart:
    """Read a chart of these Mermaid lines; nodes without a section get one that asks nothing of interest."""
    sections = dict(sections or {})
    for found in _NODE.finditer(diagram):
        body = _BODIES.get(found["open"])
        if body and found["id"] not in sections:
            writes = f"- writes: of_{found['id']}\n\n" if found["open"] == "[" else ""
            sections[found["id"]] = writes + body
    text = f"# A chart\n\n{head}\n\n```mermaid\nflowchart TD\n{diagram}\n```\n"
    text += "".join(f"\n## {name}\n\n{body}\n" for name, body in sections.items())
    return read_chart(text, file="chart.md")


@pytest.fixture
def drawn() -> Callable[..., Chart]:
    """Read a chart from Mermaid lines, sections by node, and settings of the chart."""
    return draw
