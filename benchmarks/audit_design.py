"""How good the audit's statistics are on planted models: coverage, size, power, questions to a verdict, error rate.

    python benchmarks/audit_design.py [--only coverage size power width questions errors sequence needed]
                                      [--repeats 400] [--json]

A planted model has a Beta-distributed ability per template and knows some originals by heart; its true recitation
share is set. `--repeats` is the number of simulated audits per cell; a share p of them has the standard error
sqrt(p (1 - p) / repeats). Figures and what they mean: docs/statistics.md.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from menon.auditing.accuracy import Accuracy
from menon.auditing.adaptive import Plan
from menon.auditing.match import DifficultyMatch
from menon.auditing.verdict import AuditConfig, Finding, Label, decide
from menon.stats import (
    ShareEstimate,
    exchangeability_power,
    exchangeability_test,
    expanded_level,
    power_spending,
    rank_test,
    recitation_share,
    sequential_bounds,
    wilson,
)
from menon.stats.interval import normal_quantile

MATCHED = DifficultyMatch(rows=(), tolerance=0.25)
CONFIG = AuditConfig()
Levels = Callable[[int, int, int], float]  # level of look i, after so many questions with so many originals
PUBLISHED = (100, 50)  # templates x instances of GSM-Symbolic: 5,000 questions besides the originals
GRID = [(a, s) for a in (0.5, 0.8, 0.95) for s in (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A model that is right on `accuracy` of the originals, of which `share` is lost on re-instantiations."""

    accuracy: float
    share: float
    spread: float = 2.0

    def answers(self, templates: int, instances: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return outcomes of the originals (T) and of their re-instantiations (T, instances)."""
        fresh = self.accuracy * (1 - self.share)
        known = self.accuracy * self.share / (1 - fresh) if fresh < 1 else 0.0
        if 0 < fresh < 1:
            ability = rng.beta(fresh * self.spread, (1 - fresh) * self.spread, templates)
        else:
            ability = np.full(templates, fresh)
        originals = (rng.random(templates) < known) | (rng.random(templates) < ability)
        return originals.astype(float), (rng.random((templates, instances)) < ability[:, None]).astype(float)


def judge(originals: np.ndarray, variants: Sequence[np.ndarray], level: float) -> tuple[ShareEstimate, Finding]:
    """Return the share and the verdict at `level`, by the rule of the audit."""
    tail = (1 - level) / 2
    share = recitation_share(originals, variants, resamples=max(2000, math.ceil(10 / tail)), level=level)
    finding = decide(
        original=accuracy(originals, level),
        fresh=accuracy(np.concatenate(variants), level),
        share=share,
        share_completed=share,
        match=MATCHED,
        chance=0.0,
        config=replace(CONFIG, level=level),
    )
    return share, finding


def accuracy(outcomes: np.ndarray, level: float) -> Accuracy:
    """Return the accuracy of complete, readable answers."""
    interval = wilson(float(outcomes.sum()), len(outcomes), level)
    return Accuracy(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=len(outcomes),
        completed=interval,
        truncated=0.0,
        unparsed=0.0,
        errors=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Where one adaptive audit ended."""

    questions: int
    label: Label
    share: ShareEstimate
    level: float


def adaptive(
    model: Planted,
    rng: np.random.Generator,
    *,
    originals: int,
    plan: Plan,
    level_at: Levels,
    looks: Sequence[int],
) -> Path:
    """Run one audit with the order of questions of `menon.auditing.adaptive`; `level_at` gives the level of look i."""
    rounds = plan.per_original if originals * (1 + plan.per_original) >= looks[-1] else looks[-1] // originals
    right, fresh = model.answers(originals, rounds, rng)
    for place, questions in enumerate(looks):
        used, variants = asked(right, fresh, questions, plan.per_original)
        level = level_at(place, questions, len(used))
        share, finding = judge(used, variants, level)
        narrow = share.low is not None and share.high is not None and share.high - share.low <= (plan.width or 0)
        if narrow or (plan.width is None and finding.conclusive) or questions == looks[-1]:
            return Path(questions=questions, label=finding.label, share=share, level=level)
    raise AssertionError("the last look ends the audit")


def asked(
    right: np.ndarray, fresh: np.ndarray, questions: int, per_original: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the outcomes that are in after `questions`: originals first, then further rounds of instances."""
    whole = questions // (per_original + 1)
    if whole <= len(right):
        return right[:whole], [row[:per_original] for row in fresh[:whole]]
    more, extra = divmod(questions - len(right) * (per_original + 1), len(right))
    return right, [row[: per_original + more + (place < extra)] for place, row in enumerate(fresh)]


def spending_levels(looks: Sequence[int], power: float) -> Levels:
    """Return the level of every look under the spending function of the audit."""
    at = [look / looks[-1] for look in looks]
    bounds = sequential_bounds(at, [power_spending(t, 0.05, power=power) for t in at])
    return lambda place, questions, originals: expanded_level(bounds[place], originals)


def sequence_levels(tuned: int) -> Levels:
    """Return the levels of the asymptotic confidence sequence that is narrowest at `tuned` questions.

    Source: Waudby-Smith et al. 2021, arXiv:2103.06476, eq. 9; valid at every question, however many follow.
    """

    def bound(questions: int, weight: float) -> float:
        scaled = questions * weight
        return math.sqrt(2 * (scaled + 1) / scaled * math.log(math.sqrt(scaled + 1) / 0.05))

    weight = min((10 ** (x / 20) / tuned for x in range(-40, 80)), key=lambda w: bound(tuned, w))
    return lambda place, questions, originals: expanded_level(bound(questions, weight), originals)


def coverage(repeats: int) -> list[dict[str, Any]]:
    """Coverage of the share's 95 % interval over template counts and true shares, 10 instances each."""
    rows = []
    for templates in (50, 100, 150, 200, 300):
        for share in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
            rng = np.random.default_rng([1, templates, round(100 * share)])
            model = Planted(accuracy=0.35 / (1 - share), share=share)
            shares = [recitation_share(*model.answers(templates, 10, rng), resamples=1000) for _ in range(repeats)]
            hits = [s.low <= share <= s.high for s in shares if s.low is not None and s.high is not None]
            rows.append({"templates": templates, "share": share, "coverage": float(np.mean(hits))})
    return rows


def size(repeats: int) -> list[dict[str, Any]]:
    """Rejections at 5 % of models that memorised nothing, for each p-value."""
    rows = []
    for templates, instances, right in [(50, 10, 0.35), (100, 10, 0.35), (100, 10, 0.9), (300, 2, 0.6), (100, 50, 0.8)]:
        rng = np.random.default_rng([2, templates, instances])
        tests = [
            exchangeability_test(*Planted(accuracy=right, share=0).answers(templates, instances, rng))
            for _ in range(repeats)
        ]
        scores = [rank_test(*scored(templates, instances, 0.0, rng), resamples=999) for _ in range(repeats)]
        rows.append(
            {
                "templates": templates,
                "instances": instances,
                "accuracy": right,
                "mid_p": rejected([t.p for t in tests]),
                "exact": rejected([t.p_exact for t in tests]),
                "randomised": rejected([t.p_randomised for t in tests]),
                "ranks": rejected([t.p for t in scores]),
                "permutation": rejected([t.p_difference for t in scores]),
            }
        )
    return rows


def power(repeats: int) -> list[dict[str, Any]]:
    """Power at 5 % by outcomes (with the formula beside it) and by scores of the same models."""
    rows = []
    for templates, instances in [(100, 10), (100, 50), (300, 2)]:
        for share in (0.1, 0.2, 0.5):
            rng = np.random.default_rng([3, templates, instances, round(100 * share)])
            right, known = 0.7, 0.7 * share / (1 - 0.7 * (1 - share))
            tests = [
                exchangeability_test(*Planted(accuracy=right, share=share).answers(templates, instances, rng)).p
                for _ in range(repeats)
            ]
            scores = [rank_test(*scored(templates, instances, known, rng), resamples=999) for _ in range(repeats)]
            formula = exchangeability_power(templates, instances, share=share, accuracy=right)
            rows.append(
                {
                    "templates": templates,
                    "instances": instances,
                    "share": share,
                    "outcomes": rejected(tests),
                    "formula": formula,
                    "ranks": rejected([t.p for t in scores]),
                    "permutation": rejected([t.p_difference for t in scores]),
                }
            )
    return rows


def scored(templates: int, instances: int, known: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return log-likelihoods: templates differ by 1, instances by 1, and a memorised original is 1.5 likelier."""
    level = rng.normal(-3, 1, templates)
    fresh = level[:, None] + rng.normal(0, 1, (templates, instances))
    return level + rng.normal(0, 1, templates) + 1.5 * (rng.random(templates) < known), fresh


def rejected(pvalues: Sequence[float]) -> float:
    return float(np.mean(np.array(pvalues) <= 0.05))


def width(repeats: int) -> list[dict[str, Any]]:
    """Mean width at 95 % of 1,000 questions spent in several ways, over that of the published protocol."""
    rows = []
    for right, share in GRID:
        row: dict[str, Any] = {"accuracy": right, "share": share}
        for name, (templates, instances) in {
            "100x50": PUBLISHED,
            "100x9": (100, 9),
            "500x1": (500, 1),
            "333x2": (333, 2),
            "200x4": (200, 4),
        }.items():
            rng = np.random.default_rng([4, templates, round(100 * right), round(100 * share)])
            model = Planted(accuracy=right, share=share)
            widths = [
                s.high - s.low
                for _ in range(repeats)
                for s in [recitation_share(*model.answers(templates, instances, rng), resamples=1000)]
                if s.low is not None and s.high is not None
            ]
            row[name] = float(np.mean(widths))
        rows.append(row)
    return rows


def questions(repeats: int) -> list[dict[str, Any]]:
    """Verdict and questions of adaptive audits beside those of the published protocol; width wanted and got."""
    rows = []
    plan = Plan()
    levels = spending_levels(plan.looks, plan.power)
    for right, share in GRID:
        rng = np.random.default_rng([5, round(100 * right), round(100 * share)])
        model = Planted(accuracy=right, share=share)
        fixed = [judge(a, list(v), 0.95) for a, v in (model.answers(*PUBLISHED, rng) for _ in range(repeats))]
        wanted = float(np.mean([s.high - s.low for s, _ in fixed if s.low is not None and s.high is not None]))
        row: dict[str, Any] = {"accuracy": right, "share": share, "fixed_width": wanted}
        row["fixed_verdicts"] = tally([f.label for _, f in fixed])
        for name, originals, options in [
            ("free", 400, plan),
            ("100_templates", 100, plan),
            ("same_width", 400, replace(plan, width=wanted)),
        ]:
            paths = [
                adaptive(model, rng, originals=originals, plan=options, level_at=levels, looks=plan.looks)
                for _ in range(repeats)
            ]
            row[name] = ended(paths, [f.label for _, f in fixed], share)
        rows.append(row)
    return rows


def ended(paths: Sequence[Path], fixed: Sequence[Label], share: float) -> dict[str, Any]:
    """Sum up adaptive audits beside fixed ones of the same model."""
    pairs = [(path.label, label) for path, label in zip(paths, fixed, strict=True)]
    stated = [(a, b) for a, b in pairs if Label.CANNOT_TELL not in (a, b)]
    limits = [(p.share.low, p.share.high) for p in paths]
    bounded = [(low, high) for low, high in limits if low is not None and high is not None]
    return {
        "questions": float(np.mean([path.questions for path in paths])),
        "most": max(path.questions for path in paths),
        "verdicts": tally([path.label for path in paths]),
        "equal": float(np.mean([a is b for a, b in pairs])),
        "only_adaptive": float(np.mean([b is Label.CANNOT_TELL and a is not b for a, b in pairs])),
        "only_fixed": float(np.mean([a is Label.CANNOT_TELL and a is not b for a, b in pairs])),
        "differ": float(sum(a is not b for a, b in stated)) / len(pairs),
        "wrong": float(np.mean([wrong(path.label, share) for path in paths])),
        "width": float(np.mean([high - low for low, high in bounded])),
        "coverage": float(np.mean([low <= share <= high for low, high in bounded])),
    }


def wrong(label: Label, share: float) -> bool:
    """Say whether the verdict's region does not hold the true share; on a border, the verdict that stops there."""
    region = CONFIG.regions().get(label)
    return region is not None and not region[0] < share < region[1]


def tally(labels: Sequence[Label]) -> dict[str, float]:
    return {str(label): labels.count(label) / len(labels) for label in Label if label in labels}


def errors(repeats: int) -> list[dict[str, Any]]:
    """Wrong verdicts over the whole path at the borders of the regions, where they are likeliest (nominal: 2.5 %)."""
    rows = []
    looks = Plan().looks
    rules: dict[str, Levels] = {
        "planned": spending_levels(looks, Plan().power),
        "uncorrected": lambda place, questions, originals: 0.95,
    }
    for right, share in [(a, s) for a in (0.5, 0.8, 0.95) for s in (0.1, 0.25, 0.5, 0.75)]:
        row: dict[str, Any] = {"accuracy": right, "share": share}
        for name, levels in rules.items():
            rng = np.random.default_rng([6, round(100 * right), round(100 * share)])
            model = Planted(accuracy=right, share=share)
            paths = [
                adaptive(model, rng, originals=400, plan=Plan(), level_at=levels, looks=looks) for _ in range(repeats)
            ]
            row[name] = {
                "wrong": float(np.mean([wrong(p.label, share) for p in paths])),
                "questions": float(np.mean([p.questions for p in paths])),
            }
        rows.append(row)
    return rows


def sequence(repeats: int) -> list[dict[str, Any]]:
    """Group-sequential bounds and anytime-valid confidence sequences, looked at as often and twice as often."""
    rows = []
    plan = Plan()
    often = tuple(range(100, 1001, 50))
    rules = {
        "group_sequential": (spending_levels(plan.looks, plan.power), plan.looks),
        "power_1": (spending_levels(plan.looks, 1.0), plan.looks),
        "power_2": (spending_levels(plan.looks, 2.0), plan.looks),
        "group_sequential_often": (spending_levels(often, plan.power), often),
        "confidence_sequence": (sequence_levels(600), plan.looks),
        "confidence_sequence_often": (sequence_levels(600), often),
    }
    for right, share in [(0.5, 0.0), (0.8, 0.0), (0.8, 0.1), (0.8, 0.4), (0.8, 0.65), (0.8, 1.0), (0.8, 0.25)]:
        row: dict[str, Any] = {"accuracy": right, "share": share}
        for name, (levels, looks) in rules.items():
            final = normal_quantile(0.5 + levels(len(looks) - 1, looks[-1], 10_000) / 2)
            rng = np.random.default_rng([8, round(100 * right), round(100 * share)])
            paths = [
                adaptive(
                    Planted(accuracy=right, share=share), rng, originals=400, plan=plan, level_at=levels, looks=looks
                )
                for _ in range(repeats)
            ]
            row[name] = {
                "questions": float(np.mean([p.questions for p in paths])),
                "undecided": float(np.mean([p.label is Label.CANNOT_TELL for p in paths])),
                "wrong": float(np.mean([wrong(p.label, share) for p in paths])),
                "last_bound": final,
            }
        rows.append(row)
    return rows


def needed(repeats: int) -> list[dict[str, Any]]:
    """How good "about n more originals" is: verdicts after so many more, and what was really needed."""
    rows = []
    for right, share in [(0.5, 0.0), (0.5, 0.35), (0.8, 0.15), (0.8, 0.2), (0.8, 0.4), (0.8, 0.6)]:
        rng = np.random.default_rng([9, round(100 * right), round(100 * share)])
        model = Planted(accuracy=right, share=share)
        told, settled, once, ratios = [], [], [], []
        for _ in range(repeats):
            a, v = model.answers(60, 4, rng)
            finding = judge(a, list(v), 0.95)[1]
            if finding.label is not Label.CANNOT_TELL or finding.needed is None:
                continue
            told.append(finding.needed)
            more_a, more_v = model.answers(min(4 * finding.needed, 4000), 4, rng)
            ends = [60 + math.ceil(finding.needed * part) for part in (0.25, 0.5, 1.0, 2.0, 4.0)]
            done = [
                judge(np.concatenate([a, more_a])[:end], list(np.concatenate([v, more_v])[:end]), 0.95)[1].conclusive
                for end in ends
                if end <= 60 + len(more_a)
            ]
            settled.append(done[2] if len(done) > 2 else done[-1])
            once.append(done[3] if len(done) > 3 else done[-1])
            ratios.append(
                next((part for part, ok in zip((0.25, 0.5, 1.0, 2.0, 4.0), done, strict=False) if ok), math.inf)
            )
        rows.append(
            {
                "accuracy": right,
                "share": share,
                "undecided": len(told) / repeats,
                "needed_quartiles": [float(x) for x in np.quantile(told, [0.25, 0.5, 0.75])] if told else None,
                "settled_after_needed": float(np.mean(settled)) if settled else None,
                "settled_after_twice": float(np.mean(once)) if once else None,
                "first_settled_at_part": {
                    str(part): float(np.mean(np.array(ratios) == part)) for part in (0.25, 0.5, 1.0, 2.0, 4.0, math.inf)
                }
                if ratios
                else None,
            }
        )
    return rows


SECTIONS: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "coverage": coverage,
    "size": size,
    "power": power,
    "width": width,
    "questions": questions,
    "errors": errors,
    "sequence": sequence,
    "needed": needed,
}


def main() -> None:
    """Run the sections asked for and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--repeats", type=int, default=400, help="simulated audits per cell")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result: dict[str, Any] = {"repeats": args.repeats}
    for name in args.only:
        started = time.perf_counter()
        result[name] = SECTIONS[name](args.repeats)
        result[f"{name}_seconds"] = round(time.perf_counter() - started, 1)
    if args.json:
        print(json.dumps(result))
        return
    for name in args.only:
        print(f"\n{name} ({result[f'{name}_seconds']} s, {args.repeats} audits per cell)")
        for row in result[name]:
            print("  " + "  ".join(f"{key} {_text(value)}" for key, value in row.items()))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(inner)}" for key, inner in value.items()) + "}"
    return str(value)


if __name__ == "__main__":
    main()
