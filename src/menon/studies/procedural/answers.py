"""F3: do the most influential documents hold the answer, or the results of the steps to it?

Two readings, side by side: a document *contains* the answer when the right value stands in it at all (small numbers
often do), and *states* it when it teaches the very fact or puts the very question with its right answer. The shape of
the paper is: answers stand in the top for facts that are known, hardly ever for reasoning, although they do occur in
the corpus. Source: Ruis et al. 2024, arXiv:2411.12580, section 5.2; the share over all documents is ours.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menon.stats.proportions import wilson
from menon.stats.rankings import mean_share, ranked
from menon.studies.procedural.case import Case, told


def answers(case: Case, *, tops: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return, by group, method and k, how often the top states and contains the answer, beside all documents."""
    containing_QN, stating_QN = case.containing_QN, case.stating_QN
    rows = []
    for group, places in case.groups():
        everywhere = {
            "contained": told(mean_share(containing_QN[places].mean(axis=1))),
            "stated": told(wilson(int(stating_QN[places].any(axis=1).sum()), len(places))),
            "stating_documents": float(stating_QN[places].sum(axis=1).mean()),
        }
        for method in case.methods:
            for k in tops:
                top_QK = np.stack([ranked(case.scores[method][place], k) for place in places])
                contained_Q = np.take_along_axis(containing_QN[places], top_QK, axis=1).mean(axis=1)
                stated_Q = np.take_along_axis(stating_QN[places], top_QK, axis=1).any(axis=1)
                rows.append(
                    {
                        "group": group,
                        "method": method,
                        "k": k,
                        "contained": told(mean_share(contained_Q, most=float(k * len(places)))),
                        "stated": told(wilson(int(stated_Q.sum()), len(places))),
                        "corpus": everywhere,
                    }
                )
    return rows


def step_results(case: Case, *, tops: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return the share of the steps of reasoning queries that stand, as they are written, in a document of the top."""
    places = [place for place in case.places("reasoning") if case.queries[place].steps]
    if not places:
        return []
    held = {step: _holding(step, case.truth.texts) for place in places for step in case.queries[place].steps}
    everywhere_Q = [np.mean([held[step].any() for step in case.queries[place].steps]) for place in places]
    corpus = told(mean_share(everywhere_Q))
    rows = []
    for method in case.methods:
        for k in tops:
            shares_Q = [
                np.mean([held[step][ranked(case.scores[method][place], k)].any() for step in case.queries[place].steps])
                for place in places
            ]
            every_Q = [share == 1.0 for share in shares_Q]
            rows.append(
                {
                    "method": method,
                    "k": k,
                    "steps": told(mean_share(shares_Q)),
                    "every_step": told(wilson(sum(every_Q), len(every_Q))),
                    "corpus": corpus,
                }
            )
    return rows


def _holding(step: str, texts: tuple[str, ...]) -> NDArray[np.bool_]:
    pattern = re.compile(rf"(?<![0-9]){re.escape(step)}(?![0-9])")
    return np.array([bool(pattern.search(text)) for text in texts])
