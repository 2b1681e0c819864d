"""Checks of the drawing: one start, an end, every node on a way between them, branches that leave nothing open."""

from collections import Counter
from collections.abc import Iterator, Sequence

from menon.flowcharts.chart import ELSE, FAILED, LIMIT, Chart, Edge, Finding, Kind, Node
from menon.flowcharts.graph import Graph, components, reachable

YES, NO = ("yes", "true"), ("no", "false")
CANNOT_FAIL = (Kind.START, Kind.CONNECTOR)


def finding(
    chart: Chart, node: str, rule: str, problem: str, mend: str, *, line: int | None = None, level: str = "error"
) -> Finding:
    """Make a finding about `node`, at the line of its section if it has one, else where it is drawn."""
    if line is None:
        found = chart.nodes.get(node)
        line = (found.section or found.line) if found else chart.first_line
    return Finding(file=chart.file, line=line, rule=rule, problem=problem, mend=mend, level=level, node=node)


def label_of(edge: Edge) -> str:
    """Return the label as branches are compared: without regard to case."""
    return edge.label.casefold()


def is_plain(edge: Edge) -> bool:
    """Whether the label is a branch that a decision answers, none of those with a meaning of their own."""
    return bool(edge.label) and label_of(edge) not in (LIMIT, FAILED, ELSE)


def check_ends(chart: Chart) -> Iterator[Finding]:
    """Find missing and surplus starts, missing ends, edges into a start and out of an end."""
    starts = [node for node in chart.nodes.values() if node.kind is Kind.START]
    entered = {edge.target: edge for edge in reversed(chart.edges)}
    real = [node for node in starts if node.id not in entered] or starts[:1]
    if not starts:
        mend = "draw one stadium that edges leave: `start([question]) --> first`"
        yield finding(chart, "", "start", "the flowchart has no start", mend)
    for node in starts:
        if node.id in entered:
            problem = f"edges lead into and out of {node.id!r}, which is drawn as a start or end"
            mend = f"draw it as `{node.id}[ask]`, or take its edges away on one side"
            yield finding(chart, node.id, "start", problem, mend, line=entered[node.id].line)
        elif node is not real[0]:
            problem = f"{node.id!r} is a second start; {real[0].id!r} is the first"
            mend = f"keep one start and draw `{real[0].id} --> ...` to what follows {node.id!r}"
            yield finding(chart, node.id, "start", problem, mend)
    if not chart.ends:
        mend = "draw a stadium that no edge leaves: `last --> done([answer])`"
        yield finding(chart, "", "end", "the flowchart has no end", mend)
    for edge in chart.edges:
        if chart.nodes[edge.source].kind is Kind.END:
            mend = f"draw it as `{edge.source}[ask]`, or take the edge away"
            yield finding(chart, edge.source, "end", f"an edge leaves the end {edge.source!r}", mend, line=edge.line)


def check_reach(chart: Chart, graph: Graph) -> Iterator[Finding]:
    """Find nodes that no way from the start meets, and nodes where every way stops before an end."""
    met = reachable(graph, (chart.start,))
    lost = {node: tuple(target for target in graph[node] if target not in met) for node in graph if node not in met}
    entered: set[str] = set()
    for component in components(lost) if lost else ():
        first = min(component, key=lambda node: chart.nodes[node].line)
        followers = reachable(lost, component)
        if not entered.intersection(component):
            behind = f", nor do any to the {len(followers) - 1} behind it" if len(followers) > 1 else ""
            mend = f"draw an edge to it, such as `{chart.start} --> {first}`, or delete it with its section"
            yield finding(chart, first, "unreachable", f"no edges lead from the start to {first!r}{behind}", mend)
        entered.update(followers)
    for node in chart.nodes.values():
        if node.id in met and not graph[node.id] and node.kind is not Kind.END:
            mend = f"draw an edge to what comes next, such as `{node.id} --> {chart.ends[0]}`"
            yield finding(chart, node.id, "no-way-out", f"no edge leaves {node.id!r}, which is no end", mend)


def check_branches(chart: Chart, types: dict[str, str]) -> Iterator[Finding]:
    """Find edges whose labels contradict each other, their node, or what it decides.

    `types` says for decisions by an expression what type of value it has.
    """
    leaving: dict[str, list[Edge]] = {node: [] for node in chart.nodes}
    for edge in chart.edges:
        leaving[edge.source].append(edge)
    for node in chart.nodes.values():
        edges = leaving[node.id]
        repeated = list(_repeated(chart, node, edges))
        yield from repeated
        yield from _special(chart, node, edges)
        if repeated:
            continue
        if node.kind is Kind.DECIDE:
            yield from _decision(chart, node, edges, types.get(node.id, "any"))
        elif node.kind is Kind.PERSON and any(is_plain(edge) for edge in edges):
            yield from _person(chart, node, edges)
        else:
            yield from _other(chart, node, edges)


def _repeated(chart: Chart, node: Node, edges: Sequence[Edge]) -> Iterator[Finding]:
    labels = Counter(label_of(edge) for edge in edges if edge.label)
    targets = Counter(edge.target for edge in edges if not edge.label)
    for edge in edges:
        if edge.label and labels[label_of(edge)] > 1:
            labels[label_of(edge)] = 0
            problem = f"two edges out of {node.id!r} have the label {edge.label!r}"
            yield finding(chart, node.id, "branches", problem, "give each branch its own label", line=edge.line)
        elif not edge.label and targets[edge.target] > 1:
            targets[edge.target] = 0
            problem = f"the edge `{node.id} --> {edge.target}` is drawn twice"
            yield finding(chart, node.id, "branches", problem, "leave one of them out", line=edge.line)


