"""One solving run: open or resume its directory, execute the strategy for every problem, grade, report."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError
from menon.core.progress import Progress, Silent
from menon.core.recipe import dump_toml
from menon.core.seeds import content_id
from menon.core.values import Problem
from menon.flowcharts.calling import Models, Prices
from menon.flowcharts.chart import Chart
from menon.flowcharts.document import digest
from menon.flowcharts.executor import Executor, at_the_same_time
from menon.flowcharts.journal import Change, Done, Fork, Stored
from menon.flowcharts.outcome import Outcome
from menon.flowcharts.sandbox import Sandbox
from menon.flowcharts.surroundings import Surroundings
from menon.flowcharts.visiting import person_mark
from menon.models.machine import manifest
from menon.problems.prompts import STYLES, PromptStyle
from menon.reports.solve_page import render_solve
from menon.sampling import open_sampler
from menon.sampling.protocol import Sampler, bind_problems
from menon.solving.functions import Workbench
from menon.solving.library import load_strategy
from menon.solving.retrieval import Documents
from menon.solving.tools import Tools, places
from menon.solving.verifiers import VERIFIERS, Verifier
from menon.store import EventLog, Run, atomic_write
from menon.studies.audit.models import EMBEDDED, REMOTE, SCRIPTED, same_tokenizer
from menon.studies.solve.assemble import Session, assembled, origin, told_executions
from menon.studies.solve.plan import SolvePlan
from menon.studies.solve.questions import examples_of, inputs_of, problems_of
from menon.studies.solve.recipe import SolveRecipe
from menon.studies.solve.thoughts import ThoughtLog

PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "number": (int, float),
    "truth": (bool,),
    "list": (list,),
    "json": (dict,),
}


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """How a stored run is gone on with: answers of persons by address, a fork, or without a model."""

    replies: Mapping[str, str] = field(default_factory=dict)
    execution: str = ""
    change: Change | None = None
    replay: bool = False


def run_solve(
    plan: SolvePlan, *, fresh: bool = False, rerun: Rerun | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Run or resume, write the reports, and return report.json with the run's path.

    Raises:
        ConfigError: the strategy, the model or the problems cannot be used. RunError: the folder cannot be used.
    """
    progress, rerun, recipe = progress or Silent(), rerun or Rerun(), plan.recipe
    usual = recipe.grader or ("exact" if style_of(recipe).name == "menon" else "number")
    problems = problems_of(recipe, grader=usual)
    graders = {problem.grader for problem in problems}
    with _workshop(recipe, grader=graders.pop() if len(graders) == 1 else usual) as workbench:
        chart = load_strategy(recipe.strategy, workbench)
        _check_params(chart, recipe)
        text = dump_toml(recipe)
        described = manifest(recipe=content_id("recipe", text), chart=digest(chart))
        described |= {"command": plan.command, "study": "solve", "model": recipe.model}
        with (
            Run.create_or_resume(plan.folder, recipe_toml=text, manifest=described, fresh=fresh) as run,
            EventLog(plan.folder) as log,
        ):
            work = _Work(recipe, chart, workbench, problems, Stored(log), rerun, progress, plan.folder)
            began = time.monotonic()
            try:
                outcomes = asyncio.run(work.run())
            finally:
                work.journal.flush()
            seconds = time.monotonic() - began
            session = Session(
                recipe=recipe,
                chart=chart,
                problems=problems,
                outcomes=outcomes,
                log=log,
                prices=prices_of(recipe),
                verifier=workbench.verifier,
                written=work.written,
                seconds=seconds,
            )
            report = {**assembled(session), "command": plan.command, "manifest": run.manifest, "warnings": run.warnings}
            name = "fork" if rerun.change else "report"  # the report of the run itself stays beside its forks
            text = json.dumps(report, indent=1, ensure_ascii=True, allow_nan=False)
            atomic_write(plan.folder / f"{name}.json", text)
            page = plan.folder / f"{name}.html"
            atomic_write(page, render_solve(report, told_executions(problems, outcomes, log)))
    return {**report, "run": str(plan.folder), "page": str(page)}


