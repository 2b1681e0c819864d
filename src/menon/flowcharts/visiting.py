"""Visits that reach outside: asking a model, running code, calling a chart, mapping, looking up, waiting for a person.

Each keeps its result in the journal under its address and the fingerprint of what it asked, and looks there first.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from menon.core.errors import ConfigError, MenonError, RunError, SamplerError
from menon.core.seeds import seeds_within
from menon.core.values import Message, Request
from menon.flowcharts.calling import ReplayMiss, gather
from menon.flowcharts.chart import FAILED, LIMIT, AskPart, Kind, Node, Variable
from menon.flowcharts.execution import Execution, Frame, Made, NodeFailed, Stop
from menon.flowcharts.expressions import Expression
from menon.flowcharts.journal import Done, fingerprint, request_mark
from menon.flowcharts.outcome import Waiting
from menon.flowcharts.program import Step
from menon.flowcharts.prompts import show
from menon.flowcharts.surroundings import Remembered
from menon.grading import open_grader, split_thinking
from menon.grading.outputs import Unread, read_output

if TYPE_CHECKING:
    from menon.flowcharts.executor import Executor

MOST_SAMPLES = 10_000
MOST_ITEMS = 100_000
_CHOICE = Variable(name="", type="choice")
MOST_DEPTH = 150  # charts that call each other; each takes some frames of Python's stack


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
        return _ask
    if node.call is not None:
        return _call
    if node.lookup is not None:
        return _look_up
    if node.kind is Kind.PERSON:
        return _person
    if node.code is not None:
        return _code
    return _effect


async def _ask(visit: Visit) -> Made:
    """Ask a model until its text can be read, at most `1 + retries` times."""
    ask, node = visit.node.ask, visit.node
    assert ask is not None
    text = ask.prompt.render(visit.values)
    change = visit.execution.changes.get(visit.address)
    if change is not None and change.prompt is not None:
        text = change.prompt
    reasons: list[str] = []
    made = Made()
    for attempt in range(1 + ask.retries):
        address = visit.address if attempt == 0 else f"{visit.address}~{attempt}"
        shown = text if not reasons else f"{text}\n\n(The last reply could not be used: {reasons[-1]}. Reply again.)"
        prompt = _formed(visit, ask, shown)
        rows, replayed = await _sampled(visit, ask, prompt, address)
        made.prompt, made.replayed = prompt, replayed
        made.completions = [*made.completions, *rows] if made.completions else rows
        if rows[0]["finish"] == "error" and all(row["finish"] == "error" for row in rows):
            raise NodeFailed(rows[0]["error"] or "the model could not be asked", made)
        many = ask.n is not None
        written, reason = _read_all(visit, ask, rows, many)
        if reason is None:
            made.writes = {v.name: written[v.name] for v in node.writes}
            if ask.choices:
                made.branch = written[""]
            return made
        reasons.append(reason)
    raise NodeFailed(f"the reply could not be read: {reasons[-1]}", made)


def _formed(visit: Visit, ask: AskPart, text: str) -> str:
    """Return the prompt: the text as it is, or put in the model's question form."""
    if ask.form == "raw":
        return text
    surroundings = visit.executor.surroundings
    problem = surroundings.question(visit.execution.problem, text)
    try:
        return surroundings.style.prompt(problem, direct=ask.form == "direct")
    except ConfigError as error:
        raise NodeFailed(str(error)) from None


