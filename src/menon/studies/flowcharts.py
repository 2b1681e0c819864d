"""Chain of thought against a flowchart of the same problem: accuracy for each number of steps.

The oracle flowchart is given, so the study separates carrying a program out from finding it; the arm `written` has to
find it too. Every arm asks the same problems, whose numbers stay where the embedded model knows single steps. Chains
of thought vote at the flowchart's budget: as many samples as it makes calls, and as many as its tokens pay for.
Left out: problems for which no program is known.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from menon.core.progress import Progress, Silent
from menon.core.recipe import dump_toml
from menon.core.seeds import content_id
from menon.core.values import Problem, Verdict
from menon.flowcharts.calling import Models
from menon.flowcharts.chart import Chart
from menon.flowcharts.document import read_chart
from menon.flowcharts.executor import Executor
from menon.flowcharts.journal import Memory
from menon.flowcharts.outcome import Outcome
from menon.flowcharts.surroundings import Surroundings
from menon.models.machine import manifest
from menon.problems import FAMILIES
from menon.reports.flowcharts_page import lines_of, write_flowcharts
from menon.sampling import open_sampler
from menon.sampling.protocol import Sampler, bind_problems
from menon.solving.functions import VOTES
from menon.solving.library import library, load_strategy
from menon.solving.oracle import oracle_chart, read_step
from menon.stats import wilson
from menon.store import Run, UnitWriter, atomic_write
from menon.studies.audit.models import REMOTE, SCRIPTED
from menon.studies.flowcharts_recipe import FlowchartsRecipe
from menon.studies.solve.assemble import verdict_of
from menon.studies.solve.recipe import SolveRecipe
from menon.studies.solve.run import style_of

GIVEN = """\
# A flowchart that is given

- takes: question (text), program (text)

```mermaid
flowchart LR
    start([program]) --> run[[run it]] --> done([answer])
```

## run

- text: program
"""
CHAIN, VOTING, CHART = "chain of thought", "self-consistency", "oracle flowchart"
GRAPH, WRITTEN = "chain as a graph", "written flowchart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way of solving: a chart, its inputs for a problem, and the temperature where the chart sets none.

    `most` bounds the problems of each difficulty that it is asked; 0 asks all.
    """

    name: str
    chart: Chart
    inputs: Callable[[Problem], Mapping[str, Any]]
    temperature: float = 0.0
    most: int = 0

    def of(self, problems: Sequence[Problem]) -> list[Problem]:
        """Return the problems that the arm is asked: the first of each difficulty."""
        if not self.most:
            return list(problems)
        kept: dict[int, list[Problem]] = defaultdict(list)
        for problem in problems:
            if len(kept[problem.difficulty]) < self.most:
                kept[problem.difficulty].append(problem)
        return [problem for group in kept.values() for problem in group]


def run_flowcharts(
    recipe: FlowchartsRecipe,
    *,
    out: Path,
    fresh: bool = False,
    progress: Progress | None = None,
    sampler: Sampler | None = None,
) -> dict[str, Any]:
    """Run or resume the study, write report.json, flowcharts.md and the pictures, and return the report.

    Raises:
        ConfigError: the model cannot be used. RunError: the folder cannot.
    """
    progress = progress or Silent()
    text = dump_toml(recipe)
    described = {**manifest(recipe=content_id("recipe", text)), "study": recipe.study, "model": recipe.model}
    with Run.create_or_resume(out, recipe_toml=text, manifest=described, fresh=fresh) as run:
        asked = _Asked(recipe, sampler, progress)
        families = {family: _family(run, recipe, family, asked) for family in recipe.families}
        report = {
            "schema": 1,
            "study": recipe.study,
            "model": recipe.model,
            "per_difficulty": recipe.per_difficulty,
            "families": families,
            "seconds": run.seconds(),
            "manifest": run.manifest,
        }
        atomic_write(out / "report.json", json.dumps(report, indent=1))
        page = write_flowcharts(out, report)
    return {**report, "run": str(out), "page": str(page), "lines": [*lines_of(report), f"page: {page}"]}


def problems_of(recipe: FlowchartsRecipe, family: str) -> list[Problem]:
    """Return the test problems: the first of each difficulty whose numbers stay within the recipe's bounds."""
    found: list[Problem] = []
    for steps in recipe.difficulties:
        index, kept = 0, dict[str, Problem]()
        while len(kept) < recipe.per_difficulty:
            problem = FAMILIES.get(family).problem("test", index, difficulty=steps)
            index += 1
            if all(recipe.lowest <= value <= recipe.highest for value in _values(problem)):
                kept[problem.id] = problem
        found += kept.values()
    return found


