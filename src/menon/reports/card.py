"""The model card of a pre-trained model as Markdown tables with its loss curve."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from menon.reports.arms import interval, table
from menon.reports.charts import Dot, Line, lines
from menon.reports.svg import standalone
from menon.store import atomic_write

PAGE = "card.md"


def write_card(run_dir: Path, report: Mapping[str, Any]) -> Path:
    """Write `card.md`, `loss.svg` and `probe.svg` into `run_dir` from a pre-training report; return the page's path."""
    atomic_write(run_dir / "loss.svg", standalone(_loss(report)))
    atomic_write(run_dir / "probe.svg", standalone(_probe(report)))
    families = {name for cells in report["card"].values() for name in cells}
    page = [_accuracy(report, name) for name in sorted(families)]
    page.append(_curve(report))
    atomic_write(run_dir / PAGE, "\n\n".join(page) + "\n")
    return run_dir / PAGE


def _accuracy(report: Mapping[str, Any], family: str) -> str:
    modes = {mode: cells[family] for mode, cells in report["card"].items() if family in cells}
    levels = list(dict.fromkeys(level for cells in modes.values() for level in cells))
    rows = [[mode, *(interval(cells[d]) if d in cells else "" for d in levels)] for mode, cells in modes.items()]
    return f"### {family} (percent right, 95 % interval)\n\n{table(['asked how', *levels], rows)}"


def _curve(report: Mapping[str, Any]) -> str:
    rows, tokens = [], 0
    for point in report["curve"]:
        tokens += point["tokens"]
        probes = ["/".join(f"{100 * v:.0f}" for v in cells.values()) for cells in point["probe"].values()]
        rows.append(
            [f"{point['step']:,}", f"{tokens:,}", f"{point['loss']:.3f}", f"{point['learning_rate']:.2g}", *probes]
        )
    head = ["step", "tokens", "loss", "learning rate", *report["curve"][0]["probe"]]
    title = "### Pre-training: loss and probe at temperature 1 (percent right per difficulty)"
    return f"{title}\n\n{table(head, rows[:: max(1, len(rows) // 16)])}"


def _loss(report: Mapping[str, Any]) -> Any:
    points = [Dot(label=str(p["step"]), value=p["loss"], low=p["loss"], high=p["loss"]) for p in report["curve"]]
    series = [Line(name="loss", style="after", points=points, band=False)]
    return lines("mean loss per weighted token (nats)", series, x_name="step", tick=lambda v: f"{v:.1f}", width=520)


def _probe(report: Mapping[str, Any]) -> Any:
    """Mean accuracy of each family's probe over the steps."""
    series = []
    for i, name in enumerate(report["curve"][0]["probe"]):
        points = []
        for point in report["curve"]:
            mean = sum(point["probe"][name].values()) / len(point["probe"][name])
            points.append(Dot(label=str(point["step"]), value=mean, low=mean, high=mean))
        series.append(Line(name=name, style=str(i), points=points, band=False))
    return lines("probe accuracy at temperature 1, mean over difficulties", series, x_name="step", width=520)
