"""Which variables are surely written when a node begins: on every way, through every fork.

Nothing ever unsets a variable, so sets of them only grow along a way and two passes settle most charts. At a join all
branches have run, hence what any of them surely writes is there. Sets are kept as bits of whole numbers.
What is claimed always holds; where branches of a fork decide whether to meet half-way, more may hold than is claimed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from menon.flowcharts.chart import ERROR, FAILED, LIMIT, Chart, Edge
from menon.flowcharts.check_shape import label_of
from menon.flowcharts.graph import (
    Flow,
    Fork,
    dominators,
    post_dominators,
    reachable,
    reverse_postorder,
)

EVERYTHING = -1  # all bits: what holds of a node that no way has reached yet


@dataclass(slots=True, kw_only=True)
class Branches:
    """One fork's part in the analysis.

    `certain` are the nodes of its region that run whenever it does; `group` says for nodes that run only after it in
    which branch they lie; `whole` holds, by the node that follows it, the edges out of each branch that surely runs and
    has only that way out.
    """

    fork: Fork
    certain: frozenset[str]
    group: Mapping[str, str]
    whole: Mapping[str, list[list[Edge]]]
    carried: dict[str, int] = field(default_factory=dict)


class Written:
    """The variables that are surely written before each node that the start leads to."""

    def __init__(self, chart: Chart, flow: Flow):
        self.chart = chart
        edges = tuple(_ways(chart, flow))
        self.graph = _graph(chart, edges)
        self.order = reverse_postorder(self.graph, chart.start)
        drawn = _graph(chart, chart.edges)
        if len(self.order) < len(reachable(drawn, (chart.start,))):  # a loop that only its own edge `limit` closes
            edges, self.graph = chart.edges, drawn
            self.order = reverse_postorder(self.graph, chart.start)
        met = set(self.order)
        self.arriving: dict[str, list[Edge]] = {node: [] for node in self.order}
        for edge in edges:
            if edge.source in met:
                self.arriving[edge.target].append(edge)
        names = [variable.name for variable in chart.takes]
        names += [variable.name for node in chart.nodes.values() for variable in node.writes]
        names += [ERROR for edge in chart.edges if label_of(edge) == FAILED]
        self.bit = {name: 1 << place for place, name in enumerate(dict.fromkeys(names))}
        self._writes = {node: self._mask(v.name for v in chart.nodes[node].writes) for node in self.order}
        self.branches = tuple(_branches(chart, flow, self.graph, edges, self.order))
        self._around: dict[str, list[Branches]] = {}
        for branch in self.branches:
            for node in (*branch.fork.region, branch.fork.join):
                self._around.setdefault(node, []).append(branch)
        self._before = dict.fromkeys(self.order, EVERYTHING)
        self._settle()

    def before(self, node: str) -> frozenset[str]:
        """Return the names that are surely written when `node` begins."""
        mask = self._before[node]
        return frozenset(name for name, bit in self.bit.items() if mask & bit)

    def has(self, node: str, name: str) -> bool:
        """Whether `name` is surely written when `node` begins."""
        return bool(self._before[node] & self.bit.get(name, 0))

    def around(self, node: str) -> tuple[Branches, ...]:
        """Return the forks in whose region `node` lies, or whose join it is."""
        return tuple(self._around.get(node, ()))

    def way_without(self, node: str, name: str) -> tuple[str, ...]:
        """Return a shortest way from the start to `node` on which nothing writes `name`; empty where all do."""
        if self.has(node, name):
            return ()
        bit, after, waiting = self.bit.get(name, 0), {node: ""}, [node]
        for one in waiting:
            if one == self.chart.start:
                return _way(after, one)
            for edge in self.arriving[one]:
                if edge.source not in after and not self._after(edge) & bit:
                    after[edge.source] = one
                    waiting.append(edge.source)
        return (self.chart.start, "…", node)

    def _mask(self, names: Iterable[str]) -> int:
        mask = 0
        for name in names:
            mask |= self.bit[name]
        return mask

    def _settle(self) -> None:
        takes = self._mask(variable.name for variable in self.chart.takes)
        changed = True
        while changed:
            changed = False
            for node in self.order:
                value = self._meet(node) if self.arriving[node] else takes
                if value != self._before[node]:
                    self._before[node], changed = value, True

    def _meet(self, node: str) -> int:
        value = EVERYTHING
        around = self._around.get(node, ())
        for branch in around:
            branch.carried[node] = self._carried(branch, node)
        for edge in self.arriving[node]:
            sure = self._after(edge)
            for branch in around:
                if edge.source in branch.group or (edge.source == branch.fork.node and not edge.label):
                    sure |= branch.carried[node]
            value &= sure
        return value

    def _carried(self, branch: Branches, node: str) -> int:
        """Return what the other branches of the fork have surely written when `node` may begin."""
        value = 0
        for edge in self.arriving[node]:
            source = edge.source
            if source in branch.fork.region and source in branch.carried:
                value |= branch.carried[source]
                if source in branch.certain:
                    value |= self._before[source] | self._writes[source]
        for edges in branch.whole.get(node, ()):
            sure = EVERYTHING
            for edge in edges:
                sure &= self._after(edge)
            value |= sure
        return value

    def _after(self, edge: Edge) -> int:
        known = self._before[edge.source] | self._writes[edge.source]
        return known | self.bit[ERROR] if label_of(edge) == FAILED else known


def _ways(chart: Chart, flow: Flow) -> Iterable[Edge]:
    """Return the edges as they are really taken.

    An edge `limit` for a node's own `limit` is taken from that node, which has run before. One for its loop budget is
    taken wherever the loop would come round once too often, whether the node has run or not.
    """
    holders = {e.source for e in chart.edges if label_of(e) == LIMIT and chart.nodes[e.source].loop_budget}
    turns: dict[str, list[str]] = {}
    for loop in flow.loops if holders else ():
        if held := holders.intersection(loop.own):
            turns.update({node: list(dict.fromkeys(edge.source for edge in loop.turns)) for node in held})
    for edge in chart.edges:
        jumps = turns.get(edge.source, ()) if label_of(edge) == LIMIT else ()
        if not jumps or (chart.nodes[edge.source].limit is not None and edge.source not in jumps):
            yield edge
        for source in jumps:
            yield Edge(source=source, target=edge.target, label=LIMIT, line=edge.line)


def _graph(chart: Chart, edges: Iterable[Edge]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {node: {} for node in chart.nodes}
    for edge in edges:
        found[edge.source][edge.target] = None
    return {node: tuple(targets) for node, targets in found.items()}


def _branches(
    chart: Chart, flow: Flow, graph: Mapping[str, tuple[str, ...]], edges: Iterable[Edge], order: list[str]
) -> Iterable[Branches]:
    forks = [flow.forks[node] for node in order if node in flow.forks]
    if not forks:
        return
    leaving: dict[str, list[Edge]] = {node: [] for node in graph}
    for edge in edges:
        leaving[edge.source].append(edge)
    over = dominators(graph, chart.start)
    after = post_dominators(graph, chart.ends)
    place = {node: number for number, node in enumerate(order)}
    for fork in forks:
        refused = [edge.target for edge in leaving[fork.node] if edge.label]
        beside: frozenset[str] = frozenset()
        if refused:
            shut = {fork.node: (), fork.join: ()}
            beside = reachable({node: shut.get(node, targets) for node, targets in graph.items()}, refused)
        group = {}
        for node in sorted(fork.region, key=place.__getitem__):
            above = over[node]
            if node in beside or above is None:
                continue
            if above == fork.node:
                group[node] = node
            elif above in group:
                group[node] = group[above]
        certain = _certain(fork, flow, leaving, after)
        yield Branches(fork=fork, certain=certain, group=group, whole=_whole(leaving, group, certain))


def _certain(
    fork: Fork, flow: Flow, leaving: Mapping[str, list[Edge]], after: Mapping[str, str | None]
) -> frozenset[str]:
    found: dict[str, None] = {}
    waiting = list(fork.branches)
    for branch in waiting:
        node: str | None = branch
        while node is not None and node in fork.region and node not in found:
            found[node] = None
            inner = flow.forks.get(node)
            if inner is not None and not any(edge.label for edge in leaving[node]):
                waiting.extend(inner.branches)
            node = after.get(node)
    return frozenset(found)


def _whole(
    leaving: Mapping[str, list[Edge]], group: Mapping[str, str], certain: frozenset[str]
) -> dict[str, list[list[Edge]]]:
    outward: dict[str, list[Edge]] = {}
    for node, root in group.items():
        outward.setdefault(root, []).extend(edge for edge in leaving[node] if group.get(edge.target) != root)
    found: dict[str, list[list[Edge]]] = {}
    for root, edges in outward.items():
        targets = {edge.target for edge in edges}
        if root in certain and len(targets) == 1:
            found.setdefault(targets.pop(), []).append(edges)
    return found


def _way(after: Mapping[str, str], start: str) -> tuple[str, ...]:
    path = [start]
    while after[path[-1]]:
        path.append(after[path[-1]])
    return tuple(path)
