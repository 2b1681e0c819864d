"""A* over reasoning steps, as operations on a JSON-able frontier.

A path of steps with probabilities p_1 ... p_t and a value v, the estimated probability that the rest succeeds, costs
f = -(log p_1 + ... + log p_t) - w log v, and the open path with the least f is looked at next. With w = 1 and values
that are never too small the first finished path taken out is the most probable one. Rule "utility" is the planner of
Q*: f = utility so far + w v, and the largest is next, where the utility of a path is the smallest, last, summed or mean
reward of its steps. Values of later nodes are backed up to those before them (a node is worth its best child).
Each operation returns a new frontier and leaves its argument as it was.
Left out: joining paths that end in the same state; two texts are seldom the same state.
Sources: Hart, Nilsson and Raphael 1968 (A*); Wang et al. 2024, arXiv:2406.14283 (Q*).
"""

import math
from bisect import insort
from collections.abc import Sequence
from typing import Any

from menon.core.errors import ConfigError

Frontier = dict[str, Any]

RULES = ("probability", "utility")
UTILITIES = ("min", "last", "sum", "mean")


def frontier_new(
    question: str, *, rule: str = "probability", utility: str = "min", weight: float = 1.0, max_nodes: int = 200
) -> Frontier:
    """Return a frontier whose one open path is the empty one.

    Args:
        utility: how the rewards of a path are put together under rule "utility".
        weight: w, the weight of the value estimate; 0 looks back only, above 1 is greedier and no longer sure.
        max_nodes: the most nodes kept; what would be more is not added, and counted under "dropped".
    """
    if rule not in RULES or utility not in UTILITIES:
        raise ConfigError(f"rule {rule!r}, utility {utility!r}; allowed: {', '.join(RULES)} and {', '.join(UTILITIES)}")
    if not (weight >= 0 and math.isfinite(weight)):
        raise ConfigError(f"weight is {weight!r}; allowed: a finite number of 0 or more")
    if max_nodes < 1:
        raise ConfigError(f"max_nodes is {max_nodes!r}; allowed: 1 or more")
    root = _node(parent=None, step="", gain=0.0, value=1.0, ended=False)
    return {
        "question": question,
        "rule": rule,
        "utility": utility,
        "weight": weight,
        "max_nodes": max_nodes,
        "dropped": 0,
        "nodes": [root],
        "open": [[0.0, 0]],
    }


def frontier_pop(frontier: Frontier) -> tuple[Frontier, int | None]:
    """Take the best open node out; None when nothing is open. Ties go to the node added first."""
    if not frontier["open"]:
        return frontier, None
    return {**frontier, "open": frontier["open"][1:]}, frontier["open"][0][1]


def frontier_push(
    frontier: Frontier,
    parent: int,
    steps: Sequence[str],
    values: Sequence[float],
    *,
    gains: Sequence[float] | None = None,
    ended: Sequence[bool] | None = None,
) -> Frontier:
    """Open one node per step behind `parent`, which is then no longer open, and back their values up.

    Args:
        values: for each step the estimated probability that the rest succeeds, in [0, 1]; an ended step has no rest,
            so its value is how likely its answer is right.
        gains: under rule "probability" the log-probability of each step (0 or less; without them 0), under "utility"
            its reward (without them the value).
        ended: which steps complete an answer.
    A step of value 0 is impossible; under rule "probability" it is dropped.
    Raises:
        ConfigError: no such parent, one that has ended, lists of unequal length, or numbers out of range.
    """
    if _existing(frontier, parent)["ended"]:
        raise ConfigError(f"node {parent!r} has ended; nothing follows it")
    logs = frontier["rule"] == "probability"
    gains = ([0.0] * len(steps) if logs else list(values)) if gains is None else gains
    ended = [False] * len(steps) if ended is None else ended
    _check(steps, values, gains, ended, logs=logs)
    nodes, dropped = list(frontier["nodes"]), frontier["dropped"]
    queue = [[cost, node] for cost, node in frontier["open"] if node != parent]
    for step, value, gain, end in zip(steps, values, gains, ended, strict=True):
        if (logs and value == 0) or len(nodes) >= frontier["max_nodes"]:
            dropped += 1
            continue
        nodes.append(_node(parent=parent, step=step, gain=gain, value=value, ended=end))
        cost = _cost(frontier, nodes, len(nodes) - 1)
        nodes[-1]["f"] = cost
        insort(queue, [cost, len(nodes) - 1])
    return _backed_up({**frontier, "nodes": nodes, "open": queue, "dropped": dropped}, parent)


