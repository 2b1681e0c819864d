"""Charts: marks where the numbers are, labels that do not collide, files that stand alone."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from markupsafe import Markup

from menon.reports.blocks import Bar, heat_map, stacked_bars
from menon.reports.charts import Dot, Line, dot_intervals, lines, spread
from menon.reports.scales import Scale, domain
from menon.reports.svg import clipped, element, number, standalone, text_width

SVG = "{http://www.w3.org/2000/svg}"


def dot(label: str, value: float, half: float = 0.05, **more: str) -> Dot:
    return Dot(label=label, value=value, low=value - half, high=value + half, **more)


def parsed(chart: Markup) -> ET.Element:
    return ET.fromstring(standalone(chart))


def test_scale_maps_ends_and_keeps_outside_values_on_the_edge():
    scale = Scale(low=0, high=2, start=100, end=300)
    assert [scale.at(v) for v in (0, 1, 2, 5, -1)] == [100, 200, 300, 300, 100]
    assert Scale(low=0, high=1, start=200, end=0).at(0.25) == 150


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (-0.1, 0.4, [0, 0.2, 0.4]),
        (0, 7, [0, 2, 4, 6]),
        (0, 1e6, [0, 2.5e5, 5e5, 7.5e5, 1e6]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]):
    assert Scale(low=low, high=high, start=0, end=1).ticks() == pytest.approx(ticks)


def test_domain_holds_everything_finite():
    assert domain([0.2, 0.9], include=(0, 1)) == (0, 1)
    low, high = domain([-0.03, 1.2, float("nan"), float("inf")], include=(0, 1))
    assert low <= -0.03
    assert high >= 1.2
    assert domain([]) == (0, 1)
    assert domain([3, 3]) == pytest.approx((2.5, 3.5), abs=0.3)


def test_dots_lie_at_their_values_inside_their_intervals():
    chart = parsed(dot_intervals("t", [dot("a", 0.2), dot("b", 0.8)]))
    centres = [float(c.attrib["cx"]) for c in chart.iter(f"{SVG}circle")]
    ends = [
        (float(w.attrib["x1"]), float(w.attrib["x2"])) for w in chart.iter(f"{SVG}line") if w.get("class") == "whisker"
    ]
    assert all(low < centre < high for centre, (low, high) in zip(centres, ends, strict=True))
    ticks = {t.text: float(t.attrib["x"]) for t in chart.iter(f"{SVG}text") if t.get("class") == "tick"}
    zero, one = (ticks[f"{n}\u202f%"] for n in (0, 100))
    assert (centres[0] - zero) / (one - zero) == pytest.approx(0.2, abs=0.001)


def test_series_differ_in_shape_not_only_in_colour():
    chart = str(dot_intervals("t", [dot(s, 0.5, style=s) for s in ("before", "direct", "after", "original", "fresh")]))
    marks = re.findall(r'<(circle|path|rect)[^>]*class="(hollow|solid)"', chart)
    assert len(set(marks)) == 5


def test_axis_widens_for_values_outside_the_bounds():
    chart = str(dot_intervals("t", [Dot(label="a", value=-0.2, low=-0.4, high=0.1)], reference=0.0))
    assert "−40" in chart.replace("\u202f", " ")
    assert 'class="reference"' in chart


def test_groups_get_one_heading_each_and_long_labels_are_cut():
    dots = [dot("before", 0.1, group="a" * 90), dot("after", 0.2, group="a" * 90), dot("n" * 80, 0.2, group="b")]
    texts = [t.text or "" for t in parsed(dot_intervals("t", dots)).iter(f"{SVG}text")]
    assert [t[0] for t in texts if t.startswith(("a", "b")) and t != "before" and t != "after"] == ["a", "b"]
    assert any(t.endswith("…") and t.startswith("n") for t in texts)


def test_lines_run_left_to_right_in_the_order_of_numbers():
    points = [dot(str(i), i / 20) for i in (10, 2, 1)]
    chart = parsed(lines("t", [Line(name="after", style="after", points=points)]))
    path = next(chart.iter(f"{SVG}polyline")).attrib["points"].split()
    xs, ys = zip(*(map(float, p.split(",")) for p in path), strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)
    assert next(chart.iter(f"{SVG}polygon")).attrib["class"].startswith("band")


def test_single_point_keeps_its_interval():
    chart = parsed(lines("t", [Line(name="after", style="after", points=[dot("0", 0.5)])]))
    assert [w for w in chart.iter(f"{SVG}line") if w.get("class") == "whisker"]


def test_names_at_the_ends_of_lines_do_not_overlap():
    series = [Line(name=n, style="after", points=[dot("1", 0.5), dot("2", 0.001 * i)]) for i, n in enumerate("abcd")]
    ys = sorted(
        float(t.attrib["y"])
        for t in parsed(lines("t", series)).iter(f"{SVG}text")
        if "name" in t.get("class", "").split()
    )
    assert len(ys) == 4
    assert all(b - a >= 14 for a, b in pairwise(ys))
    assert spread([0, 0, 0], gap=10, low=0, high=100) == pytest.approx([0, 10, 20], abs=0.5)
    assert spread([], gap=10, low=0, high=100) == []


def test_heat_map_is_darker_where_the_share_is_higher_and_skips_missing_cells():
    cells = {("1", "0"): dot("a", 0.1), ("1", "1"): dot("b", 0.9), ("2", "1"): dot("c", 0.5)}
    chart = parsed(heat_map("t", cells, row_name="digits", column_name="round"))
    shades = [float(r.attrib["fill-opacity"]) for r in chart.iter(f"{SVG}rect") if r.get("class") == "heat"]
    assert len(shades) == 3
    assert shades[0] < shades[2] < shades[1]
    assert len([r for r in chart.iter(f"{SVG}rect") if r.get("class") == "empty"]) == 4


def test_heat_map_with_many_columns_drops_the_numbers_that_do_not_fit():
    cells = {("1", str(i)): dot(str(i), 0.5) for i in range(40)}
    chart = parsed(heat_map("t", cells, row_name="d", column_name="round"))
    assert not [t for t in chart.iter(f"{SVG}text") if t.get("class") in ("on", "off")]
    assert len([t for t in chart.iter(f"{SVG}text") if t.get("class") == "tick"]) < 20


def test_bars_are_as_long_as_their_amounts():
    chart = parsed(
        stacked_bars("t", [Bar(label="one", segments={"x": 30, "y": 10}), Bar(label="two", segments={"x": 20})])
    )
    widths = [float(r.attrib["width"]) for r in chart.iter(f"{SVG}rect") if float(r.attrib["height"]) == 20]
    assert widths[0] / widths[2] == pytest.approx(1.5, abs=0.02)
    assert "one: 40 (x 30, y 10)" in (chart.findtext(f"{SVG}desc") or "")


@pytest.mark.parametrize(
    "chart",
    [
        dot_intervals("t", []),
        lines("t", []),
        heat_map("t", {}, row_name="a", column_name="b"),
        stacked_bars("t", []),
        stacked_bars("t", [Bar(label="none")]),
        stacked_bars("t", [Bar(label="r", segments={f"reason {i}": 5 for i in range(12)})]),
    ],
)
def test_charts_of_little_or_much_are_still_charts(chart: Markup):
    assert parsed(chart).findtext(f"{SVG}title") == "t"


def test_no_text_leaves_the_figure():
    dots = [dot(label, 0.97, style="before", group="a family") for label in ("before", "a longer label")]
    for chart in (
        dot_intervals("t", dots),
        stacked_bars("t", [Bar(label="x", segments={f"reason {i}": 9.0 for i in range(9)})]),
    ):
        root = parsed(chart)
        width = float(root.attrib["width"])
        for text in root.iter(f"{SVG}text"):
            x, wide = float(text.attrib["x"]), text_width(text.text or "", 11)
            start = {"middle": x - wide / 2, "end": x - wide}.get(text.get("text-anchor", ""), x)
            assert start >= -1
            assert start + wide <= width + 12


def test_elements_escape_and_numbers_are_short():
    assert (
        str(element("text", "<&>", x=1.23456, class_='a"b', y=None))
        == '<text x="1.23" class="a&#34;b">&lt;&amp;&gt;</text>'
    )
    assert [number(v) for v in (1.0, -0.001, 2.5)] == ["1", "0", "2.5"]
    assert clipped("short", 100) == "short"
    assert text_width(clipped("x" * 100, 50)) <= 50


def test_standalone_file_brings_its_own_colours():
    text = standalone(dot_intervals("t", [dot("a", 0.2)]))
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")
