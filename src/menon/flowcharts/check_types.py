"""Types of variables along the ways of a chart, and the places where they clash.

Only what would surely fail is an error: where ways bring different types, nothing is said about the variable any more.
"""

from collections.abc import Iterator, Mapping

from menon.flowcharts.chart import FAILED, Chart, Edge, Finding, Kind, Node, Variable
from menon.flowcharts.check_flow import Written
from menon.flowcharts.check_shape import finding, label_of
from menon.flowcharts.expressions import Expression

PLAIN = {"answer": "text", "choice": "text"}  # what these types are for an expression
MOST_CELLS = 2_000_000  # nodes times variables whose type changes on the way; beyond it those count as "any"
MOST_PASSES = 12


class Types:
    """The type of every variable before every node, as far as it is known.

    `steady` holds the variables that have one type wherever they are set; `before` those that change, by node. Where
    `settled` is false the types went on changing, and nothing can be said.
    """

    def __init__(self, chart: Chart, written: Written):
        self.chart, self.written = chart, written
        self.steady: dict[str, str] = {}
        self.before: dict[str, dict[str, str]] = {node: {} for node in written.order}
        self._changing = self._sort()
        self.settled = self._flow()

    def at(self, node: str) -> Mapping[str, str]:
        """Return the types of the variables that `node` reads."""
        found = self.chart.nodes[node]
        names = found.reads | (self.chart.returns.reads if found.kind is Kind.END else frozenset())
        if found.call is not None and found.call.give is None and found.call.chart in self.chart.calls:
            names |= {variable.name for variable in self.chart.calls[found.call.chart].takes}
        return {name: self._type(node, name) for name in names}

    def inside(self, node: Node) -> dict[str, str]:
        """Return the types as the body of a map sees them; of any other node, as the node does."""
        types = dict(self.at(node.id))
        if node.map is not None:
            types |= {node.map.each: "any" if node.map.over else "number", "position": "number"}
        return types

    def tests(self) -> dict[str, str]:
        """Return the types of the values that decisions by an expression have."""
        decisions = (node for node in self.chart.nodes.values() if node.kind is Kind.DECIDE and node.test is not None)
        return {
            node.id: node.test.infer(self.at(node.id) if node.id in self.before else {})[0]
            for node in decisions
            if node.test is not None
        }

    def _type(self, node: str, name: str) -> str:
        if name in self._changing:
            return self.before[node].get(name, "any")
        return self.steady.get(name, "any")

    def _sort(self) -> frozenset[str]:
        kinds: dict[str, list[str]] = {}
        for variable in self.chart.takes:
            kinds.setdefault(variable.name, []).append(_plain(variable))
        for key in self.written.order:
            node = self.chart.nodes[key]
            for variable in node.writes:
                open_type = node.block is not None and variable.type == "any" and node.map is None
                kinds.setdefault(variable.name, []).append("" if open_type else declared(node, variable))
        changing = set()
        for name, found in kinds.items():
            if len(found) > 1 and (len(set(found)) > 1 or not found[0]):
                changing.add(name)
            else:
                self.steady[name] = found[0] or "any"
        if len(changing) * len(self.written.order) > MOST_CELLS:
            self.steady.update(dict.fromkeys(changing, "any"))
            return frozenset()
        return frozenset(changing)

    def _flow(self) -> bool:
        for variable in self.chart.takes:
            if variable.name in self._changing:
                self.before[self.chart.start][variable.name] = _plain(variable)
        return any(not self._pass() for _ in range(MOST_PASSES))

    def _pass(self) -> bool:
        """Bring the types one step further along every edge; say whether any changed."""
        changed = False
        for key in self.written.order:
            state = self.before[key]
            for edge in self.written.arriving[key]:
                changed |= _merge(state, self._after(edge))
            changed |= self._infer_steady(self.chart.nodes[key])
        return changed

    def _infer_steady(self, node: Node) -> bool:
        if node.block is None or node.map is not None:
            return False
        changed = False
        found = self.results(node)
        for variable in node.writes:
            name = variable.name
            if name not in self._changing and variable.type == "any" and self.steady.get(name) != found[name]:
                self.steady[name], changed = found[name], True
        return changed

    def _after(self, edge: Edge) -> dict[str, str]:
        node = self.chart.nodes[edge.source]
        writes = [variable.name for variable in node.writes if variable.name in self._changing]
        if not writes:
            return self.before[node.id]
        if label_of(edge) == FAILED:
            return self.before[node.id] | dict.fromkeys(writes, "any")
        found = self.results(node)
        return self.before[node.id] | {name: found[name] for name in writes}

    def results(self, node: Node) -> dict[str, str]:
        """Return the types of what a node writes, computed where its block says and it does not."""
        computed: Mapping[str, str] = {}
        if node.block is not None and node.map is None:
            if node.block.expression is not None and node.writes:
                computed = {node.writes[0].name: node.block.expression.infer(self.at(node.id))[0]}
            else:
                computed = node.block.infer(self.at(node.id))[0]
        found = {}
        for variable in node.writes:
            kind = declared(node, variable)
            found[variable.name] = computed.get(variable.name, "any") if kind == "any" else kind
        return found


