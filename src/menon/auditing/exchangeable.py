"""The exchangeability test of one audit: do originals do better than their matched re-instantiations?

One version takes outcomes, one log-likelihoods. Both answer yes or no with a p-value; how much is recited is the
recitation share. The match of difficulty stands beside them, because harder re-instantiations would make them reject
for a model that memorised nothing.
Source: the idea is Oren et al. 2023, arXiv:2310.17623; see `menon.stats.exchangeability` for what differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median_low
from typing import Any

import numpy as np

from menon.auditing.items import Pair
from menon.auditing.match import DifficultyMatch, match_difficulty
from menon.auditing.sentences import percent
from menon.auditing.verdict import AuditConfig
from menon.stats import (
    ExchangeabilityTest,
    RankTest,
    ability_spread,
    exchangeability_power,
    exchangeability_test,
    rank_test,
)

POWER_AT = (0.2, 0.5)  # recited shares of right answers for which the power is told
ALPHA = 0.05
SIZE_NOTE = (
    "p is the mid-p value, which rejects at 5 % in 4 to 6 of 100 audits without memorisation; p_exact never rejects "
    "more often than it says"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchangeability:
    """Both versions of the test; `ranks` is None without scores, `outcomes` None without a pair.

    `power` maps a recited share of right answers to the chance that the version on outcomes would have found it.
    """

    outcomes: ExchangeabilityTest | None
    ranks: RankTest | None
    power: Mapping[float, float]
    match: DifficultyMatch

    @property
    def p(self) -> float | None:
        """The p-value that counts: of the ranks where there are scores (the more powerful test), else of outcomes."""
        if self.ranks is not None:
            return self.ranks.p
        return None if self.outcomes is None else self.outcomes.p

    @property
    def sentence(self) -> str:
        """The result in words that need no statistics."""
        if self.outcomes is None:
            return "No original was answered together with a re-instantiation, so there is nothing to compare."
        seen = (
            f"{self.outcomes.statistic} of {self.outcomes.num_originals} originals are right where "
            f"{self.outcomes.expected:.1f} would be if they were like their re-instantiations"
        )
        if self.ranks is not None:
            seen += f", and an original's answer is likelier than {percent(self.ranks.mean_rank)} of its fellows'"
        assert self.p is not None, "outcomes are there"
        seen += f" (p = {self.p:.2g})"
        if self.p > ALPHA:
            power = ", ".join(f"{percent(chance)} if {percent(share)}" for share, chance in self.power.items())
            return (
                f"No sign that originals are easier than new problems: {seen}. Chance to notice it: {power} is recited."
            )
        if not self.match.matched:
            return f"Originals are easier than their re-instantiations, which are not of equal difficulty: {seen}."
        return f"Originals are easier than new problems of the same kind, as memorised ones are: {seen}."

    def to_json(self) -> dict[str, Any]:
        outcomes = self.outcomes
        return {
            "p": self.p,
            "statistic": None if outcomes is None else outcomes.statistic,
            "expected": None if outcomes is None else outcomes.expected,
            "n_templates": 0 if outcomes is None else outcomes.num_templates,
            "outcomes": None if outcomes is None else outcomes.to_json(),
            "ranks": None if self.ranks is None else self.ranks.to_json(),
            "size_note": SIZE_NOTE,
            "power": [{"share": share, "power": chance} for share, chance in self.power.items()],
            "sentence": self.sentence,
            "match": self.match.to_json(),
        }


def exchangeability(
    pairs: Sequence[Pair], config: AuditConfig, *, scores: Mapping[str, float] | None = None
) -> Exchangeability:
    """Run the test on outcomes, and on `scores` (problem id -> log-likelihood of its gold answer per token) if given.

    A problem with several samples counts as right when more than half of them are. Originals of one template are pooled
    with all re-instantiations of it. Problems without an answer, or without a score, are left out.
    """
    originals, variants, templates = [], [], []
    for pair in pairs:
        outcome, fresh = pair.outcome(), pair.fresh_outcomes()
        if outcome is not None and fresh:
            originals.append(outcome > 0.5)
            variants.append([value > 0.5 for value in fresh])
            templates.append(pair.original.template or pair.original.id)
    test = exchangeability_test(originals, variants, templates) if originals else None
    return Exchangeability(
        outcomes=test,
        ranks=_ranks(pairs, scores, config) if scores is not None else None,
        power={} if test is None else _power(test, originals, variants),
        match=match_difficulty(pairs, tolerance=config.max_shift),
    )


def _ranks(pairs: Sequence[Pair], scores: Mapping[str, float], config: AuditConfig) -> RankTest | None:
    originals, variants = [], []
    for pair in pairs:
        fresh = [scores[problem.id] for problem, _ in pair.fresh if problem.id in scores]
        if pair.original.id in scores and fresh:
            originals.append(scores[pair.original.id])
            variants.append(fresh)
    return rank_test(originals, variants, seed=config.seed) if originals else None


def _power(
    test: ExchangeabilityTest, originals: Sequence[bool], variants: Sequence[Sequence[bool]]
) -> dict[float, float]:
    """Return the power at the observed accuracy and spread of ability, for each share in `POWER_AT`."""
    spread = ability_spread([np.array(row, dtype=float) for row in variants])
    return {
        share: exchangeability_power(
            len(originals),
            median_low(len(row) for row in variants),
            share=share,
            accuracy=fmean(originals),
            spread=spread,
            alpha=ALPHA,
        )
        for share in POWER_AT
    }
