"""Monte-Carlo tree search over reasoning steps, as operations on a JSON-able tree.

One iteration is select, expand, evaluate (by the caller: a verifier, a value model, a rollout), back up. Each operation
returns a new tree and leaves its argument as it was; only what lies on the path is copied, so that a loop of a
flowchart can keep the tree as its state. Visits and values are only ever changed by `tree_backup`.
Left out: rollouts and evaluation, which call a model; virtual losses, for selection in parallel.
Sources: UCT by Kocsis and Szepesvari 2006; PUCT as in TS-LLM, Feng et al. 2023, arXiv:2309.17179; values per step as
in ReST-MCTS*, Zhang et al. 2024, arXiv:2406.03816 (there a node's own value is weighed in, here it is backed up once).
"""

import math
from collections.abc import Sequence
from typing import Any

from menon.core.errors import ConfigError

Tree = dict[str, Any]

RULES = ("puct", "uct")
BACKUPS = ("mean", "max")


def tree_new(question: str, *, rule: str = "puct", backup: str = "mean", max_nodes: int = 200) -> Tree:
    """Return a tree that holds the root only.

    Args:
        rule: "puct" weighs exploration by priors, "uct" visits every child once before any twice.
        backup: what a node is worth: the "mean" of the values backed up through it, or their "max" (which suits
            evaluations without noise).
        max_nodes: the largest tree; what would make it larger is not added, and counted under "dropped".
    """
    if rule not in RULES or backup not in BACKUPS:
        raise ConfigError(f"rule {rule!r}, backup {backup!r}; allowed: {', '.join(RULES)} and {', '.join(BACKUPS)}")
    if max_nodes < 1:
        raise ConfigError(f"max_nodes is {max_nodes!r}; allowed: 1 or more")
    root = _node(parent=None, step="", prior=1.0, ended=False)
    return {
        "question": question,
        "rule": rule,
        "backup": backup,
        "max_nodes": max_nodes,
        "dropped": 0,
        "nodes": [root],
    }


def tree_select(tree: Tree, c: float = 1.4) -> int:
    """Return the leaf to look at next: from the root down, the child with the best value plus exploration bonus.

    The bonus is c sqrt(ln N / n) under "uct" and c P sqrt(N) / (1 + n) under "puct", with N visits of the parent, n of
    the child and P its prior. A child without visits has the value of its parent under "puct". Ties go to the child
    added first.
    """
    if not (c >= 0 and math.isfinite(c)):
        raise ConfigError(f"c is {c!r}; allowed: a number of 0 or more, such as 1.4")
    nodes = tree["nodes"]
    at = 0
    while nodes[at]["children"]:
        at = max(nodes[at]["children"], key=lambda child: _urge(tree, nodes[child], nodes[nodes[child]["parent"]], c))
    return at


def tree_expand(
    tree: Tree,
    node: int,
    steps: Sequence[str],
    priors: Sequence[float] | None = None,
    *,
    ended: Sequence[bool] | None = None,
) -> Tree:
    """Add one child per different step; a node expanded with no steps has ended.

    Args:
        priors: how likely each step is, in any scale; they are made to sum to 1, and equal steps are added up.
        ended: which steps complete an answer, so that nothing follows them.
    Raises:
        ConfigError: no such node, one that has ended or was expanded before, or lists of unequal length.
    """
    old = _existing(tree, node)
    if old["ended"] or old["children"]:
        state = "has ended" if old["ended"] else "was expanded before"
        raise ConfigError(f"node {node!r} {state}; expand what tree_select returns, unless it has ended")
    merged = _merged(steps, priors, ended)
    nodes = list(tree["nodes"])
    room = max(0, tree["max_nodes"] - len(nodes))
    kept = merged[:room]
    children = list(range(len(nodes), len(nodes) + len(kept)))
    nodes[node] = {**old, "children": children, "ended": not merged}
    nodes += [_node(parent=node, step=step, prior=prior, ended=end) for step, prior, end in kept]
    return {**tree, "nodes": nodes, "dropped": tree["dropped"] + len(merged) - len(kept)}


