"""Probe: analogies in the usual alphabet against the same ones in altered alphabets, with people beside the model.

Letter strings over a shown alphabet carry the verdict: the same items, at the same positions, in other orders of
letters or of symbols, with the neighbour of a letter as the check that the alphabet was understood. Generalisations,
words with an order and digit matrices are harder rather than altered problems; they are shown beside people and GPT-3
and enter no verdict. Recorded answers to the published problems are digested alike: there the wording of
the prompt is what changes, which says nothing of reciting.
Source: Webb et al. 2023, arXiv:2212.09196; Lewis and Mitchell 2024, arXiv:2402.08955; Hodel and West 2023,
arXiv:2308.16118. Deviations: see `menon.problems.analogies`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

from menon.auditing.contrasts import Cell, Contrast, cells_of, contrasts_of
from menon.auditing.probe import Answered, Effect, Material, ProbeReport, Question
from menon.auditing.probes.analogy_tables import (
    CHOSEN,
    GENERALISATION_CURVE,
    MATRIX_CURVE,
    generalisation_curve,
    human_rows,
    is_published_letters,
    matrix_curve,
    matrix_level,
    step_rows,
    usual_rows,
    wording_of,
)
from menon.auditing.probes.indices import first_distinct
from menon.auditing.probes.pooling import points, pooled_contrasts
from menon.auditing.sentences import percent
from menon.auditing.verdict import Finding, cannot_tell
from menon.core.values import Problem
from menon.problems.analogies.alphabets import ALTERED, NORMAL
from menon.problems.analogies.letters import GENERALISATIONS_OF_LETTERS, LETTER_STRINGS, WORD_SEQUENCES
from menon.problems.analogies.matrices import DIGIT_MATRICES

NAME = "analogies"
TITLE = "Analogies in usual and altered alphabets"
SOURCE = "Webb et al. 2023, arXiv:2212.09196; Lewis and Mitchell 2024, arXiv:2402.08955"
READING = "the token sequence after the answer mark, compared token by token"
LETTERS = "letter strings"
CHANGES = 6  # letter strings come in turns of six, one for each change
SPLIT = "test"
WORDINGS, FIRST_WORDING = "published letter strings by wording", "pattern"


@dataclass(frozen=True, slots=True, kw_only=True)
class Analogies:
    """Letter strings over alphabets, generalisations, word sequences and digit matrices."""

    name: str = NAME
    title: str = TITLE
    source: str = SOURCE

    def objection(self, material: Material) -> str | None:
        return None

    def questions(self, material: Material) -> list[Question]:
        """Ask `per_cell` letter strings in each alphabet and fewer of what enters no verdict."""
        each = CHANGES * max(1, round(material.per_cell / CHANGES))
        third, fifth = (max(4, material.per_cell // part) for part in (3, 5))
        asked = first_distinct(lambda index: LETTER_STRINGS.problem(SPLIT, index), each, seed=material.seed)
        checks = first_distinct(lambda index: LETTER_STRINGS.control(SPLIT, index), fifth, seed=material.seed)
        alphabets = [
            Question(
                problem=LETTER_STRINGS.problem(SPLIT, index, world=condition),
                task=LETTERS,
                condition=condition,
                baseline=condition == NORMAL,
                pair=str(index),
            )
            for condition in (NORMAL, *ALTERED)
            for index in asked
        ]
        controls = [
            Question(
                problem=LETTER_STRINGS.control(SPLIT, index, world=condition),
                task=LETTERS,
                condition=condition,
                control=True,
                pair=f"control {index}",
            )
            for condition in (NORMAL, *ALTERED)
            for index in checks
        ]
        return [*alphabets, *controls, *_beside(material, third, fifth)]

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        return ()

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        return analogies_report(answered, material)


def analogies_report(answered: Sequence[Answered], material: Material) -> ProbeReport:
    """Return the report on answers to our own questions or to the published ones (task "letter-string" ...)."""
    cells = cells_of(NAME, answered, level=material.config.level, reading=READING)
    contrasts = contrasts_of(cells, config=material.config)
    live = any(item.question.task == LETTERS for item in answered)
    compared = [a for a in answered if a.question.task == LETTERS] if live else [*_by_wording(answered)]
    overall = pooled_contrasts(
        NAME,
        compared,
        task=LETTERS,
        altered="altered alphabets" if live else "other wordings of the prompt",
        config=material.config,
    )
    beside = human_rows(answered, material.config.level)
    tables = {
        "human baselines": beside,
        "answers as if the alphabet were the usual one": usual_rows(answered, material.config.level),
        "letter strings by step": step_rows(answered, material.config.level),
    }
    curves = {
        GENERALISATION_CURVE: generalisation_curve(answered, material.config.level),
        MATRIX_CURVE: matrix_curve(answered, material.config.level),
    }
    return ProbeReport(
        name=NAME,
        title=TITLE,
        source=SOURCE,
        sentence=_sentence(overall, cells, beside, live),
        cells=tuple(cells),
        contrasts=tuple(contrasts),
        effects=_effects(overall, contrasts, live),
        tables={title: rows for title, rows in tables.items() if rows},
        curves={title: series for title, series in curves.items() if series},
        x_names={GENERALISATION_CURVE: "generalisations", MATRIX_CURVE: "rules"},
        notes=_notes(live),
        finding=_finding(overall, live),
    )


def _beside(material: Material, generalised: int, others: int) -> list[Question]:
    """Return the questions that enter no verdict: generalisations, words, matrices written and chosen."""
    asked: list[tuple[str, str, Problem]] = []
    for count in GENERALISATIONS_OF_LETTERS.difficulties:
        make = partial(GENERALISATIONS_OF_LETTERS.problem, SPLIT, difficulty=count)
        found = map(make, first_distinct(make, generalised, seed=material.seed))
        asked += [("letter generalisations", str(count), problem) for problem in found]
    make = partial(WORD_SEQUENCES.problem, SPLIT)
    asked += [("word sequences", "words", make(index)) for index in first_distinct(make, others, seed=material.seed)]
    for level in DIGIT_MATRICES.difficulties:
        make = partial(DIGIT_MATRICES.problem, SPLIT, difficulty=level)
        for index in first_distinct(make, others, seed=material.seed):
            written, chosen = make(index), make(index, choices=True)
            condition = matrix_level(str(written.meta["category"]))
            asked += [("digit matrices", condition, written), (CHOSEN, condition, chosen)]
    return [
        Question(problem=problem, task=task, condition=condition, pair=str(problem.meta["item"]))
        for task, condition, problem in asked
    ]


def _by_wording(answered: Iterable[Answered]) -> Iterable[Answered]:
    """Yield the published letter strings as one task whose conditions are the wordings of the prompt."""
    for item in answered:
        if is_published_letters(item) and not item.question.control:
            wording = wording_of(item)
            pair = item.question.pair or str(item.question.problem.meta.get("item", ""))
            changed = replace(
                item.question, task=WORDINGS, condition=wording, baseline=wording == FIRST_WORDING, pair=pair
            )
            yield replace(item, question=changed)


def _effects(overall: Sequence[Contrast], contrasts: Sequence[Contrast], live: bool) -> tuple[Effect, ...]:
    rows = [
        replace(effect, label=_pooled_label(contrast), note=effect.note if live else f"{effect.note}; wording only")
        for place, contrast in enumerate(overall)
        for effect in [contrast.effect(primary=place == 0)]
    ]
    return (*rows, *(c.effect(primary=not rows and place == 0) for place, c in enumerate(contrasts)))


def _pooled_label(contrast: Contrast) -> str:
    model = f" ({contrast.model})" if contrast.model else ""
    return f"analogies: {contrast.altered.condition}, all together{model}"


def _finding(overall: Sequence[Contrast], live: bool) -> Finding:
    if not live:
        return cannot_tell("no altered alphabet was asked; other wordings of a prompt say nothing of reciting")
    if not overall:
        return cannot_tell("no letter string was answered in both the usual and an altered alphabet")
    return overall[0].finding


def _sentence(
    overall: Sequence[Contrast], cells: Sequence[Cell], beside: Sequence[Mapping[str, Any]], live: bool
) -> str:
    if not overall:
        scored = [cell for cell in cells if cell.accuracy is not None and not cell.control]
        right = ", ".join(f"{cell.task} {cell.condition} {percent(cell.accuracy)}" for cell in scored[:4])
        return f"No two conditions could be compared ({right or 'no answers'})."
    first = overall[0]
    interval = f"loss {points(first.loss)} points, interval {points(first.low)} to {points(first.high)}"
    if not live:
        people = [row["people"] for row in beside if row["wording"] == FIRST_WORDING and row["people"] is not None]
        told = f"; people solved {percent(fmean(people))} of these kinds" if people else ""
        return (
            f"The published letter strings: {percent(first.baseline.accuracy)} right when asked to complete a pattern, "
            f"{percent(first.altered.accuracy)} in other wordings of the prompt ({interval}){told}."
        )
    check = "" if first.control is None else f" The check on these alphabets: {percent(first.control.accuracy)} right."
    return (
        f"Of letter-string analogies the model solves {percent(first.baseline.accuracy)} in the usual alphabet and "
        f"{percent(first.altered.accuracy)} when its order or its symbols change ({interval}); people were 82 % and "
        f"71 to 77 % right.{check}"
    )


def _notes(live: bool) -> tuple[str, ...]:
    people = (
        "People's figures are for the published problems: 57 students on letter strings, 43 on matrices. Our own "
        "problems are made by the same rules and are not the same items."
    )
    step = "A loss in altered alphabets with a passed check can also come from counting along an unfamiliar list."
    return (people, step) if live else (people,)


ANALOGIES = Analogies()
