"""A visit to a node: where it happens, what it sees, how long it may take, and the results that it keeps."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from menon.flowcharts.chart import Node
from menon.flowcharts.execution import Execution, Frame, NodeFailed, Stop
from menon.flowcharts.expressions import Expression
from menon.flowcharts.journal import Done
from menon.flowcharts.program import Step

if TYPE_CHECKING:
    from menon.flowcharts.executor import Executor


@dataclass(slots=True)
class Visit:
    """One visit: where it happens, and the variables that it sees."""

    executor: "Executor"
    frame: Frame
    step: Step
    address: str
    values: Mapping[str, Any]

    @property
    def node(self) -> Node:
        return self.step.node

    @property
    def execution(self) -> Execution:
        return self.frame.execution


def in_time(visit: Visit, work: Awaitable[Any]) -> Awaitable[Any]:
    """Await `work`, at most as long as every budget of seconds allows."""
    left = visit.frame.seconds_left(visit.step)
    return work if left is None else _timed(visit, work, left)


async def _timed(visit: Visit, work: Awaitable[Any], left: float) -> Any:
    try:
        async with asyncio.timeout(left):
            return await work
    except TimeoutError:
        visit.frame.check_time(visit.step, visit.frame.visits.get(visit.step.id, 1))
        raise NodeFailed(f"there was no answer within {left:.3g} s") from None


def number_of(source: Expression | None, visit: Visit, name: str, default: float, least: float, most: float) -> float:
    if source is None:
        return default
    value = source(visit.values)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise NodeFailed(f"{name} is {value!r:.100}; it must be a number from {least:g} to {most:g}")
    return value


async def once(visit: Visit, mark: str, work: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
    """Return the kept result of `work`, or do it and keep the result before going on."""
    journal, models = visit.executor.journal, visit.executor.surroundings.models
    for execution in visit.execution.lineage:
        if (found := journal.found(execution, visit.address, mark)) is not None:
            return found, True
    if models.replay:
        error = f"the journal holds no result for {visit.address!r}; run without --replay to make it"
        raise Stop(error=error, address=visit.address, final=True)
    result = await in_time(visit, work())
    journal.keep([Done(execution=visit.execution.key, address=visit.address, fingerprint=mark, result=result)])
    return result, False
