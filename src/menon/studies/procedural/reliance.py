"""F2: how much single documents weigh: influence per nat of the answer, how steeply it falls, and what size changes.

Scores are divided by the information of the query's completion, -log p in nats. The shape of the paper is: less and
less volatile influence per nat for reasoning than for facts, a slightly steeper ranking, and more so in a larger model.
Source: Ruis et al. 2024, arXiv:2411.12580, section 5.1 and its appendix on power laws.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from menon.core.errors import ConfigError
from menon.stats.clusters import generator
from menon.stats.interval import Interval
from menon.stats.means import mean_interval
from menon.stats.power_law import mean_curve, mean_difference, mean_slope, slopes
from menon.stats.ratio import ratio_limits
from menon.studies.procedural.case import INFLUENCE, Case, told

_REDRAWN = 2000


def reliance(case: Case, *, tops: tuple[int, ...], seed: int) -> dict[str, Any]:
    """Return curves of influence per nat, sums at `tops` with their spread, and slopes, by group of queries."""
    groups = []
    for group, places in case.groups():
        part = case.part(places)
        groups.append(
            {
                "group": group,
                "queries": len(places),
                "information": told(mean_interval(part.information_Q)),
                "curves": {method: _curve(part, method) for method in case.methods if method in INFLUENCE[:2]},
                "sums": {method: _sums(part, method, tops) for method in case.methods if method in INFLUENCE[:2]},
                "slopes": {method: _slope(part, method, tops[-1]) for method in case.methods},
            }
        )
    return {
        "tail": tops[-1],
        "groups": groups,
        "contrast": {method: _contrast(case, method, tops, seed) for method in case.methods if method in INFLUENCE[:2]},
    }


def multipliers_of_size(small: Case, large: Case, *, method: str, tops: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return how many times more the same documents' ranks weigh in the larger model, at both ends, by group.

    The mean is geometric, over queries that both models were asked with the same grade.
    """
    known = {(query.group, query.problem): place for place, query in enumerate(large.queries)}
    rows = []
    for group, places in small.groups():
        pairs = [(place, known[key]) for place in places if (key := (group, small.queries[place].problem)) in known]
        for k in tops:
            for end in ("top", "bottom"):
                logs = [
                    np.log(b / a)
                    for first, second in pairs
                    if (a := _weight(small, method, first, k, end)) > 0
                    and (b := _weight(large, method, second, k, end)) > 0
                ]
                if logs:
                    ratio = mean_interval(logs)
                    grown = Interval(
                        value=float(np.exp(ratio.value)),
                        low=float(np.exp(ratio.low)),
                        high=float(np.exp(ratio.high)),
                        n=ratio.n,
                    )
                    rows.append({"group": group, "k": k, "end": end, **(told(grown) or {})})
    return rows


def _weight(case: Case, method: str, place: int, k: int, end: str) -> float:
    """Return the sum of the k strongest scores at one end per nat, counted positive."""
    ordered = np.sort(case.scores[method][place])
    part = ordered[-k:] if end == "top" else -ordered[:k]
    return float(np.maximum(part, 0).sum(dtype=np.float64) / case.information_Q[place])


def _curve(case: Case, method: str) -> list[dict[str, Any]]:
    return [
        {"k": point.k, "total": told(point.total_per_nat), "positive": told(point.positive_per_nat)}
        for point in mean_curve(case.scores[method], case.information_Q)
    ]


def _sums(case: Case, method: str, tops: tuple[int, ...]) -> list[dict[str, Any]]:
    rows = []
    for k in tops:
        values = per_nat(case, method, k)
        mean = float(values.mean())
        spread = float(values.std(ddof=1)) / mean if len(values) > 1 and mean > 0 else None
        rows.append({"k": k, "sum": told(mean_interval(values)), "spread": spread})
    return rows


def per_nat(case: Case, method: str, k: int) -> NDArray[np.float64]:
    """Return for every query the influence of its k best documents per nat."""
    scores_QN = case.scores[method]
    best_QK = np.partition(scores_QN, scores_QN.shape[1] - k, axis=1)[:, -k:]
    return best_QK.sum(axis=1, dtype=np.float64) / case.information_Q


def _slope(case: Case, method: str, k: int) -> dict[str, Any] | None:
    try:
        return told(mean_slope(case.scores[method], k=k))
    except ConfigError:  # a lexical score may match fewer than three documents
        return None


def _contrast(case: Case, method: str, tops: tuple[int, ...], seed: int) -> dict[str, Any] | None:
    """Compare reasoning with facts that are known: ratio of the sums per nat, difference of the slopes."""
    facts, reasoning = case.part(case.places("factual right")), case.part(case.places("reasoning"))
    if len(facts.queries) < 2 or len(reasoning.queries) < 2:
        return None
    sums = []
    for k in tops:
        ours, theirs = (mean_interval(per_nat(part, method, k)) for part in (reasoning, facts))
        difference = mean_difference(per_nat(facts, method, k), per_nat(reasoning, method, k), seed=seed)
        low, high = ratio_limits(ours, theirs) if theirs.value > 0 else (np.nan, np.nan)
        ratio = Interval(value=ours.value / theirs.value, low=low, high=high, n=ours.n + theirs.n)
        sums.append({"k": k, "ratio": told(ratio), "p": difference.p})
    tails = [_finite(slopes(part.scores[method], k=tops[-1])) for part in (facts, reasoning)]
    slope = None
    if min(map(len, tails)) > 1:
        found = mean_difference(tails[0], tails[1], seed=seed)
        slope = {
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "n": found.n_first + found.n_second,
            "p": found.p,
        }
    return {"sums": sums, "slope": slope, "spread": told(_spread_ratio(facts, reasoning, method, tops[-1], seed))}


def _spread_ratio(facts: Case, reasoning: Case, method: str, k: int, seed: int) -> Interval | None:
    """Return the spread (standard deviation over mean) of reasoning over that of facts; queries are redrawn.

    None where facts have no spread at all.
    """
    rng = generator("spread of influence", seed)
    drawn = []
    for part in (reasoning, facts):
        values_Q = per_nat(part, method, k)
        places_BQ = rng.integers(0, len(values_Q), size=(_REDRAWN, len(values_Q)))
        drawn.append(np.concatenate([values_Q[None], values_Q[places_BQ]]))
    with np.errstate(divide="ignore", invalid="ignore"):
        spreads = [values_BQ.std(axis=1, ddof=1) / values_BQ.mean(axis=1) for values_BQ in drawn]
        ratios_B = spreads[0] / spreads[1]
    if not np.isfinite(ratios_B[0]):
        return None
    low, high = np.quantile(ratios_B[np.isfinite(ratios_B)], (0.025, 0.975))
    return Interval(value=float(ratios_B[0]), low=float(low), high=float(high), n=sum(v.shape[1] for v in drawn))


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]
