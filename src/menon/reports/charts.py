"""The pictures of a report: estimates with intervals and lines with bands (heat maps and bars are in `blocks`).

Every function returns inline SVG of one natural width, so that panels stand side by side on a screen and below each
other on a phone without their letters shrinking. Series differ in colour and in shape or dash, never in colour alone.
Every number that is drawn is also in the figure's description. Left out: any plotting library.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from menon.reports import formats
from menon.reports.scales import Scale, domain
from menon.reports.svg import clipped, element, figure, label, number, text_width

WIDTH = 352.0
_WIDEST_NAME = 0.4  # of a chart's width, for the names beside its lines
_ROW = 22.0
_HEADING = 24.0
_HOLLOW = ("before", "original")
_SQUARE = ("original", "fresh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One estimate with its interval; `style` picks colour and shape; dots of one `group` stand under its heading."""

    label: str
    value: float
    low: float
    high: float
    style: str = "after"
    group: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series of estimates along a category axis; each point's label is its place on the axis."""

    name: str
    style: str
    points: Sequence[Dot]
    band: bool = True


def dot_intervals(
    title: str,
    dots: Sequence[Dot],
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    reference: float | None = None,
    text: Callable[[Dot], str] | None = None,
    tick: Callable[[float], str] = formats.percent,
    width: float = WIDTH,
    label_width: float = 120.0,
) -> Markup:
    """Draw one row per dot: label, interval with its estimate, and the numbers in words at the right.

    The axis widens beyond `bounds` when a value or interval lies outside; `reference` draws a vertical line; labels
    longer than `label_width` are clipped.
    """
    say = text or estimate_of
    low, high = domain([v for d in dots for v in (d.low, d.high, d.value)], include=bounds)
    left = min(label_width, max((text_width(d.label) for d in dots), default=0.0)) + 12
    right = max((text_width(say(d)) for d in dots), default=0.0) + 10
    scale = Scale(low=low, high=high, start=left, end=width - right)
    places, height = _dot_rows(dots)
    marks = [_vertical_axis(scale, 6, height, tick)]
    if reference is not None and low < reference < high:
        marks.append(
            element("line", x1=scale.at(reference), x2=scale.at(reference), y1=6, y2=height, class_="reference")
        )
    for dot, (heading, y) in zip(dots, places, strict=True):
        if heading is not None:
            marks.append(label(0, heading, clipped(dot.group, width), class_="heading"))
        marks.append(_dot_row(dot, scale, y, left, width, say(dot)))
    description = "; ".join(f"{d.group + ', ' if d.group else ''}{d.label}: {say(d)}{noted(d)}" for d in dots)
    return figure(title, description, width, height + 22, *marks)


def _dot_rows(dots: Sequence[Dot]) -> tuple[list[tuple[float | None, float]], float]:
    """Return (baseline of the heading or None, centre of the row) per dot, and where the rows end."""
    places: list[tuple[float | None, float]] = []
    y, group = 8.0, ""
    for dot in dots:
        heading = None
        if dot.group and dot.group != group:
            y += 4 if places else 0
            heading = y + 13
            y += _HEADING
        group = dot.group
        places.append((heading, y + _ROW / 2))
        y += _ROW
    return places, y + 2


def _dot_row(dot: Dot, scale: Scale, y: float, left: float, width: float, words: str) -> Markup:
    return element(
        "g",
        element("title", f"{dot.label}: {words}{noted(dot)}"),
        label(0, y + 4, clipped(dot.label, left - 10)),
        element("rect", x=scale.start, y=y - _ROW / 2, width=scale.end - scale.start, height=_ROW, class_="hit"),
        element("line", x1=scale.at(dot.low), x2=scale.at(dot.high), y1=y, y2=y, class_="whisker"),
        *(
            element("line", x1=scale.at(v), x2=scale.at(v), y1=y - 4, y2=y + 4, class_="cap")
            for v in (dot.low, dot.high)
        ),
        _symbol(dot.style, scale.at(dot.value), y),
        label(width, y + 4, words, anchor="end", class_="value"),
        class_=f"series-{dot.style}",
    )


def _symbol(style: str, x: float, y: float, size: float = 4.5) -> Markup:
    shape = "hollow" if style in _HOLLOW else "solid"
    if style in _SQUARE:
        return element(
            "rect", x=x - size + 0.5, y=y - size + 0.5, width=2 * size - 1, height=2 * size - 1, class_=shape
        )
    if style == "direct":
        half = number(size + 1)
        return element(
            "path", d=f"M{number(x)} {number(y - size - 1)}l{half} {half} -{half} {half} -{half} -{half}z", class_=shape
        )
    return element("circle", cx=x, cy=y, r=size, class_=shape)


def estimate_of(dot: Dot) -> str:
    return formats.estimate({"value": dot.value, "low": dot.low, "high": dot.high})


def noted(dot: Dot) -> str:
    return f", {dot.note}" if dot.note else ""


