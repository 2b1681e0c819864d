"""Charts as SVG: boxes that do not overlap, lines that pass no box, loops that go back, and text that stays text."""

import graphlib
import itertools
import re
import time
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menon.reports.chart_drawing import DrawnEdge, DrawnNode, chart_svg, draw_chart
from menon.reports.chart_layout import MOST_BOXES, reach
from menon.reports.chart_order import closing_edges, crossings, layers_of, ordered_layers
from menon.reports.chart_shapes import WORDS, shape_of, width_of, wrapped

SVG = "{http://www.w3.org/2000/svg}"
KINDS = list(WORDS)

Rectangle = tuple[float, float, float, float]


def numbers(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"-?\d+\.?\d*", text)]


def group(root: ET.Element, name: str) -> list[ET.Element]:
    return [g for g in root.iter(f"{SVG}g") if name in (g.get("class") or "").split()]


def outline(node: ET.Element) -> Rectangle:
    """Return the rectangle around the first shape of a node."""
    shape = next(child for child in node if "shape" in (child.get("class") or ""))
    if shape.tag == f"{SVG}rect":
        x, y, w, h = (float(shape.get(key) or 0) for key in ("x", "y", "width", "height"))
        return x, y, x + w, y + h
    if shape.tag == f"{SVG}circle":
        x, y, r = (float(shape.get(key) or 0) for key in ("cx", "cy", "r"))
        return x - r, y - r, x + r, y + r
    if shape.tag == f"{SVG}polygon":
        places = numbers(shape.get("points") or "")
        return min(places[::2]), min(places[1::2]), max(places[::2]), max(places[1::2])
    x, y, half, cap, *_ = numbers(shape.get("d") or "")  # a cylinder
    return x, y - cap, x + 2 * half, y + cap + 20


def label_rectangle(branch: ET.Element) -> Rectangle:
    x, y, w, h = (float(branch[0].get(key) or 0) for key in ("x", "y", "width", "height"))
    return x, y, x + w, y + h


def points_on(edge: ET.Element) -> list[tuple[float, float]]:
    """Return many points on the path of an edge, by the definition of its curves."""
    path = next(child for child in edge if child.tag == f"{SVG}path" and child.get("class") is None)
    here, found = (0.0, 0.0), []
    for command, text in re.findall(r"([MLCQ])([^MLCQ]*)", path.get("d") or ""):
        values = numbers(text)
        corners = [here, *zip(values[::2], values[1::2], strict=True)]
        if command != "M":
            for i in range(31):
                found.append(bezier(corners, i / 30))
        here = corners[-1]
    return found


def bezier(corners: list[tuple[float, float]], t: float) -> tuple[float, float]:
    while len(corners) > 1:
        corners = [((1 - t) * a + t * c, (1 - t) * b + t * d) for (a, b), (c, d) in itertools.pairwise(corners)]
    return corners[0]


def overlap(one: Rectangle, other: Rectangle, slack: float = 0.5) -> bool:
    return (
        min(one[2], other[2]) - max(one[0], other[0]) > slack and min(one[3], other[3]) - max(one[1], other[1]) > slack
    )


def inside(point: tuple[float, float], box: Rectangle) -> bool:
    return box[0] + 1 < point[0] < box[2] - 1 and box[1] + 1 < point[1] < box[3] - 1


@st.composite
def charts(draw: st.DrawFn) -> tuple[list[DrawnNode], list[DrawnEdge]]:
    count = draw(st.integers(1, 11))
    label = st.text("abcdefgh ij", min_size=1, max_size=45)
    nodes = [
        DrawnNode(id=str(i), kind=draw(st.sampled_from(KINDS)), label=draw(label), visits=draw(st.integers(0, 9)))
        for i in range(count)
    ]
    ends = st.integers(0, count - 1).map(str)
    edge = st.builds(
        DrawnEdge,
        source=ends,
        target=ends,
        label=st.sampled_from(["", "", "yes", "no", "a longer branch of the decision"]),
        taken=st.integers(0, 5),
    )
    return nodes, draw(st.lists(edge, max_size=16))


