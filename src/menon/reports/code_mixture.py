"""The page, the tables and the pictures of the study of code in pre-training.

The first arm of the report is text alone; every other one is compared with it, seed by seed.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from menon.reports import code_mixture_figures, formats, quiet_words
from menon.reports.arms import table
from menon.reports.code_mixture_figures import SHORT, shares_of, title_of
from menon.reports.formats import NOTHING, finite
from menon.reports.quiet_page import page_of
from menon.reports.quiet_words import estimate, nats
from menon.reports.reading import Source, read_report, rows, section
from menon.reports.svg import standalone
from menon.store import atomic_write

Table = tuple[str, list[str], list[list[str]]]  # caption, heading, rows
GLOSSARY = (
    ("arm", "One way of spending the training tokens. All have equally many, and those that are tuned a few more."),
    ("held-in procedure", "A family of problems that is worked out in the text; asked about numbers that no document "
     "holds."),
    ("code-only procedure", "A family that is worked out in programs alone; asked in text, so that a right answer is "
     "transfer from programs to text."),
    ("absent procedure", "A family that is in no document."),
    ("programs finished", "A program without comments is shown up to what it asserts; the model has to say the value."),
    ("programs written", "A comment with the question is shown; the model has to write the whole reference program."),
    ("recitation share", "The share of the right answers on repeated originals that disappears when only the numbers "
     "change."),
    ("points", "Differences of shares in percentage points; beside them the change relative to text alone in per cent, "
     "as the papers state it."),
    ("interval", "The range in brackets: Student's t over seeds, 95 %. Differences are paired by seed. Among many "
     "cells some will be off by chance: nothing is corrected for their number."),
)  # fmt: skip


def write_code_mixture(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write `report.html`, `code-mixture.md` and the pictures `code-mixture-*.svg` into `folder`; return the page.

    Raises:
        DataError: a report of another schema.
        RunError: a folder that cannot be written.
    """
    folder = Path(folder)
    data = read_report(report)
    for name, chart in code_mixture_figures.pictures(data).items():
        atomic_write(folder / f"code-mixture-{name}.svg", standalone(chart))
    atomic_write(folder / "code-mixture.md", code_mixture_markdown(data))
    atomic_write(folder / "report.html", render_code_mixture(data))
    return folder / "report.html"


def render_code_mixture(report: Source) -> str:
    """Return the HTML page of the study given as a dict, a run directory, or a report.json."""
    data = read_report(report)
    view = {
        "study": str(data.get("study") or "code-mixture"),
        "model": "",
        "headline": headline(data),
        "sentences": sentences(data),
        "setup": _setup(data),
        "charts": code_mixture_figures.pictures(data),
        "tables": {name: made if (made := build(data))[2] else None for name, build in TABLES.items()},
        "command": quiet_words.command_of(data),
        "settings": [],
        "manifest": formats.flattened(section(data, "manifest")),
        "glossary": GLOSSARY,
    }
    return page_of("code_mixture.html.j2", view)


def code_mixture_markdown(report: Mapping[str, Any]) -> str:
    """Return the tables of the study, and its sentences, as Markdown."""
    data = read_report(report)
    parts = [" ".join([headline(data), *sentences(data)])]
    for build in TABLES.values():
        caption, heading, body = build(data)
        if body:
            parts.append(f"{caption}:\n\n" + table(heading, [[_cell(text) for text in row] for row in body]))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    """Keep a text inside its cell: no bar that ends it, no line feed, no markup."""
    kept = " ".join(text.split()) if "\n" in text else text
    return kept.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def headline(data: Mapping[str, Any]) -> str:
    """Answer the question of the study: how many tasks does the most general kind of document help?"""
    kinds, count = rows(data, "kinds"), len(shares_of(data))
    if not kinds:
        return "No kind of document was compared with text yet."
    helped = {str(row.get("kind")): _names(row.get("helps")) for row in kinds}
    most, names = max(helped.items(), key=lambda kind: len(kind[1]))
    if not names:
        return f"In place of text, no kind of document surely helps any of the {count} tasks."
    if len(names) == 1:
        return f"In place of text, no kind of document surely helps more than one of the {count} tasks."
    return f"In place of text, {most} surely help {len(names)} of the {count} tasks."


def sentences(data: Mapping[str, Any]) -> list[str]:
    """Answer the study's question with its evidence: kinds of documents, what is common to the tasks, the shapes."""
    found = []
    count = len(shares_of(data))
    for row in rows(data, "kinds"):
        helps, harms = (", ".join(_names(row.get(side))) or "none" for side in ("helps", "harms"))
        kind = str(row.get("kind"))
        found.append(f"{kind[:1].upper()}{kind[1:]} surely help: {helps}; surely harm: {harms}.")
    gained = rows(data, "gained")
    if gained:
        best = max(gained, key=lambda row: (row.get("better", 0), -row.get("worse", 0)))
        found.append(
            f"The arm with the most clear gains over text alone, “{_title(data, best.get('arm'))}”, has "
            f"{best.get('better')} in {count} tasks, and {best.get('worse')} clear losses."
        )
    spread = section(data, "spread")
    common, expected = finite(spread.get("common")), finite(spread.get("expected"))
    if common is not None and expected is not None:
        found.append(
            f"Of what sets the arms apart, {formats.percent(common)} is common to all tasks; unrelated tasks would "
            f"share {formats.percent(expected)}, and a kind of document that teaches everything would make it 100 %."
        )
    results = [str(row.get("result")) for row in rows(data, "shapes")]
    if results:
        counts = ", ".join(f"{results.count(word)} {word}" for word in ("found", "not found", "cannot tell"))
        found.append(f"Of {len(results)} published shapes: {counts}.")
    return found


