"""`menon run RECIPE`: run a study."""

from typing import Annotated

import typer

from menon.cli.options import Debug, Force, Fresh, Json, Out, Set
from menon.cli.terminal import open_terminal, run_lines


def run(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="quickstart, base, star-arms, flowcharts, quiet, procedural, code-mixture ... or a TOML file.",
        ),
    ],
    out: Out = None,
    overrides: Set = None,
    fresh: Fresh = False,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a study; the same command continues one that was stopped."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        terminal.load_quietly()
        from menon.studies import run_study

        report = run_study(
            recipe, overrides=overrides or [], out=out, fresh=fresh, force=force, progress=terminal.progress
        )
        terminal.emit(report, () if as_json else run_lines(report))