def _vertical_axis(scale: Scale, top: float, bottom: float, tick: Callable[[float], str]) -> Markup:
    ticks = scale.ticks(5)
    widest = max(text_width(tick(value), 11) for value in ticks)
    every = 1 if abs(scale.at(ticks[-1]) - scale.at(ticks[0])) > len(ticks) * (widest + 4) else 2
    return element(
        "g",
        *(element("line", x1=scale.at(v), x2=scale.at(v), y1=top, y2=bottom, class_="grid") for v in ticks),
        *(label(scale.at(v), bottom + 15, tick(v), anchor="middle", class_="tick") for v in ticks[::every]),
    )


def lines(
    title: str,
    series: Sequence[Line],
    *,
    x_name: str = "",
    bounds: tuple[float, float] = (0.0, 1.0),
    tick: Callable[[float], str] = formats.percent,
    width: float = WIDTH,
    height: float = 232.0,
) -> Markup:
    """Draw accuracy-like series over categories, each with the band of its intervals and its name at its end."""
    places = list(dict.fromkeys(point.label for line in series for point in line.points))
    places.sort(key=numeric_order)
    low, high = domain([v for s in series for p in s.points for v in (p.low, p.high)], include=bounds)
    right = min(max((text_width(line.name) for line in series), default=0.0), _WIDEST_NAME * width) + 22
    x = Scale(low=0, high=max(1, len(places) - 1), start=50, end=width - right)
    y = Scale(low=low, high=high, start=height - 40, end=10)
    at = {place: x.at(i) if len(places) > 1 else (x.start + x.end) / 2 for i, place in enumerate(places)}
    widest = max(26.0, max((text_width(place, 11) for place in places), default=0.0) + 6)
    every = max(1, math.ceil(len(places) * widest / (x.end - x.start)))
    axis = element(
        "g",
        *(element("line", x1=42, x2=x.end + 4, y1=y.at(v), y2=y.at(v), class_="grid") for v in y.ticks()),
        *(label(38, y.at(v) + 4, tick(v), anchor="end", class_="tick") for v in y.ticks()),
        *(label(at[p], height - 23, p, anchor="middle", class_="tick") for p in places[::every]),
        label((x.start + x.end) / 2, height - 5, x_name, anchor="middle", class_="axis-name"),
    )
    drawn = sorted(series, key=lambda line: line.style == "after")
    marks = [*(_band(line, at, y) for line in drawn if line.band), *(_line(line, at, y) for line in drawn)]
    names = _line_names([line for line in series if line.points], at, y, right - 22)
    description = "; ".join(
        f"{line.name}: " + ", ".join(f"{p.label}: {estimate_of(p)}" for p in line.points) for line in series
    )
    return figure(title, description, width, height, axis, *marks, names)


def numeric_order(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), "")
    except ValueError:
        return (1, 0.0, text)


def _band(line: Line, at: Mapping[str, float], y: Scale) -> Markup:
    points = sorted(line.points, key=lambda p: at[p.label])
    upper = [f"{number(at[p.label])},{number(y.at(p.high))}" for p in points]
    lower = [f"{number(at[p.label])},{number(y.at(p.low))}" for p in reversed(points)]
    if len(points) < 2:
        ends = [(at[p.label], y.at(p.low), y.at(p.high)) for p in points]
        whiskers = (element("line", x1=x, x2=x, y1=a, y2=b, class_="whisker") for x, a, b in ends)
        return element("g", *whiskers, class_=f"series-{line.style}")
    return element("polygon", points=" ".join(upper + lower), class_=f"band series-{line.style}")


def _line(line: Line, at: Mapping[str, float], y: Scale) -> Markup:
    points = sorted(line.points, key=lambda p: at[p.label])
    path = " ".join(f"{number(at[p.label])},{number(y.at(p.value))}" for p in points)
    return element(
        "g",
        element("polyline", points=path, class_="line"),
        *(
            element(
                "g",
                element("title", f"{line.name}, {p.label}: {estimate_of(p)}{noted(p)}"),
                _symbol(line.style, at[p.label], y.at(p.value), 3.5),
            )
            for p in points
        ),
        class_=f"series-{line.style}",
    )


def _line_names(series: Sequence[Line], at: Mapping[str, float], y: Scale, room: float) -> Markup:
    """Write each name beside its line's last point, pushed apart where two would overlap."""
    last = [max(line.points, key=lambda p: at[p.label]) for line in series]
    ends = sorted(((y.at(p.value), line) for p, line in zip(last, series, strict=True)), key=lambda end: end[0])
    heights = spread([end[0] for end in ends], gap=15, low=y.end, high=y.start)
    x = max(at.values(), default=0) + 10
    return element(
        "g",
        *(
            label(x, height + 4, clipped(line.name, room), class_=f"series-{line.style} name")
            for height, (_, line) in zip(heights, ends, strict=True)
        ),
    )


def spread(places: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Move sorted `places` as little as needed so that neighbours are `gap` apart, inside [low, high] where it fits."""
    moved = list(places)
    for _ in range(50):
        for i, (first, second) in enumerate(pairwise(moved)):
            if second - first < gap:
                middle = (first + second) / 2
                moved[i], moved[i + 1] = middle - gap / 2, middle + gap / 2
        shift = max(0.0, low - moved[0]) - max(0.0, moved[-1] - high) if moved else 0.0
        moved = [place + shift for place in moved]
    return moved
