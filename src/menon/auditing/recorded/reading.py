"""Read files of responses: detect the layout of each, grade every row, list what was left out.

The layout of a file is that of its first row that fits one; rows that do not fit it are skipped with the reason. In a
folder or a pattern, files without responses are left out and named; a file that the user named must hold some.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from menon.auditing.probe import Answered
from menon.auditing.recorded import analogies, counterfactual, plain, runs, solutions
from menon.auditing.recorded.entries import Entry, Readings, Source, check_map, nothing_usable, read_entries, sources
from menon.auditing.recorded.values import FileRead, Part, Recorded, Skip
from menon.core.errors import DataError
from menon.core.values import Problem

NO_RESPONSES = "no responses"
Skipper = Callable[[Entry, str], None]


@dataclass(frozen=True, slots=True)
class _Layout:
    name: str
    fits: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Sequence[Entry], Skipper], list[Part]] | None


LAYOUTS = (
    _Layout(runs.NAME, runs.fits, runs.read),
    _Layout(counterfactual.NAME, counterfactual.fits, counterfactual.read),
    _Layout(analogies.LETTERS, analogies.fits_letters, analogies.read_letters),
    _Layout(analogies.MATRICES, analogies.fits_matrices, analogies.read_matrices),
    _Layout(plain.NAME, plain.fits, plain.read),
    _Layout(solutions.NAME, solutions.fits, None),
)


@dataclass(slots=True)
class _File:
    source: Source
    layout: _Layout | None
    entries: list[Entry]
    rows: int
    notes: list[str]
    others: int = 0  # rows of models that were not asked for


def read_recorded(
    specs: Sequence[str], *, problems: Sequence[Problem] = (), map: Mapping[str, str] | None = None
) -> Recorded:
    """Read and grade responses on file.

    Args:
        specs: `recorded:FILE`, a folder, a pattern or a run directory, with options after `?` (text=, key=, question=,
            gold=, model=); the scheme may be left out.
        problems: questions and gold answers for rows that only name their problem.
        map: our field name to the column that holds it, as `{"response": "choices.0.text"}`.
    Raises:
        ConfigError: no such file, or an option or map that is not known.
        DataError: not one row could be used.
    """
    check_map(map or {})
    skipped: list[Skip] = []
    files = [_open(source, map or {}, skipped) for source in sources(specs)]
    by_layout: defaultdict[str, list[_File]] = defaultdict(list)
    for file in files:
        if file.layout is not None:
            by_layout[file.layout.name].append(file)

    def skip(entry: Entry, reason: str) -> None:
        skipped.append(Skip(entry.path, entry.line, reason))

    parts: list[Part] = []
    for group in by_layout.values():
        layout = group[0].layout
        assert layout is not None
        if layout.read is not None:
            parts += layout.read([entry for file in group for entry in file.entries], skip)
        else:
            parts += [part for file in group for part in _by_id(file, skip, problems)]
    if not any(part.answered for part in parts):
        raise _nothing(files, skipped)
    return Recorded(parts=_merged(parts), files=_summaries(files, skipped), skipped=_in_order(files, skipped))


def _open(source: Source, map: Mapping[str, str], skipped: list[Skip]) -> _File:
    """Read one file, find its layout and keep the rows of the layout and of the model asked for."""
    path = str(source.path)
    try:
        readings = read_entries(source, map)
    except DataError as error:
        if source.named:
            raise
        skipped.append(Skip(path, 0, str(error)))
        return _File(source, None, [], 0, [])
    skipped += [Skip(path, line, reason) for line, reason in readings.broken]
    rows = len(readings.entries) + len(readings.broken)
    layout = _detect(readings)
    if layout is None:
        if source.named and readings.entries:
            reasons = "; ".join(f"line {line}: {reason}" for line, reason in readings.broken[:3])
            raise nothing_usable(path, list(readings.entries[0].values), f"Skipped: {reasons}" if reasons else "")
        skipped.append(Skip(path, 0, f"{NO_RESPONSES}: no row holds a response"))
        return _File(source, None, [], rows, readings.notes)
    kept = _of_model(readings.entries, source)
    fitting = [entry for entry in kept if layout.fits(entry.values)]
    for entry in kept:
        if not layout.fits(entry.values):
            names = ", ".join(name for name, value in entry.values.items() if value is not None)
            skipped.append(Skip(path, entry.line, f"fields do not fit layout {layout.name!r}: {names}"))
    return _File(source, layout, fitting, rows, readings.notes, len(readings.entries) - len(kept))


def _detect(readings: Readings) -> _Layout | None:
    """Return the layout of the first row that fits one."""
    fitting = (layout for entry in readings.entries for layout in LAYOUTS if layout.fits(entry.values))
    return next(fitting, None)


def _of_model(entries: list[Entry], source: Source) -> list[Entry]:
    """Keep the rows of the model that `?model=` names, where rows name models at all."""
    wanted = source.options.model
    models = {name for entry in entries if isinstance(name := entry.values.get("model"), str)}
    if wanted is None or not models:
        return entries
    if wanted not in models:
        known = ", ".join(sorted(repr(name) for name in models)[:10])
        raise DataError(f"{str(source.path)!r} has no rows of model {wanted!r}; it has: {known}")
    return [entry for entry in entries if entry.values.get("model") == wanted]


def _by_id(file: _File, skip: Skipper, problems: Sequence[Problem]) -> list[Part]:
    """Read responses that need their problems, from the user's or from those beside the file."""
    if not problems:
        found = solutions.beside(file.source.path, [key for e in file.entries if (key := solutions.key_of(e))])
        if found is not None:
            file.notes.append(f"questions and gold answers taken from {found[0]}")
            problems = found[1]
    return solutions.read(file.entries, skip, problems)


def _merged(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Join parts that are read alike, so that no cell is split between files."""
    groups: defaultdict[tuple[str, str, bool], list[Answered]] = defaultdict(list)
    for part in parts:
        groups[part.probe, part.reading, part.generic] += part.answered
    return tuple(
        Part(probe=probe, reading=reading, answered=tuple(answered), generic=generic)
        for (probe, reading, generic), answered in groups.items()
        if answered
    )


def _in_order(files: Sequence[_File], skipped: Sequence[Skip]) -> tuple[Skip, ...]:
    """Sort skipped rows by file, as the files were named, and line."""
    place = {str(file.source.path): at for at, file in enumerate(files)}
    return tuple(sorted(skipped, key=lambda skip: (place[skip.file], skip.line)))


def _summaries(files: Sequence[_File], skipped: Sequence[Skip]) -> tuple[FileRead, ...]:
    lost = Counter(skip.file for skip in skipped if skip.line)
    return tuple(
        FileRead(
            path=str(file.source.path),
            layout=file.layout.name if file.layout else NO_RESPONSES,
            rows=file.rows,
            used=file.rows - lost[str(file.source.path)] - file.others if file.layout else 0,
            notes=tuple(file.notes),
        )
        for file in files
    )


def _nothing(files: Sequence[_File], skipped: Sequence[Skip]) -> DataError:
    reasons = "; ".join(str(skip) for skip in skipped[:3])
    first = next((file for file in files if file.entries), None)
    if first is None:
        names = ", ".join(str(Path(file.source.path)) for file in files[:3])
        return DataError(f"no row of {names} can be used. {reasons or 'There are no rows.'}")
    return nothing_usable(str(first.source.path), list(first.entries[0].values), f"Skipped: {reasons}")
