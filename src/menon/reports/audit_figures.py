"""The pictures of an audit: the forest of effects, originals against re-instantiations, the share look by look."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from menon.reports import formats
from menon.reports.blocks import Bar, stacked_bars
from menon.reports.charts import Dot, Line, dot_intervals, estimate_of, lines
from menon.reports.formats import finite
from menon.reports.reading import rows, section

FOREST_WIDTH = 760.0
_ENDING = re.compile(r"(?<=.)(?: \([^()]*\)|, [^,()]*)$")
BANDS = (
    ("none right", 0.0, 0.0),
    ("1 to 33 %", 0.0, 1 / 3),
    ("34 to 66 %", 1 / 3, 2 / 3),
    ("67 to 99 %", 2 / 3, 0.9999),
    ("all right", 0.9999, 1.0),
)


def forest(report: Mapping[str, Any]) -> Markup | None:
    """Draw every share and loss with its interval, grouped by probe; a failed control is drawn hollow."""
    model = f" ({report.get('model')})"
    dots = [dot for row in rows(report, "forest") if (dot := _forest_dot(row, model)) is not None]
    if not dots:
        return None
    title = "Success lost when the surface changes, in per cent (recitation share) or points (losses)"
    return dot_intervals(title, dots, bounds=(-0.1, 1.0), reference=0.0, width=FOREST_WIDTH, label_width=330.0)


def _forest_dot(row: Mapping[str, Any], model: str) -> Dot | None:
    value = finite(row.get("value"))
    if value is None or row.get("kind") not in ("loss", "share"):
        return None
    low, high = finite(row.get("low")), finite(row.get("high"))
    return Dot(
        label=str(row.get("label") or "").replace(model, ""),
        value=value,
        low=max(-1.0, value if low is None else low),
        high=min(1.5, value if high is None else high),
        style="original" if row.get("understood") is False else "fresh" if row.get("kind") == "share" else "after",
        group=str(row.get("group") or row.get("probe") or ""),
        note=str(row.get("note") or ""),
    )


def by_template(report: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """Draw, per family, how many templates the model masters, split by whether it got the original right."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows(section(report, "instrument"), "per_template"):
        if finite(row.get("fresh")) is not None and finite(row.get("original")) is not None:
            found.setdefault(str(row.get("family")), []).append(row)
    panels = []
    for family, members in found.items():
        bars = [_band(name, low, high, members) for name, low, high in BANDS]
        title = f"{family}: templates by the share of their re-instantiations that the model solves"
        panels.append((family, stacked_bars(title, bars)))
    return panels


def _band(name: str, low: float, high: float, members: Sequence[Mapping[str, Any]]) -> Bar:
    inside = [m for m in members if _inside(float(m["fresh"]), low, high)]
    right = sum(float(m["original"]) >= 0.5 for m in inside)
    return Bar(label=name, segments={"original right": right, "original not right": len(inside) - right})


def _inside(value: float, low: float, high: float) -> bool:
    return value <= 0 if high == 0 else low < value <= high


def looks(report: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """Draw how each family's share and interval developed with the questions asked."""
    panels = []
    for family, entries in section(section(report, "instrument"), "looks").items():
        points = [
            Dot(label=str(entry.get("questions")), value=value, low=max(-1.0, low), high=min(1.5, high))
            for entry in entries
            if isinstance(entry, Mapping)
            and (value := finite(entry.get("share"))) is not None
            and (low := finite(entry.get("low"))) is not None
            and (high := finite(entry.get("high"))) is not None
        ]
        if len(points) > 1:
            series = [Line(name="share", style="after", points=points)]
            panels.append((family, lines(f"{family}: recitation share by questions asked", series, x_name="questions")))
    return panels


def curves(probe: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """Draw the curves of one probe."""
    panels = []
    names = section(probe, "x_names")
    for title, series in section(probe, "curves").items():
        drawn = [_line(i, row) for i, row in enumerate(series) if isinstance(row, Mapping)] if series else []
        drawn = [line for line in drawn if line.points]
        short = _told_apart([line.name for line in drawn])
        drawn = [replace(line, name=name) for line, name in zip(drawn, short, strict=True)]
        if drawn:
            panels.append((title, lines(title, drawn, x_name=str(names.get(title, "")))))
    return panels


def _told_apart(names: Sequence[str]) -> list[str]:
    """Drop the endings that all names share, such as the model in parentheses; they tell no line from another."""
    names = list(names)
    while len(names) > 1:
        ends = {match[0] if (match := _ENDING.search(name)) else "" for name in names}
        if len(ends) > 1 or "" in ends:
            break
        names = [_ENDING.sub("", name) for name in names]
    return names


def _line(place: int, series: Mapping[str, Any]) -> Line:
    points = []
    for point in rows(series, "points"):
        value = finite(point.get("value"))
        if value is None:
            continue
        low, high = finite(point.get("low")), finite(point.get("high"))
        x = point.get("x")
        points.append(
            Dot(
                label=_place(x),
                value=value,
                low=value if low is None else low,
                high=value if high is None else high,
                note="" if point.get("n") is None else f"n = {formats.count(point.get('n'))}",
            )
        )
    return Line(name=str(series.get("name") or ""), style=str(place % 4), points=points)


def _place(x: Any) -> str:
    """Write a place on the axis in few characters; three digits are enough there."""
    if isinstance(x, bool) or not isinstance(x, int | float):
        return str(x)
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


def panel(report: Mapping[str, Any]) -> Markup | None:
    """Draw the calibration panel: true shares, and what the audit says of them."""
    found = section(report, "panel")
    dots, truths = [], {}
    for row in (*rows(found, "models"), *rows(found, "stand_ins")):
        truth, estimate, width = (finite(row.get(key)) for key in ("truth", "estimate", "width"))
        if truth is None or estimate is None or width is None:
            continue
        name = str(row.get("name") or "")
        truths[name] = truth
        dots.append(Dot(label=name, value=estimate, low=estimate - width / 2, high=estimate + width / 2))
    if not dots:
        return None
    return dot_intervals(
        "The audit's mean estimate of the recitation share, and the true share in words",
        dots,
        text=lambda dot: f"{estimate_of(dot)}, truth {formats.percent(truths[dot.label])}",
        width=FOREST_WIDTH,
        label_width=260.0,
    )
