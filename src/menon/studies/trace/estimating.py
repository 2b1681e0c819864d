"""`menon trace --estimate`: time and memory before anything is started."""

from collections.abc import Mapping
from typing import Any

from menon.core.errors import DataError
from menon.studies.trace.sources import Sources
from menon.tracing.estimate import memory_needed, time_needed
from menon.tracing.layers import traced_layers
from menon.tracing.values import TokenSequence

LOOKED_AT = 256


def estimate(sources: Sources) -> dict[str, Any]:
    """Count memory and try the passes on a few documents.

    Raises:
        DataError: none of the documents looked at has two tokens.
    """
    recipe, loaded, corpus = sources.recipe, sources.loaded(), sources.corpus()
    config = recipe.tracing
    layers = traced_layers(loaded.model, select=config.layers, skip=config.skip)
    count = len(corpus)
    places = [place * count // min(count, LOOKED_AT) for place in range(min(count, LOOKED_AT))]
    sequences = [s for place in places for s in corpus.sequences(place, place + 1)]
    if not sequences:
        raise DataError(f"none of {len(places)} documents of {corpus.name!r} has two tokens; nothing can be traced")
    tokeniser = sources.query_tokeniser()
    queries = [
        TokenSequence(document=0, ids=(*prompt, *completion), prompt=len(prompt), prompt_weight=0.0)
        for prompt, completion in map(tokeniser.query, sources.queries())
    ]
    tokens = corpus.estimate_tokens()
    share = min(1.0, (config.factor_documents or count) / count)
    scored = 1.0 if not recipe.prefilter else min(1.0, (recipe.prefilter * len(queries) + recipe.sample) / count)
    memory = memory_needed(
        loaded.model,
        layers,
        config,
        queries=len(queries),
        documents=count,
        longest=max(len(s.ids) for s in sequences),
    )
    durations = time_needed(
        loaded.model,
        layers,
        config,
        sequences,
        queries,
        tokens=round(tokens * scored),
        factor_tokens=0 if recipe.factors else round(tokens * share),
    )
    return {
        "schema": 1,
        "study": "trace-estimate",
        "model": recipe.model,
        "device": str(loaded.device),
        "documents": count,
        "tokens": tokens,
        "queries": len(queries),
        "parameters": loaded.parameters,
        "traced_parameters": layers.parameters,
        "layers": len(layers.items),
        "memory": memory.to_json(),
        "time": durations.to_json(),
    }


def estimate_lines(told: Mapping[str, Any]) -> list[str]:
    """Return the estimate for people."""
    memory, time = told["memory"], told["time"]
    return [
        f"{told['documents']:,} documents, about {told['tokens']:,} tokens, {told['queries']} queries; "
        f"{told['traced_parameters']:,} of {told['parameters']:,} parameters in {told['layers']} layers",
        f"time on {told['device']}: about {spoken(time['total_s'])} (curvature "
        f"{spoken(time['covariance_s'] + time['eigenbasis_s'] + time['eigenvalues_s'])}, documents "
        f"{spoken(time['documents_s'])}), tried on {time['tried_tokens']:,} tokens",
        f"memory: about {size(memory['peak_mib'])} (weights {size(memory['weights_mib'])}, curvature "
        f"{size(memory['factors_mib'])}, queries {size(memory['bank_mib'])}, a batch "
        f"{size(memory['activations_mib'] + memory['logits_mib'])}); disk: {size(memory['disk_mib'])}",
        "less memory: --set tracing.tokens_per_batch=1024; less time: --set tracing.factor_documents=N, --prefilter N",
    ]


def spoken(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(mib: float) -> str:
    """Return a size in MiB or GiB."""
    return f"{mib:.0f} MiB" if mib < 2048 else f"{mib / 1024:.1f} GiB"
