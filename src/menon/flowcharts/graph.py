"""Algorithms on graphs, and what they say about a chart: its forks with their joins, its loops, its edges by node.

Nothing here calls itself: charts of ten thousand nodes are analysed in well under a second. A graph is a mapping from
each node to the nodes that follow it.
Source: components after Tarjan 1972; dominators by the semi-NCA algorithm of Georgiadis, Tarjan and Werneck 2006,
because the simpler iteration takes quadratic time where thousands of nodes lead to one.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from menon.flowcharts.chart import Chart, ChartError, Edge, Finding, Kind
from menon.flowcharts.loops import Loop, loops

MOST_IN_FORKS = 150_000  # nodes in the regions of all forks together; only deeply nested forks come near it

Graph = Mapping[str, Sequence[str]]
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A node whose branches are taken at once, and the join where they meet again.

    `branches` are the nodes that its unlabelled edges lead to, `region` those between fork and join, neither included.
    `order` holds the region's strongly connected components, each before those it leads to; one of several nodes, or of
    one node with an edge to itself, is a loop.
    """

    node: str
    branches: tuple[str, ...]
    join: str
    region: frozenset[str]
    order: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The shape of a chart: forks by node (only those with a join), loops, edges leaving each node as written."""

    forks: Mapping[str, Fork]
    loops: tuple[Loop, ...]
    successors: Mapping[str, tuple[Edge, ...]]


def reachable(successors: Graph, starts: Iterable[str]) -> frozenset[str]:
    """Return the nodes that can be reached from `starts`, these included."""
    met = dict.fromkeys(starts)
    waiting = list(met)
    for node in waiting:
        for target in successors.get(node, ()):
            if target not in met:
                met[target] = None
                waiting.append(target)
    return frozenset(met)


def reversed_graph(successors: Graph) -> dict[str, tuple[str, ...]]:
    """Return the graph with every edge turned round; nodes keep their order."""
    found: dict[str, list[str]] = {node: [] for node in successors}
    for node, targets in successors.items():
        for target in targets:
            found.setdefault(target, []).append(node)
    return {node: tuple(sources) for node, sources in found.items()}


def reverse_postorder(successors: Graph, start: str) -> list[str]:
    """Return the nodes reached from `start`, each before what follows it, but for edges that close a cycle."""
    met, done = {start}, []
    stack = [(start, iter(successors.get(start, ())))]
    while stack:
        node, targets = stack[-1]
        target = next((one for one in targets if one not in met), None)
        if target is None:
            done.append(node)
            stack.pop()
        else:
            met.add(target)
            stack.append((target, iter(successors.get(target, ()))))
    return done[::-1]


def components(successors: Mapping[Name, Sequence[Name]]) -> tuple[tuple[Name, ...], ...]:
    """Return the strongly connected components, each before those that it leads to."""
    number: dict[Name, int] = {}
    low: dict[Name, int] = {}
    open_nodes: list[Name] = []
    is_open: set[Name] = set()
    found: list[tuple[Name, ...]] = []
    for start in successors:
        if start in number:
            continue
        stack = [(start, iter(successors[start]))]
        while stack:
            node, targets = stack[-1]
            if node not in number:
                number[node] = low[node] = len(number)
                open_nodes.append(node)
                is_open.add(node)
            for target in targets:
                if target not in number:
                    stack.append((target, iter(successors.get(target, ()))))
                    break
                if target in is_open:
                    low[node] = min(low[node], number[target])
            else:
                stack.pop()
                if stack:
                    parent = stack[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == number[node]:
                    component = [open_nodes.pop()]
                    while component[-1] != node:
                        component.append(open_nodes.pop())
                    is_open.difference_update(component)
                    found.append(tuple(reversed(component)))
    return tuple(reversed(found))


def dominators(successors: Graph, start: str) -> dict[str, str | None]:
    """Return for each node reached from `start` the last node that every way to it passes; None for `start`."""
    order, parent = _preorder(successors, start)
    number = {node: place for place, node in enumerate(order)}
    sources: list[list[int]] = [[] for _ in order]
    for place, node in enumerate(order):
        for target in successors.get(node, ()):
            sources[number[target]].append(place)
    semi, label, above = list(range(len(order))), list(range(len(order))), list(parent)
    for node in range(len(order) - 1, 0, -1):
        semi[node] = parent[node]
        for source in sources[node]:
            semi[node] = min(semi[node], semi[_least(source, node + 1, semi, label, above)])
    nearest = list(parent)
    for node in range(1, len(order)):
        while nearest[node] > semi[node]:
            nearest[node] = nearest[nearest[node]]
    return {node: order[nearest[place]] if place else None for place, node in enumerate(order)}


def post_dominators(successors: Graph, exits: Iterable[str]) -> dict[str, str | None]:
    """Return for each node that leads to an exit the next node that every way from it to any exit passes.

    None where there is no such node: for the exits, and where ways part for good. Nodes that lead to no exit are left
    out.
    """
    everything = ""  # ids of nodes are never empty
    turned: dict[str, Sequence[str]] = dict(reversed_graph(successors))
    turned[everything] = tuple(dict.fromkeys(exits))
    found = dominators(turned, everything)
    return {node: next_one or None for node, next_one in found.items() if node != everything}


def targets_of(chart: Chart) -> dict[str, tuple[str, ...]]:
    """Return the graph of a chart: each node's targets once, in the order written."""
    found: dict[str, dict[str, None]] = {node: {} for node in chart.nodes}
    for edge in chart.edges:
        found[edge.source][edge.target] = None
    return {node: tuple(targets) for node, targets in found.items()}


