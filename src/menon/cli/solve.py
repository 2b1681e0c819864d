"""`menon solve`: execute a strategy for a question or a set of problems; check, draw and list strategies."""

from collections.abc import Mapping, Sequence
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
from menon.cli.terminal import EXIT_FAILED, EXIT_REFUSED, Terminal, open_terminal, table, write_file
from menon.core.errors import ConfigError

LONGEST_SHOWN = 200
BIG = ("nodes", "edges", "chart", "charts", "manifest", "outcomes")  # in report.json, not on standard output


def solve(
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", help="One question to answer.")] = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", "-s", metavar="NAME", help="A strategy by name, or a chart file .md.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="menon:base, a folder or Hugging Face id, http://host/v1#model."),
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--with", metavar="NAME=MODEL", help="A further model that charts name.")
    ] = None,
    choice: Annotated[
        list[str] | None, typer.Option("--choice", metavar="TEXT", help="A choice of the question. Repeatable.")
    ] = None,
    problems: Annotated[
        str | None, typer.Option("--problems", metavar="NAME", help="Generated problems; see `menon problems list`.")
    ] = None,
    difficulty: Annotated[
        list[int] | None, typer.Option("--difficulty", metavar="K", help="Difficulty of them. Repeatable.")
    ] = None,
    data: Data = None,
    columns: Columns = None,
    split: Split = None,
    limit: Limit = None,
    params: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="An input of the chart. Repeatable.")
    ] = None,
    style: Style = None,
    exemplars: Exemplars = None,
    grader: Annotated[
        str | None, typer.Option("--grader", metavar="NAME", help="How answers are read: exact, number, choice, math.")
    ] = None,
    verifier: Annotated[
        str | None, typer.Option("--verifier", metavar="NAME", help="What scores answers and their steps.")
    ] = None,
    documents: Annotated[
        Path | None, typer.Option("--documents", metavar="DIR", help="A folder of documents to search.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0, metavar="T", help="Where the chart sets none.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, metavar="N", help="Where the chart sets none.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, metavar="N", help="Changes what is sampled.")] = None,
    budget_steps: Annotated[
        int | None, typer.Option("--budget-steps", min=1, metavar="N", help="Most node visits of one execution.")
    ] = None,
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", min=1, metavar="N", help="Most tokens of one execution.")
    ] = None,
    budget_seconds: Annotated[
        float | None, typer.Option("--budget-seconds", min=0, metavar="X", help="Most seconds of one execution.")
    ] = None,
    budget_money: Annotated[
        float | None, typer.Option("--budget-money", min=0, metavar="X", help="Most money; needs the two prices.")
    ] = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    think: Think = False,
    show_thoughts: Annotated[
        bool, typer.Option("--show-thoughts", help="Print what --think thought before each token.")
    ] = False,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="Check a chart and stop; nothing is asked.")
    ] = None,
    draw: Annotated[
        str | None, typer.Option("--draw", metavar="FILE", help="Write a chart (file or name) as SVG and stop.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the strategies and stop.")] = False,
    show_text: Annotated[bool, typer.Option("--show", help="Print the text of the strategy and stop.")] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Print the path through the chart.")] = False,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="DIR", help="Go on with a run; finished calls are not repeated.")
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="With --resume: use the stored calls only, no model.")
    ] = False,
    reply: Annotated[
        list[str] | None,
        typer.Option(
            "--reply", metavar="ADDRESS=TEXT", help="With --resume: what a person answers where one is asked."
        ),
    ] = None,
    fork: Annotated[
        str | None, typer.Option("--fork", metavar="ADDRESS", help="With --resume: go on from this visit, changed.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--change", metavar="NAME=VALUE", help="With --fork: a value that the visit writes (or branch=)."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="With --fork: the prompt that is sent instead.")
    ] = None,
    execution: Annotated[
        str | None, typer.Option("--execution", metavar="ID", help="With --fork: of which problem; all by default.")
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", metavar="FILE", help="A recipe of a solving run.")] = "solve",
    out: Out = None,
    overrides: Set = None,
    fresh: Fresh = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Solve a question, or a set of problems, by executing a strategy; the same command continues what was stopped."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        if show_list or check is not None or draw is not None or show_text:
            if show_list:
                _list(terminal, out)
            elif check is not None:
                _check(terminal, str(check))
            elif draw is not None:
                _draw(terminal, draw, out)
            else:
                _show(terminal, strategy or "cot")
            return
        terminal.load_quietly()
        from menon.studies.solve import resumed_plan, run_solve, solve_plan
        from menon.studies.solve.run import Rerun

        if resume is None and (replay or reply or fork or change or prompt or execution):
            raise ConfigError("--replay, --reply and --fork go on with a stored run; name it with --resume DIR")
        flags: dict[str, Any] = {
            "strategy": strategy,
            "model": model,
            "models": pairs(models, "--with"),
            "choices": choice,
            "problems": problems,
            "difficulty": difficulty,
            "data": data,
            "map": pairs(columns, "--map"),
            "split": split,
            "limit": limit,
            "params": pairs(params, "--param"),
            "style": style,
            "exemplars": str(exemplars) if exemplars else None,
            "grader": grader,
            "verifier": verifier,
            "documents": str(documents) if documents else None,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "seed": seed,
            "budget.steps": budget_steps,
            "budget.tokens": budget_tokens,
            "budget.seconds": budget_seconds,
            "budget.money": budget_money,
            "budget.price_in": price_in,
            "budget.price_out": price_out,
            "think.where": "every" if think else None,
        }
        if resume is not None:
            _refuse_more(question, flags, overrides=overrides, out=out, fresh=fresh)
            plan = resumed_plan(resume)
        else:
            plan = solve_plan(question or "", recipe=recipe, flags=flags, overrides=overrides or [], out=out)
        rerun = Rerun(
            replies=pairs(reply, "--reply"),
            execution=execution or "",
            change=_change(fork, change, prompt, execution),
            replay=replay,
        )
        if show_thoughts and plan.recipe.think is None:
            raise ConfigError("--show-thoughts shows what a model thought; add --think, and a model that can")
        report = run_solve(plan, fresh=fresh, rerun=rerun, progress=terminal.progress)
        shown = {key: value for key, value in report.items() if key not in BIG}
        shown["outcomes"] = report["outcomes"][:LONGEST_SHOWN]
        lines = [] if as_json else _lines(report, trace)
        if show_thoughts:
            shown["thoughts"], table_of_them = _thoughts(Path(report["run"]))
            lines = [*table_of_them, *lines]
        terminal.emit(shown, () if as_json else lines)
        if report["totals"]["executions"] == report["totals"]["failed"]:
            raise typer.Exit(EXIT_FAILED)


def _list(terminal: Terminal, out: Path | None) -> None:
    from menon.solving.library import catalogue, shipped

    if out is not None:
        from menon.solving.listing import listing

        write_file(out, listing(shipped()))
        terminal.emit({"page": str(out)}, [f"page: {out}"])
        return
    rows = catalogue()
    terminal.emit(
        {"strategies": rows},
        table(("strategy", "what it is", "model calls"), [(row["name"], row["title"], row["calls"]) for row in rows]),
    )


def _check(terminal: Terminal, name: str) -> None:
    from menon.solving.library import findings_of

    found = findings_of(name)
    errors = [one for one in found if one.level == "error"]
    lines = [str(one) for one in found] or [f"{name}: no errors"]
    rows = [{k: getattr(one, k) for k in ("file", "line", "level", "rule", "node", "problem", "mend")} for one in found]
    terminal.emit({"file": name, "errors": len(errors), "findings": rows}, lines)
    if errors:
        raise typer.Exit(EXIT_REFUSED)


def _draw(terminal: Terminal, name: str, out: Path | None) -> None:
    from menon.reports.chart_drawing import chart_svg
    from menon.solving.library import library, proper

    chart = library().load(proper(name))
    path = out or Path(f"{chart.name}.svg")
    write_file(path, chart_svg(chart))
    terminal.emit({"picture": str(path)}, [f"picture: {path}"])


def _show(terminal: Terminal, name: str) -> None:
    from menon.solving.library import library, proper

    chart = library().load(proper(name))
    terminal.emit({"name": chart.name, "title": chart.title, "source": chart.source, "text": chart.text}, [chart.text])


def _refuse_more(question: str | None, flags: Mapping[str, Any], **others: Any) -> None:
    """Refuse what would change a run that is gone on with."""
    given = ["the question"] if question else []
    named = {"models": "with", "choices": "choice", "params": "param", "overrides": "set", "think.where": "think"}
    for name, value in {**flags, **others}.items():
        if value not in (None, False, [], {}):
            flag = named.get(name, name).replace("budget.price", "price").replace(".", "-").replace("_", "-")
            given.append(f"--{flag}")
    if given:
        raise ConfigError(
            f"--resume goes on with the run as it was begun; leave out {', '.join(given)}, "
            "or begin a new run without --resume"
        )


def _change(fork: str | None, values: Sequence[str] | None, prompt: str | None, execution: str | None) -> Any:
    if fork is None:
        if values or prompt or execution:
            raise ConfigError("--change, --prompt and --execution belong to a visit; name it with --fork ADDRESS")
        return None
    if bool(values) == (prompt is not None):
        raise ConfigError("--fork needs what is changed: --change NAME=VALUE, or --prompt TEXT")
    from menon.cli.options import settings
    from menon.flowcharts.journal import Change

    named = pairs(values, "--change")
    return Change(address=fork, prompt=prompt, values=settings(values, named, "solve --change") if named else None)


def _thoughts(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    from menon.studies.solve.thoughts import kept_thoughts, thought_lines

    kept = kept_thoughts(folder)
    return kept, list(thought_lines(kept))


def _lines(report: Mapping[str, Any], trace: bool) -> list[str]:
    from menon.studies.solve.told import summary_lines

    return summary_lines(report, trace=trace)