def frontier_path(frontier: Frontier, node: int) -> list[str]:
    """Return the steps that lead to `node`."""
    return [frontier["nodes"][at]["step"] for at in _line(frontier["nodes"], node, frontier)][1:]


def frontier_best(frontier: Frontier) -> int:
    """Return the ended node of least cost, or, where none has ended, the node of least cost; for when a budget ends."""
    nodes = frontier["nodes"]
    ended = [at for at, node in enumerate(nodes) if node["ended"]]
    others = range(1, len(nodes)) if len(nodes) > 1 else range(1)
    return min(ended or others, key=lambda at: (nodes[at]["f"], at))


def frontier_next_step(frontier: Frontier, node: int = 0) -> int | None:
    """Return the child of `node` with the best backed-up value; None where it has none."""
    nodes = frontier["nodes"]
    children = [at for at, child in enumerate(nodes) if child["parent"] == node]
    return max(children, key=lambda at: (nodes[at]["backed"], -at), default=None)


def _cost(frontier: Frontier, nodes: list[dict[str, Any]], at: int) -> float:
    line = _line(nodes, at, frontier)[1:]
    gains = [nodes[place]["gain"] for place in line]
    value = nodes[at]["value"]
    if frontier["rule"] == "probability":
        return -math.fsum(gains) - frontier["weight"] * math.log(value)
    utility = {
        "min": min(gains),
        "last": gains[-1],
        "sum": math.fsum(gains),
        "mean": math.fsum(gains) / len(gains),
    }[frontier["utility"]]
    return -(utility + frontier["weight"] * value)


def _backed_up(frontier: Frontier, node: int) -> Frontier:
    """Give `node` and the nodes above it the best of their children's values."""
    nodes = frontier["nodes"]
    children: dict[int, list[int]] = {}
    for at, child in enumerate(nodes[1:], start=1):
        children.setdefault(child["parent"], []).append(at)
    at: int | None = node
    while at is not None:
        if at in children:
            nodes[at] = {**nodes[at], "backed": max(nodes[child]["backed"] for child in children[at])}
        at = nodes[at]["parent"]
    return frontier


def _check(
    steps: Sequence[str], values: Sequence[float], gains: Sequence[float], ended: Sequence[bool], *, logs: bool
) -> None:
    if not len(steps) == len(values) == len(gains) == len(ended):
        counts = f"{len(steps)} steps with {len(values)} values, {len(gains)} gains and {len(ended)} ended"
        raise ConfigError(f"{counts}; give one of each per step")
    for value in values:
        if not 0 <= value <= 1:
            raise ConfigError(f"value {value!r}; allowed: a probability, 0 to 1")
    for gain in gains:
        if not math.isfinite(gain) or (logs and gain > 0):
            raise ConfigError(
                f"gain {gain!r}; allowed: {'a log-probability, 0 or less' if logs else 'a finite reward'}"
            )


def _line(nodes: list[dict[str, Any]], node: int, frontier: Frontier) -> list[int]:
    """Return the nodes from the root to `node`."""
    if not 0 <= node < len(nodes):
        raise ConfigError(f"node {node!r}; allowed: 0 to {len(frontier['nodes']) - 1}")
    line: list[int] = []
    at: int | None = node
    while at is not None:
        line.append(at)
        at = nodes[at]["parent"]
    return line[::-1]


def _node(*, parent: int | None, step: str, gain: float, value: float, ended: bool) -> dict[str, Any]:
    return {
        "parent": parent,
        "step": step,
        "gain": gain,
        "value": value,
        "backed": value,
        "ended": ended,
        "f": 0.0,
    }


def _existing(frontier: Frontier, node: int) -> dict[str, Any]:
    if isinstance(node, bool) or not isinstance(node, int) or not 0 <= node < len(frontier["nodes"]):
        raise ConfigError(f"node {node!r}; allowed: 0 to {len(frontier['nodes']) - 1}")
    return frontier["nodes"][node]
