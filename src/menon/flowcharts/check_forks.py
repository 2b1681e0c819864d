"""Checks of forks: branches meet again, nothing enters or leaves them midway, and no two of them touch one variable."""

from collections.abc import Iterator, Mapping, Sequence

from menon.flowcharts.chart import Chart, Finding
from menon.flowcharts.check_flow import Branches, Written
from menon.flowcharts.check_shape import finding
from menon.flowcharts.graph import Flow, Fork, branching, reachable, reversed_graph


def check_forks(chart: Chart, flow: Flow, written: Written, round_and_out: frozenset[str]) -> Iterator[Finding]:
    """Find forks without a join and edges that cross the border of a branch.

    `round_and_out` are forks that a finding about a loop speaks of already.
    """
    ending = reachable(reversed_graph(written.graph), chart.ends)
    for node, branches in branching(chart).items():
        if node not in written.arriving or node in round_and_out or not ending.issuperset(branches):
            continue
        fork = flow.forks.get(node)
        if fork is None or node in fork.region:
            yield _no_join(chart, written, node, branches)
        else:
            yield from _borders(chart, written, fork)
            yield from _ways_in(chart, written, fork)


def check_races(chart: Chart, written: Written) -> Iterator[Finding]:
    """Find variables that one branch writes while another writes or reads them."""
    for branch in written.branches:
        fork = branch.fork
        writers: dict[str, list[str]] = {}
        readers: dict[str, list[str]] = {}
        for node in (node for part in fork.order for node in part):
            for variable in chart.nodes[node].writes:
                writers.setdefault(variable.name, []).append(node)
            for name in chart.nodes[node].reads:
                readers.setdefault(name, []).append(node)
        shared = sorted(name for name in writers if len(writers[name]) > 1 or name in readers)
        if not shared:
            continue
        order = _Order(written, branch)
        for name in shared:
            if pair := order.first_at_once(writers[name], writers[name]):
                problem = f"the branches of the fork {fork.node!r} both write {name!r}, at {pair[0]!r} and {pair[1]!r}"
                mend = f"give it another name in one of them: `- writes: {name}_2`"
                yield finding(chart, pair[1], "fork", problem, mend)
            elif pair := order.first_at_once(readers.get(name, ()), writers[name]):
                problem = (
                    f"{pair[0]!r} reads {name!r}, which {pair[1]!r} writes in another branch of the fork {fork.node!r}"
                )
                mend = f"read it after the join {fork.join!r}, or draw `{pair[1]} --> {pair[0]}`"
                yield finding(chart, pair[0], "unset", problem, mend)


def _no_join(chart: Chart, written: Written, node: str, branches: Sequence[str]) -> Finding:
    leading = reachable(reversed_graph(written.graph), (node,))
    back = [branch for branch in branches if branch in leading]
    if back:
        problem = f"the branch {back[0]!r} of the fork {node!r} comes back to it before the branches have met"
        mend = f"let all branches meet first: `{back[0]} --> met((met))`, and go back from there"
    else:
        problem = f"the branches {', '.join(map(repr, branches[:6]))} of the fork {node!r} do not meet again"
        mend = f"lead all of them to one node: `{branches[0]} --> met((met))`, `{branches[1]} --> met`"
    several = f"; if only one of them is to be taken, draw {node!r} as a decision `{{...}}`"
    return finding(chart, node, "fork", problem, mend + several)


def _borders(chart: Chart, written: Written, fork: Fork) -> Iterator[Finding]:
    around = written.around(fork.node)
    for node in (node for part in fork.order for node in part):
        for edge in written.arriving[node]:
            inside = edge.source in fork.region or any(edge.source in outer.fork.region for outer in around)
            labelled = edge.source == fork.node and edge.label
            if labelled or not (inside or edge.source in (fork.node, *(outer.fork.node for outer in around))):
                problem = f"the edge `{edge.source} --> {edge.target}` leads into a branch of the fork {fork.node!r}"
                mend = f"let it lead to {fork.node!r} or to the join {fork.join!r}"
                yield finding(chart, edge.source, "fork", problem, mend, line=edge.line)


def _ways_in(chart: Chart, written: Written, fork: Fork) -> Iterator[Finding]:
    for part in fork.order:
        if len(part) == 1:
            continue
        inside = set(part)
        entered = [node for node in part if any(edge.source not in inside for edge in written.arriving[node])]
        if len(entered) > 1:
            loop = ", ".join(map(repr, part[:6]))
            problem = f"the loop of {loop} in a branch of the fork {fork.node!r} has several ways in"
            mend = f"let all ways into the loop lead to {entered[0]!r}"
            yield finding(chart, entered[1], "fork", problem, mend)


class _Order:
    """Which nodes of a fork's region may run at the same time: in different branches, neither after the other."""

    def __init__(self, written: Written, branch: Branches):
        self._part: dict[str, int] = {}
        self._before: list[int] = []
        self._own: dict[str, int] = {}
        self._group: Mapping[str, str] = branch.group
        for place, part in enumerate(branch.fork.order):
            self._part.update(dict.fromkeys(part, place))
            before = 0
            for node in part:
                if node in branch.group:
                    self._own[branch.group[node]] = self._own.get(branch.group[node], 0) | 1 << place
                for edge in written.arriving[node]:
                    other = self._part.get(edge.source, place)
                    if other != place:
                        before |= self._before[other] | 1 << other
            self._before.append(before)

    def first_at_once(self, readers: Sequence[str], writers: Sequence[str]) -> tuple[str, str] | None:
        """Return a reader and a writer that may run beside each other, None where there are none."""
        if pair := self._beside(readers, writers):
            return pair
        pair = self._beside(writers, readers)
        return pair and (pair[1], pair[0])

    def _beside(self, nodes: Sequence[str], others: Sequence[str]) -> tuple[str, str] | None:
        """Return one of `nodes` and one of `others` whose part comes earlier but does not lead to it."""
        named = {self._part[other]: other for other in others if other in self._group}
        places = sum(1 << place for place in named)
        for node in nodes:
            if node in self._group:
                place = self._part[node]
                free = places & ((1 << place) - 1) & ~self._before[place] & ~self._own[self._group[node]]
                if free:
                    return node, named[free.bit_length() - 1]
        return None
