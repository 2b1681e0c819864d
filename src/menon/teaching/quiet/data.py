"""What a thinking model learns from: the texts of files, folders or a Hugging Face data set, read as a stream.

A text file is cut into paragraphs, lines, or pieces of 262,144 characters. Nothing is held in memory but the text that
is being read, so every pass reads the files again; a line that cannot be read stops it, a row without text is counted.
Left out: remote files, archives, texts of several sources in given shares.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from menon.core.errors import ConfigError, DataError
from menon.core.seeds import seeds_within
from menon.problems.corpus_files import PIECE, TEXT_FIELDS, TEXT_SUFFIXES, CorpusFiles
from menon.problems.layouts import FIELDS, Unusable
from menon.problems.prompts import STYLES, PromptStyle
from menon.problems.rows import HUB_ID, SUFFIXES, Row, read_rows
from menon.teaching.quiet.document import LAYOUTS, Document, fits, lay_out

Unit = Literal["paragraph", "line", "file"]

_BREAK = {"paragraph": re.compile(r"\n\s*\n"), "line": re.compile(r"\n")}


@dataclass(slots=True, kw_only=True)
class Documents:
    """The texts of a source, as often as they are asked for; the counts are those of the latest pass.

    `read` counts the texts before, `documents` those after the division into a training and a held-out part.
    """

    data: str
    files: tuple[Path, ...]  # none: a Hugging Face data set
    layout: str = "text"
    seen: tuple[str, ...] = ()  # columns of the first row
    columns: Mapping[str, str] = field(default_factory=dict)
    split: str = ""
    limit: int = 0
    style: PromptStyle | None = None
    unit: Unit = "paragraph"
    part: str = ""
    keep: Callable[[Document], bool] | None = None
    read: int = 0
    documents: int = 0
    empty_lines: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    first_left_out: str = ""
    remarks: Counter[str] = field(default_factory=Counter)

    @property
    def answered(self) -> bool:
        """Say whether the texts have answers, which can be learnt alone."""
        return self.layout in ("messages", "choices", "question/answer")

    @property
    def expected(self) -> int | None:
        """Return an upper bound of the number of texts, where there is one."""
        return self.limit or None

    def __iter__(self) -> Iterator[Document]:
        """Stream the texts.

        Raises:
            DataError: a file that is missing or damaged, or a line that is not a JSON object; names file and line.
            ConfigError: a package that is not installed, or a text that the prompt style cannot put.
        """
        self.read = self.documents = self.empty_lines = 0
        self.left_out, self.remarks, self.first_left_out = Counter(), Counter(), ""
        for document in islice(self._all(), self.limit or None):
            self.read += 1
            if self.keep is None or self.keep(document):
                self.documents += 1
                yield document

    def notes(self) -> tuple[str, ...]:
        """Say what the latest pass left out or repaired, one line each."""
        notes = []
        if self.empty_lines:
            notes.append(f"{self.empty_lines} empty {_plural('line', self.empty_lines)} skipped")
        if total := self.left_out.total():
            most = ", ".join(f"{count} {reason}" for reason, count in self.left_out.most_common(3))
            notes.append(f"{total} {_plural('row', total)} left out: {most} (first: {self.first_left_out})")
        notes += [f"{count} {_plural('line', count)} {note}" for note, count in self.remarks.items()]
        return tuple(notes)

    def summary(self) -> str:
        """Say in one line what the latest pass read."""
        part = f" of {self.read} ({self.part})" if self.part else ""
        return "; ".join((f"{self.documents}{part} texts, layout {self.layout}", *self.notes()))

    def _all(self) -> Iterator[Document]:
        for path in self.files or (None,):
            if path is not None and _is_text(path):
                yield from self._texts(path)
                continue
            for row, place in self.rows(path):
                try:
                    values = _renamed(row.values, self.columns)
                    yield replace(lay_out(values, self.layout, self.style), place=place)
                except Unusable as reason:
                    self._leave_out(str(reason), place)

    def _texts(self, path: Path) -> Iterator[Document]:
        for text in _units(path, self.unit):
            if text.strip():
                yield Document(text=text, place=path.name)
            elif self.unit == "line":
                self.empty_lines += 1

    def rows(self, path: Path | None) -> Iterator[tuple[Row, str]]:
        """Yield the rows of the split as they are, with their places; one that cannot be read is an error."""
        before = 0
        for row in read_rows(path or self.data, split=None if path else self.split or None):
            place = f"{path.name if path else self.data} line {row.line}"
            if row.problem:
                raise DataError(f"{str(path or self.data)!r} line {row.line} cannot be read: {row.problem}; mend it")
            self.empty_lines += row.line - before - 1  # lines are counted with the empty ones, which are not handed on
            before = row.line
            if row.note:
                self.remarks[row.note] += 1
            if not self.split or row.values.get("split", self.split) == self.split:
                yield row, place

    def _leave_out(self, reason: str, place: str) -> None:
        self.left_out[reason] += 1
        self.first_left_out = self.first_left_out or place


def read_documents(
    data: str,
    *,
    columns: Mapping[str, str] | None = None,
    split: str = "",
    limit: int = 0,
    style: str = "",
    unit: Unit = "paragraph",
) -> Documents:
    """Open a file, a folder of files, or a Hugging Face data set; reads as far as the first usable text.

    Args:
        columns: our field name to the column that holds it, as `{"text": "body"}`.
        split: of a hub data set, of a folder (files whose names begin with it), or by a `split` column.
        limit: how many texts to take, from the front; 0 takes all.
        style: the prompt style that lays questions and answers out; "" joins them by line breaks.
        unit: what is one text in a file of plain text; blank lines end a paragraph.
    Raises:
        DataError: no such source, damage before the first text, or nothing to learn from; says which columns there are.
        ConfigError: an unknown style, field or file kind, a column that is not there, or a missing package.
    """
    columns = dict(columns or {})
    if not data:
        raise ConfigError("no data given; name a file, a folder or a Hugging Face data set, as --data FILE")
    if limit < 0:
        raise ConfigError(f"limit is {limit}; allowed: 0 (all texts) or more")
    known = dict.fromkeys((*LAYOUTS, *TEXT_FIELDS, *FIELDS))
    for name in columns:
        if name not in known:
            raise ConfigError(f"map names the field {name!r}; allowed: {', '.join(known)} (as --map text=COLUMN)")
    if unit not in (*_BREAK, "file"):
        raise ConfigError(f"unit is {unit!r}; allowed: paragraph, line, file")
    documents = Documents(
        data=data,
        files=_files(data, split),
        columns=columns,
        split=split,
        limit=limit,
        style=STYLES.get(style) if style else None,
        unit=unit,
    )
    if not documents.files or not all(map(_is_text, documents.files)):
        documents.layout, documents.seen = _layout(documents)
    elif style or columns:
        raise ConfigError(
            f"{data!r} is plain text, which has no columns; leave {'style' if style else 'the map'} out, or give rows "
            "(JSONL, JSON or Parquet)"
        )
    if not documents.layout or next(iter(documents), None) is None:
        raise DataError(_nothing(documents))
    return documents


def split_held_out(documents: Documents, share: float, *names: str | int) -> tuple[Documents, Documents]:
    """Divide into a part to learn from and a held-out part of about `share` of the texts.

    The hash of a text's content decides, so equal texts, and equal questions with other answers, stay together however
    the data is ordered, repeated or cut short.
    """
    if not 0 < share < 1:
        raise ConfigError(f"the held-out share is {share}; allowed: above 0 and below 1, such as 0.05")
    seed, earlier = seeds_within("quiet held out", *names), documents.keep

    def part(name: str, held_out: bool) -> Documents:
        def keep(document: Document) -> bool:
            mine = (seed(document.content) < share * 2**63) is held_out
            return mine and (earlier is None or earlier(document))

        return replace(documents, part=name, keep=keep)

    return part("training", False), part("held out", True)


def _files(data: str, split: str) -> tuple[Path, ...]:
    path = Path(data).expanduser()
    if not path.exists():
        endings = (*TEXT_SUFFIXES, *SUFFIXES)
        if HUB_ID.fullmatch(data) and not data.removesuffix(".gz").endswith(endings):
            return ()
        raise DataError(
            f"no data at {data!r}; allowed: a file ending in {', '.join(endings)} (also .gz), a folder of such files, "
            "or a Hugging Face id such as 'open-web-math/open-web-math'"
        )
    files = CorpusFiles([path]).files()
    if not path.is_dir() or not split:
        return tuple(files)
    wanted = [file for file in files if re.match(rf"{re.escape(split)}\b", file.name)]
    if not wanted:
        raise DataError(f"split {split!r} names no file of folder {data!r}, which holds: {_listed(files)}")
    return tuple(wanted)


def _listed(files: list[Path]) -> str:
    return ", ".join(file.name for file in files[:10]) + (", ..." if len(files) > 10 else "")


def _is_text(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(TEXT_SUFFIXES)


def _units(path: Path, unit: Unit) -> Iterator[str]:
    """Yield the texts of a plain file; none is much longer than a piece."""
    passages = CorpusFiles([path]).passages()
    if unit == "file":
        yield from (passage.text for passage in passages)
        return
    rest = ""
    for passage in passages:
        *whole, rest = _BREAK[unit].split(rest + passage.text)
        yield from (text.strip("\n") for text in whole)
        if len(rest) >= PIECE:
            yield rest
            rest = ""
    if rest.strip("\n"):
        yield rest.strip("\n")


def _layout(documents: Documents) -> tuple[str, tuple[str, ...]]:
    """Return the layout of the first row that fits one ("" if none does), and the columns of the first row.

    Raises:
        ConfigError: the first row lacks a column of the map; DataError: see `Documents`.
    """
    columns, style, seen = documents.columns, documents.style, ()
    order = sorted(LAYOUTS, key=lambda name: not columns.keys() & set(LAYOUTS[name]))  # stable: mapped ones first
    for path in documents.files or (None,):
        if path is not None and _is_text(path):
            continue
        for row, _ in documents.rows(path):
            missing = [column for column in columns.values() if column not in row.values]
            if missing and not seen:
                have = ", ".join(row.values)
                raise ConfigError(f"{documents.data!r} has no column {missing[0]!r}; its columns are: {have}")
            seen = seen or tuple(row.values)
            values = _renamed(row.values, columns)
            layout = next((name for name in order if fits(name, values, style)), "")
            if layout:
                return layout, seen
    return "", seen


def _renamed(values: Mapping[str, Any], columns: Mapping[str, str]) -> Mapping[str, Any]:
    if not columns:
        return values
    kept = {name: value for name, value in values.items() if name not in columns.values()}
    return {**kept, **{name: values[column] for name, column in columns.items() if column in values}}


def _nothing(documents: Documents) -> str:
    text = f"{documents.data!r} has nothing to learn from"
    if documents.seen:
        wanted = "" if documents.style else "text=COLUMN, or --map "
        text += (
            f". The first row has the columns {', '.join(documents.seen)}; name those to use as --map {wanted}"
            "question=COLUMN --map answer=COLUMN"
        )
    elif not documents.notes():
        text += ": it is empty" + (f", or has no row of split {documents.split!r}" if documents.split else "")
    return ". ".join((text, *documents.notes()))


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
