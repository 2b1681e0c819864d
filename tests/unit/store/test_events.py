"""The event log: rows by execution, one transaction per group, safe between threads and processes."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from menon.core.errors import RunError
from menon.store import EventLog, layout


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.write(
            calls=[("a", "x", "1", "[1]"), ("a", "y", "1", "[2]"), ("b", "x", "1", "[3]")],
            visits=[("a", "x", "{}")],
            outcomes=[("a", "{1}")],
            forks=[("b", "{2}")],
        )
        assert log.calls("a") == {("x", "1"): "[1]", ("y", "1"): "[2]"}
        assert log.visits("a") == {"x": "{}"}
        assert {kind: log.executions(kind) for kind in ("call", "visit", "outcome", "fork")} == {
            "call": {"a", "b"},
            "visit": {"a"},
            "outcome": {"a"},
            "fork": {"b"},
        }
        assert (log.one("outcome", "a"), log.one("fork", "b"), log.one("fork", "a")) == ("{1}", "{2}", None)
    with EventLog(tmp_path, read_only=True) as log:
        assert len(log.calls("a")) == 2


def test_the_first_call_stays_and_the_last_of_everything_else(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        for text in ("first", "last"):
            log.write(
                calls=[("a", "x", "1", text)], visits=[("a", "x", text)], outcomes=[("a", text)], forks=[("a", text)]
            )
        assert log.calls("a") == {("x", "1"): "first"}
        assert (log.visits("a"), log.one("outcome", "a"), log.one("fork", "a")) == ({"x": "last"}, "last", "last")


def test_a_group_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        with pytest.raises(RunError):
            log.write(calls=[("a", "x", "1", "[]")], visits=[("a", "x", None)])  # type: ignore[list-item]
        assert log.calls("a") == {}
        log.write(calls=[("a", "x", "1", "[]")])
        assert len(log.calls("a")) == 1


def test_visits_can_be_forgotten(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.write(visits=[("a", "x", "{}"), ("b", "x", "{}")])
        log.forget_visits("a")
        assert (log.visits("a"), log.visits("b")) == ({}, {"x": "{}"})


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="give the folder of a run"):
        EventLog(tmp_path, read_only=True)
    assert not any(tmp_path.iterdir())


def test_a_run_without_events_reads_as_empty(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / layout.RECORDS).close()
    (tmp_path / layout.RECORDS).touch()
    with EventLog(tmp_path, read_only=True) as log:
        assert (log.calls("a"), log.visits("a"), log.executions("call"), log.one("outcome", "a")) == (
            {},
            {},
            set(),
            None,
        )


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / layout.RECORDS).write_bytes(b"no database at all" * 1000)
    with pytest.raises(RunError):
        EventLog(tmp_path)


def test_only_known_kinds_are_looked_up(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log, pytest.raises(ValueError, match="call, visit, outcome, fork"):
        log.executions("sqlite_master")


def test_threads_may_share_a_log(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:

        def work(name: str) -> None:
            for i in range(50):
                log.write(calls=[(name, str(i), "1", "[]")])
                assert len(log.calls(name)) == i + 1

        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {len(log.calls(f"t{i}")) for i in range(8)} == {50}


WRITER = """
import sys
from pathlib import Path
from menon.store import EventLog
with EventLog(Path(sys.argv[1])) as log:
    for i in range(10**6):
        log.write(calls=[("k", str(i), "1", "x" * 200)], visits=[("k", str(i), "{}")])
        print(i, flush=True)
"""


def test_a_kill_takes_back_nothing_that_was_said_to_be_written(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline()]
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    whole = [int(line) for line in said if line.endswith("\n")]
    with EventLog(tmp_path) as log:
        assert len(log.calls("k")) >= len(whole) > 0
        assert {address for address, _ in log.calls("k")} == set(log.visits("k"))
