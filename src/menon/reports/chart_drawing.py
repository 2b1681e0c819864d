"""Flowcharts as SVG: true shapes, loops led back along the side, and how often each box and line was taken.

One picture serves light pages, dark pages and paper; it needs no script, no font and no network, and equal charts
give equal bytes. Left out: Mermaid's own drawing, which needs a browser.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from menon.core.seeds import content_id
from menon.reports.chart_layout import Layout, Link, Point, Route, lay_out
from menon.reports.chart_shapes import LINE, SMALL_LINE, WORDS, Shape, drawn_shape, shape_of, width_of, wrapped
from menon.reports.formats import count as counted
from menon.reports.formats import visible
from menon.reports.svg import element, label, number

if TYPE_CHECKING:
    from menon.flowcharts.chart import Chart, Edge

_LABEL_ROOM = 120.0
_ROUND = 9.0
_HEAD = 8.0  # length of an arrow head
_CAPTION = 26.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnNode:
    """One box: `kind` gives the shape; `visits` None is unknown; `state` is "", "active", "failed" or "unvisited"."""

    id: str
    kind: str
    label: str = ""
    visits: int | None = None
    note: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnEdge:
    """One arrow between node ids; `taken` is how often, None when unknown."""

    source: str
    target: str
    label: str = ""
    taken: int | None = None


def draw_chart(
    nodes: Sequence[DrawnNode], edges: Sequence[DrawnEdge], *, direction: str = "TD", title: str = "Flowchart"
) -> str:
    """Return the chart as the text of an SVG file that carries its own colours.

    Edges whose ends are not among `nodes` are left out.
    """
    head, rest = str(chart_figure(nodes, edges, direction=direction, title=title)).split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{escape(flow_css())}</style>{rest}\n'


def chart_svg(chart: "Chart", counts: Mapping[str, int] | None = None) -> str:
    """Return a chart of the flowchart language as SVG.

    Args:
        counts: visits by node id, and how often an edge was taken by `SOURCE>TARGET>LABEL`; what is missing counts 0.
    """
    nodes = [
        DrawnNode(
            id=n.id, kind=str(n.kind), label=n.label or n.id, visits=None if counts is None else counts.get(n.id, 0)
        )
        for n in chart.nodes.values()
    ]
    edges = [
        DrawnEdge(
            source=e.source,
            target=e.target,
            label=e.label,
            taken=None if counts is None else counts.get(edge_key(e), 0),
        )
        for e in chart.edges
    ]
    return draw_chart(nodes, edges, direction=str(chart.diagram.direction), title=chart.title or chart.name)


def edge_key(edge: "DrawnEdge | Edge") -> str:
    """Return the name under which an edge is counted."""
    return f"{edge.source}>{edge.target}>{edge.label}"


@cache
def flow_css() -> str:
    """Return the style sheet that colours every flowchart, light and dark."""
    return files("menon.reports").joinpath("templates/flow.css").read_text(encoding="utf-8")


def chart_figure(
    nodes: Sequence[DrawnNode], edges: Sequence[DrawnEdge], *, direction: str = "TD", title: str = "Flowchart"
) -> Markup:
    """Return the chart as an `<svg>` element to be coloured by `flow_css`."""
    place = {node.id: i for i, node in enumerate(nodes)}
    edges = [edge for edge in edges if edge.source in place and edge.target in place]
    shapes = [shape_of(node.kind, node.label or node.id, node.note) for node in nodes]
    words = [_edge_lines(edge) for edge in edges]
    links = [
        Link(source=place[e.source], target=place[e.target], label_width=w, label_height=h)
        for e, (w, h) in zip(edges, map(_label_size, words), strict=True)
    ]
    layout = lay_out([shape.box for shape in shapes], links, direction)
    most = max((edge.taken or 0 for edge in edges), default=0)
    lines = [_edge(e, r, most) for e, r in zip(edges, layout.routes, strict=True)]
    boxes = [_node(n, s, c) for n, s, c in zip(nodes, shapes, layout.centres, strict=True)]
    labels = [_edge_label(w, r.label, e) for e, w, r in zip(edges, words, layout.routes, strict=True)]
    drawn = [*lines, *labels, *boxes] if layout.simple else [*lines, *boxes, *labels]
    return _sheet(layout, title, _description(nodes, edges), drawn)


def _sheet(layout: Layout, title: str, description: str, drawn: Sequence[Markup]) -> Markup:
    caption, top = Markup(""), 0.0
    if layout.simple and layout.centres:
        said = f"{counted(len(layout.centres))} boxes: set in columns; straight lines, which may pass behind boxes."
        caption, top = label(14, 20, said, class_="caption"), _CAPTION
    title = visible(title)
    ident = "flow-" + content_id("flow", title, description)[:10]
    width, height = max(layout.width, 28.0 + width_of("x" * 60) if top else 0.0), layout.height + top
    return element(
        "svg",
        element("title", title, id=f"{ident}-title"),
        element("desc", description, id=f"{ident}-desc"),
        element("rect", x=0, y=0, width=width, height=height, rx=6, class_="paper"),
        caption,
        element("g", *drawn, transform=f"translate(0 {number(top)})" if top else None),
        class_="flow",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
    )


def _description(nodes: Sequence[DrawnNode], edges: Sequence[DrawnEdge]) -> str:
    """Say the chart in words, for those who do not see it; large charts are only measured."""
    size = f"{counted(len(nodes))} nodes, {counted(len(edges))} edges."
    if len(nodes) > 60:
        return size
    said = [f"{visible(node.label or node.id)} ({_about(node)})" for node in nodes]
    ways = [f"{visible(e.source)} to {visible(e.target)}{_branch(e)}" for e in edges]
    return f"{size} Nodes: {'; '.join(said)}. Edges: {'; '.join(ways)}."


def _about(node: DrawnNode) -> str:
    parts = [WORDS.get(node.kind, visible(node.kind))]
    if node.visits is not None:
        parts.append(
            "not visited"
            if not node.visits
            else f"visited {counted(node.visits)} times"
            if node.visits > 1
            else "visited once"
        )
    return ", ".join([*parts, *([node.state] if node.state in ("active", "failed") else [])])


def _branch(edge: DrawnEdge) -> str:
    taken = "" if edge.taken is None else f", taken {counted(edge.taken)}×"
    return (f" [{visible(edge.label)}]" if edge.label else "") + taken


def _edge_lines(edge: DrawnEdge) -> list[str]:
    if not edge.label.strip():
        return []
    return wrapped(edge.label + (f" ·\u00a0{counted(edge.taken)}×" if edge.taken else ""), _LABEL_ROOM, most=3)


def _label_size(words: Sequence[str]) -> tuple[float, float]:
    return (max(width_of(w, 11.5) for w in words) + 12, 14.0 * len(words) + 6) if words else (0.0, 0.0)


def _node(node: DrawnNode, shape: Shape, centre: Point) -> Markup:
    x, y = centre
    state = node.state or ("unvisited" if node.visits == 0 else "")
    high = LINE * len(shape.lines) + (SMALL_LINE if shape.note else 0)
    shift = 4.0 if node.kind == "lookup" else 0.0
    texts = [
        label(x, y - high / 2 + LINE * i + 12 + shift, line, anchor="middle") for i, line in enumerate(shape.lines)
    ]
    if shape.note:
        texts.append(label(x, y + high / 2 - 3 + shift, shape.note, anchor="middle", class_="note"))
    return element(
        "g",
        element(
            "title",
            f"{visible(node.id)}: {visible(node.label or node.id)} ({_about(node)})"
            + (f" — {visible(node.note)}" if node.note else ""),
        ),
        drawn_shape(shape, x, y),
        *texts,
        _badge(node, shape, centre),
        class_=f"node kind-{node.kind if node.kind in WORDS else 'ask'}"
        + (f" is-{state}" if state in ("active", "failed", "unvisited") else ""),
    )


def _badge(node: DrawnNode, shape: Shape, centre: Point) -> Markup:
    """Return the count of visits at the upper right corner of the box."""
    if not node.visits:
        return Markup("")
    words = f"{counted(node.visits)}×"
    wide = width_of(words, 10.5) + 10
    if node.kind == "decide":  # beside the slope, clear of the text
        x, y = centre[0] + shape.box.width / 4 - 2, centre[1] - shape.box.height / 4 - 11
    else:
        corner = max(x for x, y in shape.box.outline if y <= 0.72 * min(v for _, v in shape.box.outline))
        x, y = centre[0] + corner - wide + 9, centre[1] - shape.box.height / 2 - 8
    pill = element("rect", x=x, y=y, width=wide, height=15, rx=7.5, class_="pill")
    return element("g", pill, label(x + wide / 2, y + 11.2, words, anchor="middle"), class_="badge")


def _edge(edge: DrawnEdge, route: Route, most: int) -> Markup:
    width = 1.4 if not edge.taken else 1.4 + 2.6 * (edge.taken / most) ** 0.5
    length = _HEAD + width
    kinds = ["edge", "back" if route.back else "", "is-unvisited" if edge.taken == 0 else ""]
    return element(
        "g",
        element("title", f"{visible(edge.source)} → {visible(edge.target)}{_branch(edge)}"),
        element("path", d=_path(route, length - 2), stroke_width=width),
        element("path", d=_head(route.points, length), class_="head"),
        class_=" ".join(kind for kind in kinds if kind),
    )


def _path(route: Route, short: float) -> str:
    """Return the path of a route, `short` pixels shorter at its end, where the arrow head is."""
    points = [*route.points[:-1], _before_end(route.points, short)]
    written = [f"M{_xy(points[0])}"]
    if not route.curved:
        return "".join([*written, *_rounded(points)])
    for i in range(1, len(points)):
        (x, y), (u, v) = points[i - 1], points[i]
        if i % 2 or (x, y) == (u, v):  # within a layer
            written.append(f"L{_xy((u, v))}")
        elif not route.across:
            half = (y + v) / 2
            written.append(f"C{_xy((x, half))} {_xy((u, half))} {_xy((u, v))}")
        else:
            half = (x + u) / 2
            written.append(f"C{_xy((half, y))} {_xy((half, v))} {_xy((u, v))}")
    return "".join(written)


def _rounded(points: Sequence[Point]) -> list[str]:
    """Return straight pieces with rounded corners."""
    written = []
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(_ROUND, _distance(before, corner) / 2, _distance(corner, after) / 2)
        written.append(f"L{_xy(_toward(corner, before, radius))}Q{_xy(corner)} {_xy(_toward(corner, after, radius))}")
    return [*written, f"L{_xy(points[-1])}"]


def _distance(a: Point, b: Point) -> float:
    return ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5


def _toward(start: Point, end: Point, way: float) -> Point:
    far = _distance(start, end) or 1.0
    return start[0] + (end[0] - start[0]) * way / far, start[1] + (end[1] - start[1]) * way / far


def _before_end(points: Sequence[Point], short: float) -> Point:
    last = points[-1]
    other = next((p for p in reversed(points[:-1]) if _distance(p, last) > 0.01), last)
    return _toward(last, other, min(short, _distance(last, other)))


def _head(points: Sequence[Point], length: float) -> str:
    """Return the arrow head at the end of a route, along its last piece."""
    tip = points[-1]
    base = next((p for p in reversed(points[:-1]) if _distance(p, tip) > 0.01), (tip[0], tip[1] - 1))
    x, y = _toward(tip, base, 1.0)
    dx, dy = x - tip[0], y - tip[1]
    wing = length * 0.42
    sides = [(tip[0] + length * dx + s * wing * dy, tip[1] + length * dy - s * wing * dx) for s in (1, -1)]
    return f"M{_xy(tip)}L{_xy(sides[0])}L{_xy(sides[1])}z"


def _edge_label(words: Sequence[str], centre: Point, edge: DrawnEdge) -> Markup:
    if not words:
        return Markup("")
    (wide, high), (x, y) = _label_size(words), centre
    return element(
        "g",
        element("rect", x=x - wide / 2 + 2, y=y - high / 2 + 1, width=wide - 4, height=high - 2, rx=4),
        *(label(x, y - high / 2 + 14 * i + 14, line, anchor="middle") for i, line in enumerate(words)),
        class_="branch" + (" is-unvisited" if edge.taken == 0 else ""),
    )


def _xy(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"
