"""The tables of a report, as rows of text that the template only lays out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from menon.reports import formats
from menon.reports.figures import PHASES
from menon.reports.reading import families, rows, section

Report = Mapping[str, Any]
CONTROL_FAMILY = "facts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Shares of completions that gave no gradable answer, over all difficulties."""

    truncated: float
    unparsed: float


def failures(cells: Sequence[Mapping[str, Any]]) -> Failures | None:
    """Average the shares of truncated and unparsed completions, weighted by n; None when nothing was asked."""
    total = sum(formats.finite(cell.get("n")) or 0 for cell in cells)
    if not total:
        return None
    truncated, unparsed = (
        sum(
            (formats.share_of(cell.get(key), cell.get("n")) or 0) * (formats.finite(cell.get("n")) or 0)
            for cell in cells
        )
        for key in ("truncated", "unparsed")
    )
    return Failures(truncated=truncated / total, unparsed=unparsed / total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One headline number: what it is of, where it came from, where it went, and a line of context."""

    name: str
    before: str
    after: str
    note: str = ""
    style: str = ""


def tiles(report: Report) -> list[Tile]:
    """Return the headline numbers: the hard band (or all problems) per family, then rounds, time and tokens."""
    found = []
    for family in [name for name in families(report) if name != CONTROL_FAMILY][:4]:
        hard = section(report, "hard_band").get(family)
        cells = hard or section(report, "accuracy").get(family)
        if isinstance(cells, Mapping):
            found.append(_gain_tile(f"{family}, {'hard band' if hard else 'all problems'}", cells))
    known = rows(report, "known_answers")
    if known:
        right = sum(recognised(answer) for answer in known)
        note = "stand-ins judged rightly by the audit"
        found.append(Tile(name="known answers", before="", after=f"{right} of {len(known)}", note=note))
    cost = section(report, "cost")
    tokens = report.get("tokens", _sum(cost.get("sampled_tokens"), cost.get("trained_tokens")))
    seconds = report.get("seconds", cost.get("seconds"))
    if formats.finite(seconds) is not None:
        peak = formats.finite(cost.get("peak_memory_mb"))
        note = f"peak memory {formats.memory(peak)}" if peak is not None else ""
        found.append(Tile(name="time", before="", after=formats.duration(seconds), note=note))
    if formats.finite(tokens) is not None:
        count = len(rows(report, "rounds"))
        note = f"sampled and trained, {count} round{'' if count == 1 else 's'}" if count else "sampled and trained"
        found.append(Tile(name="tokens", before="", after=formats.large(tokens), note=note))
    return found


def recognised(answer: Mapping[str, Any]) -> bool:
    """Tell whether the audit judged a stand-in rightly, in every family where the report says so."""
    return bool(answer.get("ok", answer.get("verdict") == answer.get("expected")))


def _gain_tile(name: str, cells: Mapping[str, Any]) -> Tile:
    value = {phase: _value(cells.get(phase)) for phase in PHASES}
    before, after, direct = value["before"], value["after"], value["direct"]
    notes = []
    if before is not None and after is not None:
        notes.append(f"{formats.points(after - before)} points")
    if direct is not None:
        notes.append(f"direct control {formats.percent(direct)}")
    if after is None:
        return Tile(name=name, before="", after=formats.percent(before), note="before; after is not measured yet")
    return Tile(
        name=name, before=formats.percent(before), after=formats.percent(after), note="; ".join(notes), style="gain"
    )


def _value(cell: Any) -> float | None:
    return formats.finite(cell.get("value")) if isinstance(cell, Mapping) else None


def _sum(*amounts: Any) -> float | None:
    known = [value for value in map(formats.finite, amounts) if value is not None]
    return sum(known) if known else None


def difficulty_table(report: Report, family: str) -> list[list[str]]:
    """Return one row per phase and difficulty: accuracy, n, shares truncated and unparsed, accuracy of the rest."""
    phases = section(report, "by_difficulty").get(family)
    table = []
    for phase in PHASES:
        for cell in rows(phases, phase) if isinstance(phases, Mapping) else []:
            n = cell.get("n")
            lost = [formats.percent(formats.share_of(cell.get(key), n)) for key in ("truncated", "unparsed")]
            numbers = [formats.estimate(cell), formats.count(n), *lost, formats.estimate(cell.get("completed"))]
            table.append([phase, str(cell.get("difficulty", "?")), *numbers])
    return table


def share_table(report: Report) -> list[list[str]]:
    """Return one row per family and phase: share, accuracy on originals and on fresh, items, templates, verdict."""
    table = []
    for family, phases in section(report, "recitation_share").items():
        for phase in ("before", "after"):
            cell = phases.get(phase) if isinstance(phases, Mapping) else None
            if isinstance(cell, Mapping):
                sizes = [formats.count(cell.get(key)) for key in ("n_items", "n_templates")]
                sides = [formats.estimate(cell.get(key)) for key in ("original", "fresh")]
                table.append(
                    [family, phase, formats.estimate(cell), *sides, *sizes, str(cell.get("verdict") or formats.NOTHING)]
                )
    return table


def paired_table(report: Report) -> list[list[str]]:
    """Return one row per family: pairs, gained, lost, difference with interval, p."""
    table = []
    for family, cell in section(report, "paired").items():
        if isinstance(cell, Mapping):
            low, high = formats.points(cell.get("low")), formats.points(cell.get("high"))
            change = f"{formats.points(cell.get('difference'))} ({low} to {high})"
            counts = [formats.count(cell.get(key)) for key in ("n", "gained", "lost")]
            table.append([family, *counts, change, formats.p_value(cell.get("p"))])
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Texts under headings, one list per row."""

    heading: list[str]
    body: list[list[str]]


def round_table(report: Report) -> Table:
    """Return what each round asked, kept and cost."""
    heading = ["round", "asked", "right", "kept", "rationalised", "dropped", "unsound", "steps", "sampled", "trained"]
    return Table(heading=[*heading, "time", "tokens/s"], body=[_round_row(entry) for entry in rows(report, "rounds")])


def _round_row(entry: Mapping[str, Any]) -> list[str]:
    asked = formats.finite(entry.get("asked"))
    texts = [str(entry.get("round", "?")), formats.count(asked)]
    right = formats.finite(entry.get("right"))
    texts.append(formats.count(right) + (f" ({formats.percent(right / asked)})" if right is not None and asked else ""))
    texts += [formats.count(entry.get(key)) for key in ("kept", "rationalised")]
    texts += [formats.count(_sum(*section(entry, "dropped").values()))]
    texts += [formats.count(entry.get(key)) for key in ("unsound", "steps")]
    texts += [formats.large(entry.get(key)) for key in ("sampled_tokens", "trained_tokens")]
    return [*texts, formats.duration(entry.get("seconds")), formats.count(entry.get("tokens_per_s"))]


def dropped_table(report: Report) -> Table:
    """Return the number of samples that each round dropped, one column per reason."""
    entries = rows(report, "rounds")
    reasons = list(dict.fromkeys(reason for entry in entries for reason in section(entry, "dropped")))
    body = [
        [str(entry.get("round", "?")), *(formats.count(section(entry, "dropped").get(reason, 0)) for reason in reasons)]
        for entry in entries
    ]
    return Table(heading=["round", *reasons], body=body if reasons else [])


def climb_table(report: Report) -> Table:
    """Return accuracy after each round, over all problems and on the hard band of every family."""
    entries = rows(report, "rounds")
    columns = [
        (family, name, words)
        for name, words in (("accuracy", "all"), ("hard_band", "hard band"))
        for family in dict.fromkeys(family for entry in entries for family in section(entry, name))
    ]
    body = [
        [
            str(entry.get("round", "?")),
            *(formats.percent(_bare(section(entry, name).get(family))) for family, name, _ in columns),
        ]
        for entry in entries
    ]
    return Table(
        heading=["round", *(f"{family}, {words}" for family, _, words in columns)], body=body if columns else []
    )


def _bare(value: Any) -> Any:
    return value.get("value") if isinstance(value, Mapping) else value
