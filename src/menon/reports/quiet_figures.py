"""The pictures of the Quiet-STaR reports: bars with intervals, and curves over the steps of training.

Every function returns inline SVG; series differ in colour and in dash, never in colour alone.
Left out: smoothing; a curve with more points than pixels shows every n-th of them and says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from menon.reports import formats
from menon.reports.charts import WIDTH, Dot, noted, spread
from menon.reports.formats import finite
from menon.reports.quiet_words import gain, gain_of, nats, weight
from menon.reports.reading import dot, rows
from menon.reports.scales import Scale, domain
from menon.reports.svg import clipped, element, figure, label, number, text_width

MOST_POINTS = 240
_BAR, _GAP = 13.0, 9.0
_BOLD = 1.1  # how much wider bold letters are


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One series over steps: (step, value) in the order of training."""

    name: str
    style: str
    points: Sequence[tuple[float, float]]
    dash: str | None = None


def interval_bars(
    title: str,
    groups: Sequence[tuple[str, Sequence[Dot]]],
    *,
    tick: Callable[[float], str],
    text: Callable[[Dot], str],
    bounds: tuple[float, float] = (0.0, 0.0),
    width: float = WIDTH,
    legend: bool = False,
    label_width: float = 190.0,
) -> Markup:
    """Draw one bar from zero per estimate with its interval and its numbers; the bars of a group share one name."""
    dots = [d for _, group in groups for d in group]
    low, high = domain([v for d in dots for v in (d.low, d.high, d.value)], include=(0.0, *bounds))
    left = min(label_width, max((text_width(name) for name, _ in groups), default=0.0)) + 12
    right = max((text_width(text(d)) for d in dots), default=0.0) + 10
    scale = Scale(low=low, high=high, start=left, end=max(left + 60, width - right))
    key, top = _legend(dots) if legend else (Markup(""), 4.0)
    marks: list[Markup] = []
    y = top
    for name, group in groups:
        middle = y + max(1, len(group)) * (_BAR + 2) / 2
        marks.append(label(0, middle + 3, clipped(name, left - 10)))
        for item in group:
            marks.append(_bar(name, item, scale, y, width, text(item)))
            y += _BAR + 2
        y += _GAP if group else _BAR + 2 + _GAP
    axis = _value_axis(scale, top, y, tick)
    description = "; ".join(f"{name}, {d.label}: {text(d)}{noted(d)}" for name, group in groups for d in group)
    return figure(title, description, width, y + 20, axis, key, *marks)


def _bar(name: str, item: Dot, scale: Scale, y: float, width: float, words: str) -> Markup:
    ends = sorted((scale.at(0), scale.at(item.value)))
    middle = y + _BAR / 2
    hollow = item.style == "neutral"
    return element(
        "g",
        element("title", f"{name}, {item.label}: {words}{noted(item)}"),
        element(
            "rect", x=ends[0], y=y, width=max(0.75, ends[1] - ends[0]), height=_BAR, fill="currentColor",
            fill_opacity=0.28 if hollow else 0.6,
        ),
        element("line", x1=scale.at(item.low), x2=scale.at(item.high), y1=middle, y2=middle, class_="cap"),
        *(
            element("line", x1=scale.at(v), x2=scale.at(v), y1=middle - 4, y2=middle + 4, class_="cap")
            for v in (item.low, item.high)
        ),
        label(width, middle + 4, words, anchor="end", class_="value"),
        class_=f"series-{item.style}",
    )  # fmt: skip


def _legend(dots: Sequence[Dot]) -> tuple[Markup, float]:
    kinds = {d.label: d.style for d in dots}
    marks, x = [], 0.0
    for name, style in kinds.items():
        box = element(
            "rect", x=x, y=2, width=11, height=11, fill="currentColor", fill_opacity=0.28 if style == "neutral" else 0.6
        )
        marks.append(element("g", box, class_=f"series-{style}"))
        marks.append(label(x + 16, 12, name, class_="tick"))
        x += text_width(name) + 34
    return element("g", *marks), 26.0


def _value_axis(scale: Scale, top: float, bottom: float, tick: Callable[[float], str]) -> Markup:
    ticks = scale.ticks(5)
    widest = max(text_width(tick(value), 11) for value in ticks)
    every = 1 if abs(scale.at(ticks[-1]) - scale.at(ticks[0])) > len(ticks) * (widest + 4) else 2
    zero = element("line", x1=scale.at(0), x2=scale.at(0), y1=top, y2=bottom, class_="reference")
    return element(
        "g",
        *(element("line", x1=scale.at(v), x2=scale.at(v), y1=top, y2=bottom, class_="grid") for v in ticks),
        *(label(scale.at(v), bottom + 14, tick(v), anchor="middle", class_="tick") for v in ticks[::every]),
        zero if scale.low < 0 else Markup(""),
    )


