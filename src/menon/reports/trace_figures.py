"""The pictures of a trace: influence summed down the ranking, over-represented sources, shares of the layers.

Multipliers are drawn on a doubling axis, so that twice as often and half as often are equally long bars.
Left out: smoothing; a curve with more points than pixels shows some of them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from menon.reports import formats
from menon.reports.charts import Dot, spread
from menon.reports.formats import finite
from menon.reports.quiet_figures import axis_text, interval_bars, thinned
from menon.reports.reading import rows
from menon.reports.scales import Scale, domain
from menon.reports.svg import element, figure, label, number, text_width
from menon.reports.trace_words import amount, estimate, signed

WIDTH, HEIGHT = 540.0, 260.0
_LEFT, _BOTTOM = 58.0, 40.0
_SERIES = (("all documents", "total_per_nat", "neutral", "6 3"), ("raising only", "positive_per_nat", "after", None))
_MOST_VALUES, _MOST_LAYERS = 12, 24
_FLOOR = 2.0**-6  # where a multiplier of zero is drawn


def cumulative(query: Mapping[str, Any]) -> Markup | None:
    """Draw influence per nat summed over the first k documents against k, k on a logarithmic axis."""
    series = [(name, _points(rows(query, "curve"), key), style, dash) for name, key, style, dash in _SERIES]
    series = [entry for entry in series if entry[1]]
    if not series:
        return None
    places = [k for _, points, _, _ in series for k, _ in points]
    least, most = math.log10(min(places)), math.log10(max(places))
    pad = 0.2 if least == most else 0.0
    right = max(1.1 * text_width(name) for name, *_ in series) + 14
    x = Scale(low=least - pad, high=most + pad, start=_LEFT, end=WIDTH - right)
    low, high = domain([value for _, points, _, _ in series for _, value in points], include=(0.0,))
    y = Scale(low=low, high=high, start=HEIGHT - _BOTTOM, end=10)
    said = "; ".join(f"{name}: {_said(points)}" for name, points, _, _ in series)
    curves = [_curve(name, points, style, dash, x, y) for name, points, style, dash in series]
    names = _names([(name, points, style) for name, points, style, _ in series], x, y)
    return figure("Influence summed over the first documents", said, WIDTH, HEIGHT, _axes(x, y), *curves, names)


def _points(entries: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    found = [
        (k, value)
        for entry in entries
        if (k := finite(entry.get("k"))) is not None and k > 0 and (value := finite(entry.get(key))) is not None
    ]
    return thinned(sorted(found), 120)


def _said(points: Sequence[tuple[float, float]]) -> str:
    shown = points if len(points) <= 12 else [points[0], points[len(points) // 2], points[-1]]
    return ", ".join(f"first {formats.count(k)}: {amount(value)}" for k, value in shown)


def _axes(x: Scale, y: Scale) -> Markup:
    powers = list(range(math.ceil(x.low - 1e-9), math.floor(x.high + 1e-9) + 1))
    say = axis_text(amount)
    zero = [element("line", x1=_LEFT, x2=x.end, y1=y.at(0), y2=y.at(0), class_="reference")] if y.low < 0 else []
    return element(
        "g",
        *(element("line", x1=_LEFT - 6, x2=x.end + 4, y1=y.at(v), y2=y.at(v), class_="grid") for v in y.ticks()),
        *(label(_LEFT - 10, y.at(v) + 4, say(v), anchor="end", class_="tick") for v in y.ticks()),
        *(element("line", x1=x.at(p), x2=x.at(p), y1=y.start, y2=y.start + 4, class_="grid") for p in powers),
        *(label(x.at(p), HEIGHT - 23, formats.large(10**p), anchor="middle", class_="tick") for p in powers),
        *zero,
        label((x.start + x.end) / 2, HEIGHT - 5, "first k documents", anchor="middle", class_="axis-name"),
    )


def _curve(
    name: str, points: Sequence[tuple[float, float]], style: str, dash: str | None, x: Scale, y: Scale
) -> Markup:
    at = [(x.at(math.log10(k)), y.at(value)) for k, value in points]
    return element(
        "g",
        element("title", f"{name}: {_said(points)}"),
        element(
            "polyline", points=" ".join(f"{number(u)},{number(v)}" for u, v in at), fill="none", stroke="currentColor",
            stroke_width=2, stroke_linejoin="round", stroke_dasharray=dash,
        ),
        *(element("circle", cx=u, cy=v, r=3, class_="solid") for u, v in (at if len(at) <= 24 else at[-1:])),
        class_=f"series-{style}",
    )  # fmt: skip


def _names(series: Sequence[tuple[str, Sequence[tuple[float, float]], str]], x: Scale, y: Scale) -> Markup:
    ends = sorted((y.at(points[-1][1]), x.at(math.log10(points[-1][0])), i) for i, (_, points, _) in enumerate(series))
    heights = spread([end[0] for end in ends], gap=15, low=y.end, high=y.start)
    return element(
        "g",
        *(
            label(min(at, x.end) + 9, height + 4, series[i][0], class_=f"series-{series[i][2]} name")
            for height, (_, at, i) in zip(heights, ends, strict=True)
        ),
    )


def source_panels(query: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """Draw, per label, how over-represented its values are in both tails; one chart per label, at its middle k."""
    found = rows(query, "sources")
    panels = []
    for name in dict.fromkeys(str(row.get("label") or "label") for row in found):
        own = [row for row in found if str(row.get("label") or "label") == name]
        sizes = sorted({k for row in own if (k := finite(row.get("k"))) is not None})
        k = sizes[len(sizes) // 2] if sizes else None
        chart = _source_bars(name, [row for row in own if finite(row.get("k")) == k])
        if chart is not None:
            among = f" among the first and last {formats.count(k)} documents" if k is not None else ""
            panels.append((f"By {name},{among}".rstrip(","), chart))
    return panels


def _source_bars(name: str, found: Sequence[Mapping[str, Any]]) -> Markup | None:
    groups = []
    for row in sorted(found, key=lambda row: -(finite(row.get("corpus_share")) or 0.0)):
        dots = [
            dot
            for tail, style in (("top", "after"), ("bottom", "original"))
            if (dot := _multiplier(f"{tail} of the ranking", row.get(f"{tail}_multiplier"), style)) is not None
        ]
        if dots:
            groups.append((str(row.get("value") or "(none)"), dots))
    if not groups:
        return None
    return interval_bars(
        f"Over-representation by {name}", groups[:_MOST_VALUES], tick=_tick, text=_interval, bounds=(-1.0, 1.0),
        width=WIDTH, legend=True, label_width=150.0,
    )  # fmt: skip


def _multiplier(name: str, cell: Any, style: str) -> Dot | None:
    """Return a multiplier, with its interval where it has one, on the doubling axis."""
    parts = cell if isinstance(cell, Mapping) else {"value": cell}
    value = finite(parts.get("value"))
    if value is None or value < 0:
        return None
    low, high = (finite(parts.get(key)) for key in ("low", "high"))
    ends = [value if end is None else max(0.0, end) for end in (low, high)]
    places = [math.log2(max(_FLOOR, end)) for end in (value, *ends)]
    return Dot(label=name, value=places[0], low=places[1], high=places[2], style=style)


def _times(power: float) -> str:
    if power <= math.log2(_FLOOR):
        return "×0"
    return f"×{amount(float(f'{2.0**power:.2g}'))}"


def _tick(power: float) -> str:
    """Write a place of the doubling axis: `×4`, `×1/4`."""
    if power <= math.log2(_FLOOR):
        return "×0"
    return f"×1/{amount(2.0**-power)}" if power < 0 and power == round(power) else _times(power)


def _interval(dot: Dot) -> str:
    if dot.low == dot.high:
        return _times(dot.value)
    low, high = (_times(end).removeprefix("×") for end in (dot.low, dot.high))
    return f"{_times(dot.value)} ({low}–{high})"


def source_rows(query: Mapping[str, Any]) -> list[list[str]]:
    """Return the numbers of `source_panels` for every k as text."""

    def times(cell: Any) -> str:
        text = estimate(cell)
        return text if text == formats.NOTHING else f"×{text}"

    return [
        [
            str(row.get("label") or "label"),
            str(row.get("value") or "(none)"),
            formats.count(row.get("k")),
            formats.percent(row.get("corpus_share")),
            formats.percent(row.get("top_share")),
            times(row.get("top_multiplier")),
            formats.percent(row.get("bottom_share")),
            times(row.get("bottom_multiplier")),
        ]
        for row in rows(query, "sources")
    ]


def layer_bars(query: Mapping[str, Any]) -> Markup | None:
    """Draw each layer's share of the influence of the top documents."""
    dots = [
        (str(row.get("name") or "?"), Dot(label="share", value=share, low=share, high=share, style=style))
        for row in rows(query, "layers")
        if (share := finite(row.get("share"))) is not None and (style := "after" if share >= 0 else "original")
    ]
    if not dots:
        return None
    shown = dots if len(dots) <= _MOST_LAYERS else sorted(dots, key=lambda pair: -abs(pair[1].value))[:_MOST_LAYERS]
    groups = [(name, [dot]) for name, dot in shown]
    title = "Share of each layer in the influence"
    return interval_bars(title, groups, tick=formats.percent, text=_share, width=WIDTH, label_width=230.0)


def _share(dot: Dot) -> str:
    return formats.percent(dot.value)


def answer_rows(query: Mapping[str, Any]) -> list[list[str]]:
    """Return how many of the first k documents contain the answer, beside the whole corpus."""
    return [
        [formats.count(row.get("k")), formats.estimate(_cell(row.get("top_share"))), _rare(row.get("corpus_share"))]
        for row in rows(query, "answers")
    ]


def curve_rows(query: Mapping[str, Any]) -> list[list[str]]:
    """Return the numbers of `cumulative` as text, at most forty of them."""
    found = rows(query, "curve")
    every = max(1, -(-len(found) // 40))
    return [
        [formats.count(row.get("k")), signed(row.get("total_per_nat")), signed(row.get("positive_per_nat"))]
        for row in found[::every]
    ]


def _cell(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {"value": value}


def _rare(share: Any) -> str:
    """Write a share in per cent; three digits below one per cent, where `0.0 %` would say nothing."""
    value = finite(share)
    if value is None or value == 0 or abs(value) >= 0.01:
        return formats.percent(share)
    return f"{amount(100 * value)}{formats.NARROW_SPACE}%"
