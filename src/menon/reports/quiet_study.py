"""The page, the table and the pictures of the Quiet-STaR study: every arm, thought lengths, hardness, learning curves.

The first arm of the report is the full method; all others are its controls.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from menon.reports import formats, quiet_study_figures, quiet_words
from menon.reports.arms import table
from menon.reports.formats import finite
from menon.reports.quiet_page import hardness_table, page_of, share
from menon.reports.quiet_words import estimate, nats, weight
from menon.reports.reading import Source, read_report, rows, section
from menon.reports.svg import standalone
from menon.store import atomic_write

Table = tuple[str, list[str], list[list[str]]]  # caption, heading, rows
ANSWERS = (
    ("right with thought", "answer_accuracy_mixed", share),
    ("right without", "answer_accuracy_text", share),
    ("NLL with thought", "answer_nll_mixed", estimate),
    ("NLL without", "answer_nll_text", estimate),
)
THOUGHTS = (
    ("right thought tokens", "right_tokens", share),
    ("fully right thoughts", "right_thoughts", share),
    ("weight at hard tokens", "weight_hard", lambda cell: estimate(cell, weight)),
    ("weight elsewhere", "weight_easy", lambda cell: estimate(cell, weight)),
    ("NLL elsewhere with thought", "other_nll_mixed", estimate),
    ("NLL elsewhere without", "other_nll_text", estimate),
)
_BARE = {"right_tokens": formats.percent, "right_thoughts": formats.percent, "answer_accuracy_mixed": formats.percent,
         "answer_accuracy_text": formats.percent, "weight_hard": weight, "weight_easy": weight}  # fmt: skip


def write_quiet_study(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write `report.html`, `quiet.md` and the pictures `quiet-*.svg` of the study into `folder`; return the page.

    A picture for which the report has no numbers is not written.

    Raises:
        DataError: a report of another schema.
        RunError: a folder that cannot be written.
    """
    folder = Path(folder)
    data = read_report(report)
    for name, chart in quiet_study_figures.pictures(data).items():
        atomic_write(folder / f"quiet-{name}.svg", standalone(chart))
    atomic_write(folder / "quiet.md", quiet_table_markdown(data))
    atomic_write(folder / "report.html", render_quiet_study(data))
    return folder / "report.html"


def render_quiet_study(report: Source) -> str:
    """Return the HTML page of the study given as a dict, a run directory, or a report.json."""
    return page_of("quiet_study.html.j2", _view(read_report(report)))


def quiet_table_markdown(report: Mapping[str, Any]) -> str:
    """Return the tables of the study as Markdown: arms, thought lengths, hardness, the embedded model."""
    data = read_report(report)
    parts = []
    for caption, heading, body in arms_tables(data):
        parts.append(f"{caption}:\n\n" + _markdown(heading, body))
    lengths = lengths_table(data)
    if lengths:
        parts.append("Thought length:\n\n" + _markdown(["thought tokens", "answers right", "answer NLL"], lengths))
    bands = hardness_table({"": rows(data, "by_hardness")})
    if bands:
        heading = ["hardness", "tokens", "NLL without thought", "gain (nats)", "weight"]
        parts.append("Gain by hardness:\n\n" + _markdown(heading, [row[1:] for row in bands]))
    for caption, heading, body in embedded(data):
        parts.append(f"{caption}:\n\n" + _markdown(heading, body))
    return "\n\n".join(parts) + "\n"


def _markdown(heading: list[str], body: list[list[str]]) -> str:
    return table(heading, [[_cell(text) for text in row] for row in body])


def _cell(text: str) -> str:
    """Keep a text inside its cell: no bar that ends it, no line feed, no markup."""
    kept = " ".join(text.split()) if "\n" in text else text
    return kept.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def _view(data: dict[str, Any]) -> dict[str, Any]:
    """Collect everything that the template lays out."""
    charts = quiet_study_figures.pictures(data)
    return {
        "study": str(data.get("study") or "quiet"),
        "model": str(data.get("model") or ""),
        "headline": headline(data),
        "sentences": _sentences(data),
        "arms": arms_tables(data),
        "runs": runs_table(data),
        "charts": {name: charts.get(name) for name in ("arms", "lengths", "hardness", "embedded")},
        "curves": quiet_study_figures.curve_panels(data),
        "lengths_table": lengths_table(data),
        "hardness_table": [row[1:] for row in hardness_table({"": rows(data, "by_hardness")})],
        "embedded": embedded(data),
        "seeds": _seeds(data),
        "command": quiet_words.command_of(data),
        "settings": formats.flattened(section(data, "settings")),
        "manifest": formats.flattened(section(data, "manifest")),
        "glossary": quiet_words.GLOSSARY,
    }


def title_of(arm: Mapping[str, Any]) -> str:
    return str(arm.get("title") or arm.get("name") or "?")


