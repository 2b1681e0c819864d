"""The pictures of the study of code in pre-training: arms by tasks, and tasks against the share of code."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from menon.reports.charts import Dot, Line, estimate_of, lines, noted
from menon.reports.reading import dot, rows, section
from menon.reports.scales import Scale
from menon.reports.svg import clipped, element, figure, label, text_width

SHORT = {
    "held_in": "held-in in text",
    "code_only": "code-only in text",
    "absent": "absent",
    "facts": "facts",
    "direct": "no working",
    "finish": "finish programs",
    "write": "write programs",
}
SWEPT = (
    ("held_in", "held-in in text", "after"),
    ("facts", "facts", "before"),
    ("finish", "programs finished", "direct"),
    ("write", "programs written", "original"),
    ("code_only", "code-only in text", "fresh"),
)
_STYLES = ("after", "before", "direct", "fresh", "original", "neutral", "after")
_ROW, _PANEL, _GAP, _NAMES = 21.0, 104.0, 28.0, 200.0


def pictures(data: Mapping[str, Any]) -> dict[str, Markup]:
    """Return every picture that the report has numbers for, by name."""
    drawn = {"arms": arms_by_tasks(data), "sweep": sweep_lines(data)}
    return {name: chart for name, chart in drawn.items() if chart is not None}


def shares_of(data: Mapping[str, Any]) -> list[str]:
    """Return the names of the tasks whose measure is a share of right answers."""
    return [str(task.get("name")) for task in rows(data, "tasks") if task.get("kind") == "share"]


def arms_by_tasks(data: Mapping[str, Any]) -> Markup | None:
    """Draw a column per task and a row per arm: share right with its interval; the line is text alone."""
    arms, tasks = rows(data, "arms"), shares_of(data)
    cells = {(i, task): dot(section(arm, "tasks").get(task), title_of(arm), style=_STYLES[j % len(_STYLES)])
             for i, arm in enumerate(arms) for j, task in enumerate(tasks)}  # fmt: skip
    if not any(cells.values()):
        return None
    left = min(_NAMES, max(text_width(title_of(arm)) for arm in arms)) + 14
    height = 24 + _ROW * len(arms)
    marks = [label(0, 24 + _ROW * (i + 0.5) + 4, clipped(title_of(arm), left - 10)) for i, arm in enumerate(arms)]
    said = []
    for j, task in enumerate(tasks):
        start = left + j * (_PANEL + _GAP)
        scale = Scale(low=0.0, high=1.0, start=start, end=start + _PANEL)
        found = [cells[i, task] for i in range(len(arms))]
        marks += [label(start - 4, 13, SHORT.get(task, task), class_="heading"), _axis(scale, height, found[0])]
        marks += [_mark(d, scale, 24 + _ROW * (i + 0.5)) for i, d in enumerate(found) if d is not None]
        said.append(f"{SHORT.get(task, task)}: " + ", ".join(f"{d.label} {estimate_of(d)}" for d in found if d))
    width = left + len(tasks) * (_PANEL + _GAP)
    return figure("Right answers of every arm in every task, in per cent", "; ".join(said), width, height + 20, *marks)


def _axis(scale: Scale, bottom: float, first: Dot | None) -> Markup:
    places = (0.0, 0.5, 1.0)
    marks = [element("line", x1=scale.at(v), x2=scale.at(v), y1=22, y2=bottom, class_="grid") for v in places]
    marks += [label(scale.at(v), bottom + 14, f"{100 * v:g}", anchor="middle", class_="tick") for v in places]
    if first is not None:
        at = scale.at(first.value)
        marks.append(element("line", x1=at, x2=at, y1=22, y2=bottom, class_="reference"))
    return element("g", *marks)


def _mark(item: Dot, scale: Scale, y: float) -> Markup:
    return element(
        "g",
        element("title", f"{item.label}: {estimate_of(item)}{noted(item)}"),
        element("line", x1=scale.at(item.low), x2=scale.at(item.high), y1=y, y2=y, class_="whisker"),
        element("circle", cx=scale.at(item.value), cy=y, r=4, class_="solid"),
        class_=f"series-{item.style}",
    )


def sweep_lines(data: Mapping[str, Any]) -> Markup | None:
    """Draw the tasks against the share of code in the training tokens."""
    arms = sorted((arm for arm in rows(data, "arms") if arm.get("sweep")), key=lambda arm: float(arm.get("code") or 0))
    found: list[Line] = []
    for task, name, style in SWEPT:
        points = _points(arms, task, style)
        if len(points) > 1:
            found.append(Line(name=name, style=style, points=points, band=task in ("held_in", "facts", "finish")))
    if not found:
        return None
    title = "Share right against the share of code in the training tokens"
    return lines(title, found, x_name="% of the tokens that are code", width=640, height=320)


def _points(arms: Sequence[Mapping[str, Any]], task: str, style: str) -> list[Dot]:
    found = (
        dot(section(arm, "tasks").get(task), f"{100 * float(arm.get('code') or 0):g}", style=style) for arm in arms
    )
    return [point for point in found if point is not None]


def title_of(arm: Mapping[str, Any]) -> str:
    return str(arm.get("title") or arm.get("name") or "?")
