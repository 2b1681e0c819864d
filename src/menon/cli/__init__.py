"""The command line: one file per verb, each of which parses, calls one function and prints.

Nothing heavier than typer is imported to parse a command or to print help.
"""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 3 refused by a check, 130 stopped."""
    from menon.cli.app import run_command

    return run_command(list(sys.argv[1:] if argv is None else argv))


__all__ = ["main"]
