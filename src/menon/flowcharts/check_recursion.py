"""Checks of charts that call themselves, directly or through others: a bound on the depth, and a way past the call."""

from collections.abc import Iterator, Mapping, Sequence

from menon.flowcharts.chart import FAILED, LIMIT, Chart, Edge, Finding, Kind, Node
from menon.flowcharts.check_shape import finding, label_of
from menon.flowcharts.graph import branching, components


def check_recursion(chart: Chart) -> Iterator[Finding]:
    """Find charts that call themselves, directly or through others, without a bound or without a way past the call."""
    charts = reached(chart)
    calls = {one: [_callee(charts, charts[one], node) for node in _calling(charts[one])] for one in charts}
    unbounded = {
        one: [_callee(charts, charts[one], node) for node in _calling(charts[one]) if not _depth(node)]
        for one in charts
    }
    for component in components(unbounded):
        if _goes_round(unbounded, component):
            yield _no_depth(charts, component)
    finishing = _finishing(charts)
    for component in components(calls):
        stuck = [one for one in component if one not in finishing]
        if stuck and _goes_round(calls, component):
            one = charts[stuck[0]]
            node = next(node for node in _calling(one) if _callee(charts, one, node) in component)
            problem = f"every way through {one.name!r} calls {node.call.chart!r} again" if node.call else ""
            mend = f"draw a decision before {node.id!r} with a branch that goes past it to an end"
            yield finding(one, node.id, "recursion", problem, mend)


def reached(chart: Chart) -> dict[int, Chart]:
    """Return a chart and all that it calls, directly or not, by identity."""
    found = {id(chart): chart}
    waiting = [chart]
    for one in waiting:
        for called in one.calls.values():
            if id(called) not in found:
                found[id(called)] = called
                waiting.append(called)
    return found


def _goes_round(calls: Mapping[int, Sequence[int]], component: Sequence[int]) -> bool:
    return len(component) > 1 or any(one in calls[one] for one in component)


def _calling(chart: Chart) -> list[Node]:
    return [node for node in chart.nodes.values() if node.call is not None and node.call.chart in chart.calls]


def _callee(charts: Mapping[int, Chart], chart: Chart, node: Node) -> int:
    assert node.call is not None
    called = id(chart.calls[node.call.chart])
    assert called in charts
    return called


def _depth(node: Node) -> int | None:
    return node.call.depth if node.call else None


def _no_depth(charts: Mapping[int, Chart], component: Sequence[int]) -> Finding:
    one = charts[min(component, key=list(charts).index)]
    node = next(node for node in _calling(one) if not _depth(node) and _callee(charts, one, node) in component)
    if len(component) == 1:
        problem = f"{one.name!r} calls itself at {node.id!r} without a bound"
    else:
        problem = f"the charts {', '.join(repr(charts[key].name) for key in component)} call each other without a bound"
    mend = f"add `- depth: 5` to section `## {node.id}`"
    return finding(one, node.id, "recursion", problem, mend)


def _finishing(charts: Mapping[int, Chart]) -> set[int]:
    """Return the charts that can reach an end without calling one that cannot."""
    done: set[int] = set()
    while True:
        new = [key for key, one in charts.items() if key not in done and _can_finish(charts, one, done)]
        if not new:
            return done
        done.update(new)


def _can_finish(charts: Mapping[int, Chart], chart: Chart, done: set[int]) -> bool:
    """Whether a way from start to end exists, counting all branches of a fork, that calls only what is `done`."""
    barred = {node.id for node in _calling(chart) if node.map is None and _callee(charts, chart, node) not in done}
    forks = branching(chart)
    wanted = {node: len(branches) for node, branches in forks.items()}
    arriving: dict[str, list[Edge]] = {}
    for edge in chart.edges:
        arriving.setdefault(edge.target, []).append(edge)
    good = dict.fromkeys(chart.ends)
    waiting = list(good)
    for node in waiting:
        for edge in arriving.get(node, ()):
            if edge.source in barred and label_of(edge) not in (LIMIT, FAILED):
                continue
            if edge.source in wanted and not edge.label:
                wanted[edge.source] -= 1
                if wanted[edge.source]:
                    continue
            if edge.source not in good:
                good[edge.source] = None
                waiting.append(edge.source)
    return any(node.kind is Kind.START and node.id in good for node in chart.nodes.values())