def headline(data: Mapping[str, Any]) -> str:
    """Say how many answers the full method gets right with and without its thoughts."""
    arms = rows(data, "arms")
    summary = section(arms[0], "summary") if arms else {}
    with_thought, without = summary.get("answer_accuracy_mixed"), summary.get("answer_accuracy_text")
    if quiet_words.value_of(with_thought) is None:
        return "This study has not measured an arm yet."
    said = f"{title_of(arms[0])}: {share(with_thought)} of the answers right with thought"
    return said if quiet_words.value_of(without) is None else f"{said}, {share(without)} without"


def _sentences(data: Mapping[str, Any]) -> list[str]:
    """Name the best control, and tell whether its interval and the first arm's lie apart."""
    measured = []
    for arm in rows(data, "arms"):
        cell = section(arm, "summary").get("answer_accuracy_mixed")
        value = quiet_words.value_of(cell)
        if value is not None:
            measured.append((value, arm, cell))
    found = []
    if len(measured) > 1:
        value, arm, cell = max(measured[1:], key=lambda entry: entry[0])
        first = measured[0]
        controls = len(measured) - 1
        text = f"The best of the {formats.count(controls)} controls is “{title_of(arm)}” with {share(cell)}."
        low = finite(first[2].get("low")) if isinstance(first[2], Mapping) else None
        high = finite(cell.get("high")) if isinstance(cell, Mapping) else None
        if low is not None and high is not None:
            text += " The two intervals lie apart." if low > high else " The two intervals overlap."
        found.append(text)
    return found


def _seeds(data: Mapping[str, Any]) -> str:
    seeds = data.get("seeds")
    known = [str(seed) for seed in seeds if isinstance(seed, int | str)] if isinstance(seeds, list) else []
    return ", ".join(known)


def arms_tables(data: Mapping[str, Any]) -> list[Table]:
    """Return what the arms answered, and what they thought, one row per arm; columns without numbers are left out."""
    arms = rows(data, "arms")
    summaries = [section(arm, "summary") for arm in arms]
    costs = [[formats.count(arm.get("steps")), formats.duration(arm.get("cpu_seconds"))] for arm in arms]
    found: list[Table] = []
    for caption, columns, ahead in (
        ("Answers", ANSWERS, ["steps", "CPU time"]),
        ("Thoughts and weights", THOUGHTS, []),
    ):
        kept = [c for c in columns if any(quiet_words.value_of(s.get(c[1])) is not None for s in summaries)]
        body = [
            [title_of(arm), *(cost if ahead else []), *(say(summary.get(key)) for _, key, say in kept)]
            for arm, cost, summary in zip(arms, costs, summaries, strict=True)
        ]
        if arms and (kept or ahead):
            found.append((caption, ["arm", *ahead, *(name for name, _, _ in kept)], body))
    return found


def runs_table(data: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return one row per arm and seed."""
    entries = [(title_of(arm), run) for arm in rows(data, "arms") for run in rows(arm, "runs")]
    kept = [
        (name, key)
        for name, key, _ in (*ANSWERS, *THOUGHTS)
        if any(finite(run.get(key)) is not None for _, run in entries)
    ]
    body = [
        [title, str(run.get("seed", "?")), *(_BARE.get(key, nats)(run.get(key)) for _, key in kept)]
        for title, run in entries
    ]
    return {"heading": ["arm", "seed", *(name for name, _ in kept)], "body": body}


def lengths_table(data: Mapping[str, Any]) -> list[list[str]]:
    """Return accuracy and loss on the answers for each thought length."""
    return [
        [
            formats.count(row.get("tokens")),
            share(row.get("answer_accuracy_mixed")),
            estimate(row.get("answer_nll_mixed")),
        ]
        for row in rows(data, "lengths")
    ]


def embedded(data: Mapping[str, Any]) -> list[Table]:
    """Return the tables of the embedded model as (caption, heading, rows): perplexity, chained problems."""
    own = section(data, "embedded")
    found: list[Table] = []
    perplexity = []
    for name, key in (("without thought", "perplexity_text"), ("with thought", "perplexity_mixed")):
        cells = [_side(own, phase, key) for phase in ("before", "after")]
        if any(quiet_words.value_of(cell) is not None for cell in cells):
            perplexity.append([name, *(estimate(cell) for cell in cells)])
    if perplexity:
        found.append(("Perplexity of the embedded model", ["", "before", "after"], perplexity))
    zero_shot = [
        [formats.count(row.get("steps")), *(share(row.get(key)) for key in ("before", "direct", "thought"))]
        for row in rows(own, "zero_shot")
    ]
    if zero_shot:
        heading = ["steps", "before", "after, without thought", "after, with thought"]
        found.append(("Chained problems, right without tuning on them", heading, zero_shot))
    return found


def _side(own: Mapping[str, Any], phase: str, key: str) -> Any:
    """Read `own[phase][key]`, or `own[key][phase]`, or `own[key]` itself as what was measured after."""
    if isinstance(own.get(phase), Mapping):
        return own[phase].get(key)
    cell = own.get(key)
    if isinstance(cell, Mapping) and ("before" in cell or "after" in cell):
        return cell.get(phase)
    return cell if phase == "after" else None
