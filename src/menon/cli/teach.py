"""`menon teach`: let a model teach itself to reason on problems (star) or on any text (quiet-star) that you bring."""

from typing import Annotated

import typer

from menon.cli.options import (
    Columns,
    Data,
    Debug,
    Exemplars,
    Force,
    Fresh,
    Json,
    Limit,
    Model,
    Out,
    Set,
    Split,
    Style,
    Verbs,
    pairs,
)
from menon.cli.terminal import EXIT_HELP, open_terminal, run_lines

PRESETS = ("star", "star-no-rationalization", "rft", "rest-em", "direct", "gold", "unfiltered", "random-reward")

app = typer.Typer(
    cls=Verbs,
    help="Teach a model to reason from rationales that it wrote itself.",
    epilog=EXIT_HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _teach() -> None:
    pass


@app.command("star", short_help="Bootstrap reasoning with STaR.")
def star(
    model: Model = None,
    data: Data = None,
    preset: Annotated[str, typer.Option("--preset", metavar="NAME", help=f"One of: {', '.join(PRESETS)}.")] = "star",
    limit: Limit = None,
    style: Style = None,
    exemplars: Exemplars = None,
    split: Split = None,
    columns: Columns = None,
    out: Out = None,
    overrides: Set = None,
    fresh: Fresh = False,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Bootstrap reasoning with STaR; the same command continues a run that was stopped."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        terminal.load_quietly()
        from menon.studies import run_teach_star

        report = run_teach_star(
            model=model or "menon:base",
            data=data,
            preset=preset,
            overrides=overrides or [],
            out=out,
            fresh=fresh,
            force=force,
            limit=limit,
            style=style,
            exemplars=exemplars,
            split=split,
            map=pairs(columns, "--map"),
            progress=terminal.progress,
        )
        terminal.emit(report, () if as_json else run_lines(report))


@app.command("quiet-star", short_help="Learn to think before every token.")
def quiet_star(
    model: Model = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", metavar="DATA", help="Texts or questions with answers: JSONL, Parquet, text, data set id."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Use the first N texts.")] = None,
    style: Style = None,
    split: Split = None,
    columns: Columns = None,
    audit: Annotated[bool, typer.Option("--audit", help="Audit before and after, in pairs.")] = False,
    out: Out = None,
    overrides: Set = None,
    fresh: Fresh = False,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Teach a model to think before every token of any text; the same command continues a run that was stopped."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        terminal.load_quietly()
        from menon.studies import run_teach_quiet_star

        report = run_teach_quiet_star(
            model=model or "menon:base",
            data=data,
            overrides=[*(overrides or []), *(["evaluation.audit=true"] if audit else [])],
            out=out,
            fresh=fresh,
            force=force,
            limit=limit,
            style=style,
            split=split,
            map=pairs(columns, "--map"),
            progress=terminal.progress,
        )
        terminal.emit(report, () if as_json else run_lines(report))
