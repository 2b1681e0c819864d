"""Smoke test: comparing decimals and counting letters, which show how a model handles numbers and tokens, no more.

Its losses enter no verdict and no correction for several tests. Each task has a version that misleads and one that does
not (equally many digits; letters written apart).
Source: public folklore of 2024 ("9.11 or 9.9", the letters of "strawberry"); our own words and numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from menon.auditing.contrasts import Contrast, cells_of, contrasts_of
from menon.auditing.probe import Answered, Material, ProbeReport, Question
from menon.auditing.probes.indices import first_distinct
from menon.auditing.sentences import percent
from menon.problems.smoke import MISLEADING, PLAIN, SMOKE_TASKS

NAME = "smoke"
TITLE = "Smoke tests of number and token handling (no evidence of reasoning or reciting)"
SOURCE = "public folklore of 2024; our own words and numbers"
READING = "the number after the answer mark"
NOT_EVIDENCE = "Smoke tests of how numbers and letters are cut into tokens; no evidence of reasoning or reciting."
SPLIT = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke:
    """Decimals and letters in words, misleading and plain."""

    name: str = NAME
    title: str = TITLE
    source: str = SOURCE

    def objection(self, material: Material) -> str | None:
        return None

    def questions(self, material: Material) -> list[Question]:
        """Ask half of `per_cell` in each of four cells, for answers alone."""
        count = max(10, material.per_cell // 2)
        return [
            Question(
                problem=task.problem(SPLIT, index, world=world),
                task=task.name,
                condition=world,
                baseline=world == PLAIN,
                pair=str(index),
            )
            for task in SMOKE_TASKS
            for indices in [first_distinct(partial(task.problem, SPLIT), count, seed=material.seed)]
            for world in (PLAIN, MISLEADING)
            for index in indices
        ]

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        return ()

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        cells = cells_of(NAME, answered, level=material.config.level, reading=READING)
        contrasts = contrasts_of(cells, config=material.config)
        return ProbeReport(
            name=NAME,
            title=TITLE,
            source=SOURCE,
            sentence=f"{NOT_EVIDENCE} {_figures(contrasts)}".strip(),
            cells=tuple(cells),
            contrasts=tuple(contrasts),
            effects=tuple(contrast.effect() for contrast in contrasts),
            notes=(NOT_EVIDENCE,),
            smoke=True,
        )


def _figures(contrasts: Sequence[Contrast]) -> str:
    return " ".join(
        f"{contrast.task.replace('-', ' ').capitalize()}: {percent(contrast.baseline.accuracy)} right where nothing "
        f"misleads, {percent(contrast.altered.accuracy)} where the writing does."
        for contrast in contrasts
    )


SMOKE = Smoke()
