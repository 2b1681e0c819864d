"""A chart made ready to run: each node with its arrows, each fork with its region, each loop with its bounds.

Made once per chart; an execution only walks it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from menon.flowcharts.chart import ELSE, FAILED, LIMIT, Budget, Chart, ChartError, Edge, Finding, Kind, Node
from menon.flowcharts.expressions import Expression
from menon.flowcharts.graph import Fork, Loop, analyse
from menon.flowcharts.loops import path_name

YES, NO = ("yes", "true"), ("no", "false")


@dataclass(slots=True, eq=False)
class Bound:
    """A loop as the executor sees it: its name, its budget, and the node whose `limit` edge leaves it."""

    name: str
    nodes: frozenset[str]
    head: str
    budget: Budget
    holder: str
    written: tuple[str, ...]
    sampled: bool = False


@dataclass(slots=True, eq=False)
class Arrow:
    """An edge with its target; `enters` and `turns` are the loops that crossing it enters or comes round in."""

    edge: Edge
    to: "Step"
    enters: tuple[Bound, ...] = ()
    turns: tuple[Bound, ...] = ()
    moves: bool = False
    told: list[str] = field(default_factory=list)  # how events write it: its target and label


@dataclass(slots=True, eq=False)
class Region:
    """What lies between a fork and its join: parts in an order in which each comes after those it waits for."""

    out: "Arrow"  # to the join, which may be where a loop comes round
    firsts: tuple["Arrow", ...]
    part_of: Mapping[str, int]
    members: Sequence[frozenset[str]]
    awaited: Sequence[int]  # arrows into each part from inside the region and from the fork


@dataclass(slots=True, eq=False)
class Step:
    """One node ready to run."""

    id: str
    node: Node
    chart: Chart
    compute: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    test: Expression | None = None
    asks: bool = False  # needs the asynchronous way
    body: Any = None  # what it does then, kept from its first visit
    decoding: dict[str, Any] | None = None  # how a model is asked, kept where no variable decides it
    kind: str = ""
    needs: list[str] = field(default_factory=list)  # variables that it reads, sorted
    arrow: Arrow | None = None
    arrows: tuple[Arrow, ...] = ()  # all that leave, special ones included
    plain: tuple[Arrow, ...] = ()
    branches: dict[str, Arrow] = field(default_factory=dict)
    limited: Arrow | None = None
    failed: Arrow | None = None
    region: Region | None = None
    bounds: tuple[Bound, ...] = ()  # loops that hold this node, inner ones first
    guarded: bool = False

    def branch(self, value: Any) -> Arrow | None:
        """Return the arrow for the value of a decision, None when no branch stands for it."""
        if value is True or value is False:
            for word in YES if value else NO:
                if word in self.branches:
                    return self.branches[word]
        else:
            word = format(value, "g") if isinstance(value, float) else str(value)
            if (arrow := self.branches.get(word.strip().lower())) is not None:
                return arrow
        return self.branches.get(ELSE)


@dataclass(slots=True, eq=False)
class Program:
    """A chart ready to run."""

    chart: Chart
    steps: Mapping[str, Step]
    start: Step
    defaults: Mapping[str, Any]
    required: tuple[str, ...]


def prepare(chart: Chart, *, temperature: float = 0.0) -> Program:
    """Make `chart` ready to run; it should have been checked before. `temperature` holds where a node sets none.

    Raises:
        ChartError: there is no start, or a fork has no join.
    """
    flow = analyse(chart)
    steps = {node.id: _step(node, chart) for node in chart.nodes.values()}
    order = {key: place for place, key in enumerate(chart.nodes)}
    around: dict[str, list[Bound]] = {key: [] for key in steps}
    for loop in flow.loops:
        bound = _bound(loop, order, chart, temperature)
        for key in loop.nodes:
            around[key].append(bound)
    for edge in chart.edges:
        _connect(steps, edge, around)
    for step in steps.values():
        step.bounds = tuple(sorted(around[step.id], key=lambda bound: len(bound.nodes)))
        step.plain = tuple(arrow for arrow in step.arrows if arrow not in (step.limited, step.failed))
        if step.node.kind is not Kind.DECIDE and not step.branches and step.plain:
            step.arrow = step.plain[0]
    for fork in flow.forks.values():
        steps[fork.node].region = _region(fork, steps, chart, around)
    starts = [step for step in steps.values() if step.node.kind is Kind.START]
    if not starts:
        raise ChartError(
            Finding(
                file=chart.file,
                line=chart.first_line,
                rule="start",
                problem="no start",
                mend="draw one: `start([question]) --> ...`",
            )
        )
    return Program(
        chart=chart,
        steps=steps,
        start=starts[0],
        defaults={variable.name: variable.default for variable in chart.takes if not variable.required},
        required=tuple(variable.name for variable in chart.takes if variable.required),
    )


def _step(node: Node, chart: Chart) -> Step:
    step = Step(id=node.id, node=node, chart=chart, kind=node.kind.value, needs=sorted(node.reads))
    pure = node.kind is Kind.COMPUTE and node.block is not None and not node.block.effect
    if pure and node.block is not None:
        step.compute = _computed(node)
    elif node.kind is Kind.DECIDE and node.test is not None and not node.test.effect:
        step.test = node.test
    else:
        step.asks = node.kind not in (Kind.START, Kind.END, Kind.CONNECTOR)
    step.guarded = node.limit is not None or bool(node.budget)
    return step


def _computed(node: Node) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    block = node.block
    assert block is not None
    if block.expression is None:
        return block.run
    name, expression = node.writes[0].name, block.expression
    return lambda values: {name: expression(values)}


def _connect(steps: Mapping[str, Step], edge: Edge, around: Mapping[str, Sequence[Bound]]) -> None:
    source, arrow = steps[edge.source], _arrow(edge, steps, around)
    source.arrows += (arrow,)
    label = edge.label.lower()
    if label == LIMIT:
        source.limited = arrow
    elif label == FAILED:
        source.failed = arrow
    elif source.node.kind is Kind.DECIDE or (source.node.kind is Kind.PERSON and label):
        source.branches[label] = arrow


def _arrow(edge: Edge, steps: Mapping[str, Step], around: Mapping[str, Sequence[Bound]]) -> Arrow:
    enters = tuple(b for b in around[edge.target] if edge.source not in b.nodes)
    turns = tuple(b for b in around[edge.source] if edge.target == b.head)
    return Arrow(edge, steps[edge.target], enters, turns, bool(enters or turns), [edge.target, edge.label])


def _bound(loop: Loop, order: Mapping[str, int], chart: Chart, temperature: float) -> Bound:
    """Make a loop ready; a loop budget belongs to the innermost loop around its node."""
    keys = sorted(loop.nodes, key=order.__getitem__)
    inner = [chart.nodes[key] for key in sorted(loop.own, key=order.__getitem__) if chart.nodes[key].loop_budget]
    budget = inner[0].loop_budget if inner else Budget()
    parts = [chart.nodes[key] for key in keys]
    written = sorted({variable.name for node in parts for variable in node.writes})
    return Bound(
        name=path_name(keys),
        nodes=loop.nodes,
        head=loop.head,
        budget=budget,
        holder=inner[0].id if inner else "",
        written=tuple(written),
        sampled=any(_sampled(node, temperature) for node in parts),
    )


def _sampled(node: Node, temperature: float) -> bool:
    """Say whether visiting the node again in the same state may give something else."""
    if node.ask is not None:
        own = node.ask.temperature
        return temperature > 0 if own is None else own.source.strip() not in ("0", "0.0")
    return node.call is not None or node.lookup is not None or node.kind is Kind.PERSON


def _region(fork: Fork, steps: Mapping[str, Step], chart: Chart, around: Mapping[str, Sequence[Bound]]) -> Region:
    part_of = {key: place for place, part in enumerate(fork.order) for key in part}
    firsts = steps[fork.node].plain
    awaited = [0] * len(fork.order)
    for edge in chart.edges:
        target, source = part_of.get(edge.target), part_of.get(edge.source)
        if target is not None and (edge.source == fork.node or (source is not None and source != target)):
            awaited[target] += 1
    return Region(
        out=_arrow(Edge(source=fork.node, target=fork.join), steps, around),
        firsts=firsts,
        part_of=part_of,
        members=[frozenset(part) for part in fork.order],
        awaited=awaited,
    )
