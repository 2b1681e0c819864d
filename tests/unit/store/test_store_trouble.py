"""Full disks, read-only folders, damaged files: a clear message, and nothing finished is lost."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from menon.core.errors import MenonError, RunError
from menon.store import Run, UnitWriter, atomic_directory, atomic_remove, atomic_write


def begin(path: Path) -> Run:
    return Run.create_or_resume(path, recipe_toml="a = 1\n", manifest={})


def fill(run: Run, units: int) -> None:
    for number in range(units):
        run.unit("s", number, compute=lambda w: w.add("row", {"text": "x" * 3000, "n": w.names[0]}) or {"n": 1})


def failing(code: int):
    def fail(*_: object, **__: object):
        raise OSError(code, os.strerror(code))

    return fail


def test_a_full_database_stops_with_a_message_and_the_run_goes_on_later(tmp_path: Path):
    with begin(tmp_path / "whole") as run:
        fill(run, 30)
        expected = run.fingerprint()
    with begin(tmp_path / "run") as run:
        run._database._connection.execute("PRAGMA max_page_count = 25")
        with pytest.raises(RunError, match=r"cannot write .*records\.sqlite.*disk is full.*free some space.*are kept"):
            fill(run, 30)
        kept = len(run.units())
        assert 0 < kept < 30
    with begin(tmp_path / "run") as run:
        assert len(run.units()) == kept
        fill(run, 30)
        assert run.fingerprint() == expected


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "disk is full.*free some space"),
        (errno.EROFS, "file system is read-only.*--out"),
        (errno.EACCES, "permission is denied.*--out"),
        (errno.EFBIG, "size limit.*ulimit"),
        (errno.ENAMETOOLONG, "File name too long.*run the same command again"),
    ],
)
def test_each_refusal_of_the_system_is_explained(tmp_path: Path, monkeypatch, code: int, words: str):
    atomic_write(tmp_path / "file", "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(code))
        with pytest.raises(RunError, match=f"cannot write .*file.*{words}"):
            atomic_write(tmp_path / "file", "new")
        with pytest.raises(RunError, match=words), atomic_directory(tmp_path / "folder") as temp:
            (temp / "x").write_text("x")
    assert (tmp_path / "file").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("function", ["mkdir", "open"])
def test_a_read_only_place_is_named_before_anything_is_computed(tmp_path: Path, monkeypatch, function: str):
    monkeypatch.setattr(os, function, failing(errno.EROFS))
    with pytest.raises(RunError, match=r"cannot (create|lock) .*run.*read-only.*--out DIR"):
        begin(tmp_path / "new" / "run" if function == "mkdir" else tmp_path / "run")


def test_a_read_only_database_is_explained_and_can_still_be_read(tmp_path: Path):
    with begin(tmp_path) as run:
        fill(run, 2)
        run._database._connection.execute("PRAGMA query_only = 1")
        with pytest.raises(RunError, match="cannot be written"):
            fill(run, 3)
        assert len(run.units()) == 2


def test_a_file_where_the_folder_should_be(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is a file; a run needs a folder"):
        begin(tmp_path / "file")
    with pytest.raises(RunError, match=r"is a file, not a folder|a part of this path is a file"):
        begin(tmp_path / "file" / "run")


@pytest.mark.parametrize("damage", ["header", "middle", "truncated", "text"])
def test_a_damaged_database_is_explained_and_fresh_starts_over(tmp_path: Path, damage: str):
    with begin(tmp_path) as run:
        fill(run, 40)
    path = tmp_path / "records.sqlite"
    data = bytearray(path.read_bytes())
    match damage:
        case "header":
            data[:100] = b"\xff" * 100
        case "middle":
            data[8192:40960] = b"\xff" * 32768
        case "truncated":
            del data[len(data) // 2 :]
        case "text":
            data[:] = b"this is not a database at all, it is a text"
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"records\.sqlite' is damaged.*put back a copy.*--fresh"):
        begin(tmp_path)
    if damage in ("header", "text"):
        with pytest.raises(RunError, match="damaged"):
            Run.open(tmp_path)
    with Run.create_or_resume(tmp_path, recipe_toml="a = 1\n", manifest={}, fresh=True) as run:
        assert run.units() == []


def test_records_of_another_version_are_refused(tmp_path: Path):
    with begin(tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / "records.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for call in (begin, Run.open):
        with pytest.raises(RunError, match="version 99, this Menon reads version 1"):
            call(tmp_path)


def test_a_run_that_has_not_begun_cannot_be_read(tmp_path: Path):
    (tmp_path / "records.sqlite").touch()
    with pytest.raises(RunError, match="has not begun"):
        Run.open(tmp_path)


def test_metrics_that_cannot_be_written_stop_the_unit(tmp_path: Path, monkeypatch):
    class FullFile:
        def __init__(self, *_: object) -> None:
            pass

        write = failing(errno.ENOSPC)

        def close(self) -> None:
            pass

    def compute(_: UnitWriter) -> dict[str, int]:
        run.metric(x=1)
        return {}

    with begin(tmp_path) as run:
        with monkeypatch.context() as patch:
            patch.setattr("menon.store.metrics.FileIO", FullFile)
            with pytest.raises(RunError, match=r"metrics\.jsonl.*disk is full"):
                run.unit("s", compute=compute)
        assert run.done("s") is None


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path):
    target = tmp_path / "deep" / "checkpoint"
    with atomic_directory(target) as temp:
        (temp / "sub").mkdir()
        (temp / "sub" / "a").write_text("1")
        assert not target.exists()
    with pytest.raises(FileNotFoundError), atomic_directory(target) as temp:
        (temp / "absent" / "b").write_text("2")
    assert (target / "sub" / "a").read_text() == "1"
    with atomic_directory(target) as temp:
        (temp / "c").write_text("3")
    assert [p.name for p in target.iterdir()] == ["c"]
    assert [p.name for p in target.parent.iterdir()] == ["checkpoint"]
    atomic_remove(target)
    atomic_remove(target)
    assert list(target.parent.iterdir()) == []


def test_a_native_writers_error_on_a_full_disk_becomes_a_run_error(tmp_path: Path, monkeypatch):
    class NativeError(Exception):
        pass

    monkeypatch.setattr("menon.store.files._free_bytes", lambda _: 0.0)
    with pytest.raises(RunError, match="disk is full") as caught, atomic_directory(tmp_path / "c"):
        raise NativeError("No space left on device")
    assert isinstance(caught.value.__cause__, NativeError)
    with pytest.raises(KeyboardInterrupt), atomic_directory(tmp_path / "c"):
        raise KeyboardInterrupt
    assert isinstance(caught.value, MenonError)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_told_as_such(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="this path is a file, not a folder"):
        atomic_write(tmp_path / "file" / "report.html", "y")