def tree_backup(tree: Tree, node: int, value: float) -> Tree:
    """Count one evaluation of `node` in it and in all nodes above it."""
    _existing(tree, node)
    if not math.isfinite(value):
        raise ConfigError(f"value is {value!r}; allowed: a finite number, best between 0 and 1")
    nodes = list(tree["nodes"])
    at: int | None = node
    while at is not None:
        old = nodes[at]
        best = value if old["best"] is None else max(old["best"], value)
        nodes[at] = {**old, "visits": old["visits"] + 1, "total": old["total"] + value, "best": best}
        at = old["parent"]
    return {**tree, "nodes": nodes}


def tree_value(tree: Tree, node: int) -> float | None:
    """Return what a node is worth by the tree's back-up; None before its first visit."""
    return _value(tree, _existing(tree, node))


def tree_best(tree: Tree, by: str = "value") -> int:
    """Return the node to answer with.

    "value": the ended node that is worth most, or, where none was evaluated, the leaf worth most (more visits, then
    the earlier one, decide ties). "visits": from the root down the child visited most, which noise misleads less.
    """
    if by == "visits":
        return _most_visited(tree)
    if by != "value":
        raise ConfigError(f"by is {by!r}; allowed: value, visits")
    nodes = tree["nodes"]
    leaves = [at for at, node in enumerate(nodes) if not node["children"] and node["visits"]]
    ended = [at for at in leaves if nodes[at]["ended"]]
    return max(ended or leaves, key=lambda at: (_value(tree, nodes[at]), nodes[at]["visits"], -at), default=0)


def tree_path(tree: Tree, node: int) -> list[str]:
    """Return the steps from the root to `node`."""
    steps: list[str] = []
    at: int | None = node
    while at is not None:
        found = _existing(tree, at)
        steps.append(found["step"])
        at = found["parent"]
    return steps[:-1][::-1]


def _most_visited(tree: Tree) -> int:
    nodes = tree["nodes"]
    at = 0
    while visited := [child for child in nodes[at]["children"] if nodes[child]["visits"]]:
        at = max(visited, key=lambda child: (nodes[child]["visits"], _value(tree, nodes[child]), -child))
    return at


def _urge(tree: Tree, child: dict[str, Any], parent: dict[str, Any], c: float) -> float:
    value = _value(tree, child)
    if tree["rule"] == "uct":
        if value is None:
            return math.inf
        return value + c * math.sqrt(math.log(max(1, parent["visits"])) / child["visits"])
    if value is None:
        value = _value(tree, parent) or 0.0
    return value + c * child["prior"] * math.sqrt(max(1, parent["visits"])) / (1 + child["visits"])


def _value(tree: Tree, node: dict[str, Any]) -> float | None:
    if not node["visits"]:
        return None
    return node["best"] if tree["backup"] == "max" else node["total"] / node["visits"]


def _merged(
    steps: Sequence[str], priors: Sequence[float] | None, ended: Sequence[bool] | None
) -> list[tuple[str, float, bool]]:
    weights = [1.0] * len(steps) if priors is None else list(priors)
    ends = [False] * len(steps) if ended is None else list(ended)
    if not len(weights) == len(ends) == len(steps):
        raise ConfigError(f"{len(steps)} steps with {len(weights)} priors and {len(ends)} ended; give one per step")
    if not all(weight >= 0 and math.isfinite(weight) for weight in weights):
        raise ConfigError(f"priors {weights!r}; allowed: finite numbers of 0 or more")
    total = math.fsum(weights)
    found: dict[str, tuple[float, bool]] = {}
    for step, weight, end in zip(steps, weights, ends, strict=True):
        prior, was = found.get(step, (0.0, False))
        found[step] = (prior + (weight / total if total > 0 else 1 / len(steps)), was or end)
    return [(step, prior, end) for step, (prior, end) in found.items()]


def _node(*, parent: int | None, step: str, prior: float, ended: bool) -> dict[str, Any]:
    return {
        "parent": parent,
        "step": step,
        "prior": prior,
        "ended": ended,
        "children": [],
        "visits": 0,
        "total": 0.0,
        "best": None,
    }


def _existing(tree: Tree, node: int) -> dict[str, Any]:
    if isinstance(node, bool) or not isinstance(node, int) or not 0 <= node < len(tree["nodes"]):
        raise ConfigError(f"node {node!r}; allowed: 0 to {len(tree['nodes']) - 1}")
    return tree["nodes"][node]
