"""Data set files as problems: find the layout, say what was found, skip what cannot be used and say why.

Rows that name a registered grader keep it, as those of `menon problems make` do. The grader of the others follows from
their answers: "choice" where there are choices, "number" where most answers are numbers (rows whose answer is none are
then skipped), else "exact". Give `grader` to decide otherwise for all.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError, DataError
from menon.core.values import Problem
from menon.grading import GRADERS, open_grader
from menon.grading.numbers import canonical, parse_number
from menon.grading.steps import check_calculator_marks
from menon.problems.layouts import FIELDS, LAYOUTS, Draft, Layout, Unusable, detect
from menon.problems.rows import SUFFIXES, Row, read_rows

SPLIT_NAMES = ("train", "test", "dev", "validation", "valid", "val")
LOOKED_AT = 200  # rows beyond the limit that help to tell what kind the answers are


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that was left out; `line` counts from 1."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Problems of one source, the layout and graders that were detected, what was skipped, and what to know of it."""

    problems: tuple[Problem, ...]
    layout: str
    grader: str
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Say in one line what was read."""
        text = f"{len(self.problems)} problems, layout {self.layout}, grader {self.grader}"
        if self.skipped:
            reasons = Counter(row.reason.partition(":")[0] for row in self.skipped)
            most = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
            text += f"; {len(self.skipped)} rows skipped ({most}; first: line {self.skipped[0].line})"
        return "; ".join((text, *self.notes))


@dataclass(frozen=True, slots=True)
class _Drafted:
    line: int
    values: Mapping[str, Any]
    draft: Draft
    grader: str = ""  # the one that the row names


def load_problems(
    source: str | Path,
    *,
    map: Mapping[str, str] | None = None,
    limit: int | None = None,
    split: str | None = None,
    grader: str | None = None,
    family: str | None = None,
) -> Dataset:
    """Read a JSONL, JSON or Parquet file (or a folder of them), or a Hugging Face data set, as problems.

    Args:
        source: a path, or `owner/name` or `owner/name:config` on the hub.
        map: our field name to the column that holds it, as `{"question": "prompt_text"}`.
        limit: how many problems to keep, from the front.
        split: the split to keep (of a hub data set, of a folder, or by a `split` column); without such a column it
            is the name of the split that the problems are given.
        grader: the grader to use for every problem.
        family: the family name; without it the file's (or its folder's) name.
    Raises:
        DataError: no such source, a damaged file, a layout that is not known, or no row that can be used.
        ConfigError: a map that names an unknown field or a missing column; a package that is not installed.
    """
    _check_map(map or {})
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit!r}; allowed: 1 or more")
    skipped: list[Skipped] = []
    notes: Counter[str] = Counter()
    rows = _mapped(_readable(read_rows(source, split=split), skipped, notes), map or {}, str(source))
    layout, rows = _detected(rows, str(source), skipped)
    known = () if grader else GRADERS.names()
    drafts = list(islice(_drafts(rows, layout, split, known, skipped), limit + LOOKED_AT if limit else None))
    usual = grader or _grader_for(layout, [drafted for drafted in drafts if not drafted.grader])
    usual_family, usual_split = _names(source)
    problems: list[Problem] = []
    for drafted in drafts:
        if limit is not None and len(problems) >= limit:
            break
        try:
            chosen = drafted.grader or usual
            problems.append(_problem(drafted, len(problems), chosen, family or usual_family, split or usual_split))
        except Unusable as reason:
            skipped.append(Skipped(drafted.line, str(reason)))
    if not problems:
        raise DataError(f"no row of {str(source)!r} can be used. {_reasons(skipped)}")
    return Dataset(
        problems=tuple(problems),
        layout=layout.name,
        grader=", ".join(dict.fromkeys(problem.grader for problem in problems)),
        skipped=tuple(sorted(skipped, key=lambda row: row.line)),
        notes=tuple(f"{count} lines {note}" for note, count in notes.items()),
    )


def _check_map(map: Mapping[str, str]) -> None:
    for name in map:
        if name not in FIELDS:
            raise ConfigError(f"map names the field {name!r}; allowed: {', '.join(FIELDS)} (as question=COLUMN)")


def _readable(rows: Iterable[Row], skipped: list[Skipped], notes: Counter[str]) -> Iterator[Row]:
    for row in rows:
        if row.problem:
            skipped.append(Skipped(row.line, row.problem))
            continue
        if row.note:
            notes[row.note] += 1
        yield row


def _mapped(rows: Iterable[Row], map: Mapping[str, str], source: str) -> Iterator[Row]:
    """Rename columns; a column that the first row lacks is an error, in later rows the field is just missing."""
    for number, row in enumerate(rows):
        missing = [column for column in map.values() if column not in row.values]
        if missing and number == 0:
            columns = ", ".join(row.values)
            raise ConfigError(f"{source!r} has no column {missing[0]!r}; its columns are: {columns}")
        renamed = {name: row.values[column] for name, column in map.items() if column in row.values}
        kept = {name: value for name, value in row.values.items() if name not in map.values()}
        yield Row(row.line, {**kept, **renamed}, note=row.note)


def _detected(rows: Iterator[Row], source: str, skipped: list[Skipped]) -> tuple[Layout, Iterator[Row]]:
    """Find the layout on the first row that fits one; rows before it are skipped."""
    seen: tuple[str, ...] = ()
    for row in rows:
        layout = detect(row.values)
        if layout is not None:
            return layout, _chained(row, rows)
        seen = seen or tuple(row.values)
        skipped.append(Skipped(row.line, f"fields fit no layout: {', '.join(row.values)}"))
    if not skipped:
        raise DataError(f"{source!r} is empty")
    known = ", ".join(layout.name for layout in LAYOUTS)
    fields = (
        f"The first row has the fields {', '.join(seen)}; name them with a map such as question=COLUMN. "
        if seen
        else ""
    )
    raise DataError(f"no row of {source!r} can be used. {fields}Layouts: {known}. {_reasons(skipped)}")


def _chained(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _drafts(
    rows: Iterable[Row], layout: Layout, split: str | None, graders: Collection[str], skipped: list[Skipped]
) -> Iterator[_Drafted]:
    for row in rows:
        if split is not None and row.values.get("split", split) != split:
            continue
        if not layout.fits(row.values):
            skipped.append(Skipped(row.line, f"fields do not fit layout {layout.name}: {', '.join(row.values)}"))
            continue
        try:
            named = _named_grader(row.values, graders)
            yield _Drafted(row.line, row.values, _as_named(layout.draft(row.values), row.values, named), named)
        except Unusable as reason:
            skipped.append(Skipped(row.line, str(reason)))


def _named_grader(values: Mapping[str, Any], graders: Collection[str]) -> str:
    """Return the grader that a row names, with its options; nothing where it names none of `graders`."""
    named = values.get("grader")
    if not isinstance(named, str) or named.partition("?")[0] not in graders:
        return ""
    if "?" in named:
        try:
            open_grader(named)
        except ConfigError as error:
            raise Unusable(f"grader {named!r} cannot be used: {error}") from None
    return named


def _as_named(draft: Draft, values: Mapping[str, Any], grader: str) -> Draft:
    """Give the text of the right choice back to a grader that compares texts, where the row has it."""
    if grader in ("", "choice") or values.get("answer") not in draft.choices:
        return draft
    return replace(draft, answer=values["answer"])


def _grader_for(layout: Layout, drafts: list[_Drafted]) -> str:
    if layout.name == "choices":
        return "choice"
    numeric = sum(parse_number(drafted.draft.answer) is not None for drafted in drafts)
    return "number" if layout.numeric or 2 * numeric > len(drafts) else "exact"


def _problem(drafted: _Drafted, index: int, grader: str, family: str, split: str) -> Problem:
    draft, values = drafted.draft, drafted.values
    answer = draft.answer
    if grader.partition("?")[0] == "number":
        number = parse_number(answer)
        if number is None:
            raise Unusable(f"answer {answer!r:.60} is not a number, which grader 'number' needs")
        answer = canonical(number)
    marks = check_calculator_marks(draft.rationale or "").steps
    meta = {**draft.meta, "line": drafted.line}
    if values.get("id") is not None:
        meta["id"] = values["id"]
    if "canary" in values:
        meta["canary"] = values["canary"]
    if marks:
        meta["steps"] = "marks"
    elif isinstance(values.get("meta"), Mapping):
        meta = {**values["meta"], **meta}  # rows of `menon problems make` carry what their step check needs
    family = str(values.get("family") or family)
    return Problem(
        family=family,
        question=draft.question,
        answer=answer,
        world=str(values.get("world") or "default"),
        split=str(values.get("split") or split),
        index=index,
        difficulty=_whole(values.get("difficulty"), marks),
        template=draft.template or str(values.get("template") or "") or f"{family}/{values.get('id', drafted.line)}",
        rationale=draft.rationale,
        choices=draft.choices,
        grader=grader,
        meta=meta,
    )


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise


def _names(source: str | Path) -> tuple[str, str]:
    """Return the family and the split that a source's name speaks of."""
    path = Path(source)
    stem = path.name
    for suffix in (".gz", *SUFFIXES):
        stem = stem.removesuffix(suffix)
    stem = stem.partition(":")[0]
    if stem in SPLIT_NAMES and path.exists():
        return path.resolve().parent.name or stem, stem
    return stem, "test"


def _reasons(skipped: list[Skipped]) -> str:
    return "Skipped: " + "; ".join(f"line {row.line}: {row.reason}" for row in skipped[:3]) if skipped else ""
