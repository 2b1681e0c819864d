"""`menon run procedural`: do answers come from procedures or from facts, measured where the truth is known?

Models of two sizes learn the known corpus from nothing; the embedded model is traced on a part of its own text. Each
answers its queries, every document is scored against every answer by influence and by the baselines, and the findings
of the paper are measured on these scores. Training, asking and tracing are units; the findings are computed from them.
Source: Ruis et al. 2024, arXiv:2411.12580. Deviations: answers are those of the traced weights themselves (no
fine-tuned model), documents are whole short texts, and models, corpus and numbers are smaller by many orders.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from menon.core.progress import Named, Progress, Silent
from menon.core.recipe import dump_toml
from menon.models.load import EMBEDDED, Loaded, load_model, load_tokenizer
from menon.models.machine import manifest
from menon.problems.base_text import PROMPT_WEIGHT, base_text
from menon.problems.known.corpus import KnownCorpus
from menon.problems.known.values import KnownDocument
from menon.reports.procedural import write_procedural
from menon.sampling.local import LocalSampler
from menon.store import Run, atomic_write
from menon.studies.known.training import known_tokenizer, train_known
from menon.studies.procedural.asked import GROUPS, AskedQuery, Candidate, asked_queries, chosen
from menon.studies.procedural.candidates import base_candidates, known_candidates
from menon.studies.procedural.case import Case
from menon.studies.procedural.findings import findings_of, sizes_of, verdicts_of
from menon.studies.procedural.recipe import KnownModel, ProceduralStudy
from menon.studies.procedural.truth import Truth, known_of
from menon.studies.procedural.words import concluded
from menon.studies.trace.passes import traced
from menon.tracing.corpora import Corpus, MemoryCorpus, from_known
from menon.tracing.tokenise import Tokeniser
from menon.tracing.values import TokenSequence

METHODS = ("ekfac", "dot", "cosine", "bm25", "tfidf", "random")
BASE = "base"


def run_procedural(
    recipe: ProceduralStudy, *, out: Path, command: str = "", fresh: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Run or resume the study; writes report.json, report.html, verdict.json, the tables and pictures to `out`."""
    progress = progress or Silent()
    with Run.create_or_resume(out, recipe_toml=dump_toml(recipe), manifest=manifest(), fresh=fresh) as run:
        report = _Study(run, recipe, progress).report(command)
        if report["verdict"]["calibration"] is not None:
            atomic_write(out / "verdict.json", json.dumps(report["verdict"]["calibration"], indent=1) + "\n")
        atomic_write(out / "report.json", json.dumps(report, indent=1, ensure_ascii=False))
        page = write_procedural(out, report)
    return {**report, "run": str(out), "page": str(page)}


