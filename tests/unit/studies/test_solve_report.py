"""What a run adds to its executions: written charts in the report, decoders, no model where none is needed."""

import json
from pathlib import Path
from typing import Any

import pytest

from menon.studies.solve import resumed_plan, run_solve, solve_plan
from menon.studies.solve import run as module


def solved(out: Path, *overrides: str, **flags: Any) -> dict[str, Any]:
    flags = {"problems": "chain", "limit": 3, "model": "scripted:oracle", **flags}
    return run_solve(solve_plan(flags=flags, overrides=overrides, out=out))


def test_charts_written_on_the_way_are_drawn(tmp_path: Path):
    report = solved(tmp_path / "run", strategy="from_chain")
    assert report["written"] == len(report["charts"]) == 3
    assert all(chart["name"].startswith("written-") for chart in report["charts"])
    visited = {name.partition("/")[0] for name in report["nodes"]}
    assert {chart["name"] for chart in report["charts"]} <= visited
    page = Path(report["page"]).read_text(encoding="utf-8")
    assert all(chart["name"] in page for chart in report["charts"])


def test_a_finished_run_is_reported_again_without_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = solved(tmp_path / "run", strategy="cot")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was opened")

    monkeypatch.setattr(module, "open_sampler", refuse)
    again = run_solve(resumed_plan(tmp_path / "run"))
    assert [one["answer"] for one in again["outcomes"]] == [one["answer"] for one in first["outcomes"]]
    assert all(one["status"] == "answered" for one in again["outcomes"])


def test_an_unfinished_run_opens_its_model_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("opened")

    monkeypatch.setattr(module, "open_sampler", refuse)
    with pytest.raises(RuntimeError, match="opened"):
        solved(tmp_path / "run", strategy="cot")


@pytest.mark.parametrize("logprobs", [True, False])
def test_samples_weighted_by_their_probability_need_log_probabilities(tmp_path: Path, logprobs: bool):
    report = solved(
        tmp_path / "run",
        f"logprobs={str(logprobs).lower()}",
        strategy="best_of_n",
        params={"samples": 2},
        model="menon:base",
    )
    decoders = {row["decoder"] for row in report["curve"]}
    assert {"first", "majority", "best_of_n"} <= decoders
    assert ("weighted" in decoders) == logprobs
    assert json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["curve"] == report["curve"]
