"""Detector: are the items likelier than matched re-instantiations of themselves? Min-K%, Min-K%++ and the loss gap.

One pass scores every text. Scores that rank texts are given as the area under the ROC curve of items against their own
re-instantiations (0.5 = no better than chance); the loss gap is paired.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from menon.auditing.memory.loss_gap import Gap, loss_gap
from menon.auditing.memory.min_k import min_k, min_k_plus
from menon.auditing.memory.panel import HELD_OUT, ITEMS, Panel, Part
from menon.auditing.memory.texts import ANSWER, QUESTION, SOLUTION, WHOLE, pieces
from menon.auditing.probe import Answered, Effect
from menon.sampling.token_scores import TokenScores, token_scores
from menon.stats.ranking import auc

PARTS = (WHOLE, QUESTION, SOLUTION, ANSWER)
SCORES = {"loss": "loss", "min_k": "Min-K%", "min_k_plus": "Min-K%++"}
NOTE = (
    "Min-K% and Min-K%++ compare items with re-instantiations of their own templates, never with unrelated text; on "
    "such well-randomised splits both are often near chance, so an area near 0.5 does not show that nothing was seen."
)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """Scores every item and its re-instantiations."""

    name: str = "likelihood"
    title: str = "Min-K%, Min-K%++ and loss gap"

    def objection(self, panel: Panel) -> str | None:
        return panel.no_scores() or panel.no_twins()

    def measure(self, panel: Panel) -> Iterable[dict[str, Any]]:
        names: list[dict[str, Any]] = []
        pairs: list[tuple[str, str]] = []
        style = "menon" if panel.is_base else panel.material.style
        for subject in panel.paired:
            for number, problem in subject.texts():
                for part, pair in pieces(problem, style).items():
                    names.append({**subject.names(), "text": problem.id, "twin": number, "part": part})
                    pairs.append(pair)
        scored = token_scores(panel.sampler(), pairs, progress=panel.material.progress)
        for row, scores in _with_wholes(names, scored):
            if scores.logps:
                yield {
                    **row,
                    "tokens": len(scores.logps),
                    "loss": -fmean(scores.logps),
                    "min_k": min_k(scores.logps),
                    "min_k_plus": min_k_plus(scores),
                }

    def report(self, rows: Sequence[Row], answered: Sequence[Answered], panel: Panel) -> Part:
        cells: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in rows:
            cells[row["arm"], row["group"], row["part"]].append(row)
            cells[row["arm"], "all", row["part"]].append(row)
        arms = [arm for arm in (ITEMS, HELD_OUT) if any(key[0] == arm for key in cells)]
        groups = list(dict.fromkeys(row["group"] for row in rows))
        order = [(arm, group, part) for arm in arms for group in ("all", *groups) for part in PARTS]
        order = [key for key in order if key in cells and not (key[1] == "all" and len(groups) == 1)]
        level, seed = panel.material.config.level, panel.material.seed
        gaps = {key: _gap(cells[key], level, seed) for key in order}
        areas = [row for key in order if key[1] != "all" for row in _areas(key, cells[key], level)]
        effects = [_gap_effect(key, gap) for key, gap in gaps.items() if _plotted(key, len(groups))]
        effects += [_area_effect(row) for row in areas if row["part"] == WHOLE and row["plotted"]]
        notes = [NOTE]
        if any(row["min_k_plus"] is None for row in rows):
            notes.append(
                "Min-K%++ skipped: it needs the mean and variance of the next-token distribution, and this backend "
                "gives the log-probabilities of the text's own tokens only."
            )
        gap_rows = [
            {"arm": arm, "family": group, "part": part, **gap.to_json()} for (arm, group, part), gap in gaps.items()
        ]
        shown = [{name: value for name, value in row.items() if name != "plotted"} for row in areas]
        return Part(
            effects=tuple(effects),
            tables={"loss gap (nats per token)": gap_rows, "items against their re-instantiations (AUC)": shown},
            notes=tuple(notes),
            sentence=_sentence(gaps),
        )


def _with_wholes(
    names: Sequence[dict[str, Any]], scored: Sequence[TokenScores]
) -> Iterable[tuple[dict[str, Any], TokenScores]]:
    """Yield every piece, and behind a text's solution (or its answer, where there is none) the two as one."""
    found: dict[str, TokenScores] = {}
    for place, (row, scores) in enumerate(zip(names, scored, strict=True)):
        yield row, scores
        found[row["part"]] = scores
        if place + 1 < len(names) and _text(names[place + 1]) == _text(row):
            continue
        end = found.get(SOLUTION, found.get(ANSWER))
        if QUESTION in found and end is not None:
            yield {**row, "part": WHOLE}, _joined(found[QUESTION], end)
        found = {}


