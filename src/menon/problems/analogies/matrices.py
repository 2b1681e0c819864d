"""Digit matrices: three rows of three cells that follow rules, the last cell missing; written out or as eight choices.

Cells hold one digit per rule (constant in rows or columns, three values in turn, progression) or, for logic, sets of
digits where the last row and column are OR, AND or XOR of the others; "permuted" shuffles the digits of every cell,
which otherwise keep one order. OR may stand in any column, with disjoint parts, so that the missing set is determined.
Source: Webb et al. 2023, arXiv:2212.09196. Deviation: no cell of a logic matrix is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.grading.tokens import written
from menon.problems.analogies.matrix_solver import solve_matrix
from menon.problems.splits import draw_in_split

Cell = tuple[int, ...]
Rows = tuple[tuple[Cell, ...], ...]
RULES = ("row_constant", "col_constant", "dist3", "progression")
LOGIC = ("OR", "AND", "XOR")
KINDS = ("1-rule", "2-rule", "3-rule", *LOGIC, *(f"{name}_permuted" for name in LOGIC))
NUM_CHOICES = 8
TRIES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A full matrix with the names of its rules; `ordered` is False where a cell is a set."""

    kind: str
    rules: tuple[str, ...]
    rows: Rows
    ordered: bool

    @property
    def gold(self) -> Cell:
        return self.rows[2][2]

    def content(self) -> tuple[str, ...]:
        return ("matrix", self.kind, repr(self.rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitMatrices:
    """Digit matrices; `difficulty` is the number of rules, 1 to 3, and 4 stands for logic."""

    name: str = "digit-matrices"
    description: str = "3 x 3 digit matrices under one to three rules or set logic, open or with eight choices"
    difficulties: tuple[int, ...] = (1, 2, 3, 4)

    def problem(
        self,
        split: str,
        index: int,
        *,
        difficulty: int | None = None,
        world: str = "default",
        kind: str | None = None,
        choices: bool = False,
    ) -> Problem:
        """Generate item `index` of `split`; `kind` is one of `KINDS`, `choices` asks the same item with eight choices.

        Raises:
            ConfigError: an unknown split, world, difficulty or kind.
        """
        if world != "default":
            raise ConfigError(f"{self.name} has no world {world!r}; allowed: default")
        kind = kind or self._kind(index, difficulty)
        if kind not in KINDS:
            raise ConfigError(f"{self.name} has no kind {kind!r}; allowed: {', '.join(KINDS)}")
        matrix = draw_in_split(split, lambda rng: draw_matrix(rng, kind), Matrix.content, self.name, kind, index)
        options = _choices(rng_for(self.name, "choices", split, kind, index), matrix) if choices else ()
        level = int(kind[0]) if kind[0].isdigit() else 4
        return Problem(
            family=self.name,
            split=split,
            index=index,
            difficulty=level,
            template=f"{self.name}/{'+'.join(matrix.rules)}",
            question=_question(matrix, choices),
            answer=_shown(matrix.gold) if choices else written([str(digit) for digit in matrix.gold]),
            choices=options,
            grader="choice" if choices else "tokens" if matrix.ordered else "tokens?order=any",
            meta={"item": f"{split}/{kind}/{index}", "category": kind, "rules": list(matrix.rules), "level": level},
        )

    def solve(self, problem: Problem) -> str:
        """Solve a matrix from its question alone."""
        lines = [line for line in problem.question.splitlines() if line.startswith("[")]
        cells = [[tuple(map(int, part.split())) for part in line[1:-1].split("] [")] for line in lines[:2]]
        cells.append([tuple(map(int, part.split())) for part in lines[2].removesuffix(" [?]")[1:-1].split("] [")])
        gold, _ = solve_matrix(cells)
        if problem.choices:
            same = [c for c in problem.choices if sorted(c) == sorted(_shown(gold))]
            return next((c for c in same if c == _shown(gold)), same[0] if same else "")
        return written([str(digit) for digit in gold])

    def _kind(self, index: int, difficulty: int | None) -> str:
        if difficulty is None:
            return KINDS[index % len(KINDS)]
        if difficulty not in self.difficulties:
            raise ConfigError(f"{self.name} has no difficulty {difficulty!r}; allowed: 1 to 3 rules, or 4 for logic")
        return f"{difficulty}-rule" if difficulty < 4 else KINDS[3 + index % (len(KINDS) - 3)]


def draw_matrix(rng: Random, kind: str) -> Matrix:
    """Draw a matrix of one of `KINDS`."""
    if kind.endswith("-rule"):
        rules = tuple(rng.choice(RULES) for _ in range(int(kind[0])))
        layers = [_layer(rng, rule) for rule in rules]
        rows = tuple(tuple(tuple(layer[r][c] for layer in layers) for c in range(3)) for r in range(3))
        return Matrix(kind=kind, rules=rules, rows=rows, ordered=True)
    name, _, permuted = kind.partition("_")
    column = rng.randrange(3) if name == "OR" else 2
    sets = _logic(rng, name, column)
    order = rng.sample(range(10), 10)
    rows = tuple(tuple(_arranged(rng, cell, order, bool(permuted)) for cell in row) for row in sets)
    rule = f"{name}_column{column + 1}" if name == "OR" else name
    return Matrix(kind=kind, rules=(rule,), rows=rows, ordered=False)


def _layer(rng: Random, rule: str) -> list[list[int]]:
    """Return the digits of one rule, row by row."""
    if rule == "progression":
        step, span = rng.choice(((1, 4), (2, 8)))
        start = rng.randrange(10 - span)
        rows = [[start + step * (r + c) for c in range(3)] for r in range(3)]
        return rows if rng.random() < 0.5 else [[9 - digit for digit in row] for row in rows]
    values = rng.sample(range(10), 3)
    turn = rng.choice((1, 2))
    place = {
        "row_constant": lambda r, c: r,
        "col_constant": lambda r, c: c,
        "dist3": lambda r, c: (c + turn * r) % 3,
    }[rule]
    return [[values[place(r, c)] for c in range(3)] for r in range(3)]


def _logic(rng: Random, name: str, column: int) -> list[list[set[int]]]:
    """Return cells whose third column and row are the first two joined by `name`; OR may move to another column."""
    digits = rng.sample(range(10), 10)
    if name == "OR":
        one, two, three, four = ({digit} for digit in digits[:4])
        if rng.random() < 0.5:
            one, three = one | {digits[4]}, three | {digits[5]}
    elif name == "AND":
        shared = {digits[0]}
        right, left, lower, upper = ({digit} for digit in digits[1:5])
        one, two, three, four = (shared | side for side in (upper | left, upper | right, lower | left, lower | right))
    else:
        one, two, three, four = ({digits[0], digit} for digit in digits[1:5])
    join = {"OR": set.union, "AND": set.intersection, "XOR": set.symmetric_difference}[name]
    rows = [[one, two, join(one, two)], [three, four, join(three, four)]]
    rows.append([join(upper, lower) for upper, lower in zip(*rows, strict=True)])
    if column < 2:
        for row in rows:
            row.insert(column, row.pop())
    return rows


def _arranged(rng: Random, cell: set[int], order: Sequence[int], permuted: bool) -> Cell:
    digits = sorted(cell, key=order.index)
    if permuted:
        rng.shuffle(digits)
    return tuple(digits)


def _choices(rng: Random, matrix: Matrix) -> tuple[str, ...]:
    """Return the gold answer among seven wrong ones: other cells, and the answer with digits changed or reordered."""
    gold = matrix.gold
    seen = {_key(gold, matrix.ordered)}
    wrong: list[Cell] = []
    others = [cell for row in matrix.rows for cell in row]
    pool = sorted({digit for cell in others for digit in cell})
    for attempt in range(TRIES):
        if len(wrong) == NUM_CHOICES - 1:
            break
        drawn = rng.choice(others) if attempt < 6 else _near(rng, gold, pool if attempt < 60 else range(10), matrix)
        if _key(drawn, matrix.ordered) not in seen:
            seen.add(_key(drawn, matrix.ordered))
            wrong.append(drawn)
    choices = [_shown(cell) for cell in (gold, *wrong)]
    rng.shuffle(choices)
    return tuple(choices)


def _near(rng: Random, gold: Cell, pool: Sequence[int], matrix: Matrix) -> Cell:
    if not matrix.ordered:
        return tuple(rng.sample(list(pool), min(len(pool), max(1, len(gold) + rng.choice((-1, 0, 1))))))
    near = list(gold)
    for place in rng.sample(range(len(near)), rng.randint(1, len(near))):
        near[place] = rng.choice(list(pool))
    return tuple(near)


def _key(cell: Cell, ordered: bool) -> Cell:
    return cell if ordered else tuple(sorted(cell))


def _shown(cell: Sequence[int]) -> str:
    return f"[{' '.join(map(str, cell))}]"


def _question(matrix: Matrix, choices: bool) -> str:
    rows = [[_shown(cell) for cell in row] for row in matrix.rows]
    rows[2][2] = "[?]"
    drawn = "\n".join(" ".join(row) for row in rows)
    wanted = (
        "Which of these belongs there?"
        if choices
        else "Answer with the digits that belong there, separated by blanks"
        + ("." if matrix.ordered else "; their order does not matter.")
    )
    opening = "The cells of this square follow a pattern in rows and columns; the cell [?] is missing."
    return f"{opening}\n\n{drawn}\n\n{wanted}"


DIGIT_MATRICES = DigitMatrices()
