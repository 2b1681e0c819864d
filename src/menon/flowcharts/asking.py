"""Asking a model: the prompt is put in form, sent with its seed and fingerprint, and what comes back is read by type.

A text that cannot be read is asked for again with the reason in view; reading itself is the business of `grading`.
"""

from collections.abc import Mapping
from typing import Any

from menon.core.errors import ConfigError, SamplerError
from menon.core.seeds import seeds_within
from menon.core.values import Message, Request
from menon.flowcharts.calling import ReplayMiss
from menon.flowcharts.chart import AskPart, Variable
from menon.flowcharts.execution import Made, NodeFailed, Stop
from menon.flowcharts.journal import request_mark
from menon.flowcharts.visit import Visit, in_time, number_of
from menon.grading import open_grader, split_thinking
from menon.grading.outputs import Unread, read_output

MOST_SAMPLES = 10_000
_CHOICE = Variable(name="", type="choice")


async def ask(visit: Visit) -> Made:
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
        rows, replayed = await in_time(visit, asking)
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
        "n": int(number_of(ask.n, visit, "n", 1, 1, MOST_SAMPLES)),
        "max_tokens": int(number_of(ask.max_tokens, visit, "max tokens", _most_tokens(visit, formed), 1, 10**7)),
        "temperature": float(number_of(ask.temperature, visit, "temperature", surroundings.temperature, 0, 100)),
        "top_p": float(number_of(ask.top_p, visit, "top p", 1.0, 0, 1)),
        "stop": ask.stop or (surroundings.style.stop if formed else surroundings.stop),
        "logprobs": surroundings.logprobs,
    }
    sources = (ask.n, ask.max_tokens, ask.temperature, ask.top_p)
    if not any(source is not None and (source.reads or source.calls) for source in sources):
        visit.step.decoding = decoding
    return decoding


def _most_tokens(visit: Visit, formed: bool) -> int:
    surroundings = visit.executor.surroundings
    if surroundings.max_tokens is not None:
        return surroundings.max_tokens
    return surroundings.style.max_tokens if formed else 512


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
