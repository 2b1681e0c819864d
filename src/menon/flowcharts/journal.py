"""What an execution must remember: every finished call and every visit. Resume, replay and fork are one code path.

An execution is deterministic given the results of what reaches outside it (model calls, sandboxed code, lookups,
verifiers, people). Each result is kept under its execution, its address (the path of visits to the node) and a
fingerprint of what was asked. Running an execution again finds the results and does nothing twice:

resume   the same execution with the same journal; what is missing is done
replay   the same with `replay=True`: what is missing is an error, so no model is needed
fork     another execution whose journal looks into the first one's where it has nothing itself; at one address a value
         or prompt is changed. Everything that does not depend on the change is found by its fingerprint
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from menon.core.seeds import content_id
from menon.core.values import Request
from menon.store import EventLog

# ASCII: a lone surrogate of a model must not break the store. Made once: json.dumps would make one for every call.
_ENCODER = json.JSONEncoder(separators=(",", ":"))
GROUP = 512  # visits that are written together when no call comes in between


class Done(NamedTuple):  # made at every step, and three times as fast to make as a frozen dataclass
    """A finished call: `result` is JSON data."""

    execution: str
    address: str
    fingerprint: str
    result: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a fork changes at `address`: the prompt that is sent, or the values that the node writes."""

    address: str
    prompt: str | None = None
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Where an execution comes from."""

    parent: str
    change: Change


class Journal(Protocol):
    """Keeps finished calls and visits; `kept` has made its calls durable when it returns."""

    def found(self, execution: str, address: str, fingerprint: str) -> Any:
        """Return the result of a finished call, None when there is none."""
        ...

    def keep(self, calls: Sequence[Done]) -> None:
        """Keep finished calls, all or none."""
        ...

    def visits(self, execution: str, events: Iterable[Mapping[str, Any]]) -> None:
        """Keep visits (JSON data with `address`); a visit kept again replaces the first."""
        ...

    def finished(self, execution: str, outcome: Mapping[str, Any]) -> None:
        """Keep how an execution ended."""
        ...

    def fork_of(self, execution: str) -> Fork | None:
        """Return where a forked execution comes from, None for any other."""
        ...


@dataclass(slots=True)
class Memory:
    """A journal that lives as long as the process; also the reference for the stored one."""

    calls: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    events: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    outcomes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    forks: dict[str, Fork] = field(default_factory=dict)

    def found(self, execution: str, address: str, fingerprint: str) -> Any:
        return self.calls.get((execution, address, fingerprint))

    def keep(self, calls: Sequence[Done]) -> None:
        for call in calls:
            self.calls.setdefault((call.execution, call.address, call.fingerprint), call.result)

    def visits(self, execution: str, events: Iterable[Mapping[str, Any]]) -> None:
        kept = self.events.setdefault(execution, {})
        for event in events:
            kept[event["address"]] = event

    def finished(self, execution: str, outcome: Mapping[str, Any]) -> None:
        self.outcomes[execution] = outcome

    def fork_of(self, execution: str) -> Fork | None:
        return self.forks.get(execution)

    def fork(self, execution: str, fork: Fork) -> None:
        self.forks[execution] = fork


def request_mark(model: str, request: Request) -> str:
    """Return the fingerprint of a request to a model; written out by hand, since it is made at every step."""
    prompt = request.prompt
    text = prompt if isinstance(prompt, str) else repr(prompt)
    options = f"({request.n}, {request.max_tokens}, {request.temperature}, {request.top_p}, {request.stop})"
    whole = f"{model}\0{text}\0{request.seed}\0{options}"
    return sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def fingerprint(*parts: Any) -> str:
    """Return an id of what is asked; equal questions have equal fingerprints."""
    return content_id("ask", *parts)


class Stored:
    """A journal in the event log of a run directory."""

    def __init__(self, log: EventLog):
        self._log = log
        # Executions that may have calls in the log: those of earlier sessions, also without calls, for a person's
        # reply may come before there is any, and those that ended in this one.
        self._known = log.executions("call") | log.executions("outcome")
        self._stale = log.executions("visit")  # whose visits are of an earlier session, which may have gone another way
        self._calls: dict[str, dict[tuple[str, str], str]] = {}
        self._visits: list[tuple[str, str, str]] = []
        self._outcomes: list[tuple[str, str]] = []

    def found(self, execution: str, address: str, fingerprint: str) -> Any:
        if execution not in self._known:
            return None
        calls = self._calls.get(execution)
        if calls is None:
            calls = self._calls[execution] = self._log.calls(execution)
        data = calls.get((address, fingerprint))
        return None if data is None else json.loads(data)

    def keep(self, calls: Sequence[Done]) -> None:
        rows = [(call.execution, call.address, call.fingerprint, _json(call.result)) for call in calls]
        self._write(rows)

    def visits(self, execution: str, events: Iterable[Mapping[str, Any]]) -> None:
        if execution in self._stale:
            self._stale.discard(execution)
            self._log.forget_visits(execution)
        self._visits.extend((execution, event["address"], _json(event)) for event in events)
        if len(self._visits) >= GROUP:
            self._write()

    def finished(self, execution: str, outcome: Mapping[str, Any]) -> None:
        self._calls.pop(execution, None)
        self._known.add(execution)
        self._outcomes.append((execution, _json(outcome)))
        if len(self._outcomes) >= GROUP:
            self._write()

    def fork_of(self, execution: str) -> Fork | None:
        data = self._log.one("fork", execution)
        if data is None:
            return None
        row = json.loads(data)
        return Fork(parent=row["parent"], change=Change(**row["change"]))

    def fork(self, execution: str, fork: Fork) -> None:
        """Make `execution` a fork; it is run like any other."""
        self._log.write(forks=[(execution, _json(asdict(fork)))])

    def addresses(self, execution: str) -> list[str]:
        """Return where an execution has been, in the order of its visits."""
        events = [json.loads(data) for data in self._log.visits(execution).values()]
        return [event["address"] for event in sorted(events, key=lambda event: event["position"])]

    def waiting(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield the executions that wait for a person, with what each is asked."""
        for execution in sorted(self._log.executions("outcome")):
            outcome = json.loads(self._log.one("outcome", execution) or "{}")
            if outcome.get("status") == "waiting":
                yield execution, outcome["waiting"]

    def answered(self, executions: Iterable[str]) -> bool:
        """Say whether all of them have ended with an answer before, so that going on will most likely ask nothing."""
        outcomes = (json.loads(self._log.one("outcome", execution) or "{}") for execution in executions)
        return all(outcome.get("status") == "answered" for outcome in outcomes)

    def flush(self) -> None:
        """Write what is waiting to be written with the next group."""
        self._write()

    def _write(self, calls: Sequence[tuple[str, str, str, str]] = ()) -> None:
        visits, self._visits = self._visits, []
        outcomes, self._outcomes = self._outcomes, []
        if calls or visits or outcomes:
            self._log.write(calls=calls, visits=visits, outcomes=outcomes)


def _json(value: Any) -> str:
    return _ENCODER.encode(value)
