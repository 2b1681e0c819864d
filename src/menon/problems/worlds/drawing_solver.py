"""A second way to a drawing: read the scene from the question's words, build it from blocks, turn the result.

Nothing is random and no relation is translated: the upright picture is built relation by relation from things of two
fixed sizes, and its coordinates are then turned.
"""

import re

SMALL, LARGE, GAP = 6.0, 26.0, 2.0  # things that enclose others are large

_THING = re.compile(r"a (\w+) \((?:(circle|rect)|(horizontal|vertical) line)\)")
_RELATION = re.compile(r"The (\w+) is (above|below|left of|right of|inside) the (\w+)( and touches it)?")
_POINT = re.compile(r"point \((\d+), (\d+)\)")


def solve_drawing(question: str) -> str:
    """Return a drawing that keeps the scene of the question, or the place of the point that it asks about."""
    if point := _POINT.search(question):
        x, y = _turn(question, (float(point.group(1)), float(point.group(2))))
        return f"{x:g} {y:g}"
    lying = {name: kind or line for name, kind, line in _THING.findall(question)}
    relations = _RELATION.findall(question)
    large = {other for _, relation, other, _ in relations if relation == "inside"}
    sizes = {name: _size(kind, LARGE if name in large else SMALL) for name, kind in lying.items()}
    centres = {next(iter(lying)): (0.0, 0.0)}
    for name, relation, other, touching in relations:
        gap = 0.0 if touching else GAP
        dx, dy = ((a + b) / 2 + gap for a, b in zip(sizes[name], sizes[other], strict=True))
        x, y = centres[other]
        centres[name] = {
            "above": (x, y + dy),
            "below": (x, y - dy),
            "right of": (x + dx, y),
            "left of": (x - dx, y),
            "inside": (x, y),
        }[relation]
    ends = {name: _ends(centres[name], sizes[name]) for name in lying}
    left = min(low[0] for low, _ in ends.values())
    bottom = min(low[1] for low, _ in ends.values())
    drawn = []
    for name, corners in ends.items():
        (x1, y1), (x2, y2) = (_turn(question, (x - left, y - bottom)) for x, y in corners)
        x1, x2, y1, y2 = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
        numbers = {
            "circle": ("circle", (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2),
            "rect": ("rect", x1, y1, x2 - x1, y2 - y1),
        }.get(lying[name], ("line", x1, y1, x2, y2))
        drawn.append(" ".join([str(numbers[0]), *(f"{n:g}" for n in numbers[1:]), name]))
    return "; ".join(drawn)


def _size(kind: str, side: float) -> tuple[float, float]:
    return (side if kind != "vertical" else 0.0), (side if kind != "horizontal" else 0.0)


def _ends(centre: tuple[float, float], size: tuple[float, float]) -> tuple[tuple[float, float], tuple[float, float]]:
    (x, y), (width, height) = centre, size
    return (x - width / 2, y - height / 2), (x + width / 2, y + height / 2)


def _turn(question: str, point: tuple[float, float]) -> tuple[float, float]:
    """Turn a point about (50, 50) by complex multiplication, or mirror it by conjugation."""
    z = complex(*point) - complex(50, 50)
    if "mirrored top to bottom" in question:
        z = z.conjugate()
    elif "90 degrees clockwise" in question:
        z *= -1j
    elif "180 degrees" in question:
        z = -z
    return z.real + 50, z.imag + 50
