"""Visits that reach outside: running code, calling a chart, mapping, looking up, waiting for a person.

Each keeps its result in the journal under its address and the fingerprint of what it asked, and looks there first.
Asking a model has a file of its own, `asking`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from menon.core.errors import ConfigError, MenonError, RunError
from menon.flowcharts.asking import ask
from menon.flowcharts.calling import gather
from menon.flowcharts.chart import FAILED, LIMIT, Kind, Node
from menon.flowcharts.execution import Execution, Frame, Made, NodeFailed, Stop
from menon.flowcharts.journal import fingerprint
from menon.flowcharts.outcome import Waiting
from menon.flowcharts.program import Step
from menon.flowcharts.prompts import show
from menon.flowcharts.surroundings import Remembered
from menon.flowcharts.visit import Visit, number_of, once
from menon.grading.outputs import Unread, read_output

if TYPE_CHECKING:
    from menon.flowcharts.executor import Executor

MOST_ITEMS = 100_000
MOST_DEPTH = 150  # charts that call each other; each takes some frames of Python's stack


def visit_outside(executor: "Executor", frame: Frame, step: Step, number: int) -> Awaitable[Made]:
    """Do what the node does.

    Raises:
        NodeFailed, MenonError: it could not be done; the chart may have an edge for it.
        Stop: the execution ends here.
    """
    if step.body is None:
        step.body = _map if step.node.map is not None else _body(step.node)
    return step.body(Visit(executor, frame, step, frame.address(step, number), frame.values))


def changed(execution: Execution, step: Step, address: str) -> Made | None:
    """Return the values that a fork gives a visit in place of what the node does, None when it changes none.

    Raises:
        NodeFailed: the node writes no such variable.
    """
    change = execution.changes.get(address)
    if change is None or change.values is None:
        return None
    writes = dict(change.values)
    branch = writes.pop("branch", None) if step.branches else None
    names = [variable.name for variable in step.node.writes]
    if unknown := sorted(set(writes) - set(names)):
        allowed = ", ".join([*names, *(["branch"] if step.branches else [])]) or "nothing"
        raise NodeFailed(f"the fork changes {unknown[0]!r} at {address!r}; what can be changed there: {allowed}")
    return Made(writes=writes, branch=branch, replayed=True)


def _body(node: Node) -> Callable[[Visit], Awaitable[Made]]:
    """Return what a node does, its map left aside."""
    if node.ask is not None:
        return ask
    if node.call is not None:
        return _call
    if node.lookup is not None:
        return _look_up
    if node.kind is Kind.PERSON:
        return _person
    if node.code is not None:
        return _code
    return _effect


async def _map(visit: Visit) -> Made:
    """Do the body for every item at once; a written variable is the list over the items."""
    part, node = visit.node.map, visit.node
    assert part is not None
    items = _items(visit)
    body = _body(node)
    gate = asyncio.Semaphore(part.at_once or max(1, len(items)))
    failures: list[str] = []

    async def one(place: int, item: Any) -> Mapping[str, Any]:
        values = {**visit.values, part.each: item, "position": place + 1}
        here = Visit(visit.executor, visit.frame, visit.step, f"{visit.address}[{place + 1}]", values)
        async with gate:
            began = time.perf_counter()
            try:
                made = changed(here.execution, here.step, here.address) if here.execution.changes else None
                made = made or await _repeatable(body, here)
            except RunError:
                raise
            except (NodeFailed, MenonError) as error:
                failures.append(str(error))
                made = Made.of_failure(error)
            if visit.execution.traced:
                visit.executor.note(visit.frame, visit.step, here.address, began, made.writes, None, made)
            return made.writes

    written = await gather(*(one(place, item) for place, item in enumerate(items)))
    if items and len(failures) == len(items):
        raise NodeFailed(f"all {len(items)} items failed, the first because {failures[0]}")
    return Made(writes={v.name: [row.get(v.name) for row in written] for v in node.writes})


async def _repeatable(body: Callable[[Visit], Awaitable[Made]], visit: Visit) -> Made:
    block = visit.node.block
    if body is _effect and block is not None and not block.effect:
        return Made(writes=_block_writes(visit))
    return await body(visit)


def _items(visit: Visit) -> list[Any]:
    part = visit.node.map
    assert part is not None
    if part.times is not None:
        return list(range(1, int(number_of(part.times, visit, "times", 1, 0, MOST_ITEMS)) + 1))
    assert part.over is not None
    items = part.over(visit.values)
    if not isinstance(items, list):
        raise NodeFailed(f"over is {items!r:.100}; it must be a list")
    if len(items) > MOST_ITEMS:
        raise NodeFailed(f"over has {len(items)} items; allowed: {MOST_ITEMS}")
    return items


async def _call(visit: Visit) -> Made:
    """Execute another chart with variables of its own."""
    from menon.flowcharts.executor import bound_inputs

    part, executor, frame = visit.node.call, visit.executor, visit.frame
    assert part is not None
    chart = executor.written(visit.step.chart, part.text(visit.values)) if part.text else None
    chart = chart or visit.step.chart.calls[part.chart]
    program = executor.prepared(chart)
    above, depth = frame, 0
    while above is not None:
        depth += above.program is program
        above = above.parent
    bound, reached = (MOST_DEPTH, frame.depth + 1) if part.depth is None or depth <= part.depth else (part.depth, depth)
    if reached > bound:
        number = visit.frame.visits.get(visit.step.id, 1)
        raise Stop(exhausted=frame.exhausted("depth", bound, reached, visit.step, number))
    takes = {variable.name for variable in chart.takes}
    given = part.give.run(visit.values) if part.give else {k: v for k, v in visit.values.items() if k in takes}
    try:
        inputs = bound_inputs(program, given)
    except ConfigError as error:
        raise NodeFailed(str(error)) from None
    # A chart that calls itself is not shared with itself: it would wait for its own end.
    outcome = await executor.shared(chart, inputs, caller=frame) if part.share and not depth else None
    if outcome is not None:
        if outcome.waiting:
            visit.execution.waiting += [one for one in outcome.waiting if one not in visit.execution.waiting]
            raise Stop(waiting=outcome.waiting[0], address=visit.address)
        if outcome.status != "answered":
            raise NodeFailed(f"the shared call of {chart.name!r} ended without an answer: {outcome.error}")
        answer = outcome.answer
    else:
        inner = Frame(visit.execution, program, inputs, prefix=f"{visit.address}/", parent=frame, caller=visit.step)
        try:
            await executor.walk(inner, program.start, None)
            answer = executor.returned(inner)
        except Stop as stop:
            if stop.error and not stop.final and (visit.step.failed is not None or visit.node.map is not None):
                raise NodeFailed(stop.error) from None
            raise
    return Made(writes={variable.name: answer for variable in visit.node.writes})


async def _code(visit: Visit) -> Made:
    """Run code in the sandbox."""
    node, sandbox = visit.node, visit.executor.surroundings.sandbox
    code = node.code or ""
    if node.test is not None:
        held = node.test(visit.values)
        if not isinstance(held, str):
            raise NodeFailed(f"code is {held!r:.100}; it must be a text")
        code = held
    names = [variable.name for variable in node.writes]
    wants = [] if node.test is not None else names
    inputs = {name: value for name, value in visit.values.items() if name in code}
    mark = fingerprint("code", code, inputs, wants)

    async def work() -> dict[str, Any]:
        if sandbox is None:
            raise NodeFailed("this chart runs code and there is no sandbox here")
        result = await sandbox.run_async(code, inputs, wants=wants)
        return {"values": result.values, "error": result.error, "printed": result.printed}

    found, replayed = await once(visit, mark, work)
    if found["error"]:
        raise NodeFailed(found["error"], Made(prompt=code, replayed=replayed))
    if node.test is not None:
        if "result" not in found["values"]:
            raise NodeFailed("the program gives no value; it should set `answer` or define `solution()`")
        return Made(writes={names[0]: found["values"]["result"]}, prompt=code, replayed=replayed)
    return Made(writes={name: found["values"].get(name) for name in names}, replayed=replayed)


async def _effect(visit: Visit) -> Made:
    """Compute with functions that reach outside: verifiers, searches, tools."""
    node = visit.node
    if node.kind is Kind.DECIDE:
        test = node.test
        assert test is not None
        mark = fingerprint("decide", test.source, {name: visit.values.get(name) for name in sorted(test.reads)})

        async def decide() -> Any:
            return [await asyncio.to_thread(test, visit.values)]

        found, replayed = await once(visit, mark, decide)
        return Made(branch=found[0], replayed=replayed)
    block = node.block
    assert block is not None
    mark = fingerprint("compute", block.source, {name: visit.values.get(name) for name in sorted(block.reads)})

    async def compute() -> Any:
        return await asyncio.to_thread(_block_writes, visit)  # a verifier or tool may take its time

    found, replayed = await once(visit, mark, compute)
    return Made(writes=found, replayed=replayed)


def _block_writes(visit: Visit) -> dict[str, Any]:
    block = visit.node.block
    assert block is not None
    if block.expression is not None:
        return {visit.node.writes[0].name: block.expression(visit.values)}
    return block.run(visit.values)


async def _look_up(visit: Visit) -> Made:
    """Keep a value, or find texts."""
    part, execution = visit.node.lookup, visit.execution
    assert part is not None
    places = visit.executor.surroundings.places
    memory = execution.memory.setdefault(part.place, Remembered()) if part.place not in places else None
    if part.keep is not None:
        if memory is None:
            raise NodeFailed(f"nothing can be kept in {part.place!r}; keep it in `memory`")
        memory.keep(show(part.keep(visit.values)))
        return Made()
    assert part.find is not None
    query = show(part.find(visit.values))
    name = visit.node.writes[0].name
    if memory is not None and part.place != "memory":
        allowed = ", ".join(["memory", *places])
        raise NodeFailed(f"there is nothing to look up in {part.place!r}; there is {allowed} (--documents DIR)")

    async def find() -> Any:
        place = places[part.place] if memory is None else memory
        return list(place.find(query, part.k))

    # What was found in the memory is kept too: branches that run at once may fill it in another order next time.
    held = [] if memory is None else sorted(memory.texts)
    found, replayed = await once(visit, fingerprint("find", part.place, query, part.k, held), find)
    return Made(writes={name: found}, prompt=query, replayed=replayed)


async def _person(visit: Visit) -> Made:
    """Take the reply of a person, or stop until there is one."""
    node, execution = visit.node, visit.execution
    assert node.show is not None
    shown = node.show.render(visit.values)
    labels = [arrow.edge.label for arrow in visit.step.arrows if arrow.edge.label.lower() not in ("", LIMIT, FAILED)]
    for one in execution.lineage:
        reply = visit.executor.journal.found(one, visit.address, person_mark(shown, labels))
        if reply is not None:
            break
    else:
        waiting = Waiting(
            address=visit.address, chart=visit.step.chart.name, node=node.id, shown=shown, choices=tuple(labels)
        )
        execution.waiting.append(waiting)
        raise Stop(waiting=waiting, address=visit.address)
    if not labels:
        return Made(writes={v.name: reply for v in node.writes}, prompt=shown, replayed=True)
    read = read_output(reply, "choice", choices=labels)
    if isinstance(read, Unread):
        raise NodeFailed(f"the reply of the person is {reply!r:.100}; allowed: {', '.join(labels)}")
    return Made(writes={v.name: read.value for v in node.writes}, branch=read.value, prompt=shown, replayed=True)


def person_mark(shown: str, choices: list[str] | tuple[str, ...]) -> str:
    """Return the fingerprint under which a person's reply is kept."""
    return fingerprint("person", shown, list(choices))
