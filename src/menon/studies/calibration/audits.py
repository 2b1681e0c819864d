"""Audits of models whose truth is known: how far off is the share, how often does its interval hold the truth?

A model's answers to all its originals and re-instantiations are the population. One audit draws originals from it with
replacement and a few re-instantiations of each, which is what an audit with that many templates sees; the truth is the
share over the whole population. So the figures are about the statistics and the verdict, not about prompts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from menon.auditing import AuditConfig, Item, Label, audit_cells
from menon.core.seeds import rng_for
from menon.core.values import Grade, Problem, Verdict
from menon.stats import recitation_share, wilson
from menon.studies.calibration.recipe import CalibrationRecipe

CHECKED = 40  # audits of each model that are carried through to the verdict; the rest give share and interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Outcomes of one model: per original its outcome and those of its re-instantiations, and its problem."""

    name: str
    planted: float
    originals: tuple[float, ...]
    variants: tuple[tuple[float, ...], ...]
    problems: tuple[Problem, ...] = ()

    @property
    def truth(self) -> float:
        """The share over the whole population."""
        right = float(np.mean(self.originals))
        return 1 - float(np.mean([np.mean(row) for row in self.variants])) / right if right else 0.0


def expected(share: float, config: AuditConfig) -> set[Label]:
    """Return the verdicts that are right for a model of this true share; regions overlap, so there may be two."""
    return {label for label, (low, high) in config.regions().items() if low <= share <= high}


def audit_population(population: Population, recipe: CalibrationRecipe, config: AuditConfig) -> dict[str, Any]:
    """Draw audits and return truth, mean estimate, bias, coverage with its interval, width, and verdicts."""
    shares, covered, widths = [], 0, []
    verdicts: Counter[str] = Counter()
    for number in range(recipe.audits):
        rng = rng_for("calibration", recipe.seed, population.name, number)
        rows = [rng.randrange(len(population.originals)) for _ in range(recipe.audit_templates)]
        picked = [rng.sample(range(len(population.variants[i])), recipe.audit_variants) for i in rows]
        estimate = recitation_share(
            [population.originals[i] for i in rows],
            [[population.variants[i][j] for j in chosen] for i, chosen in zip(rows, picked, strict=True)],
            seed=number,
            level=config.level,
        )
        shares.append(0.0 if estimate.value is None else estimate.value)
        low = -np.inf if estimate.low is None else estimate.low
        high = np.inf if estimate.high is None else estimate.high
        covered += bool(low - 1e-9 <= population.truth <= high + 1e-9)
        widths.append(float(high - low))
        if number < CHECKED and population.problems:
            verdicts[str(_verdict(population, rows, picked, config))] += 1
    stated = {str(label) for label in expected(population.truth, config)}
    wrong = sum(n for label, n in verdicts.items() if label not in stated and label != str(Label.CANNOT_TELL))
    return {
        "name": population.name,
        "planted": population.planted,
        "truth": population.truth,
        "estimate": float(np.mean(shares)),
        "bias": float(np.mean(shares)) - population.truth,
        "coverage": wilson(covered, recipe.audits).to_json(),
        "width": float(np.mean([w for w in widths if np.isfinite(w)])),
        "original": float(np.mean(population.originals)),
        "fresh": float(np.mean([np.mean(row) for row in population.variants])),
        "verdicts": dict(verdicts),
        "wrong_verdicts": wrong,
        "audits": recipe.audits,
        "shares": shares,
    }


def _verdict(
    population: Population, rows: Sequence[int], picked: Sequence[Sequence[int]], config: AuditConfig
) -> Label:
    """Carry one drawn audit through the whole instrument; originals drawn twice count as two templates."""
    items = []
    for place, (i, chosen) in enumerate(zip(rows, picked, strict=True)):
        original = _copy(population.problems[i], place, "original")
        items.append(Item(problem=original, grade=_grade(population.originals[i]), role="original"))
        for j in chosen:
            fresh = _copy(population.problems[i], place, f"fresh {j}")
            grade = _grade(population.variants[i][j])
            items.append(Item(problem=fresh, grade=grade, role="fresh", of=original.id))
    return audit_cells(items, config=replace(config, controls=())).finding.label


def _copy(problem: Problem, place: int, mark: str) -> Problem:
    return replace(problem, question=f"{problem.question} [{place}, {mark}]", template=f"{problem.template}/{place}")


def _grade(outcome: float) -> Grade:
    return Grade(verdict=Verdict.RIGHT if outcome >= 0.5 else Verdict.WRONG)


def mixtures(recipe: CalibrationRecipe) -> list[Population]:
    """Return scripted mixtures: models of ability and share drawn at random, every template decided by itself.

    Each is a population of 400 templates, a planted share of whose right answers is memorised.
    """
    found = []
    for number in range(recipe.stand_ins):
        rng = rng_for("calibration", "mixture", recipe.seed, number)
        share, ability = rng.uniform(0.0, 0.8), rng.uniform(0.4, 0.95)
        memorised = share * ability / (1 - share + share * ability)  # so that `share` of the right answers is memorised
        originals, variants = [], []
        for _ in range(400):
            skill = rng.betavariate(4 * ability, 4 * (1 - ability))
            recited = rng.random() < memorised
            originals.append(1.0 if recited else float(rng.random() < skill))
            variants.append(tuple(float(rng.random() < (0.0 if recited else skill)) for _ in range(recipe.variants)))
        found.append(
            Population(name=f"mixture {number}", planted=share, originals=tuple(originals), variants=tuple(variants))
        )
    return found
