"""The page of `menon trace`: which documents raised or lowered each answer, and whether it was retrieved or worked out.

One file that needs no network. The first queries stand in it as they are; the others are compressed, unpacked by the
page's script when they are opened, and left out (with a note) where the page would grow beyond `MOST_BYTES`. Texts of
corpus and model are untrusted: they are escaped on this side, and no script but the page's own can run.
"""

import base64
import gzip
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from menon.reports import formats, trace_documents, trace_figures, trace_words
from menon.reports.formats import finite
from menon.reports.page import asset, environment, script_hash
from menon.reports.reading import Source, read_report, rows, section
from menon.reports.svg import chart_css
from menon.reports.trace_words import amount, estimate
from menon.store import atomic_write

MOST_BYTES = 4_600_000
PLAIN_BYTES = 400_000  # of queries that can be read without scripts
MOST_LISTED = 2_000
_MOST_ROWS = 200
_ODD = re.compile(r"[^A-Za-z0-9_.-]+")


def write_trace(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write `report.html` of a trace into `folder`, replacing an older one at once, and return its path.

    Raises:
        DataError: a report of another schema.
        RunError: a folder that cannot be written.
    """
    target = Path(folder) / "report.html"
    atomic_write(target, render_trace(report))
    return target


def render_trace(report: Source) -> str:
    """Return the HTML page of a trace given as a dict, a run directory, or a report.json.

    Raises:
        DataError: a report.json that cannot be read, or of another schema.
        RunError: no run at that path.
    """
    data = read_report(report)
    style = chart_css() + asset("page.css") + asset("quiet.css") + asset("trace.css")
    script = asset("trace.js")
    policy = (
        f"default-src 'none'; style-src '{script_hash(style)}'; script-src '{script_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    found = environment().get_template("trace.html.j2")
    return found.render(_view(data), style=Markup(style), script=Markup(script), policy=policy)


def _view(data: dict[str, Any]) -> dict[str, Any]:
    """Collect everything that the template lays out."""
    queries = rows(data, "queries")
    missing = trace_words.missing(data)
    details = _details(queries, missing)
    return {
        "study": str(data.get("study") or "trace"),
        "model": str(data.get("model") or "model"),
        "headline": trace_words.headline(data),
        "sentences": trace_words.sentences(data),
        "warnings": trace_words.warnings(data),
        "missing": missing,
        "tiles": _tiles(data, queries),
        "listed": [_listed(query, place, details) for place, query in enumerate(queries[:MOST_LISTED])],
        "not_listed": formats.count(len(queries) - MOST_LISTED) if len(queries) > MOST_LISTED else "",
        "not_shown": formats.count(len(queries) - len(details)) if len(queries) > len(details) else "",
        "details": details,
        "legend": trace_documents.legend(),
        "corpus": _corpus(data),
        "layers": _layers(data),
        "factors": formats.flattened(section(data, "factors"))[:_MOST_ROWS],
        "removal": _removal(data),
        "command": trace_words.command_of(data),
        "settings": formats.flattened(section(data, "settings"))[:_MOST_ROWS],
        "manifest": formats.flattened(section(data, "manifest"))[:_MOST_ROWS],
        "glossary": trace_words.GLOSSARY,
    }


def _details(queries: list[dict[str, Any]], missing: Mapping[str, str]) -> list[dict[str, str]]:
    """Lay out one query after the other, plain or packed, until the page is as large as it may get."""
    module: Any = environment().get_template("trace_query.html.j2").module
    details: list[dict[str, str]] = []
    taken: set[str] = set()
    used = 0
    for place, query in enumerate(queries):
        anchor = _anchor(trace_words.name_of(query, place), taken)
        body = str(module.query(_query(query, place), missing))
        size = len(body.encode())
        plain = not details or used + size <= PLAIN_BYTES
        packed = "" if plain else base64.b64encode(gzip.compress(body.encode(), mtime=0)).decode()
        used += size if plain else len(packed)
        if details and used > MOST_BYTES - 900_000:  # the list and the rest of the page stay below that
            break
        details.append({"anchor": anchor, "body": Markup(body) if plain else Markup(""), "packed": packed})
    return details


def _anchor(name: str, taken: set[str]) -> str:
    """Return an unused `query-ID`, for links to one query of the page."""
    base = "query-" + (_ODD.sub("-", name)[:80].strip("-") or "unnamed")
    anchor, again = base, 2
    while anchor in taken:
        anchor, again = f"{base}-{again}", again + 1
    taken.add(anchor)
    return anchor


def _listed(query: Mapping[str, Any], place: int, details: list[dict[str, str]]) -> dict[str, Any]:
    """Return the row of a query in the list of all queries."""
    top, _ = trace_documents.main_lists(query)
    best = top[0] if top else {}
    labels = ", ".join(words for _, words in trace_documents.shown_chips(best)[:3])
    return {
        "anchor": details[place]["anchor"] if place < len(details) else "",
        "name": trace_documents.preview(trace_words.name_of(query, place), 40),
        "prompt": trace_documents.preview(query.get("prompt"), 80),
        "completion": trace_documents.preview(query.get("completion"), 40),
        "task": trace_documents.preview(str(query.get("task") or ""), 40),
        "verdict": trace_words.verdict_of(query),
        "information": amount(query.get("information_nats")),
        "top": trace_documents.preview(best.get("text"), 70) or trace_documents.preview(str(best.get("id") or ""), 40),
        "top_labels": labels,
    }


def _query(query: Mapping[str, Any], place: int) -> dict[str, Any]:
    """Collect what is shown of one query."""
    top, bottom = trace_documents.main_lists(query)
    main = trace_documents.main_method(query)
    return {
        "name": trace_words.name_of(query, place),
        "facts": _facts(query),
        "chips": trace_documents.shown_chips(query),
        "prompt": trace_documents.prompt_text(query),
        "answer": trace_documents.answer_text(query),
        "has_tokens": bool(rows(query, "tokens")),
        "verdict": trace_words.verdict_of(query),
        "features": [
            (key.replace("_", " "), _feature(value))
            for key, value in section(section(query, "verdict"), "features").items()
        ][:_MOST_ROWS],
        "has_lexical": trace_words.has_lexical(query),
        "method": trace_words.method_name(main),
        "top": trace_documents.cards(top),
        "bottom": trace_documents.cards(bottom),
        "notes": {"top": trace_documents.cards_note(top), "bottom": trace_documents.cards_note(bottom)},
        "compared": trace_documents.compared(query),
        "curve": trace_figures.cumulative(query),
        "curve_rows": trace_figures.curve_rows(query),
        "slope": _slope(query.get("slope")),
        "answers": trace_figures.answer_rows(query)[:_MOST_ROWS],
        "sources": trace_figures.source_panels(query)[:6],
        "source_rows": trace_figures.source_rows(query)[:_MOST_ROWS],
        "layers": trace_figures.layer_bars(query),
    }


def _feature(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return estimate(value) if isinstance(value, Mapping | float | int) else trace_documents.preview(str(value), 200)


def _facts(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is known of the answer beside its text; information is also given per token."""
    information, tokens = finite(query.get("information_nats")), rows(query, "tokens")
    found = [("task", trace_documents.preview(str(query.get("task") or ""), 60))]
    answer = query.get("answer")
    found.append(("answer looked for", trace_documents.preview(answer, 80) if isinstance(answer, str) else ""))
    if information is not None:
        each = f", {amount(information / len(tokens))} per token" if tokens else ""
        found.append(("information", f"{amount(information)} nats{each}"))
    return [(name, text) for name, text in found if text]


def _slope(cell: Any) -> str:
    found = estimate(cell)
    if found == formats.NOTHING:
        return ""
    n = cell.get("n") if isinstance(cell, Mapping) else None
    return found + (f", from {formats.count(n)} documents" if finite(n) is not None else "")


def _tiles(data: Mapping[str, Any], queries: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return what stands in large print as (name, value, note): the verdicts, then what was compared."""
    corpus = section(data, "corpus")
    counted = Counter(trace_words.verdict_of(query)["label"] for query in queries)
    found = [
        (label, formats.count(counted[label]), f"of {formats.count(len(queries))} answers")
        for label in trace_words.VERDICTS
        if counted and len(queries) > 1
    ]
    for name, note in (
        ("documents", "in the corpus" if section(data, "prefilter") else "compared with every answer"),
        ("tokens", "in the corpus"),
    ):
        if finite(corpus.get(name)) is not None:
            size = corpus[name]
            found.append((name, formats.count(size) if size < 1e5 else formats.large(size), note))
    traced = section(data, "layers").get("traced_parameters")
    if finite(traced) is not None:
        found.append(("parameters traced", formats.large(traced), f"of {_whole(data)}"))
    return found


def _whole(data: Mapping[str, Any]) -> str:
    return formats.large(section(data, "layers").get("parameters"))


def _corpus(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was read: counts with what they mean, and the shares of the sources."""
    corpus = section(data, "corpus")
    said = (
        ("documents", "documents", "read from the corpus"),
        ("sequences", "windows", "token sequences that were scored; a long document is several"),
        ("tokens", "tokens", ""),
        ("split_long", "longer than the context", "cut into several windows, whose scores add up"),
        ("duplicated", "duplicates", "copies of an earlier document; each counts on its own"),
        ("empty", "empty", "without a token to learn from; their influence is 0"),
        ("skipped", "skipped", "left out on request"),
    )
    facts = [
        (name, formats.count(corpus[key]), note) for key, name, note in said if finite(corpus.get(key)) is not None
    ]
    sources = [
        (str(name), formats.percent(share))
        for name, share in sorted(section(corpus, "sources").items(), key=lambda pair: -(finite(pair[1]) or 0.0))
    ]
    bad = corpus.get("bad_rows")
    return {
        "name": str(corpus.get("name") or ""),
        "facts": facts,
        "sources": sources[:_MOST_ROWS],
        "bad_rows": [trace_documents.preview(str(row), 200) for row in bad[:20]] if isinstance(bad, list) else [],
    }


def _layers(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return which layers were traced and what was left out, why."""
    layers = section(data, "layers")
    traced, left = rows(layers, "traced"), rows(layers, "left_out")
    return {
        "known": bool(layers),
        "select": str(layers.get("select") or ""),
        "parameters": f"{formats.large(layers.get('traced_parameters'))} of {_whole(data)} parameters",
        "traced": [
            [str(row.get("name") or "?"), formats.count(row.get("inputs")), formats.count(row.get("outputs"))]
            for row in traced[:_MOST_ROWS]
        ],
        "traced_count": formats.count(len(traced)),
        "left_out": [
            [str(row.get("name") or "?"), str(row.get("type") or "?"), formats.count(row.get("parameters")),
             str(row.get("why") or formats.NOTHING)]
            for row in left[:_MOST_ROWS]
        ],
        "left_out_more": formats.count(len(left) - _MOST_ROWS) if len(left) > _MOST_ROWS else "",
    }  # fmt: skip


def _removal(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what happened when the top documents were removed and the model trained again."""
    removal = section(data, "removal")
    plain = {key: value for key, value in removal.items() if key != "sentence"}
    return {"sentence": str(removal.get("sentence") or ""), "facts": formats.flattened(plain)[:_MOST_ROWS]}