def _names(tasks: Any) -> list[str]:
    return [SHORT.get(str(task), str(task)) for task in tasks] if isinstance(tasks, list) else []


def _title(data: Mapping[str, Any], name: Any) -> str:
    return next((title_of(arm) for arm in rows(data, "arms") if arm.get("name") == name), str(name))


def _setup(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    size, groups, asked, guess = (section(data, name) for name in ("size", "groups", "asked", "guess"))
    seeds = data.get("seeds")
    return [
        ("seeds", ", ".join(map(str, seeds)) if isinstance(seeds, list) else NOTHING),
        ("tokens of every arm", formats.count(data.get("tokens"))),
        ("tokens of tuning", formats.count(data.get("tuning_tokens"))),
        ("model", ", ".join(f"{name} {value}" for name, value in size.items())),
        *((f"{name.replace('_', '-')} families", ", ".join(map(str, names))) for name, names in groups.items()),
        *((f"{name.replace('_', '-')}, most frequent answer", formats.percent(share)) for name, share in guess.items()),
        ("asked per model", ", ".join(f"{value} {name}" for name, value in asked.items())),
    ]


def tasks_table(data: Mapping[str, Any]) -> Table:
    tasks = shares_of(data)
    body = [
        [title_of(arm), *(formats.estimate(section(arm, "tasks").get(task)) for task in tasks)]
        for arm in rows(data, "arms")
    ]
    guess = section(data, "guess")
    if body and guess:
        body.append(["always the most frequent answer", *(formats.percent(guess.get(task)) for task in tasks)])
    return "Right answers", ["arm", *(SHORT.get(task, task) for task in tasks)], body


def against_table(data: Mapping[str, Any]) -> Table:
    tasks = shares_of(data)
    body = [
        [title_of(arm), *(_change(section(arm, "against").get(t), section(arm, "relative").get(t)) for t in tasks)]
        for arm in rows(data, "arms")[1:]
    ]
    return (
        "Points more than text alone (interval), and relative change",
        ["arm", *(SHORT.get(t, t) for t in tasks)],
        body,
    )


def _change(cell: Any, relative: Any = None) -> str:
    said = estimate(cell, formats.points)
    percent = finite(relative)
    return said if percent is None else f"{said}; {formats.points(percent / 100)} %"


def losses_table(data: Mapping[str, Any]) -> Table:
    tasks = [str(task["name"]) for task in rows(data, "tasks") if task.get("kind") == "nats"]
    titles = [str(task.get("title")) for task in rows(data, "tasks") if task.get("kind") == "nats"]
    body = [
        [title_of(arm), *(estimate(section(arm, "tasks").get(task), nats) for task in tasks)]
        for arm in rows(data, "arms")
    ]
    return "Loss in nats per token of the reference solution", ["arm", *titles], body


def audit_table(data: Mapping[str, Any]) -> Table:
    body = []
    for arm in rows(data, "arms"):
        audit = section(arm, "audit")
        share = section(audit, "share")
        body.append(
            [title_of(arm), *(formats.estimate(share.get(side)) for side in ("original", "fresh")),
             formats.estimate(share), str(audit.get("verdict") or NOTHING)]
        )  # fmt: skip
    return (
        "Reason or recite",
        ["arm", "originals right", "re-instantiations right", "recitation share", "verdict"],
        body,
    )


def kinds_table(data: Mapping[str, Any]) -> Table:
    tasks = shares_of(data)
    body = [
        [str(row.get("kind")), *(_change(section(row, "effects").get(task)) for task in tasks)]
        for row in rows(data, "kinds")
    ]
    caption = "Points per 10 % of the tokens in a kind of document instead of text"
    return caption, ["kind", *(SHORT.get(task, task) for task in tasks)], body


def contrasts_table(data: Mapping[str, Any]) -> Table:
    tasks = shares_of(data)
    body = [
        [str(row.get("title")), *(_change(section(row, "tasks").get(task)) for task in tasks)]
        for row in rows(data, "contrasts")
    ]
    return "Comments, alignment and tuning, in points", ["difference", *(SHORT.get(task, task) for task in tasks)], body


def shapes_table(data: Mapping[str, Any]) -> Table:
    body = [
        [str(row.get("published")), SHORT.get(str(row.get("task")), str(row.get("task"))),
         _change(row.get("difference"), row.get("relative")), str(row.get("result"))]
        for row in rows(data, "shapes")
    ]  # fmt: skip
    return (
        "Published shapes",
        ["published (relative)", "measured here as", "points here (interval); relative", "result"],
        body,
    )


def runs_table(data: Mapping[str, Any]) -> Table:
    tasks = shares_of(data)
    body = [
        [title_of(arm), str(run.get("seed", "?")), nats(run.get("loss")), *(formats.percent(run.get(t)) for t in tasks)]
        for arm in rows(data, "arms")
        for run in rows(arm, "runs")
    ]
    return "Every model", ["arm", "seed", "last loss", *(SHORT.get(task, task) for task in tasks)], body


TABLES: Mapping[str, Callable[[Mapping[str, Any]], Table]] = {
    "tasks": tasks_table,
    "against": against_table,
    "losses": losses_table,
    "audit": audit_table,
    "kinds": kinds_table,
    "contrasts": contrasts_table,
    "shapes": shapes_table,
    "runs": runs_table,
}
