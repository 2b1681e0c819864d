"""A made-up model whose scores are known: reasoning draws on all documents of its procedure, facts on their own.

The documents are those of the known corpus; the scores are noise plus what is put in here, so every finding has a value
that can be worked out.
"""

from typing import Any

import numpy as np

from menon.core.values import Problem
from menon.problems.known.corpus import KnownCorpus
from menon.problems.known.queries import known_queries, planted_queries
from menon.problems.known.values import KnownQuery
from menon.studies.procedural.asked import AskedQuery, accuracy
from menon.studies.procedural.case import Case
from menon.studies.procedural.findings import findings_of, sizes_of, verdicts_of
from menon.studies.procedural.recipe import KnownModel, ProceduralStudy, Taught
from menon.studies.procedural.truth import Truth
from menon.studies.procedural.words import concluded

FAMILIES = ("two-step", "slope")
TAUGHT = Taught(documents=500, traced=500, families=FAMILIES)
TOPS = (5, 20)


def asked(query: KnownQuery, *, right: bool = True) -> AskedQuery:
    """Put a query of the known corpus as if a model had been asked, rightly or wrongly."""
    problem: Problem = query.problem
    given = problem.answer if right else "0"
    return AskedQuery(
        role=query.planted or query.kind,
        family=str(problem.meta["of"]) if query.kind == "reasoning-control" else query.family,
        needs=query.needs,
        level=str(problem.meta.get("format") or problem.meta.get("tier") or ""),
        instance=problem.id,
        problem=problem.id,
        question=problem.question,
        prompt=f"{problem.question}=",
        completion=f"{problem.rationale}#{given}",
        completion_ids=(),
        answer=problem.answer,
        given=given,
        right=right,
        steps=tuple(step for step in (problem.rationale or "").split(";") if "=" in step),
    )


def sample_queries() -> tuple[AskedQuery, ...]:
    mixture = TAUGHT.mixture
    return (
        *(asked(query) for query in known_queries("reasoning", 12, mixture, families=FAMILIES)),
        *(asked(query) for query in known_queries("factual", 6, tiers=("frequent",))),
        *(asked(query, right=False) for query in known_queries("factual", 6, tiers=("never",))),
        *(asked(query) for query in known_queries("factual-control", 3, mixture)),
        *(asked(query) for query in known_queries("reasoning-control", 4, mixture, families=FAMILIES)),
        *_once(planted_queries("memorised", 22, mixture)),
        *_once(planted_queries("procedural", 24, mixture)),
    )


def _once(queries: list[KnownQuery]) -> list[AskedQuery]:
    return [asked(query) for query in {query.problem.id: query for query in queries}.values()]


def sample_case(name: str = "small", *, strength: float = 1.0) -> Case:
    """Return a model whose influence is noise, plus `strength` on what teaches, plus 5 on what states the answer."""
    truth = Truth.of(list(KnownCorpus(TAUGHT.mixture).documents(0, TAUGHT.documents)))
    queries = sample_queries()
    shape = (len(queries), len(truth))
    rng = np.random.default_rng(len(name))

    def noise() -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    empty = Case(name=name, title=name, truth=truth, queries=queries, scores={}, information_Q=np.ones(len(queries)))
    planted = noise() + strength * empty.teaching_QN + 5 * empty.stating_QN
    words = empty.overlap_QN + 0.01 * noise()
    scores = {
        "ekfac": planted.astype(np.float32),
        "dot": (planted + noise()).astype(np.float32),
        "cosine": noise(),
        "bm25": words.astype(np.float32),
        "tfidf": (words + 0.05 * noise()).astype(np.float32),
        "random": noise(),
    }
    return Case(name=name, title=name, truth=truth, queries=queries, scores=scores, information_Q=np.ones(len(queries)))


def sample_procedural() -> dict[str, Any]:
    """Return a whole report of two such models."""
    cases = [sample_case("small"), sample_case("large", strength=2.0)]
    verdict, judged = verdicts_of(cases)
    told, own = [], []
    for case, rows in zip(cases, judged, strict=True):
        part = case.part([place for place, query in enumerate(case.queries) if not query.planted])
        own.append(part)
        told.append(
            {
                "name": case.name,
                "title": case.title,
                "documents": len(case.truth),
                "accuracy": accuracy(case.queries),
                "asked": {"reasoning": 12},
                "training": {"documents": 500, "epochs": 2, "steps": 10, "tokens": 1000, "curve": []},
                "findings": findings_of(part, tops=TOPS, shuffles=199, seed=0),
                "queries": rows,
            }
        )
    recipe = ProceduralStudy(models=(KnownModel(name="small"), KnownModel(name="large")), top=TOPS)
    report = {
        "schema": 1,
        "study": "procedural",
        "command": "menon run procedural",
        "methods": list(cases[0].methods),
        "top": list(TOPS),
        "models": told,
        "sizes": sizes_of(own[0], own[1], tops=TOPS),
        "verdict": verdict,
        "settings": recipe.model_dump(mode="json"),
        "manifest": {"menon": "0"},
        "seconds": 1.0,
    }
    return {**report, "conclusions": concluded(report)}
