"""Frequency: is the model better on items whose numbers, words or wording are common in the training text?

Four counts per item, from one pass over the corpus:

    numbers    geometric mean of how often each number of the question occurs
    words      the same for its other words
    phrase     how often the rarest pair of neighbouring words (or numbers) of the question occurs
    template   how often the question occurs with its numbers masked

The slope is that of a logistic regression of right answers on log10(1 + count): log-odds per tenfold frequency. The
primary slope is that on the phrase, because it exists for every question; the others are beside it.
Left out: word windows wider than two, and counts of question and answer together.
Source: Razeghi et al. 2022, arXiv:2202.07206; counts of single numbers and pairs, here with a logistic slope.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from menon.auditing.contrasts import cells_of
from menon.auditing.memory.frequencies import MEASURES, frequencies
from menon.auditing.memory.panel import BASE_FAMILIES, BASE_MIXTURE, is_embedded, spread
from menon.auditing.probe import Answered, Effect, Material, ProbeReport, Question
from menon.core.errors import ConfigError
from menon.core.values import Problem
from menon.problems import FAMILIES
from menon.problems.corpus import Corpus, originals
from menon.problems.corpus_files import CorpusFiles, Passage
from menon.stats import wilson_clustered
from menon.stats.trend import Trend, logistic_trend

PRIMARY = "phrase"
DOCUMENTS = 10_000  # of the embedded model's own text
BINS = 4
LEAST_ITEMS = 20
LEAST_OUTCOMES = 5  # right and wrong answers; with fewer the slope hangs on single items
CONFOUNDED = (
    "Frequency may go with difficulty: a longer question has more small and common numbers. The slopes within equal "
    "difficulty compare items with the mean of their own family and difficulty."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequency:
    """Asks the items, counts what they are made of, and relates the two."""

    name: str = "frequency"
    title: str = "Is the model better at what it has seen more often?"
    source: str = "Razeghi et al. 2022, arXiv:2202.07206"

    def objection(self, material: Material) -> str | None:
        if not material.corpus and not is_embedded(material):
            return "needs training text as files (--corpus)"
        if len(_items(material)) < LEAST_ITEMS:
            return f"needs at least {LEAST_ITEMS} questions; give them with --data"
        return None

    def questions(self, material: Material) -> list[Question]:
        return [
            Question(problem=problem, task=problem.family, condition="items", cluster=problem.template or problem.id)
            for problem in _items(material)
        ]

    def measure(self, material: Material) -> Iterable[dict[str, Any]]:
        items = _items(material)
        files = CorpusFiles(material.corpus)
        found = frequencies([p.question for p in items], files.passages() if material.corpus else _own_text(material))
        for problem, counts in zip(items, found, strict=True):
            yield {"item": problem.id, **counts}
        if files.bad:
            path, line, reason = files.bad_rows[0]
            yield {"bad": f"{files.bad} rows of the corpus could not be read (first: {path}:{line}: {reason})"}

    def report(
        self, answered: Sequence[Answered], measured: Sequence[Mapping[str, Any]], material: Material
    ) -> ProbeReport:
        counts = {row["item"]: row for row in measured if "item" in row}
        cells = cells_of(self.name, answered, reading="the audit's prompt")
        scored = [_Scored.of(rows, counts) for rows in _by_item(answered).values()]
        groups = {"all": scored}
        for one in scored:
            groups.setdefault(one.group, []).append(one)
        if len(groups) == 2:
            del groups["all"]
        trends, notes = _trends(groups, material)
        adjusted, _ = _trends({group: _within(items) for group, items in groups.items()}, material)
        notes.append(CONFOUNDED)
        notes += [row["bad"] for row in measured if "bad" in row]
        if not material.corpus:
            notes.append(f"counted in {_documents(material):,} documents of menon:base's own text, a sample of it")
        first = next(iter(groups))
        return ProbeReport(
            name=self.name,
            title=self.title,
            source=self.source,
            sentence=_sentence(trends.get((first, PRIMARY))),
            cells=tuple(cells),
            effects=tuple(_effect(key, trend, primary=key == (first, PRIMARY)) for key, trend in trends.items()),
            tables={
                "slopes (log-odds per tenfold frequency)": [
                    {"family": group, "measure": measure, **trend.to_json()}
                    for (group, measure), trend in trends.items()
                ],
                "slopes within equal difficulty": [
                    {"family": group, "measure": measure, **trend.to_json()}
                    for (group, measure), trend in adjusted.items()
                ],
                "accuracy by frequency": [row for group in groups for row in _bins(group, groups[group], material)],
            },
            curves={
                f"accuracy against frequency of the {measure}": _curves(groups, measure, material)
                for measure in MEASURES
                if any(key[1] == measure for key in trends)
            },
            x_names={f"accuracy against frequency of the {m}": "occurrences in the training text" for m in MEASURES},
            notes=tuple(notes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    """An item's mean score with log10(1 + count) for every measure that it has."""

    group: str
    difficulty: int
    cluster: str
    score: float
    tenfolds: dict[str, float]

    @classmethod
    def of(cls, rows: Sequence[Answered], counts: Mapping[str, Mapping[str, Any]]) -> "_Scored":
        question = rows[0].question
        own = counts.get(question.problem.id, {})
        return cls(
            group=question.problem.family,
            difficulty=question.problem.difficulty,
            cluster=question.cluster,
            score=fmean(row.grade.score for row in rows),
            tenfolds={name: own[name] for name in MEASURES if own.get(name) is not None},
        )