def over_steps(
    title: str,
    series: Sequence[Curve],
    *,
    tick: Callable[[float], str],
    bounds: Sequence[float] = (),
    stages: Sequence[tuple[float, str]] = (),
    width: float = WIDTH,
    height: float = 216.0,
) -> Markup | None:
    """Draw curves over the steps of training; `stages` are named upright lines. None where nothing can be drawn."""
    kept = [curve for curve in series if curve.points]
    if not kept:
        return None
    marks, description = _plot(kept, tick=tick, bounds=bounds, stages=stages, width=width, height=height)
    return figure(title, description, width, height, marks)


def grid_of_plots(
    title: str, panels: Sequence[tuple[str, Sequence[Curve], Callable[[float], str], Sequence[float]]], *, width: float
) -> Markup | None:
    """Draw up to four named plots over steps, two in a row, as one picture for documents."""
    drawn = [
        (name, [c for c in series if c.points], tick, bounds)
        for name, series, tick, bounds in panels
        if any(c.points for c in series)
    ]
    if not drawn:
        return None
    wide, high = (width - 24) / 2, 250.0
    marks, said = [], []
    for i, (name, series, tick, bounds) in enumerate(drawn):
        plot, description = _plot(series, tick=tick, bounds=bounds, stages=(), width=wide, height=high - 34)
        x, y = (i % 2) * (wide + 24), (i // 2) * high
        place = f"translate({number(x)} {number(y + 22)})"
        marks += [label(x, y + 13, name, class_="heading"), element("g", plot, transform=place)]
        said.append(f"{name}: {description}")
    used = wide if len(drawn) == 1 else width
    return figure(title, ". ".join(said), used, high * ((len(drawn) + 1) // 2) - 10, *marks)


def _plot(
    series: Sequence[Curve],
    *,
    tick: Callable[[float], str],
    bounds: Sequence[float],
    stages: Sequence[tuple[float, str]],
    width: float,
    height: float,
) -> tuple[Markup, str]:
    steps = [step for curve in series for step, _ in curve.points]
    low, high = domain([value for curve in series for _, value in curve.points], include=bounds)
    named = len(series) > 1
    names = max(_BOLD * text_width(curve.name) for curve in series) if named else 0.0
    right = min(names, 0.42 * width) + 16
    last = max(steps) if max(steps) > min(steps) else min(steps) + 1
    x = Scale(low=min(0.0, *steps), high=last, start=50, end=width - right)
    y = Scale(low=low, high=high, start=height - 38, end=16 if stages else 10)
    marks = [_axes(x, y, height, tick), *(_stage(x.at(step), y, name) for step, name in stages)]
    marks += [_curve(curve, x, y, tick) for curve in series]
    if named:
        marks.append(_names(series, x, y, right - 16))
    return element("g", *marks), "; ".join(_said(curve, tick) for curve in series)


def _axes(x: Scale, y: Scale, height: float, tick: Callable[[float], str]) -> Markup:
    steps = x.ticks(4)
    return element(
        "g",
        *(element("line", x1=44, x2=x.end + 2, y1=y.at(v), y2=y.at(v), class_="grid") for v in y.ticks()),
        *(label(40, y.at(v) + 4, tick(v), anchor="end", class_="tick") for v in y.ticks()),
        *(label(x.at(v), height - 22, formats.large(v), anchor="middle", class_="tick") for v in steps),
        label((x.start + x.end) / 2, height - 5, "step", anchor="middle", class_="axis-name"),
    )


def _stage(x: float, y: Scale, name: str) -> Markup:
    return element(
        "g",
        element("line", x1=x, x2=x, y1=y.end - 4, y2=y.start, class_="reference"),
        label(x + 3, y.end - 5, name, class_="tick"),
    )


def _curve(curve: Curve, x: Scale, y: Scale, tick: Callable[[float], str]) -> Markup:
    at = [(x.at(step), y.at(value)) for step, value in thinned(curve.points)]
    path = " ".join(f"{number(u)},{number(v)}" for u, v in at)
    ends = [at[-1]] if len(at) > 40 else at
    return element(
        "g",
        element("title", _said(curve, tick)),
        element(
            "polyline", points=path, fill="none", stroke="currentColor", stroke_width=1.8, stroke_linejoin="round",
            stroke_dasharray=curve.dash,
        ),
        *(element("circle", cx=u, cy=v, r=3 if len(at) > 12 else 3.5, class_="solid") for u, v in ends),
        class_=f"series-{curve.style}",
    )  # fmt: skip


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Return every n-th point, counted from the last one back, so that at most `most` are left."""
    every = -(-len(points) // most)
    return list(points[(len(points) - 1) % every :: every]) if points else []


def _said(curve: Curve, tick: Callable[[float], str]) -> str:
    points = curve.points
    if len(points) <= 12:
        return f"{curve.name}: " + ", ".join(f"step {formats.count(step)} {tick(value)}" for step, value in points)
    values = [value for _, value in points]
    ends = " to ".join(f"{tick(value)} at step {formats.count(step)}" for step, value in (points[0], points[-1]))
    return f"{curve.name}: from {ends}, lowest {tick(min(values))}, highest {tick(max(values))}"


def _names(series: Sequence[Curve], x: Scale, y: Scale, room: float) -> Markup:
    """Write each name right of the plot at the height of its curve's end, pushed apart where two would overlap."""
    ends = sorted(((y.at(curve.points[-1][1]), i) for i, curve in enumerate(series)), key=lambda end: end[0])
    heights = spread([end[0] for end in ends], gap=14, low=y.end, high=y.start)
    named = [(height, series[i]) for height, (_, i) in zip(heights, ends, strict=True)]
    return element(
        "g",
        *(
            label(x.end + 10, height + 4, clipped(curve.name, room / _BOLD), class_=f"series-{curve.style} name")
            for height, curve in named
        ),
    )


def points_of(entries: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """Return (step, value) of a recorded quantity; entries where either is not a finite number are left out."""
    found = []
    for entry in entries:
        step, value = finite(entry.get("step")), finite(entry.get(name))
        if step is not None and value is not None:
            found.append((step, value))
    return found


def training_panels(report: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """Draw reward, its spread, the mixing weight and the losses over the steps of one run."""
    entries = rows(report, "curve")
    stages = _stages(entries)

    def curve(name: str, key: str, style: str, dash: str | None = None) -> Curve:
        return Curve(name=name, style=style, points=points_of(entries, key), dash=dash)

    panels = (
        ("Reward (nats)", [curve("reward", "reward", "after")], nats, (0.0,)),
        ("Spread of the reward (nats)", [curve("spread", "reward_std", "fresh")], nats, (0.0,)),
        ("Mean weight of the thoughts", [curve("weight", "weight", "direct")], weight, (0.0, 1.0)),
        (
            "Losses of text and talk (nats)",
            [curve("text", "text_loss", "neutral", "6 3"), curve("talk", "talk_loss", "after")],
            nats,
            (),
        ),
        ("Policy loss", [curve("policy", "policy_loss", "original")], nats, ()),
        ("Total loss", [curve("loss", "loss", "neutral")], nats, ()),
    )
    drawn = [(title, over_steps(title, series, tick=axis_text(tick), bounds=bounds, stages=stages))
             for title, series, tick, bounds in panels]  # fmt: skip
    return [(title, chart) for title, chart in drawn if chart is not None]


def axis_text(say: Callable[[float], str]) -> Callable[[float], str]:
    """Write ticks as `say` does, without the zeros that all of them end in."""

    def written(value: float) -> str:
        text = say(value)
        return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text

    return written


def _stages(entries: Sequence[Mapping[str, Any]]) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    for entry in entries:
        step, stage = finite(entry.get("step")), finite(entry.get("stage"))
        if step is not None and stage is not None and (not found or found[-1][1] != f"stage {stage:g}"):
            found.append((step, f"stage {stage:g}"))
    return found if len(found) > 1 else []


def hardness_bars(bands: Sequence[Mapping[str, Any]], *, width: float = 520.0) -> Markup | None:
    """Draw the gain of thinking per band of hardness."""
    groups = []
    for band in bands:
        found = dot({"n": band.get("n"), **_cell(band.get("gain"))}, "gain", style="after")
        if found is not None:
            style = "after" if found.value >= 0 else "original"
            shown = Dot(label="gain", value=found.value, low=found.low, high=found.high, style=style, note=found.note)
            groups.append((str(band.get("bin") or "?"), [shown]))
    if not groups:
        return None
    title = "Gain of thinking by hardness of the token"
    return interval_bars(title, groups, tick=axis_text(gain), text=gain_of, width=width)


def _cell(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {"value": value}
