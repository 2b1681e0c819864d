"""Which layer each box of a flowchart stands in, who stands left of whom there, and how far apart.

Left out: an optimal order (it is NP-hard even for two layers); the best of a few sweeps is kept.
Source: Sugiyama, Tagawa and Toda 1981, IEEE Transactions on Systems, Man, and Cybernetics 11(2); the placing is
least squares under an order, by pooling neighbours that would collide.
"""

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise

_SWEEPS = 12
_SETTLING = 32
_MANY = 1500  # places; beyond it rows settle with fewer sweeps
_MOST_MOVES = 40


def closing_edges(count: int, edges: Sequence[tuple[int, int]]) -> frozenset[int]:
    """Return the indices of the edges that close a loop (to themselves too); without them the graph has no cycle.

    The search starts at the boxes that nothing leads to, then at those left over, in the order given.
    """
    leaving: list[list[int]] = [[] for _ in range(count)]
    entered = [False] * count
    for i, (source, target) in enumerate(edges):
        leaving[source].append(i)
        entered[target] |= source != target
    fresh, open_, done = 0, 1, 2
    state, found = [fresh] * count, set()
    for root in sorted(range(count), key=lambda node: entered[node]):
        if state[root] != fresh:
            continue
        state[root] = open_
        path = [(root, iter(leaving[root]))]
        while path:
            node, rest = path[-1]
            for i in rest:
                target = edges[i][1]
                if state[target] == open_:
                    found.add(i)
                elif state[target] == fresh:
                    state[target] = open_
                    path.append((target, iter(leaving[target])))
                    break
            else:
                state[node] = done
                path.pop()
    return frozenset(found)