def _values(problem: Problem) -> Iterable[int]:
    """Yield every number that the problem's own solution comes by."""
    for equation in (problem.rationale or "").strip(";").split(";"):
        left, _, right = equation.partition("=")
        yield int(left.lstrip("-").replace("-", "+").partition("+")[0])
        yield int(right)


def arms_of(recipe: FlowchartsRecipe) -> list[Arm]:
    """Return the arms in the order in which they are reported; voting comes before what is derived from it."""
    known = library()

    def question(problem: Problem) -> Mapping[str, Any]:
        return {"question": problem.question}

    def voting(problem: Problem) -> Mapping[str, Any]:
        n = problem.difficulty
        return {"question": problem.question, "samples": n, "wave": n, "temperature": recipe.vote_temperature}

    def oracle(problem: Problem) -> Mapping[str, Any]:
        return {"question": problem.question, "program": oracle_chart(problem)}

    given = read_chart(GIVEN, name="given", library=known)
    charts = [Arm(name=CHART, chart=given, inputs=oracle)]
    charts += [Arm(name=f"{CHART}, T = {t:g}", chart=given, inputs=oracle, temperature=t) for t in recipe.temperatures]
    arms = [
        Arm(name=CHAIN, chart=load_strategy("cot"), inputs=question),
        Arm(name=VOTING, chart=load_strategy("self_consistency"), inputs=voting),
        *charts,
        Arm(name=WRITTEN, chart=load_strategy("written"), inputs=question),
    ]
    if recipe.graphs:
        arms.append(Arm(name=GRAPH, chart=load_strategy("from_chain"), inputs=question, most=recipe.graphs))
    return arms


@dataclass(slots=True)
class _Asked:
    """The model, opened when the first arm that is not yet done needs it."""

    recipe: FlowchartsRecipe
    sampler: Sampler | None
    progress: Progress

    def arm(self, arm: Arm, problems: Sequence[Problem]) -> tuple[list[Outcome], Memory]:
        """Execute an arm for all problems at once; return the outcomes and what was remembered."""
        return asyncio.run(self._executed(arm, problems))

    async def _executed(self, arm: Arm, problems: Sequence[Problem]) -> tuple[list[Outcome], Memory]:
        sampler, journal = self._opened(problems), Memory()
        models = Models(sampler, journal=journal)
        surroundings = Surroundings(
            models=models,
            style=style_of(SolveRecipe(model=self.recipe.model)),
            temperature=arm.temperature,
            max_tokens=self.recipe.max_tokens,
            seed=self.recipe.seed,
        )
        jobs = [(problem.id, arm.inputs(problem), problem) for problem in problems]
        try:
            outcomes = await Executor(arm.chart, surroundings).run_many(jobs, at_once=self.recipe.at_once)
        finally:
            await models.close()
        by_key = {outcome.key: outcome for outcome in outcomes}
        return [by_key[problem.id] for problem in problems], journal

    def _opened(self, problems: Sequence[Problem]) -> Sampler:
        if self.sampler is None:
            recipe = self.recipe
            local = not recipe.model.startswith((*REMOTE, SCRIPTED, "recorded:"))
            options = {name: getattr(recipe, name) for name in ("device", "dtype", "slots")} if local else {}
            self.sampler = open_sampler(recipe.model, **options)
        bind_problems(self.sampler, problems)
        return self.sampler


def _family(run: Run, recipe: FlowchartsRecipe, family: str, asked: _Asked) -> dict[str, Any]:
    """Run the arms of one family and return their cells."""
    problems = problems_of(recipe, family)
    done: dict[str, dict[str, Any]] = {}
    for arm in arms_of(recipe):

        def compute(writer: UnitWriter, arm: Arm = arm) -> dict[str, Any]:
            chosen = arm.of(problems)
            outcomes, journal = asked.arm(arm, chosen)
            return {"rows": [_row(recipe, p, o, journal) for p, o in zip(chosen, outcomes, strict=True)]}

        asked.progress.say(f"{family}: {arm.name}")
        done[arm.name] = run.unit("arm", family, arm.name, compute=compute)
    arms: dict[str, Any] = {}
    for name, unit in done.items():
        if name == VOTING:
            arms[f"{VOTING}, equal calls"] = _cells(_voted(unit["rows"], problems, None))
            paid = _paid_samples(done[CHAIN]["rows"], unit["rows"], done[CHART]["rows"])
            arms[f"{VOTING}, equal tokens"] = _cells(_voted(unit["rows"], problems, paid))
        else:
            arms[name] = _cells(unit["rows"])
    return arms


