"""The executor: walks charts for any number of executions at once.

One execution is a coroutine that goes from node to node; only a node that reaches outside (a model, the sandbox, a
person) lets others run, and forks (`regions`) have several nodes of one execution under way.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from menon.core.errors import ConfigError, MenonError, RunError
from menon.core.values import Problem
from menon.flowcharts.chart import ERROR, Budget, Chart, ChartError, Finding, Node
from menon.flowcharts.check import require
from menon.flowcharts.document import read_chart
from menon.flowcharts.execution import Execution, Frame, Made, NodeFailed, Stop
from menon.flowcharts.expressions import EvaluationError
from menon.flowcharts.journal import Change, fingerprint
from menon.flowcharts.outcome import Outcome, Status
from menon.flowcharts.program import Arrow, Program, Step, prepare
from menon.flowcharts.regions import RegionRun
from menon.flowcharts.surroundings import Surroundings
from menon.flowcharts.visiting import changed, visit_outside

DEFAULT_BUDGET = Budget(steps=10_000)
EVENTS_AT_ONCE = 64


class Executor:
    """Runs one chart, for any number of keys, in one event loop."""

    def __init__(self, chart: Chart, surroundings: Surroundings, *, budget: Budget | None = None, traced: bool = True):
        """Make `chart` ready to run; it should have been checked.

        Args:
            budget: of each execution as a whole; bounds that it leaves open are the chart's, then 10,000 steps.
            traced: keep an event of every visit.
        """
        self.chart, self.surroundings, self.traced = chart, surroundings, traced
        self.journal = surroundings.models.journal
        self._programs: dict[int, Program] = {}
        self.program = self.prepared(chart)
        self.budget = _narrowed(budget or Budget(), _narrowed(chart.budget, DEFAULT_BUDGET))
        self._shared: dict[str, asyncio.Task[Outcome]] = {}
        self._awaited: dict[str, set[str]] = {}  # shared executions by those that asked for them
        self._written: dict[str, Chart] = {}

    def prepared(self, chart: Chart) -> Program:
        """Return the chart made ready to run; each is prepared once."""
        if id(chart) not in self._programs:
            self._programs[id(chart)] = prepare(chart, temperature=self.surroundings.temperature)
        return self._programs[id(chart)]

    async def run(self, key: str, inputs: Mapping[str, Any], *, problem: Problem | None = None) -> Outcome:
        """Execute the chart once; what the journal holds of `key` is not done again.

        Every end is an outcome: an answer, a partial result, a person to wait for, or a failure in words.

        Raises:
            ConfigError: an input is missing or unknown.
        """
        return await self._execute(self.program, key, bound_inputs(self.program, inputs), problem)

    def written(self, caller: Chart, text: Any) -> Chart:
        """Return the chart that a text holds, checked; equal texts are read once.

        Such a text may come from a model. It may call charts by name, and asks the execution's own model only: a model
        named in it could be a server that is sent the user's key.

        Raises:
            ChartError: it cannot be run, with every finding.
        """
        if not isinstance(text, str):
            raise NodeFailed(f"the chart to call is {text!r:.100}; it must be a text")
        if text not in self._written:
            name = f"written-{fingerprint('chart', text)[:6]}"
            library = caller.library.without_paths() if caller.library else None
            chart = require(read_chart(text, file=name, name=name, library=library))
            if found := [_other_model(chart, node) for node in chart.nodes.values() if node.ask and node.ask.model]:
                raise ChartError(*found)
            self._written[text] = chart
        return self._written[text]

    @property
    def charts_written(self) -> tuple[Chart, ...]:
        """The charts that were values and have been called, in the order of their first calls."""
        return tuple(self._written.values())

    async def shared(self, chart: Chart, inputs: Mapping[str, Any], *, caller: Frame) -> Outcome | None:
        """Execute `chart` once for equal inputs, as an execution of its own; whoever asks again gets the same.

        None where that execution waits for the caller's own.
        """
        key, by = f"shared-{fingerprint('shared', chart.text, inputs)}", caller.execution.key
        if self._waits_for(key, by):
            return None
        if key not in self._shared:
            work = self._execute(self.prepared(chart), key, dict(inputs), None, depth=caller.depth + 1)
            self._shared[key] = asyncio.get_running_loop().create_task(work)
        self._awaited.setdefault(by, set()).add(key)
        return await asyncio.shield(self._shared[key])

    def _waits_for(self, key: str, other: str) -> bool:
        waiting = [key]
        for one in waiting:
            if one == other:
                return True
            waiting += sorted(self._awaited.get(one, set()).difference(waiting))
        return False

    async def _execute(
        self, program: Program, key: str, values: dict[str, Any], problem: Problem | None, *, depth: int = 0
    ) -> Outcome:
        lineage, changes = self._lineage(key)
        execution = Execution(key, lineage=lineage, changes=changes, problem=problem, traced=self.traced)
        frame = Frame(execution, program, values, budget=self.budget)
        frame.depth = depth
        stop: Stop | None = None
        try:
            await self.walk(frame, program.start, None)
            answer = self.returned(frame)
        except Stop as caught:
            stop, answer = caught, self._last_answer(frame)
        outcome = self._outcome(execution, frame, answer, stop)
        self._flush(execution)
        self.journal.finished(key, _as_data(outcome))
        return outcome

    async def run_many(
        self, jobs: Iterable[tuple[str, Mapping[str, Any], Problem | None]], *, at_once: int = 10_000
    ) -> list[Outcome]:
        """Execute the chart for many (key, inputs, problem), at most `at_once` in flight; outcomes in their order."""
        todo = list(jobs)
        waiting = iter(todo)
        found: dict[str, Outcome] = {}
        order: list[str] = []

        async def work() -> None:
            for key, inputs, problem in waiting:
                order.append(key)
                found[key] = await self.run(key, inputs, problem=problem)

        await at_the_same_time(work, min(at_once, len(todo)))
        return [found[key] for key in order]

    async def walk(self, frame: Frame, step: Step | None, within: frozenset[str] | None) -> Sequence[Arrow]:
        """Go on from `step` until an end, or until the next node is not in `within`; return the arrows that leave."""
        while step is not None:
            try:
                arrow = await self.visit(frame, step)
                if arrow is None:
                    region = step.region
                    if region is None:
                        return ()
                    if within is not None and region.out.to.id not in within:
                        return step.plain  # what it forks to are parts of the region around it
                    await RegionRun(self, frame, region).run()
                    arrow = region.out
            except Stop as stop:
                arrow = self._left(frame, stop, within)
            if arrow.moves:
                arrow = self._cross(frame, arrow)
            step = arrow.to
            if within is not None and step.id not in within:
                return (arrow,)
        return ()

    async def visit(self, frame: Frame, step: Step) -> Arrow | None:
        """Visit one node; return the arrow taken, None at an end and at a fork."""
        execution = frame.execution
        number = frame.visits.get(step.id, 0) + 1
        if step.guarded and step.node.limit is not None and number > step.node.limit:
            return self._limited(frame, step, number)
        frame.visits[step.id] = number
        above: Frame | None = frame
        while above is not None:
            above.usage.steps += 1
            above = above.parent
        for account in frame.accounts:
            account.usage.steps += 1
        if frame.metered or frame.usage.steps > frame.most_steps:
            frame.check_budgets(step, number)
        if step.guarded:
            frame.enter_node(step)
        began = time.perf_counter()
        made: Made | None = None
        writes: dict[str, Any] | None = None
        try:
            if execution.changes:
                made = changed(execution, step, frame.address(step, number))
            if made is not None:
                writes, arrow = made.writes, step.arrow
                if step.branches:
                    arrow = self._branch(step, made.branch)
            elif step.compute is not None:
                writes, arrow = step.compute(frame.values), step.arrow
            elif step.test is not None:
                arrow = self._branch(step, step.test(frame.values))
            elif step.asks:
                made = await visit_outside(self, frame, step, number)
                writes, arrow = made.writes, step.arrow
                if step.branches:
                    arrow = self._branch(step, made.branch)
            else:
                arrow = step.arrow
        except RunError:  # the journal cannot keep what was done: no edge of a chart is for that
            raise
        except (NodeFailed, MenonError) as error:
            arrow = self._failed(frame, step, number, error, began)
            made = Made.of_failure(error)
            writes = {**{variable.name: None for variable in step.node.writes}, ERROR: str(error)}
        if step.guarded:
            frame.leave_node(step)
        if writes:
            frame.values.update(writes)
        if step.region is not None and arrow is step.arrow:
            arrow = None
        if execution.traced:
            self.note(frame, step, frame.address(step, number), began, writes, arrow, made)
        return arrow

    def note(
        self,
        frame: Frame,
        step: Step,
        address: str,
        began: float,
        writes: Mapping[str, Any] | None,
        arrow: Arrow | None,
        made: Made | None,
    ) -> None:
        """Keep the event of one visit."""
        execution = frame.execution
        event: dict[str, Any] = {
            "address": address,
            "position": execution.position,
            "chart": step.chart.name,
            "node": step.id,
            "kind": step.kind,
            "seconds": round(time.perf_counter() - began, 6),
            "writes": writes or {},
            "took": None if arrow is None else arrow.told,
        }
        if step.needs:
            event["needs"] = step.needs
        if arrow is None and step.region is not None and not address.endswith("]"):  # not an item of a map
            event["forks"] = [one.told for one in step.plain]
        if made is not None:
            event["prompt"], event["completions"] = made.prompt, made.completions
            event["replayed"] = made.replayed
            if made.error:
                event["error"] = made.error
        execution.position += 1
        execution.events.append(event)
        if len(execution.events) >= EVENTS_AT_ONCE:
            self._flush(execution)

    def returned(self, frame: Frame) -> Any:
        """Return the value of a chart that came to its end.

        Raises:
            Stop: the expression of `returns` failed.
        """
        try:
            return frame.program.chart.returns(frame.values)
        except EvaluationError as error:
            raise Stop(error=f"chart {frame.program.chart.name!r} returns nothing: {error}") from None

    def _lineage(self, key: str) -> tuple[list[str], dict[str, Change]]:
        """Return the execution and those it was forked from, and what they change, by address."""
        lineage, fork = [key], self.journal.fork_of(key)
        changes: dict[str, Change] = {}
        while fork is not None:
            changes.setdefault(fork.change.address, fork.change)  # of two changes the later fork's holds
            if fork.parent in lineage:
                break
            lineage.append(fork.parent)
            fork = self.journal.fork_of(fork.parent)
        return lineage, changes

    def _branch(self, step: Step, value: Any) -> Arrow | None:
        if not step.branches:
            return step.arrow
        arrow = step.branch(value)
        if arrow is None:
            allowed = ", ".join(repr(label) for label in step.branches)
            raise NodeFailed(f"the decision gave {value!r:.200}, and its branches are {allowed}; add an `else` branch")
        return arrow

    def _limited(self, frame: Frame, step: Step, number: int) -> Arrow:
        if step.limited is not None:
            return step.limited
        limit = step.node.limit or 0
        raise Stop(exhausted=frame.exhausted("visits", limit, number - 1, step, number))

    def _failed(self, frame: Frame, step: Step, number: int, error: Exception, began: float) -> Arrow:
        if step.failed is not None:
            return step.failed
        address = frame.address(step, number)
        if frame.execution.traced:
            self.note(frame, step, address, began, None, None, Made.of_failure(error))
        raise Stop(error=f"node {step.id!r}: {error}", address=address) from error

    def _cross(self, frame: Frame, arrow: Arrow) -> Arrow:
        """Count the loops that an arrow enters or comes round in; return the arrow that is really taken."""
        for bound in arrow.enters:
            frame.enter(bound)
        for bound in arrow.turns:
            if (over := frame.turn(bound)) is None:
                continue
            holder = frame.program.steps.get(bound.holder)
            if holder is not None and holder.limited is not None and over[0] != "state":
                limited = holder.limited  # it may come round in a loop outside
                return limited if bound in limited.turns else self._cross(frame, limited)
            step = frame.program.steps[arrow.edge.source]
            stopped = frame.exhausted(*over, step, frame.visits.get(step.id, 1), loop=bound.name)
            raise Stop(exhausted=stopped)
        return arrow

    def _left(self, frame: Frame, stop: Stop, within: frozenset[str] | None) -> Arrow:
        """Return the `limit` edge of a loop whose budget ran out in the middle of a turn.

        Raises:
            Stop: there is none, or the loop is further out.
        """
        if stop.loop is not None and stop.loop[0] is frame:
            bound = stop.loop[1]
            holder = frame.program.steps.get(bound.holder)
            if holder is not None and holder.limited is not None and (within is None or bound.nodes <= within):
                return holder.limited
        raise stop

    def _last_answer(self, frame: Frame) -> Any:
        """Return what a chart that was stopped would have returned, None when that is not set yet."""
        try:
            return frame.program.chart.returns(frame.values)
        except EvaluationError:
            return None

    def _outcome(self, execution: Execution, frame: Frame, answer: Any, stop: Stop | None) -> Outcome:
        status: Status = "answered"
        if stop is not None:
            status = "partial" if stop.exhausted else "waiting" if stop.waiting else "failed"
        return Outcome(
            key=execution.key,
            status=status,
            answer=answer,
            values=dict(frame.values),
            usage=frame.usage,
            seconds=round(time.monotonic() - execution.began, 6),
            exhausted=stop.exhausted if stop else None,
            waiting=tuple(execution.waiting) if status == "waiting" else (),
            error=str(stop) if stop else "",
            address=(stop.address or (stop.exhausted.address if stop.exhausted else "")) if stop else "",
        )

    def _flush(self, execution: Execution) -> None:
        if execution.events:
            self.journal.visits(execution.key, execution.events)
            execution.events = []


async def at_the_same_time(work: Callable[[], Coroutine[Any, Any, None]], count: int) -> None:
    """Run `work` so many times at once; the first error ends them all and is raised."""
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(count):
                workers.create_task(work())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def _other_model(chart: Chart, node: Node) -> Finding:
    return Finding(
        file=chart.file,
        line=node.section,
        rule="model",
        node=node.id,
        problem=f"node {node.id!r} names a model, in a chart that was written while it runs",
        mend="leave `model` out",
    )


def bound_inputs(program: Program, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that a chart starts with.

    Raises:
        ConfigError: an input is missing or unknown.
    """
    allowed = {variable.name for variable in program.chart.takes}
    if missing := [name for name in program.required if name not in inputs]:
        raise ConfigError(
            f"chart {program.chart.name!r} needs the input {missing[0]!r}; it takes {', '.join(sorted(allowed))}"
        )
    if unknown := sorted(set(inputs) - allowed):
        raise ConfigError(
            f"chart {program.chart.name!r} takes no {unknown[0]!r}; it takes {', '.join(sorted(allowed)) or 'nothing'}"
        )
    return {**program.defaults, **inputs}


def _narrowed(budget: Budget, by: Budget) -> Budget:
    """Return `budget` with what it leaves open taken from `by`."""
    return Budget(
        **{name: value if (value := getattr(budget, name)) is not None else getattr(by, name) for name in asdict(by)}
    )


def _as_data(outcome: Outcome) -> dict[str, Any]:
    data = asdict(outcome)
    data["usage"]["tokens"] = outcome.usage.tokens
    return data
