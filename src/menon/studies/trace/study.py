"""`menon trace`: run or resume all passes, describe every query, write the report and the tables."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from menon.core.errors import ConfigError
from menon.core.progress import Progress, Silent
from menon.core.recipe import dump_toml, load_recipe
from menon.core.seeds import content_id
from menon.models.load import Loaded, load_model
from menon.models.machine import manifest
from menon.reports.trace_export import flat_rows, write_parquet, write_rows
from menon.reports.trace_page import write_trace
from menon.store import Run, atomic_write, layout
from menon.studies.runner import weights_file_hash
from menon.studies.trace.estimating import estimate
from menon.studies.trace.flags import text_flags
from menon.studies.trace.passes import TracedRun, best_by, traced
from menon.studies.trace.recipe import TraceRecipe
from menon.studies.trace.shown import LABELS, Shown
from menon.studies.trace.sources import Sources
from menon.tracing.bank import QueryBank
from menon.tracing.factors import Factors
from menon.tracing.layers import Layers, traced_layers
from menon.tracing.prefilter import TOPS, prefilter_bias, sample_documents
from menon.tracing.stored import load_tensors
from menon.tracing.values import Query, TokenSequence
from menon.tracing.verdict import shipped

STAGE = "trace"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePlan:
    """A checked recipe, the run directory it goes to, and the command that asked for it."""

    recipe: TraceRecipe
    folder: Path
    command: str


def trace_plan(
    model: str | None,
    *,
    recipe: str = "trace",
    flags: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    out: Path | None = None,
) -> TracePlan:
    """Return the plan that the arguments of `menon trace` describe; `flags` are settings by their names."""
    words = ["menon", "trace", *([model] if model else [])]
    changes = [f"model={json.dumps(model)}"] if model else []
    if recipe != "trace":
        words += ["--recipe", recipe]
    for key, value in (flags or {}).items():
        if value in (None, (), [], {}):
            continue
        if isinstance(value, Mapping):
            changes += [f"{key}.{name}={json.dumps(column)}" for name, column in value.items()]
            words += [word for name, column in value.items() for word in ("--map", f"{name}={column}")]
            continue
        changes.append(f"{key}={json.dumps(value)}")
        flag = {"queries.file": "queries", "checkpoints": "checkpoint"}.get(key, key.rpartition(".")[2])
        several = value if isinstance(value, list | tuple) else [value]
        words += [word for one in several for word in (f"--{flag.replace('_', '-')}", str(one))]
    checked = load_recipe(recipe, TraceRecipe, [*changes, *overrides])
    folder = out or Path("runs") / f"trace-{content_id('recipe', dump_toml(checked))[:8]}"
    words += [*(["--out", str(out)] if out else []), *(word for item in overrides for word in ("--set", item))]
    return TracePlan(recipe=checked, folder=folder, command=shlex.join(words))


def run_trace(
    plan: TracePlan, *, fresh: bool = False, parquet: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Run or resume, and return report.json with the run's path.

    Raises:
        ConfigError: the model, the corpus or a query cannot be used. DataError: a file that cannot be read.
    """
    recipe, progress = plan.recipe, progress or Silent()
    sources = Sources(recipe=recipe, progress=progress, index_folder=plan.folder / layout.CHECKPOINTS / "corpus")
    spec = sources.spec()
    hashes = {"recipe": content_id("recipe", dump_toml(recipe))}
    if weights := weights_file_hash(spec):
        hashes["weights"] = weights
    described = {**manifest(**hashes), "command": plan.command}
    text = dump_toml(recipe)
    with Run.create_or_resume(plan.folder, recipe_toml=text, manifest=described, fresh=fresh) as run:
        try:
            report = _Trace(run, recipe, sources, progress).report()
        except (ConfigError, ValueError):
            if all(unit.names[0] == "queries" for unit in run.units()):  # the mended command may use the same folder
                run.discard()
            raise
        report = {**report, "command": plan.command, "manifest": run.manifest}
        atomic_write(plan.folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False))
        write_rows(plan.folder, report)
        if parquet:
            write_parquet(plan.folder / "trace.parquet", flat_rows(report))
        page = write_trace(plan.folder, report)
    return {**report, "run": str(plan.folder), "page": str(page)}


def estimate_trace(plan: TracePlan, progress: Progress | None = None) -> dict[str, Any]:
    """Say what the plan would cost, without running it."""
    sources = Sources(recipe=plan.recipe, progress=progress or Silent())
    return estimate(sources)


