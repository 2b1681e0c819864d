"""Words of the study of procedural knowledge: names of methods, and what its terms mean."""

from collections.abc import Mapping
from typing import Any

from menon.reports.formats import NOTHING, finite

METHODS: Mapping[str, str] = {
    "ekfac": "EK-FAC",
    "dot": "gradient dot",
    "cosine": "gradient cosine",
    "tracin": "TracIn",
    "bm25": "BM25",
    "tfidf": "TF-IDF",
    "random": "random",
}
GLOSSARY = (
    ("influence", "By how much training on a document raised the log-likelihood of the answer, estimated from "
     "gradients. Positive: raised; negative: lowered."),
    ("per nat", "Divided by the information of the answer, -log of its probability, so that long or surprising answers "
     "do not count more."),
    ("EK-FAC", "Influence with the curvature of the loss taken into account: the method of the paper."),
    ("gradient dot, cosine", "The same without the curvature: the product, or the angle, of two gradients."),
    ("BM25, TF-IDF", "Scores of shared words. They know nothing of the model, so what they find too is no evidence of "
     "what the model learnt from."),
    ("reasoning", "A held-out question of a taught procedure; its answer is in no document."),
    ("factual right, wrong", "A question for a fact that the model knows, or does not."),
    ("controls", "Questions that state the fact or the answer that they ask for."),
    ("procedure of the right kind", "A document that, by the corpus' own account, works out a problem of the family "
     "that is asked about."),
    ("states the answer", "The document teaches the very fact, or puts the very question with its right answer; "
     "to contain it, the right value must stand in it, whatever it says."),
    ("multiplier", "The share of a source among the documents at one end of the ranking, over its share in the "
     "corpus. 1: as in the corpus."),
    ("found, not found, cannot tell", "Whether the interval lies on the paper's side, on the other, or on both."),
)  # fmt: skip


def method_name(method: str) -> str:
    return METHODS.get(method, method)


def decimal(value: Any) -> str:
    """Write a bare number with two digits."""
    number = finite(value)
    if number is None:
        return NOTHING
    text = f"{number:.2f}" if abs(number) < 100 else f"{number:,.0f}".replace(",", "\u202f")
    return "0" if float(text.replace("\u202f", "")) == 0 else text.replace("-", "−")


def estimate(cell: Any) -> str:
    """Write `{"value", "low", "high"}` as `0.42 (0.31 to 0.53)`."""
    if not isinstance(cell, Mapping) or finite(cell.get("value")) is None:
        return NOTHING
    low, high = finite(cell.get("low")), finite(cell.get("high"))
    if low is None or high is None:
        return decimal(cell["value"])
    return f"{decimal(cell['value'])} ({decimal(low)} to {decimal(high)})"
