"""`menon doctor`: check a run before it costs anything."""

from typing import Annotated

import typer

from menon.cli.options import (
    Columns,
    Data,
    Debug,
    Exemplars,
    Json,
    Limit,
    Model,
    Out,
    Set,
    Split,
    Style,
    pairs,
)
from menon.cli.terminal import EXIT_REFUSED, open_terminal


def doctor(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="[RECIPE]", help="Recipe to check, such as quickstart or quiet-star; else --model and --data."
        ),
    ] = None,
    model: Model = None,
    data: Data = None,
    limit: Limit = None,
    style: Style = None,
    exemplars: Exemplars = None,
    split: Split = None,
    columns: Columns = None,
    out: Out = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Sample a little and say whether teaching can work; exit code 3 when it cannot."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        terminal.load_quietly()
        from menon.studies import run_doctor

        report = run_doctor(
            recipe,
            model=model,
            data=data,
            limit=limit,
            style=style,
            exemplars=exemplars,
            split=split,
            map=pairs(columns, "--map"),
            overrides=overrides or [],
            out=out,
            progress=terminal.progress,
        )
        terminal.emit(report.to_json(), report.lines())
        if not report.ok:
            raise typer.Exit(EXIT_REFUSED)
