"""The table of verbs and the way from arguments to an exit code."""

import shlex
from typing import Annotated

import typer

import menon
from menon.cli import audit, doctor, env, grade, problems, run, solve, teach, trace
from menon.cli.options import Verbs
from menon.cli.terminal import EXIT_DONE, EXIT_HELP, EXIT_STOPPED, EXIT_USAGE, tell_error, write_json

RESUMABLE = ("run", "teach", "audit", "solve", "trace")
SETTINGS = {"help_option_names": ["-h", "--help"]}

# Rich markup would load rich for every --help, which alone takes longer than everything else.
app = typer.Typer(
    name="menon",
    cls=Verbs,
    help="Does a language model reason, or does it recite, and how does one make it reason?",
    epilog=EXIT_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
app.command("run", short_help="Run a study.")(run.run)
app.command("doctor", short_help="Can teaching work here?")(doctor.doctor)
app.add_typer(teach.app, name="teach", short_help="Teach a model to reason.")
app.command("solve", short_help="Solve by executing a strategy as a flowchart.")(solve.solve)
app.command("audit", short_help="Does a model reason, or does it recite?")(audit.audit)
app.command("trace", short_help="Which training documents did an answer come from?")(trace.trace)
app.command("grade", short_help="Grade stored completions again; --audit compares two graders.")(grade.grade)
app.add_typer(problems.app, name="problems", short_help="List, show or make problems.")
app.command("env", short_help="Versions, device, memory, disk.")(env.env)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(menon.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


def run_command(argv: list[str]) -> int:
    """Run `menon ARGV` and return its exit code; arguments that cannot be parsed are told on standard error."""
    try:
        code = app(args=argv, prog_name="menon", standalone_mode=False)
    except typer.TyperException as error:
        show = getattr(error, "show", None)
        if show is not None:  # usage and hint first, then the message
            show()
        else:
            typer.echo(f"error: {error.format_message()}", err=True)
        if "--json" in argv:
            write_json({"error": {"type": "UsageError", "message": error.format_message(), "exit_code": EXIT_USAGE}})
        return EXIT_USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_STOPPED
    if code == EXIT_STOPPED:
        tell_error("KeyboardInterrupt", stopped_message(argv), EXIT_STOPPED, as_json="--json" in argv)
    return code if isinstance(code, int) else EXIT_DONE


def stopped_message(argv: list[str]) -> str:
    """Say how to go on after Ctrl-C: the same command, without what would discard the finished work."""
    if not argv or argv[0] not in RESUMABLE:
        return "stopped"
    again = shlex.join(["menon", *(word for word in argv if word != "--fresh")])
    return f"stopped; what is finished is kept. To go on: {again}"
