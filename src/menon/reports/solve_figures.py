"""The pictures of a solve report: accuracy against tokens per decoder, and against the number of steps per arm."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from menon.reports import formats
from menon.reports.charts import Dot, Line, estimate_of, lines, spread
from menon.reports.formats import finite
from menon.reports.reading import rows
from menon.reports.scales import Scale, domain
from menon.reports.svg import clipped, element, figure, label, number, text_width

WIDTH, HEIGHT = 560.0, 300.0
_LEFT, _BOTTOM = 50.0, 40.0


def curve(report: Mapping[str, Any]) -> Markup | None:
    """Draw accuracy against tokens per question, one line per decoder, tokens on a logarithmic axis."""
    series: dict[str, list[tuple[float, Dot]]] = {}
    for row in rows(report, "curve"):
        tokens, value = finite(row.get("tokens")), finite(row.get("accuracy"))
        if tokens is not None and tokens > 0 and value is not None:
            point = _dot(row, f"{formats.large(tokens)} tokens, n = {formats.count(row.get('n'))}", value)
            series.setdefault(str(row.get("decoder") or ""), []).append((tokens, point))
    if not series:
        return None
    for points in series.values():
        points.sort(key=lambda pair: pair[0])
    return _against_tokens("Accuracy against tokens, by decoder", series)


def curve_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return the numbers of `curve` as text."""
    return [
        [
            str(row.get("decoder") or ""),
            formats.count(row.get("n")),
            formats.large(row.get("tokens")),
            formats.estimate({"value": row.get("accuracy"), "low": row.get("low"), "high": row.get("high")}),
        ]
        for row in rows(report, "curve")
    ]


def steps(report: Mapping[str, Any]) -> Markup | None:
    """Draw accuracy against the number of steps, one line per arm, with what independent steps would give."""
    arms: dict[str, list[Dot]] = {}
    expected: dict[str, list[Dot]] = {}
    for row in rows(report, "steps_table"):
        value, arm, place = finite(row.get("share")), str(row.get("arm") or ""), formats.count(row.get("steps"))
        if value is not None:
            note = f"{formats.count(row.get('right'))} of {formats.count(row.get('asked'))}"
            arms.setdefault(arm, []).append(_dot(row, place, value, note))
        predicted = finite(row.get("predicted"))
        if predicted is not None:
            expected.setdefault(arm, []).append(Dot(label=place, value=predicted, low=predicted, high=predicted))
    series = [Line(name=arm, style=str(i % 4), points=points) for i, (arm, points) in enumerate(arms.items())]
    series += [
        Line(name=f"{arm}, predicted", style="neutral", points=points, band=False) for arm, points in expected.items()
    ]
    if not series:
        return None
    return lines("Accuracy against the number of steps", series, x_name="steps", width=WIDTH, height=HEIGHT)


def steps_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return the numbers of `steps` as text."""
    return [
        [
            str(row.get("arm") or ""),
            formats.count(row.get("steps")),
            formats.count(row.get("right")),
            formats.count(row.get("asked")),
            formats.estimate({"value": row.get("share"), "low": row.get("low"), "high": row.get("high")}),
            formats.percent(row.get("predicted")),
        ]
        for row in rows(report, "steps_table")
    ]


def _dot(row: Mapping[str, Any], place: str, value: float, note: str = "") -> Dot:
    low, high = finite(row.get("low")), finite(row.get("high"))
    return Dot(
        label=place, value=value, low=value if low is None else low, high=value if high is None else high, note=note
    )


def _against_tokens(title: str, series: Mapping[str, Sequence[tuple[float, Dot]]]) -> Markup:
    places = [math.log2(tokens) for points in series.values() for tokens, _ in points]
    names = max(text_width(name) for name in series)
    right = min(names, 0.34 * WIDTH) + 22
    least, most = min(places), max(places)
    pad = 0.5 if least == most else 0.0
    x = Scale(low=least - pad, high=most + pad, start=_LEFT, end=WIDTH - right)
    low, high = domain([v for points in series.values() for _, d in points for v in (d.low, d.high)], include=(0, 1))
    y = Scale(low=low, high=high, start=HEIGHT - _BOTTOM, end=10)
    marks = [_axes(x, y)]
    for i, points in enumerate(series.values()):
        marks.append(_series(str(i % 4), points, x, y))
    marks.append(_names(series, x, y, right - 22))
    description = "; ".join(
        f"{name}: " + ", ".join(f"{d.label}: {estimate_of(d)}" for _, d in points) for name, points in series.items()
    )
    return figure(title, description, WIDTH, HEIGHT, *marks)


def _axes(x: Scale, y: Scale) -> Markup:
    powers = list(range(math.ceil(x.low - 1e-9), math.floor(x.high + 1e-9) + 1)) or [x.low]
    every = max(1, math.ceil(len(powers) * 46 / (x.end - x.start)))
    return element(
        "g",
        *(element("line", x1=_LEFT - 8, x2=x.end + 4, y1=y.at(v), y2=y.at(v), class_="grid") for v in y.ticks()),
        *(label(_LEFT - 12, y.at(v) + 4, formats.percent(v), anchor="end", class_="tick") for v in y.ticks()),
        *(label(x.at(p), HEIGHT - 23, formats.large(2.0**p), anchor="middle", class_="tick") for p in powers[::every]),
        label((x.start + x.end) / 2, HEIGHT - 5, "tokens (doubling)", anchor="middle", class_="axis-name"),
    )


def _series(style: str, points: Sequence[tuple[float, Dot]], x: Scale, y: Scale) -> Markup:
    at = [(x.at(math.log2(tokens)), dot) for tokens, dot in points]
    upper = [f"{number(u)},{number(y.at(d.high))}" for u, d in at]
    lower = [f"{number(u)},{number(y.at(d.low))}" for u, d in reversed(at)]
    marks = [element("polygon", points=" ".join(upper + lower), class_="band")] if len(at) > 1 else []
    marks.append(
        element("polyline", points=" ".join(f"{number(u)},{number(y.at(d.value))}" for u, d in at), class_="line")
    )
    for u, d in at:
        circle = element("circle", cx=u, cy=y.at(d.value), r=3.5, class_="solid")
        marks.append(element("g", element("title", f"{d.label}: {estimate_of(d)}"), circle))
    return element("g", *marks, class_=f"series-{style}")


def _names(series: Mapping[str, Sequence[tuple[float, Dot]]], x: Scale, y: Scale, room: float) -> Markup:
    """Write each name right of the plot at the height of its line's end, pushed apart where two would overlap."""
    ends = sorted((y.at(points[-1][1].value), i, name) for i, (name, points) in enumerate(series.items()))
    heights = spread([end[0] for end in ends], gap=15, low=y.end, high=y.start)
    return element(
        "g",
        *(
            label(x.end + 12, height + 4, clipped(name, room), class_=f"series-{i % 4} name")
            for height, (_, i, name) in zip(heights, ends, strict=True)
        ),
    )
