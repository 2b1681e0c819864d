"""From scores to what the report says of one query: documents at both ends, curve, answers, sources, verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menon.models.load import Loaded
from menon.sampling.local import LocalSampler
from menon.stats.association import pearson
from menon.stats.power_law import cumulative_influence, tail_slope
from menon.stats.rankings import multipliers, ranked
from menon.studies.trace.flags import Flags
from menon.studies.trace.passes import TracedRun
from menon.studies.trace.recipe import TraceRecipe
from menon.tracing.bank import QueryBank
from menon.tracing.corpus_base import LabelColumn, TokenisedCorpus
from menon.tracing.features import query_features
from menon.tracing.layers import Layers
from menon.tracing.scoring import token_scores
from menon.tracing.values import Query, TokenSequence
from menon.tracing.verdict import Calibration, effect_words, judge

LABELS = ("source", "kind", "form", "family")
KS = (10, 50, 100, 500)
LONGEST_TEXT = 2000
MAIN = "ekfac"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Everything that the description of a query is made from.

    `trained_on` is the number of documents that the model was trained on; influence is told as the effect of one more
    copy of a document among them.
    """

    recipe: TraceRecipe
    loaded: Loaded
    layers: Layers
    bank: QueryBank
    corpus: TokenisedCorpus
    found: TracedRun
    flags: Flags
    labels: Mapping[str, LabelColumn]
    calibration: Calibration | None
    trained_on: int

    def query(self, number: int, query: Query, sequence: TokenSequence) -> dict[str, Any]:
        """Return the part of report.json for one query."""
        rows = {method: self.found.row(method, number) for method in self.found.methods}
        main_N, information = rows[MAIN], float(self.found.information_Q[number])
        top, bottom = self._ends(main_N)
        answers_N = self.flags.answers_of(number) if query.answer else None
        features = query_features(
            main_N,
            answer=answers_N,
            overlap=self.flags.overlaps_of(number),
            lexical=rows["bm25"],
            groups=self.flags.groups_N,
        )
        parts, shares = self._parts(number, [*top[: self._lit], *bottom[: self._lit]])
        listed = {
            MAIN: {
                "top": [self._entry(rows, number, d, r, answers_N, parts) for r, d in enumerate(top, 1)],
                "bottom": [self._entry(rows, number, d, r, answers_N, parts) for r, d in enumerate(bottom, 1)],
            }
        }
        for method, row_N in rows.items():
            if method != MAIN:
                best = ranked(row_N, min(self.recipe.shown.baseline, len(row_N)))
                listed[method] = {
                    "top": [self._entry(rows, number, int(d), r, answers_N, {}, method) for r, d in enumerate(best, 1)]
                }
        curve = cumulative_influence(main_N / np.float32(self.trained_on), information) if information > 0 else ()
        slope = tail_slope(main_N)
        return {
            "id": query.id,
            "prompt": query.prompt,
            "completion": query.completion,
            "answer": query.answer,
            "task": query.task,
            "labels": dict(query.labels),
            "information_nats": information,
            "tokens": self._tokens(sequence),
            "verdict": judge(features, self.calibration).to_json(),
            "methods": listed,
            "curve": [point.to_json() for point in curve],
            "slope": None if slope is None else slope.to_json(),
            "answers": _answers(answers_N, main_N),
            "sources": self._sources(main_N),
            "agreement": self._agreement(rows),
            "layers": shares,
        }

    @property
    def _lit(self) -> int:
        return self.recipe.shown.highlighted

    def _ends(self, main_N: NDArray[np.float32]) -> tuple[list[int], list[int]]:
        """Return the documents with the highest and the lowest scores; a score of 0 is at neither end."""
        count = len(main_N)
        top = [int(d) for d in ranked(main_N, min(self.recipe.shown.top, count)) if main_N[d] > 0]
        if not self.recipe.shown.bottom:
            return top, []
        low = ranked(main_N, min(self.recipe.shown.bottom, count), bottom=True)
        return top, [int(d) for d in low if main_N[d] < 0]

    def _entry(
        self,
        rows: Mapping[str, NDArray[np.float32]],
        number: int,
        document: int,
        rank: int,
        answers_N: NDArray[np.bool_] | None,
        parts: Mapping[int, list[dict[str, Any]]],
        method: str = MAIN,
    ) -> dict[str, Any]:
        read = self.corpus.document(document)
        score, information = float(rows[method][document]), float(self.found.information_Q[number])
        entry = {
            "rank": rank,
            "document": document,
            "id": read.id,
            "origin": read.origin,
            "labels": dict(read.labels),
            "score": score,
            "contains_answer": None if answers_N is None else bool(answers_N[document]),
            "copies": self.flags.copies(document),
            "text": read.text[:LONGEST_TEXT],
            "cut": len(read.text) > LONGEST_TEXT,
        }
        if method != MAIN:
            return entry
        return entry | {
            "per_nat": score / self.trained_on / information if information > 0 else None,
            "effect_nats": score / self.trained_on,
            "words": "raised" if score > 0 else "lowered",
            "sentence": effect_words(score, information, self.trained_on),
            "tokens": parts.get(document),
            "other": {name: _rank(row_N, document) for name, row_N in rows.items() if name not in (MAIN, "random")},
        }

    def _parts(
        self, number: int, documents: Sequence[int]
    ) -> tuple[dict[int, list[dict[str, Any]]], list[dict[str, Any]]]:
        """Split the scores of shown documents into tokens, and their sizes into layers."""
        found: dict[int, list[dict[str, Any]]] = {}
        sizes_L = np.zeros(len(self.layers.items))
        row = self.bank.rows(MAIN).start + number
        for document in documents:
            sequences = self.corpus.sequences(document, document + 1)
            words: list[dict[str, Any]] = []
            for sequence, part in zip(
                sequences, token_scores(self.loaded.model, self.layers, self.bank, row, sequences), strict=True
            ):
                repeated = sequence.prompt if sequence.start else 0
                texts = token_texts(self.loaded.tokenizer, sequence.ids)
                words += [
                    {"text": text, "score": float(score)}
                    for text, score in list(zip(texts, part.tokens_T, strict=True))[repeated:]
                ]
                sizes_L += np.abs(part.layers_L)
            found[document] = words
        total = sizes_L.sum()
        shares = [
            {"name": layer.name, "share": float(size / total)}
            for layer, size in zip(self.layers.items, sizes_L, strict=True)
            if total > 0
        ]
        return found, shares

    def _tokens(self, sequence: TokenSequence) -> list[dict[str, Any]]:
        """Return the completion token by token with its log-probabilities."""
        prompt, completion = sequence.ids[: sequence.prompt], sequence.ids[sequence.prompt :]
        sampler = LocalSampler(self.loaded.model, self.loaded.tokenizer, name=self.recipe.model, slots=1)
        texts = token_texts(self.loaded.tokenizer, completion)
        return [
            {"text": text, "logp": logp} for text, logp in zip(texts, sampler.score(prompt, completion), strict=True)
        ]

    def _sources(self, main_N: NDArray[np.float32]) -> list[dict[str, Any]]:
        found = []
        for name, column in self.labels.items():
            if len(column.values) < 3:  # nothing, or the same everywhere
                continue
            values = np.array(column.values)[column.codes_N]
            for k in (k for k in KS[:3] if k < len(main_N)):
                found += [
                    {
                        "label": name,
                        "value": one.label or "(none)",
                        "k": k,
                        "corpus_share": one.corpus_share,
                        "top_share": one.top_share.value,
                        "bottom_share": one.bottom_share.value,
                        "top_multiplier": one.top.value,
                        "bottom_multiplier": one.bottom.value,
                    }
                    for one in multipliers([main_N], values, [k])
                ]
        return found

    def _agreement(self, rows: Mapping[str, NDArray[np.float32]]) -> dict[str, float | None]:
        chosen = self.found.chosen_N
        found = {}
        for method, row_N in rows.items():
            if method != MAIN:
                value = pearson(rows[MAIN][chosen], row_N[chosen])
                found[method] = None if np.isnan(value) else value
        return found


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Return the text that each token adds; a character of several tokens belongs to the last of them."""
    texts: list[str] = []
    told = 0  # tokens whose text is out already
    for end in range(1, len(ids) + 1):
        first = max(0, told - 4)  # some context, since a tokenizer may drop a leading space
        before = tokenizer.decode(list(ids[first:told]), skip_special_tokens=False)
        text = tokenizer.decode(list(ids[first:end]), skip_special_tokens=False)[len(before) :]
        if text.endswith("\ufffd") and end < len(ids) and end - told < 4:
            texts.append("")
            continue
        texts.append(text)
        told = end
    return texts


def _answers(answers_N: NDArray[np.bool_] | None, main_N: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Return the share of the most influential documents that contain the answer, beside that of all documents."""
    if answers_N is None:
        return []
    return [
        {"k": k, "top_share": float(answers_N[ranked(main_N, k)].mean()), "corpus_share": float(answers_N.mean())}
        for k in KS
        if k < len(main_N)
    ]


def _rank(row_N: NDArray[np.float32], document: int) -> int:
    """Return the rank of a document, from 1; equal scores share the best of their ranks."""
    return int((row_N > row_N[document]).sum()) + 1
