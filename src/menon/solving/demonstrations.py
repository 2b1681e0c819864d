"""Demonstrations that nobody wrote: one per cluster of questions (Auto-CoT), and prompts of random exemplars (DiVeRSe).

The rationales are zero-shot texts of a model and may be wrong; that the clusters differ keeps one kind of error from
filling the prompt. A cluster where no candidate passes the rules gives no demonstration. Needs scikit-learn to cluster.
Left out: sampling the rationales. Sentence embeddings may be given; without them questions are TF-IDF vectors.
Sources: Zhang et al. 2022, arXiv:2210.03493 (there with Sentence-BERT); Li et al. 2022, arXiv:2206.02336, section 3.1.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from menon.core.errors import ConfigError
from menon.core.seeds import rng_for
from menon.grading.numbers import canonical, numbers, parse_number, plain

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n")
_ENDS = (".", "!", ";", "\u3002")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A question with a rationale and its answer."""

    question: str
    rationale: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """The cluster of each question, and for each cluster its questions, nearest to the centre first.

    Clusters are numbered in the order in which the questions first show them.
    """

    labels: tuple[int, ...]
    order: tuple[tuple[int, ...], ...]


def cluster_questions(questions: Sequence[str], k: int, *, seed: int = 192, embeddings: Any = None) -> Clusters:
    """Divide questions into `k` clusters by k-means.

    Args:
        seed: the start of k-means; 192 is Auto-CoT's.
        embeddings: an array with one row per question, to use in place of TF-IDF vectors.
    Raises:
        ConfigError: scikit-learn is missing, `k` exceeds the number of different questions, or the embeddings do not
            have one finite row per question.
    """
    if not 1 <= k <= len(set(questions)):
        raise ConfigError(f"k is {k!r} for {len(set(questions))} different questions; allowed: 1 to that number")
    cluster, text = _sklearn()
    import numpy as np

    if embeddings is None:
        if not any(re.search(r"\w", question) for question in questions):
            raise ConfigError(f"none of the {len(questions)} questions has a word; give embeddings, or other questions")
        vectors_QD = text.TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit_transform(questions).toarray()
    else:
        vectors_QD = np.asarray(embeddings, dtype=np.float64)
    if vectors_QD.ndim != 2 or len(vectors_QD) != len(questions) or not np.isfinite(vectors_QD).all():
        raise ConfigError(
            f"embeddings of shape {vectors_QD.shape!r} for {len(questions)} questions; give one row of finite numbers "
            "per question"
        )
    different = len(np.unique(vectors_QD, axis=0))
    if k > different:
        raise ConfigError(
            f"k is {k!r}, but only {different} questions have different vectors; allowed: 1 to {different}"
        )
    means = cluster.KMeans(n_clusters=k, random_state=seed, n_init=10).fit(vectors_QD)
    distance_QK = means.transform(vectors_QD)
    seen = list(dict.fromkeys(int(label) for label in means.labels_))
    order = []
    for label in seen:
        members = [at for at in range(len(questions)) if means.labels_[at] == label]
        # Rounded: equal questions lie at distances that differ in the last bits only.
        order.append(tuple(sorted(members, key=lambda at: (round(float(distance_QK[at, label]), 9), at))))
    return Clusters(labels=tuple(seen.index(int(label)) for label in means.labels_), order=tuple(order))


def is_simple(candidate: Demonstration, most_words: int = 60, most_lines: int = 5) -> bool:
    """Tell whether a candidate is short, complete and ends in its answer."""
    lines = [line for line in candidate.rationale.strip().split("\n") if line.strip()]
    return (
        len(candidate.question.split()) <= most_words
        and 1 <= len(lines) <= most_lines
        and lines[-1].rstrip().endswith(_ENDS)
        and bool(candidate.answer.strip())
        and _in_last_sentence(candidate.answer, candidate.rationale)
    )


def diverse_prompts(
    exemplars: Sequence[_T], prompts: int = 5, shots: int = 8, *names: str | int
) -> list[tuple[_T, ...]]:
    """Return `prompts` random choices of `shots` exemplars, in random order; `names` seed them.

    Choices differ from each other as long as there are others to be had.
    Raises:
        ConfigError: fewer exemplars than shots.
    """
    if not 1 <= shots <= len(exemplars):
        raise ConfigError(f"shots is {shots!r} with {len(exemplars)} exemplars; allowed: 1 to their number")
    if prompts < 1:
        raise ConfigError(f"prompts is {prompts!r}; allowed: 1 or more")
    chosen: list[tuple[int, ...]] = []
    for number in range(prompts):
        rng = rng_for("diverse prompts", *names, number)
        draws = (tuple(rng.sample(range(len(exemplars)), shots)) for _ in range(20))
        draw = next(draws)
        while draw in chosen and (other := next(draws, None)) is not None:
            draw = other
        chosen.append(draw)
    return [tuple(exemplars[at] for at in draw) for draw in chosen]


def _in_last_sentence(answer: str, rationale: str) -> bool:
    sentences = [part for part in _SENTENCE_END.split(rationale.strip()) if part.strip()]
    last = plain(sentences[-1])
    if (value := parse_number(answer)) is not None:
        stated = {canonical(number.value) for number in numbers(last) if number.value is not None}
        return canonical(value) in stated
    wanted = " ".join(plain(answer).split()).casefold()
    return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", " ".join(last.split()).casefold()) is not None


def _sklearn() -> tuple[Any, Any]:
    try:
        from sklearn import cluster
        from sklearn.feature_extraction import text
    except ImportError:
        raise ConfigError(
            "clustering questions needs the package scikit-learn; run `pip install 'menon[cluster]'`"
        ) from None
    return cluster, text
