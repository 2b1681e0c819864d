"""Scenes for the drawing task: what is in them, how it lies to each other, and one upright layout of each.

A scene is a tree: every thing but the first lies in one relation to an earlier one. Layouts are drawn at random and
kept when they fit on the grid without unrelated things overlapping.
"""

from dataclasses import dataclass
from random import Random

from menon.grading.drawing import GRID, Shape

NAMES = {
    "circle": ("ball", "coin", "plate", "wheel", "moon", "button", "orange", "clock"),
    "rect": ("box", "door", "book", "table", "brick", "screen", "towel", "tray"),
    "line": ("rope", "stick", "wire", "needle", "string", "pencil"),
}
_ATTEMPTS = 60
_SIDES = ("above", "below", "left of", "right of")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Things with their kinds, in order, and relations (relation, thing[, other thing]) of the upright picture."""

    kinds: tuple[tuple[str, str], ...]
    relations: tuple[tuple[str, ...], ...]


def draw_scene(rng: Random, size: int) -> Scene:
    """Draw a scene of `size` things in which something is above or below something else."""
    while True:
        kinds = [rng.choice(("circle", "circle", "rect", "rect", "line")) for _ in range(size)]
        names = {kind: rng.sample(NAMES[kind], len(NAMES[kind])) for kind in NAMES}
        things = [(names[kind].pop(), kind) for kind in kinds]
        relations = [(rng.choice(("horizontal", "vertical")), name) for name, kind in things if kind == "line"]
        enclosed: set[str] = set()
        for at in range(1, size):
            relations += _place(rng, things, at, enclosed)
        if any(relation[0] in ("above", "below") for relation in relations):
            return Scene(kinds=tuple(things), relations=tuple(relations))


def _place(rng: Random, things: list[tuple[str, str]], at: int, enclosed: set[str]) -> list[tuple[str, ...]]:
    """Draw how thing `at` lies to an earlier one that is not enclosed itself."""
    name = things[at][0]
    other, kind = rng.choice([thing for thing in things[:at] if thing[0] not in enclosed])
    if kind != "line" and rng.random() < 0.25:
        enclosed.add(name)
        return [("inside", name, other)]
    side = (rng.choice(_SIDES), name, other)
    if rng.random() < 0.4 and "line" not in (things[at][1], kind):  # two touching lines may be one
        return [side, ("touches", name, other)]
    return [side]


def lay_out(rng: Random, scene: Scene) -> tuple[Shape, ...] | None:
    """Return whole-numbered shapes that keep the scene; None when random attempts found no room for it."""
    for _ in range(_ATTEMPTS):
        shapes = _attempt(rng, scene)
        if shapes is not None:
            return shapes
    return None


def _attempt(rng: Random, scene: Scene) -> tuple[Shape, ...] | None:
    to_others = [relation for relation in scene.relations if len(relation) == 3]
    within = {name: other for relation, name, other in to_others if relation == "inside"}
    sides = {name: (relation, other) for relation, name, other in to_others if relation != "touches"}
    touching = {name for relation, name, _ in to_others if relation == "touches"}
    lying = {relation[1]: relation[0] for relation in scene.relations if len(relation) == 2}
    placed: dict[str, Shape] = {}
    for name, kind in scene.kinds:
        size = _size(rng, kind, lying.get(name, ""), small=name in within, wide=name in within.values())
        if name in sides:
            relation, other = sides[name]
            centre = _beside(rng, relation, placed[other].box, size, touching=name in touching)
        else:
            centre = rng.randint(20, 80), rng.randint(20, 80)
        shape = _shape(name, kind, centre, size)
        left, bottom, right, top = shape.box
        apart = (o for o in placed.values() if within.get(name) != o.name)
        if min(left, bottom) < 0 or max(right, top) > GRID or any(_overlap(shape, other) for other in apart):
            return None
        placed[name] = shape
    return tuple(placed.values())


def _size(rng: Random, kind: str, lying: str, *, small: bool, wide: bool) -> tuple[int, int]:
    """Draw even width and height; both 0 across for lines."""
    low, high = (2, 3) if small else (14, 18) if wide else (4, 9)
    width, height = 2 * rng.randint(low, high), 2 * rng.randint(low, high)
    if kind == "circle":
        return width, width
    if kind == "line":
        return (width, 0) if lying == "horizontal" else (0, height)
    return width, height


def _beside(
    rng: Random, relation: str, box: tuple[float, ...], size: tuple[int, int], *, touching: bool
) -> tuple[int, int]:
    """Return a centre for a thing of `size` in `relation` to `box`."""
    left, bottom, right, top = map(int, box)
    x, y = (left + right) // 2, (bottom + top) // 2
    if relation == "inside":
        return x + rng.randint(-4, 4), y + rng.randint(-4, 4)
    gap = 0 if touching else rng.randint(3, 12)
    aside = 0 if touching else rng.randint(-8, 8)
    width, height = size
    return {
        "above": (x + aside, top + gap + height // 2),
        "below": (x + aside, bottom - gap - height // 2),
        "right of": (right + gap + width // 2, y + aside),
        "left of": (left - gap - width // 2, y + aside),
    }[relation]


def _shape(name: str, kind: str, centre: tuple[int, int], size: tuple[int, int]) -> Shape:
    (x, y), (width, height) = centre, size
    left, bottom = x - width // 2, y - height // 2
    numbers = {
        "circle": (x, y, width // 2),
        "rect": (left, bottom, width, height),
        "line": (left, bottom, left + width, bottom + height),
    }[kind]
    return Shape(kind=kind, numbers=numbers, name=name)


def _overlap(a: Shape, b: Shape) -> bool:
    (al, ab, ar, at), (bl, bb, br, bt) = a.box, b.box
    return al < br and bl < ar and ab < bt and bb < at