class _Study:
    def __init__(self, run: Run, recipe: ProceduralStudy, progress: Progress):
        self.run, self.recipe, self.progress = run, recipe, progress
        self._loaded: dict[str, Loaded] = {}
        self._known: tuple[Truth, Corpus] | None = None

    def report(self, command: str) -> dict[str, Any]:
        told, cases = [], []
        for model in self.recipe.models:
            case, about = self._known_case(model)
            cases.append(case)
            told.append(about)
        if self.recipe.base_documents:
            case, about = self._base_case()
            cases.append(case)
            told.append(about)
        self.progress.start("verdicts")
        verdict, judged = verdicts_of(cases)
        asked = [_without_planted(case) for case in cases]
        recipe = self.recipe
        for about, case, own in zip(told, asked, judged, strict=True):
            self.progress.start(f"findings of {case.title}")
            found = findings_of(case, tops=recipe.top, shuffles=recipe.shuffles, seed=recipe.seed)
            about |= {"findings": found, "queries": own}
        pair = asked[: len(recipe.models)]
        report = {
            "schema": 1,
            "study": "procedural",
            "command": command,
            "methods": list(METHODS),
            "top": list(self.recipe.top),
            "models": told,
            "sizes": sizes_of(pair[0], pair[-1], tops=recipe.top) if len(pair) > 1 else None,
            "verdict": verdict,
            "settings": self.recipe.model_dump(mode="json"),
            "manifest": self.run.manifest,
            "seconds": self.run.seconds(),
        }
        return {**report, "conclusions": concluded(report)}

    # --- models, queries, scores ---

    def _known_case(self, model: KnownModel) -> tuple[Case, dict[str, Any]]:
        recipe = self.recipe
        corpus = KnownCorpus(recipe.corpus.mixture)
        trained = train_known(
            self.run,
            "train",
            model.name,
            documents=corpus.document,
            count=recipe.corpus.documents,
            epochs=model.epochs,
            size=model.size,
            train=model.train,
            seed=recipe.seed,
            progress=self.progress,
        )
        truth, documents = self._known_corpus(corpus)
        candidates = known_candidates(recipe.queries, recipe.corpus.mixture)
        title = f"{model.name} ({model.size.width} x {model.size.layers})"
        case, about = self._case(model.name, title, str(trained.folder), truth, documents, candidates)
        training = {
            "documents": trained.documents,
            "steps": trained.steps,
            "tokens": trained.tokens,
            "curve": list(trained.curve),
        }
        return case, {**about, "training": {**training, "epochs": model.epochs, **model.size.model_dump()}}

    def _known_corpus(self, corpus: KnownCorpus) -> tuple[Truth, Corpus]:
        if self._known is None:
            documents = [corpus.document(index) for index in range(self.recipe.corpus.traced)]
            self._known = _material(documents, Tokeniser(known_tokenizer(), context=512), "known")
        return self._known

    def _base_case(self) -> tuple[Case, dict[str, Any]]:
        text = base_text()
        documents = [known_of(text.document(index)) for index in text.spread(self.recipe.base_documents)]
        tokeniser = Tokeniser(load_tokenizer(EMBEDDED), context=512, prompt_weight=PROMPT_WEIGHT)
        truth, corpus = _material(documents, tokeniser, BASE)
        case, about = self._case(BASE, EMBEDDED, EMBEDDED, truth, corpus, base_candidates(self.recipe.queries))
        return case, {**about, "training": None}

    def _case(
        self, name: str, title: str, spec: str, truth: Truth, corpus: Corpus, candidates: Sequence[Candidate]
    ) -> tuple[Case, dict[str, Any]]:
        asked, accuracy = asked_queries(
            self.run, name, lambda: self._sampler(name, spec), candidates,
            max_tokens=self.recipe.queries.max_tokens, progress=self.progress,
        )  # fmt: skip
        queries = chosen(asked, wanted=self._wanted(), least=self.recipe.queries.least)
        tokeniser = Tokeniser(load_tokenizer(spec), context=512)
        sequences = [_sequence(tokeniser, place, query) for place, query in enumerate(queries)]
        found = traced(
            self.run,
            f"trace-{name}",
            model=lambda: self._model(name, spec),
            corpus=corpus,
            queries=sequences,
            names=[query.name for query in queries],
            config=self.recipe.tracing,
            progress=Named(self.progress, title),
        )
        case = Case(
            name=name,
            title=title,
            truth=truth,
            queries=tuple(queries),
            scores={method: found.matrix(method) for method in METHODS},
            information_Q=found.information_Q,
        )
        counts = {group: len(case.places(group)) for group in (*GROUPS, "memorised", "procedural")}
        return case, {
            "name": name,
            "title": title,
            "documents": len(truth),
            "accuracy": accuracy,
            "asked": counts,
        }

    def _wanted(self) -> dict[str, int]:
        queries = self.recipe.queries
        return {
            "reasoning": queries.reasoning,
            "factual right": queries.factual // 2,
            "factual wrong": queries.factual // 2,
            "factual-control": queries.factual_control,
            "reasoning-control": queries.reasoning_control,
            "memorised": queries.planted // 2,
            "procedural": queries.planted // 2,
        }

    def _model(self, name: str, spec: str) -> Loaded:
        if name not in self._loaded:
            self._loaded = {name: load_model(spec, dtype="float32")}
        return self._loaded[name]

    def _sampler(self, name: str, spec: str) -> LocalSampler:
        loaded = self._model(name, spec)
        return LocalSampler(loaded.model, loaded.tokenizer, name=name)


def _material(documents: Sequence[KnownDocument], tokeniser: Tokeniser, name: str) -> tuple[Truth, Corpus]:
    corpus = MemoryCorpus([from_known(document) for document in documents], tokeniser, name=name)
    return Truth.of(documents), corpus


def _sequence(tokeniser: Tokeniser, place: int, query: AskedQuery) -> TokenSequence:
    """Return prompt and completion as one sequence in which only the completion counts."""
    prompt, completion = tokeniser.query(query.query())
    return TokenSequence(document=place, ids=(*prompt, *completion), prompt=len(prompt), prompt_weight=0.0)


def _without_planted(case: Case) -> Case:
    return case.part([place for place, query in enumerate(case.queries) if not query.planted])
