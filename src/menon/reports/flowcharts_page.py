"""Chain of thought against a flowchart as Markdown tables and pictures: accuracy for each number of steps."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from menon.reports.arms import table
from menon.reports.charts import Dot, Line, lines
from menon.reports.svg import standalone
from menon.store import atomic_write

PAGE = "flowcharts.md"
STYLES = {"chain of thought": "before", "self-consistency, equal calls": "direct", "oracle flowchart": "after"}
NOISY, PREDICTED = "original", "neutral"


def write_flowcharts(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write `flowcharts.md` and one picture per family into `folder`; return the page's path."""
    parts = []
    for family, arms in report["families"].items():
        atomic_write(folder / f"flowcharts-{family}.svg", standalone(picture(family, arms)))
        parts += [f"### {family}", f"![accuracy against steps](flowcharts-{family}.svg)", *_tables(arms)]
    atomic_write(folder / PAGE, "\n\n".join(parts) + "\n")
    return folder / PAGE


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """Return the summary for a terminal: each arm's accuracy over all numbers of steps."""
    found = []
    for family, arms in report["families"].items():
        for name, arm in arms.items():
            cells = arm["cells"]
            share = sum(cell["value"] * cell["asked"] for cell in cells) / sum(cell["asked"] for cell in cells)
            step = f", single step {100 * arm['step']['p']:.1f} %" if arm["step"] else ""
            back = f", fell back {arm['fallbacks']} times" if arm["fallbacks"] is not None else ""
            found.append(f"{family}, {name}: {100 * share:.0f} %{step}{back}")
    return found


def picture(family: str, arms: Mapping[str, Any]) -> Markup:
    """Draw accuracy against steps with intervals, and p to the n of the noisiest flowchart arm."""
    noisy = _noisiest(arms)
    series = [_line(name, arm, STYLES[name]) for name, arm in arms.items() if name in STYLES]
    if noisy is not None:
        series.append(_line(noisy, arms[noisy], NOISY))
        points = [
            Dot(label=str(c["difficulty"]), value=c["predicted"], low=c["predicted"], high=c["predicted"])
            for c in arms[noisy]["cells"]
        ]
        series.append(Line(name=f"p^n, p = {arms[noisy]['step']['p']:.3f}", style=PREDICTED, points=points, band=False))
    return lines(f"{family}: accuracy against steps", series, x_name="steps", width=640, height=300)


def _noisiest(arms: Mapping[str, Any]) -> str | None:
    asked = {name: arm["step"]["p"] for name, arm in arms.items() if arm["step"] and name not in STYLES}
    return min(asked, key=lambda name: asked[name]) if asked else None


def _line(name: str, arm: Mapping[str, Any], style: str) -> Line:
    points = [Dot(label=str(c["difficulty"]), value=c["value"], low=c["low"], high=c["high"]) for c in arm["cells"]]
    return Line(name=name, style=style, points=points)


def _tables(arms: Mapping[str, Any]) -> list[str]:
    """Return accuracy by steps, with p to the n behind the arms that ask single steps, and what each arm cost."""
    columns: list[list[str]] = [["steps", *_of(next(iter(arms.values())), lambda cell: str(cell["difficulty"]))]]
    for name, arm in arms.items():
        columns.append([name, *_of(arm, _percent)])
        if arm["step"] and arm["step"]["p"] < 1:
            columns.append([f"its p^n, p = {arm['step']['p']:.4f}", *_of(arm, lambda c: f"{100 * c['predicted']:.0f}")])
    head, *rows = (list(row) for row in zip(*columns, strict=True))
    costs = ["arm", "calls", "tokens", "steps right", "p [95 %]", "notes"]
    return [table(head, rows), table(costs, _costs(arms))]


def _of(arm: Mapping[str, Any], write: Callable[[Mapping[str, Any]], str]) -> list[str]:
    return [write(cell) for cell in arm["cells"]]


def _percent(cell: Mapping[str, Any]) -> str:
    return f"{100 * cell['value']:.0f} [{100 * cell['low']:.0f}, {100 * cell['high']:.0f}]"


def _costs(arms: Mapping[str, Any]) -> list[list[str]]:
    """Return per arm the mean calls and tokens of a problem, its single steps, and what is to be noted."""
    rows = []
    for name, arm in arms.items():
        cells, step, notes = arm["cells"], arm["step"], []
        asked = sum(cell["asked"] for cell in cells)
        mean = {key: sum(cell[key] * cell["asked"] for cell in cells) / asked for key in ("calls", "tokens")}
        if arm["fallbacks"] is not None:
            notes.append(f"fell back {arm['fallbacks']} of {asked}")
        if arm["kept_chain"] is not None:
            notes.append(f"the chain stood {arm['kept_chain']} of {asked}")
        if mended := sum(cell["right_with_a_wrong_step"] for cell in cells):
            notes.append(f"right with a wrong step: {mended}")
        notes += [f"{n} {verdict}" for verdict, n in arm["verdicts"].items() if n and verdict not in ("right", "wrong")]
        single = [f"{step['right']:,} of {step['asked']:,}", _p(step)] if step else ["", ""]
        rows.append([name, f"{mean['calls']:.1f}", f"{mean['tokens']:.0f}", *single, "; ".join(notes)])
    return rows


def _p(step: Mapping[str, Any]) -> str:
    return f"{step['p']:.4f} [{step['low']:.4f}, {step['high']:.4f}]"
