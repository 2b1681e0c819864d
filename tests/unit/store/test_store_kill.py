"""Kill -9 at random and at chosen moments; the resumed run must equal the uninterrupted one."""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

WORKLOAD = Path(__file__).with_name("workload.py")
KILLS = 24


# Without a real disk under it, the thorough test takes seconds instead of a minute; a kill does not care.
MEMORY = Path("/dev/shm")


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start the workload and return once it has imported everything."""
    process = subprocess.Popen(
        [sys.executable, str(WORKLOAD), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> dict:
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return json.loads(out)


def test_a_run_killed_at_random_moments_ends_like_an_uninterrupted_one(tmp_path: Path):
    began = time.perf_counter()
    expected = finish(start(tmp_path / "whole"))
    duration = time.perf_counter() - began

    rng, kills, folder = random.Random(), 0, 0
    while kills < KILLS:
        folder += 1
        path = tmp_path / f"killed-{folder}"
        for _ in range(8):
            process = start(path)
            time.sleep(rng.uniform(0, duration / 6))
            process.kill()
            process.communicate()
            kills += process.returncode == -signal.SIGKILL
        assert finish(start(path)) == expected
        assert finish(start(path)) == expected


def test_a_kill_between_any_two_touches_of_the_disk_is_harmless(tmp_path: Path):
    expected = finish(start(tmp_path / "whole", 2))
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
        results = finish(start(folder, "--crash-everywhere", 7))
    assert sum(result.pop("killed") for result in results) >= 20
    for result in results:
        place = result.pop("place")
        assert result == expected, f"killed at place {place}"


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits of POSIX")
def test_a_file_size_limit_stops_the_run_with_a_message_and_the_run_goes_on_without_it(tmp_path: Path):
    expected = finish(start(tmp_path / "whole"))
    code = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000));"
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", code, str(WORKLOAD), str(tmp_path / "full")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert "RunError" in last
    assert "disk" in last
    assert "run the same command again" in last
    assert finish(start(tmp_path / "full")) == expected
