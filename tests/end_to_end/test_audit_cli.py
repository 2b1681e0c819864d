"""`menon audit` as a user runs it: verdicts on stand-ins, a budget, responses on file, resume, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from menon.core.seeds import rng_for
from menon.store import without_measured

Command = Callable[..., subprocess.CompletedProcess[str]]


def audit(command: Command, *args: str | Path, code: int = 0, **environment: str) -> dict[str, Any]:
    done = command("audit", *args, "--json", **environment)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("scripted:oracle?p=0.95", "reasons"),
        ("scripted:reciter", "recites"),
        ("scripted:mixture?share=0.45&p=0.95", "mixed"),
        ("scripted:guesser", "cannot do the task"),
    ],
)
def test_stand_ins_get_the_verdict_they_deserve(menon_command: Command, tmp_path: Path, model: str, label: str):
    found = audit(menon_command, model, "--probes", "none", "--out", tmp_path / "run")
    assert found["verdict"]["label"] == label
    assert found["verdict"]["basis"] == "recitation share"
    assert {answer["ok"] for answer in found["known_answers"]} == {True}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "Originals and their re-instantiations" in page


def test_adaptive_design_asks_less_and_says_the_same(menon_command: Command, tmp_path: Path):
    asked, labels = {}, set()
    for adaptive in ("true", "false"):
        found = audit(
            menon_command, "scripted:reciter", "--probes", "none", "--out", tmp_path / adaptive,
            "--set", f"instrument.adaptive={adaptive}",
        )  # fmt: skip
        asked[adaptive] = found["cost"]["questions"]
        labels.add(found["verdict"]["label"])
        assert all(looks[-1]["stop"] for looks in found["instrument"]["looks"].values())
    assert asked["true"] < asked["false"] / 2
    assert labels == {"recites"}


def test_a_wanted_width_is_worked_for(menon_command: Command, tmp_path: Path):
    shares = []
    for name, settings in (("verdict", ()), ("width", ("--set", "instrument.width=0.3"))):
        found = audit(menon_command, "scripted:oracle?p=0.95", "--probes", "none", "--out", tmp_path / name, *settings)
        shares.append(found["instrument"]["recitation_share"]["chain"])
    stopped, narrow = (share["high"] - share["low"] for share in shares)
    assert narrow <= 0.3 < stopped


def test_budget_is_kept_and_told(menon_command: Command, tmp_path: Path):
    found = audit(
        menon_command,
        "scripted:oracle?p=0.95",
        "--probes",
        "none",
        "--budget-questions",
        "40",
        "--out",
        tmp_path / "run",
    )
    assert found["cost"]["questions"] <= 40
    assert found["verdict"]["label"] == "cannot tell yet"
    assert any("budget" in note for note in found["notes"])


def test_two_models_are_paired_by_item(menon_command: Command, tmp_path: Path):
    found = audit(
        menon_command, "scripted:oracle?p=0.95", "--against", "scripted:oracle?p=0.5", "--probes", "none",
        "--out", tmp_path / "run",
    )  # fmt: skip
    rows = found["tuning"]["rows"]
    assert {row["condition"] for row in rows} == {"original", "fresh"}
    assert all(row["difference"] < 0 and row["distinguishable"] for row in rows)
    assert "lower by" in found["tuning"]["sentence"]


def recorded(path: Path, *, control: float = 1.0, altered: float = 0.2, more: str = "") -> Path:
    """Write responses of one model to additions in two worlds, as published recordings look."""
    lines = []
    for world, share in (("base10", 0.98), ("base9", altered)):
        for i in range(200):
            rng = rng_for("recorded", world, i)
            first, second = rng.randint(100, 400), rng.randint(100, 400)
            gold = str(first + second)
            said = gold if i < 200 * share else str(first + second + 1)
            lines.append(
                {
                    "task": "arithmetic-3digit", "world": world, "is_default": world == "base10", "model": "test-model",
                    "cot": True, "id": f"{world}/{i}", "item": f"{first}+{second}",
                    "prompt": f"{world}: {first}+{second}?",
                    "response": f"Adding up, \\boxed{{{said}}}.", "gold": gold,
                }
            )  # fmt: skip
        for i in range(40):
            said = str(i + 1) if i < 40 * control else "0"
            lines.append(
                {
                    "task": "arithmetic-ccc", "world": world, "is_default": world == "base10", "model": "test-model",
                    "cot": False, "id": f"ccc/{world}/{i}", "item": str(i), "prompt": f"{world}: next after {i}?",
                    "response": said, "gold": str(i + 1),
                }
            )  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + more, encoding="utf-8")
    return path


def test_recorded_responses_become_cells_comparisons_and_a_verdict(menon_command: Command, tmp_path: Path):
    file = recorded(tmp_path / "responses.jsonl")
    found = audit(menon_command, f"recorded:{file}", "--out", tmp_path / "run")
    cells = {(c["task"], c["world"]): c for c in found["cells"]}
    assert cells["arithmetic-3digit", "base10"]["accuracy"] == pytest.approx(0.98)
    assert cells["arithmetic-3digit", "base9"]["accuracy"] == pytest.approx(0.2)
    assert cells["arithmetic-ccc", "base9"]["control"]
    assert {"task", "world", "model", "cot", "n", "accuracy", "low", "high", "unparsed", "truncated"} <= set(
        cells["arithmetic-3digit", "base9"]
    )
    (comparison,) = found["comparisons"]
    assert comparison["loss"] == pytest.approx(0.78)
    assert comparison["control_accuracy"] == 1.0
    assert found["verdict"]["label"] == "recites"


def test_a_world_that_was_not_understood_is_not_reciting(menon_command: Command, tmp_path: Path):
    file = recorded(tmp_path / "responses.jsonl", control=0.3)
    found = audit(menon_command, f"recorded:{file}", "--out", tmp_path / "run")
    assert found["verdict"]["label"] == "cannot tell yet"
    assert "did not understand" in found["comparisons"][0]["reason"]


def test_bad_rows_are_listed_and_skipped(menon_command: Command, tmp_path: Path):
    file = recorded(tmp_path / "responses.jsonl", more='not json\n{"task": "arithmetic-3digit", "world": "base9"}\n')
    found = audit(menon_command, f"recorded:{file}", "--out", tmp_path / "run")
    assert found["input"]["skipped_count"] == 2
    assert all("responses.jsonl:48" in line for line in found["input"]["skipped"])
    assert found["verdict"]["label"] == "recites"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["menon:base", "--probes", "wordls"], 2, "no probe 'wordls'"),
        (["menon:base", "--budget-money", "3"], 2, "needs prices"),
        (["recorded:nothing-here.jsonl"], 2, "nothing-here.jsonl"),
        (["menon:base", "other"], 2, "--against other"),
        (["--calibrate", "menon:base"], 2, "leave 'menon:base' out"),
        (["scripted:orcale"], 2, "orcale"),
        (["menon:base", "--templates", "no-such-file.jsonl"], 2, "no-such-file.jsonl"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(
    menon_command: Command, tmp_path: Path, arguments: list[str], code: int, said: str
):
    done = menon_command("audit", *arguments, "--out", tmp_path / "run")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "run" / "report.json").exists()


SMALL = [
    "--set",
    "block=12",
    "--set",
    "instrument.originals=20",
    "--set",
    "instrument.variants=1",
    "--probes",
    "horizon",
]


def test_a_killed_audit_goes_on_and_ends_the_same(tmp_path: Path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def command(name: str) -> list[str]:
        out = ["--out", "run", "--per-cell", "4", *SMALL]
        return [sys.executable, "-m", "menon.cli", "audit", "menon:base", *out]

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    records = tmp_path / "killed" / "run" / "records.sqlite"
    rng = rng_for("kills", os.getpid(), time.time_ns())
    for _ in range(3):
        process = subprocess.Popen(
            command("killed"),
            cwd=tmp_path / "killed",
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        limit = time.monotonic() + 60
        while not records.exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 4.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    for name in ("killed", "whole"):
        done = subprocess.run(
            command(name), cwd=tmp_path / name, env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
    reports = [
        without_measured(json.loads((tmp_path / name / "run" / "report.json").read_text(encoding="utf-8")))
        for name in ("whole", "killed")
    ]
    assert reports[0] == reports[1]
