"""The state of executions under way: frames of variables, what was spent, loops that come round, and how they stop."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from menon.core.values import Problem
from menon.flowcharts.chart import Budget
from menon.flowcharts.journal import Change
from menon.flowcharts.outcome import Exhausted, Usage, Waiting
from menon.flowcharts.program import Bound, Program, Step

# A loop that samples may pass the same state by chance; without sampling once is enough to know.
SAME_STATES_WITH_SAMPLING = 8


class Stop(Exception):
    """Ends an execution before its end: a budget, a person, or a failure."""

    def __init__(
        self,
        *,
        exhausted: Exhausted | None = None,
        waiting: Waiting | None = None,
        error: str = "",
        address: str = "",
        loop: "tuple[Frame, Bound] | None" = None,
        final: bool = False,
    ):
        super().__init__(error or str(exhausted or waiting))
        self.exhausted, self.waiting, self.error, self.address = exhausted, waiting, error, address
        self.loop = loop  # whose budget ran out in the middle of a turn; its `limit` edge may be taken instead
        self.final = final  # no `failed` edge is for this


class NodeFailed(Exception):
    """A node could not do its work; the chart may have a `failed` edge for it. `made` is what it had done by then."""

    def __init__(self, reason: str, made: "Made | None" = None):
        super().__init__(reason)
        self.made = made


@dataclass(slots=True, eq=False)
class Made:
    """What visiting a node that reaches outside gave: variables, branch, and what to show of it."""

    writes: dict[str, Any] = field(default_factory=dict)
    branch: Any = None
    prompt: str | None = None
    completions: list[dict[str, Any]] = field(default_factory=list)
    replayed: bool = False
    error: str = ""

    @classmethod
    def of_failure(cls, error: Exception) -> "Made":
        """Return what is shown of a failed visit: its prompt and completions stay, its variables do not."""
        made = getattr(error, "made", None) or cls()
        return cls(prompt=made.prompt, completions=made.completions, replayed=made.replayed, error=str(error))


@dataclass(slots=True, eq=False)
class LoopState:
    """One stay in a loop."""

    turns: int = 0
    steps: int = 0
    tokens: int = 0
    money: float = 0.0
    began: float = 0.0
    seen: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Account:
    """What a node with a budget of its own has spent in all its visits, what it calls included."""

    frame: "Frame"
    step: Step
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0  # of visits that have ended
    began: float | None = None  # of the visit under way

    def elapsed(self) -> float:
        return self.seconds + (0.0 if self.began is None else time.monotonic() - self.began)

    def check(self) -> None:
        """Stop when the budget is used up."""
        if over := overspent(self.step.node.budget, self.usage, self.elapsed()):
            visit = self.frame.visits.get(self.step.id, 1)
            raise Stop(exhausted=self.frame.exhausted(*over, self.step, visit))


class Execution:
    """One run of a chart for one key; what all its frames share."""

    __slots__ = (
        "asked_as",
        "began",
        "changes",
        "events",
        "key",
        "lineage",
        "memory",
        "position",
        "problem",
        "seeds",
        "traced",
        "waiting",
    )

    def __init__(
        self, key: str, *, lineage: Sequence[str], changes: Mapping[str, Change], problem: Problem | None, traced: bool
    ):
        self.key, self.lineage, self.changes = key, tuple(lineage), changes
        self.problem, self.traced = problem, traced
        self.asked_as = self.lineage[-1] if len(self.lineage) == 1 else f"{self.lineage[-1]}/{key}"
        self.began = time.monotonic()
        self.events: list[dict[str, Any]] = []
        self.position = 0
        self.seeds: Callable[[str], int] | None = None  # by address; made by the first visit that draws
        self.waiting: list[Waiting] = []
        self.memory: dict[str, Any] = {}  # places of its own, by name


class Frame:
    """The variables and counters of one chart being executed; a called chart has a frame of its own."""

    __slots__ = (
        "accounts",
        "began",
        "budget",
        "caller",
        "depth",
        "execution",
        "loops",
        "metered",
        "most_steps",
        "parent",
        "prefix",
        "program",
        "spent",
        "usage",
        "values",
        "visits",
    )

    def __init__(
        self,
        execution: Execution,
        program: Program,
        values: dict[str, Any],
        *,
        prefix: str = "",
        parent: "Frame | None" = None,
        caller: Step | None = None,
        budget: Budget | None = None,
    ):
        self.execution, self.program, self.values = execution, program, values
        self.prefix, self.parent, self.caller = prefix, parent, caller
        self.visits: dict[str, int] = {}
        self.loops: dict[Bound, LoopState] = {}
        self.spent: dict[str, Account] = {}  # by nodes that have a budget
        self.accounts: tuple[Account, ...] = ()  # of the nodes that this frame is called from
        if parent is not None and caller is not None:
            own = parent.spent.get(caller.id)
            self.accounts = parent.accounts if own is None else (*parent.accounts, own)
        self.usage = Usage()
        self.budget = budget or program.chart.budget
        self.depth = parent.depth + 1 if parent else 0
        self.began = time.monotonic()
        # Looked at on every step, so worked out here: a bound of steps alone needs one comparison.
        others = any(getattr(self.budget, name) is not None for name in ("tokens", "seconds", "money"))
        called = parent is not None and (parent.metered or parent.most_steps < math.inf)
        self.metered = others or called or bool(self.accounts)
        self.most_steps = math.inf if self.budget.steps is None else self.budget.steps

    def address(self, step: Step, visit: int) -> str:
        """Return the address of a visit: the path of visits that leads to it."""
        return f"{self.prefix}{step.id}" if visit == 1 else f"{self.prefix}{step.id}#{visit}"

    def charge(self, prompt_tokens: int, completion_tokens: int, money: float, node: str) -> None:
        """Add a call to this frame, to those it was called from, and to the node's own account."""
        frame: Frame | None = self
        while frame is not None:
            _add(frame.usage, prompt_tokens, completion_tokens, money)
            frame = frame.parent
        if node in self.spent:
            _add(self.spent[node].usage, prompt_tokens, completion_tokens, money)
        for account in self.accounts:
            _add(account.usage, prompt_tokens, completion_tokens, money)

    def check_budgets(self, step: Step, visit: int) -> None:
        """Stop when a budget of this frame or of one that it was called from is used up."""
        frame: Frame | None = self
        while frame is not None:
            if frame.budget:
                seconds = time.monotonic() - frame.began if frame.budget.seconds is not None else 0.0
                if over := overspent(frame.budget, frame.usage, seconds):
                    raise Stop(exhausted=self.exhausted(*over, step, visit, chart=frame.program.chart.name))
            frame = frame.parent
        for account in self.accounts:
            account.check()

    def enter_node(self, step: Step) -> None:
        """Begin a visit of a node that may have a budget of its own; stop when that is used up."""
        if step.node.budget:
            account = self.spent.get(step.id)
            if account is None:
                account = self.spent[step.id] = Account(self, step)
            account.usage.steps += 1
            account.check()
            account.began = time.monotonic()

    def leave_node(self, step: Step) -> None:
        """End such a visit."""
        if step.node.budget:
            account = self.spent[step.id]
            account.seconds, account.began = account.elapsed(), None

    def check_call(self, step: Step, visit: int) -> None:
        """Stop when a budget that a call made now counts towards is used up."""
        if self.metered:
            self.check_budgets(step, visit)
        if (account := self.spent.get(step.id)) is not None:
            account.check()

    def seconds_left(self, step: Step) -> float | None:
        """Return how long a call may take before a budget of seconds ends, None when there is none."""
        left: list[float] = []
        now = time.monotonic()
        frame, at = self, step
        while True:
            if frame.budget.seconds is not None:
                left.append(frame.budget.seconds - (now - frame.began))
            if at.node.budget.seconds is not None and at.id in frame.spent:
                left.append(at.node.budget.seconds - frame.spent[at.id].elapsed())
            for bound in at.bounds:
                if bound.budget.seconds is not None and bound in frame.loops:
                    left.append(bound.budget.seconds - (now - frame.loops[bound].began))
            if frame.parent is None or frame.caller is None:
                return max(0.0, min(left)) if left else None
            frame, at = frame.parent, frame.caller

    def check_time(self, step: Step, visit: int) -> None:
        """Stop for the budget of seconds that has ended, of this frame or of one that it was called from."""
        self.check_call(step, visit)
        frame, at = self, step
        while True:
            for bound in at.bounds:
                limit = bound.budget.seconds
                if limit is None or bound not in frame.loops:
                    continue
                if (spent := time.monotonic() - frame.loops[bound].began) >= limit:
                    stopped = self.exhausted("seconds", limit, round(spent, 3), step, visit, loop=bound.name)
                    raise Stop(exhausted=stopped, loop=(frame, bound))
            if frame.parent is None or frame.caller is None:
                return
            frame, at = frame.parent, frame.caller

    def enter(self, bound: Bound) -> None:
        """Begin a stay in a loop."""
        self.loops[bound] = LoopState(
            steps=self.usage.steps, tokens=self.usage.tokens, money=self.usage.money, began=time.monotonic()
        )

    def turn(self, bound: Bound) -> tuple[str, float, float] | None:
        """Count a turn of a loop; return (budget, limit, spent) when it may not come round again."""
        state = self.loops.get(bound)
        if state is None:
            self.enter(bound)
            state = self.loops[bound]
        state.turns += 1
        budget = bound.budget
        if budget:
            if budget.turns is not None and state.turns >= budget.turns:
                return "turns", budget.turns, state.turns
            usage = self.usage
            spent = Usage(steps=usage.steps - state.steps, completion_tokens=usage.tokens - state.tokens)
            spent.money = usage.money - state.money
            if over := overspent(budget, spent, time.monotonic() - state.began):
                return over
        now = json.dumps([self.values.get(name) for name in bound.written])
        seen = state.seen[now] = state.seen.get(now, 0) + 1
        most = SAME_STATES_WITH_SAMPLING if bound.sampled else 2
        return ("state", most, seen) if seen >= most else None

    def exhausted(
        self, budget: str, limit: float, spent: float, step: Step, visit: int, *, loop: str = "", chart: str = ""
    ) -> Exhausted:
        """Describe what ran out at a visit."""
        loop = loop or (step.bounds[0].name if step.bounds else "")
        return Exhausted(
            budget=budget,
            limit=limit,
            spent=spent,
            chart=chart or self.program.chart.name,
            node=step.id,
            address=self.address(step, visit),
            loop=loop,
            values=dict(self.values),
        )


def overspent(budget: Budget, usage: Usage, seconds: float) -> tuple[str, float, float] | None:
    """Return (budget, limit, spent) of the first bound that is passed.

    Steps may reach their bound and not pass it; tokens, seconds and money end the execution once they reach it.
    """
    if budget.steps is not None and usage.steps > budget.steps:
        return "steps", budget.steps, budget.steps  # the visit that was refused is not one
    if budget.tokens is not None and usage.tokens >= budget.tokens:
        return "tokens", budget.tokens, usage.tokens
    if budget.seconds is not None and seconds >= budget.seconds:
        return "seconds", budget.seconds, round(seconds, 3)
    if budget.money is not None and usage.money >= budget.money:
        return "money", budget.money, round(usage.money, 6)
    return None


def _add(usage: Usage, prompt_tokens: int, completion_tokens: int, money: float) -> None:
    usage.calls += 1
    usage.prompt_tokens += prompt_tokens
    usage.completion_tokens += completion_tokens
    usage.money += money
