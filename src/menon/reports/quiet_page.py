"""The page of a Quiet-STaR run: did thinking help, where, and what was thought before each token of a text.

One file that needs no network; without scripts the thoughts stand in a table below each text. Tokens and thoughts are
a model's words: they are escaped, and what could hide in them is made visible.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from menon.reports import formats, quiet_figures, quiet_tokens, quiet_words, words
from menon.reports.formats import finite
from menon.reports.page import asset, environment, script_hash
from menon.reports.quiet_words import estimate, gain, nats, weight
from menon.reports.reading import Source, read_report, rows, section
from menon.reports.svg import chart_css
from menon.store import atomic_write

PHASES = ("before", "after")
_MOST_ROWS = 40
_MEASURES = (
    ("loss without thought (nats)", "nll_text", lambda cell: estimate(cell)),
    ("loss with thought (nats)", "nll_mixed", lambda cell: estimate(cell)),
    ("gain of thinking (nats)", "gain", lambda cell: estimate(cell, gain)),
    ("accuracy without thought", "accuracy_text", lambda cell: share(cell)),
    ("accuracy with thought", "accuracy_mixed", lambda cell: share(cell)),
    ("mean weight of the thoughts", "weight", weight),
    ("tokens judged", "tokens", formats.count),
)
_CURVE = (
    ("step", "step", formats.count),
    ("stage", "stage", formats.count),
    ("reward", "reward", nats),
    ("its spread", "reward_std", nats),
    ("weight", "weight", weight),
    ("text loss", "text_loss", nats),
    ("talk loss", "talk_loss", nats),
    ("policy loss", "policy_loss", nats),
    ("loss", "loss", nats),
    ("tokens", "tokens", formats.large),
)


def write_quiet_page(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write `report.html` of a Quiet-STaR run into `folder`, replacing an older one at once, and return its path.

    Raises:
        DataError: a report of another schema.
        RunError: a folder that cannot be written.
    """
    target = Path(folder) / "report.html"
    atomic_write(target, render_quiet(report))
    return target


def render_quiet(report: Source) -> str:
    """Return the HTML page of a Quiet-STaR run given as a dict, a run directory, or a report.json."""
    return page_of("quiet.html.j2", _view(read_report(report)))


