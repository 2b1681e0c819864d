"""`menon problems templates induce MODEL`: templates of your own questions, proposed by a model and checked."""

from pathlib import Path
from typing import Annotated

import typer

from menon.cli.options import Columns, Debug, Fresh, Json, Limit, Set, Split, pairs, settings
from menon.cli.terminal import EXIT_FAILED, open_terminal
from menon.core.errors import ConfigError

SETTINGS = (
    *("instances", "fresh", "needed", "tries", "temperature", "proposal_tokens", "solution_tokens"),
    *("time_limit_s", "style", "seed"),
)
MOST_SHOWN = 20


def induce(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Who proposes: a folder, Hugging Face id, http://...")],
    data: Annotated[
        str, typer.Option("--data", metavar="DATA", help="Questions with number answers (GSM8K form and others).")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Run directory; the same command resumes it.")],
    solver: Annotated[
        str, typer.Option("--solver", metavar="MODEL", help="Who solves fresh instances; else the proposer.")
    ] = "",
    columns: Columns = None,
    split: Split = None,
    limit: Limit = None,
    overrides: Set = None,
    fresh: Fresh = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Have a model propose a template for each question; write those that prove themselves, list all others.

    A template is accepted if the original is one of its instances, 50 distinct ones exist, and two independent
    solutions of fresh instances agree with it. Exits with 1 when nothing was accepted.
    """
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        terminal.load_quietly()
        from menon.auditing.induction import InductionConfig
        from menon.studies.induction import InductionPlan, run_induction

        chosen = settings(overrides, SETTINGS, "problems templates induce")
        for name, value in chosen.items():
            kind = type(getattr(InductionConfig(), name))
            if kind is float and type(value) is int:
                chosen[name] = float(value)
            elif type(value) is not kind:
                raise ConfigError(
                    f"--set {name} got {value!r}; it takes a value such as {getattr(InductionConfig(), name)!r}"
                )
        plan = InductionPlan(
            model=model,
            data=data,
            folder=out,
            solver=solver,
            limit=limit,
            split=split,
            columns=pairs(columns, "--map"),
            config=InductionConfig(**chosen),
        )
        found = run_induction(plan, fresh=fresh, progress=terminal.progress)
        lines = [f"{found['accepted']} of {found['items']} templates accepted: {found['templates']}"]
        lines += [f"  {count:4}  {reason}" for reason, count in found["reasons"].items()]
        lines += [
            f"rejected {row['index']}: {row['reason']}: {row['detail']}" for row in found["rejections"][:MOST_SHOWN]
        ]
        if len(found["rejections"]) > MOST_SHOWN:
            lines.append(f"... {len(found['rejections']) - MOST_SHOWN} more in {out / 'rejected.jsonl'}")
        terminal.emit(found, lines)
        if not found["accepted"]:
            raise typer.Exit(EXIT_FAILED)
