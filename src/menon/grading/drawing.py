"""Grader "drawing": a picture of named circles, rectangles and lines, judged by how its shapes lie to each other.

A shape is `circle x y r name`, `rect x y w h name` (x, y is the lower left corner) or `line x1 y1 x2 y2 name` on a grid
from 0 to 100 whose y grows upwards; argument names, commas and SVG tags with these shapes are understood (on the
question's grid: y still grows upwards). What stands after the last `####` decides; else the last box or "answer is",
else the last code fence, else the last lines with shapes. A shape without a known name is taken for the next missing
thing of its kind.
`meta["scene"]` of a problem holds `shapes` (thing -> kind) and `relations` such as ["above", "ball", "box"].
Credit is the share of parts that hold: every thing is there once, every relation, all on the grid, nothing more.
Left out: slanted lines are judged by the box around them; colours, filling and order.

Source: the drawing task of Wu et al. 2023, arXiv:2307.02477, which people judged; judging by structure is ours.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from menon.core.errors import DataError
from menon.core.values import Problem
from menon.grading.extract import answer_text, readable
from menon.grading.protocol import Parsed

GRID = 100
SLACK = 1.0  # units of the grid by which touching shapes may miss each other, and a level line may lean
MOST_SHAPES = 60
MOST_LINES = 120
LONGEST_TAG = 300

_KIND = re.compile(r"(?<![A-Za-z])(circle|rect|line)(?:angle)?(?![A-Za-z])", re.IGNORECASE)
_NUMBER = r"[-+]?[0-9]{1,6}(?:\.[0-9]{0,6})?"
_ARGUMENT = rf"(?:[A-Za-z]{{1,6}}[12]?\s{{0,2}}[=:]\s{{0,2}})?({_NUMBER})(?![0-9])"
_BETWEEN = r"[\s,()]{1,4}"
_ARGUMENTS = {
    kind: re.compile(rf"[\s:=(,]{{1,4}}{_BETWEEN.join([_ARGUMENT] * count)}")
    for kind, count in (("circle", 3), ("rect", 4), ("line", 4))
}
_ATTRIBUTES = {"circle": ("cx", "cy", "r"), "rect": ("x", "y", "width", "height"), "line": ("x1", "y1", "x2", "y2")}
_ATTRIBUTE = re.compile(rf"([A-Za-z][A-Za-z0-9-]{{0,30}})\s?=\s?[\"']?(?:({_NUMBER})|([A-Za-z]{{1,30}}))")
_NAME_AFTER = re.compile(r"[^\S\n]{0,3}[)\],]?[^\S\n]{0,3}[\"'#(\[]{0,3}[^\S\n]?([A-Za-z]{1,30})")
_NAME_BEFORE = re.compile(r"([A-Za-z]{1,30})[\"'*`]{0,3}\s?[:=]\s?[\"'*`]{0,3}$")
_HASH = re.compile(r"#(?=\s{0,3}<?(?:circle|rect|line)\b)", re.IGNORECASE)
_FILLER = re.compile(r"[\s`]*(?:</?(?:svg|g|title)\b[^<>]{0,300}>)?[\s`]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One shape of a drawing with its numbers as written; `name` is empty where none was given."""

    kind: str
    numbers: tuple[float, ...]
    name: str = ""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top."""
        a, b, c, *d = self.numbers
        if self.kind == "circle":
            return a - c, b - c, a + c, b + c
        if self.kind == "rect":
            return a, b, a + c, b + d[0]
        return min(a, c), min(b, d[0]), max(a, c), max(b, d[0])

    @property
    def drawn(self) -> bool:
        """Whether it has a size: a positive radius, two positive sides, two different ends."""
        if self.kind == "line":
            return self.numbers[:2] != self.numbers[2:]
        return min(self.numbers[2:]) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingGrader:
    """Judge the structure of a drawing."""

    name: str = "drawing"

    def parse(self, problem: Problem, text: str) -> Parsed:
        text = readable(text)
        segment, start, note = _drawing_in(text)
        shapes = shapes_in(segment, tuple(_scene(problem)[0]))
        if not shapes:
            return Parsed(answer=None, rationale=text.strip(), note=f"{note}: no shape")
        return Parsed(answer=written(shapes), rationale=text[:start].rstrip("# \n").lstrip(), note=note)

    def accepts(self, problem: Problem, answer: str) -> bool:
        return all(parts_of(problem, answer).values())

    def credit(self, problem: Problem, answer: str) -> float:
        parts = parts_of(problem, answer)
        return sum(parts.values()) / len(parts)


def parts_of(problem: Problem, answer: str) -> dict[str, bool]:
    """Return for every part of the scene whether the drawing `answer` has it."""
    kinds, relations = _scene(problem)
    shapes = shapes_in(answer, tuple(kinds))
    things = _named(shapes, kinds)
    parts = {f"{kind} {name}": name in things for name, kind in kinds.items()}
    for relation, *names in relations:
        present = [things[name] for name in names if name in things]
        parts[" ".join([relation, *names])] = len(present) == len(names) and RELATIONS[relation](*present)
    parts["on the grid"] = all(low >= 0 and high <= GRID for shape in shapes for low, high in _spans(shape))
    parts["nothing more"] = len(shapes) <= len(kinds)
    return parts


def shapes_in(text: str, names: tuple[str, ...] = ()) -> list[Shape]:
    """Return the shapes written in `text`, at most `MOST_SHAPES`; only `names` count as names of things."""
    shapes: list[Shape] = []
    for match in _KIND.finditer(text):
        kind = match.group(1).lower()
        tag = text[max(match.start() - 1, 0)] == "<"
        found = _from_tag(text, match.end(), kind, names) if tag else _from_words(text, match, kind, names)
        if found is not None and found.drawn:
            shapes.append(found)
        if len(shapes) == MOST_SHAPES:
            break
    return shapes


def written(shapes: list[Shape]) -> str:
    """Write shapes as a problem's answer: one line, separated by semicolons."""
    return "; ".join(" ".join([s.kind, *(f"{n:.10g}" for n in s.numbers), s.name]).rstrip() for s in shapes)


