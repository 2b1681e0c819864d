"""The SQLite file of a run: units with their values, records and metrics, each unit in one transaction.

Write-ahead logging lets readers in while one process writes; `synchronous=FULL` puts every commit on disk, so neither a
kill nor a power cut takes a finished unit back. Units never change once committed.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from menon.core.errors import RunError
from menon.store.files import KEPT

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4D454E4F
QUICK_CHECK_BELOW_BYTES = 256 << 20

_TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE stage (ordinal INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE unit (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, stage INTEGER NOT NULL REFERENCES stage,"
    " names TEXT NOT NULL, value TEXT NOT NULL, seconds REAL NOT NULL)",
    "CREATE TABLE record (unit INTEGER NOT NULL REFERENCES unit, kind TEXT NOT NULL, position INTEGER NOT NULL,"
    " data TEXT NOT NULL)",
    "CREATE UNIQUE INDEX record_by_kind ON record (kind, unit, position)",
    "CREATE TABLE metric (unit INTEGER NOT NULL REFERENCES unit, position INTEGER NOT NULL, data TEXT NOT NULL,"
    " PRIMARY KEY (unit, position))",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUnit:
    """One row of the unit table; `names` and `value` are JSON, `ordinal` is the place of its stage."""

    id: int
    ordinal: int
    stage: str
    names: str
    value: str
    seconds: float


class Database:
    """One connection to `records.sqlite`; safe to share between threads."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._guard = threading.RLock()
        with self._explained("open"):
            if read_only:
                self._connection = _connect_read_only(path)
            else:
                self._connection = _connect(path.as_posix(), uri=False)
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
        try:
            self._prepare(read_only)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with self._guard, self._explained("close"):
            self._connection.close()

    def meta(self, name: str) -> str | None:
        """Return the text stored under `name`."""
        rows = self._rows("SELECT value FROM meta WHERE name = ?", name)
        return rows[0][0] if rows else None

    def set_meta(self, **values: str) -> None:
        """Store texts by name, all or none."""
        with self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def value(self, key: str) -> str | None:
        """Return the JSON value of the unit with this key, or None when it is not committed."""
        rows = self._rows("SELECT value FROM unit WHERE key = ?", key)
        return rows[0][0] if rows else None

    def commit_unit(
        self,
        key: str,
        stage: str,
        names: str,
        value: str,
        seconds: float,
        records: Sequence[tuple[str, str]],
        metrics: Sequence[str],
    ) -> None:
        """Store a finished unit with its (kind, JSON) records and JSON metrics in one transaction."""
        with self._transaction():
            run = self._connection.execute
            run("INSERT OR IGNORE INTO stage (name) VALUES (?)", (stage,))
            unit = run(
                "INSERT INTO unit (key, stage, names, value, seconds)"
                " SELECT ?, ordinal, ?, ?, ? FROM stage WHERE name = ?",
                (key, names, value, seconds, stage),
            ).lastrowid
            self._connection.executemany(
                "INSERT INTO record VALUES (?, ?, ?, ?)", ((unit, k, i, data) for i, (k, data) in enumerate(records))
            )
            self._connection.executemany(
                "INSERT INTO metric VALUES (?, ?, ?)", ((unit, i, data) for i, data in enumerate(metrics))
            )

    def units(self) -> list[StoredUnit]:
        """Return every committed unit, in the order of their commits."""
        rows = self._rows(
            "SELECT unit.id, ordinal, stage.name, names, value, seconds"
            " FROM unit JOIN stage ON unit.stage = stage.ordinal ORDER BY unit.id"
        )
        fields = ("id", "ordinal", "stage", "names", "value", "seconds")
        return [StoredUnit(**dict(zip(fields, row, strict=True))) for row in rows]

    def units_with(self, kind: str) -> set[int]:
        """Return the ids of the units that have records of this kind."""
        return {row[0] for row in self._rows("SELECT DISTINCT unit FROM record WHERE kind = ?", kind)}

    def records(self, unit: int, kind: str) -> list[str]:
        """Return the JSON records of one kind of one unit, in the order in which they were added."""
        return [
            r[0] for r in self._rows("SELECT data FROM record WHERE kind=? AND unit=? ORDER BY position", kind, unit)
        ]

    def kinds(self) -> list[str]:
        """Return the kinds of records that there are, sorted."""
        return [row[0] for row in self._rows("SELECT DISTINCT kind FROM record ORDER BY kind")]

    def metrics(self, unit: int) -> list[str]:
        """Return the JSON metrics of one unit, in the order in which they were measured."""
        return [row[0] for row in self._rows("SELECT data FROM metric WHERE unit = ? ORDER BY position", unit)]

    def _rows(self, query: str, *values: str | int) -> list[tuple]:
        with self._guard, self._explained("read"):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guard, self._explained("write"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _prepare(self, read_only: bool) -> None:
        """Create the tables in a new file; check the version and the pages of an old one."""
        version = self._rows("PRAGMA user_version")[0][0]
        tables = self._rows("SELECT count(*) FROM sqlite_master")[0][0]
        if tables == 0:
            if read_only:
                raise RunError(f"{str(self.path)!r} holds no records yet: the run has not begun; try again later")
            with self._transaction():
                for statement in _TABLES:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            return
        if version != SCHEMA_VERSION or self._rows("PRAGMA application_id")[0][0] != APPLICATION_ID:
            raise RunError(
                f"{str(self.path)!r} has records of version {version}, this Menon reads version {SCHEMA_VERSION}; "
                "use the Menon that wrote it (see manifest.json), or start over with --fresh"
            )
        if not read_only and self.path.stat().st_size < QUICK_CHECK_BELOW_BYTES:
            verdict = self._rows("PRAGMA quick_check(1)")[0][0]
            if verdict != "ok":
                raise _damaged(self.path, verdict)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise failure(error, doing, self.path) from error


def _connect(target: str, *, uri: bool) -> sqlite3.Connection:
    return sqlite3.connect(target, uri=uri, timeout=30.0, isolation_level=None, check_same_thread=False)


def _connect_read_only(path: Path) -> sqlite3.Connection:
    target = path.resolve().as_uri() + "?mode=ro"
    connection = _connect(target, uri=True)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if not path.exists() or (log.exists() and log.stat().st_size > 0):
            raise
        # On read-only media the shared memory file cannot be made; without a log the file alone is the whole truth.
        connection = _connect(target + "&immutable=1", uri=True)
    return connection


def _damaged(path: Path, detail: object) -> RunError:
    cause = " ".join(str(detail).split())
    return RunError(
        f"{str(path)!r} is damaged ({cause}). What to do: put back a copy of this file, or start over with --fresh, "
        "which deletes the units that are finished"
    )


def failure(error: sqlite3.Error, doing: str, path: Path) -> RunError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")):
        return _damaged(path, error)
    if name.startswith("SQLITE_FULL"):
        cause, remedy = "the disk is full", "free some space, then run the same command again"
    elif name.startswith("SQLITE_IOERR"):
        cause = f"the disk refuses the write or read ({error}; disk full, file-size limit or a failing disk)"
        remedy = "check the free space and the disk, then run the same command again"
    elif name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        cause = f"the file or its folder is missing or cannot be written ({error})"
        remedy = "check that the folder exists and is writable, or give another one (--out DIR)"
    elif name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        cause, remedy = (
            f"another program holds the file ({error})",
            "close that program, then run the same command again",
        )
    else:
        cause, remedy = str(error), "run the same command again; if it fails again, report it"
    return RunError(f"cannot {doing} {str(path)!r}: {cause}. What to do: {remedy}. {KEPT}")
