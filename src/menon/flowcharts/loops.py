"""The loops of a graph, nested ones included, in nearly linear time.

A loop is a cycle together with everything that can be reached from its head and leads back to it. One pass finds all of
them, so charts with thousands of nested loops cost no more than flat ones.
Source: Havlak 1997, "Nesting of reducible and irreducible loops". A cycle with several ways in is kept as one loop
whose `irreducible` is true.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from menon.flowcharts.chart import Chart, Edge

LONGEST_NAME = 6  # nodes spelled out in a loop's name


@dataclass(frozen=True, kw_only=True)
class Loop:
    """One loop: `head` is where it is entered, `own` its nodes that lie in no loop inside it, head first.

    `exits` are the edges that leave it, `entries` those that lead into it, `turns` those that come round to the head.
    """

    head: str
    own: tuple[str, ...]
    inside: tuple["Loop", ...] = field(default=(), repr=False)
    exits: tuple[Edge, ...] = ()
    entries: tuple[Edge, ...] = ()
    turns: tuple[Edge, ...] = ()
    irreducible: bool = False
    successors: Mapping[str, Sequence[str]] = field(repr=False, compare=False)

    @cached_property
    def nodes(self) -> frozenset[str]:
        """All nodes of the loop, those of the loops inside it included."""
        found: list[str] = []
        waiting: list[Loop] = [self]
        while waiting:
            loop = waiting.pop()
            found.extend(loop.own)
            waiting.extend(loop.inside)
        return frozenset(found)

    @cached_property
    def cycle(self) -> tuple[str, ...]:
        """A shortest way round, from the head to the node before it comes back."""
        before: dict[str, str] = {}
        waiting = [self.head]
        for node in waiting:
            for target in self.successors[node]:
                if target == self.head:
                    return _walk(before, node)
                if target in self.nodes and target not in before:
                    before[target] = node
                    waiting.append(target)
        raise AssertionError(f"no way round from {self.head!r}")

    @property
    def name(self) -> str:
        """How messages call it: "draft → review → revise"."""
        return path_name(self.cycle)


def path_name(path: Sequence[str]) -> str:
    """Join node ids by arrows, leaving out the middle of a long path."""
    if len(path) > LONGEST_NAME:
        path = (*path[: LONGEST_NAME // 2], "…", *path[-LONGEST_NAME // 2 :])
    return " → ".join(path)


def loops(chart: Chart) -> tuple[Loop, ...]:
    """Return the loops of a chart that can be reached from its start, outer ones before those inside them."""
    return find_loops([node.id for node in chart.nodes.values()], chart.edges, chart.start)


def find_loops(
    nodes: Sequence[str], edges: Sequence[Edge], start: str | None = None, *, bounded: Container[Edge] = ()
) -> tuple[Loop, ...]:
    """Return the loops among `nodes`; edges to and from other nodes leave and enter them.

    Edges in `bounded` make no loop, but may lead out of one. Without `start`, each node that has not been met yet
    begins a further search, in the order given.
    """
    targets: dict[str, dict[str, None]] = {node: {} for node in nodes}
    for edge in edges:
        if edge.source in targets and edge.target in targets and edge not in bounded:
            targets[edge.source][edge.target] = None
    successors = {node: tuple(found) for node, found in targets.items()}
    tree = _Tree(successors, nodes if start is None else (start,))
    return tree.loops(edges)


def _walk(before: Mapping[str, str], node: str) -> tuple[str, ...]:
    path = [node]
    while node in before:
        node = before[node]
        path.append(node)
    return tuple(reversed(path))


class _Tree:
    """The loop that each node lies in; nodes are counted in the order of a depth-first search.

    `head[v]` is the head of the innermost loop around v, other than the one that v itself is the head of.
    """

    def __init__(self, successors: Mapping[str, Sequence[str]], starts: Sequence[str]):
        self.successors = successors
        self.order: list[str] = []
        self.number: dict[str, int] = {}
        self.last: list[int] = []
        self._search(starts)
        count = len(self.order)
        self.head: list[int | None] = [None] * count
        self.is_head = [False] * count
        self.irreducible = [False] * count
        self._nest()

    def _search(self, starts: Sequence[str]) -> None:
        for start in starts:
            if start in self.number:
                continue
            self._meet(start)
            stack = [(self.number[start], iter(self.successors[start]))]
            while stack:
                node, targets = stack[-1]
                target = next((one for one in targets if one not in self.number), None)
                if target is None:
                    self.last[node] = len(self.order) - 1
                    stack.pop()
                else:
                    self._meet(target)
                    stack.append((self.number[target], iter(self.successors[target])))

    def _meet(self, node: str) -> None:
        self.number[node] = len(self.order)
        self.order.append(node)
        self.last.append(0)

    def _nest(self) -> None:
        count = len(self.order)
        back: list[list[int]] = [[] for _ in range(count)]
        other: list[dict[int, None]] = [{} for _ in range(count)]
        for source, name in enumerate(self.order):
            for target in (self.number[one] for one in self.successors[name]):
                if target <= source <= self.last[target]:
                    back[target].append(source)
                else:
                    other[target][source] = None
        top = list(range(count))
        for head in reversed(range(count)):
            self.is_head[head] = bool(back[head])
            body = dict.fromkeys(found for source in back[head] if (found := _find(top, source)) != head)
            waiting = list(body)
            for node in waiting:
                for source in other[node]:
                    found = _find(top, source)
                    if not head <= found <= self.last[head]:
                        self.irreducible[head] = True
                        other[head][found] = None
                    elif found != head and found not in body:
                        body[found] = None
                        waiting.append(found)
            for node in body:
                self.head[node] = head
                top[node] = head

    def loops(self, edges: Sequence[Edge]) -> tuple[Loop, ...]:
        heads = [node for node in range(len(self.order)) if self.is_head[node]]
        own: dict[int, list[int]] = {head: [head] for head in heads}
        inside: dict[int, list[int]] = {head: [] for head in heads}
        for node, head in enumerate(self.head):
            if head is not None:
                (inside if self.is_head[node] else own)[head].append(node)
        exits, entries = self._borders(heads, edges)
        turns: dict[int, list[Edge]] = {head: [] for head in heads}
        for edge in edges:
            source, target = self.number.get(edge.source), self.number.get(edge.target)
            if source is not None and target in turns and target <= source <= self.last[target]:
                turns[target].append(edge)
        found: dict[int, Loop] = {}
        for head in reversed(heads):
            found[head] = Loop(
                head=self.order[head],
                own=tuple(self.order[node] for node in own[head]),
                inside=tuple(found[node] for node in inside[head]),
                exits=tuple(exits[head]),
                entries=tuple(entries[head]),
                turns=tuple(turns[head]),
                irreducible=self.irreducible[head],
                successors=self.successors,
            )
        return tuple(found[head] for head in heads)

    def _borders(self, heads: Sequence[int], edges: Sequence[Edge]) -> tuple[dict[int, list[Edge]], ...]:
        depth: dict[int | None, int] = {None: 0}
        for head in heads:
            depth[head] = depth[self.head[head]] + 1
        exits: dict[int, list[Edge]] = {head: [] for head in heads}
        entries: dict[int, list[Edge]] = {head: [] for head in heads}
        for edge in edges:
            source, target = self._around(edge.source), self._around(edge.target)
            while source != target:
                if depth[source] >= depth[target]:
                    assert source is not None
                    exits[source].append(edge)
                    source = self.head[source]
                else:
                    assert target is not None
                    entries[target].append(edge)
                    target = self.head[target]
        return exits, entries

    def _around(self, name: str) -> int | None:
        node = self.number.get(name)
        return node if node is None or self.is_head[node] else self.head[node]


def _find(top: list[int], node: int) -> int:
    path = []
    while top[node] != node:
        path.append(node)
        node = top[node]
    for passed in path:
        top[passed] = node
    return node