def declared(node: Node, variable: Variable) -> str:
    """Return the type of a written variable as later nodes see it: a list where several are made of it."""
    if node.map is not None:
        return "list"
    if node.ask is not None and node.ask.n is not None:
        count = node.ask.n.source.strip()
        if count != "1":
            return "list" if count.isdigit() else "any"
    return _plain(variable)


def check_types(chart: Chart, types: Types) -> Iterator[Finding]:
    """Find expressions that cannot have a value for the types of their variables, and calls given wrong types."""
    if not types.settled:
        return
    for node in (chart.nodes[key] for key in types.written.order):
        for problem, mend in _clashes(chart, node, types):
            yield finding(chart, node.id, "type", f"at {node.id!r} {problem}", mend)
    for problem in chart.returns.infer(types.at(chart.ends[0]) if chart.ends[0] in types.before else {})[1]:
        yield finding(chart, chart.ends[0], "type", f"what the chart returns: {problem}", "mend `- returns:`")


def _clashes(chart: Chart, node: Node, types: Types) -> Iterator[tuple[str, str]]:
    outside, inside = types.at(node.id), types.inside(node)
    yield from _found(chart, node, inside)
    if node.map is not None:
        if node.map.over is not None:
            kind, _ = node.map.over.infer(outside)
            if kind in ("number", "truth", "text"):
                yield f"the map goes over a {kind}", "give a list: `- over: lines(plan)`, or repeat: `- times: 5`"
        yield from _wanted("times", node.map.times, outside, "number")
    if node.ask is not None:
        for name, expression in (
            ("n", node.ask.n),
            ("temperature", node.ask.temperature),
            ("top_p", node.ask.top_p),
            ("max_tokens", node.ask.max_tokens),
        ):
            yield from _wanted(name, expression, inside, "number")
    if node.code == "":
        yield from _wanted("code", node.test, outside, "text")
    if node.block is not None and node.map is None:
        yield from _against_declared(node, outside)
    yield from _given(chart, node, inside)


def _found(chart: Chart, node: Node, types: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    problems: list[str] = []
    if node.ask is not None:
        problems += node.ask.prompt.infer(types)
    if node.show is not None:
        problems += node.show.infer(types)
    parts = [node.test, *((node.lookup.find, node.lookup.keep) if node.lookup else ())]
    for part in parts:
        problems += part.infer(types)[1] if part is not None else []
    for block in (node.block, node.call.give if node.call else None):
        problems += block.infer(types)[1] if block is not None else []
    for problem in dict.fromkeys(problems):
        yield problem, "convert it (`int(...)`, `text(...)`), or give the variable its right type where it is written"


def _wanted(name: str, expression: Expression | None, types: Mapping[str, str], kind: str) -> Iterator[tuple[str, str]]:
    if expression is None:
        return
    got, problems = expression.infer(types)
    for problem in problems:
        yield f"in `{name}` {problem}", f"write a {kind}"
    if got not in (kind, "any"):
        yield f"`{name}` is `{expression.source}`, a {got}", f"write a {kind}"


def _against_declared(node: Node, types: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    assert node.block is not None
    if node.block.expression is not None:
        computed = {variable.name: node.block.expression.infer(types)[0] for variable in node.writes[:1]}
    else:
        computed = node.block.infer(types)[0]
    for variable in node.writes:
        got, want = computed.get(variable.name, "any"), _plain(variable)
        if "any" not in (got, want) and got != want and not (want == "json" and got != "truth"):
            mend = f"write `- writes: {variable.name} ({got})`, or convert the value"
            yield f"{variable.name!r} is declared {variable.type} and computed as {got}", mend


def _given(chart: Chart, node: Node, types: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    called = chart.calls.get(node.call.chart) if node.call else None
    if node.call is None or called is None:
        return
    given = node.call.give.infer(types)[0] if node.call.give else types
    for variable in called.takes:
        got, want = given.get(variable.name, "any"), _plain(variable)
        if "any" not in (got, want) and got != want and not (want == "json" and got == "list"):
            problem = f"the chart {called.name!r} takes {variable.name!r} as {want} and is given a {got}"
            yield problem, f"give it a {want}: add a block ```python with `{variable.name} = ...`"


def _merge(state: dict[str, str], other: Mapping[str, str]) -> bool:
    changed = False
    for name, kind in other.items():
        known = state.get(name)
        if known is None:
            state[name], changed = kind, True
        elif known not in ("any", kind):
            state[name], changed = "any", True
    return changed


def _plain(variable: Variable) -> str:
    return PLAIN.get(variable.type, variable.type)
