"""Where a teaching loop's questions come from: generated families, or a data set read from a file."""

from collections.abc import Sequence
from dataclasses import dataclass

from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.problems import FAMILIES


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyQuestions:
    """Questions of split `train`, spread evenly over the families and their difficulties; fresh ones each round."""

    families: tuple[str, ...]
    count: int
    fresh: bool = True
    seed: int = 0

    def round(self, number: int) -> list[Problem]:
        """Return the questions of round `number`."""
        levels = [(FAMILIES.get(name), level) for name in self.families for level in _spread(name, len(self.families))]
        offset = (number - 1) * self.count if self.fresh else 0
        questions = []
        for i in range(self.count):
            family, level = levels[i % len(levels)]
            questions.append(family.problem("train", self.seed * 1_000_000 + offset + i, difficulty=level))
        return questions


def _spread(name: str, families: int) -> list[int]:
    """Repeat a family's difficulties so that every family gets the same number of questions."""
    levels = FAMILIES.get(name).difficulties
    return [levels[i % len(levels)] for i in range(40)] if families > 1 else list(levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedQuestions:
    """Questions of a data set: a new random part each round, or the same part."""

    problems: tuple[Problem, ...]
    count: int
    fresh: bool = True
    seed: int = 0

    def round(self, number: int) -> list[Problem]:
        """Return the questions of round `number`; the whole set when it holds no more than `count`."""
        if len(self.problems) <= self.count:
            return list(self.problems)
        return rng_for("questions", self.seed, number if self.fresh else 0).sample(list(self.problems), self.count)


def test_questions(families: Sequence[str], per_difficulty: int) -> list[Problem]:
    """Return fresh questions of split `test`, `per_difficulty` for each family and difficulty."""
    return [
        FAMILIES.get(name).problem("test", i, difficulty=level)
        for name in families
        for level in FAMILIES.get(name).difficulties
        for i in range(per_difficulty)
    ]