def branching(chart: Chart) -> dict[str, tuple[str, ...]]:
    """Return the nodes that fork with their branches: several unlabelled edges out of what is no decision."""
    first: dict[str, str] = {}
    several: dict[str, dict[str, None]] = {}
    for edge in chart.edges:
        if not edge.label and first.setdefault(edge.source, edge.target) != edge.target:
            several.setdefault(edge.source, {first[edge.source]: None})[edge.target] = None
    return {node: tuple(targets) for node, targets in several.items() if chart.nodes[node].kind is not Kind.DECIDE}


def find_forks(chart: Chart, graph: Graph) -> dict[str, Fork]:
    """Return the forks of a chart that have a join other than themselves.

    Raises:
        ChartError: forks nest so deeply that their regions together hold more than `MOST_IN_FORKS` nodes.
    """
    nodes = branching(chart)
    if not nodes:
        return {}
    after = post_dominators(graph, chart.ends)
    depth = _depths(after)
    found, total = {}, 0
    for node, branches in nodes.items():
        join = _meeting(branches, after, depth)
        if join is None or join == node:
            continue
        region = _between(graph, node, branches, join)
        total += len(region)
        if total > MOST_IN_FORKS:
            raise _too_deep(chart, node)
        inner = {one: tuple(target for target in graph[one] if target in region) for one in region}
        found[node] = Fork(node=node, branches=branches, join=join, region=frozenset(region), order=components(inner))
    return found


def analyse(chart: Chart) -> Flow:
    """Return forks, loops and edges of a chart that has one start.

    Raises:
        ChartError: its forks nest too deeply to be followed.
    """
    leaving: dict[str, list[Edge]] = {node: [] for node in chart.nodes}
    for edge in chart.edges:
        leaving[edge.source].append(edge)
    return Flow(
        forks=find_forks(chart, targets_of(chart)),
        loops=loops(chart),
        successors={node: tuple(edges) for node, edges in leaving.items()},
    )


def _preorder(successors: Graph, start: str) -> tuple[list[str], list[int]]:
    """Return the nodes as a depth-first search meets them, and for each the place of the one it was met from."""
    place, order, parent = {start: 0}, [start], [-1]
    stack = [(0, iter(successors.get(start, ())))]
    while stack:
        node, targets = stack[-1]
        target = next((one for one in targets if one not in place), None)
        if target is None:
            stack.pop()
        else:
            place[target] = len(order)
            order.append(target)
            parent.append(node)
            stack.append((place[target], iter(successors.get(target, ()))))
    return order, parent


def _least(node: int, linked: int, semi: list[int], label: list[int], above: list[int]) -> int:
    """Return the label with the least semidominator on the way up through the nodes from `linked` on."""
    path = []
    while above[node] >= linked:
        path.append(node)
        node = above[node]
    best = label[node]
    for passed in reversed(path):
        above[passed] = above[node]
        if semi[best] < semi[label[passed]]:
            label[passed] = best
        else:
            best = label[passed]
    return best


def _depths(after: Mapping[str, str | None]) -> dict[str, int]:
    """Return how many nodes follow each one on the way along `after`."""
    found: dict[str, int] = {}
    for node in after:
        path, one = [], node
        while one is not None and one not in found:
            path.append(one)
            one = after[one]
        depth = -1 if one is None else found[one]
        for place, passed in enumerate(reversed(path), start=1):
            found[passed] = depth + place
    return found


def _meeting(branches: Sequence[str], after: Mapping[str, str | None], depth: Mapping[str, int]) -> str | None:
    """Return the first node that every way from each branch passes; a branch may itself be it."""
    if any(branch not in after for branch in branches):
        return None
    meeting: str | None = branches[0]
    for branch in branches[1:]:
        other: str | None = branch
        while meeting != other:
            if meeting is None or other is None:
                return None
            if depth[meeting] >= depth[other]:
                meeting = after[meeting]
            else:
                other = after[other]
    return meeting


def _between(graph: Graph, node: str, branches: Sequence[str], join: str) -> dict[str, None]:
    """Return the nodes met from the branches before the join; the fork too, where a branch comes back to it."""
    met = dict.fromkeys(branch for branch in branches if branch != join)
    waiting = list(met)
    for one in waiting:
        for target in graph[one]:
            if target != join and target not in met:
                met[target] = None
                if target != node:
                    waiting.append(target)
    return met


def _too_deep(chart: Chart, node: str) -> ChartError:
    return ChartError(
        Finding(
            file=chart.file,
            line=chart.nodes[node].line,
            rule="fork",
            node=node,
            problem="the forks of this chart nest too deeply to be followed",
            mend="use a map ({{...}}) over a list instead, or move inner forks to charts of their own",
        )
    )
