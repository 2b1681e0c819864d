"""The shapes of a flowchart: how large a node's text makes it, its outline, and its lines.

Shapes carry the meaning that flowcharts have always given them: stadium for start and end, rectangle for asking,
diamond for a decision, and so on. Left out: pictograms; shape and colour say the kind, and the tooltip in words.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from menon.reports.chart_layout import Box, Point
from menon.reports.formats import visible
from menon.reports.svg import clipped, element, number, text_width

LINE = 16.0
SMALL_LINE = 14.0
_MOST_LINES = 4
_ROOM = {"decide": 130.0, "connector": 70.0}
_WIDEST = 168.0
_SLANT = 14.0
_BREAK = re.compile(r"<br\s*/?>|\n", re.IGNORECASE)
WORDS = {
    "start": "start",
    "end": "end",
    "ask": "asks the model",
    "decide": "decides",
    "compute": "computes",
    "call": "calls another chart",
    "map": "goes through a list or repeats",
    "lookup": "remembers or looks up",
    "person": "a person decides",
    "connector": "connects",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One node ready to be placed: its lines of text, its note, and its box."""

    kind: str
    lines: Sequence[str]
    note: str
    box: Box


def width_of(text: str, size: float = 12.0) -> float:
    """Estimate the width of `text`; letters of East Asian scripts are as wide as high, marks take no room."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    marks = sum(unicodedata.combining(c) > 0 for c in text)
    return text_width(text, size) + size * (0.42 * wide - 0.63 * marks)


def wrapped(text: str, room: float, *, most: int = _MOST_LINES) -> list[str]:
    """Cut `text` into lines of at most `room` pixels; what does not fit into `most` lines ends in an ellipsis."""
    lines: list[str] = []
    for part in _BREAK.split(visible(text)):
        line = ""
        for word in re.split(r"[ \t]+", part.strip(" \t")):  # not at a no-break space
            if line and width_of(f"{line} {word}") > room:
                lines.append(line)
                line = ""
            line = f"{line} {word}".strip()
            while width_of(line) > room and len(line) > 1 and len(lines) <= most:
                fit = _fitting(line, room)
                lines.append(line[:fit])
                line = line[fit:]
            if len(lines) > most:
                break
        lines.append(line)
    lines = [line for line in lines if line] or [""]
    if len(lines) > most:
        lines = [*lines[: most - 1], _ended(lines[most - 1], room)]
    return lines


def _fitting(line: str, room: float) -> int:
    """Return how many characters of `line` fit; at least one."""
    used = 0.0
    for i, char in enumerate(line):
        used += width_of(char)
        if used > room:
            return max(1, i)
    return len(line)


def _ended(line: str, room: float) -> str:
    while line and width_of(line + "…") > room:
        line = line[:-1]
    return line.rstrip() + "…"


def shape_of(kind: str, label: str, note: str = "") -> Shape:
    """Return the shape of a node of `kind`, as large as its text needs; an unknown kind is drawn as a rectangle."""
    lines = wrapped(label, _ROOM.get(kind, _WIDEST))
    note = clipped(visible(" ".join(note.split())), _WIDEST, 11) if note else ""
    wide = max(max(map(width_of, lines)), width_of(note, 11))
    high = LINE * len(lines) + (SMALL_LINE if note else 0)
    width, height = _size(kind, wide, high)
    box = Box(width=width, height=height, outline=_outline(kind, width, height))
    return Shape(kind=kind, lines=lines, note=note, box=box)


def _size(kind: str, wide: float, high: float) -> tuple[float, float]:
    if kind == "decide":  # the text's rectangle touches the diamond: wide / width + high / height = 1
        height = max(58.0, 2.1 * high + 14)
        return max(92.0, (wide + 10) / (1 - high / height)), height
    if kind == "connector":
        size = max(26.0, math.hypot(wide, high) + 8)
        return size, size
    extra = {"start": 30, "end": 30, "compute": 2 * _SLANT + 14, "person": 2 * _SLANT + 14, "map": 2 * _SLANT + 14}
    tall = 34 if kind == "lookup" else 20
    return max(64.0, wide + extra.get(kind, 34 if kind == "call" else 24)), high + tall


def _outline(kind: str, width: float, height: float) -> list[Point]:
    x, y, s = width / 2, height / 2, _SLANT
    if kind == "decide":
        return [(0, -y), (x, 0), (0, y), (-x, 0)]
    if kind == "compute":
        return [(-x + s, -y), (x, -y), (x - s, y), (-x, y)]
    if kind == "person":
        return [(-x + s, -y), (x - s, -y), (x, y), (-x, y)]
    if kind == "map":
        return [(-x + s, -y), (x - s, -y), (x, 0), (x - s, y), (-x + s, y), (-x, 0)]
    if kind == "connector":
        return [(x * math.cos(a), y * math.sin(a)) for a in (2 * math.pi * i / 32 for i in range(32))]
    if kind in ("start", "end"):
        turn = [math.pi * (i / 12 - 0.5) for i in range(13)]
        right = [(x - y + y * math.cos(a), y * math.sin(a)) for a in turn]
        return [*right, *((-u, -v) for u, v in right)]
    return [(-x, -y), (x, -y), (x, y), (-x, y)]


def drawn_shape(shape: Shape, x: float, y: float) -> Markup:
    """Return the outline of a shape whose centre is (x, y)."""
    width, height = shape.box.width, shape.box.height
    left, top = x - width / 2, y - height / 2
    if shape.kind == "connector":
        return element("circle", cx=x, cy=y, r=width / 2, class_="shape")
    if shape.kind in ("start", "end"):
        return element("rect", x=left, y=top, width=width, height=height, rx=height / 2, class_="shape")
    if shape.kind == "lookup":
        return _cylinder(left, top, width, height)
    if shape.kind in ("decide", "compute", "person", "map"):
        points = " ".join(f"{number(x + u)},{number(y + v)}" for u, v in shape.box.outline)
        return element("polygon", points=points, class_="shape")
    box = element(
        "rect", x=left, y=top, width=width, height=height, rx=0 if shape.kind == "call" else 5, class_="shape"
    )
    if shape.kind != "call":
        return box
    sides = (element("line", x1=u, x2=u, y1=top, y2=top + height, class_="shape") for u in (left + 7, left + width - 7))
    return Markup("").join([box, *sides])


def _cylinder(left: float, top: float, width: float, height: float) -> Markup:
    cap, right, bottom = 6.0, left + width, top + height
    half = number(width / 2)
    arc = f"a{half} {number(cap)} 0 0"
    body = (
        f"M{number(left)} {number(top + cap)}{arc} 1 {number(width)} 0V{number(bottom - cap)}"
        f"{arc} 1 {number(-width)} 0z"
    )
    lid = f"M{number(right)} {number(top + cap)}{arc} 1 {number(-width)} 0"
    return Markup("").join([element("path", d=body, class_="shape"), element("path", d=lid, class_="shape lid")])
