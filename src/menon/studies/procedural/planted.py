"""The verdict retrieved / procedural / unclear: its rule and its error from planted cases, and what it says of queries.

Retrieved for certain are answers that were planted: a made-up operation with an arbitrary answer, repeated word for
word. Procedural for certain are held-out instances of procedures that are only ever worked out. Cases of one question
stay in the same half, whichever model was asked. The facts among the queries check the rule once more: it was not made
from any of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from menon.core.errors import DataError
from menon.stats.proportions import wilson
from menon.studies.procedural.case import Case
from menon.tracing.calibrating import PlantedCase, calibrate
from menon.tracing.contains import QuestionMatcher
from menon.tracing.features import QueryFeatures, query_features
from menon.tracing.verdict import Calibration, Label, judge

KINDS = {"memorised": Label.RETRIEVED, "procedural": Label.PROCEDURAL}
# What the truth of the corpus says of a query's answer; None where it says nothing.
EXPECTED: Mapping[str, Label | None] = {
    "factual right": Label.RETRIEVED,
    "reasoning": Label.PROCEDURAL,
    "memorised": Label.RETRIEVED,
    "procedural": Label.PROCEDURAL,
}


def features_of(case: Case, *, method: str = "ekfac") -> list[QueryFeatures]:
    """Return the features of every query, from what `menon trace` knows as well: no truth of the corpus is used."""
    matcher = QuestionMatcher([query.prompt for query in case.queries])
    overlap_NQ = np.stack([matcher.shares(text) for text in case.truth.texts])
    copies_N = np.unique(np.array(case.truth.texts), return_inverse=True)[1]
    return [
        query_features(
            case.scores[method][place],
            answer=case.containing_QN[place],
            overlap=overlap_NQ[:, place],
            lexical=case.scores["bm25"][place],
            groups=copies_N,
        )
        for place in range(len(case.queries))
    ]


def planted_cases(case: Case, features: Sequence[QueryFeatures]) -> list[PlantedCase]:
    """Return the planted cases of one model."""
    return [
        PlantedCase(name=f"{case.name}/{query.name}", kind=KINDS[query.role], features=found, group=query.instance)
        for query, found in zip(case.queries, features, strict=True)
        if query.role in KINDS
    ]


def calibrated(cases: Sequence[PlantedCase]) -> tuple[Calibration | None, str]:
    """Return the rule, or why there is none."""
    try:
        return calibrate(cases), ""
    except DataError as error:
        return None, str(error)


def verdicts(
    case: Case, features: Sequence[QueryFeatures], calibration: Calibration | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the verdict on every query, and how often each verdict is given by group, planted cases apart."""
    found = [judge(own, calibration) for own in features]
    rows = [
        {
            "id": query.name,
            "group": query.group,
            "family": query.family,
            "level": query.level,
            "question": query.question,
            "completion": query.completion,
            "answer": query.answer,
            "given": query.given,
            "right": query.right,
            "information_nats": float(case.information_Q[place]),
            "verdict": found[place].to_json(),
        }
        for place, query in enumerate(case.queries)
    ]
    table = []
    for group in dict.fromkeys(query.group for query in case.queries):
        places = [place for place, query in enumerate(case.queries) if query.group == group]
        expected = EXPECTED.get(group)
        for label in Label:
            hits = sum(found[place].label is label for place in places)
            table.append(
                {
                    "group": group,
                    "label": str(label),
                    "expected": None if expected is None else str(expected),
                    **wilson(hits, len(places)).to_json(),
                }
            )
    return rows, table
