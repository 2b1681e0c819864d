"""Checks that what goes round comes to an end: something must be able to leave every loop.

Whether a loop's test will ever come out the other way is not decided here, only whether it could.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from menon.flowcharts.chart import FAILED, LIMIT, Chart, Edge, Finding, Kind, Node
from menon.flowcharts.check_shape import finding, label_of
from menon.flowcharts.graph import Flow, branching, reachable
from menon.flowcharts.loops import Loop, find_loops

MOST_IN_LOOPS = 5_000_000  # nodes of all loops together; only thousands of loops in one another come near it


def check_loops(chart: Chart, flow: Flow) -> Iterator[Finding]:
    """Find loops that nothing can leave, and note those that only the model's word ends."""
    if _too_many(flow):
        mend = "move inner loops into charts of their own and call them"
        yield finding(chart, flow.loops[0].head, "loop", "the loops of this chart nest too deeply to be followed", mend)
        return
    reported: set[str] = set()
    forks = branching(chart)
    for loop in flow.loops:
        if found := _stuck(chart, loop, forks):
            reported.add(loop.head)
            yield found
    turning = {node for loop in flow.loops for node in loop.own}
    for node in chart.nodes.values():
        if node.loop_budget and node.id not in turning:
            mend = f"take the line `- loop budget` out of section `## {node.id}`, or use `- budget`"
            yield finding(
                chart, node.id, "loop", f"{node.id!r} has a loop budget and lies in no loop", mend, level="note"
            )
    met = reachable({node: [edge.target for edge in edges] for node, edges in flow.successors.items()}, (chart.start,))
    free = [node.id for node in chart.nodes.values() if node.id in met and not _bounded(node)]
    budgeted = [loop for loop in flow.loops if any(chart.nodes[node].loop_budget for node in loop.own)]
    counted = {edge for loop in budgeted for edge in loop.turns}
    endless = find_loops(free, chart.edges, bounded=counted)
    spans = _Spans(endless)
    for loop in endless:
        if loop.head not in reported and (found := _undecided(chart, loop, spans)):
            yield found


def always_round(flow: Flow, chart: Chart) -> frozenset[str]:
    """Return the forks that go round a loop and leave it at once, which `check_loops` reports."""
    forks, found = branching(chart), set()
    for loop in flow.loops:
        if loop.exits and not any(_conditional(edge, forks) for edge in loop.exits):
            found.update(edge.source for edge in loop.exits)
    return frozenset(found)


def _too_many(flow: Flow) -> bool:
    size: dict[str, int] = {}
    for loop in reversed(flow.loops):
        size[loop.head] = len(loop.own) + sum(size[inner.head] for inner in loop.inside)
    return sum(size.values()) > MOST_IN_LOOPS


def _stuck(chart: Chart, loop: Loop, forks: Mapping[str, Sequence[str]]) -> Finding | None:
    at = loop.head
    if not loop.exits:
        mend = f"let a decision in it leave: `{loop.cycle[-1]} -->|yes| {chart.ends[0]}`"
        return finding(chart, at, "loop", f"no edge leaves the loop {loop.name}", mend)
    leaving = [edge for edge in loop.exits if _conditional(edge, forks)]
    if not leaving:
        fork = loop.exits[0].source
        problem = f"the loop {loop.name} goes round for ever: {fork!r} leaves it and goes round at once, as a fork"
        return finding(chart, at, "loop", problem, f"make {fork!r} a decision `{{...}}` with labelled branches")
    if all(label_of(edge) == FAILED for edge in leaving):
        problem = f"only a failure ends the loop {loop.name}"
        mend = f"draw a decision in it that can leave, or add `- limit: 5` and an edge `limit` to {leaving[0].source!r}"
        return finding(chart, at, "loop", problem, mend)
    return None


def _conditional(edge: Edge, forks: Mapping[str, Sequence[str]]) -> bool:
    return bool(edge.label) or edge.source not in forks


def _bounded(node: Node) -> bool:
    return node.limit is not None or bool(node.budget)


def _undecided(chart: Chart, loop: Loop, spans: "_Spans") -> Finding | None:
    leaving = [edge for edge in loop.exits if edge.label and label_of(edge) not in (FAILED, LIMIT)]
    deciders = {edge.source: chart.nodes[edge.source] for edge in leaving}
    tests = [node for node in deciders.values() if node.test is not None]
    people = any(node.kind is Kind.PERSON for node in deciders.values())
    if tests and len(tests) == len(deciders) and not any(_may_change(chart, node, loop, spans) for node in tests):
        names = sorted(set().union(*(node.reads for node in tests)))
        problem = f"the test that ends the loop {loop.name} never changes: " + (
            f"nothing in the loop writes {', '.join(map(repr, names))}" if names else "it reads no variable"
        )
        mend = f"write {names[0]!r} in the loop" if names else "let the test read a variable that the loop writes"
        return finding(chart, tests[0].id, "loop", problem, f"{mend}, or add `- limit: 5` to the section")
    if loop.exits and not deciders and not chart.budget:
        node = loop.exits[0].source
        problem = f"the loop {loop.name} goes on for ever if {node!r} never succeeds"
        return finding(chart, node, "loop", problem, f"add `- limit: 5` to section `## {node}`", level="note")
    if deciders and not tests and not people and not chart.budget:
        node = next(iter(deciders.values()))
        answers = " or ".join(repr(edge.label) for edge in leaving if edge.source == node.id)
        problem = f"the loop {loop.name} goes on for ever if the model never says {answers}"
        holder = node.id if node.id in loop.own else loop.head
        mend = f"add `- loop budget: 10 turns` to section `## {holder}`"
        return finding(chart, node.id, "loop", problem, mend, level="note")
    return None


def _may_change(chart: Chart, node: Node, loop: Loop, spans: "_Spans") -> bool:
    if node.test is not None and node.test.effect:
        return True
    return any(spans.writes_inside(chart, name, loop) for name in node.reads)


class _Spans:
    """Which nodes lie in which loop, without a set for each of many nested loops."""

    def __init__(self, found: Sequence[Loop]):
        self._last: dict[str, int] = {}
        self._first: dict[str, int] = {}
        self._loop: dict[str, int] = {}
        self._writers: dict[str, list[int]] | None = None
        inner = {id(one) for loop in found for one in loop.inside}
        for outermost in found:
            if id(outermost) not in inner:
                self._number(outermost)

    def _number(self, outermost: Loop) -> None:
        stack = [(outermost, iter(outermost.inside))]
        self._enter(outermost)
        while stack:
            loop, inside = stack[-1]
            deeper = next(inside, None)
            if deeper is None:
                self._last[loop.head] = len(self._first) - 1
                stack.pop()
            else:
                self._enter(deeper)
                stack.append((deeper, iter(deeper.inside)))

    def _enter(self, loop: Loop) -> None:
        self._first[loop.head] = number = len(self._first)
        for node in loop.own:
            self._loop[node] = number

    def writes_inside(self, chart: Chart, name: str, loop: Loop) -> bool:
        if self._writers is None:
            self._writers = {}
            for node in sorted((node for node in self._loop), key=self._loop.__getitem__):
                for variable in chart.nodes[node].writes:
                    self._writers.setdefault(variable.name, []).append(self._loop[node])
        numbers = self._writers.get(name, [])
        place = bisect_left(numbers, self._first[loop.head])
        return place < len(numbers) and numbers[place] <= self._last[loop.head]
