"""A solving run as a whole: what its report says, how it goes on, and numbers that are known beforehand."""

import asyncio
import json
import math
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from menon.core.errors import ConfigError, DataError, RunError
from menon.core.values import Completion, Request
from menon.flowcharts.calling import Models
from menon.flowcharts.check import require
from menon.flowcharts.document import Library, read_chart
from menon.flowcharts.executor import Executor
from menon.flowcharts.journal import Change
from menon.flowcharts.surroundings import Surroundings
from menon.solving.library import library
from menon.studies.solve import resumed_plan, run_solve, solve_plan
from menon.studies.solve.run import Rerun

Z = 3.2905  # 99.9 % of a normal distribution lie within


class Coin:
    """A model whose every sample is right with probability `p`, by the request's seed and the sample's number."""

    immediate, name = True, "coin"

    def __init__(self, p: float, right: str = "1", wrong: str = "0"):
        self.p, self.right, self.wrong = p, right, wrong
        self.asked = 0

    def sample(self, requests: Any, *, progress: Any = None) -> Iterator[Completion]:
        for request in requests:
            self.asked += 1
            for sample in range(request.n):
                yield Completion(key=request.key, sample=sample, text=self.text(request, sample), completion_tokens=1)

    def text(self, request: Request, sample: int) -> str:
        good = Random(f"coin {request.seed} {sample}").random() < self.p
        return self.right if good else self.wrong

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


def outcomes(text: str, model: Any, count: int, inputs: dict[str, Any], known: Library | None = None) -> list[Any]:
    """Execute a chart `count` times; every execution has seeds of its own."""
    chart = require(read_chart(text, file="chart.md", library=known))

    async def work() -> list[Any]:
        executor = Executor(chart, Surroundings(models=Models(model), grader="number"), traced=False)
        return await executor.run_many([(f"k{i}", inputs, None) for i in range(count)])

    found = asyncio.run(work())
    assert all(outcome.status == "answered" for outcome in found)
    return [outcome.answer for outcome in found]


def agrees(right: int, count: int, p: float) -> None:
    """Check that a count is within the 99.9 % interval around what is expected."""
    half = Z * math.sqrt(p * (1 - p) / count) + 0.5 / count
    assert abs(right / count - p) <= half, f"{right} of {count} is not {p:.4f} ± {half:.4f}"


def chain(length: int) -> str:
    """Return a chart of `length` calls, each of which must be right for the next to go on from."""
    ids = [f"s{i}" for i in range(length)]
    diagram = "start([q]) --> " + " --> ".join(f"{one}[ask]" for one in ids) + " --> done([a])"
    sections = "".join(
        f"## {one}\n\n- writes: v{i + 1} (number)\n\n```text\nGo on from {{v{i}}}\n```\n\n" for i, one in enumerate(ids)
    )
    head = f"# Chain\n\n- takes: v0 (number)\n- returns: v{length}\n\n"
    return f"{head}```mermaid\nflowchart TD\n{diagram}\n```\n\n{sections}"


class Stepper(Coin):
    """Adds one to the number that it is to go on from, or, where it is wrong, loses the count for good."""

    def text(self, request: Request, sample: int) -> str:
        before = int(str(request.prompt).rpartition(" ")[2])
        return str(before + 1) if super().text(request, sample) == "1" else "-1000"


@pytest.mark.parametrize(("length", "p"), [(1, 0.7), (4, 0.9), (12, 0.96)])
def test_a_chain_of_calls_is_right_as_often_as_all_its_steps_are(length: int, p: float) -> None:
    count = 1000
    answers = outcomes(chain(length), Stepper(p), count, {"v0": 0})
    agrees(sum(answer == length for answer in answers), count, p**length)


def majority_of(n: int, p: float) -> float:
    """Return how often more than half of `n` samples are right."""
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n // 2 + 1, n + 1))


@pytest.mark.parametrize(("n", "p"), [(1, 0.6), (5, 0.6), (9, 0.45)])
def test_self_consistency_is_right_by_the_binomial_sum(n: int, p: float) -> None:
    """With two answers and an odd number of samples there are no ties, and stopping early changes no vote."""
    count = 1000
    known = library()
    text = known.load("self_consistency").text
    model = Coin(p, right="The answer is 1.", wrong="The answer is 2.")
    inputs = {"question": "q", "samples": n, "wave": 5, "temperature": 0.7}
    answers = outcomes(text, model, count, inputs, known)
    assert set(answers) <= {"1", "2"}
    agrees(sum(answer == "1" for answer in answers), count, majority_of(n, p))


BEST_OF_N = """# Best of n by a judge

- takes: samples (number)
- returns: best

```mermaid
flowchart TD
    start([q]) --> sample[sample] --> judge{{judge}} --> pick[/pick/] --> done([a])
```

## sample

- n: samples
- temperature: 1
- writes: drafts (text)

```text
Write a draft.
```

## judge

- over: drafts
- each: draft
- writes: score (number)

```text
Score {draft}
```

## pick

```python
best = drafts[argmax(score)]
```
"""


class Judged(Coin):
    """Drafts are right with probability p; the judge says 2 of a right one, of a wrong one 2 or 1."""

    fooled = 0.3

    def text(self, request: Request, sample: int) -> str:
        if str(request.prompt).startswith("Write"):
            return super().text(request, sample)
        fooled = Random(f"judge {request.seed}").random() < self.fooled
        return "2" if "1" in str(request.prompt) or fooled else "1"


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (4, 0.3), (8, 0.2)])
def test_best_of_n_is_right_by_its_formula(n: int, p: float) -> None:
    """The first of those that look best is taken: right when no wrong draft that fools the judge comes before it.

    A draft looks best when it is right (p) or fools the judge (f = 0.3 (1 - p)). If any does, the first of them is
    right with probability p / (p + f); if none does, all are wrong.
    """
    count, fools = 1000, Judged.fooled * (1 - p)
    expected = (1 - (1 - p - fools) ** n) * p / (p + fools)
    answers = outcomes(BEST_OF_N, Judged(p), count, {"samples": n})
    agrees(sum(answer == "1" for answer in answers), count, expected)


