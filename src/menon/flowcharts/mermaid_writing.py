"""Write a Mermaid flowchart: a tree to text, and builders that make statements in Python.

Builders quote every label and escape what a renderer could take for markup; layout is four blanks and one line per
statement. Left out: rearranging a tree that was read; its own layout is written back.
"""

from collections.abc import Iterable
from dataclasses import replace

from menon.core.errors import ConfigError
from menon.flowcharts.mermaid import Diagram
from menon.flowcharts.mermaid_labels import encode
from menon.flowcharts.mermaid_reading import parse
from menon.flowcharts.mermaid_statements import (
    BRACKETS,
    INDENT,
    Chain,
    Comment,
    Header,
    Link,
    Mention,
    Outline,
    Shape,
    Statement,
    Stroke,
    SubgraphEnd,
    SubgraphStart,
)

_SIGNS = {shape: signs for signs, shape in BRACKETS.items()}
_LINES: dict[Stroke, tuple[str, str]] = {
    "solid": ("---", "--"),
    "dotted": ("-.-", "-.-"),
    "thick": ("===", "=="),
    "invisible": ("~~~", "~~~"),
}
_BUILT = "<built>"


def write(diagram: Diagram) -> str:
    """Return the text of a flowchart, byte for byte the one it was read from."""
    return "".join(statement.source for statement in diagram.statements)


def node(id: str, shape: Shape = Shape.RECTANGLE, label: str | None = None) -> Chain:
    """Define a node; without a label its id is shown."""
    opener, closer = _SIGNS[shape]
    outline = Outline(opener=opener, raw=_quoted(id if label is None else label), closer=closer)
    return Chain(groups=((Mention(id=id, outline=outline),),))


def edge(
    source: str,
    target: str,
    label: str = "",
    *,
    kind: Stroke = "solid",
    arrow: bool = True,
    both_ways: bool = False,
) -> Chain:
    """Join two nodes; an invisible edge has neither label nor arrow."""
    if kind == "invisible" and (label or both_ways):
        raise ConfigError(
            f"an invisible edge from {source!r} to {target!r} can have no label and no arrow; leave them out"
        )
    if both_ways and not arrow:
        raise ConfigError(f"the edge from {source!r} to {target!r} has both_ways but no arrow; set arrow=True")
    line, shaft = _LINES[kind]
    sign = f"{'<' if both_ways else ''}{shaft}>" if arrow and kind != "invisible" else line
    link = Link(arrow=sign, bar=_quoted(label) if label else None)
    return Chain(groups=((Mention(id=source),), (Mention(id=target, before=" "),)), links=(link,))


def subgraph(id: str, title: str | None = None) -> SubgraphStart:
    """Open a subgraph; close it with `end()`."""
    outline = None if title is None else Outline(opener="[", raw=_quoted(title), closer="]")
    return SubgraphStart(name=id, outline=outline)


def end() -> SubgraphEnd:
    """Close the innermost open subgraph."""
    return SubgraphEnd()


def comment(text: str) -> Comment:
    """Make a comment of one line.

    Raises: ConfigError when `text` has line breaks.
    """
    if "\n" in text or "\r" in text:
        raise ConfigError(f"a comment is one line, got {text[:40]!r}; write one comment per line")
    return Comment(lead=INDENT, text=f" {text}".rstrip())


def diagram(statements: Iterable[Statement], direction: str = "TD") -> Diagram:
    """Make a flowchart of built statements, indented by subgraph, and check it by reading it back.

    Raises: MermaidError for what cannot be read: ids that are no ids, two labels for one node, open subgraphs.
    """
    depth = 0
    indented: list[Statement] = [Header(direction=direction)]
    for statement in statements:
        depth -= isinstance(statement, SubgraphEnd)
        lead = INDENT * (1 + max(depth, 0)) if statement.lead == INDENT else statement.lead
        indented.append(replace(statement, lead=lead))
        depth += isinstance(statement, SubgraphStart)
    built = Diagram(statements=tuple(indented), file=_BUILT)
    read = parse(write(built), file=_BUILT)
    if read != built:
        raise ConfigError(
            "a built statement reads back as something else; ids are letters, digits and _, with - or . inside"
        )
    return read


def _quoted(label: str) -> str:
    return f'"{encode(label)}"'