def _row(recipe: FlowchartsRecipe, problem: Problem, outcome: Outcome, journal: Memory) -> dict[str, Any]:
    """Return what is kept of one execution, with how many single steps it asked for and got right.

    Steps from numbers outside the recipe's bounds do not count: only an error leads there.
    """
    verdict = verdict_of(problem, outcome)
    events = journal.events.get(problem.id, {}).values()
    steps = [right for value, right in filter(None, map(_step, events)) if recipe.lowest <= value <= recipe.highest]
    usage = outcome.usage
    return {
        "difficulty": problem.difficulty,
        "verdict": (verdict or Verdict.ERROR).value,
        "calls": usage.calls,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "answers": outcome.values.get("answers"),
        "steps": len(steps),
        "steps_right": sum(steps),
        "fallback": outcome.values.get("fallback"),
        "reworked": outcome.values.get("reworked"),
        "note": outcome.error[:200],
    }


def _step(event: Mapping[str, Any]) -> tuple[int, bool] | None:
    """Return the number that a visit's single step began with, and whether it was worked out; None for other visits."""
    if event["kind"] != "ask" or "value" not in event["writes"]:
        return None
    asked = read_step((event.get("prompt") or "").partition("\n")[0].rstrip("="))
    return None if asked is None else (asked[0], str(event["writes"]["value"]) == str(sum(asked)))


def _voted(
    rows: Sequence[Mapping[str, Any]], problems: Sequence[Problem], samples: Mapping[int, int] | None
) -> list[dict[str, Any]]:
    """Return the rows of a vote among the first samples of each problem, as many as `samples` says, or all."""
    majority, voted = VOTES["majority"].call, []
    for row, problem in zip(rows, problems, strict=True):
        answers = row["answers"] or []
        kept = answers if samples is None else answers[: samples[problem.difficulty]]
        answer = majority(kept)
        found = verdict_of(problem, Outcome(key=problem.id, status="answered", answer=answer))
        share = len(kept) / max(1, len(answers))
        voted.append(
            {
                **row,
                "verdict": (found or Verdict.ERROR).value,
                "calls": len(kept),
                "completion_tokens": row["completion_tokens"] * share,
            }
        )
    return voted


def _paid_samples(
    chain: Sequence[Mapping[str, Any]], voting: Sequence[Mapping[str, Any]], chart: Sequence[Mapping[str, Any]]
) -> dict[int, int]:
    """Return for each difficulty how many samples the flowchart's tokens pay for; the prompt is paid once."""
    found = {}
    for steps in {row["difficulty"] for row in chart}:
        prompt, budget, sample = (
            fmean(float(value) for value in values)
            for values in (
                [row["prompt_tokens"] for row in voting if row["difficulty"] == steps],
                [row["prompt_tokens"] + row["completion_tokens"] for row in chart if row["difficulty"] == steps],
                [row["completion_tokens"] / steps for row in voting if row["difficulty"] == steps],
            )
        )
        found[steps] = min(steps, max(1, round((budget - prompt) / max(sample, 1.0))))
    return found


def _cells(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the accuracy per difficulty with what it cost, and the single-step accuracy p with p to the n beside."""
    groups: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["difficulty"]].append(row)
    steps, right = sum(row["steps"] for row in rows), sum(row["steps_right"] for row in rows)
    p = wilson(right, steps) if steps else None
    cells = []
    for difficulty in sorted(groups):
        group = groups[difficulty]
        share = wilson(sum(row["verdict"] == Verdict.RIGHT for row in group), len(group))
        cells.append(
            {
                "difficulty": difficulty,
                "asked": len(group),
                **{name: getattr(share, name) for name in ("value", "low", "high")},
                "predicted": None if p is None else p.value**difficulty,
                "calls": fmean(row["calls"] for row in group),
                "tokens": fmean(row["prompt_tokens"] + row["completion_tokens"] for row in group),
                "right_with_a_wrong_step": sum(
                    row["verdict"] == Verdict.RIGHT and row["steps_right"] < row["steps"] for row in group
                ),
            }
        )
    return {
        "cells": cells,
        "step": None if p is None else {"right": right, "asked": steps, "p": p.value, "low": p.low, "high": p.high},
        "fallbacks": _count(rows, "fallback", True),
        "kept_chain": _count(rows, "reworked", False),
        "verdicts": {verdict.value: sum(row["verdict"] == verdict for row in rows) for verdict in Verdict},
    }


def _count(rows: Sequence[Mapping[str, Any]], name: str, value: bool) -> int | None:
    """Count the rows with a value; None where no row of the arm has the variable."""
    known = [row[name] for row in rows if row[name] is not None]
    return sum(one is value for one in known) if known else None