# The run


def solved(folder: Path, more: dict[str, Any] | None = None, **again: Any) -> dict[str, Any]:
    flags = {"problems": "chain", "limit": 12, "strategy": "direct", "model": "scripted:oracle?p=0.5", **(more or {})}
    return run_solve(solve_plan(flags=flags, out=folder), **again)


def test_a_run_leaves_a_report_that_says_what_was_done(tmp_path: Path) -> None:
    told = solved(tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "report.json").read_text())
    assert kept == {name: value for name, value in told.items() if name not in ("run", "page")}
    assert Path(told["page"]).is_file()
    assert told["totals"]["executions"] == told["totals"]["answered"] == 12
    right = sum(one["verdict"] == "right" for one in told["outcomes"])
    assert told["accuracy"]["right"] == right
    assert 0 < right < 12
    assert all((one["answer"] == one["gold"]) == (one["verdict"] == "right") for one in told["outcomes"])
    assert told["totals"]["calls"] == sum(node["calls"] for node in told["nodes"].values()) == 12
    assert told["totals"]["steps"] == sum(node["visits"] for node in told["nodes"].values())
    assert sum(told["edges"].values()) == told["totals"]["steps"] - 12


def test_the_same_run_again_changes_nothing(tmp_path: Path) -> None:
    first, again = solved(tmp_path / "run"), solved(tmp_path / "run")
    for report in (first, again):
        report["totals"].pop("seconds")
    assert [one["answer"] for one in first["outcomes"]] == [one["answer"] for one in again["outcomes"]]
    assert first["totals"] == again["totals"]
    assert first["accuracy"] == again["accuracy"]
    with pytest.raises(RunError, match="recipe"):
        solved(tmp_path / "run", {"limit": 3})
    assert solved(tmp_path / "run", {"limit": 3}, fresh=True)["totals"]["executions"] == 3


def test_a_run_is_resumed_by_its_folder(tmp_path: Path) -> None:
    solved(tmp_path / "run")
    plan = resumed_plan(tmp_path / "run")
    assert (plan.recipe.limit, plan.recipe.strategy) == (12, "direct")
    assert run_solve(plan, rerun=Rerun(replay=True))["totals"]["answered"] == 12
    with pytest.raises(RunError, match="is no run"):
        resumed_plan(tmp_path)


def test_a_fork_of_every_problem_and_of_one(tmp_path: Path) -> None:
    told = solved(tmp_path / "run")
    node = next(name.partition("/")[2] for name, row in told["nodes"].items() if row["calls"])
    change = Change(address=node, values={"answer": "forked"})
    plan = resumed_plan(tmp_path / "run")
    every = run_solve(plan, rerun=Rerun(change=change, replay=True))
    assert [one["answer"] for one in every["outcomes"]] == ["forked"] * 12
    assert every["totals"]["calls"] == 0
    key = told["outcomes"][4]["key"]
    one = run_solve(plan, rerun=Rerun(change=change, execution=key))
    assert [row["key"].partition("~")[0] for row in one["outcomes"]] == [key]
    with pytest.raises(ConfigError, match="no execution 'nobody'"):
        run_solve(plan, rerun=Rerun(change=change, execution="nobody"))
    with pytest.raises(ConfigError, match="no visit has the address 'nowhere'"):
        run_solve(plan, rerun=Rerun(change=Change(address="nowhere", values={"answer": 1})))


def test_a_full_disk_ends_the_run_with_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from menon.store import EventLog

    def full(self: EventLog, **rows: Any) -> None:
        raise RunError("the disk is full")

    monkeypatch.setattr(EventLog, "write", full)
    with pytest.raises(RunError, match="the disk is full"):
        solved(tmp_path / "run")
    monkeypatch.undo()
    assert solved(tmp_path / "run")["totals"]["answered"] == 12


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"strategy": "nonsense"}, "no chart named 'nonsense'"),
        ({"params": {"colour": "red"}}, "has no parameter 'colour'"),
        ({"problems": "nonsense"}, "nonsense"),
        ({"verifier": "nonsense"}, "nonsense"),
        ({"style": "nonsense"}, "nonsense"),
        ({"grader": "nonsense"}, "nonsense"),
        ({"model": "scripted:nonsense"}, "nonsense"),
        ({"documents": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
)
def test_a_slip_in_the_recipe_is_told_before_anything_is_asked(
    tmp_path: Path, flags: dict[str, Any], said: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        solved(tmp_path / "run", flags)


def test_a_chart_may_ask_a_second_model_that_knows_the_problems_too(tmp_path: Path) -> None:
    (tmp_path / "two.md").write_text(
        "# Two models\n\n```mermaid\nflowchart TD\n    start([q]) --> one[ask] --> two[ask] --> done([a])\n```\n\n"
        "## one\n\n- form: direct\n- writes: first (answer)\n\n```text\n{question}\n```\n\n"
        "## two\n\n- form: direct\n- model: judge\n\n```text\n{question}\n```\n"
    )
    flags = {
        "strategy": str(tmp_path / "two.md"),
        "models": {"judge": "scripted:oracle"},
        "model": "scripted:oracle?p=0",
    }
    told = solved(tmp_path / "run", flags)
    assert told["accuracy"]["right"] == 12
    assert run_solve(resumed_plan(tmp_path / "run"), rerun=Rerun(replay=True))["accuracy"]["right"] == 12
