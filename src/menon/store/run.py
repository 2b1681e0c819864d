"""A run: one directory with its recipe, units, records, metrics and checkpoints, which a kill cannot harm.

Work is cut into units. A unit that is committed is never computed again, so after `kill -9` the same command goes on,
and what is read back afterwards is what an uninterrupted run would have left. Reading order is the stages in the order
of their first commit, then the names (numbers by value, before texts), so it does not depend on who finished when.
"""

import json
import logging
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath
from time import perf_counter
from typing import Any, Self

from menon.core.errors import RunError
from menon.core.seeds import canonical_json
from menon.core.toml import differences, parse_toml, toml_hash
from menon.store import layout
from menon.store.database import Database, StoredUnit
from menon.store.files import atomic_write, clean_leftovers, os_failure
from menon.store.lock import RunLock
from menon.store.measured import MEASURED, without_measured
from menon.store.metrics import MetricsFile
from menon.store.units import Name, Unit, UnitWriter, encode, reading_order, title, unit_key

log = logging.getLogger(__name__)

# Differences in these manifest keys say nothing about the results.
_PASSING = ("command", "created", "started", "pid")


class Run:
    """A run directory, open for writing by one process or for reading by any number; a context manager."""

    def __init__(self, path: Path, database: Database, lock: RunLock | None) -> None:
        """Use `create_or_resume` or `open` instead."""
        self.path = path
        self.recipe_toml = database.meta("recipe") or ""
        self.recipe_hash = toml_hash(self.recipe_toml)
        self.manifest: dict[str, Any] = json.loads(database.meta("manifest") or "{}")
        self._database = database
        self._lock = lock
        self._local = threading.local()
        self._computing: set[str] = set()
        self._metrics = MetricsFile(path / layout.METRICS)

    @classmethod
    def create_or_resume(cls, path: Path, *, recipe_toml: str, manifest: dict[str, Any], fresh: bool = False) -> Self:
        """Open `path` for writing: make it, or go on where the last process stopped; `fresh` starts over.

        Raises `RunError` when the folder belongs to something else, is in use, was made by another recipe, is damaged,
        or cannot be written. Other differences in the manifest are warnings: logged, and kept in `warnings`.
        """
        path = Path(path)
        parse_toml(recipe_toml, "the recipe")
        layout.check_usable(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise os_failure(error, "create", path) from error
        lock = RunLock(path / layout.LOCK)
        try:
            return cls._prepare(path, recipe_toml, manifest, fresh, lock)
        except OSError as error:
            lock.release()
            raise os_failure(error, "prepare", path) from error
        except BaseException:
            lock.release()
            raise

    @classmethod
    def _prepare(cls, path: Path, recipe_toml: str, manifest: dict[str, Any], fresh: bool, lock: RunLock) -> Self:
        clean_leftovers(path)
        if fresh:
            layout.clear(path)
        records = path / layout.RECORDS
        if not records.exists():
            for tail in ("-wal", "-shm"):
                records.with_name(records.name + tail).unlink(missing_ok=True)
        database = Database(records)
        try:
            stored = database.meta("recipe")
            if stored is None:
                database.set_meta(recipe=recipe_toml, manifest=encode(manifest, "the manifest"), warnings="[]")
            else:
                _check_recipe(path, stored, recipe_toml)
            run = cls(path, database, lock)
            run._write_described(new=stored is None)
            run._note_changes(json.loads(encode(manifest, "the manifest")))
            run._metrics.rebuild(line for unit in database.units() for line in database.metrics(unit.id))
        except BaseException:
            database.close()
            raise
        return run

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open `path` for reading only; works while another process writes. Raises `RunError` when it is no run."""
        path = Path(path)
        if not (path / layout.RECORDS).is_file():
            raise RunError(f"{str(path)!r} is not a run directory (no {layout.RECORDS}); give the folder of a run")
        database = Database(path / layout.RECORDS, read_only=True)
        try:
            if database.meta("recipe") is None:
                raise RunError(f"{str(path)!r} holds no records yet: the run has not begun; try again later")
            return cls(path, database, None)
        except BaseException:
            database.close()
            raise

    @property
    def read_only(self) -> bool:
        return self._lock is None

    @property
    def warnings(self) -> list[str]:
        """How later sessions differed from the first one (versions, weights), in the order noticed."""
        return json.loads(self._database.meta("warnings") or "[]")

    def unit(self, stage: str, *names: Name, compute: Callable[[UnitWriter], dict[str, Any]]) -> dict[str, Any]:
        """Return the value of a unit; compute and commit it, with its records and metrics, unless it is committed.

        The value is what JSON makes of it (tuples come back as lists), the same whether computed now or read back.
        When `compute` fails, nothing of the unit is kept.
        """
        key = self._key(stage, names)
        stored = self._database.value(key)
        if stored is not None:
            return json.loads(stored)
        self._check_writable(f"compute unit {title(stage, names)}")
        began = perf_counter()
        writer = UnitWriter(stage, names, self._metrics.append)
        with self._computing_unit(key, writer):
            value = compute(writer)
            seconds = writer.seconds()
        if not isinstance(value, dict):
            raise TypeError(f"unit {title(stage, names)} must compute a dict, got {value!r}")
        text = encode(value, f"the value of unit {title(stage, names)}")
        names_text = canonical_json(list(names))
        self._database.commit_unit(key, stage, names_text, text, seconds, writer.records, writer.metrics)
        if outer := self._writers():
            outer[-1].leave_out(perf_counter() - began)
        return json.loads(text)

    def done(self, stage: str, *names: Name) -> dict[str, Any] | None:
        """Return the value of a committed unit, or None."""
        stored = self._database.value(self._key(stage, names))
        return None if stored is None else json.loads(stored)

    def units(self, stage: str | None = None) -> list[Unit]:
        """Return the committed units (of one stage) in reading order."""
        return [
            Unit(stage=u.stage, names=tuple(json.loads(u.names)), value=json.loads(u.value), seconds=u.seconds)
            for u in self._ordered(stage)
        ]

    def records(
        self, kind: str, *, stage: str | None = None, names_prefix: tuple[Name, ...] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield the records of one kind in reading order, of one stage and of units whose names begin so."""
        wanted = self._database.units_with(kind)
        for unit in self._ordered(stage, names_prefix):
            if unit.id in wanted:
                yield from map(json.loads, self._database.records(unit.id, kind))

    def metric(self, **fields: Any) -> None:
        """Append one line to metrics.jsonl at once, with the stage and names of the unit being computed.

        The line is kept when that unit is committed and dropped on resume when it was not. A line from outside any
        unit is for whoever watches: the next opening drops it.
        """
        self._check_writable("write metrics")
        if writers := self._writers():
            writers[-1].add_metric(fields)
        else:
            self._metrics.append(encode(fields, "a metric"))

    def metrics(self, stage: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the metrics of committed units in the order of their commits."""
        for unit in self._database.units():
            if stage in (None, unit.stage):
                yield from map(json.loads, self._database.metrics(unit.id))

    def checkpoint(self, stage: str) -> Path:
        """Return the folder for the checkpoint of `stage`; write to it through `atomic_directory`."""
        parts = PurePosixPath(stage).parts
        if not parts or stage.startswith("/") or any(p.startswith(".") or "\\" in p or ":" in p for p in parts):
            raise RunError(f"checkpoint stage {stage!r} must be a relative name such as 'star-2' or 'star/2'")
        return self.path / layout.CHECKPOINTS / Path(*parts)

    def discard(self) -> None:
        """Close the run and remove what Menon wrote to its directory; other files stay.

        Raises:
            RunError: the run is open for reading only.
        """
        self._check_writable("discard the run")
        self._database.close()
        layout.clear(self.path)

    def seconds(self) -> float:
        """Return the measured time of all committed units, over all sessions, in seconds."""
        return sum(unit.seconds for unit in self._database.units())

    def fingerprint(self) -> str:
        """Return a hex digest of all units and records in reading order, leaving out every measured quantity."""
        digest, kinds = sha256(), self._database.kinds()
        for unit in self._ordered(None):
            digest.update(canonical_json([unit.stage, unit.names, _unmeasured(unit.value)]).encode())
            for kind in kinds:
                for data in self._database.records(unit.id, kind):
                    digest.update(canonical_json([kind, _unmeasured(data)]).encode())
        return digest.hexdigest()

    def close(self) -> None:
        """Close the files and let go of the lock; harmless when repeated."""
        self._metrics.close()
        try:
            self._database.close()
        finally:
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _key(self, stage: str, names: tuple[Name, ...]) -> str:
        return unit_key(self.recipe_hash, stage, names)

    def _writers(self) -> list[UnitWriter]:
        if not hasattr(self._local, "writers"):
            self._local.writers = []
        return self._local.writers

    @contextmanager
    def _computing_unit(self, key: str, writer: UnitWriter) -> Iterator[None]:
        if key in self._computing:
            raise RunError(f"unit {title(writer.stage, writer.names)} is already being computed; names must be unique")
        self._computing.add(key)
        self._writers().append(writer)
        try:
            yield
        finally:
            self._writers().pop()
            self._computing.discard(key)

    def _ordered(self, stage: str | None, names_prefix: tuple[Name, ...] = ()) -> list[StoredUnit]:
        chosen = []
        for unit in self._database.units():
            names = json.loads(unit.names)
            if stage in (None, unit.stage) and names[: len(names_prefix)] == list(names_prefix):
                chosen.append((unit.ordinal, reading_order(names), unit))
        return [unit for *_, unit in sorted(chosen, key=lambda item: item[:2])]

    def _check_writable(self, doing: str) -> None:
        if self.read_only:
            raise RunError(f"cannot {doing}: {str(self.path)!r} is open for reading only; use Run.create_or_resume")

    def _note_changes(self, manifest: dict[str, Any]) -> None:
        """Warn of what differs from the manifest of the first session, and keep the warning with the run."""
        old, new = ({k: v for k, v in m.items() if k not in _PASSING} for m in (self.manifest, manifest))
        lines = [f"this run was begun with another manifest: {line}" for line in differences(old, new)]
        for line in lines:
            log.warning("%s: %s", self.path, line)
        known = self.warnings
        if unknown := [line for line in lines if line not in known]:
            self._database.set_meta(warnings=json.dumps([*known, *unknown]))

    def _write_described(self, *, new: bool) -> None:
        """Write recipe.toml and manifest.json; the database holds both as the first session gave them."""
        recipe, manifest = self.path / layout.RECIPE, self.path / layout.MANIFEST
        if not recipe.is_file() or recipe.read_bytes() != self.recipe_toml.encode():
            atomic_write(recipe, self.recipe_toml)
        if new or not manifest.is_file():
            atomic_write(manifest, json.dumps(self.manifest, indent=2, ensure_ascii=False) + "\n")


def _check_recipe(path: Path, stored: str, given: str) -> None:
    if toml_hash(stored) == toml_hash(given):
        return
    lines = differences(tomllib.loads(stored), tomllib.loads(given))
    raise RunError(
        "\n".join(
            [
                f"{str(path)!r} holds a run of another recipe; what differs:",
                *(f"  {line}" for line in lines),
                "Give another folder (--out DIR), go back to the first recipe (recipe.toml in the folder), or start "
                "over with --fresh, which deletes the units that are finished.",
            ]
        )
    )


def _unmeasured(data: str) -> str:
    if not any(f'"{key}"' in data for key in MEASURED):
        return data
    return encode(without_measured(json.loads(data)), "a record")
