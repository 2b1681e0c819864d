"""A report in about fifteen lines of plain text, for a terminal or a log."""

from collections.abc import Mapping
from typing import Any

from menon.reports import formats, tables, words
from menon.reports.reading import Source, families, read_report, rows, section


def summary(report: Source) -> str:
    """Return the verdict, the accuracies, the recitation shares and the cost as plain text without colours."""
    data = read_report(report)
    lines = [f"{data.get('study', 'study')}: {data.get('model', 'model')}"]
    lines += _verdict(data)
    lines += _table(data)
    lines += _rounds(data)
    lines += _cost(data)
    lines += [f"warning  {text}" for text in words.warnings(data)]
    lines.append(f"again    {words.command_of(data)}")
    return "\n".join(lines).replace(formats.NARROW_SPACE, " ")


def _verdict(data: Mapping[str, Any]) -> list[str]:
    verdict = section(data, "verdict")
    lines = []
    for phase in ("before", "after"):
        said = section(verdict, phase)
        if said:
            lines.append(f"{phase:<8} {said.get('label', '?')}: {_short(str(said.get('sentence', '')))}".rstrip(": "))
    if verdict.get("sentence"):
        lines.append(f"in all   {verdict['sentence']}")
    stopped = words.unfinished(data)
    return [*lines, stopped.replace("`", "")] if stopped else lines


def _short(sentences: str) -> str:
    """Keep what fits two lines of a terminal: the whole, or its first sentence; the page has the rest."""
    return sentences if len(sentences) <= 160 else sentences.split(". ")[0].rstrip(".") + "."


def _table(data: Mapping[str, Any]) -> list[str]:
    """One line per family and measure; columns are as wide as their widest entry."""
    grid = [["", "before", "direct", "after"]]
    for family in families(data):
        for name, words_of in (("accuracy", "all"), ("hard_band", "hard band"), ("recitation_share", "recitation")):
            cells = section(data, name).get(family)
            if isinstance(cells, Mapping) and cells:
                grid.append(
                    [f"{family}, {words_of}", *(formats.estimate(cells.get(p)) for p in ("before", "direct", "after"))]
                )
    if len(grid) == 1:
        return []
    widths = [max(len(row[i]) for row in grid) for i in range(4)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in grid]


def _rounds(data: Mapping[str, Any]) -> list[str]:
    entries = rows(data, "rounds")
    if not entries:
        return []
    kept, rationalised, unsound = (
        formats.count(sum(formats.finite(entry.get(key)) or 0 for entry in entries))
        for key in ("kept", "rationalised", "unsound")
    )
    many = "1 round" if len(entries) == 1 else f"{len(entries)} rounds"
    return [f"rounds   {many}; {kept} rows kept, {rationalised} rationalised, {unsound} right with unsound steps"]


def _cost(data: Mapping[str, Any]) -> list[str]:
    parts = [
        f"{tile.after} {tile.name}".replace(" time", "")
        for tile in tables.tiles(data)
        if tile.name in ("time", "tokens")
    ]
    peak = section(data, "cost").get("peak_memory_mb")
    if formats.finite(peak) is not None:
        parts.append(f"peak memory {formats.memory(peak)}")
    return ["cost     " + ", ".join(parts)] if parts else []