def _items(material: Material) -> list[Problem]:
    """Return the user's questions, or for the embedded model problems of every kind that its text holds."""
    if material.problems:
        by_family: dict[str, list[Problem]] = {}
        for problem in {p.id: p for p in material.problems}.values():
            by_family.setdefault(problem.family, []).append(problem)
        return [p for problems in by_family.values() for p in spread(problems, 4 * material.per_cell)]
    if not is_embedded(material):
        return []
    found = []
    for name in BASE_FAMILIES:
        family = FAMILIES.get(name)
        seen = spread(originals(family), material.per_cell)
        fresh = [family.problem("test", i, difficulty=p.difficulty) for i, p in enumerate(seen)]
        found += {p.id: p for p in (*seen, *fresh)}.values()
    return found


def _documents(material: Material) -> int:
    count = material.options.get("documents", DOCUMENTS)
    if not isinstance(count, int) or count < 1:
        raise ConfigError(f"frequency: documents={count!r}; allowed: 1 or more ({DOCUMENTS} suits menon:base)")
    return count


def _own_text(material: Material) -> Iterator[Passage]:
    corpus = Corpus()
    for place in range(_documents(material)):
        document = corpus.document(place, BASE_MIXTURE)
        yield Passage(f"{document.prompt}{document.completion}")


def _by_item(answered: Sequence[Answered]) -> dict[str, list[Answered]]:
    items: defaultdict[str, list[Answered]] = defaultdict(list)
    for row in answered:
        if row.completion.finish != "error":
            items[row.question.problem.id].append(row)
    return items


def _trends(
    groups: Mapping[str, Sequence[_Scored]], material: Material
) -> tuple[dict[tuple[str, str], Trend], list[str]]:
    trends, notes = {}, []
    for group, items in groups.items():
        for measure in (PRIMARY, *(name for name in MEASURES if name != PRIMARY)):
            having = [item for item in items if measure in item.tenfolds]
            values = [item.tenfolds[measure] for item in having]
            reason = ""
            if len(having) < LEAST_ITEMS:
                reason = f"{len(having)} items have any"
            elif max(values) - min(values) < 1e-9:
                reason = "all items are equally frequent"
            elif min(rights := sum(item.score for item in having), len(having) - rights) < LEAST_OUTCOMES:
                reason = f"{rights:.0f} of {len(having)} answers are right, too few of one kind"
            if reason:
                notes.append(f"{group}, {measure}: no slope, because {reason}")
                continue
            trends[group, measure] = logistic_trend(
                [item.score for item in having],
                values,
                [item.cluster for item in having],
                seed=material.seed,
                level=material.config.level,
            )
    return trends, notes


