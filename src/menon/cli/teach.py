"""`menon teach star`: let a model teach itself to reason on problems that you bring."""

from pathlib import Path
from typing import Annotated

import typer

from menon.cli.options import Data, Debug, Force, Fresh, Json, Model, Out, Set, Verbs, pairs
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
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Use the first N problems.")] = None,
    style: Annotated[
        str | None, typer.Option("--style", metavar="NAME", help="Prompt format: menon, gsm8k, commonsenseqa, plain.")
    ] = None,
    exemplars: Annotated[
        Path | None, typer.Option("--exemplars", metavar="FILE", help="Worked examples to show in the prompt.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Where a field is in the data. Repeatable."),
    ] = None,
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
            map=pairs(columns, "--map"),
            progress=terminal.progress,
        )
        terminal.emit(report, () if as_json else run_lines(report))
