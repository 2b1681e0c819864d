"""F5: which sources and forms are over-represented at both ends of the rankings?

A multiplier is the share of a source in the top (or bottom) k over its share in the corpus. The shape of the paper is:
code and mathematical text over-represented for reasoning, encyclopedias for facts, and the same sources at the bottom.
Source: Ruis et al. 2024, arXiv:2411.12580, section 5.2; intervals and the agreement of both ends are ours.
"""

from typing import Any

import numpy as np

from menon.stats.association import spearman
from menon.stats.rankings import multipliers
from menon.studies.procedural.case import INFLUENCE, Case, told


def sources(case: Case, *, tops: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return the multipliers of every source, form and kind, by group of queries and method."""
    columns = {"source": case.truth.sources_N, "form": case.truth.forms_N, "kind": case.truth.kinds_N}
    rows = []
    for group, places in case.groups():
        for method in case.methods:
            for label, labels_N in columns.items():
                for found in multipliers(case.scores[method][places], labels_N, tops):
                    rows.append(
                        {
                            "group": group,
                            "method": method,
                            "label": label,
                            "value": found.label,
                            "k": found.k,
                            "corpus_share": found.corpus_share,
                            "top": told(found.top),
                            "bottom": told(found.bottom),
                        }
                    )
    return rows


def ends_alike(rows: list[dict[str, Any]], *, k: int) -> list[dict[str, Any]]:
    """Return the rank correlation of the sources' multipliers at the top with those at the bottom, by group."""
    found = []
    for group in dict.fromkeys(row["group"] for row in rows):
        for method in dict.fromkeys(row["method"] for row in rows):
            if method not in INFLUENCE:
                continue
            own = [
                row
                for row in rows
                if (row["group"], row["method"], row["label"], row["k"]) == (group, method, "source", k)
            ]
            ends = [[row[end]["value"] for row in own] for end in ("top", "bottom")]
            if len(own) > 2 and all(np.ptp(values) > 0 for values in ends):
                found.append({"group": group, "method": method, "k": k, "n": len(own), "value": spearman(*ends)})
    return found
