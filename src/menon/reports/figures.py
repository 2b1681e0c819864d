"""Which pictures a report shows: from the sections of report.json to charts."""

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from menon.reports import formats
from menon.reports.blocks import Bar, heat_map, stacked_bars
from menon.reports.charts import Dot, Line, dot_intervals, lines
from menon.reports.reading import difficulty_name, dot, families, rows, section

PHASES = ("before", "direct", "after")
Report = Mapping[str, Any]


def accuracy_panels(report: Report) -> list[tuple[str, Markup]]:
    """Draw before, direct and after per family: over all problems, and on the hard band."""
    panels = []
    for family in families(report):
        dots = [
            *_phases(section(report, "accuracy").get(family), "all problems"),
            *_phases(section(report, "hard_band").get(family), "hard band"),
        ]
        if dots:
            panels.append((family, dot_intervals(f"Accuracy on {family} with 95 % intervals", dots)))
    return panels


def _phases(cells: Any, group: str) -> list[Dot]:
    found = cells if isinstance(cells, Mapping) else {}
    return _present(dot(found.get(phase), phase, style=phase, group=group) for phase in PHASES)


def _present(dots: Iterable[Dot | None]) -> list[Dot]:
    return [found for found in dots if found is not None]


def difficulty_panels(report: Report) -> list[tuple[str, Markup]]:
    """Draw accuracy along difficulty per family; the band is the interval; the direct control has none."""
    panels = []
    for family, phases in section(report, "by_difficulty").items():
        series = []
        for phase in PHASES:
            cells = rows(phases, phase) if isinstance(phases, Mapping) else []
            points = _present(dot(cell, _place(cell, "difficulty"), style=phase) for cell in cells)
            if points:
                series.append(Line(name=phase, style=phase, points=points, band=phase != "direct"))
        if series:
            title = f"Accuracy on {family} by difficulty"
            panels.append((family, lines(title, series, x_name=difficulty_name(report, family))))
    return panels


def _place(cell: Mapping[str, Any], key: str) -> str:
    return str(cell.get(key, "?"))


def round_panels(report: Report) -> list[tuple[str, Markup]]:
    """Draw a heat map of difficulty by round per family; round 0 is the model before teaching."""
    panels = []
    for family in section(report, "by_round"):
        cells: dict[tuple[str, str], Dot] = {}
        unit = difficulty_name(report, family)
        for cell in rows(section(report, "by_round"), family):
            place = _place(cell, "difficulty"), _place(cell, "round")
            found = dot(cell, f"{unit} {place[0]}, round {place[1]}", style="after")
            if found:
                cells[place] = found
        if cells:
            title = f"Accuracy on {family} by {unit} and round"
            panels.append((family, heat_map(title, cells, row_name=unit, column_name="round (0 = before)")))
    return panels


def share_panel(report: Report) -> Markup | None:
    """Draw the recitation share of every family before and after as a forest plot."""
    dots = []
    for family, cells in section(report, "recitation_share").items():
        if isinstance(cells, Mapping):
            dots += _present(dot(cells.get(p), p, style=p, group=family) for p in ("before", "after"))
    return dot_intervals("Recitation share per family with 95 % intervals", dots) if dots else None


def known_panel(report: Report) -> Markup | None:
    """Draw the recitation share of the scripted stand-ins, whose nature is known, on the same axis."""
    dots = []
    for known in rows(report, "known_answers"):
        name = str(known.get("name", "?")).removeprefix("scripted:")
        dots += _present([dot(known.get("share"), name, style="neutral")])
    return dot_intervals("Recitation share of models whose nature is known", dots) if dots else None


def surface_panel(report: Report) -> Markup | None:
    """Draw accuracy on originals beside accuracy on fresh instances; the gap between them is recitation."""
    dots = []
    for family, cells in section(report, "recitation_share").items():
        for phase in ("before", "after"):
            cell = cells.get(phase) if isinstance(cells, Mapping) else None
            if isinstance(cell, Mapping):
                group = f"{family}, {phase}"
                dots += _present(dot(cell.get(kind), kind, style=kind, group=group) for kind in ("original", "fresh"))
    return dot_intervals("Accuracy on originals and on fresh instances of the same templates", dots) if dots else None


def paired_panel(report: Report) -> Markup | None:
    """Draw the paired difference after minus before per family, in percentage points."""
    dots = []
    for family, cell in section(report, "paired").items():
        if isinstance(cell, Mapping):
            dots += _present([dot({**cell, "value": cell.get("difference")}, family, style="after")])
    if not dots:
        return None
    title = "Change of accuracy, after minus before, in percentage points"
    return dot_intervals(title, dots, bounds=(-0.1, 0.1), reference=0.0, text=_change, tick=formats.points)


def _change(dot: Dot) -> str:
    return f"{formats.points(dot.value)} ({formats.points(dot.low)} to {formats.points(dot.high)})"


def climb_panel(report: Report) -> Markup | None:
    """Draw accuracy on the hard band of every family over the rounds."""
    climbs: dict[str, list[Dot]] = {}
    for family, cells in section(report, "hard_band").items():
        start = dot(cells.get("before"), "0", style="neutral") if isinstance(cells, Mapping) else None
        climbs[family] = _present([start])
    rounds = rows(report, "rounds")
    for entry in rounds:
        for family, value in section(entry, "hard_band").items():
            cell = value if isinstance(value, Mapping) else {"value": value}
            climbs.setdefault(family, []).extend(_present([dot(cell, _place(entry, "round"), style="neutral")]))
    series = [
        Line(name=family, style=str(i % 4), points=points, band=False)
        for i, (family, points) in enumerate(climbs.items())
        if len(points) > 1
    ]
    return lines("Accuracy on the hard band over the rounds", series, x_name="round (0 = before)") if series else None


def dropped_panel(report: Report) -> Markup | None:
    """Draw how many samples each round dropped, cut by reason."""
    bars = []
    for entry in rows(report, "rounds"):
        reasons = {
            name: value for name, amount in section(entry, "dropped").items() if (value := formats.finite(amount))
        }
        bars.append(Bar(label=f"round {_place(entry, 'round')}", segments=reasons))
    return stacked_bars("Samples dropped per round, by reason", bars) if any(b.segments for b in bars) else None


def stages_panel(report: Report) -> Markup | None:
    """Draw the seconds that each stage took."""
    stages = rows(section(report, "cost"), "stages")
    bars = [
        Bar(label=str(stage.get("name", "?")), segments={"time": seconds})
        for stage in stages
        if (seconds := formats.finite(stage.get("seconds"))) is not None
    ]
    return stacked_bars("Time per stage", bars, text=formats.duration) if bars else None
