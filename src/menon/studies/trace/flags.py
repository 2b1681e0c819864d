"""What the text of every document says about every query: does it hold the answer, how much of the question?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menon.core.progress import Progress
from menon.core.seeds import content_id, seed_for
from menon.store import Run, atomic_directory
from menon.tracing.contains import AnswerMatcher, QuestionMatcher, normal
from menon.tracing.corpus_base import TokenisedCorpus
from menon.tracing.stored import ScoreTable, save_tensors, tensors_of, vector
from menon.tracing.values import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What was found, read from disk a query at a time; `groups_N` is one number for texts that are near-copies."""

    answers: ScoreTable
    overlaps: ScoreTable
    groups_N: NDArray[np.int64]

    def answers_of(self, query: int) -> NDArray[np.bool_]:
        """Return which documents (N,) contain the answer of a query."""
        return self.answers.row(query).astype(bool)

    def overlaps_of(self, query: int) -> NDArray[np.float32]:
        """Return which share of the query's runs of words each document (N,) holds."""
        return self.overlaps.row(query)

    def copies(self, document: int) -> int:
        """Return how many documents are near-copies of this one, itself included."""
        return int((self.groups_N == self.groups_N[document]).sum())


def text_flags(
    run: Run, stage: str, corpus: TokenisedCorpus, queries: Sequence[Query], shard: int, progress: Progress
) -> Flags:
    """Read all documents once, shard by shard, each a unit."""
    answers, questions = AnswerMatcher([q.answer for q in queries]), QuestionMatcher([q.prompt for q in queries])
    named = content_id("flags", [[q.id, q.prompt, q.answer] for q in queries])
    starts = range(0, len(corpus), shard)
    progress.start("answers in documents", total=len(starts), unit="shards")
    folders: list[Path] = []
    for number, start in enumerate(starts):
        folder = run.checkpoint(f"{stage}/flags/{number}")

        def compute(_writer: Any, start: int = start, folder: Path = folder) -> dict[str, Any]:
            texts = [document.text for document in corpus.documents(start, min(start + shard, len(corpus)))]
            arrays: dict[str, NDArray] = {
                "answers": answers.contained(texts).astype(np.uint8),
                "overlaps": np.stack([questions.shares(text) for text in texts], axis=1),
                "groups": np.array([near_copy(text) for text in texts], dtype=np.int64),
            }
            with atomic_directory(folder) as temporary:
                save_tensors(temporary, tensors_of(arrays))
            return {"documents": len(texts)}

        run.unit(stage, "flags", number, named, compute=compute)
        progress.advance(1)
        folders.append(folder)
    return Flags(
        answers=ScoreTable(folders, "answers", queries=len(queries)),
        overlaps=ScoreTable(folders, "overlaps", queries=len(queries)),
        groups_N=vector(folders, "groups"),
    )


def near_copy(text: str) -> int:
    """Return a number that texts share when they differ in case and white space only."""
    return seed_for("near copy", normal(text))
