"""The page, the tables and the pictures of the study of procedural knowledge.

Every table has the baselines beside the influence. Left out of the page: the scores of single documents, for which
there is `menon trace`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from menon.reports import formats, procedural_figures, procedural_tables, procedural_words
from menon.reports.arms import table
from menon.reports.quiet_page import page_of
from menon.reports.quiet_words import command_of
from menon.reports.reading import Source, read_report, rows, section
from menon.reports.svg import standalone
from menon.store import atomic_write

TITLES = {
    "F1": "Do queries of one task draw on the same documents?",
    "F2": "How much does a single document weigh?",
    "F3": "Do the top documents hold the answer?",
    "F4": "Are they procedures of the right kind?",
    "F5": "Which sources stand at both ends?",
}
_PICTURES = {
    "F1": {
        "alike": "Mean correlation of the scores of two queries",
        "heat": "Between groups of queries, EK-FAC (columns as rows)",
        "heat-bm25": "Between groups of queries, BM25",
    },
    "F2": {"influence": "Influence of the top documents per nat, EK-FAC, positive scores added up"},
    "F3": {"answers": "Queries with a document in the top that states the answer"},
    "F4": {"procedures": "Share of the top that teaches what the query needs"},
    "F5": {"sources": "Share of a source at both ends over its share in the corpus, EK-FAC"},
}
_CONCLUDED = ["finding", "the paper's shape", "model", "here", "in numbers"]
_ASKED = ["queries", "question", "answer of the model", "grade", "nats", "verdict", "why"]


def write_procedural(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write `report.html`, `procedural.md` and the pictures `procedural-*.svg` into `folder`; return the page.

    Raises:
        DataError: a report of another schema.
        RunError: a folder that cannot be written.
    """
    folder = Path(folder)
    data = read_report(report)
    for name, chart in procedural_figures.pictures(data).items():
        atomic_write(folder / f"procedural-{name}.svg", standalone(chart))
    atomic_write(folder / "procedural.md", procedural_markdown(data))
    atomic_write(folder / "report.html", render_procedural(data))
    return folder / "report.html"


def render_procedural(report: Source) -> str:
    """Return the HTML page of the study given as a dict, a run directory, or a report.json."""
    return page_of("procedural.html.j2", _view(read_report(report)))


def procedural_markdown(report: Mapping[str, Any]) -> str:
    """Return the conclusions and all tables as Markdown."""
    data = read_report(report)
    seen = procedural_tables.overview(data)
    parts = [] if seen is None else [_markdown(seen)]
    parts.append(_markdown(("In numbers", _CONCLUDED, procedural_tables.conclusions(data))))
    parts += [_markdown(one) for one in procedural_tables.accuracy(data)]
    for model in rows(data, "models"):
        for finding, tables in procedural_tables.model_tables(data, model):
            parts.append(f"## {finding}, {model['title']}: {TITLES[finding]}")
            parts += [_markdown(one) for one in tables if one[2]]
    tables = [*procedural_tables.size_tables(data), *procedural_tables.verdict_tables(data)]
    parts += ["## Sizes and verdicts", *map(_markdown, tables)]
    return "\n\n".join(parts) + "\n"


def headline(data: Mapping[str, Any]) -> str:
    """Say how many of the paper's findings have their shape here."""
    listed = rows(data, "conclusions")
    if not listed:
        return "This study has not measured anything yet."
    counts = {name: sum(row["found"] == name for row in listed) for name in ("found", "not found", "cannot tell")}
    return (
        f"Procedural knowledge: of {len(listed)} checks of the paper's shape {counts['found']} are found, "
        f"{counts['not found']} are not, {counts['cannot tell']} cannot be told"
    )


def _view(data: dict[str, Any]) -> dict[str, Any]:
    """Collect everything that the template lays out."""
    charts = procedural_figures.pictures(data)
    findings = []
    for finding, title in TITLES.items():
        parts = []
        for model in rows(data, "models"):
            tables = dict(procedural_tables.model_tables(data, model))[finding]
            own = [
                (caption, charts[key])
                for name, caption in _PICTURES[finding].items()
                if (key := f"{name}-{model['name']}") in charts
            ]
            parts.append({"title": str(model["title"]), "charts": own, "tables": [one for one in tables if one[2]]})
        said = [row for row in procedural_tables.conclusions(data) if row[0] == finding]
        findings.append({"id": finding, "title": title, "said": said, "parts": parts})
    return {
        "study": "procedural",
        "model": "",
        "headline": headline(data),
        "concluded": procedural_tables.overview(data),
        "accuracy": procedural_tables.accuracy(data),
        "models": [
            {"title": str(model["title"]), "text": _about(model), "queries": procedural_tables.query_rows(model)}
            for model in rows(data, "models")
        ],
        "asked_heading": _ASKED,
        "findings": findings,
        "sizes": procedural_tables.size_tables(data),
        "sizes_chart": charts.get("sizes"),
        "verdicts": procedural_tables.verdict_tables(data),
        "no_rule": str(section(data, "verdict").get("why_not") or ""),
        "command": command_of(data),
        "settings": formats.flattened(section(data, "settings")),
        "manifest": formats.flattened(section(data, "manifest")),
        "glossary": procedural_words.GLOSSARY,
    }


def _about(model: Mapping[str, Any]) -> str:
    """Say what a model learnt and what it was asked."""
    asked = ", ".join(f"{count} {name}" for name, count in section(model, "asked").items() if count)
    training = section(model, "training")
    learnt = (
        f"Learnt {formats.count(training['documents'])} documents {training['epochs']} times "
        f"({formats.large(training['tokens'])} tokens, {formats.count(training['steps'])} steps); "
        f"{formats.count(model['documents'])} of them are traced."
        if training
        else f"Traced on {formats.count(model['documents'])} documents of its own text."
    )
    return f"{learnt} Queries: {asked or 'none'}."


def _markdown(one: procedural_tables.Table) -> str:
    caption, heading, body = one
    return f"{caption}:\n\n" + table(heading, [[_cell(text) for text in row] for row in body])


def _cell(text: str) -> str:
    """Keep a text inside its cell: no bar that ends it, no line feed, no markup."""
    kept = " ".join(text.split()) if "\n" in text else text
    return kept.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
