"""What a verb needs of the terminal: progress, one way to print a result, one way to end with an error.

Under `--json`, standard output carries exactly one JSON object, also when the verb fails; libraries that print find
standard error in its place.
"""

import json
import math
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from menon.cli.progress import CommandProgress, open_progress
from menon.core.errors import MenonError

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_STOPPED = 0, 1, 2, 3, 130
PREFIX = {EXIT_REFUSED: "refused: ", EXIT_STOPPED: ""}
EXIT_HELP = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a check, 130 stopped by Ctrl-C."


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it: dataclasses as objects, paths as text, NaN and infinities as null."""
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    to_list = getattr(value, "tolist", None)
    if to_list is not None:  # NumPy numbers and arrays
        return plain(to_list())
    if isinstance(value, Iterable) and not isinstance(value, bytes | Path):
        return [plain(item) for item in value]
    return str(value)


def write_json(value: Mapping[str, Any]) -> None:
    """Write one object to the standard output that the process was given."""
    sys.stdout.write(json.dumps(plain(value), allow_nan=False) + "\n")
    sys.stdout.flush()


def tell_error(kind: str, message: str, code: int, *, as_json: bool) -> None:
    """Tell an error on standard error, and under --json as the one object on standard output too."""
    typer.echo(f"{PREFIX.get(code, 'error: ')}{message}", err=True)
    if as_json:
        write_json({"error": {"type": kind, "message": message, "exit_code": code}})


class Terminal:
    """The terminal as one verb sees it."""

    def __init__(self, *, as_json: bool, progress: CommandProgress):
        self.as_json = as_json
        self.progress = progress
        self._stdout = sys.stdout

    def load_quietly(self) -> None:
        """Keep transformers from drawing bars of its own where no bars are wanted."""
        if not self.progress.live:
            os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

    def emit(self, value: Mapping[str, Any], lines: Iterable[str] = ()) -> None:
        """Print the result: `value` under --json, else `lines`."""
        self.progress.close()
        with redirect_stdout(self._stdout):
            if self.as_json:
                write_json(value)
                return
            for line in lines:
                typer.echo(line)

    def fail(self, kind: str, message: str, code: int) -> typer.Exit:
        """Tell an error and return the exception that ends the command with `code`."""
        self.progress.close()
        with redirect_stdout(self._stdout):
            tell_error(kind, message, code, as_json=self.as_json)
        return typer.Exit(code)


@contextmanager
def open_terminal(*, as_json: bool = False, debug: bool = False) -> Iterator[Terminal]:
    """Give a verb its terminal, and turn the errors it raises into one message and an exit code."""
    debug = debug or os.environ.get("MENON_DEBUG", "") not in ("", "0")
    progress = open_progress()
    terminal = Terminal(as_json=as_json, progress=progress)
    try:
        with redirect_stdout(sys.stderr if as_json else sys.stdout):
            yield terminal
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the flush at exit is silent too
        raise typer.Exit(EXIT_DONE) from None
    except (MenonError, OSError) as error:
        progress.close()
        if debug:
            traceback.print_exc()
        code = error.exit_code if isinstance(error, MenonError) else EXIT_FAILED
        raise terminal.fail(type(error).__name__, str(error), code) from None
    finally:
        progress.close()


def write_file(path: Path, text: str) -> None:
    """Write a whole file or nothing, making its folder where it is missing."""
    from menon.store import atomic_write

    atomic_write(path, text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Align rows in columns, the last one as wide as it is; an empty `head` gives no heading."""
    shown = [*([head] if head else []), *rows]
    widths = [max(len(row[i]) for row in shown) for i in range(len(shown[0]))] if shown else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]


def run_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the summary of a finished run and where its report is."""
    if "lines" in report:
        return list(report["lines"])
    where = Path(str(report.get("page") or Path(str(report["run"])) / "report.html"))
    if report.get("study") == "audit":
        from menon.reports import audit_summary

        return [audit_summary(report), f"report: {where}"]
    if report.get("study") == "solve":
        from menon.studies.solve.told import summary_lines

        return summary_lines(report, trace=False)
    if report.get("study") in ("quiet", "quiet-star"):
        from menon.studies.quiet.told import quiet_star_lines, quiet_study_lines

        told = quiet_study_lines if report["study"] == "quiet" else quiet_star_lines
        return [*told(report), f"report: {where}"]
    if report.get("study") == "trace":
        from menon.reports.trace_terminal import trace_lines

        return trace_lines(report, where)
    if report.get("study") in ("procedural", "code-mixture"):
        from menon.reports.code_mixture import headline as of_mixture
        from menon.reports.procedural import headline as of_procedural

        said = of_mixture(report) if report["study"] == "code-mixture" else of_procedural(report)
        return [said, f"report: {where}"]
    if report.get("study", "bootstrap") != "bootstrap":
        return [f"{report.get('study')} done: {report.get('tokens', 0):,} tokens", f"report: {where}"]
    from menon.reports import summary

    return [str(summary(report)).rstrip(), f"report: {where}"]
