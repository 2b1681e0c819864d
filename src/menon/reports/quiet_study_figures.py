"""The pictures of the Quiet-STaR study: arms side by side, thought lengths, hardness, learning curves."""

from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from menon.reports import formats
from menon.reports.charts import Dot, Line, estimate_of, lines
from menon.reports.quiet_figures import (
    Curve,
    axis_text,
    grid_of_plots,
    hardness_bars,
    interval_bars,
    over_steps,
    points_of,
)
from menon.reports.quiet_words import nats, weight
from menon.reports.reading import dot, rows, section

WIDE = 640.0
_STYLES = ("after", "before", "direct", "fresh", "neutral", "original")
_DASHES = (None, "7 3", "2 3", "9 3 2 3")
_PANELS: tuple[tuple[str, str, Callable[[float], str], tuple[float, ...]], ...] = (
    ("Answers right with thought", "answer_accuracy_mixed", formats.percent, (0.0, 1.0)),
    ("Reward (nats)", "reward", axis_text(nats), (0.0,)),
    ("Weight of the thoughts at hard tokens", "weight_hard", axis_text(weight), (0.0, 1.0)),
    ("Weight of the thoughts elsewhere", "weight_easy", axis_text(weight), (0.0, 1.0)),
)


def pictures(data: Mapping[str, Any]) -> dict[str, Markup]:
    """Return every picture that the report has numbers for, by name."""
    drawn = {
        "arms": arms_bars(data),
        "lengths": lengths_lines(data),
        "hardness": hardness_bars(rows(data, "by_hardness"), width=560),
        "curves": grid_of_plots("Learning curves of the arms", _curves(data), width=900),
        "embedded": zero_shot_lines(data),
    }
    return {name: chart for name, chart in drawn.items() if chart is not None}


def arms_bars(data: Mapping[str, Any]) -> Markup | None:
    """Draw the share of right answers with and without thought, for every arm."""
    groups = []
    for arm in rows(data, "arms"):
        summary = section(arm, "summary")
        found = [
            dot(summary.get("answer_accuracy_mixed"), "with thought", style="after"),
            dot(summary.get("answer_accuracy_text"), "without thought", style="neutral"),
        ]
        dots = [d for d in found if d is not None]
        if dots:
            groups.append((_name(arm), dots))
    if not groups:
        return None
    title = "Answers right with and without thought"
    return interval_bars(
        title, groups, tick=formats.percent, text=estimate_of, bounds=(0.0, 1.0), width=WIDE, legend=True,
        label_width=250,
    )  # fmt: skip


def lengths_lines(data: Mapping[str, Any]) -> Markup | None:
    """Draw the share of right answers against the length of the thoughts."""
    points = []
    for row in rows(data, "lengths"):
        found = dot(row.get("answer_accuracy_mixed"), formats.count(row.get("tokens")), style="after")
        if found is not None:
            points.append(found)
    if not points:
        return None
    line = Line(name="", style="after", points=points)
    title = "Answers right with thought, by thought length"
    return lines(title, [line], x_name="thought tokens", width=480, height=260)


def zero_shot_lines(data: Mapping[str, Any]) -> Markup | None:
    """Draw the embedded model's accuracy on chained problems against their steps."""
    names = (("before", "before", "before"), ("direct", "after, no thought", "neutral"), ("thought", "after", "after"))
    found: list[Line] = []
    for key, name, style in names:
        points: list[Dot] = []
        for row in rows(section(data, "embedded"), "zero_shot"):
            point = dot(row.get(key), formats.count(row.get("steps")), style=style)
            if point is not None:
                points.append(point)
        if points:
            found.append(Line(name=name, style=style, points=points))
    if not found:
        return None
    return lines("Chained problems by number of steps", found, x_name="steps", width=520, height=260)


def curve_panels(data: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """Draw each learning curve of the arms as a panel of its own."""
    drawn = [
        (name, over_steps(name, series, tick=tick, bounds=bounds, width=520, height=260))
        for name, series, tick, bounds in _curves(data)
    ]
    return [(name, chart) for name, chart in drawn if chart is not None]


def _curves(data: Mapping[str, Any]) -> list[tuple[str, list[Curve], Callable[[float], str], tuple[float, ...]]]:
    found = section(data, "curves")
    titles = {str(arm.get("name")): _name(arm) for arm in rows(data, "arms")}
    order = [name for name in titles if name in found] + [name for name in found if name not in titles]
    panels = []
    for title, key, tick, bounds in _PANELS:
        series = [
            Curve(
                name=titles.get(name, name),
                style=_STYLES[i % len(_STYLES)],
                dash=_DASHES[(i + i // len(_STYLES)) % len(_DASHES)],
                points=points_of(rows(found, name), key),
            )
            for i, name in enumerate(order)
        ]
        panels.append((title, series, tick, bounds))
    return panels


def _name(arm: Mapping[str, Any]) -> str:
    return str(arm.get("title") or arm.get("name") or "?")
