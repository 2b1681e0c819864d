"""Intervals, tests and sample sizes on plain numpy arrays; knows nothing of problems, grades or models.

    wilson, wilson_clustered            one proportion
    paired_difference, mcnemar_exact    the same items asked twice
    independent_difference              different items
    recitation_share                    originals against their re-instantiations
    holm                                several tests at once
    needed_n_paired, needed_n_unpaired  how many items a comparison needs
    exchangeability_test, rank_test     are originals easier than their re-instantiations?
    sequential_bounds, power_spending   several looks at growing data
    auc                                 how well a score separates two groups
    logistic_trend                      success against a covariate
    fit_chain, chain_curve, half_length errors and recoveries along a chain of steps

All randomness comes from `numpy` generators seeded through `menon.core.seeds`.
"""

from menon.stats.chains import ChainFit, chain_curve, fit_chain, half_length
from menon.stats.exchangeability import (
    ExchangeabilityTest,
    RankTest,
    ability_spread,
    exchangeability_power,
    exchangeability_test,
    rank_test,
)
from menon.stats.independent import Difference, fisher_exact, independent_difference
from menon.stats.interval import Interval, check_level
from menon.stats.multiple import holm
from menon.stats.paired import PairedDifference, mcnemar_exact, newcombe_paired, paired_difference, sign_flip_p
from menon.stats.planning import needed_n_decision, needed_n_half_width, needed_n_paired, needed_n_unpaired
from menon.stats.proportions import effective_size, wilson, wilson_clustered
from menon.stats.ranking import auc
from menon.stats.ratio import ratio_limits
from menon.stats.recitation import ShareEstimate, ShareNote, recitation_share
from menon.stats.sequential import (
    bound_level,
    crossing_probabilities,
    expanded_level,
    obrien_fleming_spending,
    power_spending,
    sequential_bounds,
)
from menon.stats.trend import Trend, TrendNote, logistic_trend

__all__ = [
    "ChainFit",
    "Difference",
    "ExchangeabilityTest",
    "Interval",
    "PairedDifference",
    "RankTest",
    "ShareEstimate",
    "ShareNote",
    "Trend",
    "TrendNote",
    "ability_spread",
    "auc",
    "bound_level",
    "chain_curve",
    "check_level",
    "crossing_probabilities",
    "effective_size",
    "exchangeability_power",
    "exchangeability_test",
    "expanded_level",
    "fisher_exact",
    "fit_chain",
    "half_length",
    "holm",
    "independent_difference",
    "logistic_trend",
    "mcnemar_exact",
    "needed_n_decision",
    "needed_n_half_width",
    "needed_n_paired",
    "needed_n_unpaired",
    "newcombe_paired",
    "obrien_fleming_spending",
    "paired_difference",
    "power_spending",
    "rank_test",
    "ratio_limits",
    "recitation_share",
    "sequential_bounds",
    "sign_flip_p",
    "wilson",
    "wilson_clustered",
]
