"""Detector: is the published order of the items of a data set likelier than shuffles of it?

The items are cut into shards of neighbours; each shard's published order is ranked among random orders of the same
items. Needs at least 20 items, and only the file's own order can be tested: a data set whose items are sorted (by
length, by topic) is likelier in its order to any model.
Source: the sharded test of Oren et al. 2023, arXiv:2310.17623; ranks and their exact distribution replace the t-test.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from menon.auditing.memory.option_order import order_report, orders
from menon.auditing.memory.panel import Panel, Part
from menon.auditing.memory.ranks import rank_among
from menon.auditing.memory.texts import begun, listed
from menon.auditing.probe import Answered
from menon.core.seeds import rng_for
from menon.core.values import Problem
from menon.sampling.token_scores import text_scores

LEAST_ITEMS = 20
LARGEST_SHARD = 5
BASE_SHARDS = 6  # of each family: the embedded model saw no order, so its ranks only show that the test is fair
LONGEST = 1400  # characters of a shard, so that small contexts hold it


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOrder:
    """Scores runs of neighbouring items in the file's order and in other orders."""

    name: str = "set_order"
    title: str = "data-set order"

    def objection(self, panel: Panel) -> str | None:
        if reason := panel.no_scores():
            return reason
        if not _shards(panel):
            return f"needs at least {LEAST_ITEMS} items of one data set, short enough that two fit the model's context"
        return None

    def measure(self, panel: Panel) -> Iterable[dict[str, Any]]:
        asked: list[tuple[dict[str, Any], list[tuple[str, str]]]] = []
        for group, shards in _shards(panel).items():
            for number, shard in enumerate(shards):
                rng = rng_for("memory", "shard", group, number, shard[0].id)
                arranged = orders(len(shard), panel.options.shuffles, rng)
                texts = [_text([shard[place] for place in order]) for order in arranged]
                asked.append(({"group": group, "shard": number, "items": len(shard)}, texts))
        pairs = [pair for _, texts in asked for pair in texts]
        scores = iter(text_scores(panel.sampler(), pairs, progress=panel.material.progress))
        for names, texts in asked:
            own, *others = [sum(next(scores)) for _ in texts]
            yield {
                **names,
                "rank": rank_among(own, others),
                "orders": len(texts),
                "own": own,
                "others": fmean(others),
            }

    def report(self, rows: Sequence[Mapping[str, Any]], answered: Sequence[Answered], panel: Panel) -> Part:
        table, effects = order_report(rows, "data-set order", "orders of the same items")
        notes = ()
        if panel.is_base and table:
            notes = ("The originals of menon:base have no order in its training text, so ranks must look random here.",)
        return Part(effects=tuple(effects), tables={"data-set order": table}, notes=notes)


def _shards(panel: Panel) -> dict[str, list[list[Problem]]]:
    """Cut each family with enough items into runs of neighbours; a run that is too long is cut short."""
    families: dict[str, list[Problem]] = {}
    given = [s.problem for s in panel.seen] if panel.is_base else panel.material.problems
    for problem in given:
        families.setdefault(problem.family, []).append(problem)
    found = {}
    for name, problems in families.items():
        if len(problems) < LEAST_ITEMS:
            continue
        size = max(2, min(LARGEST_SHARD, len(problems) // panel.options.shards))
        runs = [problems[first : first + size] for first in range(0, len(problems) - size + 1, size)]
        short = [run for run in map(_shortened, runs) if len(run) > 1]
        if len(short) >= LEAST_ITEMS // LARGEST_SHARD:
            found[name] = short[: min(panel.options.shards, BASE_SHARDS if panel.is_base else len(short))]
    return found


def _shortened(run: Sequence[Problem]) -> list[Problem]:
    kept: list[Problem] = []
    for problem in run:
        if sum(len(_shown(p)) for p in (*kept, problem)) > LONGEST:
            break
        kept.append(problem)
    return kept


def _shown(problem: Problem) -> str:
    return listed(problem.question, problem.choices)


def _text(problems: Sequence[Problem]) -> tuple[str, str]:
    return begun("\n\n".join(_shown(problem) for problem in problems))


SET_ORDER = SetOrder()
