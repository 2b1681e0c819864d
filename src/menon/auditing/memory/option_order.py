"""Detector: is the published order of a question's options likelier than other orders of the same options?

A model that has not seen the question has no reason to prefer the published order, so its rank among random orders is
uniform. Ranks of all items are summed, and the test is exact. Items whose options have a natural order (numbers, "all
of the above") are left out whatever their order is, because anybody would write them in it; a set whose options are
sorted too often is not judged at all.
Source: Oren et al. 2023, arXiv:2310.17623, applied to the options of one question in place of the items of one file.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import Any

from menon.auditing.memory.panel import Panel, Part
from menon.auditing.memory.ranks import rank_among, rank_sum_p
from menon.auditing.memory.texts import begun, listed
from menon.auditing.probe import Answered, Effect
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.grading.numbers import parse_number
from menon.sampling.token_scores import text_scores
from menon.stats.proportions import wilson

REFERS = re.compile(
    r"\b(both|neither|none|all) (of|are)\b|\b(both|neither) \(?[a-h]\b|\bthe (above|below|others?)\b", re.IGNORECASE
)
LEAST_ITEMS = 5


def orders(count: int, most: int, rng: Random) -> list[tuple[int, ...]]:
    """Return the published order and up to `most` others, all different; every order where there are few enough."""
    published = tuple(range(count))
    wanted = min(most, math.factorial(count) - 1)
    found = {published: None}
    while len(found) <= wanted:
        found.setdefault(tuple(rng.sample(published, count)))
    return list(found)


def natural_order(choices: Sequence[str]) -> str:
    """Say why the options have an order of their own, whatever order they stand in; empty when they have none."""
    if any(REFERS.search(choice) for choice in choices):
        return "an option speaks of the others"
    numbers = sum(parse_number(choice) is not None or choice[:1].isdigit() for choice in choices)
    return "the options are numbers" if 2 * numbers > len(choices) else ""


def sorted_too_often(choices: Sequence[Sequence[str]]) -> str:
    """Say that far more of the sets of options are in alphabetical order than chance allows; empty when not."""
    several = [[text.lower() for text in texts] for texts in choices if len(texts) > 2]
    if not several:
        return ""
    in_order = sum(texts == sorted(texts) for texts in several)
    expected = fmean(1 / math.factorial(len(texts)) for texts in several)
    low = wilson(in_order, len(several), level=0.999).low
    if low <= expected:
        return ""
    return f"options stand in alphabetical order in {in_order} of {len(several)} items (chance: {expected:.1%})"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionOrder:
    """Scores each multiple-choice question with its options in the published and in other orders."""

    name: str = "option_order"
    title: str = "option order"

    def objection(self, panel: Panel) -> str | None:
        if reason := panel.no_scores():
            return reason
        several = [s.problem for s in panel.seen if len(s.problem.choices) > 1]
        if not several:
            return "needs multiple-choice questions"
        usable = [p for p in several if not natural_order(p.choices)]
        if len(usable) < LEAST_ITEMS:
            return (
                f"needs at least {LEAST_ITEMS} multiple-choice questions whose options have no order of their own; "
                f"{len(usable)} of {len(several)} are left"
            )
        return sorted_too_often([p.choices for p in usable]) or None

    def measure(self, panel: Panel) -> Iterable[dict[str, Any]]:
        asked: list[tuple[dict[str, Any], list[tuple[str, str]]]] = []
        for subject in panel.seen:
            problem = subject.problem
            if len(problem.choices) > 1 and not natural_order(problem.choices):
                rng = rng_for("memory", "options", problem.id)
                arranged = orders(len(problem.choices), panel.options.shuffles, rng)
                asked.append((subject.names(), [_text(problem, order) for order in arranged]))
        pairs = [pair for _, texts in asked for pair in texts]
        scores = iter(text_scores(panel.sampler(), pairs, progress=panel.material.progress))
        for names, texts in asked:
            own, *others = [sum(next(scores)) for _ in texts]
            rank = rank_among(own, others)
            yield {**names, "rank": rank, "orders": len(texts), "own": own, "others": fmean(others)}

    def report(self, rows: Sequence[Mapping[str, Any]], answered: Sequence[Answered], panel: Panel) -> Part:
        table, effects = order_report(rows, "option order", "orders of its options")
        left_out = sum(len(s.problem.choices) > 1 for s in panel.seen) - len(rows)
        notes = (
            [f"option order: {left_out} items left out, because their options have an order of their own"]
            if left_out > 0
            else []
        )
        return Part(effects=tuple(effects), tables={"option order": table}, notes=tuple(notes))


def order_report(
    rows: Sequence[Mapping[str, Any]], label: str, among: str
) -> tuple[list[dict[str, Any]], list[Effect]]:
    """Return per family the share of ranks that come first, with its interval, and the exact test of all ranks."""
    groups: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row)
    if len(groups) > 1:
        groups["all"] = list(rows)
    table, effects = [], []
    for group, members in sorted(groups.items(), key=lambda pair: pair[0] != "all"):
        first = wilson(sum(row["rank"] == 1 for row in members), len(members))
        chance = fmean(1 / row["orders"] for row in members)
        middle = fmean((row["rank"] - 0.5) / row["orders"] for row in members)
        p = rank_sum_p([row["rank"] for row in members], [row["orders"] for row in members])
        line = {"family": group, "n": len(members), "first": first.value, "low": first.low, "high": first.high}
        table.append({**line, "chance": chance, "mean relative rank": middle, "p": p})
        effects.append(
            Effect(
                label=f"{label}, {group}: published order ranks first",
                value=first.value - chance,
                low=first.low - chance,
                high=first.high - chance,
                n=len(members),
                kind="other",
                unit="share above chance",
                p=p,
                note=f"among {among}; mean relative rank {middle:.2f} (0.5 when unseen)",
            )
        )
    return table, effects


def _text(problem: Problem, order: Sequence[int]) -> tuple[str, str]:
    return begun(listed(problem.question, tuple(problem.choices[place] for place in order)))


OPTION_ORDER = OptionOrder()
