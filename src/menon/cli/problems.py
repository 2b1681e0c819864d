"""`menon problems list|show|make`: look at the generated problems and write them to a file."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from menon.cli import templates
from menon.cli.options import Debug, Json, Out, Set, Verbs, settings
from menon.cli.terminal import EXIT_HELP, open_terminal, plain, table, write_file
from menon.core.errors import ConfigError
from menon.core.values import Problem

app = typer.Typer(
    cls=Verbs,
    help="List the problem families, show a problem, or write problems to a file.",
    epilog=EXIT_HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(templates.app, name="templates", short_help="Files in the GSM-Symbolic template language.")

Name = Annotated[str, typer.Argument(metavar="FAMILY", help="A name that `menon problems list` shows.")]
Split = Annotated[
    str, typer.Option("--split", metavar="NAME", help="Split to draw from; splits never share a problem.")
]
Difficulty = Annotated[
    int | None, typer.Option("--difficulty", metavar="N", help="Steps or digits; drawn evenly when left out.")
]
World = Annotated[str, typer.Option("--world", metavar="NAME", help="Rules under which the answer is right.")]


def find_family(name: str, overrides: Sequence[str] | None, verb: str) -> Any:
    """Return the family called `name` with its fields changed as `--set` says."""
    from menon.problems import FAMILIES

    family = FAMILIES.get(name)
    fields = [f.name for f in dataclasses.fields(family) if f.name not in ("name", "description")]
    values = settings(overrides, fields, f"problems {verb}")
    for field, value in values.items():
        if isinstance(getattr(family, field), tuple):
            values[field] = tuple(value) if isinstance(value, list) else (value,)
    return dataclasses.replace(family, **values)


def as_record(problem: Problem) -> dict[str, Any]:
    """Return a problem as one JSON object with its id; fields that it does not have are left out."""
    record = {"id": problem.id, **dataclasses.asdict(problem)}
    return plain({name: value for name, value in record.items() if value not in (None, (), {})})


@app.command("list", short_help="List the families.")
def list_families(out: Out = None, overrides: Set = None, as_json: Json = False, debug: Debug = False) -> None:
    """List the families with their difficulties; --out writes the list to a JSON file."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        from menon.problems import FAMILIES

        settings(overrides, (), "problems list")
        families = [FAMILIES.get(name) for name in FAMILIES.names()]
        found = [{f.name: getattr(family, f.name) for f in dataclasses.fields(family)} for family in families]
        value = plain({"families": found})
        if out is not None:
            write_file(out, json.dumps(value, indent=2) + "\n")
        rows = [(f["name"], _span(f["difficulties"]), _span(f["hard_band"]), f["description"]) for f in found]
        terminal.emit(value, table(("family", "difficulty", "hard band", "what it asks"), rows))


@app.command("show", short_help="Show one problem.")
def show(
    family: Name,
    index: Annotated[int, typer.Argument(metavar="INDEX", min=0, help="Which problem of the split.")] = 0,
    split: Split = "test",
    difficulty: Difficulty = None,
    world: World = "default",
    style: Annotated[str, typer.Option("--style", metavar="NAME", help="Prompt format.")] = "menon",
    out: Out = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show one problem, its reference rationale, its prompts and a variant; --out writes them to a JSON file."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        from menon.problems.prompts import STYLES

        source = find_family(family, overrides, "show")
        problem = source.problem(split, index, difficulty=difficulty, world=world)
        prompts, variant = STYLES.get(style), source.variant(problem, 0)
        value = {
            **as_record(problem),
            "prompt": prompts.prompt(problem),
            "hinted_prompt": prompts.prompt(problem, hint=True),
            "completion": prompts.completion(problem, problem.rationale or "", problem.answer),
            "variant": as_record(variant),
        }
        if out is not None:
            write_file(out, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        shown = (
            "id",
            "template",
            "difficulty",
            "question",
            "rationale",
            "answer",
            "prompt",
            "hinted_prompt",
            "completion",
        )
        rows = [*((name, value[name]) for name in shown if name in value), ("variant", variant.question)]
        terminal.emit(value, table((), [(name.replace("_", " "), str(text)) for name, text in rows]))


@app.command("make", short_help="Write problems to a file.")
def make(
    family: Name,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="How many problems.")] = 100,
    split: Split = "test",
    difficulty: Difficulty = None,
    world: World = "default",
    out: Out = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write problems 0 to N-1 of a split as JSON lines, to --out FILE or to standard output."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        if out is not None and out.is_dir():
            raise ConfigError(
                f"--out got the folder {str(out)!r}; give a file such as {str(out / f'{family}.jsonl')!r}"
            )
        source = find_family(family, overrides, "make")
        terminal.progress.start(f"making problems of {family}", count, "problems")
        records = []
        for index in range(count):
            records.append(as_record(source.problem(split, index, difficulty=difficulty, world=world)))
            terminal.progress.advance()
        lines = [json.dumps(record, ensure_ascii=False) for record in records]
        value = {"family": family, "split": split, "count": count, "difficulty": difficulty, "world": world}
        if out is None:
            terminal.emit({**value, "problems": records}, lines)
        else:
            write_file(out, "\n".join(lines) + "\n")
            terminal.emit({**value, "out": out}, [f"{count} problems written to {out}"])


def _span(values: Sequence[int]) -> str:
    return f"{values[0]}-{values[-1]}" if len(values) > 1 else str(values[0])
