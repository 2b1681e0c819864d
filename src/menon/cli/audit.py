"""`menon audit MODEL`: does it reason, or does it recite?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from menon.cli.options import (
    Columns,
    Data,
    Debug,
    Exemplars,
    Fresh,
    Json,
    Limit,
    Out,
    PriceIn,
    PriceOut,
    Set,
    Split,
    Style,
    Think,
    pairs,
)
from menon.cli.terminal import open_terminal, run_lines
from menon.core.errors import ConfigError

Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help="menon:base, a folder or Hugging Face id, http://host/v1#model, recorded:FILE ..., scripted:NAME.",
    ),
]
BIG = ("items", "pairs", "manifest")  # in report.json, not on standard output


def audit(
    models: Models = None,
    probes: Annotated[
        str | None, typer.Option("--probes", metavar="A,B", help="Probes to run, or auto, all, none.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="MODEL", help="Ask a second model the same, compare in pairs.")
    ] = None,
    templates: Annotated[
        list[Path] | None, typer.Option("--templates", metavar="FILE", help="Templates to take originals from.")
    ] = None,
    data: Data = None,
    columns: Columns = None,
    split: Split = None,
    limit: Limit = None,
    corpus: Annotated[
        list[Path] | None, typer.Option("--corpus", metavar="FILE", help="Training text, for overlap and frequency.")
    ] = None,
    style: Style = None,
    exemplars: Exemplars = None,
    per_cell: Annotated[
        int | None, typer.Option("--per-cell", min=4, metavar="N", help="Questions per cell of a probe.")
    ] = None,
    budget_questions: Annotated[
        int | None, typer.Option("--budget-questions", min=1, metavar="N", help="Ask no more than N questions.")
    ] = None,
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", min=1, metavar="N", help="Stop when N tokens are spent.")
    ] = None,
    budget_money: Annotated[
        float | None,
        typer.Option("--budget-money", min=0, metavar="X", help="Stop when X is spent; needs the two prices."),
    ] = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    think: Think = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Audit models of known nature instead; docs/calibration.md.")
    ] = False,
    recipe: Annotated[str, typer.Option("--recipe", metavar="FILE", help="A recipe of an audit.")] = "audit",
    out: Out = None,
    overrides: Set = None,
    fresh: Fresh = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Audit a model or responses on file; the same command continues an audit that was stopped."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        terminal.load_quietly()
        if calibrate:
            if models:
                raise ConfigError(f"--calibrate audits models of its own making; leave {' '.join(models)!r} out")
            from menon.studies.calibration import run_calibration

            found = run_calibration(out=out, overrides=overrides or [], fresh=fresh, progress=terminal.progress)
            terminal.emit(found, run_lines(found))
            return
        from menon.studies.audit.run import audit_plan, run_audit

        flags: dict[str, Any] = {
            "probes": [name.strip() for name in probes.split(",") if name.strip()] if probes else None,
            "against": against,
            "templates": [str(path) for path in templates or ()],
            "data": data,
            "map": pairs(columns, "--map"),
            "split": split,
            "limit": limit,
            "corpus": [str(path) for path in corpus or ()],
            "style": style,
            "exemplars": str(exemplars) if exemplars else None,
            "per_cell": per_cell,
            "budget.questions": budget_questions,
            "budget.tokens": budget_tokens,
            "budget.money": budget_money,
            "budget.price_in": price_in,
            "budget.price_out": price_out,
            "think.where": "every" if think else None,
        }
        plan = audit_plan(models or (), recipe=recipe, flags=flags, overrides=overrides or [], out=out)
        report = run_audit(plan, fresh=fresh, progress=terminal.progress)
        shown = {key: value for key, value in report.items() if key not in BIG}
        terminal.emit(shown, () if as_json else run_lines(report))