@settings(max_examples=120, deadline=None)
@given(charts(), st.sampled_from(["TD", "LR", "BT", "RL"]))
def test_boxes_stand_apart_and_no_line_runs_through_one(chart, direction):
    nodes, edges = chart
    root = ET.fromstring(draw_chart(nodes, edges, direction=direction))
    boxes = [outline(node) for node in group(root, "node")]
    assert len(boxes) == len(nodes)
    assert not any(overlap(a, b) for a, b in itertools.combinations(boxes, 2))
    drawn = group(root, "edge")
    assert len(drawn) == len(edges)
    for edge, element in zip(edges, drawn, strict=True):
        others = [box for node, box in zip(nodes, boxes, strict=True) if node.id not in (edge.source, edge.target)]
        assert not any(inside(point, box) for point in points_on(element) for box in others)
    labels = [label_rectangle(branch) for branch in group(root, "branch")]
    assert not any(overlap(a, b) for a in labels for b in boxes)
    assert not any(overlap(a, b, 3.0) for a, b in itertools.combinations(labels, 2))
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    assert all(x >= 0 and y >= 0 and u <= width and v <= height for x, y, u, v in [*boxes, *labels])


@settings(max_examples=60, deadline=None)
@given(charts())
def test_without_its_closing_edges_a_chart_has_no_cycle_and_each_one_closes_one(chart):
    nodes, edges = chart
    pairs = [(int(edge.source), int(edge.target)) for edge in edges]
    back = closing_edges(len(nodes), pairs)
    kept = [pair for i, pair in enumerate(pairs) if i not in back]
    order = graphlib.TopologicalSorter({node: {a for a, b in kept if b == node} for node in range(len(nodes))})
    longest: dict[int, int] = {}
    for node in order.static_order():  # raises CycleError if one were left
        longest[node] = max((longest[a] + 1 for a, b in kept if b == node), default=0)
    assert layers_of(len(nodes), pairs, back) == [longest[node] for node in range(len(nodes))]
    reached = {node: {node} for node in range(len(nodes))}
    for _ in nodes:
        for a, b in kept:
            reached[a] |= reached[b]
    assert all(pairs[i][0] in reached[pairs[i][1]] for i in back)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(6, 11)), max_size=20))
def test_crossings_are_counted_as_pairs_are(edges):
    rows, below = [[3, 1, 0, 2, 5, 4], [7, 6, 11, 9, 10, 8]], [[b for a, b in edges if a == n] for n in range(12)]
    brute = sum(
        (rows[0].index(a) - rows[0].index(c)) * (rows[1].index(b) - rows[1].index(d)) < 0
        for (a, b), (c, d) in itertools.combinations(edges, 2)
    )
    assert crossings(rows, below) == brute


def test_branches_of_a_tree_do_not_cross():
    edges = [(0, 1), (0, 2), (0, 3), (1, 7), (1, 4), (2, 6), (3, 5), (3, 8)]
    layer = [0, 1, 1, 1, 2, 2, 2, 2, 2]
    rows = ordered_layers(layer, edges)
    assert [sorted(row) for row in rows] == [[0], [1, 2, 3], [4, 5, 6, 7, 8]]
    assert crossings(rows, [[b for a, b in edges if a == n] for n in range(9)]) == 0


