"""A Mermaid flowchart as a value: its statements in order, and the nodes, edges and subgraphs that they mean.

A node means one thing, so a second outline or label that differs from the first is an error here, where renderers
silently take the last. Left out: the meaning of styles, classes, clicks and front matter, which are kept and not read.
Source: the flowchart grammar of Mermaid 11; the differences from it are errors here, never other meanings.
"""

from dataclasses import dataclass, field, replace

from menon.flowcharts.mermaid_labels import decode
from menon.flowcharts.mermaid_statements import (
    SHAPE_NAMES,
    Blank,
    Chain,
    Comment,
    DirectionChange,
    Directive,
    FrontMatter,
    Header,
    Link,
    Mention,
    MermaidError,
    Outline,
    Setting,
    Shape,
    Statement,
    Stroke,
    SubgraphEnd,
    SubgraphStart,
)

__all__ = [
    "Blank",
    "Chain",
    "Comment",
    "Diagram",
    "DirectionChange",
    "Directive",
    "EdgeUse",
    "FrontMatter",
    "Header",
    "Link",
    "Mention",
    "MermaidError",
    "NodeUse",
    "Outline",
    "Setting",
    "Shape",
    "Statement",
    "SubgraphEnd",
    "SubgraphStart",
    "SubgraphUse",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUse:
    """A node with its outline and text; both None when it is only mentioned.

    `shape_name` is the name in `@{ shape: ... }`, kept also where it is none of ours and `shape` is None.
    `line` is that of the defining mention, or else of the first; 0 in a diagram that was not read from text.
    """

    id: str
    shape: Shape | None = None
    label: str | None = None
    shape_name: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeUse:
    """One edge between two nodes; `head` is `>`, `x`, `o` or nothing, `arrow` whether there is any."""

    source: str
    target: str
    label: str = ""
    kind: Stroke = "solid"
    head: str = ">"
    both_ways: bool = False
    id: str = ""
    line: int = 0

    @property
    def arrow(self) -> bool:
        return bool(self.head)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgraphUse:
    """A subgraph, the ids mentioned directly inside it, and the place of its parent in the list, or None."""

    id: str
    title: str
    members: tuple[str, ...]
    parent: int | None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """A flowchart that keeps every byte of its text; `file` is for messages and not compared."""

    statements: tuple[Statement, ...]
    file: str = field(default="<text>", compare=False, repr=False)

    @property
    def direction(self) -> str:
        """Return where the chart runs to; TB when the header does not say."""
        header = next((s for s in self.statements if isinstance(s, Header)), Header())
        return header.direction or "TB"

    def nodes(self) -> dict[str, NodeUse]:
        """Return every node by id, in order of first mention; ids of edges and of subgraphs are no nodes.

        Raises: MermaidError when two mentions give one node different outlines or labels.
        """
        chains = [statement for statement in self.statements if isinstance(statement, Chain)]
        others = {link.edge_id for chain in chains for link in chain.links}
        others.update(s.id for s in self.statements if isinstance(s, SubgraphStart))
        uses: dict[str, NodeUse] = {}
        for chain in chains:
            for group in chain.groups:
                for mention in group:
                    if mention.id not in others:
                        uses[mention.id] = self._merged(uses.get(mention.id), mention)
        for use in uses.values():
            if use.label is not None and use.shape is None and use.shape_name is None:
                uses[use.id] = replace(use, shape=Shape.RECTANGLE)  # what `@{ label: ... }` alone is drawn as
        return uses

    def edges(self) -> list[EdgeUse]:
        """Return every edge in order of the text, each chain and each `&` expanded."""
        found: list[EdgeUse] = []
        for chain in self.statements:
            if isinstance(chain, Chain):
                for link, sources, targets in zip(chain.links, chain.groups, chain.groups[1:], strict=False):
                    found += _edges(link, sources, targets)
        return found

    def subgraphs(self) -> list[SubgraphUse]:
        """Return every subgraph in order of the text."""
        open_ones: list[int] = []
        found: list[SubgraphUse] = []
        members: list[dict[str, None]] = []
        for statement in self.statements:
            if isinstance(statement, SubgraphStart):
                parent = open_ones[-1] if open_ones else None
                open_ones.append(len(found))
                members.append({})
                found.append(
                    SubgraphUse(id=statement.id, title=statement.title, members=(), parent=parent, line=statement.line)
                )
            elif isinstance(statement, SubgraphEnd):
                open_ones.pop()
            elif isinstance(statement, Chain) and open_ones:
                members[open_ones[-1]].update((m.id, None) for group in statement.groups for m in group)
        return [replace(use, members=tuple(ids)) for use, ids in zip(found, members, strict=True)]

    def _merged(self, known: NodeUse | None, mention: Mention) -> NodeUse:
        if mention.outline is None and mention.data is None:
            return known or NodeUse(id=mention.id, line=mention.line)
        use = _defined(mention)
        if known is None or (known.shape is None and known.label is None and known.shape_name is None):
            return use
        for what, old, new in (("labels", known.label, use.label), ("shapes", _drawn(known), _drawn(use))):
            if old is not None and new is not None and old != new:
                raise MermaidError(
                    self.file,
                    mention.line,
                    mention.column,
                    f"node {mention.id!r} has two {what}, {_short(old)} on line {known.line} and {_short(new)} here",
                    "a node means one thing: keep one of them, or give the second node an id of its own",
                )
        return NodeUse(
            id=known.id,
            shape=known.shape or use.shape,
            label=use.label if known.label is None else known.label,
            shape_name=known.shape_name or use.shape_name,
            line=known.line,
        )


def _defined(mention: Mention) -> NodeUse:
    outline, pairs = mention.outline, mention.pairs
    shape_name = pairs.get("shape")
    shape = outline.shape if outline else None
    if shape_name is not None:
        shape = SHAPE_NAMES.get(shape_name)
    label = decode(pairs["label"]) if "label" in pairs else outline.label if outline else None
    return NodeUse(id=mention.id, shape=shape, label=label, shape_name=shape_name, line=mention.line)


def _drawn(use: NodeUse) -> str | None:
    return use.shape or use.shape_name


def _short(text: str) -> str:
    return repr(str(text) if len(text) <= 40 else f"{text[:37]}...")


def _edges(link: Link, sources: tuple[Mention, ...], targets: tuple[Mention, ...]) -> list[EdgeUse]:
    label, kind, head, both_ways = link.label, link.stroke, link.head, link.both_ways
    return [
        EdgeUse(
            source=source.id,
            target=target.id,
            label=label,
            kind=kind,
            head=head,
            both_ways=both_ways,
            id=link.edge_id,
            line=link.line,
        )
        for source in sources
        for target in targets
    ]
