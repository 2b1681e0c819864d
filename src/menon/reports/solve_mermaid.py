"""A chart as executed, written as Mermaid text: counts in the labels, classes for what was and was not visited.

The text is made anew from nodes and edges, with ids of its own, so that nothing in a label can be read as Mermaid's
syntax. Left out: layout hints of the original text, which the page shows beside it.
"""

from collections.abc import Sequence

from menon.reports.chart_drawing import DrawnEdge, DrawnNode
from menon.reports.chart_shapes import wrapped
from menon.reports.formats import count as counted
from menon.reports.formats import visible

MOST_NODES = 300
_ROOM, _EDGE_ROOM = 190.0, 130.0
_SHAPES = {
    "start": "([{}])",
    "end": "([{}])",
    "decide": "{{{}}}",
    "compute": "[/{}/]",
    "call": "[[{}]]",
    "map": "{{{{{}}}}}",
    "lookup": "[({})]",
    "person": "[/{}\\]",
    "connector": "(({}))",
}
_DIRECTIONS = ("TD", "TB", "BT", "LR", "RL")


def mermaid_text(nodes: Sequence[DrawnNode], edges: Sequence[DrawnEdge], *, direction: str = "TD") -> str:
    """Return Mermaid text of the chart with its counts; classes are `visited`, `unvisited`, `hot` and the kinds."""
    names = {node.id: f"n{i}" for i, node in enumerate(nodes)}
    edges = [edge for edge in edges if edge.source in names and edge.target in names]
    written = [f"flowchart {direction if direction in _DIRECTIONS else 'TD'}"]
    often = hot_nodes(nodes)
    for node in nodes:
        name, shape = names[node.id], _SHAPES.get(node.kind, "[{}]")
        lines = wrapped(node.label or node.id, _ROOM)
        if node.visits:
            lines = [*lines, f"{counted(node.visits)}×" + (f" · {visible(node.note)}" if node.note else "")]
        written.append(f"    {name}{shape.format(_quoted(lines))}")
        written.append(f"    class {name} kind-{node.kind if node.kind in _SHAPES else 'ask'}")
        if node.state == "failed":
            written.append(f"    class {name} failed")
        if node.visits is not None:
            written.append(
                f"    class {name} {'hot' if node.id in often else 'visited' if node.visits else 'unvisited'}"
            )
    most = max((edge.taken or 0 for edge in edges), default=0)
    for edge in edges:
        said = edge.label + (f" · {counted(edge.taken)}×" if edge.taken else "") if edge.label else ""
        label = f"|{_quoted(wrapped(said, _EDGE_ROOM, most=3))}|" if said else ""
        arrow = "-.->" if edge.taken == 0 else "-->"
        written.append(f"    {names[edge.source]} {arrow}{label} {names[edge.target]}")
    for i, edge in enumerate(edges):
        if edge.taken:
            written.append(f"    linkStyle {i} stroke-width:{1.4 + 2.6 * (edge.taken / most) ** 0.5:.2f}px")
    return "\n".join(written) + "\n"


def hot_nodes(nodes: Sequence[DrawnNode]) -> frozenset[str]:
    """Return the ids of the nodes visited more often than the chart was started: those that loops come back to."""
    begun = max((node.visits or 0 for node in nodes if node.kind == "start"), default=0)
    return frozenset(node.id for node in nodes if begun and (node.visits or 0) > begun)


def _quoted(lines: Sequence[str]) -> str:
    return '"' + "<br/>".join("".join(map(_entity, line)) for line in lines) + '"'


def _entity(char: str) -> str:
    """Write a character so that Mermaid, Markdown and HTML take it as text."""
    return char if char.isalnum() or char in " ×·.,?!…⟨⟩'" else f"#{ord(char)};"
