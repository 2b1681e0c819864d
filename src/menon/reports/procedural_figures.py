"""The pictures of the study of procedural knowledge: correlations, influence per nat, answers, procedures, sources."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from menon.reports import formats
from menon.reports.charts import Dot, Line, estimate_of, lines
from menon.reports.procedural_words import decimal, estimate, method_name
from menon.reports.quiet_figures import axis_text, interval_bars
from menon.reports.reading import dot, rows, section
from menon.reports.svg import clipped, element, figure, label

Row = Mapping[str, Any]
WIDE = 720.0
_STYLES = {
    "ekfac": "after", "dot": "before", "cosine": "fresh", "bm25": "original", "tfidf": "direct", "random": "neutral",
}  # fmt: skip
_GROUPS = {
    "reasoning": "after",
    "factual right": "original",
    "factual wrong": "direct",
    "factual-control": "fresh",
    "reasoning-control": "neutral",
}
_CELL, _LEFT, _TOP = 46.0, 150.0, 26.0
_SIGNED = axis_text(decimal)


def pictures(data: Row) -> dict[str, Markup]:
    """Return every picture that the report has numbers for, by name; those of a model end in its name."""
    drawn: dict[str, Markup | None] = {}
    for model in rows(data, "models"):
        name, found = str(model["name"]), section(model, "findings")
        drawn |= {
            f"alike-{name}": alike_bars(found, model["title"]),
            f"heat-{name}": heat(section(section(found, "alike"), "heat"), "ekfac", model["title"]),
            f"heat-bm25-{name}": heat(section(section(found, "alike"), "heat"), "bm25", model["title"]),
            f"influence-{name}": influence_lines(found, model["title"]),
            f"answers-{name}": answer_bars(found, model["title"]),
            f"procedures-{name}": procedure_bars(found, model["title"]),
            f"sources-{name}": source_bars(found, model["title"]),
        }
    drawn["sizes"] = size_bars(data)
    return {name: chart for name, chart in drawn.items() if chart is not None}


def alike_bars(found: Row, title: str) -> Markup | None:
    """Draw the mean correlation of every sort of pair by method, with a bar for what words do not explain."""
    tables = section(section(found, "alike"), "methods")
    partial = section(section(section(found, "alike"), "partial"), "ekfac")
    names = dict.fromkeys(str(row["pairs"]) for method in tables for row in rows(section(tables, method), "pairs"))
    groups = []
    for name in names:
        dots = [
            _dot(_of(rows(section(tables, method), "pairs"), pairs=name), method_name(method), _STYLES[method])
            for method in tables
            if method in _STYLES and method != "cosine"
        ]
        dots.insert(1, _dot(_of(rows(partial, "pairs"), pairs=name), "EK-FAC beyond words", "fresh"))
        groups.append((name, [item for item in dots if item is not None]))
    return _bars(f"Correlation of scores, {title}", groups, tick=_SIGNED, text=_said)


def heat(table: Row, method: str, title: str) -> Markup | None:
    """Draw mean correlations between cells of queries as squares: darker is higher, empty where negative."""
    names, values = [str(name) for name in table.get("names", [])], section(table, "methods").get(method)
    if not names or not isinstance(values, list):
        return None
    width, height = _LEFT + _CELL * len(names), _TOP + _CELL * len(names)
    marks = []
    for i, name in enumerate(names):
        marks.append(
            label(_LEFT - 8, _TOP + (i + 0.5) * _CELL + 4, clipped(f"{name} {i + 1}", _LEFT - 12), anchor="end")
        )
        marks.append(label(_LEFT + (i + 0.5) * _CELL, _TOP - 8, str(i + 1), anchor="middle", class_="tick"))
        for j, other in enumerate(names):
            marks.append(_square(values[i][j], f"{name} and {other}", _LEFT + j * _CELL, _TOP + i * _CELL))
    said = "; ".join(
        f"{name} and {names[j]}: {decimal(values[i][j])}" for i, name in enumerate(names) for j in range(i + 1)
    )
    return figure(f"Mean correlation by {method_name(method)}, {title}", said, width, height + 6, *marks)


def influence_lines(found: Row, title: str) -> Markup | None:
    """Draw the cumulative influence per nat against the number of top documents, one line per group."""
    series = []
    for row in rows(section(found, "reliance"), "groups"):
        points = []
        for point in rows(section(row, "curves"), "ekfac"):
            item = _dot(point["positive"], str(point["k"]), _GROUPS.get(str(row["group"]), "before"))
            if item is not None and point["k"] <= 1000:
                points.append(item)
        if points:
            style = _GROUPS.get(str(row["group"]), "before")
            series.append(Line(name=str(row["group"]), style=style, points=points, band=style in ("after", "original")))
    if not series:
        return None
    return lines(
        f"Influence of the top documents per nat, {title}", series, x_name="documents", bounds=(0.0, 0.0), tick=_SIGNED,
        width=WIDE, height=300,
    )  # fmt: skip


def answer_bars(found: Row, title: str) -> Markup | None:
    """Draw how many queries have a document in the top that states their answer."""
    return _shares(f"Answer stated in the top, {title}", rows(found, "answers"), "stated")


def procedure_bars(found: Row, title: str) -> Markup | None:
    """Draw the precision of the top by method."""
    return _shares(f"Top documents that teach what is needed, {title}", rows(found, "procedures"), "precision")


def source_bars(found: Row, title: str) -> Markup | None:
    """Draw the multipliers of the sources at both ends by EK-FAC."""
    listed = [r for r in rows(found, "sources") if (r["method"], r["label"]) == ("ekfac", "source")]
    listed = [r for r in listed if r["k"] == max(row["k"] for row in listed)]
    groups = []
    for group in ("reasoning", "factual right"):
        for row in listed:
            if row["group"] == group:
                dots = [_dot(row["top"], "top", "after"), _dot(row["bottom"], "bottom", "neutral")]
                groups.append((f"{group}: {row['value']}", [item for item in dots if item is not None]))
    return _bars(f"Over-representation of sources, {title}", groups, tick=_SIGNED, text=_said, bounds=(0.0, 1.0))


def size_bars(data: Row) -> Markup | None:
    """Draw the correlation of scores between the two sizes by sort of pair."""
    listed = rows(section(data, "sizes"), "alike")
    groups = []
    for name in dict.fromkeys(str(row["pairs"]) for row in listed):
        dots = [
            _dot(row, method_name(str(row["method"])), _STYLES.get(str(row["method"]), "neutral"))
            for row in listed
            if row["pairs"] == name
        ]
        groups.append((name, [item for item in dots if item is not None]))
    return _bars("Correlation of scores between the two sizes", groups, tick=_SIGNED, text=_said)


def _shares(title: str, listed: Sequence[Row], cell: str) -> Markup | None:
    groups = []
    for group in dict.fromkeys(str(row["group"]) for row in listed):
        own = [row for row in listed if row["group"] == group]
        k = own[0]["k"]
        dots = [
            _dot(row[cell], method_name(str(row["method"])), _STYLES.get(str(row["method"]), "neutral"))
            for row in own
            if row["k"] == k
        ]
        groups.append((group, [item for item in dots if item is not None]))
    k = listed[0]["k"] if listed else 0
    return _bars(f"{title} (top {k})", groups, tick=formats.percent, text=estimate_of, bounds=(0.0, 1.0))


def _bars(
    title: str,
    groups: Sequence[tuple[str, Sequence[Dot]]],
    *,
    tick: Callable[[float], str],
    text: Callable[[Dot], str],
    bounds: tuple[float, float] = (0.0, 0.0),
) -> Markup | None:
    kept = [(name, dots) for name, dots in groups if dots]
    if not kept:
        return None
    return interval_bars(title, kept, tick=tick, text=text, bounds=bounds, width=WIDE, legend=True)


def _square(value: Any, names: str, x: float, y: float) -> Markup:
    box = {"x": x + 1, "y": y + 1, "width": _CELL - 2, "height": _CELL - 2, "rx": 3}
    number = formats.finite(value)
    if number is None:
        return element("rect", class_="empty", **box)
    shade = min(1.0, abs(number))
    words = label(
        x + _CELL / 2, y + _CELL / 2 + 4, decimal(number), anchor="middle", class_="on" if shade > 0.62 else "off"
    )
    return element(
        "g",
        element("title", f"{names}: {decimal(number)}"),
        element("rect", class_="empty", **box),
        element("rect", class_="heat", fill_opacity=0.04 + 0.96 * shade if number > 0 else 0.0, **box),
        words,
    )


def _dot(cell: Any, name: str, style: str) -> Dot | None:
    return dot(cell, name, style=style)


def _of(listed: Sequence[Row], **wanted: Any) -> Row | None:
    return next((row for row in listed if all(row.get(key) == value for key, value in wanted.items())), None)


def _said(item: Dot) -> str:
    return estimate({"value": item.value, "low": item.low, "high": item.high})
