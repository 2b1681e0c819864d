"""F4: are the most influential documents procedures of the right kind, and in which form? Checked against the truth.

A document is true for a query when it teaches what the query needs. Near-duplicates of a question teach something else,
so a method that ranks them first has been taken in by the surface. The shape of the paper is: procedures, in code and
in text, among the top documents of most reasoning queries.
Source: Ruis et al. 2024, arXiv:2411.12580, section 5.2; precision and recall are ours, since there no truth is known.
"""

from typing import Any

import numpy as np

from menon.stats.proportions import wilson
from menon.stats.rankings import mean_share, precision_recall, ranked
from menon.studies.procedural.case import Case, told

FORMS = ("text", "code", "flowchart", "markup", "statement")


def procedures(case: Case, *, tops: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return precision and recall at k, and what a random ranking has, by group and method."""
    rows = []
    for group, places in case.groups():
        truth_QN = case.teaching_QN[places]
        for method in case.methods:
            for found in precision_recall(case.scores[method][places], truth_QN, tops):
                rows.append(
                    {
                        "group": group,
                        "method": method,
                        "k": found.k,
                        "precision": told(found.precision),
                        "recall": told(found.recall),
                        "random_precision": found.random_precision,
                        "random_recall": found.random_recall,
                    }
                )
    return rows


def forms_of_procedures(case: Case, *, tops: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return in which forms the right procedures in the top of reasoning queries come, and how many queries have one.

    `share` is that of the form among the top documents that teach the procedure, `corpus` among all that teach it.
    """
    places = case.places("reasoning")
    if not places:
        return []
    teaching_QN, forms_N = case.teaching_QN, case.truth.forms_N
    rows = []
    for method in case.methods:
        for k in tops:
            tops_QK = [ranked(case.scores[method][place], k) for place in places]
            right_Q = [top_K[teaching_QN[place][top_K]] for place, top_K in zip(places, tops_QK, strict=True)]
            some = [right_K for right_K in right_Q if len(right_K)]
            for form in FORMS:
                own_Q = [float((forms_N[teaching_QN[place]] == form).mean()) for place in places]
                if not np.any(own_Q):
                    continue
                shares_Q = [float((forms_N[right_K] == form).mean()) for right_K in some]
                having = sum(bool((forms_N[right_K] == form).any()) for right_K in right_Q)
                rows.append(
                    {
                        "method": method,
                        "k": k,
                        "form": form,
                        "share": told(mean_share(shares_Q)) if shares_Q else None,
                        "queries": told(wilson(having, len(places))),
                        "corpus": float(np.mean(own_Q)),
                    }
                )
    return rows


def near_duplicates(case: Case, *, tops: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return how often the top holds a near-duplicate of the question itself, over the queries that have one."""
    copies = {place: case.truth.copying(query.instance) for place, query in enumerate(case.queries)}
    rows = []
    for kind, groups in (("reasoning", ("reasoning",)), ("facts", ("factual right", "factual wrong"))):
        places = [place for group in groups for place in case.places(group) if copies[place].any()]
        if not places:
            continue
        for method in case.methods:
            for k in tops:
                fooled = [bool(copies[place][ranked(case.scores[method][place], k)].any()) for place in places]
                rows.append({"kind": kind, "method": method, "k": k, **wilson(sum(fooled), len(fooled)).to_json()})
    return rows