class _Trace:
    def __init__(self, run: Run, recipe: TraceRecipe, sources: Sources, progress: Progress):
        self.run, self.recipe, self.sources, self.progress = run, recipe, sources, progress

    def report(self) -> dict[str, Any]:
        recipe, sources = self.recipe, self.sources
        loaded, corpus = sources.loaded(), sources.corpus()
        layers = traced_layers(loaded.model, select=recipe.tracing.layers, skip=recipe.tracing.skip)
        queries = self._queries()
        sequences = [_sequence(query, sources) for query in queries]
        for sentence in corpus.notes.sentences(truncated=recipe.corpus.long == "truncate"):
            self.progress.say(sentence)
        found = traced(
            self.run,
            STAGE,
            model=sources.loaded,
            corpus=corpus,
            queries=sequences,
            names=[query.id for query in queries],
            config=recipe.tracing,
            progress=self.progress,
            checkpoints=self._checkpoints(),
            factors=Path(recipe.factors) if recipe.factors else None,
            prefilter=recipe.prefilter,
            sample=recipe.sample,
        )
        flags = text_flags(self.run, STAGE, corpus, queries, recipe.tracing.shard, self.progress)
        bank = QueryBank.of(("ekfac", "dot"), load_tensors(found.bank), len(layers.items))
        shown = Shown(
            recipe=recipe,
            loaded=loaded,
            layers=layers,
            bank=bank.to(loaded.device),
            corpus=corpus,
            found=found,
            flags=flags,
            labels=corpus.labels(*LABELS),
            calibration=shipped(),
            trained_on=sources.trained_on(),
        )
        self.progress.start("describing answers", total=len(queries), unit="answers")
        described = []
        for number, (query, sequence) in enumerate(zip(queries, sequences, strict=True)):
            described.append(self._described(shown, number, query, sequence))
            self.progress.advance(1)
        factors = Factors.load(found.factors)
        return {
            "schema": 1,
            "study": "trace",
            "model": recipe.model,
            "settings": recipe.model_dump(mode="json"),
            "corpus": {
                "name": corpus.name,
                "hash": corpus.hash,
                "trained_on": sources.trained_on(),
                **asdict(corpus.notes),
                "sources": _source_shares(shown),
            },
            "layers": layers_json(layers, loaded, recipe.tracing.layers),
            "factors": {
                "damping": dict(zip(factors.layers, factors.damping(recipe.tracing.damping), strict=True)),
                "file": str(found.factors.relative_to(self.run.path)) if not recipe.factors else recipe.factors,
            },
            "prefilter": self._prefilter(found),
            "methods": list(found.methods),
            "queries": described,
            "removal": None,
        }

    def _queries(self) -> list[Query]:
        """Return the queries; what the model wrote for them is kept, so that a resumed run explains the same text."""

        def compute(_writer: Any) -> dict[str, Any]:
            return {"queries": [{**asdict(query), "labels": dict(query.labels)} for query in self.sources.queries()]}

        told = self.run.unit(STAGE, "queries", compute=compute)["queries"]
        return [Query(**{**one, **_tuples(one)}) for one in told]

    def _described(self, shown: Shown, number: int, query: Query, sequence: TokenSequence) -> dict[str, Any]:
        return self.run.unit(STAGE, "described", number, compute=lambda _: shown.query(number, query, sequence))

    def _checkpoints(self) -> list[tuple[Any, float]]:
        recipe = self.recipe
        if recipe.rates and len(recipe.rates) != len(recipe.checkpoints):
            raise ConfigError(
                f"{len(recipe.checkpoints)} checkpoints with {len(recipe.rates)} learning rates; give one rate for each"
            )
        rates = recipe.rates or (1.0,) * len(recipe.checkpoints)

        def opener(spec: str) -> Any:
            opened: list[Loaded] = []

            def open_once() -> Loaded:
                if not opened:
                    opened.append(load_model(spec, device=recipe.device, dtype=recipe.dtype))
                return opened[0]

            return open_once

        return [(opener(spec), rate) for spec, rate in zip(recipe.checkpoints, rates, strict=True)]

    def _prefilter(self, found: TracedRun) -> dict[str, Any] | None:
        """Measure on the random sample what scoring only lexically similar documents loses."""
        wanted, documents = self.recipe.prefilter, found.documents
        if not wanted or wanted >= documents:
            return None
        told: dict[str, Any] = {"method": "bm25", "kept": wanted, "of": documents, "scored": int(found.chosen_N.sum())}
        if not self.recipe.sample:
            return told | {"bias_sentence": "What the prefilter loses was not measured: sample = 0."}
        sampled = sample_documents(documents, min(self.recipe.sample, documents), "prefilter", self.recipe.seed)
        scores_QS = np.stack([found.row("ekfac", q)[sampled] for q in range(len(found.queries))])
        kept_QS = np.stack([best_by(found.row("bm25", q), wanted)[sampled] for q in range(len(found.queries))])
        tops = [k for k in TOPS if k <= documents] or [1]
        bias = prefilter_bias(scores_QS, kept_QS, documents=documents, kept=wanted, tops=tops)
        return {**bias.to_json(), **told, "bias_sentence": bias.sentence}


def _sequence(query: Query, sources: Sources) -> TokenSequence:
    prompt, completion = sources.query_tokeniser().query(query)
    return TokenSequence(document=0, ids=(*prompt, *completion), prompt=len(prompt), prompt_weight=0.0)


def _tuples(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if told[name] is None else tuple(told[name]) for name in ("prompt_ids", "completion_ids")}


def _source_shares(shown: Shown) -> dict[str, float]:
    for name in LABELS:
        shares = shown.labels[name].shares()
        if len(shares) > 1:
            return shares
    return {}


def layers_json(layers: Layers, loaded: Loaded, select: str) -> dict[str, Any]:
    """Return what is traced and what is not, for reports."""
    return {
        "select": select,
        "traced": [{"name": layer.name, "inputs": layer.inputs, "outputs": layer.outputs} for layer in layers.items],
        "traced_parameters": layers.parameters,
        "parameters": loaded.parameters,
        "left_out": [asdict(out) for out in layers.left_out],
    }
