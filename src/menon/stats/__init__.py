"""Intervals, tests and sample sizes on plain numpy arrays; knows nothing of problems, grades or models.

    wilson, wilson_clustered            one proportion
    paired_difference, mcnemar_exact    the same items asked twice
    recitation_share                    originals against their re-instantiations
    holm                                several tests at once
    needed_n_paired, needed_n_unpaired  how many items a comparison needs

All randomness comes from `numpy` generators seeded through `menon.core.seeds`.
"""

from menon.stats.interval import Interval, check_level
from menon.stats.multiple import holm
from menon.stats.paired import PairedDifference, mcnemar_exact, newcombe_paired, paired_difference, sign_flip_p
from menon.stats.planning import needed_n_decision, needed_n_half_width, needed_n_paired, needed_n_unpaired
from menon.stats.proportions import effective_size, wilson, wilson_clustered
from menon.stats.ratio import ratio_limits
from menon.stats.recitation import ShareEstimate, ShareNote, recitation_share

__all__ = [
    "Interval",
    "PairedDifference",
    "ShareEstimate",
    "ShareNote",
    "check_level",
    "effective_size",
    "holm",
    "mcnemar_exact",
    "needed_n_decision",
    "needed_n_half_width",
    "needed_n_paired",
    "needed_n_unpaired",
    "newcombe_paired",
    "paired_difference",
    "ratio_limits",
    "recitation_share",
    "sign_flip_p",
    "wilson",
    "wilson_clustered",
]
