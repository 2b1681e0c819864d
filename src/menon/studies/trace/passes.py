"""The passes of tracing as units: curvature, query gradients, documents; any of them can be killed and goes on.

Every pass runs over shards of documents. A shard's sums or scores are one file, written whole before its unit is
committed; nothing that a pass holds in memory grows with the corpus.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menon.core.errors import ConfigError
from menon.core.progress import Progress
from menon.core.seeds import content_id, seed_for
from menon.models.load import Loaded
from menon.stats.rankings import ranked
from menon.store import Run, atomic_directory, atomic_remove
from menon.tracing.bank import QueryBank, query_bank
from menon.tracing.config import TraceConfig
from menon.tracing.corpora import Corpus
from menon.tracing.factors import Covariance, Eigenvalues, Factors, covariance, eigenbasis, eigenvalues
from menon.tracing.layers import Layers, traced_layers
from menon.tracing.lexical import DocumentFrequencies, LexicalScorer
from menon.tracing.prefilter import sample_documents
from menon.tracing.scoring import score_documents
from menon.tracing.stored import ScoreTable, load_arrays, load_tensors, save_tensors, tensors_of, vector
from menon.tracing.values import TokenSequence

MOST_FACTOR_SHARDS = 16
FACTORS = "factors.safetensors"
Model = Callable[[], Loaded]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRun:
    """What the passes left in a run: score tables by method, and what every document and query had.

    `chosen_N` marks the documents that influence was computed for (all of them unless a prefilter was asked for);
    scores of the others are 0.
    """

    tables: Mapping[str, ScoreTable]
    documents: int
    information_Q: NDArray[np.float64]
    query_norms_Q: NDArray[np.float64]
    norms_N: NDArray[np.float32]
    losses_N: NDArray[np.float32]
    chosen_N: NDArray[np.bool_]
    factors: Path
    bank: Path
    queries: tuple[str, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.tables) + (("cosine",) if "dot" in self.tables else ()) + ("random",)

    def row(self, method: str, query: int) -> NDArray[np.float32]:
        """Return the scores (N,) of all documents for one query by any of `methods`."""
        if method == "random":
            seed = seed_for("random scores", self.queries[query])
            return np.random.default_rng(seed).random(self.documents, dtype=np.float32)
        if method == "cosine":
            norms_N = self.norms_N * np.float32(self.query_norms_Q[query])
            dots_N = self.tables["dot"].row(query)
            return np.divide(dots_N, norms_N, out=np.zeros_like(dots_N), where=norms_N > 0)
        if method not in self.tables:
            raise ConfigError(f"no scores by {method!r} in this run; allowed: {', '.join(self.methods)}")
        return self.tables[method].row(query)

    def matrix(self, method: str) -> NDArray[np.float32]:
        """Return the scores (Q, N) by a method; for corpora that fit in memory."""
        return np.stack([self.row(method, query) for query in range(len(self.queries))])


def traced(
    run: Run,
    stage: str,
    *,
    model: Model,
    corpus: Corpus,
    queries: Sequence[TokenSequence],
    names: Sequence[str],
    config: TraceConfig,
    progress: Progress,
    checkpoints: Sequence[tuple[Model, float]] = (),
    factors: Path | None = None,
    prefilter: int = 0,
    sample: int = 0,
) -> TracedRun:
    """Run or resume all passes and return the scores.

    Args:
        queries: prompt and completion as one sequence each, whose prompt has weight 0; `names` are their ids.
        checkpoints: models on the way with their learning rates, for "tracin".
        factors: a file of factors fitted before on the same model and layers, used instead of fitting new ones.
        prefilter: score only the documents with the highest BM25 of each query (0: all), and a random `sample`.
    Raises:
        ConfigError: factors of another model or other layers; a layer that cannot be traced. DataError: a document or
            query whose gradient is not finite.
    """
    passes = _Passes(run, stage, model, corpus, config, progress)
    curvature = passes.fitted(factors)
    bank = passes.bank("bank", queries, names, curvature)
    lexical = passes.lexical(queries, names)
    chosen_N = passes.chosen(lexical, len(queries), prefilter, sample)
    shards = passes.scored("scores", "bank", chosen_N)
    tables = {
        method: ScoreTable(shards, "scores", queries=len(queries), first=bank.rows(method).start)
        for method in bank.methods
    }
    if checkpoints:
        tables["tracin"] = passes.tracin(checkpoints, queries, names, chosen_N)
    tables |= {method: ScoreTable(lexical, method, queries=len(queries)) for method in ("bm25", "tfidf")}
    return TracedRun(
        tables=tables,
        documents=len(corpus),
        information_Q=bank.information_Q,
        query_norms_Q=bank.norms_Q,
        norms_N=vector(shards, "norms"),
        losses_N=vector(shards, "losses"),
        chosen_N=chosen_N,
        factors=curvature,
        bank=run.checkpoint(f"{stage}/bank"),
        queries=tuple(names),
    )


class _Passes:
    def __init__(self, run: Run, stage: str, model: Model, corpus: Corpus, config: TraceConfig, progress: Progress):
        self.run, self.stage, self.corpus, self.config, self.progress = run, stage, corpus, config, progress
        self._open, self._loaded, self._layers = model, None, None

    @property
    def loaded(self) -> Loaded:
        if self._loaded is None:
            self._loaded = self._open()
        return self._loaded

    @property
    def layers(self) -> Layers:
        if self._layers is None:
            self._layers = traced_layers(self.loaded.model, select=self.config.layers, skip=self.config.skip)
        return self._layers

    @property
    def described(self) -> dict[str, str]:
        return {"model": self.loaded.weights_hash, "layer set": self.layers.hash}

    def folder(self, *names: str | int) -> Path:
        return self.run.checkpoint("/".join(map(str, (self.stage, *names))))

    def shards(self, size: int) -> list[range]:
        count = len(self.corpus)
        return [range(start, min(start + size, count)) for start in range(0, count, size)]

    def piece(self, name: str, number: int, compute: Callable[[], dict[str, Any]], *extra: str) -> Path:
        """Compute one file of tensors as a unit and return its folder."""
        folder = self.folder(name, number)

        def unit(_writer: Any) -> dict[str, Any]:
            tensors = compute()
            with atomic_directory(folder) as temporary:
                save_tensors(temporary, tensors)
            return {"tensors": sorted(tensors)}

        self.run.unit(self.stage, name, number, *extra, compute=unit)
        self.progress.advance(1)
        return folder

    # --- curvature ---

    def fitted(self, given: Path | None) -> Path:
        """Fit the factors and return their file; of `given` ones only check that they belong to the model."""
        folder = self.folder("curvature")
        if given is not None:
            Factors.load(given, self.described)
            return given
        if self.run.done(self.stage, "factors") is not None:
            self._remove_sums()
            return folder / FACTORS
        parts = self._factor_parts()
        self.progress.start("covariance of inputs and gradients", total=len(parts), unit="shards")
        size, seed = self.config.tokens_per_batch, self.config.seed
        first, second = seed_for("fisher", "covariance", seed), seed_for("fisher", "eigenvalues", seed)
        sums = [
            self.piece(
                "covariance",
                number,
                lambda part=part: covariance(
                    self.loaded.model, self.layers, self._sequences(part), tokens_per_batch=size, seed=first
                ).tensors(),
            )
            for number, part in enumerate(parts)
        ]
        total = Covariance.of(load_tensors(sums[0]))
        for part in sums[1:]:
            total.add(Covariance.of(load_tensors(part)))
        basis = eigenbasis(total, self.layers)
        device = self.loaded.device
        basis.inputs, basis.outputs = [x.to(device) for x in basis.inputs], [x.to(device) for x in basis.outputs]
        self.progress.start("eigenvalues", total=len(parts), unit="shards")
        found = [
            self.piece(
                "eigenvalues",
                number,
                lambda part=part: eigenvalues(
                    self.loaded.model, self.layers, basis, self._sequences(part), tokens_per_batch=size, seed=second
                ).tensors(),
            )
            for number, part in enumerate(parts)
        ]

        def finish(_writer: Any) -> dict[str, Any]:
            values = Eigenvalues.of(load_tensors(found[0]))
            for part in found[1:]:
                values.add(Eigenvalues.of(load_tensors(part)))
            basis.inputs, basis.outputs = [x.cpu() for x in basis.inputs], [x.cpu() for x in basis.outputs]
            made = Factors.of(self.layers, basis, values, **self.described)
            with atomic_directory(folder) as temporary:
                made.save(temporary / FACTORS)
            return {"documents": values.documents, "tokens": total.tokens}

        self.run.unit(self.stage, "factors", compute=finish)
        self._remove_sums()
        return folder / FACTORS

    def _remove_sums(self) -> None:
        """Remove the sums of the parts, which are in the factors now."""
        for name in ("covariance", "eigenvalues"):
            atomic_remove(self.folder(name))

    def _factor_parts(self) -> list[list[range]]:
        """Cut the documents that the curvature is measured on into a bounded number of parts, each of some shards."""
        count = len(self.corpus)
        wanted = min(self.config.factor_documents or count, count)
        shards = self.shards(self.config.shard)
        # Of every shard the same share, from its front: the curvature sees all of the corpus.
        cut = [range(r.start, r.start + max(1, round(len(r) * wanted / count))) for r in shards]
        size = -(-len(cut) // MOST_FACTOR_SHARDS)
        return [cut[start : start + size] for start in range(0, len(cut), size)]

    def _sequences(self, part: Sequence[range]) -> list[TokenSequence]:
        return [s for documents in part for s in self.corpus.sequences(documents.start, documents.stop)]

    # --- queries ---

    def bank(
        self, name: str, queries: Sequence[TokenSequence], names: Sequence[str], factors: Path | None
    ) -> QueryBank:
        """Precondition the query gradients; without factors the raw gradients are kept."""
        folder = self.folder(name)

        def compute(_writer: Any) -> dict[str, Any]:
            self.progress.start("query gradients", total=1, unit="passes")
            made = Factors.load(factors, self.described).to(self.loaded.device) if factors else None
            found = query_bank(
                self.loaded.model,
                self.layers,
                queries,
                factors=made,
                damping=made.damping(self.config.damping) if made else (),
                rank=self.config.rank,
                seed=self.config.seed,
            )
            with atomic_directory(folder) as temporary:
                save_tensors(temporary, found.tensors())
            self.progress.advance(1)
            return {
                "methods": list(found.methods),
                "layers": list(self.layers.names),
                "damping": made.damping(self.config.damping) if made else [],
            }

        value = self.run.unit(self.stage, name, _hash(queries, names), compute=compute)
        return QueryBank.of(value["methods"], load_tensors(folder), len(value["layers"]))

    # --- documents ---

    def scored(self, name: str, bank: str, chosen_N: NDArray[np.bool_]) -> list[Path]:
        """Score all documents against a bank, shard by shard."""
        shards = self.shards(self.config.shard)
        self.progress.start("documents", total=len(shards), unit="shards")
        held: list[QueryBank] = []

        def compute(documents: range) -> dict[str, Any]:
            if not held:
                value = next(u.value for u in self.run.units(self.stage) if u.names[0] == bank)
                tensors = load_tensors(self.folder(bank))
                held.append(QueryBank.of(value["methods"], tensors, len(value["layers"])).to(self.loaded.device))
            sequences = [s for s in self.corpus.sequences(documents.start, documents.stop) if chosen_N[s.document]]
            found = score_documents(
                self.loaded.model,
                self.layers,
                held[0],
                sequences,
                first=documents.start,
                documents=len(documents),
                tokens_per_batch=self.config.tokens_per_batch,
            )
            arrays = {"scores": found.scores_KN, "norms": found.norms_N, "losses": found.losses_N}
            return tensors_of({key: value.astype(np.float32) for key, value in arrays.items()})

        return [
            self.piece(name, number, lambda documents=documents: compute(documents))
            for number, documents in enumerate(shards)
        ]

    def tracin(
        self,
        checkpoints: Sequence[tuple[Model, float]],
        queries: Sequence[TokenSequence],
        names: Sequence[str],
        chosen_N: NDArray[np.bool_],
    ) -> ScoreTable:
        """Sum gradient dot products over checkpoints, each times its learning rate (arXiv:2002.08484, eq. 3)."""
        tables = []
        for number, (model, rate) in enumerate(checkpoints):
            inner = _Passes(
                self.run, f"{self.stage}-checkpoint-{number}", model, self.corpus, self.config, self.progress
            )
            inner.bank("bank", queries, names, None)
            tables.append((inner.scored("scores", "bank", chosen_N), rate))
        shards = self.shards(self.config.shard)
        self.progress.start("TracIn", total=len(shards), unit="shards")
        folders = [
            self.piece(
                "tracin",
                number,
                lambda number=number: {
                    "scores": sum(load_tensors(parts[number])["scores"] * rate for parts, rate in tables)
                },
            )
            for number in range(len(shards))
        ]
        return ScoreTable(folders, "scores", queries=len(queries))

    # --- words ---

    def lexical(self, queries: Sequence[TokenSequence], names: Sequence[str]) -> list[Path]:
        """Count tokens, then score every document by BM25 and TF-IDF."""
        shards = self.shards(self.config.shard)
        counted = DocumentFrequencies()
        folder = self.folder("frequencies")

        def count(_writer: Any) -> dict[str, Any]:
            self.progress.start("words", total=len(shards), unit="shards")
            for documents in shards:
                counted.add_batch(self._words(documents))
                self.progress.advance(1)
            with atomic_directory(folder) as temporary:
                save_tensors(temporary, tensors_of(counted.to_arrays()))
            return {"documents": counted.documents}

        self.run.unit(self.stage, "frequencies", compute=count)
        scorers: list[LexicalScorer] = []

        def compute(documents: range) -> dict[str, Any]:
            if not scorers:
                scorers.append(
                    LexicalScorer(DocumentFrequencies.from_arrays(load_arrays(folder)), [q.ids for q in queries])
                )
            bm25_QB, tfidf_QB = scorers[0].score(self._words(documents))
            return tensors_of({"bm25": bm25_QB, "tfidf": tfidf_QB})

        self.progress.start("lexical baselines", total=len(shards), unit="shards")
        return [
            self.piece("lexical", number, lambda documents=documents: compute(documents), _hash(queries, names))
            for number, documents in enumerate(shards)
        ]

    def _words(self, documents: range) -> list[tuple[int, ...]]:
        """Return the token ids of documents, windows of a long one put together again."""
        words: dict[int, list[int]] = {number: [] for number in documents}
        for sequence in self.corpus.sequences(documents.start, documents.stop):
            repeated = sequence.prompt if sequence.start else 0  # context that the window before has already
            words[sequence.document].extend(sequence.ids[repeated:])
        return [tuple(ids) for ids in words.values()]

    def chosen(self, lexical: Sequence[Path], queries: int, prefilter: int, sample: int) -> NDArray[np.bool_]:
        """Mark the documents to score: all, or the best by BM25 of every query and a random sample."""
        count = len(self.corpus)
        if not prefilter or prefilter >= count:
            return np.ones(count, dtype=bool)
        marked_N = np.zeros(count, dtype=bool)
        for row_N in ScoreTable(lexical, "bm25", queries=queries).rows():
            marked_N |= best_by(row_N, prefilter)
        if sample:
            marked_N[sample_documents(count, min(sample, count), "prefilter", self.config.seed)] = True
        return marked_N


def best_by(row_N: NDArray[np.float32], wanted: int) -> NDArray[np.bool_]:
    """Mark the `wanted` documents with the highest scores; ties go to the first document."""
    marked_N = np.zeros(len(row_N), dtype=bool)
    marked_N[ranked(row_N, min(wanted, len(row_N)))] = True
    return marked_N


def _hash(queries: Sequence[TokenSequence], names: Sequence[str]) -> str:
    return content_id("queries", list(names), [list(query.ids) for query in queries])
