"""`menon problems templates check|show|make|induce`: files in the GSM-Symbolic template language."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from menon.cli.induce import induce
from menon.cli.options import Debug, Json, Out, Set, Verbs, settings
from menon.cli.terminal import EXIT_FAILED, EXIT_HELP, open_terminal, plain, table, write_file
from menon.core.errors import ConfigError, DataError

app = typer.Typer(
    cls=Verbs,
    help="Check files of problem templates, show one, or make instances of them.",
    epilog=EXIT_HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("induce", short_help="Have a model propose templates of your own questions.")(induce)

COUNTS = ("templates", "loaded", "solvable", "instances", "parsed", "satisfied", "answers_equal")
MOST_SHOWN = 20

TemplateFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="JSONL or JSON file of templates, or a folder of JSON files.")
]
Lists = Annotated[
    Path | None,
    typer.Option("--lists", metavar="FILE", help="JSON object of lists: {name: [text, or [text, number], ...]}."),
]


@app.command("check", short_help="Check template files and published instances.")
def check_files(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSONL or JSON files of templates, or folders of them.")
    ],
    instances: Annotated[
        Path | None,
        typer.Option("--instances", metavar="FILE", help="Published instances (question, answer, id) to read back."),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", metavar="N", min=1, max=10_000, help="Distinct instances to draw of each.")
    ] = 50,
    time_limit: Annotated[
        float, typer.Option("--time-limit", metavar="S", min=0.01, help="Seconds a template may take.")
    ] = 4.0,
    lists: Lists = None,
    out: Out = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Load every template, draw distinct instances of each, read instances back, and list every failure.

    Exits with 1 when anything failed; warnings alone do not.
    """
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        from menon.problems.templates.check import check

        settings(overrides, (), "problems templates check")
        report = check(
            files, instances, count=count, time_limit_s=time_limit, lists=_lists(lists), progress=terminal.progress
        )
        value = {"ok": report.ok, "count": count, **plain(report)}
        if out is not None:
            write_file(out, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        counts = table((), [(name.replace("_", " "), str(value[name])) for name in COUNTS])
        terminal.emit(value, [*counts, *_listed("failure", value["failures"]), *_warned(value["warnings"])])
        if not report.ok:
            raise typer.Exit(EXIT_FAILED)


@app.command("show", short_help="Show one template and instances of it.")
def show(
    file: TemplateFile,
    template_id: Annotated[str, typer.Argument(metavar="ID", help="Number of the template (id_shuffled).")],
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="How many instances.")] = 1,
    lists: Lists = None,
    out: Out = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show variables, conditions and instances of one template; --out writes them to a JSON file."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        from menon.problems.templates import default_assignment, draw, original, render
        from menon.problems.templates.check import oddities

        settings(overrides, (), "problems templates show")
        template = next((t for t in _load(file, lists) if t.id == template_id), None)
        if template is None:
            raise ConfigError(f"{str(file)!r} has no template {template_id!r}; `templates check` lists what it has")
        made = [render(template, values) for values in draw(template, "show", count=count)]
        default, first = default_assignment(template), original(template)
        value: dict[str, Any] = {
            "template": template.id,
            "file": template.where,
            "variables": [{"names": v.names, "candidates": len(v.candidates), "line": v.line}
                          for v in template.variables],
            "conditions": [condition.text for condition in template.conditions],
            "hidden": template.hidden,
            "oddities": oddities(template),
            "original": dataclasses.asdict(first) if first else None,
            "default": {name: v.value for name, v in default.items()} if default else None,
            "instances": [_record(template.id, number, instance) for number, instance in enumerate(made)],
        }  # fmt: skip
        if out is not None:
            write_file(out, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")
        lines = [f"template {template.id} ({template.where})"]
        lines += [f"  {line.line}  [{len(line.candidates)} candidates]" for line in template.variables]
        lines += [f"  {condition.text}" for condition in template.conditions]
        for instance in made:
            lines += ["", instance.question, "", instance.worked]
        terminal.emit(value, lines)


@app.command("make", short_help="Write instances of templates to a file.")
def make(
    file: TemplateFile,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="Instances of each template.")] = 50,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed gives other instances.")] = 0,
    lists: Lists = None,
    out: Out = None,
    overrides: Set = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write N distinct instances of each template as JSON lines, to --out FILE or to standard output."""
    with open_terminal(as_json=as_json, debug=debug) as terminal:
        from menon.problems.templates import draw, render

        settings(overrides, (), "problems templates make")
        if out is not None and out.is_dir():
            raise ConfigError(f"--out got the folder {str(out)!r}; give a file such as {str(out / 'made.jsonl')!r}")
        templates = _load(file, lists)
        terminal.progress.start("making instances", len(templates), "templates")
        records = []
        for template in templates:
            made = [
                render(template, values)
                for values in draw(template, "make", seed, count=count, time_limit_s=4 + count / 10)
            ]
            records += [_record(template.id, number, instance) for number, instance in enumerate(made)]
            terminal.progress.advance(note=template.id)
        lines = [json.dumps(record, ensure_ascii=False) for record in records]
        value = {"file": file, "templates": len(templates), "count": count, "instances": len(records)}
        if out is None:
            terminal.emit({**value, "records": records}, lines)
        else:
            write_file(out, "\n".join(lines) + "\n")
            terminal.emit({**value, "out": out}, [f"{len(records)} instances written to {out}"])


def _load(file: Path, lists: Path | None) -> list[Any]:
    """Return the templates of `file`; a record that is none is an error here."""
    from menon.problems.templates import TemplateError, load_templates

    loaded = load_templates(file, lists=_lists(lists))
    if loaded.failures:
        first, more = loaded.failures[0], len(loaded.failures) - 1
        rest = f" (and {more} more; `menon problems templates check` lists them)" if more else ""
        raise TemplateError(f"{first.file}: template {first.template!r}: {first.reason}{rest}")
    return list(loaded.templates)


def _lists(path: Path | None) -> dict[str, list[Any]] | None:
    if path is None:
        return None
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} is not JSON: {str(error)[:80]}") from None
    if not isinstance(lists, dict) or not all(isinstance(items, list) for items in lists.values()):
        raise DataError(f"{str(path)!r} holds no object of lists; allowed: {{name: [text, or [text, number], ...]}}")
    return lists


def _record(template_id: str, number: int, instance: Any) -> dict[str, Any]:
    return {
        "id": int(template_id) if template_id.isdecimal() else template_id,
        "instance": number,
        "question": instance.question,
        "answer": instance.worked,
    }


def _listed(what: str, found: list[dict[str, str]]) -> list[str]:
    return [
        f"{what}: {entry['file']}: template {entry['template']}"
        f"{' instance ' + entry['instance'] if entry['instance'] else ''}: {entry['reason']}"
        for entry in found
    ]


def _warned(found: list[dict[str, str]]) -> list[str]:
    shown = _listed("warning", found[:MOST_SHOWN])
    return [*shown, f"... {len(found) - MOST_SHOWN} more warnings; --json lists all"] if found[MOST_SHOWN:] else shown