def _within(items: Sequence[_Scored]) -> list[_Scored]:
    """Return the items with every frequency taken relative to the mean of the same family and difficulty."""
    strata: defaultdict[tuple[str, int, str], list[float]] = defaultdict(list)
    for item in items:
        for name, value in item.tenfolds.items():
            strata[item.group, item.difficulty, name].append(value)
    means = {key: fmean(values) for key, values in strata.items()}
    return [
        replace(
            item,
            tenfolds={name: v - means[item.group, item.difficulty, name] for name, v in item.tenfolds.items()},
        )
        for item in items
    ]


def _effect(key: tuple[str, str], trend: Trend, *, primary: bool) -> Effect:
    group, measure = key
    return Effect(
        label=f"{group}: frequency of the {measure}",
        value=trend.slope,
        low=trend.low,
        high=trend.high,
        n=trend.n,
        kind="other",
        unit="log-odds per tenfold frequency",
        p=trend.p,
        primary=primary,
        note=str(trend.note or ""),
    )


def _quantiles(items: Sequence[_Scored], measure: str) -> list[list[_Scored]]:
    """Cut the items into bins of about equal size; equal frequencies stay together."""
    having = sorted((item for item in items if measure in item.tenfolds), key=lambda item: item.tenfolds[measure])
    bins: list[list[_Scored]] = []
    for place, item in enumerate(having):
        same = bins and bins[-1][-1].tenfolds[measure] == item.tenfolds[measure]
        if not bins or (not same and place * BINS // len(having) >= len(bins)):
            bins.append([])
        bins[-1].append(item)
    return bins


def _points(items: Sequence[_Scored], measure: str, material: Material) -> Iterator[dict[str, Any]]:
    for members in _quantiles(items, measure):
        found = [item.tenfolds[measure] for item in members]
        rate = wilson_clustered(
            [item.score for item in members], [item.cluster for item in members], material.config.level
        )
        yield {
            **{"from": 10 ** min(found) - 1, "to": 10 ** max(found) - 1, "x": 10 ** fmean(found) - 1},
            **rate.to_json(),
        }


def _bins(group: str, items: Sequence[_Scored], material: Material) -> Iterator[dict[str, Any]]:
    for measure in MEASURES:
        for point in _points(items, measure, material):
            named = {"accuracy" if name == "value" else name: value for name, value in point.items() if name != "x"}
            yield {"family": group, "measure": measure, **named}


def _curves(groups: Mapping[str, Sequence[_Scored]], measure: str, material: Material) -> list[dict[str, Any]]:
    curves = []
    for group, items in groups.items():
        points = [
            {name: point[name] for name in ("x", "value", "low", "high", "n")}
            for point in _points(items, measure, material)
        ]
        if points:
            curves.append({"name": group, "points": points})
    return curves


def _sentence(trend: Trend | None) -> str:
    if trend is None:
        return "No slope of accuracy on frequency could be estimated."
    odds = f"a factor of {math.exp(trend.slope):.2g} ({math.exp(trend.low):.2g} to {math.exp(trend.high):.2g})"
    if trend.low > 0:
        return (
            f"The model is better on what is common in its training text: tenfold frequency changes the odds by {odds}."
        )
    if trend.high < 0:
        return (
            f"The model is worse on what is common in its training text: tenfold frequency changes the odds by {odds}."
        )
    return f"Accuracy is not shown to depend on frequency in the training text: tenfold changes the odds by {odds}."


FREQUENCY = Frequency()
