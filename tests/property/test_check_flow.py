"""Graph algorithms against networkx and definitions; the analysis of written variables against running every way."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import networkx as nx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from menon.flowcharts.chart import Chart, Edge, Kind, Node, Variable
from menon.flowcharts.check_flow import Written
from menon.flowcharts.check_forks import check_forks, check_races
from menon.flowcharts.expressions import compile_expression
from menon.flowcharts.functions import STANDARD
from menon.flowcharts.graph import (
    analyse,
    components,
    dominators,
    post_dominators,
    reachable,
    reverse_postorder,
    reversed_graph,
)
from menon.flowcharts.loops import find_loops
from menon.flowcharts.mermaid_reading import parse

NAMES = "abcdefghij"
VARIABLES = ("x", "y", "z")


@st.composite
def graphs(draw: st.DrawFn, most: int = 8) -> dict[str, tuple[str, ...]]:
    nodes = NAMES[: draw(st.integers(1, most))]
    return {node: tuple(draw(st.lists(st.sampled_from(nodes), unique=True, max_size=3))) for node in nodes}


def _peer(graph: Mapping[str, Sequence[str]]) -> nx.DiGraph:
    peer = nx.DiGraph()
    peer.add_nodes_from(graph)
    peer.add_edges_from((node, target) for node, targets in graph.items() for target in targets)
    return peer


@given(graphs())
@settings(max_examples=200)
def test_components_are_those_of_networkx_in_topological_order(graph: dict[str, tuple[str, ...]]) -> None:
    found = components(graph)
    assert {frozenset(part) for part in found} == {frozenset(p) for p in nx.strongly_connected_components(_peer(graph))}
    place = {node: number for number, part in enumerate(found) for node in part}
    assert all(place[node] <= place[target] for node, targets in graph.items() for target in targets)


@given(graphs())
@settings(max_examples=200)
def test_dominators_are_those_of_networkx(graph: dict[str, tuple[str, ...]]) -> None:
    found = dominators(graph, "a")
    peer = dict(nx.immediate_dominators(_peer(graph), "a"))
    assert {node: above for node, above in found.items() if node != "a"} == {
        node: above for node, above in peer.items() if node != "a"
    }
    assert found["a"] is None
    assert set(reverse_postorder(graph, "a")) == set(found) == nx.descendants(_peer(graph), "a") | {"a"}
    assert reachable(graph, "a") == set(found)


@given(graphs(), st.sets(st.sampled_from(NAMES), min_size=1, max_size=3))
@settings(max_examples=200)
def test_post_dominators_are_the_nodes_on_every_way_out(graph: dict[str, tuple[str, ...]], exits: set[str]) -> None:
    exits &= set(graph)
    assume(exits)
    graph = {node: () if node in exits else targets for node, targets in graph.items()}
    peer = _peer(graph)
    after = post_dominators(graph, sorted(exits))
    for node in graph:
        ways = [
            set(way) for end in exits for way in ([[node]] if node == end else nx.all_simple_paths(peer, node, end))
        ]
        assert (node in after) == bool(ways)
        if ways:
            chain, above = set(), after[node]
            while above is not None:
                chain.add(above)
                above = after[above]
            assert chain | {node} == set.intersection(*ways)


@given(graphs(7))
@settings(max_examples=400)
def test_loops_are_the_natural_loops_where_every_loop_has_one_way_in(graph: dict[str, tuple[str, ...]]) -> None:
    graph = {node: graph[node] for node in graph if node in reachable(graph, "a")}
    edges = [Edge(source=node, target=target) for node, targets in graph.items() for target in targets]
    above = dominators(graph, "a")
    found = find_loops(list(graph), edges, "a")
    natural: dict[str, set[str]] = {}
    for edge in edges:
        if edge.target in _chain(edge.source, above):
            into = {**reversed_graph(graph), edge.target: ()}
            back = reachable(into, (edge.source,)) | {edge.target}
            natural.setdefault(edge.target, set()).update(back)
    peer = _peer(graph)
    peer.remove_edges_from([(e.source, e.target) for e in edges if e.target in _chain(e.source, above)])
    reducible = nx.is_directed_acyclic_graph(peer)
    assert reducible == (not any(loop.irreducible for loop in found))
    assert set().union(*(loop.nodes for loop in found)) == set().union(
        *(part for part in components(graph) if len(part) > 1 or any(node in graph[node] for node in part))
    )
    if reducible:
        assert {loop.head: loop.nodes for loop in found} == natural
    for loop in found:
        assert set(loop.exits) == {e for e in edges if e.source in loop.nodes and e.target not in loop.nodes}
        assert set(loop.entries) == {e for e in edges if e.source not in loop.nodes and e.target in loop.nodes}
        assert set(loop.turns) == {e for e in edges if e.source in loop.nodes and e.target == loop.head}
        assert loop.cycle[0] == loop.head
        assert loop.head in graph[loop.cycle[-1]]
        assert all(target in graph[node] for node, target in itertools.pairwise(loop.cycle))


def _chain(node: str | None, above: Mapping[str, str | None]) -> set[str]:
    found = set()
    while node is not None:
        found.add(node)
        node = above[node]
    return found


def _chart(graph: Mapping[str, Sequence[str]], decisions: set[str], writes: Mapping[str, Sequence[str]]) -> Chart:
    """A chart that starts at "start" and ends at "end"; nodes of `decisions` take one branch, others all."""
    nodes = {}
    for name in graph:
        kind = Kind.START if name == "start" else Kind.END if name == "end" else Kind.COMPUTE
        kind = Kind.DECIDE if name in decisions else kind
        nodes[name] = Node(id=name, kind=kind, writes=tuple(Variable(name=one) for one in writes.get(name, ())))
    edges = tuple(
        Edge(source=node, target=target, label=target if node in decisions else "")
        for node, targets in graph.items()
        for target in targets
    )
    return Chart(
        name="c",
        title="c",
        source="",
        file="c.md",
        text="",
        diagram=parse("flowchart TD\n", file="c.md", first_line=1),
        nodes=nodes,
        edges=edges,
        takes=(),
        returns=compile_expression("1", STANDARD),
    )


def _written(chart: Chart) -> Written:
    return Written(chart, analyse(chart))


WRITES = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(VARIABLES), unique=True, max_size=2))


@given(graphs(7), st.sets(st.sampled_from(NAMES), min_size=1, max_size=3), WRITES)
@settings(max_examples=200)
def test_written_without_forks_is_what_every_way_writes(
    graph: dict[str, tuple[str, ...]], last: set[str], writes: dict[str, list[str]]
) -> None:
    drawn = {node: (*targets, *(["end"] if node in last or not targets else [])) for node, targets in graph.items()}
    drawn = {"start": ("a",), **drawn, "end": ()}
    chart = _chart(drawn, set(graph), writes)
    written = _written(chart)
    peer = _peer(drawn)
    for node in written.order[1:]:
        ways = list(nx.all_simple_paths(peer, "start", node))
        sets = [{name for one in way[:-1] for name in writes.get(one, ())} for way in ways]
        assert written.before(node) == set.intersection(*sets)
        for name in VARIABLES:
            if name in written.bit and name not in written.before(node):
                way = written.way_without(node, name)
                assert len(way) == min(len(one) for one, got in zip(ways, sets, strict=True) if name not in got)
                assert nx.is_path(peer, way)
                assert not any(name in writes.get(one, ()) for one in way[:-1])


@st.composite
def acyclic(draw: st.DrawFn) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """A graph from "start" to "end" without cycles, every node on a way, and which nodes decide."""
    count = draw(st.integers(2, 7))
    names = ["start", *NAMES[:count], "end"]
    graph: dict[str, list[str]] = {name: [] for name in names}
    for place, name in enumerate(names[1:], start=1):
        sources = draw(st.lists(st.sampled_from(names[:place]), unique=True, min_size=1, max_size=3))
        for source in sources:
            graph[source].append(name)
    for name in names[:-1]:
        if not graph[name]:
            graph[name].append("end")
    decisions = draw(st.sets(st.sampled_from(names[1:-1])))
    return {name: tuple(targets) for name, targets in graph.items()}, decisions


def _runs(graph: Mapping[str, Sequence[str]], decisions: set[str]) -> Iterator[set[str]]:
    """Yield the nodes that run, once for each way of deciding everything."""
    deciding = sorted(decisions)
    for choice in itertools.product(*(graph[node] for node in deciding)):
        chosen = dict(zip(deciding, choice, strict=True))
        ran = {"start"}
        for node in nx.topological_sort(_peer(graph)):
            if node in ran:
                ran.update([chosen[node]] if node in chosen else graph[node])
        yield ran


def _truly_written(
    graph: Mapping[str, Sequence[str]], decisions: set[str], writes: Mapping[str, Sequence[str]]
) -> dict[str, set[str]]:
    peer, found = _peer(graph), {}
    for ran in _runs(graph, decisions):
        for node in ran:
            earlier = nx.ancestors(peer, node) & ran
            got = {name for one in earlier for name in writes.get(one, ())}
            found[node] = found[node] & got if node in found else got
    return found


@given(acyclic(), WRITES)
@settings(max_examples=250)
def test_written_with_forks_never_claims_too_much(
    drawn: tuple[dict[str, tuple[str, ...]], set[str]], writes: dict[str, list[str]]
) -> None:
    graph, decisions = drawn
    written = _written(_chart(graph, decisions, writes))
    truth = _truly_written(graph, decisions, writes)
    for node, names in truth.items():
        assert written.before(node) <= names


BLOCKS = st.recursive(
    st.just(("node",)),
    lambda inner: st.tuples(st.sampled_from(["then", "either", "both"]), st.lists(inner, min_size=2, max_size=3)),
    max_leaves=7,
)


@given(BLOCKS, st.lists(st.lists(st.sampled_from(VARIABLES), max_size=2), min_size=7, max_size=7))
@settings(max_examples=200)
def test_written_is_exact_for_branches_within_branches(block: tuple, writing: list[list[str]]) -> None:
    graph: dict[str, list[str]] = {"start": []}
    decisions: set[str] = set()
    writes: dict[str, list[str]] = {}

    def build(part: tuple, source: str) -> str:
        name = f"n{len(graph)}"
        graph[name] = []
        graph[source].append(name)
        if part[0] == "node":
            writes[name] = writing[len(writes) % len(writing)]
            return name
        if part[0] == "then":
            for one in part[1]:
                name = build(one, name)
            return name
        if part[0] == "either":
            decisions.add(name)
        ends = [build(one, name) for one in part[1]]
        meet = f"n{len(graph)}"
        graph[meet] = []
        for end in ends:
            graph[end].append(meet)
        return meet

    graph[build(block, "start")].append("end")
    graph["end"] = []
    written = _written(_chart(graph, decisions, writes))
    for node, names in _truly_written(graph, decisions, writes).items():
        assert written.before(node) == names


@given(acyclic(), st.sets(st.sampled_from(NAMES), min_size=2, max_size=3))
@settings(max_examples=250)
def test_a_race_is_found_where_and_only_where_two_writers_may_run_unordered(
    drawn: tuple[dict[str, tuple[str, ...]], set[str]], writers: set[str]
) -> None:
    graph, decisions = drawn
    chart = _chart(graph, decisions, {node: ["x"] for node in writers if node in graph})
    flow = analyse(chart)
    written = Written(chart, flow)
    assume(not list(check_forks(chart, flow, written, frozenset())))
    peer = _peer(graph)
    raced = any(
        one not in nx.ancestors(peer, other) and other not in nx.ancestors(peer, one)
        for ran in _runs(graph, decisions)
        for one, other in itertools.combinations(sorted(writers & ran), 2)
    )
    assert bool(list(check_races(chart, written))) == raced


@pytest.mark.parametrize("seed", range(3))
def test_large_random_graphs_agree_with_networkx(seed: int) -> None:
    peer = nx.gnp_random_graph(2_000, 0.001, seed=seed, directed=True)
    graph = {str(node): tuple(str(target) for target in peer.successors(node)) for node in peer}
    assert {frozenset(part) for part in components(graph)} == {
        frozenset(map(str, part)) for part in nx.strongly_connected_components(peer)
    }
    expected = {str(node): str(above) for node, above in nx.immediate_dominators(peer, 0).items() if node != 0}
    assert {node: above for node, above in dominators(graph, "0").items() if node != "0"} == expected
