"""The pictures made of filled blocks: heat maps and stacked bars."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from menon.reports import formats
from menon.reports.charts import WIDTH, Dot, estimate_of, noted, numeric_order
from menon.reports.scales import Scale
from menon.reports.svg import clipped, element, figure, label, text_width

CATEGORIES = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One horizontal bar made of named amounts, drawn in the order given."""

    label: str
    segments: Mapping[str, float] = field(default_factory=dict)


def heat_map(
    title: str,
    cells: Mapping[tuple[str, str], Dot],
    *,
    row_name: str,
    column_name: str,
    width: float = WIDTH,
) -> Markup:
    """Draw shares in [0, 1] as a grid of (row, column) cells, darker is higher, with the per cents written in.

    Cells that are missing are drawn empty. Numbers are left out where a cell is too narrow for them.
    """
    rows = sorted({row for row, _ in cells}, key=numeric_order)
    columns = sorted({column for _, column in cells}, key=numeric_order)
    left, top, high = 52.0, 22.0, 28.0
    wide = (width - left) / max(1, len(columns))
    marks: list[Markup] = [label(0, 12, row_name, class_="axis-name")]
    every = max(1, -(-30 // max(1, int(wide))))
    for j, column in enumerate(columns):
        if j % every == 0:
            marks.append(label(left + (j + 0.5) * wide, 14, column, anchor="middle", class_="tick"))
    for i, row in enumerate(rows):
        marks.append(label(left - 10, top + (i + 0.5) * high + 4, row, anchor="end", class_="tick"))
        for j, column in enumerate(columns):
            marks.append(_cell(cells.get((row, column)), left + j * wide, top + i * high, wide, high))
    bottom = top + len(rows) * high
    marks.append(label(left + (width - left) / 2, bottom + 17, column_name, anchor="middle", class_="axis-name"))
    description = "; ".join(
        f"{row_name} {row}: "
        + ", ".join(f"{c} {formats.percent(cells[row, c].value)}" for c in columns if (row, c) in cells)
        for row in rows
    )
    return figure(title, description, width, bottom + 24, *marks)


def _cell(dot: Dot | None, x: float, y: float, width: float, height: float) -> Markup:
    box = {"x": x + 1, "y": y + 1, "width": max(1.0, width - 2), "height": height - 2, "rx": 3}
    if dot is None:
        return element("rect", class_="empty", **box)
    shade = min(1.0, max(0.0, dot.value))
    words = formats.percent(dot.value).split(formats.NARROW_SPACE)[0]
    inside = label(x + width / 2, y + height / 2 + 4, words, anchor="middle", class_="on" if shade > 0.62 else "off")
    return element(
        "g",
        element("title", f"{dot.label}: {estimate_of(dot)}{noted(dot)}"),
        element("rect", class_="empty", **box),
        element("rect", class_="heat", fill_opacity=0.04 + 0.96 * shade, **box),
        inside if width >= text_width(words) + 6 else Markup(""),
    )


def stacked_bars(
    title: str, bars: Sequence[Bar], *, text: Callable[[float], str] = formats.count, width: float = WIDTH
) -> Markup:
    """Draw one horizontal bar per row, cut into named amounts with a legend below, and its total at the right."""
    names = list(dict.fromkeys(name for bar in bars for name in bar.segments))
    totals = [sum(bar.segments.values()) for bar in bars]
    left = min(130.0, max((text_width(bar.label) for bar in bars), default=0.0)) + 10
    right = max((text_width(text(total)) for total in totals), default=0.0) + 8
    scale = Scale(low=0, high=max(totals, default=0) or 1, start=left, end=width - right)
    marks: list[Markup] = []
    for i, (bar, total) in enumerate(zip(bars, totals, strict=True)):
        y = 6 + i * 26
        marks.append(label(0, y + 14, clipped(bar.label, left - 8)))
        marks.extend(_segments(bar, names, scale, y, text))
        marks.append(label(scale.at(total) + 6, y + 14, text(total), class_="value"))
    legend, bottom = _legend(names, 14 + len(bars) * 26, width) if len(names) > 1 else (Markup(""), 6 + len(bars) * 26)
    description = "; ".join(
        f"{bar.label}: {text(total)}" + (_parts(bar, text) if len(names) > 1 else "")
        for bar, total in zip(bars, totals, strict=True)
    )
    return figure(title, description, width, bottom + 4, *marks, legend)


def _parts(bar: Bar, text: Callable[[float], str]) -> str:
    return " (" + ", ".join(f"{name} {text(amount)}" for name, amount in bar.segments.items()) + ")"


def _segments(bar: Bar, names: Sequence[str], scale: Scale, y: float, text: Callable[[float], str]) -> list[Markup]:
    marks, start = [], 0.0
    for name in names:
        amount = bar.segments.get(name, 0.0)
        if amount <= 0:
            continue
        x, end = scale.at(start), scale.at(start + amount)
        kind = names.index(name) % CATEGORIES
        words = text(amount)
        marks.append(
            element(
                "g",
                element("title", f"{bar.label}, {name}: {words}"),
                element("rect", x=x, y=y, width=max(0.75, end - x - 1), height=20, class_=f"bar category-{kind}"),
                label((x + end) / 2, y + 14, words, anchor="middle", class_=f"inside-{kind}")
                if len(names) > 1 and end - x > text_width(words) + 8
                else Markup(""),
            )
        )
        start += amount
    return marks


def _legend(names: Sequence[str], top: float, width: float) -> tuple[Markup, float]:
    x, y, marks = 0.0, top, []
    for i, name in enumerate(names):
        words = clipped(name, width - 20)
        if x and x + text_width(words) + 18 > width:
            x, y = 0.0, y + 19
        marks.append(element("rect", x=x, y=y, width=11, height=11, class_=f"bar category-{i % CATEGORIES}"))
        marks.append(label(x + 16, y + 10, words, class_="tick"))
        x += text_width(words) + 32
    return element("g", *marks), y + 14
