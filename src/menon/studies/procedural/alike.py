"""F1: do queries of one task draw on the same documents, and is it more than the words that they share?

Whole vectors of scores are correlated, over all documents, for every pair of queries. The shape of the paper is: high
within a reasoning task, lower across formats, about zero between tasks, between facts, and between models.
Source: Ruis et al. 2024, arXiv:2411.12580, section 5.1; partialling out lexical scores is ours.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menon.stats.association import correlations, group_association, pair_mean, partial_correlations
from menon.stats.means import mean_interval
from menon.studies.procedural.asked import AskedQuery
from menon.studies.procedural.case import INFLUENCE, LEXICAL, Case, told

Sort = Callable[[AskedQuery, AskedQuery], bool]


def _reasoning(a: AskedQuery, b: AskedQuery) -> bool:
    return a.role == b.role == "reasoning"


# Pairs of queries that are averaged together; `a` stands before `b` in no particular order.
PAIRS: dict[str, Sort] = {
    "same task, same format": lambda a, b: _reasoning(a, b) and a.family == b.family and a.level == b.level,
    "same task, other format": lambda a, b: _reasoning(a, b) and a.family == b.family and a.level != b.level,
    "other task": lambda a, b: _reasoning(a, b) and a.family != b.family,
    "reasoning and its control": lambda a, b: (
        {a.role, b.role} == {"reasoning", "reasoning-control"} and a.family == b.family
    ),
    "facts": lambda a, b: a.role == b.role == "factual",
    "reasoning and facts": lambda a, b: {a.role, b.role} == {"reasoning", "factual"},
    "controls": lambda a, b: a.role.endswith("control") and b.role.endswith("control"),
}
ACROSS: dict[str, Sort] = {
    "same question": lambda a, b: a.problem == b.problem and a.role == b.role,
    "same task": lambda a, b: _reasoning(a, b) and a.family == b.family and a.problem != b.problem,
    "other task": PAIRS["other task"],
}


def alike(case: Case, *, shuffles: int, seed: int) -> dict[str, Any]:
    """Return mean correlations by sort of pair for every method, also without what lexical scores explain."""
    methods, found = {}, {}
    for method in case.methods:
        found[method] = correlations(case.scores[method])
        methods[method] = _told(case.queries, found[method], shuffles, seed)
    lexical = [case.scores[name] for name in LEXICAL if name in case.methods]
    partial = {
        method: _told(case.queries, partial_correlations(case.scores[method], lexical), shuffles, seed)
        for method in case.methods
        if method in INFLUENCE and lexical
    }
    return {"methods": methods, "partial": partial, "heat": _heat(case, found)}


def across(first: Case, second: Case, method: str) -> list[dict[str, Any]]:
    """Return how far the same documents help two models that learnt the same corpus, by sort of pair."""
    size = len(first.queries)
    both = correlations([*first.scores[method], *second.scores[method]])[:size, size:]
    rows = []
    for name, sort in ACROSS.items():
        per_query = []
        for place, query in enumerate(first.queries):
            values = [both[place, other] for other, asked in enumerate(second.queries) if sort(query, asked)]
            known = [value for value in values if np.isfinite(value)]
            if known:
                per_query.append(float(np.mean(known)))
        if per_query:
            rows.append({"pairs": name, "method": method, **(told(mean_interval(per_query)) or {})})
    return rows


def _told(queries: Sequence[AskedQuery], matrix_QQ: NDArray[np.float64], shuffles: int, seed: int) -> dict[str, Any]:
    pairs = []
    for name, sort in PAIRS.items():
        wanted_QQ = np.array([[sort(a, b) for b in queries] for a in queries])
        np.fill_diagonal(wanted_QQ, False)
        masked_QQ = np.where(wanted_QQ, matrix_QQ, np.nan)
        number = int(np.isfinite(masked_QQ).sum()) // 2
        if number:
            own = [int(place) for place in np.flatnonzero(np.isfinite(masked_QQ).any(axis=1))]
            pairs.append({"pairs": name, **(told(pair_mean(masked_QQ, own)) or {}), "num_pairs": number})
    return {"pairs": pairs, "association": _association(queries, matrix_QQ, shuffles, seed)}


def _association(
    queries: Sequence[AskedQuery], matrix_QQ: NDArray[np.float64], shuffles: int, seed: int
) -> dict[str, Any] | None:
    """Compare pairs within a reasoning task with pairs across tasks; p deals the tasks out to the queries."""
    own = [place for place, query in enumerate(queries) if query.role == "reasoning"]
    families = [queries[place].family for place in own]
    if len(set(families)) < 2 or len(own) <= len(set(families)):
        return None
    found = group_association(matrix_QQ[np.ix_(own, own)], families, resamples=shuffles, seed=seed)
    return {
        "within": told(found.within),
        "between": told(found.between),
        "difference": told(found.difference),
        "p": found.p,
        "missing": found.missing,
    }


def _heat(case: Case, found: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Return mean correlations between cells of queries (task and format, facts, controls) for a picture."""
    labels = [_cell(query) for query in case.queries]
    names = list(dict.fromkeys(labels))
    members = [[place for place, label in enumerate(labels) if label == name] for name in names]
    tables = {}
    for method, matrix_QQ in found.items():
        rows = [[_mean(matrix_QQ, first, second) for second in members] for first in members]
        tables[method] = rows
    return {"names": names, "methods": tables}


def _mean(matrix_QQ: NDArray[np.float64], first: Sequence[int], second: Sequence[int]) -> float | None:
    values = [matrix_QQ[a, b] for a in first for b in second if a != b and np.isfinite(matrix_QQ[a, b])]
    return float(np.mean(values)) if values else None


def _cell(query: AskedQuery) -> str:
    return f"{query.family}, {query.level}" if query.role == "reasoning" else query.group
