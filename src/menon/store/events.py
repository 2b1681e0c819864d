"""The event log of a run: finished calls, visits and outcomes of flowchart executions, in the file of the units.

Calls are committed in groups, before anybody goes on with their results, so a process that is killed has lost none
that was used. `synchronous=NORMAL`: a kill takes nothing back; a power cut may take back the last calls, which are then
made again. Visits are written with the next group; they can be derived from the calls.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from menon.core.errors import RunError
from menon.store import layout
from menon.store.database import failure

_TABLES = (
    "CREATE TABLE IF NOT EXISTS call (execution TEXT NOT NULL, address TEXT NOT NULL, fingerprint TEXT NOT NULL,"
    " data TEXT NOT NULL, PRIMARY KEY (execution, address, fingerprint)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS visit (execution TEXT NOT NULL, address TEXT NOT NULL, data TEXT NOT NULL,"
    " PRIMARY KEY (execution, address)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS outcome (execution TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS fork (execution TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID",
)
KINDS = ("call", "visit", "outcome", "fork")


class EventLog:
    """The event tables of one run directory; safe to share between threads. All data is JSON text."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open the log of the run in `folder`; it is made when it is not there, unless it is only read.

        Raises:
            RunError: the file cannot be opened or written.
        """
        self.path = Path(folder) / layout.RECORDS
        self._guard = threading.RLock()
        if read_only and not self.path.is_file():
            raise RunError(f"{str(folder)!r} is not a run directory (no {layout.RECORDS}); give the folder of a run")
        with self._explained("open"):
            target = self.path.resolve().as_uri() + "?mode=ro" if read_only else self.path.as_posix()
            self._connection = sqlite3.connect(
                target, uri=read_only, timeout=30.0, isolation_level=None, check_same_thread=False
            )
            if not read_only:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
                for statement in _TABLES:
                    self._connection.execute(statement)
            tables = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        self._there = {name for (name,) in tables}

    def write(
        self,
        *,
        calls: Sequence[tuple[str, str, str, str]] = (),
        visits: Iterable[tuple[str, str, str]] = (),
        outcomes: Iterable[tuple[str, str]] = (),
        forks: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Commit rows in one transaction; the first result of a call stays, everything else is replaced.

        Rows are (execution, address, fingerprint, data), (execution, address, data) and (execution, data).
        """
        with self._guard, self._explained("write"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                run = self._connection.executemany
                if calls:
                    run("INSERT OR IGNORE INTO call VALUES (?, ?, ?, ?)", calls)
                if visits:
                    run("INSERT OR REPLACE INTO visit VALUES (?, ?, ?)", visits)
                if outcomes:
                    run("INSERT OR REPLACE INTO outcome VALUES (?, ?)", outcomes)
                if forks:
                    run("INSERT OR REPLACE INTO fork VALUES (?, ?)", forks)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def forget_visits(self, execution: str) -> None:
        """Remove the visits of an execution, which is about to be run again from its calls."""
        with self._guard, self._explained("write"):
            self._connection.execute("DELETE FROM visit WHERE execution = ?", (execution,))

    def executions(self, kind: str) -> set[str]:
        """Return the executions that have rows of `kind` (call, visit, outcome, fork)."""
        return {row[0] for row in self._rows(kind, f"SELECT DISTINCT execution FROM {_known(kind)}")}

    def calls(self, execution: str) -> dict[tuple[str, str], str]:
        """Return the results of an execution's finished calls by (address, fingerprint)."""
        rows = self._rows("call", "SELECT address, fingerprint, data FROM call WHERE execution = ?", execution)
        return {(address, fingerprint): data for address, fingerprint, data in rows}

    def visits(self, execution: str) -> dict[str, str]:
        """Return the visits of an execution by address."""
        return dict(self._rows("visit", "SELECT address, data FROM visit WHERE execution = ?", execution))

    def one(self, kind: str, execution: str) -> str | None:
        """Return the outcome or the fork of an execution, None when there is none."""
        rows = self._rows(kind, f"SELECT data FROM {_known(kind)} WHERE execution = ?", execution)
        return rows[0][0] if rows else None

    def close(self) -> None:
        with self._guard, self._explained("close"):
            self._connection.close()

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _rows(self, table: str, query: str, *values: str) -> list[tuple]:
        if table not in self._there:
            return []
        with self._guard, self._explained("read"):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise failure(error, doing, self.path) from error


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"no kind of event {kind!r}; allowed: {', '.join(KINDS)}")
    return kind
