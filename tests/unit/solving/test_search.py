"""Search over steps: trees against all leaves, A* against brute force, beams by hand; arguments left alone."""

import copy
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from menon.core.errors import ConfigError
from menon.solving.search import (
    beam_keep,
    frontier_best,
    frontier_new,
    frontier_next_step,
    frontier_path,
    frontier_pop,
    frontier_push,
    tree_backup,
    tree_best,
    tree_expand,
    tree_new,
    tree_path,
    tree_select,
    tree_value,
)

DEPTH, WIDTH = 3, 3
Leaves = Mapping[tuple[str, ...], float]


def leaf_values(seed: int) -> Leaves:
    """Values of all leaves of a full tree; the best one stands out by 0.15."""
    rng = random.Random(seed)
    leaves = {path: rng.uniform(0, 0.8) for path in itertools.product("abc", repeat=DEPTH)}
    leaves[rng.choice(sorted(leaves))] = 0.95
    return leaves


def play(
    leaves: Leaves, iterations: int, *, noise: float = 0.0, c: float = 0.7, **options: Any
) -> tuple[Any, list[Any]]:
    """Run the search with random rollouts as evaluation; also return every (node, value) that was backed up."""
    rng = random.Random(11)
    tree, backed = tree_new("q", **options), []
    for _ in range(iterations):
        node = tree_select(tree, c)
        path = tree_path(tree, node)
        if len(path) < DEPTH and tree["nodes"][node]["visits"]:
            tree = tree_expand(tree, node, "abc", ended=[len(path) == DEPTH - 1] * WIDTH)
            node = tree_select(tree, c)
            path = tree_path(tree, node)
        value = leaves[(*path, *rng.choices("abc", k=DEPTH - len(path)))] + rng.gauss(0, noise)
        tree = tree_backup(tree, node, value)
        backed.append((node, value))
    return tree, backed


@pytest.mark.parametrize("rule", ["uct", "puct"])
@pytest.mark.parametrize("backup", ["mean", "max"])
@pytest.mark.parametrize("seed", range(4))
def test_tree_search_finds_the_best_leaf(rule: str, backup: str, seed: int):
    leaves = leaf_values(seed)
    best = max(leaves, key=lambda path: leaves[path])
    tree, _ = play(leaves, 1200, rule=rule, backup=backup)
    assert tuple(tree_path(tree, tree_best(tree))) == best
    assert tuple(tree_path(tree, tree_best(tree, by="visits"))) == best


def test_visits_under_noise_go_to_the_best_leaf():
    leaves = leaf_values(3)
    best = max(leaves, key=lambda path: leaves[path])
    tree, _ = play(leaves, 2500, noise=0.2, rule="uct")
    chosen = tree_best(tree, by="visits")
    assert tuple(tree_path(tree, chosen)) == best
    assert tree["nodes"][chosen]["visits"] > 2500 / len(leaves) * 5


@pytest.mark.parametrize("backup", ["mean", "max"])
def test_books_are_those_of_the_back_ups(backup: str):
    """Every node's visits, mean and best, counted anew from the list of what was backed up."""
    tree, backed = play(leaf_values(1), 200, backup=backup)

    def line(node: int) -> Iterator[int]:
        at: int | None = node
        while at is not None:
            yield at
            at = tree["nodes"][at]["parent"]

    own = [0] * len(tree["nodes"])
    values: list[list[float]] = [[] for _ in tree["nodes"]]
    for node, value in backed:
        own[node] += 1
        for at in line(node):
            values[at].append(value)
    assert tree["nodes"][0]["visits"] == 200
    for at, node in enumerate(tree["nodes"]):
        assert node["visits"] == len(values[at])
        assert node["visits"] == own[at] + sum(tree["nodes"][child]["visits"] for child in node["children"])
        if values[at]:
            reference = max(values[at]) if backup == "max" else math.fsum(values[at]) / len(values[at])
            assert tree_value(tree, at) == pytest.approx(reference)
        else:
            assert tree_value(tree, at) is None


def test_selection_by_hand():
    tree = tree_backup(tree_expand(tree_new("q", rule="puct"), 0, ["x", "y"], [3, 1]), 1, 0.5)
    tree = tree_backup(tree, 2, 0.6)
    # x: 0.5 + c 0.75 sqrt(2) / 2, y: 0.6 + c 0.25 sqrt(2) / 2; equal at c = 0.2 sqrt(2).
    assert tree_select(tree, c=0.2 * math.sqrt(2) + 0.01) == 1
    assert tree_select(tree, c=0.2 * math.sqrt(2) - 0.01) == 2
    tree = tree_backup(tree_expand(tree_new("q", rule="uct"), 0, ["x", "y"], [3, 1]), 1, 0.9)
    assert tree_select(tree, c=0.0) == 2  # under uct, what has no visit comes first
    tree = tree_backup(tree_backup(tree, 2, 0.1), 1, 0.9)
    # x: 0.9 + c sqrt(ln 3 / 2), y: 0.1 + c sqrt(ln 3 / 1)
    even = 0.8 / (math.sqrt(math.log(3)) - math.sqrt(math.log(3) / 2))
    assert tree_select(tree, c=even - 0.01) == 1
    assert tree_select(tree, c=even + 0.01) == 2


