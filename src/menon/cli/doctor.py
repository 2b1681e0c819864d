"""`menon doctor`: check a run before it costs anything."""

from typing import Annotated

import typer

from menon.cli.options import Data, Debug, Json, Model, Out, Set
from menon.cli.terminal import EXIT_REFUSED, open_terminal


def doctor(
    recipe: Annotated[
        str | None, typer.Argument(metavar="[RECIPE]", help="Recipe to check; else --model and --data.")
    ] = None,
    model: Model = None,
    data: Data = None,
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
            recipe, model=model, data=data, overrides=overrides or [], out=out, progress=terminal.progress
        )
        terminal.emit(report.to_json(), report.lines())
        if not report.ok:
            raise typer.Exit(EXIT_REFUSED)
