"""Small gradings made by hand or by stand-ins, for the tests of the audit."""

from collections.abc import Callable, Iterable

import numpy as np

from menon.auditing import Item
from menon.core.values import Grade, Problem, Verdict

VERDICTS = {
    "r": Verdict.RIGHT,
    "w": Verdict.WRONG,
    "u": Verdict.UNPARSED,
    "t": Verdict.TRUNCATED,
    "e": Verdict.ERROR,
}


def problem(index: int, *, family: str = "chain", split: str = "original", difficulty: int = 2, template: str = ""):
    return Problem(
        family=family,
        question=f"{split} {family} asks {10 + index % 90} and {10 + index // 90}?",
        answer=str(index),
        split=split,
        index=index,
        difficulty=difficulty,
        template=template,
    )


def grade(letter: str) -> Grade:
    return Grade(verdict=VERDICTS[letter])


def graded(letters: str, **options) -> list[tuple[Problem, Grade]]:
    """One problem per letter, graded by it."""
    return [(problem(index, **options), grade(letter)) for index, letter in enumerate(letters)]


def cells(rows: Iterable[tuple[str, str]], *, family: str = "chain", difficulty: int = 2, templates: int = 0):
    """One original per row with its grade, and one fresh instance per letter of the row's second word."""
    items = []
    for index, (original, fresh) in enumerate(rows):
        template = f"{family}/{index % templates}" if templates else ""
        options = {"family": family, "difficulty": difficulty, "template": template}
        asked = problem(index, **options)
        items.append(Item(problem=asked, grade=grade(original), role="original"))
        for number, letter in enumerate(fresh):
            variant = problem(100 * index + number, split="variant", **options)
            items.append(Item(problem=variant, grade=grade(letter), role="fresh", of=asked.id))
    return items


def stand_in(
    original: Callable[[np.random.Generator], bool],
    fresh: Callable[[np.random.Generator], bool],
    *,
    num_originals: int = 100,
    num_fresh: int = 2,
    families: tuple[str, ...] = ("addition", "chain", "facts"),
    seed: int = 0,
) -> list[Item]:
    """The gradings of a scripted model that is right by the two rules."""
    rng = np.random.default_rng(seed)
    items = []
    for family in families:
        rows = [
            ("wr"[original(rng)], "".join("wr"[fresh(rng)] for _ in range(num_fresh))) for _ in range(num_originals)
        ]
        items += cells(rows, family=family, difficulty=1 + len(items) % 3)
    return items


def reciter(**options) -> list[Item]:
    return stand_in(lambda rng: True, lambda rng: False, **options)


def oracle(p: float = 0.9, **options) -> list[Item]:
    return stand_in(lambda rng: rng.random() < p, lambda rng: rng.random() < p, **options)


def guesser(**options) -> list[Item]:
    return stand_in(lambda rng: False, lambda rng: False, **options)


def mixture(share: float = 0.5, p: float = 0.45, **options) -> list[Item]:
    """`p` right on fresh problems, and so much more on originals that `share` of what is right there is recited."""
    return stand_in(lambda rng: rng.random() < p / (1 - share), lambda rng: rng.random() < p, **options)
