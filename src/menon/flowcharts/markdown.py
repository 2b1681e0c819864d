"""The outline of a strategy file: title, source, settings, fenced blocks and sections, each with its line.

Reads the small part of Markdown that a strategy file uses and leaves all other text alone. Left out: rendering, nested
lists, setext headings.
"""

import re
from dataclasses import dataclass, field

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)")
# Keys are bounded and blanks at the end stay in the value, so that no line takes quadratic time.
_ITEM = re.compile(r"^ {0,3}[-*+]\s+(?P<key>[A-Za-z][A-Za-z _]{0,40}?)\s*:(?:\s+(?P<value>.*))?$")
_CONTINUED = re.compile(r"^ {2,}(?![-*+]\s)(?P<more>\S.*)$")


@dataclass(slots=True, kw_only=True)
class Setting:
    """One item `- key: value` of a list of settings."""

    key: str
    value: str
    line: int


@dataclass(slots=True, kw_only=True)
class Fence:
    """A fenced block: its language, its text, and the line of its first line of text."""

    language: str
    text: str
    line: int


@dataclass(slots=True, kw_only=True)
class Section:
    """What stands under one heading; the first, with an empty heading, is what stands before any `##`."""

    heading: str
    line: int
    settings: list[Setting] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)
    unclosed: int = 0  # line of a fence that never ends

    def fence(self, *languages: str) -> Fence | None:
        """Return the first fenced block in one of `languages`."""
        return next((fence for fence in self.fences if fence.language in languages), None)


@dataclass(slots=True, kw_only=True)
class Outline:
    """A whole file; `sections[0]` is its head."""

    title: str
    source: str
    sections: list[Section]


def outline(text: str) -> Outline:
    """Read the outline of a strategy file; nothing is refused here."""
    title = source = ""
    sections = [Section(heading="", line=1)]
    lines = text.splitlines()
    at, listed = 0, False
    while at < len(lines):
        line, section = lines[at], sections[-1]
        if fence := _FENCE.match(line):
            at = _read_fence(lines, at, fence, section)
            continue
        if line.startswith("## "):
            sections.append(Section(heading=line[3:].strip(), line=at + 1))
        elif line.startswith("# ") and not title:
            title = line[2:].strip()
        elif line.lower().startswith("source:") and not source and len(sections) == 1:
            source = line[7:].strip()
        elif (item := _ITEM.match(line)) and not section.fences:
            key = " ".join(item["key"].lower().split())
            section.settings.append(Setting(key=key, value=(item["value"] or "").rstrip(), line=at + 1))
            listed = True
            at += 1
            continue
        elif listed and section.settings and (more := _CONTINUED.match(line)):
            section.settings[-1].value += " " + more["more"].rstrip()
            at += 1
            continue
        listed = False
        at += 1
    return Outline(title=title, source=source, sections=sections)


def _read_fence(lines: list[str], at: int, opening: re.Match[str], section: Section) -> int:
    """Add the fenced block that opens at line `at` to `section`; return the place after it."""
    mark = opening[1]
    for end in range(at + 1, len(lines)):
        closing = lines[end].strip()
        if closing and set(closing) == {mark[0]} and len(closing) >= len(mark):
            break
    else:
        section.unclosed = at + 1
        end = len(lines)
    section.fences.append(Fence(language=opening[2].lower(), text="\n".join(lines[at + 1 : end]), line=at + 2))
    return end + 1
