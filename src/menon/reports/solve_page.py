"""The page of a solve run: accuracy, the chart as it was executed, what each node cost, and every execution to open.

One file that needs no network: Mermaid's script stands in it once, allowed by its hash, and the plain drawing of the
same chart stays where scripts are off, fail, or the chart is too large. Styles are allowed inline, because Mermaid
writes them; nothing else is, so a style cannot fetch anything.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from menon.reports import formats, solve_executions, solve_figures
from menon.reports.chart_drawing import DrawnEdge, DrawnNode, chart_figure, edge_key, flow_css
from menon.reports.formats import cleaned, finite
from menon.reports.page import asset, environment, script_hash
from menon.reports.reading import rows, section
from menon.reports.solve_executions import EXPANDED, STATUSES, Chosen, Labels
from menon.reports.solve_mermaid import MOST_NODES, mermaid_text
from menon.reports.svg import chart_css
from menon.store import atomic_write

MOST_BYTES = 15_000_000
_LIMITS = (20_000, 6_000, 2_000, 600, 150, 0)  # characters of one text, tried until the page is small enough
_CHART_TEXT = 60_000
_VERDICTS = {"right": "good", "wrong": "bad", "truncated": "mixed", "unparsed": "mixed"}
_FILTERS = (
    ("status", ("answered", "partial", "waiting", "failed")),
    ("verdict", ("right", "wrong", "unparsed", "truncated", "error")),
)
GLOSSARY = (
    ("strategy", "A way to attack a problem, written as a flowchart: boxes ask the model, compute, decide or call."),
    ("visit", "One time that an execution came to a node. A loop visits its nodes several times."),
    ("partial", "A budget ran out before the end was reached; what was computed until then is kept and shown."),
    ("waiting", "A person has to decide before the execution can go on."),
    ("replayed", "The visit was read from the store and cost nothing in this run."),
    (
        "unparsed, truncated",
        "The answer could not be read, or was cut off at the token limit. Neither counts as right.",
    ),
)


def write_solve_report(folder: Path, report: Mapping[str, Any], executions: Iterable[Mapping[str, Any]]) -> Path:
    """Write `report.html` into `folder`, replacing an older one at once, and return its path.

    The first 200 executions can be opened, later ones are listed. Long texts are cut, the longest first, until the
    file is under 15 MB.

    Raises:
        RunError: a folder that cannot be written.
    """
    target = Path(folder) / "report.html"
    atomic_write(target, render_solve(report, executions))
    return target


def render_solve(report: Mapping[str, Any], executions: Iterable[Mapping[str, Any]]) -> str:
    """Return the HTML page of a solve run (see `write_solve_report`)."""
    labels = branch_labels(report)
    found = solve_executions.chosen(executions, labels)
    shown = _view(cleaned({**report, "chart": _shortened(report.get("chart"))}))
    page = ""
    for limit in _LIMITS:
        if limit and solve_executions.least_size(found.opened, limit) > MOST_BYTES - 4_000_000:  # Mermaid and markup
            continue
        page = _page(shown, found, labels, limit)
        if len(page.encode("utf-8", "replace")) < MOST_BYTES:
            break
    return page


def _page(shown: Mapping[str, Any], found: Chosen, labels: Labels, limit: int) -> str:
    style = chart_css() + flow_css() + asset("page.css") + asset("solve.css")
    script = asset("solve.js")
    mermaid = mermaid_script() if any(chart["mermaid"] for chart in shown["charts"]) else ""
    hashes = " ".join(f"'{script_hash(text)}'" for text in (script, mermaid) if text)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {hashes}; base-uri 'none'; form-action 'none'"
    return (
        environment()
        .get_template("solve.html.j2")
        .render(
            shown,
            executions=[solve_executions.told(execution, labels, limit) for execution in found.opened],
            listed=found.listed,
            unlisted=found.unlisted,
            expanded=EXPANDED,
            limit=formats.count(limit) if limit != _LIMITS[0] else "",
            filters=[
                (f"{kind}:{name}", name, found.counts[f"{kind}:{name}"])
                for kind, names in _FILTERS
                for name in names
                if f"{kind}:{name}" in found.counts
            ],
            all_executions=len(found.opened) + len(found.listed) + found.unlisted,
            style=Markup(style),
            script=Markup(script),
            mermaid_script=Markup(mermaid),
            policy=policy,
        )
    )


@cache
def mermaid_script() -> str:
    """Return Mermaid's script as vendored."""
    return files("menon.reports").joinpath("vendor", "mermaid.min.js").read_text(encoding="utf-8")


