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
    correlations, partial_correlations  which rows of scores go together
    group_association, pair_mean        ... and more so within groups than between them
    precision_recall, multipliers       what stands at the top and the bottom of rankings
    tail_slope, cumulative_influence    how a ranking falls off

All randomness comes from `numpy` generators seeded through `menon.core.seeds`.
"""

from menon.stats.association import (
    GroupAssociation,
    PairMean,
    correlations,
    group_association,
    pair_mean,
    partial_correlations,
    pearson,
    spearman,
)
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
from menon.stats.power_law import (
    CurvePoint,
    MeanCurvePoint,
    Slope,
    cumulative_influence,
    log_spaced,
    mean_curve,
    mean_difference,
    mean_slope,
    slopes,
    tail_size,
    tail_slope,
)
from menon.stats.proportions import effective_size, wilson, wilson_clustered
from menon.stats.ranking import auc
from menon.stats.rankings import (
    AtK,
    Multiplier,
    average_precision,
    mean_average_precision,
    mean_share,
    multipliers,
    precision_at,
    precision_recall,
    random_average_precision,
    ranked,
    recall_at,
)
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
    "AtK",
    "ChainFit",
    "CurvePoint",
    "Difference",
    "ExchangeabilityTest",
    "GroupAssociation",
    "Interval",
    "MeanCurvePoint",
    "Multiplier",
    "PairMean",
    "PairedDifference",
    "RankTest",
    "ShareEstimate",
    "ShareNote",
    "Slope",
    "Trend",
    "TrendNote",
    "ability_spread",
    "auc",
    "average_precision",
    "bound_level",
    "chain_curve",
    "check_level",
    "correlations",
    "crossing_probabilities",
    "cumulative_influence",
    "effective_size",
    "exchangeability_power",
    "exchangeability_test",
    "expanded_level",
    "fisher_exact",
    "fit_chain",
    "group_association",
    "half_length",
    "holm",
    "independent_difference",
    "log_spaced",
    "logistic_trend",
    "mcnemar_exact",
    "mean_average_precision",
    "mean_curve",
    "mean_difference",
    "mean_share",
    "mean_slope",
    "multipliers",
    "needed_n_decision",
    "needed_n_half_width",
    "needed_n_paired",
    "needed_n_unpaired",
    "newcombe_paired",
    "obrien_fleming_spending",
    "pair_mean",
    "paired_difference",
    "partial_correlations",
    "pearson",
    "power_spending",
    "precision_at",
    "precision_recall",
    "random_average_precision",
    "rank_test",
    "ranked",
    "ratio_limits",
    "recall_at",
    "recitation_share",
    "sequential_bounds",
    "sign_flip_p",
    "slopes",
    "spearman",
    "tail_size",
    "tail_slope",
    "wilson",
    "wilson_clustered",
]
