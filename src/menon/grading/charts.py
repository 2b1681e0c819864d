"""The flowchart program in a model's reply: a Markdown text with one Mermaid block and a section for each node.

A program may come in a fenced block of its own, whose inner fences then often have as many backticks as the outer one;
an inner fence is told by the language behind it. Left out: whether the program is any good, which the checker says.
"""

import re
from collections.abc import Sequence

from menon.grading.verdicts import split_thinking

LONGEST = 100_000
WRAPPERS = ("markdown", "md", "mkd")

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)\s*$")
_DRAWING = re.compile(r"^ {0,3}(?:`{3,}|~{3,})\s*mermaid\s*$", re.IGNORECASE)


def chart_in(text: str) -> str:
    """Return the chart that a reply holds, "" where there is none; reasoning and an outer fence are taken off."""
    _, visible, closed = split_thinking(text[-LONGEST:])
    lines = visible.splitlines() if closed else []
    drawing = next((place for place, line in enumerate(lines) if _DRAWING.match(line)), None)
    if drawing is None:
        return ""
    opening = next((place for place in range(drawing - 1, -1, -1) if _wraps(lines, place)), None)
    if opening is not None:
        found = _wrapped(lines, opening)
        if any(_DRAWING.match(line) for line in found):
            return _text(found)
    title = next((place for place in range(drawing) if lines[place].startswith("# ")), drawing)
    return _text(lines[title:])


def _wraps(lines: Sequence[str], place: int) -> bool:
    """Tell whether a line opens an outer fence: one for Markdown, or one whose first line is a title."""
    fence = _FENCE.match(lines[place])
    if fence is None:
        return False
    following = next((line for line in lines[place + 1 :] if line.strip()), "")
    return fence[2].lower() in WRAPPERS or (not fence[2] and following.startswith("# "))


def _wrapped(lines: Sequence[str], opening: int) -> Sequence[str]:
    """Return what the outer fence holds: up to the first fence without a language that closes none inside."""
    outer = _FENCE.match(lines[opening])
    assert outer is not None
    inner = ""
    for place in range(opening + 1, len(lines)):
        fence = _FENCE.match(lines[place])
        if fence is None:
            continue
        mark = fence[1]
        if inner:
            if not fence[2] and mark[0] == inner[0] and len(mark) >= len(inner):
                inner = ""
        elif fence[2] or (mark[0] != outer[1][0]) or len(mark) < len(outer[1]):
            inner = mark
        else:
            return lines[opening + 1 : place]
    return lines[opening + 1 :]


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines).strip() + "\n"