def refine(**changed: object) -> str:
    nodes = [
        DrawnNode(id="start", kind="start", label="question", visits=5),
        DrawnNode(id="review", kind="decide", label="is it good?", visits=14),
        DrawnNode(id="done", kind="end", label="answer", visits=5),
        DrawnNode(id="revise", kind="ask", label="revise", visits=9, note="812 tokens"),
        DrawnNode(id="stop", kind="end", label="gave up", visits=0),
    ]
    edges = [
        DrawnEdge(source="start", target="review", taken=5),
        DrawnEdge(source="review", target="done", label="yes", taken=5),
        DrawnEdge(source="review", target="revise", label="no", taken=9),
        DrawnEdge(source="review", target="stop", label="limit", taken=0),
        DrawnEdge(source="revise", target="review", taken=9),
    ]
    return draw_chart(nodes, edges, **changed)  # type: ignore[arg-type]


def test_a_loop_goes_back_up_beside_everything_that_it_spans():
    root = ET.fromstring(refine())
    (back,) = group(root, "back")
    assert back[0].text == "revise → review, taken 9×"
    points = points_on(back)
    boxes = {(node[0].text or "").split(":")[0]: outline(node) for node in group(root, "node")}
    lane = max(x for x, _ in points)
    assert lane > max(box[2] for box in boxes.values())
    assert points[0][1] > points[-1][1]
    assert sum(abs(x - lane) < 0.1 for x, _ in points) > 25  # most of the way is straight up


def test_counts_are_badges_and_thickness_and_what_was_not_visited_is_grey():
    root = ET.fromstring(refine())
    badges = ["".join(badge.itertext()) for badge in group(root, "badge")]
    assert badges == ["5×", "14×", "5×", "9×"]
    widths = {edge[0].text: float(edge[1].get("stroke-width") or 0) for edge in group(root, "edge") if edge[0].text}
    assert widths["review → revise [no], taken 9×"] == max(widths.values())
    assert widths["review → stop [limit], taken 0×"] == min(widths.values()) < widths["start → review, taken 5×"]
    grey = [element[0].text for element in group(root, "is-unvisited") if element[0].text]
    assert grey == ["review → stop [limit], taken 0×", "stop: gave up (end, not visited)"]
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert "no ·\u00a09×" in texts
    assert "812 tokens" in texts


def test_without_counts_nothing_is_counted():
    nodes = [DrawnNode(id="a", kind="start"), DrawnNode(id="b", kind="end")]
    drawn = draw_chart(nodes, [DrawnEdge(source="a", target="b", label="on")])
    root = ET.fromstring(drawn)
    assert not group(root, "badge")
    assert not group(root, "is-unvisited")
    assert "×" not in drawn


def test_equal_charts_give_equal_bytes():
    assert refine() == refine()
    assert refine(title="Another") != refine()


HOSTILE = "<script>alert(1)</script>\x00\x1b[31m\u202e\ud800\ufffe ]]> & \"quoted\" 'so' <b>bold</b>"


@pytest.mark.parametrize("kind", [*KINDS, "unknown\x00<"])
def test_hostile_text_stays_text_in_every_place(kind: str):
    nodes = [
        DrawnNode(id=HOSTILE, kind=kind, label=HOSTILE, note=HOSTILE, state=HOSTILE),
        DrawnNode(id="b", kind="end", label=""),
    ]
    edges = [DrawnEdge(source=HOSTILE, target="b", label=HOSTILE), DrawnEdge(source="b", target=HOSTILE)]
    drawn = draw_chart(nodes, edges, title=HOSTILE, direction=HOSTILE)
    root = ET.fromstring(drawn.encode())  # well-formed, so no control character and no tag out of a text
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "desc", "style", "g", "rect", "text", "path", "polygon", "circle", "line")
    }
    assert not any(name.startswith("on") or name == "href" for element in root.iter() for name in element.attrib)
    assert "<script>alert(1)</script>⟨U+0000⟩" in "".join(root.find(f"{SVG}title").itertext())  # type: ignore[union-attr]