def branch_labels(report: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return, for each `CHART/NODE`, where each label on the edges that leave it leads to."""
    found: dict[str, dict[str, str]] = {}
    for name, chart in _charts(report):
        for edge in rows(chart, "edges"):
            if edge.get("label"):
                leaving = found.setdefault(f"{name}/{edge.get('source')}", {})
                leaving[str(edge["label"])] = str(edge.get("target") or "")
    return found


def _charts(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return every chart with the name under which its nodes are counted, the strategy's own first."""
    main, called = section(report, "chart"), [(str(c.get("name") or ""), c) for c in rows(report, "charts")]
    return [(_main_name(report, main, {name for name, _ in called}), main), *called]


def _main_name(report: Mapping[str, Any], main: Mapping[str, Any], others: set[str]) -> str:
    counted = {key.split("/", 1)[0] for key in section(report, "nodes") if isinstance(key, str)}
    stem = str(main.get("file") or "").rsplit("/", 1)[-1].removesuffix(".md")
    names = [str(main.get("name") or ""), str(report.get("strategy") or ""), stem, *sorted(counted - others)]
    return next((name for name in names if name in counted), names[0] or names[1])


def _shortened(chart: Any) -> dict[str, Any]:
    if not isinstance(chart, Mapping):
        return {}
    text = str(chart.get("text") or "")
    cut = f"\n… the first {formats.count(_CHART_TEXT)} of {formats.count(len(text))} characters; the file has all"
    return {**chart, "text": text if len(text) <= _CHART_TEXT else text[:_CHART_TEXT] + cut}


def _view(data: dict[str, Any]) -> dict[str, Any]:
    """Collect what the template lays out apart from the executions; every string in `data` is visible text."""
    title = str(data.get("title") or data.get("strategy") or "Solve")
    return {
        "title": title,
        "strategy": str(data.get("strategy") or ""),
        "source": str(data.get("source") or ""),
        "model": str(data.get("model") or "model"),
        "headline": _headline(data),
        "tiles": _tiles(data),
        "failed": _failures(data),
        "warnings": [str(text) for text in data.get("warnings") or ()],
        "charts": [_chart(data, name, chart, title) for name, chart in _charts(data) if rows(chart, "nodes")],
        "node_table": _node_table(data),
        "curve": solve_figures.curve(data),
        "curve_rows": solve_figures.curve_rows(data),
        "steps": solve_figures.steps(data),
        "steps_rows": solve_figures.steps_rows(data),
        "verdict_kinds": _VERDICTS,
        "status_kinds": STATUSES,
        "command": str(data.get("command") or ""),
        "manifest": formats.flattened(section(data, "manifest")),
        "glossary": GLOSSARY,
    }


def _headline(data: Mapping[str, Any]) -> str:
    accuracy, totals = section(data, "accuracy"), section(data, "totals")
    name = str(data.get("title") or data.get("strategy") or "This strategy")
    if finite(accuracy.get("graded")):
        return f"{name}: {formats.count(accuracy.get('right'))} of {formats.count(accuracy['graded'])} right"
    return f"{name}: {formats.count(totals.get('answered'))} of {formats.count(totals.get('executions'))} answered"


def _tiles(data: Mapping[str, Any]) -> list[dict[str, str]]:
    accuracy, totals = section(data, "accuracy"), section(data, "totals")
    found = []
    if finite(accuracy.get("share")) is not None:
        low, high = (formats.percent(accuracy.get(key)) for key in ("low", "high"))
        note = f"95 % interval {low} to {high}, {formats.count(accuracy.get('graded'))} graded"
        found.append({"name": "accuracy", "value": formats.percent(accuracy["share"]), "note": note})
    ended = [
        f"{formats.count(totals[key])} {key}" for key in ("partial", "waiting", "failed") if finite(totals.get(key))
    ]
    answered = f"{formats.count(totals.get('answered'))} of {formats.count(totals.get('executions'))}"
    found.append({"name": "answered", "value": answered, "note": ", ".join(ended)})
    found.append(
        {
            "name": "model calls",
            "value": formats.large(totals.get("calls")),
            "note": f"{formats.count(totals.get('steps'))} steps",
        }
    )
    note = (
        f"{formats.large(totals.get('prompt_tokens'))} read, {formats.large(totals.get('completion_tokens'))} written"
    )
    tokens = (finite(totals.get("prompt_tokens")) or 0) + (finite(totals.get("completion_tokens")) or 0)
    found.append({"name": "tokens", "value": formats.large(tokens), "note": note})
    if finite(totals.get("seconds")) is not None:
        found.append({"name": "time", "value": formats.duration(totals["seconds"]), "note": ""})
    if finite(totals.get("money")) is not None:
        found.append({"name": "money", "value": _money(totals["money"]), "note": ""})
    return found


def _money(amount: Any) -> str:
    value = finite(amount)
    return formats.NOTHING if value is None else f"{value:.2f}" if value >= 1 or not value else f"{value:.3g}"


def _failures(data: Mapping[str, Any]) -> str:
    """Say which answers were not simply right or wrong; empty when there were none."""
    verdicts = section(section(data, "accuracy"), "verdicts")
    said = [
        f"{formats.count(verdicts[name])} {name}"
        for name in ("unparsed", "truncated", "error")
        if finite(verdicts.get(name))
    ]
    return f"Among those that are not right: {', '.join(said)}." if said else ""


def _chart(data: Mapping[str, Any], name: str, chart: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Return one chart with its counts, as plain drawing and as Mermaid text (empty where it is too large)."""
    visits, taken = section(data, "nodes"), section(data, "edges")
    nodes = [_node(node, section(visits, f"{name}/{node.get('id')}")) for node in rows(chart, "nodes")]
    edges = []
    for row in rows(chart, "edges"):
        edge = DrawnEdge(
            source=str(row.get("source") or ""), target=str(row.get("target") or ""), label=str(row.get("label") or "")
        )
        count = finite(taken.get(f"{name}/{edge_key(edge)}"))
        edges.append(DrawnEdge(source=edge.source, target=edge.target, label=edge.label, taken=int(count or 0)))
    direction = str(chart.get("direction") or "TD")
    return {
        "name": name,
        "heading": str(chart.get("title") or chart.get("name") or title),
        "file": str(chart.get("file") or ""),
        "text": str(chart.get("text") or chart.get("mermaid") or ""),
        "size": len(nodes),
        "drawing": chart_figure(nodes, edges, direction=direction, title=f"{name or title} as executed"),
        "mermaid": mermaid_text(nodes, edges, direction=direction) if len(nodes) <= MOST_NODES else "",
    }


def _node(node: Mapping[str, Any], counts: Mapping[str, Any]) -> DrawnNode:
    failed = finite(counts.get("failed"))
    return DrawnNode(
        id=str(node.get("id") or ""),
        kind=str(node.get("kind") or ""),
        label=str(node.get("label") or node.get("id") or ""),
        visits=int(finite(counts.get("visits")) or 0),
        note=f"{formats.count(failed)} failed" if failed else "",
        state="failed" if failed else "",
    )


def _node_table(data: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what each node cost, in the order of the charts; columns that nothing was recorded for are left out."""
    counted, order = section(data, "nodes"), []
    kinds: dict[str, str] = {}
    for name, chart in _charts(data):
        for node in rows(chart, "nodes"):
            kinds[f"{name}/{node.get('id')}"] = str(node.get("kind") or "")
    order = [key for key in kinds if key in counted] + [key for key in counted if key not in kinds]
    several = len({key.split("/", 1)[0] for key in order}) > 1
    columns = (
        ("visits", "visits", formats.count),
        ("calls", "model calls", formats.count),
        ("prompt_tokens", "tokens read", formats.large),
        ("completion_tokens", "tokens written", formats.large),
        ("seconds", "time", formats.duration),
        ("money", "money", _money),
        ("failed", "failed", formats.count),
    )
    cells = [section(counted, key) for key in order]
    kept = [c for c in columns if any(finite(cell.get(c[0])) is not None for cell in cells)]
    body = [
        [key if several else key.split("/", 1)[-1], kinds.get(key, ""), *(say(cell.get(name)) for name, _, say in kept)]
        for key, cell in zip(order, cells, strict=True)
    ]
    return {"heading": ["node", "kind", *(heading for _, heading, _ in kept)], "body": body}