def page_of(template: str, view: Mapping[str, Any]) -> str:
    """Lay out a view as a page on which only its own style and script can act."""
    style, script = chart_css() + asset("page.css") + asset("quiet.css"), asset("quiet.js")
    policy = (
        f"default-src 'none'; style-src '{script_hash(style)}'; script-src '{script_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    found = environment().get_template(template)
    return found.render(view, style=Markup(style), script=Markup(script), policy=policy)


def share(cell: Any) -> str:
    """Write an estimated share in per cent with its interval; a bare number as per cent."""
    return formats.estimate(cell) if isinstance(cell, Mapping) else formats.percent(cell)


def _view(data: dict[str, Any]) -> dict[str, Any]:
    """Collect everything that the template lays out."""
    texts = rows(data, "texts")
    bands = {phase: rows(section(data, phase), "by_hardness") for phase in PHASES}
    return {
        "study": str(data.get("study") or "quiet-star"),
        "model": str(data.get("model") or "model"),
        "headline": quiet_words.headline(data),
        "sentences": quiet_words.sentences(data),
        "unfinished": quiet_words.unfinished(data),
        "warnings": quiet_words.warnings(data),
        "tiles": _tiles(data),
        "measures": _measures(data),
        "panels": quiet_figures.training_panels(data),
        "curve_table": _curve_table(data),
        "hardness": [
            (f"{phase.capitalize()} training", chart)
            for phase in PHASES
            if (chart := quiet_figures.hardness_bars(bands[phase])) is not None
        ],
        "hardness_table": hardness_table(bands),
        "texts": [quiet_tokens.told(text) for text in texts[: quiet_tokens.MOST_TEXTS]],
        "texts_left_out": max(0, len(texts) - quiet_tokens.MOST_TEXTS),
        "legend": quiet_tokens.legend(),
        "verdict_kinds": words.VERDICT_KINDS,
        "audit": _audit(section(data, "audit")),
        "findings": [
            tuple(str(finding.get(key) or "") for key in ("level", "what", "mend"))
            for finding in rows(section(data, "doctor"), "findings")
        ],
        "command": quiet_words.command_of(data),
        "settings": formats.flattened(section(data, "settings")),
        "manifest": formats.flattened(section(data, "manifest")),
        "glossary": quiet_words.GLOSSARY,
    }


def _tiles(data: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what stands in large print: loss and accuracy with thought, before and after; then what it cost."""
    found = []
    sides = {phase: section(data, phase) for phase in PHASES}
    for name, key, say in (("loss", "nll", nats), ("accuracy", "accuracy", formats.percent)):
        for how, ending in (("without thought", "text"), ("with thought", "mixed")):
            values = {p: quiet_words.value_of(side.get(f"{key}_{ending}")) for p, side in sides.items()}
            if values["after"] is None and values["before"] is None:
                continue
            before = say(values["before"]) if values["before"] is not None and values["after"] is not None else ""
            phase = "before" if values["after"] is None else "after"
            note = ("nats per token" if key == "nll" else "of the next tokens") + (
                "" if before else f", {phase} training"
            )
            found.append({"name": f"{name} {how}", "before": before, "after": say(values[phase]), "note": note})
    for name, key, say in (
        ("parameters", "parameters", formats.large),
        ("steps", "steps", formats.count),
        ("time", "seconds", formats.duration),
    ):
        if finite(data.get(key)) is not None:
            found.append({"name": name, "before": "", "after": say(data[key]), "note": ""})
    return found


def _measures(data: Mapping[str, Any]) -> list[list[str]]:
    """Return what was measured before and after training, one row per quantity that either phase has."""
    sides = [section(data, phase) for phase in PHASES]
    return [
        [name, *(say(side.get(key)) for side in sides)]
        for name, key, say in _MEASURES
        if any(side.get(key) is not None for side in sides)
    ]


def _curve_table(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded steps as text, every n-th of them, without the columns that nothing was recorded for."""
    entries = rows(data, "curve")
    every = max(1, -(-len(entries) // _MOST_ROWS))
    shown = entries[(len(entries) - 1) % every :: every] if entries else []
    kept = [c for c in _CURVE if any(entry.get(c[1]) is not None for entry in entries)]
    return {
        "heading": [name for name, _, _ in kept],
        "body": [[say(entry.get(key)) for _, key, say in kept] for entry in shown],
        "note": f"every {every}. of {formats.count(len(entries))} recorded steps" if every > 1 else "",
    }


def hardness_table(bands: Mapping[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Return per phase and band the tokens, the loss without thought, the gain and the weight."""
    return [
        [
            phase,
            str(band.get("bin") or "?"),
            formats.count(band.get("n")),
            nats(quiet_words.value_of(band.get("nll_text"))),
            estimate(band.get("gain"), gain),
            weight(band.get("weight")),
        ]
        for phase, found in bands.items()
        for band in found
    ]


def _audit(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the verdicts of the audit before and after, and what changed on the same items."""
    verdicts = []
    for phase in PHASES:
        said = section(section(audit, phase), "verdict")
        label, sentence = str(said.get("label") or ""), str(said.get("sentence") or "")
        if label or sentence:
            verdicts.append((phase, label, sentence))
    body = []
    for row in rows(audit, "paired"):
        change = section(row, "difference")
        low, high = formats.points(change.get("low")), formats.points(change.get("high"))
        between = f" ({low} to {high})" if formats.NOTHING not in (low, high) else ""
        sides = [share(row.get(phase)) for phase in PHASES]
        body.append([str(row.get("name") or "?"), *sides, formats.points(change.get("value")) + between])
    return {"verdicts": verdicts, "paired": body}