@dataclass
class _Work:
    """The executions of one session of a run."""

    recipe: SolveRecipe
    chart: Chart
    workbench: Workbench
    problems: list[Problem]
    journal: Stored
    rerun: Rerun
    progress: Progress
    folder: Path
    written: tuple[Chart, ...] = ()

    async def run(self) -> dict[str, Outcome]:
        """Execute the strategy for every problem, or the fork alone; outcomes by key."""
        jobs = list(self._jobs())
        # A model is opened before the first execution, so that a slip in its name is told at once; a run that is done
        # already, and is only reported again, needs none.
        done = self.rerun.change is None and self.journal.answered(key for key, _, _ in jobs)
        models = self._models(None if self.rerun.replay else self._sampler if done else self._sampler())
        try:
            executor = Executor(self.chart, self.surroundings(models), budget=self.recipe.budget.bounds())
            self._reply()
            self.progress.start(f"solving with {self.chart.name}", len(jobs), "problems")
            outcomes = await self._executed(executor, jobs)
            self.written = executor.charts_written
            return outcomes
        finally:
            await models.close()

    def surroundings(self, models: Models) -> Surroundings:
        """Return what the executor has around it."""
        recipe, tools = self.recipe, self.workbench.tools
        return Surroundings(
            models=models,
            style=style_of(recipe),
            grader=self.workbench.grader,
            temperature=recipe.temperature,
            max_tokens=recipe.max_tokens or None,
            sandbox=tools.sandbox,
            places=places(tools),
            seed=recipe.seed,
            logprobs=recipe.logprobs,
        )

    def _models(self, sampler: Sampler | Callable[[], Sampler] | None) -> Models:
        return Models(
            sampler,
            name=self.recipe.model,
            opened=self._opened,
            journal=self.journal,
            prices=prices_of(self.recipe),
            replay=self.rerun.replay,
        )

    def _sampler(self) -> Sampler:
        recipe = self.recipe
        local = not recipe.model.startswith((*REMOTE, SCRIPTED, "recorded:"))
        options = {name: getattr(recipe, name) for name in ("device", "dtype", "slots")} if local else {}
        sampler: Any = open_sampler(recipe.model, think=recipe.think, **options)
        if hasattr(sampler, "keep"):
            sampler.keep = ThoughtLog(self.folder).keep
        bind_problems(sampler, self.problems)
        return sampler

    def _opened(self, name: str) -> Sampler:
        """Open a model that a chart names: one of `--with`, or a sampler by its own name."""
        if name not in self.recipe.models and not (":" in name or "/" in name or Path(name).is_dir()):
            raise ConfigError(f"the chart asks model {name!r}, which is not named; name it: --with {name}=MODEL")
        sampler = open_sampler(self.recipe.models.get(name, name))
        bind_problems(sampler, self.problems)
        return sampler

    def _jobs(self) -> Iterator[tuple[str, Mapping[str, Any], Problem]]:
        shared: dict[str, Any] = {
            "examples": examples_of(self.recipe),
            "questions": [problem.question for problem in self.problems],
            "tools": list(self.workbench.tools.names()),
            **self.recipe.params,
        }
        for key, problem in self._keys():
            yield key, inputs_of(self.chart, problem, shared), problem

    def _keys(self) -> Iterator[tuple[str, Problem]]:
        """Yield the executions: one per problem, or the forks of those that came to the changed visit."""
        change, by_id = self.rerun.change, {problem.id: problem for problem in self.problems}
        if change is None:
            yield from by_id.items()
            return
        parents = [self.rerun.execution] if self.rerun.execution else list(by_id)
        asked = self.rerun.execution
        if asked and (origin(asked) not in by_id or not self.journal.addresses(asked)):
            raise ConfigError(f"no execution {asked!r} in this run; there are {', '.join(list(by_id)[:10])}")
        visited = {parent: self.journal.addresses(parent) for parent in parents}
        if not any(change.address in addresses for addresses in visited.values()):
            known = ", ".join(list(dict.fromkeys(one for some in visited.values() for one in some))[:20]) or "none yet"
            raise ConfigError(f"no visit has the address {change.address!r}; the addresses are {known}")
        for parent, addresses in visited.items():
            if change.address in addresses:
                key = f"{parent}~{content_id('fork', change.address, change.prompt, dict(change.values or {}))[:6]}"
                self.journal.fork(key, Fork(parent=parent, change=change))
                yield key, by_id[origin(key)]

    async def _executed(
        self, executor: Executor, jobs: Sequence[tuple[str, Mapping[str, Any], Problem]]
    ) -> dict[str, Outcome]:
        waiting, outcomes = iter(jobs), dict[str, Outcome]()

        async def work() -> None:
            for key, inputs, problem in waiting:
                outcomes[key] = await executor.run(key, inputs, problem=problem)
                self.progress.advance(1)

        await at_the_same_time(work, min(self.recipe.at_once, len(jobs)))
        return {key: outcomes[key] for key, _, _ in jobs}

    def _reply(self) -> None:
        """Keep what persons said, for every execution that waits at the address."""
        if not self.rerun.replies:
            return
        answered = set()
        for execution, waiting in self.journal.waiting():
            for one in waiting:
                for name in (f"{execution}:{one['address']}", one["address"]):
                    if name in self.rerun.replies:
                        mark = person_mark(one["shown"], one["choices"])
                        reply = self.rerun.replies[name]
                        _check_reply(reply, one)
                        done = Done(execution=execution, address=one["address"], fingerprint=mark, result=reply)
                        self.journal.keep([done])
                        answered.add(name)
                        break
        if missing := sorted(set(self.rerun.replies) - answered):
            raise ConfigError(
                f"nobody waits at {missing[0]!r}; `menon solve --resume DIR` shows where a person is asked"
            )


