"""A hanging, dying or complaining worker never blocks and never answers for the next question."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from menon.grading.killable import Worker
from menon.grading.protocol import CheckFailed, CheckTimeout

SCRIPT = """
import json, os, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    question = json.loads(line)
    if question["do"] == "hang":
        time.sleep(600)
    if question["do"] == "die":
        os._exit(3)
    print(json.dumps({"error": "no"} if question["do"] == "fail" else {"echo": question["do"]}), flush=True)
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    (tmp_path / "stub_worker.py").write_text(SCRIPT, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = Worker("stub_worker")
    yield worker
    worker.close()


def test_hang_is_killed_and_the_next_question_answered(worker: Worker):
    assert worker.ask({"do": "a"}, timeout_s=30) == {"echo": "a"}
    start = time.monotonic()
    with pytest.raises(CheckTimeout, match=r"0\.2 s"):
        worker.ask({"do": "hang"}, timeout_s=0.2)
    assert time.monotonic() - start < 10
    assert worker.ask({"do": "b"}, timeout_s=30) == {"echo": "b"}


def test_death_and_complaint_are_failures(worker: Worker):
    with pytest.raises(CheckFailed, match="died"):
        worker.ask({"do": "die"}, timeout_s=30)
    with pytest.raises(CheckFailed, match="no"):
        worker.ask({"do": "fail"}, timeout_s=30)
    assert worker.ask({"do": "c"}, timeout_s=30) == {"echo": "c"}


def test_threads_take_turns(worker: Worker):
    answers: dict[int, dict[str, object]] = {}

    def ask(number: int) -> None:
        answers[number] = worker.ask({"do": str(number)}, timeout_s=30)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: {"echo": str(number)} for number in range(8)}


def test_missing_module_is_a_failure():
    worker = Worker("menon.grading.no_such_worker")
    with pytest.raises(CheckFailed, match="no_such_worker"):
        worker.ask({}, timeout_s=30)
    worker.close()