def above(a: Shape, b: Shape) -> bool:
    """Tell whether no point of `a` is lower than any of `b` (and they are not one flat line)."""
    return a.box[1] >= b.box[3] and a.box[1] + a.box[3] > b.box[1] + b.box[3]


def right_of(a: Shape, b: Shape) -> bool:
    """Tell whether no point of `a` is further left than any of `b`."""
    return a.box[0] >= b.box[2] and a.box[0] + a.box[2] > b.box[0] + b.box[2]


def inside(a: Shape, b: Shape) -> bool:
    """Tell whether all of `a` lies in the circle or rectangle `b`."""
    left, bottom, right, top = a.box
    if b.kind == "rect":
        return b.box[0] <= left and b.box[1] <= bottom and right <= b.box[2] and top <= b.box[3]
    if b.kind != "circle":
        return False
    x, y, radius = b.numbers
    if a.kind == "circle":
        return math.hypot(a.numbers[0] - x, a.numbers[1] - y) + a.numbers[2] <= radius
    return math.hypot(max(abs(left - x), abs(right - x)), max(abs(bottom - y), abs(top - y))) <= radius


def touches(a: Shape, b: Shape) -> bool:
    """Tell whether the gap between two shapes is at most `SLACK`."""
    rounds = [shape for shape in (a, b) if shape.kind == "circle"]
    (al, ab, ar, at), (bl, bb, br, bt) = (_core(shape) for shape in (a, b))
    gap = math.hypot(max(al - br, bl - ar, 0), max(ab - bt, bb - at, 0))
    return gap - sum(circle.numbers[2] for circle in rounds) <= SLACK


def horizontal(a: Shape) -> bool:
    """Tell whether a line is level."""
    left, bottom, right, top = a.box
    return top - bottom <= SLACK < right - left


def vertical(a: Shape) -> bool:
    """Tell whether a line is upright."""
    left, bottom, right, top = a.box
    return right - left <= SLACK < top - bottom


