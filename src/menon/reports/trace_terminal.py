"""A trace as lines for a terminal: per query its verdict, the documents that raised and lowered the answer most."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from menon.reports import formats, trace_words
from menon.reports.quiet_tokens import marked
from menon.reports.reading import Source, read_report, rows, section
from menon.reports.trace_documents import main_lists
from menon.reports.trace_words import signed

MOST_QUERIES, TOP, BOTTOM = 10, 5, 2
_TEXT, _ORIGIN, _PROMPT = 60, 28, 70


def trace_lines(report: Source, page: Path | None = None) -> list[str]:
    """Return the lines that `menon trace` prints: verdicts, top and bottom documents, warnings, where the page is."""
    data = read_report(report)
    queries = rows(data, "queries")
    lines = [f"trace: {data.get('model') or 'model'}: {trace_words.headline(data)}"]
    for place, query in enumerate(queries[:MOST_QUERIES]):
        lines += ["", *_query(query, place)]
    if len(queries) > MOST_QUERIES:
        lines += ["", f"{formats.count(len(queries) - MOST_QUERIES)} more queries are in the page and in report.json"]
    lines += [f"warning  {text}" for text in trace_words.warnings(data)]
    if not queries:
        lines.append(trace_words.missing(data)["queries"].replace("`", ""))
    if page is not None:
        lines += ["", f"page     {page}"]
    return [line.replace(formats.NARROW_SPACE, " ") for line in lines]


def _query(query: Mapping[str, Any], place: int) -> list[str]:
    verdict = trace_words.verdict_of(query)
    asked, answered = (_short(query.get(key), _PROMPT) for key in ("prompt", "completion"))
    lines = [
        f"{trace_words.name_of(query, place)}  {asked} → {answered}",
        f"  {verdict['label']}: {verdict['sentence']} {verdict['error_rate']}".rstrip().removesuffix(":"),
    ]
    top, bottom = main_lists(query)
    grid = [_row(entry) for entry in [*top[:TOP], *bottom[:BOTTOM]]]
    if not grid:
        return [*lines, "  no document was ranked"]
    grid.insert(0, ["rank", "", "per nat", "answer", "document", "text"])
    widths = [max(len(row[i]) for row in grid) for i in range(len(grid[0]))]
    lines += [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in grid
    ]
    agreement = section(query, "agreement")
    if agreement:
        said = ", ".join(f"{name} {trace_words.correlation(value)}" for name, value in agreement.items())
        lines.append(f"  correlation with influence over all documents: {said}")
    return lines


def _row(entry: Mapping[str, Any]) -> list[str]:
    return [
        formats.count(entry.get("rank")),
        trace_words.direction(entry),
        signed(entry.get("per_nat")),
        "yes" if entry.get("contains_answer") is True else "",
        _end(str(entry.get("origin") or entry.get("id") or entry.get("document") or "?")),
        _short(entry.get("text"), _TEXT),
    ]


def _short(text: Any, most: int) -> str:
    """Return the beginning of a text on one line."""
    found = marked((text if isinstance(text, str) else "")[: most + 1])
    return found if len(found) <= most else found[:most] + "…"


def _end(origin: str) -> str:
    """Keep the end of a long path, which tells documents apart."""
    return origin if len(origin) <= _ORIGIN else "…" + origin[1 - _ORIGIN :]
