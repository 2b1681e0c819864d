"""Checks of variables: what is read has been written, on every way; calls give their charts what these take."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from menon.flowcharts.chart import ERROR, FAILED, Chart, Edge, Finding, Kind, Node
from menon.flowcharts.check_flow import Written
from menon.flowcharts.check_shape import finding, label_of
from menon.flowcharts.expression_errors import nearest
from menon.flowcharts.loops import path_name

MOST_SPELLED_OUT = 100  # findings with a hint or a way, both of which take time to find
MOST_EMPTY = 200_000  # pairs of node and variable that are followed from edges `failed`
ALWAYS_OFFERED = {"question": "text", "choices": "list"}  # what every chart may take


class Unset:
    """What a chart reads without its being surely set."""

    def __init__(self, chart: Chart, written: Written):
        self.chart, self.written = chart, written
        self._spelled_out = 0

    def findings(self) -> Iterator[Finding]:
        """Find variables read before they are written, placeholders nothing sets, inputs that calls lack."""
        told: set[tuple[str, str]] = set()
        for node in (self.chart.nodes[key] for key in self.written.order):
            for name in sorted(node.reads):
                if found := self._read(node, name, f"{node.id!r} reads {name!r}"):
                    yield found
                    told.add((node.id, name))
            yield from self._call(node)
            if node.kind is Kind.END:
                for name in sorted(self.chart.returns.reads):
                    if found := self._read(node, name, f"the chart returns {name!r} at {node.id!r}"):
                        yield found
        yield from self._after_failure(told)

    def _read(self, node: Node, name: str, what: str) -> Finding | None:
        if self.written.has(node.id, name):
            return None
        if name not in self.written.bit:
            shown = {*(node.ask.prompt.reads if node.ask else ()), *(node.show.reads if node.show else ())}
            rule = "placeholder" if name in shown else "unset"
            self._spelled_out += 1
            return finding(self.chart, node.id, rule, f"{what}, which nothing sets", self._mend_unknown(name))
        if siblings := self._siblings(node.id, name):
            problem = f"{what}, which only another branch of the fork {siblings[1]!r} writes, at {siblings[0]!r}"
            mend = f"read it after the branches have met, or draw `{siblings[0]} --> {node.id}`"
            return finding(self.chart, node.id, "unset", problem, mend)
        self._spelled_out += 1
        if self._spelled_out > MOST_SPELLED_OUT:
            problem = f"{what}, which nothing has written on some way to it"
        else:
            way = path_name(self.written.way_without(node.id, name))
            problem = f"{what}, which nothing has written on the way {way}"
        writer = next((one for one in self._writers[name] if one != node.id), self._writers[name][0])
        mend = f"write {name!r} on that way too (as {writer!r} does), or take it: `- takes: {name} = ...`"
        return finding(self.chart, node.id, "unset", problem, mend)

    def _mend_unknown(self, name: str) -> str:
        if name in ALWAYS_OFFERED:
            return f"let the chart take it: `- takes: {name} ({ALWAYS_OFFERED[name]})`"
        hint = nearest(name, self.written.bit) if self._spelled_out <= MOST_SPELLED_OUT else ""
        known = ", ".join(list(self.written.bit)[:12]) or "nothing"
        begin = f"{hint} " if hint else ""
        return f"{begin}Set are: {known}. Write it in a node (`- writes: {name}`) or take it (`- takes: {name}`)"

    @cached_property
    def _writers(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key in self.chart.nodes:
            for variable in self.chart.nodes[key].writes:
                found.setdefault(variable.name, []).append(key)
        for edge in self.chart.edges:
            if label_of(edge) == FAILED:
                found.setdefault(ERROR, []).append(edge.source)
        return found

    def _siblings(self, node: str, name: str) -> tuple[str, str] | None:
        """Return who writes `name` in another branch of a fork around `node`, and the fork, if nobody else does."""
        writers = self._writers[name]
        for branch in self.written.around(node):
            mine = branch.group.get(node)
            if mine and all(branch.group.get(writer) not in (None, mine) for writer in writers):
                return writers[0], branch.fork.node
        return None

    def _call(self, node: Node) -> Iterator[Finding]:
        called = self.chart.calls.get(node.call.chart) if node.call else None
        if node.call is None or called is None:
            return
        takes = {variable.name: variable for variable in called.takes}
        if node.call.give is not None:
            given = set(node.call.give.writes)
            for name in sorted(given - set(takes)):
                hint = nearest(name, takes)
                problem = f"{node.id!r} gives {name!r}, which the chart {called.name!r} does not take"
                mend = f"{hint} It takes: {', '.join(takes) or 'nothing'}".strip()
                yield finding(self.chart, node.id, "call", problem, mend)
        else:
            inside = {node.map.each, "position"} if node.map else set()
            given = {name for name in takes if name in inside or self.written.has(node.id, name)}
        for name, variable in takes.items():
            if variable.required and name not in given:
                problem = f"{node.id!r} calls {called.name!r}, which needs {name!r}"
                mend = f"add a block ```python with `{name} = ...` to section `## {node.id}`"
                yield finding(self.chart, node.id, "unset", problem, mend)

    def _after_failure(self, told: set[tuple[str, str]]) -> Iterator[Finding]:
        """Note variables that are read on the way from an edge `failed` and may be None there."""
        met = self.written.arriving
        failing = [edge for edge in self.chart.edges if label_of(edge) == FAILED and edge.source in met]
        if not failing:
            return
        noted: set[tuple[str, str]] = set()
        empty = self._maybe_empty(failing)
        for node in (self.chart.nodes[key] for key in self.written.order):
            reads = node.reads | (self.chart.returns.reads if node.kind is Kind.END else frozenset())
            for name in sorted(reads):
                source = empty.get(node.id, {}).get(name)
                if source and (source, name) not in noted and (node.id, name) not in told:
                    noted.add((source, name))
                    problem = f"{name!r} is None at {node.id!r} when {source!r} has failed"
                    mend = f"test it first (`{name} is None`), or write it between {source!r} and {node.id!r}"
                    yield finding(self.chart, node.id, "unset", problem, mend, level="note")

    def _maybe_empty(self, failing: list[Edge]) -> dict[str, dict[str, str]]:
        """Return for each node the names that may be None there because of a failure, with the node that failed."""
        found: dict[str, dict[str, str]] = {}
        waiting: list[tuple[str, str, str]] = []
        read = self.chart.returns.reads.union(*(node.reads for node in self.chart.nodes.values()))
        for edge in failing:
            for variable in self.chart.nodes[edge.source].writes:
                if variable.name in read:
                    waiting.append((edge.target, variable.name, edge.source))
        overwrites = {key: {variable.name for variable in node.writes} for key, node in self.chart.nodes.items()}
        for _ in range(MOST_EMPTY):
            if not waiting:
                break
            node, name, source = waiting.pop()
            if name in found.setdefault(node, {}):
                continue
            found[node][name] = source
            if name not in overwrites[node]:
                waiting.extend((target, name, source) for target in self.written.graph[node])
        return found
