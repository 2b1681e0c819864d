"""A comparison of ways of teaching as a Markdown page with its pictures: what each arm did from the same base."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from menon.reports.charts import Dot, Line, dot_intervals, lines
from menon.reports.svg import standalone
from menon.store import atomic_write

PAGE = "arms.md"


def write_arms(run_dir: Path, report: Mapping[str, Any]) -> Path:
    """Write `arms.md` and its SVG pictures into `run_dir` from a comparison's report; return the page's path."""
    families = list(next(iter(report["arms"].values()))["accuracy"])
    page = [_hard_band(report, family) for family in families]
    page += [_by_difficulty(report, family) for family in families]
    page.append(_rounds(report))
    for family in families:
        atomic_write(run_dir / f"arms-{family}.svg", standalone(_arms_picture(report, family)))
        atomic_write(run_dir / f"rounds-{family}.svg", standalone(_rounds_picture(report, family)))
    atomic_write(run_dir / PAGE, "\n\n".join(page) + "\n")
    return run_dir / PAGE


def interval(cell: Mapping[str, Any]) -> str:
    """Write `value [low, high]` in percent, or a dash."""
    if cell["value"] is None:
        return "-"
    return f"{100 * cell['value']:.0f} [{100 * cell['low']:.0f}, {100 * cell['high']:.0f}]"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Write a Markdown table, the first column to the left and the others to the right."""
    lines_ = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines_)


def _hard_band(report: Mapping[str, Any], family: str) -> str:
    rounds = max(len(arm["accuracy"][family]) for arm in report["arms"].values())
    head = ["arm", "base", *(f"round {n}" for n in range(1, rounds)), "each seed, last round"]
    rows = []
    for name, arm in report["arms"].items():
        cells = arm["accuracy"][family]
        marks = [interval(cell["hard_band"]) for cell in cells] + [""] * (rounds - len(cells))
        seeds = " / ".join(f"{100 * (c['value'] or 0):.0f}" for c in cells[-1]["hard_band_by_seed"])
        rows.append([name, *marks, seeds])
    return f"### {family}, hard band (percent right, 95 % interval)\n\n{table(head, rows)}"


def _by_difficulty(report: Mapping[str, Any], family: str) -> str:
    first = next(iter(report["arms"].values()))["accuracy"][family][0]["by_difficulty"]
    rows = [["base", *(f"{100 * v:.0f}" for v in first.values())]]
    for name, arm in report["arms"].items():
        rows.append([name, *(f"{100 * v:.0f}" for v in arm["accuracy"][family][-1]["by_difficulty"].values())])
    return f"### {family}, by difficulty after the last round (percent right)\n\n{table(['arm', *first], rows)}"


def _rounds(report: Mapping[str, Any]) -> str:
    head = ["arm", "round", "asked", "right", "kept", "rationalised", "unsound", "steps", "tokens trained", "seconds"]
    rows = []
    for name, arm in report["arms"].items():
        for reports in zip(*arm["rounds"], strict=True):
            mean = {
                key: sum(r[key] for r in reports) / len(reports) for key in (*head[2:8], "trained_tokens", "seconds")
            }
            numbers = [f"{mean[key]:,.0f}" for key in (*head[2:8], "trained_tokens", "seconds")]
            rows.append([name, str(reports[0]["round"]), *numbers])
    return f"### What each round did (mean over the seeds)\n\n{table(head, rows)}"


def _arms_picture(report: Mapping[str, Any], family: str) -> Any:
    base = next(iter(report["arms"].values()))["accuracy"][family][0]["hard_band"]
    dots = [_dot("base", base, "before")]
    for name, arm in report["arms"].items():
        style = "direct" if name in ("direct", "gold", "unfiltered", "random-reward") else "after"
        dots.append(_dot(name, arm["accuracy"][family][-1]["hard_band"], style))
    return dot_intervals(f"{family}: hard band after the last round", dots, width=520)


def _rounds_picture(report: Mapping[str, Any], family: str) -> Any:
    rows = next(iter(report["arms"].values()))["accuracy"][family]
    series = []
    for i, row in enumerate(rows):
        points = [Dot(label=level, value=v, low=v, high=v) for level, v in row["by_difficulty"].items()]
        name = "base" if i == 0 else f"round {row['round']}"
        style = "before" if i == 0 else "after" if i == len(rows) - 1 else str(i)
        series.append(Line(name=name, style=style, points=points, band=False))
    return lines(f"{family}: accuracy by difficulty and round", series, x_name="difficulty", width=520)


def _dot(name: str, cell: Mapping[str, Any], style: str) -> Dot:
    return Dot(label=name, value=cell["value"] or 0.0, low=cell["low"], high=cell["high"], style=style)
