"""Places for the boxes and lines of a flowchart: layers from top to bottom, loops led back along the side.

The layered drawing: a depth-first search finds the edges that close a loop, longest paths give each box its layer,
sweeps by barycentre order the layers, and repeated weighted least squares set the boxes under their neighbours. A
line that passes a layer, and a label that stands on a line, takes a place of its own there, so that no line runs
through a box and no two labels lie on each other. Left out: crossing counts that are provably minimal, and routing
around boxes beyond `MOST_BOXES`, where boxes are set in columns with straight lines.
Source: Sugiyama, Tagawa and Toda 1981, IEEE Transactions on Systems, Man, and Cybernetics 11(2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from menon.reports.chart_order import closing_edges, layers_of, ordered_layers, spread_across

MOST_BOXES = 400
MOST_PLACES = 6000  # boxes and bends together; beyond it the layered drawing takes seconds and shows nothing
_BETWEEN = 26.0  # pixels between neighbours in a layer
_GAP, _WIDEST_GAP = 22.0, 64.0  # between layers
_LANE = 20.0  # beside the boxes, for a line that goes back
_MARGIN = 20.0
_PORT = 16.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The size of one node and its convex outline around (0, 0)."""

    width: float
    height: float
    outline: Sequence[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One edge between boxes given by their index; the label's size is 0 where it has none."""

    source: int
    target: int
    label_width: float = 0.0
    label_height: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How an edge runs, from point to point; `label` is the centre of its label, `back` tells that it closes a loop.

    With `curved` every second piece, from the second on, is a curve that leaves and arrives along the flow: sideways
    where `across`, else up or down. All other pieces are straight.
    """

    points: Sequence[Point]
    label: Point
    back: bool = False
    curved: bool = False
    across: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Centres of the boxes and routes of the edges, in the order given; `simple` when routing was left out."""

    width: float
    height: float
    centres: Sequence[Point]
    routes: Sequence[Route]
    simple: bool = False


@dataclass(slots=True)
class _Place:
    """Something that takes room in a layer: a box, or a bend of a line (with its label)."""

    width: float
    height: float
    x: float = 0.0


def lay_out(boxes: Sequence[Box], links: Sequence[Link], direction: str = "TD") -> Layout:
    """Place `boxes` and route `links`; `direction` is TD, TB, BT, LR or RL (anything else counts as TD)."""
    across = direction in ("LR", "RL")
    if across:
        boxes = [Box(width=b.height, height=b.width, outline=[(y, x) for x, y in b.outline]) for b in boxes]
        links = [
            Link(source=k.source, target=k.target, label_width=k.label_height, label_height=k.label_width)
            for k in links
        ]
    layout = _downward(boxes, links)
    return _turned(layout, swapped=across, flipped=direction in ("BT", "RL"))


def _turned(layout: Layout, *, swapped: bool, flipped: bool) -> Layout:
    def at(point: Point) -> Point:
        x, y = point[0], layout.height - point[1] if flipped else point[1]
        return (y, x) if swapped else (x, y)

    size = (layout.height, layout.width) if swapped else (layout.width, layout.height)
    routes = [replace(r, points=[at(p) for p in r.points], label=at(r.label), across=swapped) for r in layout.routes]
    return Layout(
        width=size[0], height=size[1], centres=[at(c) for c in layout.centres], routes=routes, simple=layout.simple
    )


def _downward(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    edges = [(link.source, link.target) for link in links]
    back = closing_edges(len(boxes), edges)
    layers = layers_of(len(boxes), edges, back)
    bends = sum(max(0, 2 * (layers[k.target] - layers[k.source]) - 1) for i, k in enumerate(links) if i not in back)
    if len(boxes) > MOST_BOXES or len(boxes) + bends > MOST_PLACES:
        return _columns(boxes, links, layers, back)
    return _Layered(boxes, links, layers, back).layout()


def _columns(boxes: Sequence[Box], links: Sequence[Link], layers: Sequence[int], back: frozenset[int]) -> Layout:
    """Set the boxes layer by layer on a grid of about equal sides, column after column, with straight lines."""
    if not boxes:
        return Layout(width=2 * _MARGIN, height=2 * _MARGIN, centres=[], routes=[], simple=True)
    wide, high = max(b.width for b in boxes) + 2 * _BETWEEN, max(b.height for b in boxes) + _BETWEEN
    rows = max(1, round((len(boxes) * wide / high) ** 0.5))
    centres: list[Point] = [(0.0, 0.0)] * len(boxes)
    for place, node in enumerate(sorted(range(len(boxes)), key=lambda node: (layers[node], node))):
        column, row = divmod(place, rows)
        centres[node] = (_MARGIN + (column + 0.5) * wide, _MARGIN + (row + 0.5) * high)
    routes = []
    for i, link in enumerate(links):
        ends = [centres[link.source], centres[link.target]]
        middle = ((ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2)
        routes.append(Route(points=_cut(ends, boxes[link.source], boxes[link.target]), label=middle, back=i in back))
    columns = -(-len(boxes) // rows)
    return Layout(
        width=columns * wide + 2 * _MARGIN,
        height=min(rows, len(boxes)) * high + 2 * _MARGIN,
        centres=centres,
        routes=routes,
        simple=True,
    )


def _cut(ends: Sequence[Point], source: Box, target: Box) -> list[Point]:
    """Shorten a line between two centres to the rectangles around the boxes."""
    (x, y), (u, v) = ends
    if (x, y) == (u, v):
        return [(x + source.width / 2, y), (x + source.width / 2 + 10, y), (x + source.width / 2, y + 4)]
    dx, dy = u - x, v - y

    def inside(box: Box) -> float:
        return min(box.width / 2 / abs(dx) if dx else 2.0, box.height / 2 / abs(dy) if dy else 2.0, 0.5)

    first, last = inside(source), 1 - inside(target)
    return [(x + first * dx, y + first * dy), (x + last * dx, y + last * dy)]


def reach(outline: Sequence[Point], offset: float, side: int, *, down: bool = False) -> float:
    """Return how far a convex outline reaches to its `side` (1 or -1) on the line at `offset` from its centre.

    To the right (1) and left at the height `offset`; with `down`, to the bottom (1) and top at the abscissa `offset`.
    """
    points = [(y, x) for x, y in outline] if down else outline
    found = []
    for (x, y), (u, v) in pairwise([*points, points[0]]):
        if min(y, v) - 1e-9 <= offset <= max(y, v) + 1e-9:
            found += [x, u] if y == v else [x + (u - x) * (offset - y) / (v - y)]
    return max((side * x for x in found), default=0.0)


class _Layered:
    """The layered drawing in the making; boxes stand in the even layers, labels and bends in between too."""

    def __init__(self, boxes: Sequence[Box], links: Sequence[Link], layers: Sequence[int], back: frozenset[int]):
        self.boxes, self.links, self.back = boxes, links, back
        self.places = [_Place(b.width, b.height) for b in boxes]
        self.layer = [2 * layer for layer in layers]
        self.chains: dict[int, list[int]] = {}
        edges: list[tuple[int, int]] = []
        for i, link in enumerate(links):
            if i not in back:
                self.chains[i] = self._chain(link)
                edges += pairwise(self.chains[i])
        weights = [(1.0, 2.0, 8.0)[(a >= len(boxes)) + (b >= len(boxes))] for a, b in edges]
        loops = [end for i in sorted(back) for end in (links[i].source, links[i].target)]
        self.rows = ordered_layers(self.layer, edges, outer=list(dict.fromkeys(loops)))
        spread = spread_across(self.rows, edges, weights, [p.width for p in self.places], _BETWEEN)
        for place, x in zip(self.places, spread, strict=True):
            place.x = x
        self._set_heights()

    def _chain(self, link: Link) -> list[int]:
        """Add a bend in every layer that the link passes, the label on the first; return the places it goes through."""
        chain = [link.source]
        for layer in range(self.layer[link.source] + 1, self.layer[link.target]):
            chain.append(len(self.places))
            first = len(chain) == 2
            wide, high = (link.label_width, link.label_height) if first else (0.0, 0.0)
            self.places.append(_Place(max(wide, 4.0), high))
            self.layer.append(layer)
        return [*chain, link.target]

    def _set_heights(self) -> None:
        """Give every layer its top and bottom; the gap grows with the longest way across it."""
        self.top, self.bottom = [], []
        steps = [0.0] * (len(self.rows) + 1)
        for chain in self.chains.values():
            for a, b in pairwise(chain):
                steps[self.layer[b]] = max(steps[self.layer[b]], abs(self.places[a].x - self.places[b].x))
        y = 0.0
        for k, row in enumerate(self.rows):
            high = max((self.places[p].height for p in row), default=0.0)
            lines = any(p >= len(self.boxes) for p in row) or not k % 2
            gap = min(_WIDEST_GAP, _GAP / (1 if high and k else 2) + steps[k] / 7) if k and lines else 0.0
            self.top.append(y + gap)
            self.bottom.append(y + gap + high)
            y += gap + high

    def layout(self) -> Layout:
        forward = {i: self._forward(i, chain) for i, chain in self.chains.items()}
        returning = self._loops()
        routes = [forward[i] if i in forward else returning[i] for i in range(len(self.links))]
        return self._framed(routes)

    def _middle(self, node: int) -> Point:
        layer = self.layer[node]
        return self.places[node].x, (self.top[layer] + self.bottom[layer]) / 2

    def _forward(self, i: int, chain: Sequence[int]) -> Route:
        x, start = self._port(i, self.links[i].source, 1)
        points = [(x, start), (x, self.bottom[self.layer[chain[0]]])]
        for place in chain[1:-1]:
            layer = self.layer[place]
            if self.top[layer] == self.bottom[layer] and layer % 2:  # nothing to pass there: one curve instead of two
                continue
            points += [(self.places[place].x, self.top[layer]), (self.places[place].x, self.bottom[layer])]
        x, end = self._port(i, self.links[i].target, -1)
        points += [(x, self.top[self.layer[chain[-1]]]), (x, end)]
        return Route(points=points, label=self._middle(chain[1]), curved=True)

    def _port(self, i: int, node: int, side: int) -> Point:
        """Return where the link leaves the bottom (1) of a box or meets its top (-1): side by side on a flat one."""
        box, (x, y) = self.boxes[node], self._middle(node)
        mine = [k for k, c in self.chains.items() if (c[0] if side == 1 else c[-1]) == node]
        mine.sort(key=lambda k: self.places[self.chains[k][1 if side == 1 else -2]].x)
        room = 2 * min(reach(box.outline, side * (box.height / 2 - 0.5), s) for s in (1, -1)) - 16
        step = min(_PORT, max(0.0, room / len(mine)))
        offset = step * (mine.index(i) - (len(mine) - 1) / 2)
        return x + offset, y + side * reach(box.outline, offset, side, down=True)

    def _loops(self) -> dict[int, Route]:
        """Lead every closing link along the side of the drawing, the shortest loops innermost."""
        edge = {
            side: [
                max((side * self.places[p].x + self.places[p].width / 2 for p in row), default=-1e9)
                for row in self.rows
            ]
            for side in (1, -1)
        }
        uses: dict[tuple[int, int], int] = {}
        found = {}
        for i in sorted(self.back, key=lambda i: (self._span(i)[1] - self._span(i)[0], i)):
            link, (low, high) = self.links[i], self._span(i)
            side = max((1, -1), key=lambda s: (self._is_outer(link.source, s) + self._is_outer(link.target, s), s))
            lane = max(edge[side][low : high + 1]) + _LANE + link.label_width / 2
            edge[side][low : high + 1] = [lane + link.label_width / 2] * (high + 1 - low)
            if link.source == link.target:
                uses[link.source, side] = uses.get((link.source, side), -1) + 1  # so that its ends lie apart
            leave, enter = self._side_port(link.source, side, uses, 1), self._side_port(link.target, side, uses, -1)
            lane *= side
            points = [*leave, (lane, leave[-1][1]), (lane, enter[-1][1]), *reversed(enter)]
            label = (lane, (leave[-1][1] + enter[-1][1]) / 2)
            found[i] = Route(points=points, label=label, back=True)
        return found

    def _span(self, i: int) -> tuple[int, int]:
        ends = self.layer[self.links[i].source], self.layer[self.links[i].target]
        return max(0, min(ends) - 1), min(len(self.rows) - 1, max(ends) + 1)

    def _is_outer(self, node: int, side: int) -> bool:
        mine = self.places[node].x * side
        row = [p for p in self.rows[self.layer[node]] if p < len(self.boxes)]
        return all(self.places[p].x * side <= mine for p in row)

    def _side_port(self, node: int, side: int, uses: dict[tuple[int, int], int], end: int) -> list[Point]:
        """Return the first points of a loop: straight from the side of an outer box, else around below or above it."""
        box, (x, y) = self.boxes[node], self._middle(node)
        count = uses[node, side] = uses.get((node, side), -1) + 1
        if self._is_outer(node, side):
            offset = min(box.height / 2 - 6, 9.0 * ((count + 1) // 2)) * (1 if count % 2 else -1)
            return [(x + side * reach(box.outline, offset, side), y + offset)]
        layer, offset = self.layer[node], side * min(box.width / 4, 18.0)
        channel = self.bottom[layer] + 8 if end == 1 else self.top[layer] - 8
        return [(x + offset, y + end * reach(box.outline, offset, end, down=True)), (x + offset, channel)]

    def _framed(self, routes: Sequence[Route]) -> Layout:
        """Move everything so that the drawing starts at the margin, and measure it."""
        xs, ys = [], []
        for node, box in enumerate(self.boxes):
            x, y = self._middle(node)
            xs += [x - box.width / 2, x + box.width / 2]
            ys += [y - box.height / 2, y + box.height / 2]
        for link, route in zip(self.links, routes, strict=True):
            xs += [x for x, _ in route.points] + [route.label[0] + s * link.label_width / 2 for s in (1, -1)]
            ys += [y for _, y in route.points] + [route.label[1] + s * link.label_height / 2 for s in (1, -1)]
        left, top = min(xs, default=0.0) - _MARGIN, min(ys, default=0.0) - _MARGIN

        def at(point: Point) -> Point:
            return point[0] - left, point[1] - top

        return Layout(
            width=max(xs, default=0.0) - left + _MARGIN,
            height=max(ys, default=0.0) - top + _MARGIN,
            centres=[at(self._middle(node)) for node in range(len(self.boxes))],
            routes=[replace(r, points=[at(p) for p in r.points], label=at(r.label)) for r in routes],
        )
