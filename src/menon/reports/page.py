"""Turn a report into one self-contained HTML page: no request leaves it, and nothing in it can run but its own lines.

The content security policy allows exactly the page's own style and script, by hash; model text is escaped, and made
visible where it holds control characters. Left out: any chart library, web font or template that needs a network.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from menon.reports import audit_page, figures, formats, tables, transcripts, words
from menon.reports.reading import Source, read_report, rows, section
from menon.reports.svg import chart_css
from menon.store import atomic_write

COSTS = (
    ("seconds", "time", formats.duration),
    ("sampled_tokens", "tokens sampled", formats.count),
    ("trained_tokens", "tokens trained", formats.count),
    ("peak_memory_mb", "peak memory", formats.memory),
)


def render(report: Source) -> str:
    """Return the HTML page of a report given as a dict, a run directory, or a report.json.

    Raises:
        RunError: no run at that path.
        DataError: a report.json that cannot be read.
    """
    data = read_report(report)
    style, script = chart_css() + asset("page.css"), asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{script_hash(style)}'; script-src '{script_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    is_audit = data.get("study") == "audit"
    template = environment().get_template("audit.html.j2" if is_audit else "report.html.j2")
    return template.render(
        audit_page.view(data) if is_audit else _view(data), style=Markup(style), script=Markup(script), policy=policy
    )


def write_report(run_dir: Path) -> Path:
    """Render `run_dir` into its report.html, replacing an older one at once, and return the file's path.

    Raises:
        RunError: no run there, or a folder that cannot be written.
        DataError: a report.json that cannot be read.
    """
    target = Path(run_dir) / "report.html"
    atomic_write(target, render(run_dir))
    return target


def _view(data: dict[str, Any]) -> dict[str, Any]:
    """Collect everything the template lays out."""
    verdict, cost = section(data, "verdict"), section(data, "cost")
    return {
        "study": str(data.get("study") or "study"),
        "model": str(data.get("model") or "model"),
        "run": str(data.get("run") or ""),
        "verdict": {phase: _said(section(verdict, phase)) for phase in ("before", "after")},
        "sentence": _unbroken(verdict.get("sentence")),
        "unfinished": words.unfinished(data),
        "warnings": words.warnings(data),
        "missing": words.missing_sentences(data),
        "without_direct": words.without_direct(data),
        "glossary": words.GLOSSARY,
        "verdict_kinds": words.VERDICT_KINDS,
        "command": words.command_of(data),
        "tiles": tables.tiles(data),
        "accuracy": figures.accuracy_panels(data),
        "by_difficulty": [(f, chart, tables.difficulty_table(data, f)) for f, chart in figures.difficulty_panels(data)],
        "by_round": figures.round_panels(data),
        "share": figures.share_panel(data),
        "known": figures.known_panel(data),
        "known_answers": [
            {key: str(answer.get(key) or "?") for key in ("name", "expected", "verdict")}
            | {"ok": tables.recognised(answer)}
            for answer in rows(data, "known_answers")
        ],
        "surface": figures.surface_panel(data),
        "share_table": tables.share_table(data),
        "paired": figures.paired_panel(data),
        "paired_table": tables.paired_table(data),
        "climb": figures.climb_panel(data),
        "dropped": figures.dropped_panel(data),
        "rounds": tables.round_table(data),
        "dropped_table": tables.dropped_table(data),
        "climb_table": tables.climb_table(data),
        "transcripts": transcripts.transcripts(data),
        "outcomes": list(transcripts.OUTCOMES.values()),
        "stages": figures.stages_panel(data),
        "costs": [(name, say(cost.get(key))) for key, name, say in COSTS if key in cost],
        "data": words.data_sentence(data),
        "exact": section(data, "manifest").get("deterministic") is not False,
        "manifest": formats.flattened(section(data, "manifest")),
    }


def _said(verdict: dict[str, Any]) -> dict[str, str] | None:
    """Cut a verdict's text into its first sentence and the rest; None where there is no verdict."""
    if not verdict:
        return None
    lead, stop, rest = _unbroken(verdict.get("sentence")).partition(". ")
    label = str(verdict.get("label") or "cannot tell yet")
    return {"label": label, "lead": lead + stop.strip(), "rest": rest, "note": words.assurance(verdict)}


def _unbroken(sentence: Any) -> str:
    """Keep per cent signs on the line of their numbers."""
    return str(sentence or "").replace(" %", f"{formats.NARROW_SPACE}%")


@cache
def environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("menon.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    return environment


def _code(sentence: str) -> Markup:
    """Escape a sentence and set its `quoted` parts as code."""
    parts = sentence.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(parts))


@cache
def asset(name: str) -> str:
    return files("menon.reports").joinpath("templates", name).read_text(encoding="utf-8")


def script_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
