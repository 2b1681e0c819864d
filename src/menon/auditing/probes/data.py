"""Your own questions: accuracy on them as they are given, and, for multiple choice, with the options in another order.

The order of options carries no meaning, so what is lost when it changes was not known but recognised: by position, or
from the published order. Questions without choices give accuracy only; whether they were met in training is for the
probes `memorisation` and `frequency`, and what they would be worth with other numbers is for templates (docs/audit.md).
Source: the idea of exchangeable orders, Oren et al. 2023, arXiv:2310.17623, here on accuracy instead of likelihood.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from menon.auditing.contrasts import cells_of, contrasts_of
from menon.auditing.probe import Answered, Material, ProbeReport, Question
from menon.auditing.verdict import combine
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.grading.choice import LETTERS, gold_letter

GIVEN, SHUFFLED = "as given", "options in another order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The probe; options: `shuffles` (other orders asked of each multiple-choice question, 1 by default)."""

    name: str = "data"
    title: str = "Your own questions"
    source: str = "Oren et al. 2023, arXiv:2310.17623 (order of options)"

    def objection(self, material: Material) -> str | None:
        return None if material.problems else "no questions of your own were given (--data FILE)"

    def questions(self, material: Material) -> list[Question]:
        """Return every question as it is given, and multiple-choice ones with their options shuffled as well."""
        asked = []
        for problem in material.problems:
            asked.append(_question(problem, problem, GIVEN))
            for number in range(int(material.options.get("shuffles", 1)) if len(problem.choices) > 1 else 0):
                asked.append(_question(problem, shuffled(problem, number), SHUFFLED))
        return asked

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        return ()

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        cells = cells_of(self.name, answered, level=material.config.level)
        contrasts = contrasts_of(cells, config=material.config)
        said = [
            f"{cell.task}: {100 * (cell.accuracy or 0):.0f} % of {cell.n:,} right ({100 * cell.low:.0f} to "
            f"{100 * cell.high:.0f})"
            for cell in cells
            if cell.baseline
        ]
        moved = [
            f"with the options in another order {100 * row.loss:+.0f} points are lost ({100 * row.low:.0f} to "
            f"{100 * row.high:.0f})"
            for row in contrasts
        ]
        return ProbeReport(
            name=self.name,
            title=self.title,
            source=self.source,
            sentence="; ".join([*said, *moved]) + "." if said else "No question was answered.",
            cells=tuple(cells),
            contrasts=tuple(contrasts),
            effects=tuple(row.effect(primary=place == 0) for place, row in enumerate(contrasts)),
            finding=combine({row.task: row.finding for row in contrasts}) if contrasts else None,
        )


DATA = Data()


def shuffled(problem: Problem, number: int = 0) -> Problem:
    """Return a multiple-choice problem with its options in another order, the gold letter moved along."""
    order = list(range(len(problem.choices)))
    rng = rng_for("options", problem.id, number)
    while order == sorted(order):
        rng.shuffle(order)
    gold = order.index(LETTERS.index(gold_letter(problem)))
    answer = problem.answer if problem.answer in problem.choices else LETTERS[gold]
    if answer not in problem.choices and problem.answer.islower():
        answer = answer.lower()
    return replace(problem, choices=tuple(problem.choices[place] for place in order), answer=answer)


def _question(original: Problem, problem: Problem, condition: str) -> Question:
    return Question(
        problem=problem,
        task=original.family,
        condition=condition,
        baseline=condition == GIVEN,
        pair=original.id,
        cluster=original.template,
        role="original" if condition == GIVEN else "fresh",
        of="" if condition == GIVEN else original.id,
    )