def test_operations_leave_their_arguments_alone_and_stay_json():
    tree = tree_expand(tree_new("q"), 0, ["x", "y"])
    before = copy.deepcopy(tree)
    assert tree_backup(tree, 1, 0.5) != tree
    assert tree_expand(tree, 1, ["z"]) != tree
    tree_select(tree)
    assert tree == before
    frontier = frontier_push(frontier_new("q"), 0, ["x", "y"], [0.5, 0.6])
    before = copy.deepcopy(frontier)
    popped, node = frontier_pop(frontier)
    assert node == 2
    assert frontier_push(popped, 2, ["z"], [0.1]) != popped
    assert frontier == before
    grown, _ = play(leaf_values(0), 50)
    assert json.loads(json.dumps(grown)) == grown
    assert json.loads(json.dumps(popped)) == popped


def test_equal_steps_are_one_child():
    tree = tree_expand(tree_new("q"), 0, ["x", "y", "x"], [1, 2, 1], ended=[False, False, True])
    assert [(node["step"], node["prior"], node["ended"]) for node in tree["nodes"][1:]] == [
        ("x", 0.5, True),
        ("y", 0.5, False),
    ]


def test_trees_are_bounded():
    tree = tree_new("q", max_nodes=4)
    tree = tree_expand(tree, 0, ["a", "b"])
    tree = tree_expand(tree, 1, ["c", "d", "e"])
    assert (len(tree["nodes"]), tree["dropped"]) == (4, 2)
    tree = tree_expand(tree, 2, ["f"])
    assert (len(tree["nodes"]), tree["dropped"], tree["nodes"][2]["ended"]) == (4, 3, False)
    frontier = frontier_push(frontier_new("q", max_nodes=2), 0, ["a", "b"], [0.5, 0.5])
    assert (len(frontier["nodes"]), frontier["dropped"], len(frontier["open"])) == (2, 1, 1)


def test_a_node_without_steps_has_ended():
    tree = tree_expand(tree_new("q"), 0, [])
    assert tree["nodes"][0]["ended"]
    with pytest.raises(ConfigError, match="node 0 has ended"):
        tree_expand(tree, 0, ["x"])


def test_best_prefers_answers_to_open_leaves():
    tree = tree_expand(tree_new("q"), 0, ["open", "done"], ended=[False, True])
    assert tree_best(tree) == 0
    tree = tree_backup(tree, 1, 0.9)
    assert tree_best(tree) == 1
    assert tree_best(tree_backup(tree, 2, 0.1)) == 2


def random_tree(seed: int) -> dict[tuple[str, ...], float]:
    """Probabilities of steps in a tree of uneven depth; paths that no other continues are leaves."""
    rng = random.Random(seed)
    steps: dict[tuple[str, ...], float] = {}
    paths: list[tuple[str, ...]] = [()]
    while paths:
        path = paths.pop()
        if len(path) < 4 and (not path or rng.random() < 0.8):
            for name in "abc"[: rng.randint(1, 3)]:
                steps[(*path, name)] = rng.uniform(0.05, 1)
                paths.append((*path, name))
    return steps


def probability(steps: Mapping[tuple[str, ...], float], path: tuple[str, ...]) -> float:
    return math.prod(steps[path[: length + 1]] for length in range(len(path)))


