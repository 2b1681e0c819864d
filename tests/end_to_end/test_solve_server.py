"""`menon solve` through a real OpenAI-compatible server: what the embedded model answers here, it answers there."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_real_server import MISSING, server  # noqa: F401  (a fixture)

from menon.cli.app import run_command
from menon.core.values import Request
from menon.models.embedded import folder
from menon.sampling import open_sampler
from menon.store import EventLog

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"`transformers serve` needs {', '.join(MISSING)}"),
    pytest.mark.skipif(not (folder() / "model.safetensors").is_file(), reason="the embedded model is not here"),
]
KEY = "sk-a-key-that-nobody-may-see-0123456789"
CHAIN = ("--problems", "chain", "--style", "menon")
Report = dict[str, Any]


@pytest.fixture
def solve(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `menon solve --model MODEL ...` and return its report and the folder of the run."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(model: str, name: str, *arguments: str) -> tuple[Report, Path]:
        capsys.readouterr()
        out = tmp_path / name
        code = run_command(["solve", "--model", model, *arguments, "--out", str(out)])
        told = capsys.readouterr()
        assert code == 0, told.err
        assert KEY not in told.out + told.err
        for path in out.rglob("*"):
            assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
        return json.loads((out / "report.json").read_text(encoding="utf-8")), out

    return run


def completions(out: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return every completion of a run, by execution and address."""
    found = {}
    with EventLog(out, read_only=True) as log:
        for key in log.executions("visit"):
            for data in log.visits(key).values():
                event = json.loads(data)
                if event.get("completions"):
                    found[key, event["address"]] = event["completions"]
    return found


def answers(report: Report) -> dict[str, tuple[Any, ...]]:
    return {one["key"]: (one["answer"], one["verdict"], one["status"]) for one in report["outcomes"]}


def test_chain_of_thought_answers_as_here_whole_and_streamed_and_many_at_once(server: str, solve: Any):  # noqa: F811
    few = (*CHAIN, "--difficulty", "1", "--difficulty", "3", "--limit", "8")
    here, folder_here = solve("menon:base", "here", *few)
    there, folder_there = solve(f"{server}?api=completions#{folder()}", "there", *few)
    streamed, folder_streamed = solve(f"{server}?api=completions&stream=true#{folder()}", "streamed", *few)
    assert len(answers(here)) >= 14
    assert here["accuracy"]["right"] > 4
    assert answers(here) == answers(there) == answers(streamed)
    texts = [
        {place: [row["text"] for row in rows] for place, rows in completions(out).items()}
        for out in (folder_here, folder_there, folder_streamed)
    ]
    assert texts[0] == texts[1] == texts[2]
    assert here["edges"] == there["edges"] == streamed["edges"]
    for other in (there, streamed):
        assert other["totals"]["steps"] == here["totals"]["steps"]
        assert other["totals"]["calls"] == here["totals"]["calls"]
        assert other["totals"]["completion_tokens"] > 0


def test_self_consistency_samples_differ_and_are_voted_on(server: str, solve: Any):  # noqa: F811
    arguments = (*CHAIN, "--difficulty", "1", "--limit", "5", "--strategy", "self_consistency")
    sampled = ("--param", "samples=4", "--param", "wave=4")
    hot = ("--param", "temperature=2.5")
    report, out = solve(f"{server}?api=completions#{folder()}", "there", *arguments, *sampled, *hot)
    rows = list(completions(out).values())
    assert {len(found) for found in rows} == {4}
    assert len({row["text"] for found in rows for row in found}) > len(rows)
    assert {row["finish"] for found in rows for row in found} <= {"stop", "length"}
    assert report["accuracy"]["graded"] == len(report["outcomes"]) == 5
    votes = {one["key"]: one["answer"] for one in report["outcomes"]}
    assert all(votes[key] in found for (key, _), found in written(out).items())
    greedy = (*sampled, "--param", "temperature=0")
    here, _ = solve("menon:base", "greedy-here", *arguments, *greedy)
    there, _ = solve(f"{server}?api=completions#{folder()}", "greedy-there", *arguments, *greedy)
    assert answers(here) == answers(there)


def test_what_was_asked_of_the_server_is_not_asked_again(server: str, solve: Any, capsys: Any):  # noqa: F811
    few = (*CHAIN, "--difficulty", "1", "--limit", "4")
    first, out = solve(f"{server}?api=completions#{folder()}", "run", *few)
    capsys.readouterr()
    assert run_command(["solve", "--resume", str(out), "--replay", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert answers(told) == answers(first)
    assert all(row["replayed"] for row in events(out) if row["kind"] == "ask")


def written(out: Path) -> dict[tuple[str, str], list[Any]]:
    """Return the answers that were sampled, by execution and address."""
    with EventLog(out, read_only=True) as log:
        rows = [(key, json.loads(data)) for key in log.executions("visit") for data in log.visits(key).values()]
    return {(key, row["address"]): row["writes"]["found"] for key, row in rows if row["node"] == "sample"}


def test_log_probabilities_are_the_models_own_where_the_server_has_them(server: str):  # noqa: F811
    request = Request(key="k", prompt="3+4=", seed=0, max_tokens=16, temperature=0.0, logprobs=True)
    (here,) = open_sampler("menon:base").sample([request])
    (there,) = open_sampler(f"{server}?api=completions#{folder()}").sample([request])
    assert there.error is None
    assert there.text == here.text
    assert here.logps
    if there.logps is not None:  # `transformers serve` has none; others do
        assert sum(there.logps) == pytest.approx(sum(here.logps), abs=0.05)


def events(out: Path) -> list[dict[str, Any]]:
    with EventLog(out, read_only=True) as log:
        return [json.loads(data) for key in log.executions("visit") for data in log.visits(key).values()]
