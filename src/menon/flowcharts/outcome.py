"""What one execution of a chart ends in: an answer, or a partial result that says what stopped it and where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["answered", "partial", "waiting", "failed"]


@dataclass(slots=True, kw_only=True)
class Usage:
    """What was spent; replayed calls count as when they were made, so that budgets hold across a resume."""

    steps: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhausted:
    """A budget that ran out, or a loop that came round in the state it had before.

    `budget` is "steps", "tokens", "seconds", "money", "turns", "visits", "depth" or "state"; `loop` names the loop by
    its nodes and is empty outside loops; `values` are the variables at that moment.
    """

    budget: str
    limit: float
    spent: float
    chart: str
    node: str
    address: str
    loop: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        where = f"in the loop {self.loop} of chart {self.chart!r}" if self.loop else f"in chart {self.chart!r}"
        if self.budget == "state":
            return f"stopped at node {self.node!r} {where}: the loop came round {self.spent:g} times in the same state"
        return f"stopped at node {self.node!r} {where}: {self.spent:g} of {self.limit:g} {self.budget} are spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A node that waits for a person: what is shown, and the choices (none: any text)."""

    address: str
    chart: str
    node: str
    shown: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one execution.

    `answer` is what the chart returns; of a partial result the last value of it, None when it was not set yet.
    `values` are the variables of the outermost chart at the end. `error` says in a sentence why it is not answered.
    """

    key: str
    status: Status
    answer: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    exhausted: Exhausted | None = None
    waiting: tuple[Waiting, ...] = ()
    error: str = ""
    address: str = ""  # where it failed
