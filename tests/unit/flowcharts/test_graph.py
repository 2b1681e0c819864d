"""Forks, joins and loops of drawn charts; sizes that a chart may have."""

import itertools
import time

import pytest

from menon.flowcharts.chart import Edge
from menon.flowcharts.graph import (
    analyse,
    branching,
    components,
    dominators,
    post_dominators,
    reachable,
    reversed_graph,
    targets_of,
)
from menon.flowcharts.loops import find_loops, loops, path_name

DIAMOND = {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}


def test_reachable_holds_the_starts_and_all_behind_them():
    assert reachable(DIAMOND, ["b", "c"]) == {"b", "c", "d"}
    assert reachable({"a": ("a",)}, ["a"]) == {"a"}


def test_reversed_graph_turns_every_edge_round():
    assert reversed_graph(DIAMOND) == {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def test_post_dominators_join_several_exits():
    graph = {"a": ("b", "c"), "b": ("x",), "c": ("y",), "x": (), "y": (), "lost": ("lost",)}
    assert post_dominators(graph, ["x", "y"]) == {"a": None, "b": "x", "c": "y", "x": None, "y": None}
    assert post_dominators(DIAMOND, ["d"]) == {"a": "d", "b": "d", "c": "d", "d": None}


def test_a_fork_has_its_branches_join_and_region_in_order(drawn):
    chart = drawn(
        """s([q]) --> f((f))
        f --> a[a] --> b[b] --> j((j))
        f --> c[c] --> t{t}
        t -->|no| c
        t -->|yes| j
        j --> e([e])"""
    )
    flow = analyse(chart)
    fork = flow.forks["f"]
    assert (fork.node, fork.branches, fork.join) == ("f", ("a", "c"), "j")
    assert fork.region == {"a", "b", "c", "t"}
    assert fork.order.index(("a",)) < fork.order.index(("b",))
    assert {frozenset(part) for part in fork.order} == {frozenset("a"), frozenset("b"), frozenset("ct")}
    assert [edge.target for edge in flow.successors["f"]] == ["a", "c"]


def test_a_branch_may_lead_straight_to_the_join(drawn):
    chart = drawn("s([q]) --> f((f)) --> a[a] --> e([e])\nf --> e")
    fork = analyse(chart).forks["f"]
    assert (fork.branches, fork.join, fork.region) == (("a", "e"), "e", {"a"})


def test_labelled_edges_are_no_branches_of_a_fork(drawn):
    chart = drawn("s([q]) --> a[a] --> b[b] --> e([e])\na -->|failed| g([g])\nb -->|failed| g")
    assert branching(chart) == {}
    assert analyse(chart).forks == {}


def test_an_edge_failed_of_the_fork_itself_does_not_move_its_join(drawn):
    chart = drawn("s([q]) --> f[f] --> a[a] --> j[j] --> e([e])\nf --> b[b] --> j\nf -->|failed| g([g])")
    assert analyse(chart).forks["f"].join == "j"


def test_branches_that_end_apart_have_no_join(drawn):
    chart = drawn("s([q]) --> f((f)) --> a[a] --> e([e])\nf --> b[b] --> g([g])")
    assert branching(chart) == {"f": ("a", "b")}
    assert analyse(chart).forks == {}


def test_nested_loops_name_their_heads_nodes_and_borders(drawn):
    chart = drawn(
        """s([q]) --> outer[o] --> inner[i] --> t{t}
        t -->|again| inner
        t -->|more| outer
        t -->|done| e([e])"""
    )
    first, second = loops(chart)
    assert (first.head, first.nodes) == ("outer", {"outer", "inner", "t"})
    assert (second.head, second.nodes) == ("inner", {"inner", "t"})
    assert first.name == "outer → inner → t"
    assert [(edge.source, edge.target) for edge in first.exits] == [("t", "e")]
    assert [(edge.source, edge.target) for edge in first.entries] == [("s", "outer")]
    assert {edge.target for edge in second.exits} == {"outer", "e"}
    assert first.inside == (second,)
    assert not first.irreducible


def test_a_loop_with_two_ways_in_is_irreducible(drawn):
    chart = drawn("s([q]) --> d{d}\nd -->|x| a[a] --> b{b}\nd -->|y| b\nb -->|no| a\nb -->|yes| e([e])")
    (loop,) = loops(chart)
    assert loop.irreducible
    assert loop.nodes == {"a", "b"}
    assert len(loop.entries) == 2


def test_a_node_that_leads_to_itself_is_a_loop(drawn):
    (loop,) = loops(drawn("s([q]) --> d{d}\nd -->|no| d\nd -->|yes| e([e])"))
    assert (loop.head, loop.name, loop.nodes) == ("d", "d", {"d"})


def test_long_names_are_cut_in_the_middle():
    assert path_name("abcdef") == "a → b → c → d → e → f"
    assert path_name("abcdefgh") == "a → b → c → … → f → g → h"


def test_edges_to_other_nodes_leave_and_enter():
    edges = [Edge(source="a", target="b"), Edge(source="b", target="a"), Edge(source="b", target="z")]
    edges.append(Edge(source="y", target="a"))
    (loop,) = find_loops(["a", "b"], edges)
    assert [edge.target for edge in loop.exits] == ["z"]
    assert [edge.source for edge in loop.entries] == ["y"]


@pytest.mark.parametrize("shape", ["chain", "ring", "star out and in", "nested loops", "failures"])
def test_ten_thousand_nodes_take_no_time(shape: str):
    nodes = [str(number) for number in range(10_000)]
    graph = {node: (after,) for node, after in itertools.pairwise(nodes)} | {nodes[-1]: ()}
    if shape == "ring":
        graph[nodes[-1]] = (nodes[0],)
    elif shape == "star out and in":
        graph = {nodes[0]: tuple(nodes[1:]), **dict.fromkeys(nodes[1:], ("z",)), "z": ()}
    elif shape == "nested loops":
        graph = {node: (*targets, str(len(nodes) - 1 - int(node))) for node, targets in graph.items()}
    elif shape == "failures":
        graph = {node: (*targets, "z") for node, targets in graph.items()} | {"z": ()}
    begin = time.process_time()
    assert len(components(graph)) in (1, len(graph))
    assert len(dominators(graph, "0")) == len(graph)
    post_dominators(graph, [nodes[-1]])
    find_loops(list(graph), [Edge(source=node, target=one) for node in graph for one in graph[node]])
    assert time.process_time() - begin < 3  # a quadratic step takes over ten


def test_targets_are_named_once(drawn):
    chart = drawn("s([q]) --> d{d}\nd -->|x| e([e])\nd -->|y| e")
    assert targets_of(chart) == {"s": ("d",), "d": ("e",), "e": ()}
