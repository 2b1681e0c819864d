"""The statements of a Mermaid flowchart as values that keep their layout: joining every `source` gives the text back.

A statement is its fields, `lead` (the blanks before it) and `tail` (blanks, a semicolon, a line end). Subgraphs are
flat: a start and an end among the other statements, so that depth costs no recursion. Two statements are equal when
their fields and layout are; lines and columns, which follow from the text, are not compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from menon.core.errors import ConfigError
from menon.flowcharts.mermaid_labels import decode, read_pairs

INDENT = "    "
DIRECTIONS = ("TB", "TD", "BT", "LR", "RL")
Stroke = Literal["solid", "dotted", "thick", "invisible"]


class MermaidError(ConfigError):
    """Text that is not a flowchart, or one that does not mean one thing; says where, what, and the mend."""

    def __init__(self, file: str, line: int, column: int, problem: str, mend: str) -> None:
        super().__init__(f"{file}:{line}: {problem}. What to do: {mend}")
        self.file = file
        self.line = line
        self.column = column
        self.problem = problem
        self.mend = mend


class Shape(StrEnum):
    """The outlines that brackets can draw."""

    RECTANGLE = "rectangle"
    ROUND = "round"
    STADIUM = "stadium"
    SUBROUTINE = "subroutine"
    CYLINDER = "cylinder"
    CIRCLE = "circle"
    DOUBLE_CIRCLE = "double_circle"
    ASYMMETRIC = "asymmetric"
    DIAMOND = "diamond"
    HEXAGON = "hexagon"
    PARALLELOGRAM = "parallelogram"
    PARALLELOGRAM_ALT = "parallelogram_alt"
    TRAPEZOID = "trapezoid"
    TRAPEZOID_ALT = "trapezoid_alt"


BRACKETS: dict[tuple[str, str], Shape] = {  # longer openers before their prefixes
    ("(((", ")))"): Shape.DOUBLE_CIRCLE,
    ("((", "))"): Shape.CIRCLE,
    ("([", "])"): Shape.STADIUM,
    ("[[", "]]"): Shape.SUBROUTINE,
    ("[(", ")]"): Shape.CYLINDER,
    ("[/", "/]"): Shape.PARALLELOGRAM,
    ("[\\", "\\]"): Shape.PARALLELOGRAM_ALT,
    ("[/", "\\]"): Shape.TRAPEZOID,
    ("[\\", "/]"): Shape.TRAPEZOID_ALT,
    ("{{", "}}"): Shape.HEXAGON,
    ("[", "]"): Shape.RECTANGLE,
    ("(", ")"): Shape.ROUND,
    ("{", "}"): Shape.DIAMOND,
    (">", "]"): Shape.ASYMMETRIC,
}
_NAMES: dict[Shape, str] = {
    Shape.RECTANGLE: "rect proc process rectangle squareRect",
    Shape.ROUND: "rounded event roundedRect",
    Shape.STADIUM: "stadium terminal pill",
    Shape.SUBROUTINE: "fr-rect subprocess subproc framed-rectangle subroutine",
    Shape.CYLINDER: "cyl db database cylinder",
    Shape.CIRCLE: "circle circ",
    Shape.DOUBLE_CIRCLE: "dbl-circ double-circle doublecircle",
    Shape.ASYMMETRIC: "odd rect_left_inv_arrow",
    Shape.DIAMOND: "diam decision diamond question",
    Shape.HEXAGON: "hex hexagon prepare",
    Shape.PARALLELOGRAM: "lean-r lean-right in-out lean_right",
    Shape.PARALLELOGRAM_ALT: "lean-l lean-left out-in lean_left",
    Shape.TRAPEZOID: "trap-b priority trapezoid-bottom trapezoid",
    Shape.TRAPEZOID_ALT: "trap-t manual trapezoid-top inv-trapezoid inv_trapezoid",
}
SHAPE_NAMES: dict[str, Shape] = {name: shape for shape, names in _NAMES.items() for name in names.split()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A bracketed label, e.g. `["Ask"]`; `raw` has its quotes and entities as written."""

    opener: str
    raw: str
    closer: str

    @property
    def source(self) -> str:
        return self.opener + self.raw + self.closer

    @property
    def shape(self) -> Shape:
        return BRACKETS[self.opener, self.closer]

    @property
    def label(self) -> str:
        return decode(self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A node where it stands in a chain; `before` is the blank or ` & ` that parts it from what came before.

    `data` is the inside of `@{...}` as written.
    """

    id: str
    before: str = ""
    outline: Outline | None = None
    style_class: str = ""
    data: str | None = None
    line: int = field(default=0, compare=False, repr=False)
    column: int = field(default=0, compare=False, repr=False)

    @property
    def source(self) -> str:
        outline = self.outline.source if self.outline else ""
        style_class = f":::{self.style_class}" if self.style_class else ""
        data = "" if self.data is None else f"@{{{self.data}}}"
        return f"{self.before}{self.id}{outline}{style_class}{data}"

    @property
    def pairs(self) -> dict[str, str]:
        return read_pairs(self.data or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An edge sign, with its label either inside (`-- yes -->`: opener, inline, arrow) or in bars (`-->|yes|`)."""

    before: str = " "
    edge_id: str = ""
    opener: str = ""
    inline: str = ""
    arrow: str = "-->"
    bar_gap: str = ""
    bar: str | None = None
    line: int = field(default=0, compare=False, repr=False)

    @property
    def source(self) -> str:
        edge_id = f"{self.edge_id}@" if self.edge_id else ""
        bar = "" if self.bar is None else f"{self.bar_gap}|{self.bar}|"
        return f"{self.before}{edge_id}{self.opener}{self.inline}{self.arrow}{bar}"

    @property
    def label(self) -> str:
        return decode(self.inline if self.bar is None else self.bar)

    @property
    def stroke(self) -> Stroke:
        if "~" in self.arrow:
            return "invisible"
        if "." in self.arrow:
            return "dotted"
        return "thick" if "=" in self.arrow else "solid"

    @property
    def head(self) -> str:
        """Return the sign at the target's end: `>`, `x`, `o`, or nothing."""
        return self.arrow[-1] if self.arrow[-1] in ">xo" else ""

    @property
    def both_ways(self) -> bool:
        return (self.opener or self.arrow)[0] in "<xo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What all statements share: the blanks before, and everything up to the next statement."""

    lead: str = ""
    tail: str = "\n"

    @property
    def body(self) -> str:
        return ""

    @property
    def source(self) -> str:
        return f"{self.lead}{self.body}{self.tail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blank(Statement):
    """An empty line, or nothing before a semicolon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment(Statement):
    """`%% text`, to the end of the line."""

    text: str

    @property
    def body(self) -> str:
        return f"%%{self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive(Statement):
    """`%%{init: ...}%%`; the text between is kept and not read."""

    text: str

    @property
    def body(self) -> str:
        return f"%%{{{self.text}}}%%"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter(Statement):
    """`---` to `---` before the header; the text between is kept and not read."""

    text: str

    @property
    def body(self) -> str:
        return f"---{self.text}---"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header(Statement):
    """`flowchart TD`; without a direction, renderers draw from top to bottom."""

    keyword: str = "flowchart"
    gap: str = " "
    direction: str = "TD"

    @property
    def body(self) -> str:
        return f"{self.keyword}{self.gap}{self.direction}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionChange(Statement):
    """`direction LR` inside a subgraph."""

    lead: str = INDENT
    gap: str = " "
    direction: str

    @property
    def body(self) -> str:
        return f"direction{self.gap}{self.direction}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Statement):
    """A statement about looks, links or titles (`style`, `classDef`, `click`, `accTitle`...); its text is not read."""

    lead: str = INDENT
    keyword: str
    text: str

    @property
    def body(self) -> str:
        return f"{self.keyword}{self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgraphStart(Statement):
    """`subgraph name`, `subgraph name[title]` or `subgraph "title"`."""

    lead: str = INDENT
    gap: str = " "
    name: str
    name_gap: str = ""
    outline: Outline | None = None
    line: int = field(default=0, compare=False, repr=False)

    @property
    def body(self) -> str:
        outline = self.outline.source if self.outline else ""
        return f"subgraph{self.gap}{self.name}{self.name_gap}{outline}"

    @property
    def id(self) -> str:
        return decode(self.name)

    @property
    def title(self) -> str:
        return self.outline.label if self.outline else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgraphEnd(Statement):
    """`end`."""

    lead: str = INDENT

    @property
    def body(self) -> str:
        return "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Statement):
    """Groups of nodes joined by links, `A & B --> C --> D`; one group alone defines or mentions nodes."""

    lead: str = INDENT
    groups: tuple[tuple[Mention, ...], ...]
    links: tuple[Link, ...] = ()

    @property
    def body(self) -> str:
        return "".join(part.source for part in self.parts())

    def parts(self) -> Iterator[Mention | Link]:
        """Yield mentions and links in order of the text."""
        yield from self.groups[0]
        for link, group in zip(self.links, self.groups[1:], strict=True):
            yield link
            yield from group