async def _sampled(visit: Visit, ask: AskPart, text: str, address: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the completions of one call and charge what they cost."""
    surroundings, execution, frame = visit.executor.surroundings, visit.execution, visit.frame
    models = surroundings.models
    prompt: str | tuple[Message, ...] = text
    if ask.system:
        prompt = (Message(role="system", content=ask.system), Message(role="user", content=text))
    if execution.seeds is None:
        execution.seeds = seeds_within("solve", surroundings.seed, execution.lineage[-1])
    decoding = visit.step.decoding or _decoding(visit, ask)
    request = Request(key=f"{execution.asked_as}/{address}", prompt=prompt, seed=execution.seeds(address), **decoding)
    mark = request_mark(models.name(ask.model), request)
    frame.check_call(visit.step, frame.visits.get(visit.step.id, 1))
    asking = models.ask(ask.model, request, lineage=execution.lineage, address=address, fingerprint=mark)
    try:
        rows, replayed = await _in_time(visit, asking)
    except ReplayMiss as error:
        raise Stop(error=str(error), address=address, final=True) from None
    except SamplerError as error:
        raise NodeFailed(str(error)) from None
    asked, wrote = rows[0]["prompt_tokens"], rows[0]["completion_tokens"]
    if len(rows) > 1:
        asked, wrote = max(row["prompt_tokens"] for row in rows), sum(row["completion_tokens"] for row in rows)
    frame.charge(asked, wrote, models.prices.of(asked, wrote), visit.step.id)
    return rows, replayed


def _decoding(visit: Visit, ask: AskPart) -> dict[str, Any]:
    """Return how the model is asked; kept for the next visits where no expression depends on anything."""
    surroundings, formed = visit.executor.surroundings, ask.form != "raw"
    decoding = {
        "n": int(_number(ask.n, visit, "n", 1, 1, MOST_SAMPLES)),
        "max_tokens": int(_number(ask.max_tokens, visit, "max tokens", _most_tokens(visit, formed), 1, 10**7)),
        "temperature": float(_number(ask.temperature, visit, "temperature", surroundings.temperature, 0, 100)),
        "top_p": float(_number(ask.top_p, visit, "top p", 1.0, 0, 1)),
        "stop": ask.stop or (surroundings.style.stop if formed else surroundings.stop),
        "logprobs": surroundings.logprobs,
    }
    sources = (ask.n, ask.max_tokens, ask.temperature, ask.top_p)
    if not any(source is not None and (source.reads or source.calls) for source in sources):
        visit.step.decoding = decoding
    return decoding


def _in_time(visit: Visit, work: Awaitable[Any]) -> Awaitable[Any]:
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


def _most_tokens(visit: Visit, formed: bool) -> int:
    surroundings = visit.executor.surroundings
    if surroundings.max_tokens is not None:
        return surroundings.max_tokens
    return surroundings.style.max_tokens if formed else 512


def _number(source: Expression | None, visit: Visit, name: str, default: float, least: float, most: float) -> float:
    if source is None:
        return default
    value = source(visit.values)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise NodeFailed(f"{name} is {value!r:.100}; it must be a number from {least:g} to {most:g}")
    return value


def _read_all(visit: Visit, ask: AskPart, rows: list[dict[str, Any]], many: bool) -> tuple[dict[str, Any], str | None]:
    """Return what the completions say under each name (under "" the choice), or why none can be read."""
    names = (*visit.node.writes, _CHOICE) if ask.choices else visit.node.writes
    if not many:
        written: dict[str, Any] = {}
        for variable in names:
            written[variable.name], reason = _read(visit, ask, variable, rows[0])
            if reason:
                return {}, reason
        return written, None
    columns: dict[str, list[Any]] = {variable.name: [] for variable in names}
    reasons: list[str] = []
    for row in rows:
        for variable in names:
            value, reason = _read(visit, ask, variable, row)
            columns[variable.name].append(value)
            if reason:
                reasons.append(reason)
    if reasons and len(reasons) >= len(rows) * len(names):
        return {}, reasons[0]
    if visit.node.writes:
        return columns, None
    return {name: column[0] for name, column in columns.items()}, None


def _read(visit: Visit, ask: AskPart, variable: Variable, row: Mapping[str, Any]) -> tuple[Any, str]:
    """Read one variable from one completion: (value, "") or (None, reason)."""
    if row["finish"] == "error":
        return None, row["error"] or "the request failed"
    if variable.type == "answer":
        problem = visit.executor.surroundings.graded(visit.execution.problem)
        _, text, closed = split_thinking(row["text"])
        parsed = open_grader(ask.grade or problem.grader).parse(problem, text) if closed else None
        # An answer that cannot be read is None and goes on: it does not vote, and it is graded as unparsed.
        return (parsed.answer if parsed else None), ""
    kind = "text" if variable.type == "any" else variable.type
    read = read_output(row["text"], kind, choices=ask.choices, schema=variable.schema)
    if isinstance(read, Unread):
        cut = " (its text was cut off by max tokens)" if row["finish"] == "length" else ""
        return None, read.reason.rstrip(".") + cut
    return read.value, ""


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
        return list(range(1, int(_number(part.times, visit, "times", 1, 0, MOST_ITEMS)) + 1))
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

    found, replayed = await _once(visit, mark, work)
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

        found, replayed = await _once(visit, mark, decide)
        return Made(branch=found[0], replayed=replayed)
    block = node.block
    assert block is not None
    mark = fingerprint("compute", block.source, {name: visit.values.get(name) for name in sorted(block.reads)})

    async def compute() -> Any:
        return await asyncio.to_thread(_block_writes, visit)  # a verifier or tool may take its time

    found, replayed = await _once(visit, mark, compute)
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
    found, replayed = await _once(visit, fingerprint("find", part.place, query, part.k, held), find)
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


async def _once(visit: Visit, mark: str, work: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
    """Return the kept result of `work`, or do it and keep the result before going on."""
    journal, models = visit.executor.journal, visit.executor.surroundings.models
    for execution in visit.execution.lineage:
        if (found := journal.found(execution, visit.address, mark)) is not None:
            return found, True
    if models.replay:
        error = f"the journal holds no result for {visit.address!r}; run without --replay to make it"
        raise Stop(error=error, address=visit.address, final=True)
    result = await _in_time(visit, work())
    journal.keep([Done(execution=visit.execution.key, address=visit.address, fingerprint=mark, result=result)])
    return result, False