def children(steps: Mapping[tuple[str, ...], float], path: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [other for other in steps if len(other) == len(path) + 1 and other[:-1] == path]


def best_rest(steps: Mapping[tuple[str, ...], float], path: tuple[str, ...]) -> float:
    """The largest probability of a continuation to a leaf."""
    return max((steps[child] * best_rest(steps, child) for child in children(steps, path)), default=1.0)


def a_star(
    steps: Mapping[tuple[str, ...], float], value: Any, weight: float
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield the paths in the order in which they are taken out, with their cost."""
    frontier = frontier_new("q", weight=weight, max_nodes=500)
    while True:
        frontier, node = frontier_pop(frontier)
        if node is None:
            return
        path = tuple(frontier_path(frontier, node))
        yield path, frontier["nodes"][node]["f"]
        after = children(steps, path)
        if after:
            frontier = frontier_push(
                frontier,
                node,
                [child[-1] for child in after],
                [value(child) for child in after],
                gains=[math.log(steps[child]) for child in after],
                ended=[not children(steps, child) for child in after],
            )


@pytest.mark.parametrize("seed", range(6))
def test_without_estimates_paths_come_in_order_of_probability(seed: int):
    """Dijkstra's order, against sorting all paths."""
    steps = random_tree(seed)
    found = [path for path, _ in a_star(steps, lambda path: 1.0, 0.0)]
    assert found == sorted([(), *steps], key=lambda path: -probability(steps, path))


@pytest.mark.parametrize("seed", range(6))
def test_estimates_that_are_never_too_small_keep_the_best_leaf_first(seed: int):
    steps, rng = random_tree(seed), random.Random(seed)
    leaves = [path for path in steps if not children(steps, path)]
    best = max(leaves, key=lambda path: probability(steps, path))
    hopes = {path: best_rest(steps, path) ** rng.random() for path in steps}
    order = list(a_star(steps, lambda path: hopes[path], 1.0))
    assert next(path for path, _ in order if path in leaves) == best
    plain = [path for path, _ in a_star(steps, lambda path: 1.0, 0.0)]
    exact = [path for path, _ in a_star(steps, lambda path: best_rest(steps, path), 1.0)]
    assert exact.index(best) == len(best)  # with the true values no step is taken in vain
    assert exact.index(best) <= plain.index(best)
    # A leaf with its own cost comes out in order of probability.
    ended = [probability(steps, path) for path, _ in order if path in leaves]
    assert ended == sorted(ended, reverse=True)


@pytest.mark.parametrize(
    ("utility", "expected"),
    [("min", [0.2 + 0.5, 0.3 + 0.5]), ("last", [0.2 + 0.5, 0.9 + 0.5]), ("sum", [1.0, 1.7]), ("mean", [0.75, 1.1])],
)
def test_utilities_by_hand(utility: str, expected: list[float]):
    frontier = frontier_push(frontier_new("q", rule="utility", utility=utility), 0, ["a"], [0.4], gains=[0.3])
    frontier = frontier_push(frontier, 1, ["b", "c"], [0.5, 0.5], gains=[0.2, 0.9])
    assert [-node["f"] for node in frontier["nodes"][2:]] == pytest.approx(expected)
    assert frontier_pop(frontier)[1] == 3


def test_values_are_backed_up_as_the_best_child():
    frontier = frontier_push(frontier_new("q"), 0, ["a", "b"], [0.9, 0.5])
    frontier = frontier_push(frontier, 1, ["c", "d"], [0.1, 0.2])
    assert [node["backed"] for node in frontier["nodes"]] == [0.5, 0.2, 0.5, 0.1, 0.2]
    assert frontier_next_step(frontier) == 2
    frontier = frontier_push(frontier, 4, ["e"], [0.8], ended=[True])
    assert [frontier["nodes"][at]["backed"] for at in (0, 1, 4)] == [0.8, 0.8, 0.8]
    assert frontier_next_step(frontier) == 1
    assert frontier_next_step(frontier, 5) is None
    assert frontier_best(frontier) == 5
    assert frontier_path(frontier, 5) == ["a", "d", "e"]
    with pytest.raises(ConfigError, match="has ended"):
        frontier_push(frontier, 5, ["f"], [1.0])


def test_impossible_steps_are_dropped():
    frontier = frontier_push(frontier_new("q"), 0, ["a", "b"], [0.0, 0.1])
    assert [node["step"] for node in frontier["nodes"]] == ["", "b"]
    assert frontier["dropped"] == 1


def test_beam():
    assert beam_keep(["a", "b", "c", "a"], [0.1, 0.5, 0.5, 0.9], 3) == ["a", "b", "c"]
    assert beam_keep([["x", 1], ["x", 1], ["y", 2]], [1, 2, 0], 5) == [["x", 1], ["y", 2]]
    assert beam_keep([], [], 1) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tree_new("q", rule="best"), "rule 'best'"),
        (lambda: tree_new("q", max_nodes=0), "max_nodes is 0"),
        (lambda: tree_select(tree_new("q"), -1), "c is -1"),
        (lambda: tree_expand(tree_new("q"), 1, ["x"]), "node 1; allowed: 0 to 0"),
        (lambda: tree_expand(tree_new("q"), 0, ["x"], [0.1, 0.2]), "1 steps with 2 priors"),
        (lambda: tree_expand(tree_new("q"), 0, ["x"], [-1]), "0 or more"),
        (lambda: tree_expand(tree_expand(tree_new("q"), 0, ["x"]), 0, ["y"]), "was expanded before"),
        (lambda: tree_backup(tree_new("q"), 0, math.nan), "value is nan"),
        (lambda: tree_best(tree_new("q"), by="luck"), "by is 'luck'"),
        (lambda: frontier_new("q", utility="max"), "utility 'max'"),
        (lambda: frontier_push(frontier_new("q"), 0, ["x"], [1.5]), "value 1.5"),
        (lambda: frontier_push(frontier_new("q"), 0, ["x"], [0.5], gains=[0.1]), "log-probability, 0 or less"),
        (lambda: frontier_push(frontier_new("q"), 0, ["x"], []), "1 steps with 0 values"),
        (lambda: beam_keep(["a"], [], 1), "1 candidates with 0 values"),
        (lambda: beam_keep(["a"], [math.nan], 1), "NaN"),
        (lambda: beam_keep(["a"], [1], 0), "width is 0"),
    ],
)
def test_what_is_refused(call: Any, message: str):
    with pytest.raises(ConfigError, match=message):
        call()
