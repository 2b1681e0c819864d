"""`menon trace RUN_OR_MODEL`: which training documents did the answer come from?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from menon.cli.options import Columns, Debug, Fresh, Json, Limit, Out, Set, Split, Style, pairs
from menon.cli.terminal import open_terminal
from menon.core.errors import ConfigError

BIG = ("queries", "manifest", "settings")  # in report.json, not on standard output


def trace(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN_OR_MODEL",
            help="A run directory (its model; a STaR run brings its rows), a folder or Hugging Face id, menon:base.",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="FILE", help="Training documents: JSONL, Parquet, text, folder, data set id."),
    ] = None,
    query: Annotated[
        list[str] | None,
        typer.Option(
            "--query", metavar="ITEM", help="'PROMPT => COMPLETION', a prompt, a completion id, or chain:test:3."
        ),
    ] = None,
    queries: Annotated[str | None, typer.Option("--queries", metavar="FILE", help="A file of queries.")] = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="DIR", help="The run whose completions are meant by their ids.")
    ] = None,
    columns: Columns = None,
    split: Split = None,
    limit: Limit = None,
    style: Style = None,
    layers: Annotated[
        str | None, typer.Option("--layers", metavar="WHICH", help="mlp, all, or names with * (comma between them).")
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="LAYER", help="Leave out a layer; `unsupported` for all that cannot be traced."),
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="Documents shown at the top.")] = None,
    bottom: Annotated[int | None, typer.Option("--bottom", min=0, metavar="N", help="And at the bottom.")] = None,
    prefilter: Annotated[
        int | None, typer.Option("--prefilter", min=1, metavar="N", help="Score only the N best by BM25 per query.")
    ] = None,
    factors: Annotated[
        Path | None, typer.Option("--factors", metavar="FILE", help="Curvature that an earlier run measured.")
    ] = None,
    checkpoints: Annotated[
        list[str] | None, typer.Option("--checkpoint", metavar="MODEL", help="A model on the way, for TracIn.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say how long it would take and what memory it needs.")
    ] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write trace.parquet beside trace.jsonl.")] = False,
    recipe: Annotated[str, typer.Option("--recipe", metavar="FILE", help="A recipe of tracing.")] = "trace",
    out: Out = None,
    overrides: Set = None,
    fresh: Fresh = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Rank training documents by their influence on answers; the same command continues one that was stopped."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        terminal.load_quietly()
        from menon.studies.trace.study import estimate_trace, run_trace, trace_plan

        if parquet:
            _check_parquet()
        flags: dict[str, Any] = {
            "corpus.data": data,
            "queries.query": query,
            "queries.file": queries,
            "queries.run": str(run) if run else None,
            "corpus.map": pairs(columns, "--map"),
            "corpus.split": split,
            "corpus.limit": limit,
            "queries.style": style,
            "tracing.layers": layers,
            "tracing.skip": skip,
            "shown.top": top,
            "shown.bottom": bottom,
            "prefilter": prefilter,
            "factors": str(factors) if factors else None,
            "checkpoints": checkpoints,
        }
        plan = trace_plan(model, recipe=recipe, flags=flags, overrides=overrides or [], out=out)
        if estimate:
            from menon.studies.trace.estimating import estimate_lines

            told = estimate_trace(plan, terminal.progress)
            terminal.emit(told, () if as_json else estimate_lines(told))
            return
        report = run_trace(plan, fresh=fresh, parquet=parquet, progress=terminal.progress)
        from menon.reports.trace_terminal import trace_lines

        shown = {key: value for key, value in report.items() if key not in BIG}
        shown["queries"] = [_short(one) for one in report["queries"]]
        terminal.emit(shown, () if as_json else trace_lines(report, Path(report["page"])))


def _short(query: dict[str, Any]) -> dict[str, Any]:
    """Return what fits on standard output: the verdict and the ends of the ranking, without texts."""
    kept = {key: query[key] for key in ("id", "prompt", "completion", "answer", "information_nats", "verdict")}
    ends = query["methods"]["ekfac"]
    names = ("rank", "document", "id", "origin", "score", "effect_nats", "words", "contains_answer")
    return kept | {tail: [{name: entry[name] for name in names} for entry in ends[tail]] for tail in ("top", "bottom")}


def _check_parquet() -> None:
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise ConfigError("--parquet needs the package pyarrow: pip install 'menon[data]'")