def layers_of(count: int, edges: Sequence[tuple[int, int]], back: frozenset[int]) -> list[int]:
    """Return each box's layer: the length of the longest path to it over the edges that are not `back`."""
    waiting, following = [0] * count, [[] for _ in range(count)]
    for i, (source, target) in enumerate(edges):
        if i not in back:
            waiting[target] += 1
            following[source].append(target)
    layer, ready = [0] * count, [node for node in range(count) if not waiting[node]]
    for node in ready:
        for target in following[node]:
            layer[target] = max(layer[target], layer[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return layer


def ordered_layers(
    layer: Sequence[int], edges: Sequence[tuple[int, int]], *, outer: Sequence[int] = ()
) -> list[list[int]]:
    """Return the places of each layer from left to right, with few crossings of `edges` (each one layer long).

    The places in `outer` stand at an end of their row where that costs no crossing.
    """
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    above, below = neighbours(len(layer), edges)
    for place in _by_descent(layer, below):
        rows[layer[place]].append(place)
    best, fewest = [list(row) for row in rows], crossings(rows, below)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        order = range(1, len(rows)) if down else range(len(rows) - 2, -1, -1)
        for k in order:
            at = {place: i for i, place in enumerate(rows[k - 1 if down else k + 1])}
            rows[k] = _by_barycentre(rows[k], above if down else below, at)
        count = crossings(rows, below)
        if count < fewest:
            best, fewest = [list(row) for row in rows], count
    for place in outer[:_MOST_MOVES]:
        best = _moved_out(best, place, layer[place], (above, below))
    return best


def _moved_out(
    rows: list[list[int]], place: int, k: int, beside: tuple[list[list[int]], list[list[int]]]
) -> list[list[int]]:
    """Return rows in which `place` ends its row, the rows around following it, or `rows` where that adds crossings."""
    if place in (rows[k][0], rows[k][-1]):
        return rows
    above, below = beside
    fewest = crossings(rows, below)
    for end in (len(rows[k]), 0):
        tried = [list(row) for row in rows]
        tried[k].remove(place)
        tried[k].insert(end, place)
        for near in range(k - 1, -1, -1):
            tried[near] = _by_barycentre(tried[near], below, {p: i for i, p in enumerate(tried[near + 1])})
        for near in range(k + 1, len(rows)):
            tried[near] = _by_barycentre(tried[near], above, {p: i for i, p in enumerate(tried[near - 1])})
        if crossings(tried, below) <= fewest:
            return tried
    return rows


def neighbours(count: int, edges: Sequence[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Return the places above and below each place."""
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        above[b].append(a)
        below[a].append(b)
    return above, below


def _by_descent(layer: Sequence[int], below: Sequence[Sequence[int]]) -> list[int]:
    """List the places depth first, so that branches start side by side in the order in which they are written."""
    seen, found = [False] * len(layer), []
    for root in sorted(range(len(layer)), key=lambda place: layer[place]):
        stack = [root]
        while stack:
            place = stack.pop()
            if not seen[place]:
                seen[place] = True
                found.append(place)
                stack += reversed(below[place])
    return found


def _by_barycentre(row: Sequence[int], beside: Sequence[Sequence[int]], at: dict[int, int]) -> list[int]:
    """Sort a row by the mean position of the neighbours; a place without any keeps its share of the row."""
    key = {
        place: sum(at[n] for n in beside[place]) / len(beside[place])
        if beside[place]
        else i * max(1, len(at) - 1) / max(1, len(row) - 1)
        for i, place in enumerate(row)
    }
    return sorted(row, key=key.__getitem__)


def crossings(rows: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> int:
    """Count the pairs of edges that cross between neighbouring rows."""
    total = 0
    for upper, lower in pairwise(rows):
        at = {place: i for i, place in enumerate(lower)}
        ends: list[int] = []
        for place in upper:
            targets = sorted(at[n] for n in below[place])
            total += sum(len(ends) - bisect_right(ends, target) for target in targets)
            for target in targets:
                insort(ends, target)
    return total


def spread_across(
    rows: Sequence[Sequence[int]],
    edges: Sequence[tuple[int, int]],
    weights: Sequence[float],
    widths: Sequence[float],
    between: float,
) -> list[float]:
    """Return the abscissa of every place: near its neighbours, in the order of its row, at least `between` apart."""
    x = [0.0] * len(widths)
    for row in rows:
        for left, right in pairwise(row):
            x[right] = x[left] + (widths[left] + widths[right]) / 2 + between
    up: list[list[tuple[int, float]]] = [[] for _ in widths]
    down: list[list[tuple[int, float]]] = [[] for _ in widths]
    for (a, b), weight in zip(edges, weights, strict=True):
        up[b].append((a, weight))
        down[a].append((b, weight))
    both = [a + b for a, b in zip(up, down, strict=True)]
    sweeps = _SETTLING if len(widths) < _MANY else _SWEEPS
    for sweep in range(sweeps):
        last = sweep >= sweeps // 2
        for row in rows:
            _settle(row, x, both if last else up, widths, between)
        for row in reversed(rows):
            _settle(row, x, both if last else down, widths, between)
    return x


def _settle(
    row: Sequence[int],
    x: list[float],
    beside: Sequence[Sequence[tuple[int, float]]],
    widths: Sequence[float],
    between: float,
) -> None:
    """Move one row to the least squares places under its order (pool adjacent violators)."""
    offset, blocks = 0.0, []  # a block: sum of weights, weighted sum of wishes, how many places
    offsets = []
    for i, place in enumerate(row):
        if i:
            offset += (widths[row[i - 1]] + widths[place]) / 2 + between
        offsets.append(offset)
        weight = sum(w for _, w in beside[place])
        wish = sum(x[n] * w for n, w in beside[place]) / weight if weight else x[place]
        blocks.append((weight or 0.01, (weight or 0.01) * (wish - offset), 1))
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][0] >= blocks[-1][1] * blocks[-2][0]:
            last, previous = blocks.pop(), blocks.pop()
            blocks.append((previous[0] + last[0], previous[1] + last[1], previous[2] + last[2]))
    i = 0
    for weight, total, count in blocks:
        for _ in range(count):
            x[row[i]] = total / weight + offsets[i]
            i += 1
