"""`menon problems list|show|make|corpus`: look at the problems that Menon generates and write them to a file."""

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from menon.cli import known_corpus, templates
from menon.cli.options import Debug, Json, Out, Set, Verbs, settings
from menon.cli.terminal import EXIT_HELP, open_terminal, plain, table, write_file
from menon.core.errors import ConfigError
from menon.core.values import Problem

if TYPE_CHECKING:
    from menon.problems.catalogue import Source
    from menon.problems.prompts import PromptStyle

app = typer.Typer(
    cls=Verbs,
    help="List the kinds of problems, show a problem, or write problems to a file.",
    epilog=EXIT_HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("corpus", short_help="Write a training corpus whose truth is known.")(known_corpus.corpus)
app.add_typer(templates.app, name="templates", short_help="Files in the GSM-Symbolic template language.")

FACTS = ("id", "kind", "template", "world", "difficulty", "grader", "answer")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that `menon problems list` shows.")]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="NAME",
        help="Split to draw from; splits never share a problem. Usually test; variant for templates.",
    ),
]
Difficulty = Annotated[
    int | None, typer.Option("--difficulty", metavar="N", help="Steps or digits; drawn evenly when left out.")
]
World = Annotated[str, typer.Option("--world", metavar="NAME", help="Rules under which the answer is right.")]


def find_source(name: str, overrides: Sequence[str] | None, verb: str) -> "Source":
    """Return what is called `name` with its options changed as `--set` says."""
    from menon.problems.catalogue import find

    source = find(name)
    return source.with_options(settings(overrides, source.options, f"problems {verb}"))


def as_record(problem: Problem) -> dict[str, Any]:
    """Return a problem as one JSON object with its id; fields that it does not have are left out."""
    record = {"id": problem.id, **dataclasses.asdict(problem)}
    return plain({name: value for name, value in record.items() if value not in (None, (), {})})


@app.command("list", short_help="List everything that can be asked.")
def list_problems(out: Out = None, overrides: Set = None, as_json: Json = False, debug: Debug = False) -> None:
    """List what can be asked, by kind, with difficulties and worlds; --out writes the list to a JSON file."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        from menon.problems import FAMILIES, KINDS
        from menon.problems.catalogue import TEMPLATES, sources

        settings(overrides, (), "problems list")
        found = {kind: sources(kind) for kind in (*KINDS, TEMPLATES)}
        families = [FAMILIES.get(name) for name in FAMILIES.names()]
        value = plain(
            {
                "families": [{f.name: getattr(each, f.name) for f in dataclasses.fields(each)} for each in families],
                **{kind: [_listed(source) for source in found[kind]] for kind in found if kind != "families"},
            }
        )
        if out is not None:
            write_file(out, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        terminal.emit(value, _grouped(found))


def _listed(source: "Source") -> dict[str, Any]:
    return {
        "name": source.name,
        "description": source.description,
        "worlds": source.worlds,
        "difficulties": source.difficulties,
        "options": source.options,
    }


def _grouped(found: "dict[str, list[Source]]") -> list[str]:
    """Return a heading per kind, and a line per name: name, difficulties, description, worlds."""
    head = ("name", "difficulty", "what it asks [its worlds, the default one first]")
    rows = [
        (f"  {source.name}", _difficulties(source), f"{source.description}{_worlds(source)}")
        for sources in found.values()
        for source in sources
    ]
    first, *lines = table(head, rows)
    shown = [first]
    for kind, sources in found.items():
        shown += [kind, *lines[: len(sources)]]
        lines = lines[len(sources) :]
    return shown


def _difficulties(source: "Source") -> str:
    hard = getattr(source.task, "hard_band", ())
    return f"{_span(source.difficulties)}{f' (hard: {_span(hard)})' if hard else ''}"


def _span(values: Sequence[int]) -> str:
    return f"{values[0]}-{values[-1]}" if len(values) > 1 else "".join(map(str, values)) or "-"


def _worlds(source: "Source") -> str:
    return f" [{', '.join(source.worlds)}]" if len(source.worlds) > 1 else ""


@app.command("show", short_help="Show one problem.")
def show(
    name: Name,
    index: Annotated[int, typer.Argument(metavar="INDEX", min=0, help="Which problem of the split.")] = 0,
    split: Split = None,
    difficulty: Difficulty = None,
    world: World = "default",
    style: Annotated[
        str | None,
        typer.Option("--style", metavar="NAME", help="Prompt format; menon for families and plain for the others."),
    ] = None,
    out: Out = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show one problem, its prompts, and the comprehension check of its world; --out writes them to a JSON file.

    Of a family also a variant, the prompt with the answer as a hint, and what is to be learned.
    """
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        from menon.problems.prompts import STYLES

        source = find_source(name, overrides, "show")
        style = style or ("menon" if source.kind == "families" else "plain")
        prompts: PromptStyle = STYLES.get(style)
        problem = source.problem(index, split=split, difficulty=difficulty, world=world)
        value = {"kind": source.kind, "style": style, **_asked(problem, prompts)}
        if source.kind == "families":
            value["hinted_prompt"] = prompts.prompt(problem, hint=True)
            value["completion"] = prompts.completion(problem, problem.rationale or "", problem.answer)
            value["variant"] = as_record(source.task.variant(problem, 0))
        control = source.control(index, split=split, world=world)
        if control is not None:
            value["control"] = _asked(control, prompts)
        if out is not None:
            write_file(out, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        terminal.emit(value, _shown(value))


def _asked(problem: Problem, style: "PromptStyle") -> dict[str, Any]:
    """Return a problem with the prompts that ask it, with and without working."""
    return {
        **as_record(problem),
        "prompt": style.prompt(problem),
        "direct_prompt": style.prompt(problem, direct=True),
    }


def _shown(value: dict[str, Any]) -> list[str]:
    """Return the facts of a problem as a table, and its texts below it as they are."""
    variant, control = value.get("variant", {}), value.get("control", {})
    texts = {
        "question": value["question"],
        "choices": "\n".join(value.get("choices", ())),
        "rationale": value.get("rationale"),
        "prompt": value["prompt"],
        "prompt without working": value["direct_prompt"],
        "hinted prompt": value.get("hinted_prompt"),
        "completion": value.get("completion"),
        "variant": variant.get("question"),
        "comprehension check": control.get("question"),
        "answer to the check": f"{control['answer']}\n(grader {control['grader']})" if control else None,
    }
    lines = table((), [(name, str(value[name])) for name in FACTS if value.get(name) not in (None, "")])
    for name, text in texts.items():
        if text:
            lines += ["", f"{name}:", text.rstrip("\n")]
    return lines


@app.command("make", short_help="Write problems to a file.")
def make(
    name: Name,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="How many problems.")] = 100,
    split: Split = None,
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
            file = out / f"{name.replace('/', '-')}.jsonl"
            raise ConfigError(f"--out got the folder {str(out)!r}; give a file such as {str(file)!r}")
        source = find_source(name, overrides, "make")
        split = split or source.split
        terminal.progress.start(f"making problems of {name}", count, "problems")
        records = []
        for problem in source.problems(count, split=split, difficulty=difficulty, world=world):
            records.append(as_record(problem))
            terminal.progress.advance()
        lines = [json.dumps(record, ensure_ascii=False) for record in records]
        value = {"family": name, "split": split, "count": count, "difficulty": difficulty, "world": world}
        if out is None:
            terminal.emit({**value, "problems": records}, lines)
        else:
            write_file(out, "\n".join(lines) + "\n")
            terminal.emit({**value, "out": out}, [f"{count} problems written to {out}"])