def _text(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["item"], row["twin"]


def _joined(first: TokenScores, second: TokenScores) -> TokenScores:
    def both(a: tuple[float, ...] | None, b: tuple[float, ...] | None) -> tuple[float, ...] | None:
        return None if a is None or b is None else (*a, *b)

    return TokenScores(
        logps=(*first.logps, *second.logps),
        means=both(first.means, second.means),
        variances=both(first.variances, second.variances),
    )


def _by_item(rows: Sequence[Row]) -> list[tuple[Row, list[Row]]]:
    items = {row["item"]: row for row in rows if row["twin"] < 0}
    twins: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["twin"] >= 0:
            twins[row["item"]].append(row)
    return [(row, twins[item]) for item, row in items.items() if twins[item]]


def _gap(rows: Sequence[Row], level: float, seed: int) -> Gap:
    paired = _by_item(rows)
    return loss_gap(
        [row["loss"] for row, _ in paired],
        [fmean(twin["loss"] for twin in twins) for _, twins in paired],
        [row["cluster"] for row, _ in paired],
        level=level,
        seed=seed,
    )


def _areas(key: tuple[str, str, str], rows: Sequence[Row], level: float) -> list[dict[str, Any]]:
    """Return one row per score; `plotted` marks the one that goes into the forest plot, chosen by what can be had."""
    arm, group, part = key
    twins = {row["text"]: row for row in rows if row["twin"] >= 0}  # one re-instantiation may serve two items
    found = []
    for name, title in SCORES.items():
        sign = -1.0 if name == "loss" else 1.0
        items = [sign * row[name] for row in rows if row["twin"] < 0 and row[name] is not None]
        others = [sign * row[name] for row in twins.values() if row[name] is not None]
        if items and others:
            area = auc(items, others, level=level)
            found.append(
                {"arm": arm, "family": group, "part": part, "score": title, **area.to_json(), "plotted": False}
            )
    if found:
        found[-1]["plotted"] = True
    return found


def _plotted(key: tuple[str, str, str], num_groups: int) -> bool:
    """Choose what goes into the forest plot: whole texts and bare answers, of held-out problems the pooled ones."""
    arm, group, part = key
    return part in (WHOLE, ANSWER) and (arm == ITEMS or group == "all" or num_groups == 1)


def _named(arm: str, group: str) -> str:
    return group if arm == ITEMS else f"{group}, held out (control)"


def _gap_effect(key: tuple[str, str, str], gap: Gap) -> Effect:
    arm, group, part = key
    return Effect(
        label=f"loss gap, {_named(arm, group)}: {part}",
        value=gap.value,
        low=gap.low,
        high=gap.high,
        n=gap.n,
        kind="other",
        unit="nats per token",
        p=gap.p,
        note="re-instantiation minus item; above 0: the item is likelier than its match",
    )


def _area_effect(row: Mapping[str, Any]) -> Effect:
    return Effect(
        label=f"{row['score']}, {_named(row['arm'], row['family'])}: {row['part']}",
        value=row["value"],
        low=row["low"],
        high=row["high"],
        n=row["n"],
        kind="other",
        unit="area under the curve",
        note="0.5 is chance; items against re-instantiations of their own templates",
    )


def _sentence(gaps: Mapping[tuple[str, str, str], Gap]) -> str:
    key = next((key for key in gaps if key[0] == ITEMS and key[2] == WHOLE), None)
    if key is None:
        return ""
    gap = gaps[key]
    figures = f"{gap.value:.3f} nats per token ({gap.low:.3f} to {gap.high:.3f}, p = {gap.p:.2g})"
    if gap.low > 0:
        return f"The items are likelier to the model than matched re-instantiations, by {figures}: it has seen them."
    return f"The items are not shown to be likelier than matched re-instantiations: gap {figures}."


LIKELIHOOD = Likelihood()