def test_br_breaks_a_line_and_long_words_are_cut():
    assert wrapped("one<br/>two<BR>three\nfour", 100) == ["one", "two", "three", "four"]
    lines = wrapped("x" * 300, 100)
    assert len(lines) == 4
    assert lines[-1].endswith("…")


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=120), st.sampled_from([40.0, 90.0, 168.0]))
def test_wrapped_lines_fit_and_lose_nothing_but_spaces(text, room):
    lines = wrapped(text, room, most=10_000)
    assert all(width_of(line) <= room or len(line) == 1 for line in lines)
    short = wrapped(text, room)
    assert len(short) <= 4
    assert short == lines if len(lines) <= 4 else short[:3] == lines[:3]
    if "<" not in text:
        shown = "".join(shape_of("ask", "").lines) + "".join(lines)
        assert shown.replace(" ", "") == "".join(wrapped(text, 1e9, most=10_000)).replace(" ", "")


@pytest.mark.parametrize("kind", KINDS)
def test_text_fits_into_its_shape(kind: str):
    shape = shape_of(kind, "a label of several words that wraps", "and a note")
    assert abs(shape.box.width - 2 * max(x for x, _ in shape.box.outline)) < 1e-6
    high = 16 * len(shape.lines) + 14
    for sign in (1, -1):
        for side in (1, -1):
            assert reach(shape.box.outline, sign * (high / 2 - 6), side) >= max(map(width_of, shape.lines)) / 2 - 3


def test_a_chart_of_ten_thousand_boxes_is_drawn_in_columns_and_says_so():
    nodes = [DrawnNode(id=str(i), kind="ask", label=f"step {i}") for i in range(10_000)]
    edges = [DrawnEdge(source=str(i), target=str(i + 1)) for i in range(9_999)]
    began = time.process_time()
    drawn = draw_chart(nodes, [*edges, DrawnEdge(source="9999", target="0"), DrawnEdge(source="5", target="5")])
    assert time.process_time() - began < 10
    assert "boxes: set in columns" in drawn
    root = ET.fromstring(drawn)
    boxes = [outline(node) for node in group(root, "node")]
    assert len({(box[0], box[1]) for box in boxes}) == len(boxes) == 10_000
    assert float(root.get("width") or 0) < 40_000
    assert float(root.get("height") or 0) < 40_000


def test_a_large_layered_chart_is_quick():
    nodes = [DrawnNode(id=str(i), kind="ask", label=f"step {i}") for i in range(MOST_BOXES)]
    edges = [DrawnEdge(source=str(i // 3), target=str(i), label="x" * (i % 2)) for i in range(1, MOST_BOXES)]
    back = [DrawnEdge(source=str(i), target=str(i // 9)) for i in range(0, MOST_BOXES, 5)]
    began = time.process_time()
    drawn = draw_chart(nodes, edges + back)
    assert time.process_time() - began < 8
    assert "set in columns" not in drawn


def test_empty_and_single():
    assert ET.fromstring(draw_chart([], [])).tag == f"{SVG}svg"
    root = ET.fromstring(draw_chart([DrawnNode(id="a", kind="ask")], [DrawnEdge(source="a", target="gone")]))
    assert len(group(root, "node")) == 1
    assert not group(root, "edge")


def test_a_chart_of_the_language():
    from menon.flowcharts.document import read_chart

    text = (
        "# Ask twice\n\n```mermaid\nflowchart LR\n    start([question]) --> first[ask <b>first</b>]\n"
        "    first --> good{good?}\n    good -->|yes| done([answer])\n    good -->|no| first\n```\n\n"
        "## first\n\n- limit: 3\n\n```text\n{question}\n```\n\n## good\n\n```python\nlen(answer) > 0\n```\n"
    )
    chart = read_chart(text)
    root = ET.fromstring(chart_svg(chart, {"first": 2, "good": 2, "good>first>no": 1}))
    assert len(group(root, "node")) == 4
    assert float(root.get("width") or 0) > float(root.get("height") or 0)  # LR
    assert ["".join(badge.itertext()) for badge in group(root, "badge")] == ["2×", "2×"]
    assert "no ·\u00a01×" in ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert "×" not in chart_svg(chart)