RELATIONS: Mapping[str, Callable[..., bool]] = {
    "above": above,
    "below": lambda a, b: above(b, a),
    "right of": right_of,
    "left of": lambda a, b: right_of(b, a),
    "inside": inside,
    "touches": touches,
    "horizontal": horizontal,
    "vertical": vertical,
}


def _core(shape: Shape) -> tuple[float, float, float, float]:
    """Return the shape's box, or the centre of a circle: what remains when its radius is taken off all round."""
    if shape.kind != "circle":
        return shape.box
    x, y, _ = shape.numbers
    return x, y, x, y


def _spans(shape: Shape) -> tuple[tuple[float, float], tuple[float, float]]:
    left, bottom, right, top = shape.box
    return (left, right), (bottom, top)


def _scene(problem: Problem) -> tuple[dict[str, str], list[list[str]]]:
    scene = problem.meta.get("scene")
    if not isinstance(scene, dict) or not scene.get("shapes"):
        raise DataError(f"problem {problem.id} has no meta['scene'] with shapes and relations to judge a drawing by")
    unknown = {relation for relation, *_ in scene["relations"]} - set(RELATIONS)
    if unknown:
        raise DataError(
            f"problem {problem.id} has relations {sorted(unknown)!r}; allowed: {', '.join(RELATIONS)}; mend its scene"
        )
    return scene["shapes"], scene["relations"]


def _named(shapes: list[Shape], kinds: Mapping[str, str]) -> dict[str, Shape]:
    """Give every shape to the thing of its name, then nameless ones to missing things of their kind, in order."""
    things: dict[str, Shape] = {}
    for shape in shapes:
        if kinds.get(shape.name) == shape.kind:
            things.setdefault(shape.name, shape)
    for shape in shapes:
        if not shape.name:
            missing = next((name for name, kind in kinds.items() if kind == shape.kind and name not in things), None)
            if missing is not None:
                things[missing] = shape
    return things


def _from_words(text: str, match: re.Match[str], kind: str, names: tuple[str, ...]) -> Shape | None:
    arguments = _ARGUMENTS[kind].match(text, match.end())
    if arguments is None:
        return None
    after = _NAME_AFTER.match(text, arguments.end())
    before = _NAME_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
    said = [found.group(1).lower() for found in (after, before) if found is not None]
    name = next((name for name in said if name in names), "")
    return Shape(kind=kind, numbers=tuple(map(float, arguments.groups())), name=name)


def _from_tag(text: str, start: int, kind: str, names: tuple[str, ...]) -> Shape | None:
    tag, closed, _ = text[start : start + LONGEST_TAG].partition(">")
    if not closed or "<" in tag:
        return None
    values: dict[str, float] = {}
    name = ""
    for attribute, number, word in _ATTRIBUTE.findall(tag):
        if number:
            values[attribute.lower()] = float(number)
        elif word.lower() in names:
            name = word.lower()
    numbers = tuple(values[attribute] for attribute in _ATTRIBUTES[kind] if attribute in values)
    return Shape(kind=kind, numbers=numbers, name=name) if len(numbers) == len(_ATTRIBUTES[kind]) else None


def _drawing_in(text: str) -> tuple[str, int, str]:
    """Return the part of a text that is the drawing, where it begins, and how it was found."""
    if (mark := text.rfind("####")) >= 0:
        return text[mark + 4 :], mark, "hashes"
    if (said := answer_text(text)) is not None and shapes_in(said[0]):
        return said
    opened = text.rfind("```", 0, text.rfind("```"))
    if opened >= 0 and shapes_in(fenced := text[opened : text.rfind("```")]):
        return fenced, opened, "code fence"
    lines = text.splitlines(keepends=True)
    last = next((at for at in reversed(range(len(lines))) if shapes_in(lines[at])), None)
    if last is None:
        return "", len(text), "last lines"
    first = last
    while max(0, last - MOST_LINES) < first and (_FILLER.fullmatch(lines[first - 1]) or shapes_in(lines[first - 1])):
        first -= 1
    block, start = "".join(lines[first : last + 1]), sum(map(len, lines[:first]))
    hashes = list(_HASH.finditer(block))
    if hashes:
        return block[hashes[-1].end() :], start + hashes[-1].start(), "hash"
    return block, start, "last lines"
