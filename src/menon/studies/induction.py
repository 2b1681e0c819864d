"""Induce templates for a file of problems in a run directory: resumable by item, with everything rejected listed.

An item whose request failed is not stored, so that the same command asks it again.
"""

import json
import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from menon.auditing.induction import Induced, InductionConfig, Reason, induce_one
from menon.core.progress import Progress, Silent
from menon.core.seeds import content_id
from menon.core.toml import write_toml
from menon.core.values import Problem
from menon.models.machine import manifest
from menon.problems.datasets import load_problems
from menon.sampling import open_sampler
from menon.sampling.protocol import Sampler, bind_problems
from menon.store import Run, atomic_write

TEMPLATES, REJECTED = "induced.jsonl", "rejected.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class InductionPlan:
    """Who proposes, who solves, from what, and where to."""

    model: str
    data: str
    folder: Path
    solver: str = ""
    limit: int | None = None
    split: str | None = None
    columns: Mapping[str, str] | None = None
    config: InductionConfig = field(default_factory=InductionConfig)

    @property
    def recipe_toml(self) -> str:
        settings = {name: getattr(self.config, name) for name in self.config.__slots__}
        return write_toml(
            {
                "study": "induction",
                "model": self.model,
                "solver": self.solver,
                "data": self.data,
                "split": self.split or "",
                "map": dict(self.columns or {}),
                "induction": settings,
            }
        )


class _AskAgain(Exception):
    """Carries the outcome of an item whose request failed past the run, which then keeps nothing of it."""

    def __init__(self, item: Induced):
        super().__init__(item.detail)
        self.item = item


def run_induction(plan: InductionPlan, *, fresh: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Induce a template for each item, write accepted ones and rejections, and return the counts.

    Raises:
        ConfigError, DataError: model or data cannot be used. SamplerError: no model. RunError: no run directory.
    """
    progress = progress or Silent()
    loaded = load_problems(plan.data, split=plan.split, map=plan.columns, limit=plan.limit)
    progress.say(loaded.summary())
    problems = list({problem.id: problem for problem in loaded.problems}.values())
    proposer, solver = _opened(plan.model, problems), _opened(plan.solver, problems)
    words = ["menon", "problems", "templates", "induce", plan.model, "--data", plan.data, "--out", str(plan.folder)]
    described = {**manifest(recipe=content_id("recipe", plan.recipe_toml)), "study": "induction", "model": plan.model}
    described["command"] = shlex.join(words)
    with Run.create_or_resume(plan.folder, recipe_toml=plan.recipe_toml, manifest=described, fresh=fresh) as run:
        progress.start("inducing templates", len(problems), "items")
        items = []
        for problem in problems:
            items.append(item := _induced(run, problem, proposer, solver if plan.solver else proposer, plan.config))
            progress.advance(note=item["reason"] or "accepted")
    accepted = [item["record"] for item in items if item["accepted"]]
    rejected = [{key: item[key] for key in SHOWN} for item in items if not item["accepted"]]
    _write(plan.folder / TEMPLATES, accepted)
    _write(plan.folder / REJECTED, rejected)
    return {
        "study": "induction",
        "run": str(plan.folder),
        "items": len(items),
        "accepted": len(accepted),
        "rejected": len(rejected),
        "reasons": dict(Counter(item["reason"] for item in rejected).most_common()),
        "tokens": sum(item["tokens"] for item in items),
        "skipped_rows": len(loaded.skipped),
        "templates": str(plan.folder / TEMPLATES),
        "rejections": rejected,
    }


SHOWN = ("index", "problem", "question", "reason", "detail", "rejected")


def _induced(
    run: Run,
    problem: Problem,
    proposer: Callable[[], Sampler],
    solver: Callable[[], Sampler],
    config: InductionConfig,
) -> dict[str, Any]:
    def compute(_: Any) -> dict[str, Any]:
        item = induce_one(problem, proposer(), solver=solver(), config=config)
        if item.reason is Reason.REQUEST_FAILED:
            raise _AskAgain(item)
        return item.to_json()

    try:
        return run.unit("induce", problem.index, problem.id, compute=compute)
    except _AskAgain as again:
        return again.item.to_json()


def _opened(spec: str, problems: list[Problem]) -> Callable[[], Sampler]:
    """Return a function that opens a sampler when it is first asked, and keeps it."""
    kept: list[Sampler] = []

    def sampler() -> Sampler:
        if not kept:
            kept.append(open_sampler(spec))
            bind_problems(kept[0], problems)
        return kept[0]

    return sampler


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    atomic_write(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
