"""Read a list out of a model's text: numbered or bulleted lines, a JSON array, lines, or one line marked as a list.

Items keep their text; lines that are set in further than their item belong to it. Of several numbered lists the last
one counts, since drafts come first. Left out: a plain sentence with commas, which is no list unless it says so.
"""

import re
from typing import Any

from menon.grading.json_value import last_json
from menon.grading.visible import fenced

MOST_ITEMS = 10_000

_MARKED = re.compile(r"([ \t]{0,40})(?:\(?([0-9]{1,6})[.):]|[-*+\u2022\u2013\u2023\u25e6\u25aa])[ \t]+(?=\S)")
_BOLD_NUMBER = re.compile(r"^([ \t]{0,40})\*\*\(?([0-9]{1,6})([.)])\*\*", re.MULTILINE)
_HEADED = re.compile(
    r"[*_#\s]{0,8}(?:[\w'-]+[ \t]){0,8}?"
    r"(list|items?|answers?|steps?|parts?|(?:sub-?)?(?:questions?|problems?|tasks?)|names?|values?|numbers?|options?|plan)"
    r"(?:[ \t][\w'-]+){0,3}[*_]{0,2}[ \t]?(?::|\bis\b:?|\bare\b:?|=)[*_]{0,2}[ \t]*(.*)",
    re.IGNORECASE,
)
_LINE_ARRAY = re.compile(r"^[ \t]*\[", re.MULTILINE)
_TOLD_ARRAY = re.compile(r"(?::|=|\bis|\bare)[*_]{0,2}[ \t]*\[[^\n]*\Z")
_HEADING = re.compile(r"(?:[*_]{0,2}[^.!?]{1,200}:[*_]{0,2}|#{1,6}[ \t].*)")
_RULER = re.compile(r"`{3,}[\w.+-]*|~{3,}[\w.+-]*|[-*_=]{3,}")


def read_list(text: str) -> tuple[list[Any], str] | None:
    """Return the items of the list in `text` and how it was marked; None where there is no list."""
    body = text.strip()
    if body.startswith("[") and body.endswith("]"):
        array = _array(body)
        return array if array is not None else _parted(body[1:-1], "in brackets")
    if any(part.lstrip().startswith("[") for _, part in fenced(text)) and (array := _array(text)) is not None:
        return array
    lines = [line for line in _BOLD_NUMBER.sub(r"\1\2\3", text).split("\n") if not _RULER.fullmatch(line.strip())]
    marked = [_MARKED.match(line) for line in lines]
    if any(marked):
        return _marked(lines, marked)
    if (_LINE_ARRAY.search(body) or _TOLD_ARRAY.search(body)) and (array := _array(text)) is not None:
        return array
    lines = [line.strip() for line in lines if line.strip()]
    if len(lines) == 1:
        return _headed(lines[0])
    items = lines[1:] if lines and len(lines[0]) <= 300 and _HEADING.fullmatch(lines[0]) else lines
    return (items, "one item per line") if items else None


def _array(text: str) -> tuple[list[Any], str] | None:
    """Return the JSON array of a text; an array that is empty or within an object is none."""
    found = last_json(text)
    return (found.value, "JSON array") if isinstance(found.value, list) and found.value else None


def _headed(line: str) -> tuple[list[Any], str] | None:
    """Split a line such as "List: a, b, c"; one item alone has to be called a list."""
    found = _HEADED.fullmatch(line)
    if found is None:
        return None
    rest = found[2].strip()
    parted = _parted(rest[1:-1] if rest.startswith("[") and rest.endswith("]") else rest, "one line marked as a list")
    return parted if parted and (len(parted[0]) > 1 or found[1].lower() == "list") else None


def _parted(line: str, how: str) -> tuple[list[Any], str] | None:
    """Split one line at semicolons, or where there is none at commas."""
    sign = ";" if ";" in line else ","
    items = [item.strip().strip("\"'`").strip() for item in line.strip().rstrip(".").split(sign)]
    items = [item for item in items if item]
    return (items, how) if items else None


def _marked(lines: list[str], marked: list[re.Match[str] | None]) -> tuple[list[Any], str]:
    """Gather the items of the outermost marked lines, each with the lines that are set in under it."""
    depth = min(len(mark[1].expandtabs()) for mark in marked if mark)
    items: list[list[str]] = []
    restarted, open_item = False, False
    for line, mark in zip(lines, marked, strict=True):
        indent = len(line.expandtabs()) - len(line.expandtabs().lstrip())
        if mark is not None and indent <= depth + 1:
            if mark[2] == "1" and items:
                items, restarted = [], True
            items.append([line[mark.end() :].strip()])
            open_item = True
        elif line.strip() and open_item and indent > depth:
            items[-1].append(line.strip())
        elif line.strip():
            open_item = False
    told = "marked lines, the last list of several" if restarted else "marked lines"
    return ["\n".join(parts) for parts in items], told
