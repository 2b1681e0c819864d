"""One writer, many readers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from menon.core.errors import RunError
from menon.store import Run
from menon.store.lock import RunLock

WORKLOAD = Path(__file__).with_name("workload.py")


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(WORKLOAD), str(path), "--hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "holding\n"]
    return process


def test_a_second_process_is_refused_and_told_who_is_there_until_the_first_is_killed(tmp_path: Path):
    process = hold(tmp_path / "run")
    try:
        for fresh in (False, True):
            with pytest.raises(RunError, match=f"in use by process {process.pid} on .*one process at a time"):
                Run.create_or_resume(tmp_path / "run", recipe_toml="a = 1\n", manifest={}, fresh=fresh)
        with Run.open(tmp_path / "run") as reader:
            assert reader.units() == []
    finally:
        process.kill()
        process.communicate()
    with Run.create_or_resume(tmp_path / "run", recipe_toml="a = 1\n", manifest={}) as run:
        assert run.done("anything") is None


def test_the_lock_is_refused_within_one_process_and_free_after_close(tmp_path: Path):
    lock = RunLock(tmp_path / "run.lock")
    with pytest.raises(RunError, match=f"process {os.getpid()}"):
        RunLock(tmp_path / "run.lock")
    lock.release()
    lock.release()
    RunLock(tmp_path / "run.lock").release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_does_not_keep_the_lock_of_its_dead_parent(tmp_path: Path):
    code = (
        "import os, sys, time; from pathlib import Path; from menon.store.lock import RunLock\n"
        "lock = RunLock(Path(sys.argv[1]))\n"
        "child = os.fork()\n"
        "if child == 0:\n    os.close(1); time.sleep(20); os._exit(0)\n"
        "sys.stdout.write(str(child)); sys.stdout.flush(); os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "run.lock"
    result = subprocess.run([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, timeout=30)
    worker = int(result.stdout)
    try:
        os.kill(worker, 0)
        RunLock(path).release()
    finally:
        os.kill(worker, 9)


def test_a_reader_sees_whole_units_while_another_process_writes(tmp_path: Path):
    path = tmp_path / "run"
    process = subprocess.Popen([sys.executable, str(WORKLOAD), str(path), "20"], stdout=subprocess.PIPE, text=True)
    seen, looks = 0, 0
    while process.poll() is None:
        try:
            reader = Run.open(path)
        except RunError:
            continue
        with reader:
            before = reader.units("sample")
            records = sum(1 for _ in reader.records("completion"))
            assert records % 12 == 0
            assert records >= 12 * len(before) >= seen
            seen, looks = 12 * len(before), looks + 1
    out, _ = process.communicate()
    assert process.returncode == 0
    assert looks > 1
    with Run.open(path) as reader:
        assert reader.fingerprint() == json.loads(out.splitlines()[1])["fingerprint"]
        assert len(reader.units("sample")) == 60


def test_a_reader_cannot_write(tmp_path: Path):
    with Run.create_or_resume(tmp_path, recipe_toml="", manifest={}) as run:
        run.unit("a", compute=lambda _: {"x": 1})
    with Run.open(tmp_path) as reader:
        assert reader.read_only
        assert reader.unit("a", compute=lambda _: {}) == {"x": 1}
        with pytest.raises(RunError, match=r"compute unit b/1.*reading only"):
            reader.unit("b", 1, compute=lambda _: {})
        with pytest.raises(RunError, match="reading only"):
            reader.metric(loss=1.0)
