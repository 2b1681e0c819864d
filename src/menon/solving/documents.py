"""Documents of a folder as paragraphs with their place: which files are read, and how each format is cut.

Text (.txt, .md, .rst) is cut at empty lines, a page (.html) at its blocks, long paragraphs again at line ends; .csv
and .jsonl have one paragraph per row, a .json list one per item. Left out: archives, office formats, remote files.
"""

import csv
import html
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST = 2000  # characters of a paragraph; a longer one is cut, so that a hit can be shown to a model
DEEPEST = 20

_EMPTY_LINE = re.compile(r"\n[ \t\r\f\v]*\n")
_BLOCK = re.compile(
    "address|article|aside|blockquote|body|br|caption|d[dlt]|div|fieldset|figcaption|figure|footer|form|h[1-6]|head"
    "|header|hr|html|li|main|nav|[ou]l|option|p|pre|section|table|t[dhr]|tbody|tfoot|thead|title"
)
_TAG = re.compile(r"<[/!?]?([A-Za-z][A-Za-z0-9]{0,20})")
_UNSEEN = {name: re.compile(rf"</{name}", re.IGNORECASE) for name in ("script", "style", "template", "noscript")}
_BREAK = "\0"  # no text file has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A piece of a document, and where it stands."""

    document: str
    place: str
    text: str


def files_of(folder: Path, notes: list[str]) -> list[Path]:
    """Return the files of a folder that can be read, by name; what is left out is told in `notes`."""
    root = folder.resolve()
    found: list[Path] = []
    links: list[Path] = []
    for base, folders, files in os.walk(root, followlinks=False):
        for name in list(folders):
            if name.startswith("."):
                folders.remove(name)
            elif (Path(base) / name).is_symlink():
                notes.append(f"{(Path(base) / name).relative_to(root).as_posix()}: a linked folder, left out")
        for name in files:
            path = Path(base) / name
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            if path.is_symlink():
                links.append(path)
            elif path.is_file():
                found.append(path)
    read = set(found)
    for path in sorted(links):
        target = path.resolve()
        inside = target.is_relative_to(root) and not any(
            part.startswith(".") for part in target.relative_to(root).parts
        )
        if not inside or not target.is_file():
            notes.append(f"{path.relative_to(root).as_posix()}: a link that leads out of the folder, left out")
        elif target not in read:
            read.add(target)
            found.append(path)
    order = sorted(found, key=lambda path: path.relative_to(root).as_posix())
    notes.sort()
    return order


def paragraphs_of(path: Path, folder: Path, notes: list[str]) -> Iterator[Paragraph]:
    """Yield the paragraphs of one file in order."""
    document = path.relative_to(folder.resolve()).as_posix()
    try:
        raw = path.read_bytes()
    except OSError as error:
        notes.append(f"{document}: cannot be read ({error.strerror or error}), left out")
        return
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = raw.decode("utf-16", errors="replace")
    elif b"\0" in raw[:8192]:
        notes.append(f"{document}: a binary file, left out")
        return
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
            notes.append(f"{document}: not UTF-8, read as Latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        parts = list(_READERS[path.suffix.lower()](text))
    except (ValueError, RecursionError, csv.Error) as error:
        notes.append(f"{document}: not {path.suffix.lower()[1:].upper()} ({str(error)[:60]}), read as text")
        parts = list(_plain(text))
    for place, part in parts:
        for number, piece in enumerate(_pieces(part), start=1):
            yield Paragraph(document=document, place=place if number == 1 else f"{place}, part {number}", text=piece)


def _plain(text: str) -> Iterator[tuple[str, str]]:
    line, at = 1, 0
    for match in (*_EMPTY_LINE.finditer(text), None):
        end = len(text) if match is None else match.start()
        part = text[at:end]
        if part.strip():
            lead = len(part) - len(part.lstrip())
            yield f"line {line + part[:lead].count(chr(10))}", part.strip()
        if match is not None:
            line += text.count("\n", at, match.end())
            at = match.end()


def _page(text: str) -> Iterator[tuple[str, str]]:
    blocks = html.unescape("".join(_seen(text))).split(_BREAK)
    parts = (" ".join(block.split()) for block in blocks)
    for number, part in enumerate((part for part in parts if part), start=1):
        yield f"paragraph {number}", part


def _seen(text: str) -> Iterator[str]:
    """Yield what a reader of a page sees, and a break where a block begins or ends.

    Every character is passed once, whatever is left unclosed; the parser of the standard library takes quadratic time.
    """
    at = 0
    while at < len(text):
        opened = text.find("<", at)
        if opened < 0:
            yield text[at:]
            return
        yield text[at:opened]
        tag = _TAG.match(text, opened)
        if text.startswith("<!--", opened):
            at = _after(text, "-->", opened)
        elif tag is None:
            yield "<"
            at = opened + 1
        else:
            name = tag.group(1).lower()
            at = _after(text, ">", tag.end())
            if _BLOCK.fullmatch(name):
                yield _BREAK
            if name in _UNSEEN:
                end = _UNSEEN[name].search(text, at)
                at = len(text) if end is None else _after(text, ">", end.end())


def _after(text: str, mark: str, start: int) -> int:
    """Return the place behind the next `mark`, or the end of the text."""
    found = text.find(mark, start)
    return len(text) if found < 0 else found + len(mark)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"line {number}", _flat(json.loads(line))


def _items(text: str) -> Iterator[tuple[str, str]]:
    content = json.loads(text)
    for number, item in enumerate(content if isinstance(content, list) else [content], start=1):
        yield f"item {number}", _flat(item)


def _table(text: str) -> Iterator[tuple[str, str]]:
    rows = csv.reader(io.StringIO(text), strict=True)
    header = next(rows, [])
    for row in rows:
        if len(row) == len(header):
            yield f"line {rows.line_num}", "; ".join(f"{name}: {cell}" for name, cell in zip(header, row, strict=True))
        elif row:
            yield f"line {rows.line_num}", "; ".join(row)


def _flat(value: Any, depth: int = 0) -> str:
    """Write a JSON value as text, names before values."""
    if depth > DEEPEST:
        return ""
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {_flat(part, depth + 1)}" for name, part in value.items())
    if isinstance(value, list):
        return "\n".join(_flat(part, depth + 1) for part in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _pieces(text: str) -> Iterator[str]:
    """Cut a long paragraph at the last line end, sentence end or space before the limit."""
    at = 0
    while len(text) - at > LONGEST:
        window = text[at : at + LONGEST]
        cut = next((found + 1 for mark in ("\n", ". ", " ") if (found := window.rfind(mark)) > LONGEST // 2), LONGEST)
        if piece := window[:cut].strip():
            yield piece
        at += cut
    if piece := text[at:].strip():
        yield piece


_READERS: Mapping[str, Callable[[str], Iterator[tuple[str, str]]]] = {
    ".txt": _plain,
    ".md": _plain,
    ".rst": _plain,
    ".json": _items,
    ".jsonl": _lines,
    ".csv": _table,
    ".html": _page,
    ".htm": _page,
}
SUFFIXES = tuple(_READERS)
