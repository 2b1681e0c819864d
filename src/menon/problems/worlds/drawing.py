"""Drawing a described scene in a small language of shapes: upright, flipped, and turned by 90 and 180 degrees.

The scene says how its things lie to each other; the drawing is judged by whether they lie so after the flip or turn.
Source: Wu et al. 2023, arXiv:2307.02477, section 3.4 (there: objects in code, judged by people); the language of
shapes, the scenes and the judging by structure are our own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from menon.core.seeds import content_id, rng_for
from menon.core.values import Problem
from menon.grading.drawing import GRID, Shape, written
from menon.problems.splits import draw_in_split
from menon.problems.worlds.drawing_layout import Scene, draw_scene, lay_out
from menon.problems.worlds.drawing_solver import solve_drawing
from menon.problems.worlds.selection import known_difficulty, known_world

Point = tuple[float, float]

ORDERS = {
    "default": "Draw this picture upright, as it is described.",
    "flip": (
        "Draw this picture flipped upside down: as a whole, it is mirrored top to bottom at the horizontal line "
        "through the middle of the grid."
    ),
    "rotate-90": "Draw this picture turned: as a whole, by 90 degrees clockwise about the middle of the grid.",
    "rotate-180": "Draw this picture turned: as a whole, by 180 degrees about the middle of the grid.",
}
GRID_TEXT = "A grid has x from 0 to 100, growing to the right, and y from 0 to 100, growing upwards."
LANGUAGE = (
    f"{GRID_TEXT} Pictures are written in shapes: circle x y r (centre and radius); rect x y w h (lower left corner, "
    "width to the right and height upwards); line x1 y1 x2 y2 (both ends). The name of the thing follows each shape, "
    "as in: circle 20 30 5 pea."
)
MEANING = (
    '"Above", "below", "left of" and "right of" mean that the two things do not overlap in that direction, "inside" '
    'that no part sticks out, and "touches" that there is no gap between them.'
)
_KINDS = {"circle": "circle", "rect": "rect"}
_POINTS: Mapping[str, Callable[[float, float], Point]] = {
    "default": lambda x, y: (x, y),
    "flip": lambda x, y: (x, GRID - y),
    "rotate-90": lambda x, y: (y, GRID - x),
    "rotate-180": lambda x, y: (GRID - x, GRID - y),
}
_TURNED: Mapping[str, Mapping[str, str]] = {
    "default": {},
    "flip": {"above": "below", "below": "above"},
    "rotate-90": {
        "above": "right of",
        "right of": "below",
        "below": "left of",
        "left of": "above",
        "horizontal": "vertical",
        "vertical": "horizontal",
    },
    "rotate-180": {"above": "below", "below": "above", "left of": "right of", "right of": "left of"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Pictures of `difficulty` things."""

    name: str = "drawing"
    description: str = "draw a described scene with shapes; counterfactual: flipped, or turned by 90 or 180 degrees"
    default: str = "upright"
    worlds: tuple[str, ...] = ("flip", "rotate-90", "rotate-180")
    difficulties: tuple[int, ...] = (3, 4, 5)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate item `index`; without `difficulty` it has 3, 4 or 5 things, 2 to 6 are allowed."""
        world = known_world(self.name, world, self.default, self.worlds)
        size = known_difficulty(self.name, difficulty, self.difficulties, range(2, 7), rng_for(self.name, split, index))
        scene, shapes = _drawn(split, index, size)
        relations = [[_TURNED[world].get(relation, relation), *names] for relation, *names in scene.relations]
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            difficulty=size,
            template=f"drawing/{size}",
            question=(
                f"{LANGUAGE}\n{told(scene)} {MEANING}\n{ORDERS[world]} All of it must lie on the grid, and nothing "
                "else may be in it. Answer with one line: the shapes, separated by semicolons."
            ),
            answer=written([moved(shape, world) for shape in shapes]),
            grader="drawing",
            meta={
                "item": content_id("scene", told(scene)),
                "scene": {"shapes": dict(scene.kinds), "relations": relations},
            },
        )

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Ask where a point of the upright picture comes to lie."""
        world = known_world(self.name, world, self.default, self.worlds)
        x, y = rng_for(self.name, "control", split, index).sample([n for n in range(5, GRID, 5) if n != GRID // 2], 2)
        y = y if x + y != GRID else y + 1  # no two worlds may share an answer
        return Problem(
            family=self.name,
            world=world,
            split=split,
            index=index,
            template="drawing/control",
            question=(
                f"{GRID_TEXT} There is a picture on it. {ORDERS[world]}\nWhere does the point ({x}, {y}) of the "
                "picture as it was described come to lie? Answer with its new x and its new y, separated by a blank."
            ),
            answer=" ".join(f"{n:g}" for n in _POINTS[world](x, y)),
            grader="tokens",
            meta={"item": f"({x}, {y})", "control": True},
        )

    def solve(self, problem: Problem) -> str:
        """Lay the scene of the question out anew and turn the finished drawing: another drawing, equally right."""
        return solve_drawing(problem.question)


@lru_cache(maxsize=4096)
def _drawn(split: str, index: int, size: int) -> tuple[Scene, tuple[Shape, ...]]:
    def draw(rng: Random) -> tuple[Scene, tuple[Shape, ...]]:
        while (shapes := lay_out(rng, scene := draw_scene(rng, size))) is None:
            pass
        return scene, shapes

    return draw_in_split(split, draw, lambda drawn: ("drawing", told(drawn[0])), "drawing", index, size)


def told(scene: Scene) -> str:
    """Describe the upright scene in words."""
    lines = {relation[1]: relation[0] for relation in scene.relations if len(relation) == 2}
    things = [f"a {name} ({_KINDS.get(kind) or f'{lines[name]} line'})" for name, kind in scene.kinds]
    sentences = []
    for relation, *names in scene.relations:
        if len(names) == 1:
            continue
        if relation == "touches":
            sentences[-1] += " and touches it"
        else:
            sentences.append(f"The {names[0]} is {relation} the {names[1]}")
    return f"The upright picture shows {', '.join(things[:-1])} and {things[-1]}. {'. '.join(sentences)}."


def moved(shape: Shape, world: str) -> Shape:
    """Return a shape of the upright picture as it lies in the world's picture."""
    point = _POINTS[world]
    if shape.kind == "circle":
        return Shape(kind="circle", numbers=(*point(*shape.numbers[:2]), shape.numbers[2]), name=shape.name)
    if shape.kind == "line":
        ends = (*point(*shape.numbers[:2]), *point(*shape.numbers[2:]))
        return Shape(kind="line", numbers=ends, name=shape.name)
    left, bottom, right, top = shape.box
    (x1, y1), (x2, y2) = point(left, bottom), point(right, top)
    corner = (min(x1, x2), min(y1, y2), abs(x1 - x2), abs(y1 - y2))
    return Shape(kind="rect", numbers=corner, name=shape.name)


DRAWING = Drawing()