def prices_of(recipe: SolveRecipe) -> Prices:
    """Return the prices per million tokens."""
    return Prices(prompt=recipe.budget.price_in, completion=recipe.budget.price_out)


def style_of(recipe: SolveRecipe) -> PromptStyle:
    """Return the question form: the recipe's, or what suits the model."""
    name = recipe.style
    if name == "auto":
        local = not recipe.model.startswith((*REMOTE, SCRIPTED, "recorded:"))
        own = recipe.model == EMBEDDED or recipe.model.startswith(SCRIPTED) or same_tokenizer(recipe.model, local)
        name = "menon" if own else "plain"
    return STYLES.get(name)


@contextmanager
def _workshop(recipe: SolveRecipe, *, grader: str) -> Iterator[Workbench]:
    """Make what charts work with: verifier, tools, sandbox."""
    sandbox = Sandbox(backend=recipe.sandbox)
    try:
        documents = Documents.from_folder(recipe.documents) if recipe.documents else None
        yield Workbench(
            verifier=_verifier(recipe.verifier),
            tools=Tools(documents=documents, sandbox=sandbox),
            grader=grader,
        )
    finally:
        sandbox.close()


def _check_params(chart: Chart, recipe: SolveRecipe) -> None:
    given = {"question", "choices", "examples", "questions", "tools", "problem"}
    allowed = [variable.name for variable in chart.takes if variable.name not in given]
    for name in recipe.params:
        if name not in allowed:
            choice = f"it takes {', '.join(allowed)}" if allowed else "it takes none"
            raise ConfigError(f"strategy {chart.name!r} has no parameter {name!r}; {choice}")
        kind = next(variable.type for variable in chart.takes if variable.name == name)
        if kind in PYTHON_TYPES and not _is(recipe.params[name], kind):
            raise ConfigError(f"parameter {name!r} of strategy {chart.name!r} is a {kind}; got {recipe.params[name]!r}")
    known = {*given, *recipe.params}
    for variable in chart.takes:
        if variable.required and variable.name not in known:
            raise ConfigError(
                f"strategy {chart.name!r} needs {variable.name!r}; give it: --param {variable.name}=VALUE"
            )


def _verifier(name: str) -> Verifier:
    if name == "known":
        raise ConfigError("verifier 'known' is a stand-in with gold answers, for tests; give it from Python")
    return VERIFIERS.get(name)()


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, PYTHON_TYPES[kind]) and not (kind == "number" and isinstance(value, bool))


def _check_reply(reply: str, waiting: Mapping[str, Any]) -> None:
    choices = waiting["choices"]
    if choices and reply.strip().lower() not in [choice.lower() for choice in choices]:
        raise ConfigError(f"{waiting['address']} may be answered with {', '.join(choices)}; got {reply!r}")