def _special(chart: Chart, node: Node, edges: Sequence[Edge]) -> Iterator[Finding]:
    for edge in edges:
        label = label_of(edge)
        if label == LIMIT and node.limit is None and not node.loop_budget:
            problem = f"{node.id!r} has an edge `limit` and no limit"
            mend = f"add `- limit: 3` or `- loop budget: 3 turns` to section `## {node.id}`, or take the edge away"
            yield finding(chart, node.id, "branches", problem, mend, line=edge.line)
        elif label == FAILED and node.kind in CANNOT_FAIL:
            problem = f"{node.id!r} has an edge `failed`, but a {node.kind.value} cannot fail"
            yield finding(chart, node.id, "branches", problem, "take the edge away", line=edge.line)


def _decision(chart: Chart, node: Node, edges: Sequence[Edge], value: str) -> Iterator[Finding]:
    for edge in edges:
        if not edge.label:
            problem = f"the edge `{node.id} --> {edge.target}` of a decision has no label"
            mend = f"write the answer on it: `{node.id} -->|yes| {edge.target}`"
            yield finding(chart, node.id, "branches", problem, mend, line=edge.line)
    if any(not edge.label for edge in edges):
        return
    plain = [edge for edge in edges if is_plain(edge)]
    if node.ask is not None:
        if len({label_of(edge) for edge in plain}) < 2:
            problem = f"the model is asked to decide at {node.id!r} and has {len(plain)} choices"
            mend = f"draw a labelled edge for each answer: `{node.id} -->|yes| A` and `{node.id} -->|no| B`"
            yield finding(chart, node.id, "branches", problem, mend)
        return
    yield from _test(chart, node, plain, any(label_of(edge) == ELSE for edge in edges), value)


def _test(chart: Chart, node: Node, plain: Sequence[Edge], has_else: bool, value: str) -> Iterator[Finding]:
    labels = {label_of(edge) for edge in plain}
    sides = [bool(labels.intersection(side)) for side in (YES, NO)]
    truths = labels <= {*YES, *NO}
    if value in ("list", "json"):
        problem = f"the expression of {node.id!r} gives a {value}, which is no branch"
        yield finding(chart, node.id, "type", problem, "compare something: `len(items) > 0`")
        return
    if value == "truth" and not truths:
        strange = next(edge for edge in plain if label_of(edge) not in (*YES, *NO))
        problem = f"the expression of {node.id!r} is true or false, never {strange.label!r}"
        yield finding(chart, node.id, "branches", problem, "label its branches yes and no", line=strange.line)
    elif value == "number" and any(not _is_number(edge.label) for edge in plain):
        strange = next(edge for edge in plain if not _is_number(edge.label))
        problem = f"the expression of {node.id!r} gives a number, never {strange.label!r}"
        mend = "label its branches with numbers and else, or write a comparison with branches yes and no"
        yield finding(chart, node.id, "type", problem, mend, line=strange.line)
    elif has_else:
        if not plain:
            problem = f"the decision {node.id!r} has no branch but else"
            yield finding(chart, node.id, "branches", problem, f"draw `{node.id} -->|yes| A` beside it")
    elif value in ("truth", "any") and truths:
        for side, drawn in zip(("yes", "no"), sides, strict=True):
            if not drawn:
                problem = f"the decision {node.id!r} has no branch {side}"
                yield finding(
                    chart, node.id, "branches", problem, f"draw `{node.id} -->|{side}| ...` or an else branch"
                )
    else:
        problem = f"the expression of {node.id!r} may give other values than {', '.join(e.label for e in plain)}"
        yield finding(chart, node.id, "branches", problem, f"add an else branch: `{node.id} -->|else| ...`")


def _person(chart: Chart, node: Node, edges: Sequence[Edge]) -> Iterator[Finding]:
    plain = [edge for edge in edges if is_plain(edge)]
    for edge in edges:
        if not edge.label:
            problem = f"{node.id!r} has branches with labels and the edge `{node.id} --> {edge.target}` without"
            yield finding(chart, node.id, "branches", problem, "label every branch", line=edge.line)
    if len(plain) < 2 and not any(label_of(edge) == ELSE for edge in edges):
        problem = f"a person decides at {node.id!r} and has one choice"
        mend = "draw a labelled edge for each answer, or one edge without label"
        yield finding(chart, node.id, "branches", problem, mend, line=plain[0].line)


def _other(chart: Chart, node: Node, edges: Sequence[Edge]) -> Iterator[Finding]:
    for edge in edges:
        if is_plain(edge) or label_of(edge) == ELSE:
            arrow = f"{node.id} -->|{edge.label}| {edge.target}"
            problem = f"the edge `{arrow}` is a branch, but {node.id!r} decides nothing"
            mend = f"draw {node.id!r} as a decision `{{...}}`, or take the label away"
            yield finding(chart, node.id, "branches", problem, mend, line=edge.line)
    if edges and all(label_of(edge) in (LIMIT, FAILED) for edge in edges):
        problem = f"{node.id!r} has no edge for when all goes well"
        yield finding(chart, node.id, "branches", problem, f"draw an edge without label: `{node.id} --> ...`")


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
