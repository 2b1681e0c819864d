"""Probe: stories about false beliefs, unaltered and with a small change that turns the answer.

The verdict rests on the alterations that turn the answer, paired by story and probe; those that leave it as it was are
shown apart, since a model that always says what is true fails them. Controls ask what is really the case or what was at
the beginning. Where the model gives log-probabilities, both words are also scored as continuations.
Source: Ullman 2023, arXiv:2302.08399. Deviations: see `menon.problems.minds_stories`; verdicts on generated answers.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from menon.auditing.contrasts import Contrast, cells_of, contrasts_of
from menon.auditing.probe import Answered, Effect, Material, ProbeReport, Question
from menon.auditing.probes.indices import first_distinct
from menon.auditing.probes.pooling import points, pooled_contrasts
from menon.auditing.sentences import percent
from menon.auditing.verdict import Finding, cannot_tell
from menon.core.values import Problem, Verdict
from menon.problems.minds import MIND_TASKS, MindTask
from menon.problems.minds_stories import BASE
from menon.sampling.protocol import Sampler
from menon.stats import Interval, paired_difference, wilson, wilson_clustered

NAME = "minds"
TITLE = "Beliefs of others, and small changes that turn the answer"
SOURCE = "Ullman 2023, arXiv:2302.08399"
READING = "the one of the two words that is given as the answer"
STAYS = ": answer stays"
SPLIT = "test"
SCORED_STORIES = 4  # for each version, when continuations are scored


@dataclass(frozen=True, slots=True, kw_only=True)
class MindsProbe:
    """Unexpected contents and unexpected transfer, with alterations."""

    name: str = NAME
    title: str = TITLE
    source: str = SOURCE

    def objection(self, material: Material) -> str | None:
        return None

    def questions(self, material: Material) -> list[Question]:
        """Ask every version of each story with one of the two probes, in turn, and a control on every fourth story.

        More stories with one probe each say more than fewer with both, since answers on one story are alike.
        """
        return [
            question
            for task in MIND_TASKS
            for place, index in enumerate(_stories(task, material, max(4, material.per_cell // 3)))
            for version in (BASE, *task.worlds)
            for question in _asked(task, place, index, version)
        ]

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        """Yield the log-probabilities of both words after each story; nothing where the model gives none."""
        if not material.scores or material.sampler is None:
            return
        sampler = material.sampler()
        problems = [
            task.problem(SPLIT, index, world=version, probe=probe)
            for task in MIND_TASKS
            for index in _stories(task, material, max(SCORED_STORIES, material.per_cell // 12))
            for version in (BASE, *task.worlds)
            for probe in task.probes
        ]
        material.progress.start("scoring continuations of stories", len(problems), "stories")
        for problem in problems:
            yield _scored(sampler, problem)
            material.progress.advance()

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        level = material.config.level
        cells = cells_of(NAME, answered, level=level, reading=READING)
        contrasts = contrasts_of(cells, config=material.config)
        turning = [item for item in answered if not item.question.task.endswith(STAYS)]
        overall = pooled_contrasts(
            NAME, turning, task="stories", altered="altered so that the answer turns", config=material.config
        )
        likely = _likelihood_effect(measured, material)
        tables = {
            "versions of the stories": _version_rows(answered, level),
            "probability of the right word": _likelihood_rows(measured, level),
        }
        return ProbeReport(
            name=NAME,
            title=TITLE,
            source=SOURCE,
            sentence=_sentence(overall, answered, level),
            cells=tuple(cells),
            contrasts=tuple(contrasts),
            effects=(
                *(replace(c.effect(primary=at == 0), label=_label(c)) for at, c in enumerate(overall)),
                *(contrast.effect() for contrast in contrasts),
                *([likely] if likely else []),
            ),
            tables={title: rows for title, rows in tables.items() if rows},
            notes=(
                "Blind guessing between the two words is right half the time; shares and verdicts count what is above.",
            ),
            finding=_finding(overall),
        )


def _stories(task: MindTask, material: Material, count: int) -> list[int]:
    return first_distinct(lambda index: task.problem(SPLIT, index), count, seed=material.seed)


def _asked(task: MindTask, place: int, index: int, version: str) -> Iterable[Question]:
    """Yield one probe on one version of a story and, for every fourth story, its control."""
    turns = task.scenario.alteration(version).flips
    name = task.name if turns or version == BASE else task.name + STAYS
    story = f"{task.name}/{index}"
    probe = task.probes[place % len(task.probes)]
    yield Question(
        problem=task.problem(SPLIT, index, world=version, probe=probe),
        task=name,
        condition=version,
        baseline=version == BASE,
        pair=f"{story}/{probe}",
        cluster=story,
    )
    if place % 4 == 0:
        # Kinds of control change from story to story and from version to version, so that both meet every version.
        kind = ("reality", "memory")[(place // 4 + (BASE, *task.worlds).index(version)) % 2]
        yield Question(
            problem=task.control(SPLIT, index, world=version, kind=kind),
            task=name,
            condition=version,
            control=True,
            pair=f"{story}/control",
            cluster=story,
        )


def _scored(sampler: Sampler, problem: Problem) -> dict[str, Any]:
    """Score the right and the wrong word after the story and the beginning of a sentence."""
    wrong = next(word for word in problem.choices if word != problem.answer)
    prompt = problem.meta["continued"]
    return {
        "scenario": problem.family,
        "version": problem.meta["alteration"],
        "probe": problem.meta["probe"],
        "story": problem.meta["item"],
        "flips": problem.meta["flips"],
        "right": math.fsum(sampler.score(prompt, f" {problem.answer}")),
        "wrong": math.fsum(sampler.score(prompt, f" {wrong}")),
    }


def _right_share(row: Mapping[str, Any]) -> float:
    """Return the probability of the right word given that one of the two is written."""
    odds = max(-700.0, min(700.0, float(row["wrong"]) - float(row["right"])))
    return 1 / (1 + math.exp(odds))


def _version_rows(answered: Sequence[Answered], level: float) -> list[dict[str, Any]]:
    groups: defaultdict[tuple[str, str, str], list[Answered]] = defaultdict(list)
    for item in answered:
        if item.grade.verdict is not Verdict.ERROR and not item.question.control:
            groups[item.question.task.removesuffix(STAYS), item.question.condition, item.model].append(item)
    rows = []
    for (scenario, version, model), items in groups.items():
        meta = items[0].question.problem.meta
        found = wilson_clustered(
            [item.grade.score for item in items],
            [item.question.cluster or str(n) for n, item in enumerate(items)],
            level,
        )
        unaltered = _as_if_unaltered(items, level)
        rows.append(
            {
                "scenario": scenario,
                "version": version,
                "axis": meta.get("axis", ""),
                "answer turns": bool(meta.get("flips")),
                "model": model,
                "n": found.n,
                "accuracy": found.value,
                "low": found.low,
                "high": found.high,
                "as if unaltered": unaltered.value,
            }
        )
    return rows


def _as_if_unaltered(items: Sequence[Answered], level: float) -> Interval:
    """Return how often the answer was the one that the unaltered story has."""
    same = [
        str(item.grade.answer or "").casefold() == str(item.question.problem.meta.get("as_if_unaltered")).casefold()
        for item in items
    ]
    return wilson(sum(same), len(same), level)


def _likelihood_rows(measured: Sequence[Mapping[str, Any]], level: float) -> list[dict[str, Any]]:
    groups: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in measured:
        groups[row["scenario"], row["version"]].append(row)
    rows = []
    for (scenario, version), found in groups.items():
        interval = wilson_clustered([_right_share(row) for row in found], [row["story"] for row in found], level)
        rows.append(
            {
                "scenario": scenario,
                "version": version,
                "answer turns": bool(found[0]["flips"]),
                "n": interval.n,
                "probability": interval.value,
                "low": interval.low,
                "high": interval.high,
            }
        )
    return rows


def _likelihood_effect(measured: Sequence[Mapping[str, Any]], material: Material) -> Effect | None:
    """Return what the turning alterations cost in the probability of the right word, paired by story and probe."""
    base = {(row["story"], row["probe"]): _right_share(row) for row in measured if row["version"] == BASE}
    altered: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for row in measured:
        if row["flips"] and (row["story"], row["probe"]) in base:
            altered[row["story"], row["probe"]].append(_right_share(row))
    if not altered:
        return None
    config = material.config
    found = paired_difference(
        [base[key] for key in altered],
        [math.fsum(values) / len(values) for values in altered.values()],
        [story for story, _ in altered],
        seed=config.seed,
        level=config.level,
    )
    return Effect(
        label="probability of the right word: unaltered to altered",
        value=-found.value,
        low=-found.high,
        high=-found.low,
        n=found.n,
        kind="other",
        unit="probability",
        p=found.p,
        note="two words scored as continuations, paired by story and probe",
    )


def _label(contrast: Contrast) -> str:
    model = f" ({contrast.model})" if contrast.model else ""
    return f"stories altered so that the answer turns, all together{model}"


def _finding(overall: Sequence[Contrast]) -> Finding:
    if not overall:
        return cannot_tell("no story was answered both unaltered and altered")
    return overall[0].finding


def _sentence(overall: Sequence[Contrast], answered: Sequence[Answered], level: float) -> str:
    if not overall:
        return "No story was answered both unaltered and altered."
    first = overall[0]
    turned = [
        item for item in first.altered.answered if item.grade.verdict is not Verdict.ERROR and not item.question.control
    ]
    stays = [
        item.grade.score
        for item in answered
        if item.question.task.endswith(STAYS) and not item.question.control and item.grade.verdict is not Verdict.ERROR
    ]
    kept = f" Where a change leaves the answer as it was: {percent(sum(stays) / len(stays))} right." if stays else ""
    check = "" if first.control is None else f" Questions on the plain facts: {percent(first.control.accuracy)} right."
    return (
        f"Asked what somebody believes, the model is right in {percent(first.baseline.accuracy)} of the unaltered "
        f"stories and in {percent(first.altered.accuracy)} once a small change turns the answer (loss "
        f"{points(first.loss)} points, interval {points(first.low)} to {points(first.high)}); it answers as if "
        f"nothing had changed in {percent(_as_if_unaltered(turned, level).value)}.{kept}{check}"
    )


MINDS = MindsProbe()
