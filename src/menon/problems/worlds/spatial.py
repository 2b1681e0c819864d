"""Where things stand on the plan of a hall, with the directions as on a map or turned, mirrored or exchanged.

Every question says what each direction means, in the default world too, and every object has a net move along both
axes, of different lengths, so that no object stands in the same place in two of the worlds. Credit is per object.
Left out: distances and drawings, and directions of which two do not lie opposite each other.
Source: Wu et al. 2023, arXiv:2307.02477, section 3.5; ours: moves counted in steps from a door, and `exchanged`, which
draws one of the two mirrorings in a diagonal, in place of any permutation of the four names.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems.splits import draw_in_split
from menon.problems.worlds.selection import named_world

Step = tuple[int, int]
DIRECTIONS = ("north", "south", "east", "west")
PLAN: dict[Step, str] = {
    (0, 1): "up (y grows)",
    (0, -1): "down (y shrinks)",
    (1, 0): "right (x grows)",
    (-1, 0): "left (x shrinks)",
}
# What a step north and a step east are; south and west are their opposites.
AXES: dict[str, tuple[tuple[Step, Step], ...]] = {
    "map": (((0, 1), (1, 0)),),
    "swap-ns": (((0, -1), (1, 0)),),
    "swap-we": (((0, 1), (-1, 0)),),
    "rotate-90": (((1, 0), (0, -1)),),
    "rotate-180": (((0, -1), (-1, 0)),),
    "rotate-270": (((-1, 0), (0, 1)),),
    "exchanged": (((1, 0), (0, 1)), ((-1, 0), (0, -1))),
}
OBJECTS = ("lamp", "chair", "table", "piano", "stove", "mirror", "clock", "bench", "globe", "cradle", "harp", "easel")
DOOR = 20
LONGEST_MOVE = 8

_RULE = re.compile(r"going (north|south|east|west) is going (up|down|right|left)")
_PLACE = re.compile(r"The (\w+): from the door go ([^.]+)\.")
_MOVE = re.compile(r"(\d+) (?:steps? )?(north|south|east|west)")
_CHECK = re.compile(r"from \((\d+), (\d+)\) to \((\d+), (\d+)\)")
_TURNS = {"up": 1j, "down": -1j, "right": 1, "left": -1}

Moves = tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    objects: tuple[str, str, str]
    moves: tuple[Moves, Moves, Moves]

    def key(self) -> str:
        return "; ".join(
            f"{thing} {' '.join(f'{n}{way[0]}' for n, way in moves)}"
            for thing, moves in zip(self.objects, self.moves, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spatial:
    """The positions of three objects, each reached from the door by `difficulty` moves."""

    name: str = "spatial"
    description: str = "positions of three objects in a hall; directions as on a map (default), mirrored or rotated"
    default: str = "map"
    worlds: tuple[str, ...] = ("swap-ns", "swap-we", "rotate-90", "rotate-180", "rotate-270", "exchanged")
    difficulties: tuple[int, ...] = (2, 3, 4)

    def problem(self, split: str, index: int, *, difficulty: int | None = None, world: str = "default") -> Problem:
        """Generate hall `index`; without `difficulty` the moves per object are drawn from 2 to 4.

        Raises:
            ConfigError: an unknown split or world, or a number of moves outside 2..4.
        """
        world = self._known(world)
        count = rng_for(self.name, split, index).choice(self.difficulties) if difficulty is None else difficulty
        if count not in self.difficulties:
            raise ConfigError(f"spatial has no difficulty {count!r}; allowed: 2, 3, 4 moves per object")

        def draw(rng: Random) -> _Content:
            objects = rng.sample(OBJECTS, 3)
            return _Content(
                objects=(objects[0], objects[1], objects[2]),
                moves=(_moves(rng, count), _moves(rng, count), _moves(rng, count)),
            )

        content = draw_in_split(split, draw, lambda c: (self.name, c.key()), self.name, index, count)
        steps = _steps(world, content.key())
        places = [_place(moves, steps) for moves in content.moves]
        lines = [
            f"The {thing}: from the door go {_told(moves)}."
            for thing, moves in zip(content.objects, content.moves, strict=True)
        ]
        question = (
            f"{_rules(steps)} Coordinates are written (x, y), and the door is at ({DOOR}, {DOOR}).\n"
            + "\n".join(lines)
            + "\nAt which coordinates does each of the three objects stand? Answer in one line of this form: "
            + "; ".join(f"{thing}: (x, y)" for thing in content.objects)
        )
        rationale = "\n".join(
            _working(thing, moves, steps) for thing, moves in zip(content.objects, content.moves, strict=True)
        )
        return Problem(
            family=self.name,
            world="default" if world == self.default else world,
            split=split,
            index=index,
            difficulty=count,
            question=question,
            answer="; ".join(f"{thing}: {place}" for thing, place in zip(content.objects, places, strict=True)),
            rationale=rationale,
            grader="fields",
            meta={"item": content.key(), "fields": list(content.objects)},
        )

    def control(self, split: str, index: int, *, world: str = "default") -> Problem:
        """Show one step on the plan and ask for its direction."""
        world = self._known(world)
        way = DIRECTIONS[index % 4]

        def draw(rng: Random) -> tuple[int, int]:
            return rng.randint(1, 39), rng.randint(1, 39)

        x, y = draw_in_split(split, draw, lambda at: (self.name, "control", way, *at), self.name, "control", index)
        steps = _steps(world, f"{x} {y}")
        dx, dy = steps[way]
        question = (
            f"{_rules(steps)} Coordinates are written (x, y).\n"
            f"Somebody takes one step from ({x}, {y}) to ({x + dx}, {y + dy}). In which direction was that step? "
            "Answer with one word: north, south, east or west."
        )
        return Problem(
            family=self.name,
            world="default" if world == self.default else world,
            split=split,
            index=index,
            question=question,
            answer=way,
            grader="word",
            meta={"item": f"step {way} from {x} {y}", "labels": list(DIRECTIONS), "chance": 0.25, "control": True},
        )

    def solve(self, problem: Problem) -> str:
        """Follow the moves in the complex plane by the rules that the question states."""
        turns = {way: _TURNS[plan] for way, plan in _RULE.findall(problem.question)}
        if set(turns) != set(DIRECTIONS):
            raise ConfigError(f"problem {problem.id} does not state what the four directions mean")
        if check := _CHECK.search(problem.question):
            x, y, to_x, to_y = (int(number) for number in check.groups())
            return next(way for way, turn in turns.items() if turn == complex(to_x - x, to_y - y))
        answers = []
        for thing, told in _PLACE.findall(problem.question):
            at = complex(DOOR, DOOR) + sum(int(n) * turns[way] for n, way in _MOVE.findall(told))
            answers.append(f"{thing}: ({at.real:.0f}, {at.imag:.0f})")
        return "; ".join(answers)

    def _known(self, world: str) -> str:
        return named_world(self.name, world, self.default, self.worlds)


def _steps(world: str, content: str) -> dict[str, Step]:
    """Return what one step in each direction is; a world with several readings takes one by the content."""
    north, east = rng_for("spatial", world, content).choice(AXES[world])
    return {"north": north, "south": (-north[0], -north[1]), "east": east, "west": (-east[0], -east[1])}


def _rules(steps: dict[str, Step]) -> str:
    rules = [f"going {way} is going {PLAN[steps[way]]}" for way in DIRECTIONS]
    return f"A hall is drawn on a plan. On this plan {', '.join(rules[:-1])}, and {rules[-1]}."


def _moves(rng: Random, count: int) -> Moves:
    """Draw moves whose sums along both axes are neither zero nor of equal length."""
    while True:
        ways = [rng.choice(("north", "south")), rng.choice(("east", "west"))]
        ways += [rng.choice(DIRECTIONS) for _ in range(count - 2)]
        rng.shuffle(ways)
        moves = tuple((rng.randint(1, LONGEST_MOVE), way) for way in ways)
        net = [
            sum(n for n, way in moves if way == ahead) - sum(n for n, way in moves if way == back)
            for ahead, back in (("north", "south"), ("east", "west"))
        ]
        repeats = any(one[1] == two[1] for one, two in pairwise(moves))
        if all(net) and abs(net[0]) != abs(net[1]) and max(map(abs, net)) < DOOR and not repeats:
            return moves


def _place(moves: Moves, steps: dict[str, Step]) -> Step:
    return (
        DOOR + sum(n * steps[way][0] for n, way in moves),
        DOOR + sum(n * steps[way][1] for n, way in moves),
    )


def _told(moves: Moves) -> str:
    parts = [f"{n} step{'s' if n > 1 else ''} {way}" for n, way in moves]
    return ", ".join(parts[:-1]) + f" and then {parts[-1]}"


def _working(thing: str, moves: Moves, steps: dict[str, Step]) -> str:
    at, told = (DOOR, DOOR), [f"({DOOR}, {DOOR})"]
    for n, way in moves:
        at = (at[0] + n * steps[way][0], at[1] + n * steps[way][1])
        told.append(f"{n} {way}: {at}")
    return f"{thing}: {', '.join(told)}."


SPATIAL = Spatial()
