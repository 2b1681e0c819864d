"""One model with its queries and the scores of all documents, as the findings look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menon.stats.interval import Interval
from menon.studies.procedural.asked import GROUPS, AskedQuery
from menon.studies.procedural.truth import Truth
from menon.tracing.contains import AnswerMatcher, QuestionMatcher

INFLUENCE = ("ekfac", "dot", "cosine", "tracin")
LEXICAL = ("bm25", "tfidf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Scores by method are (Q, N), in the order of the queries and of the documents of `truth`."""

    name: str
    title: str
    truth: Truth
    queries: tuple[AskedQuery, ...]
    scores: Mapping[str, NDArray[np.float32]]
    information_Q: NDArray[np.float64]
    _found: dict[str, NDArray[np.bool_]] = field(default_factory=dict, repr=False)

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.scores)

    def part(self, queries: Sequence[int]) -> "Case":
        """Return the case with some of its queries."""
        places = list(queries)
        return Case(
            name=self.name,
            title=self.title,
            truth=self.truth,
            queries=tuple(self.queries[place] for place in places),
            scores={method: scores_QN[places] for method, scores_QN in self.scores.items()},
            information_Q=self.information_Q[places],
        )

    def places(self, group: str) -> list[int]:
        """Return the positions of the queries of a group."""
        return [place for place, query in enumerate(self.queries) if query.group == group]

    def groups(self) -> list[tuple[str, list[int]]]:
        """Return the groups of queries that there are, with their positions; planted cases are none."""
        found = [(group, self.places(group)) for group in GROUPS]
        return [(group, places) for group, places in found if places]

    @property
    def teaching_QN(self) -> NDArray[np.bool_]:
        """Which documents teach what a query needs."""
        return self._kept("teaching", lambda: np.stack([self.truth.teaching(q.needs) for q in self.queries]))

    @property
    def containing_QN(self) -> NDArray[np.bool_]:
        """Which documents contain the right answer of a query, whatever else they say."""
        matcher = AnswerMatcher([query.answer for query in self.queries])
        return self._kept("containing", lambda: matcher.contained(self.truth.texts))

    @property
    def overlap_QN(self) -> NDArray[np.float32]:
        """The share of a query's word 3-grams that a document holds."""
        matcher = QuestionMatcher([query.question for query in self.queries], n=3)
        return self._kept("overlap", lambda: np.stack([matcher.shares(text) for text in self.truth.texts], axis=1))

    @property
    def stating_QN(self) -> NDArray[np.bool_]:
        """Which documents answer the query: they teach its fact, or put its question with the right answer."""

        def stated() -> NDArray[np.bool_]:
            own_QN = np.stack([self.truth.of_instance(query.instance) for query in self.queries])
            facts_Q = np.array([query.needs.startswith("fact:") for query in self.queries])
            told_QN = own_QN | (facts_Q[:, None] & self.teaching_QN) | (self.overlap_QN >= 1)
            return told_QN & self.containing_QN

        return self._kept("stating", stated)

    def _kept(self, name: str, compute: Any) -> Any:
        if name not in self._found:
            self._found[name] = compute()
        return self._found[name]


def told(interval: Interval | None) -> dict[str, Any] | None:
    """Return an interval as JSON, with None for what is not finite."""
    if interval is None or not np.isfinite(interval.value):
        return None
    return {name: value if np.isfinite(value) else None for name, value in interval.to_json().items()}
