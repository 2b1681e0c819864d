"""The study of chains of thought against flowcharts, on a leaf whose nature is known."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from menon.core.errors import ConfigError
from menon.core.progress import Progress
from menon.core.seeds import rng_for
from menon.core.values import Completion, Request
from menon.sampling.protocol import SILENT
from menon.solving.oracle import read_step
from menon.studies.flowcharts import problems_of, run_flowcharts
from menon.studies.flowcharts_recipe import FlowchartsRecipe

FAR = 100_000


class Leaf:
    """Knows single steps (at temperature 0 all, else four in five) and answers everything else wrongly."""

    immediate = True
    name = "leaf"
    calls = 0

    def sample(self, requests: Iterable[Request], *, progress: Progress = SILENT) -> Iterator[Completion]:
        for request in requests:
            self.calls += 1
            assert isinstance(request.prompt, str)
            step = read_step(request.prompt.removesuffix("="))
            wrong = request.temperature > 0 and rng_for("leaf", request.seed).random() < 0.2
            answer = str(sum(step) + FAR * wrong) if step else "-1"
            for sample in range(request.n):
                text = f"1+1=2;#{answer}"
                yield Completion(
                    key=request.key, sample=sample, text=text, model=self.name, prompt_tokens=10, completion_tokens=6
                )

    def score(self, prompt: str, continuation: str) -> list[float]:
        raise NotImplementedError


RECIPE = FlowchartsRecipe(difficulties=(2, 5), per_difficulty=20, graphs=10, temperatures=(1.5,))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("flowcharts") / "run"
    return run_flowcharts(RECIPE, out=folder, sampler=Leaf()), folder


def shares(report: dict[str, Any], arm: str, family: str = "chain") -> list[float]:
    return [cell["value"] for cell in report["families"][family][arm]["cells"]]


@pytest.mark.parametrize("family", ["chain", "counter-programs"])
def test_the_arms_are_as_right_as_their_nature_says(done: tuple[dict[str, Any], Path], family: str):
    report, _ = done
    arms = report["families"][family]
    assert shares(report, "oracle flowchart", family) == [1.0, 1.0]
    for arm in (
        "chain of thought",
        "self-consistency, equal calls",
        "self-consistency, equal tokens",
        "chain as a graph",
    ):
        assert shares(report, arm, family) == [0.0, 0.0]
    noisy = arms["oracle flowchart, T = 1.5"]
    assert 0.7 < noisy["step"]["p"] < 0.9
    for cell in noisy["cells"]:
        assert cell["predicted"] == pytest.approx(noisy["step"]["p"] ** cell["difficulty"])
        assert cell["low"] <= cell["predicted"] <= cell["high"]


def test_budgets_are_equal(done: tuple[dict[str, Any], Path]):
    arms = done[0]["families"]["chain"]
    calls = [cell["calls"] for cell in arms["oracle flowchart"]["cells"]]
    assert calls == [2, 5]
    assert [cell["calls"] for cell in arms["self-consistency, equal calls"]["cells"]] == calls
    # Every call costs 10 + 6 tokens here: n steps pay for one prompt and (16 n - 10) / 6 samples, at most n.
    assert [cell["calls"] for cell in arms["self-consistency, equal tokens"]["cells"]] == [2, 5]


def test_fallbacks_are_counted(done: tuple[dict[str, Any], Path]):
    assert done[0]["families"]["chain"]["written flowchart"]["fallbacks"] == 40
    assert any("written flowchart" in line and "fell back 40 times" in line for line in done[0]["lines"])


def test_graphs_are_made_of_the_first_problems_of_each_difficulty(done: tuple[dict[str, Any], Path]):
    cells = done[0]["families"]["chain"]["chain as a graph"]["cells"]
    assert [(cell["difficulty"], cell["asked"]) for cell in cells] == [(2, 10), (5, 10)]


def test_page_and_pictures_are_written(done: tuple[dict[str, Any], Path]):
    report, folder = done
    page = (folder / "flowcharts.md").read_text(encoding="utf-8")
    assert "| 5 | 0 [0, 16] | 0 [0, 16] | 0 [0, 16] | 100 [84, 100] |" in page
    assert "fell back 40 of 40" in page
    for family in RECIPE.families:
        drawn = (folder / f"flowcharts-{family}.svg").read_text(encoding="utf-8")
        assert drawn.startswith("<svg")
        assert "oracle flowchart" in drawn
    stored = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert stored["families"] == report["families"]


def test_a_finished_study_asks_nothing_again(done: tuple[dict[str, Any], Path]):
    report, folder = done
    leaf = Leaf()
    again = run_flowcharts(RECIPE, out=folder, sampler=leaf)
    assert (again["families"], leaf.calls) == (report["families"], 0)


@pytest.mark.parametrize("family", ["chain", "counter-programs"])
def test_numbers_of_the_problems_stay_within_bounds(family: str):
    recipe = FlowchartsRecipe(difficulties=(1, 9, 16), per_difficulty=12)
    problems = problems_of(recipe, family)
    assert [problem.difficulty for problem in problems] == [1] * 12 + [9] * 12 + [16] * 12
    for problem in problems:
        for equation in (problem.rationale or "").strip(";").split(";"):
            assert 10 <= int(equation.rpartition("=")[2]) <= 99, problem.rationale
    assert len({problem.id for problem in problems}) == 36


@pytest.mark.parametrize(
    "changes",
    [
        {"families": ("addition",)},
        {"difficulties": (17,)},
        {"difficulties": ()},
        {"temperatures": (0.0,)},
        {"lowest": 90},
    ],
)
def test_recipes_that_cannot_be_run_are_refused(changes: dict[str, Any]):
    with pytest.raises((ConfigError, ValidationError), match="allowed|40 apart"):
        FlowchartsRecipe(**changes)
