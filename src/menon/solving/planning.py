"""Plans as data: waves of tool calls that may run together, and the books of plan-execute-replan.

The first kind is a parsed plan of calls (`menon.grading.plans`): what is wrong with it, which tasks are ready, and
which can run at once. The second is a list of steps with a success test each, as a JSON-able value that every operation
returns anew: a failed step asks for a new plan, of which there are at most `max_replans`. Places count from 0.
Left out: running anything, and asking a model for the plan.
Source: the waves follow LLMCompiler, Kim et al. 2023, arXiv:2312.04511.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from menon.core.errors import ConfigError, DataError
from menon.grading.plans import ParsedPlan, Task, fill, parse_plan

__all__ = [
    "ParsedPlan",
    "Task",
    "fill",
    "parse_plan",
    "plan_done",
    "plan_mark",
    "plan_new",
    "plan_next",
    "plan_replan",
    "plan_state",
    "ready",
    "troubles",
    "waves",
]

Plan = dict[str, Any]

MOST_STEPS = 100


def troubles(tasks: Sequence[Task], tools: Collection[str] | None = None) -> list[str]:
    """Say what keeps a plan from being run, in words for the model that wrote it; nothing if all is well."""
    numbers = [task.number for task in tasks]
    found = [f"task {n} is there {numbers.count(n)} times; give each its own number" for n in _repeated(numbers)]
    for task in tasks:
        for used in task.uses:
            if used == task.number:
                found.append(f"task {task.number} uses its own result ${used}")
            elif used not in numbers:
                known = ", ".join(map(str, numbers))
                found.append(f"task {task.number} uses ${used}, and there is no task {used}; tasks: {known}")
        if tools is not None and task.tool not in tools:
            found.append(f"task {task.number} calls {task.tool!r}; tools: {', '.join(sorted(tools))}")
    cycle = _cycle(tasks)
    if cycle:
        found.append(f"tasks wait for each other: {' -> '.join(map(str, cycle))}; a task may use only earlier results")
    return found


def ready(tasks: Sequence[Task], done: Collection[int]) -> list[Task]:
    """Return the tasks that are not done and use only results of tasks that are."""
    return [task for task in tasks if task.number not in done and all(used in done for used in task.uses)]


def waves(tasks: Sequence[Task]) -> list[list[Task]]:
    """Return the tasks in waves: each wave uses only results of the waves before it, and as many run at once as can.

    Raises:
        DataError: a plan that cannot be run, with every reason.
    """
    found = troubles(tasks)
    if found:
        raise DataError(f"the plan cannot be run: {'; '.join(found)}")
    done: set[int] = set()
    result: list[list[Task]] = []
    while wave := ready(tasks, done):
        result.append(wave)
        done.update(task.number for task in wave)
    return result


def plan_new(steps: Sequence[str], *, max_replans: int = 2) -> Plan:
    """Return a plan with all steps open."""
    if max_replans < 0:
        raise ConfigError(f"max_replans is {max_replans!r}; allowed: 0 or more")
    return {"steps": [_step(text) for text in _checked(steps)], "replans": 0, "max_replans": max_replans, "past": []}


def plan_mark(plan: Plan, index: int, ok: bool, note: str = "") -> Plan:
    """Record how step `index` ended; `note` keeps what it found, or why it failed."""
    if isinstance(index, bool) or not 0 <= index < len(plan["steps"]):
        raise ConfigError(f"step {index!r}; allowed: 0 to {len(plan['steps']) - 1}")
    steps = list(plan["steps"])
    if steps[index]["state"] != "open":
        raise ConfigError(f"step {index} is {steps[index]['state']} already; mark what plan_next returns")
    steps[index] = {**steps[index], "state": "done" if ok else "failed", "note": note}
    return {**plan, "steps": steps}


def plan_next(plan: Plan) -> int | None:
    """Return the first open step; None when all are done, or when one has failed and a new plan is needed first."""
    if any(step["state"] == "failed" for step in plan["steps"]):
        return None
    return next((at for at, step in enumerate(plan["steps"]) if step["state"] == "open"), None)


def plan_replan(plan: Plan, steps: Sequence[str]) -> Plan:
    """Keep the steps that are done, put the failed ones among the past, and go on with `steps`.

    Raises:
        ConfigError: no replan is left; ask `plan_state` first.
    """
    if plan["replans"] >= plan["max_replans"]:
        raise ConfigError(f"the plan was changed {plan['replans']} times; allowed: {plan['max_replans']} (max_replans)")
    kept = [step for step in plan["steps"] if step["state"] == "done"]
    failed = [{**step, "replan": plan["replans"]} for step in plan["steps"] if step["state"] == "failed"]
    new = [_step(text) for text in _checked(steps)]
    return {**plan, "steps": [*kept, *new], "replans": plan["replans"] + 1, "past": [*plan["past"], *failed]}


def plan_done(plan: Plan) -> bool:
    """Tell whether every step succeeded."""
    return all(step["state"] == "done" for step in plan["steps"])


def plan_state(plan: Plan) -> str:
    """Return "done", "running", "replan" (a step failed, a new plan is allowed) or "exhausted" (it is not)."""
    if plan_done(plan):
        return "done"
    if plan_next(plan) is not None:
        return "running"
    return "replan" if plan["replans"] < plan["max_replans"] else "exhausted"


def _step(text: str) -> dict[str, str]:
    return {"text": text, "state": "open", "note": ""}


def _checked(steps: Sequence[str]) -> list[str]:
    kept = [text.strip() for text in steps if text.strip()]
    if not 1 <= len(kept) <= MOST_STEPS:
        raise ConfigError(f"a plan of {len(kept)} steps; allowed: 1 to {MOST_STEPS}")
    return kept


def _repeated(numbers: Sequence[int]) -> list[int]:
    return [number for number in dict.fromkeys(numbers) if numbers.count(number) > 1]


def _cycle(tasks: Sequence[Task]) -> list[int]:
    """Return one cycle of at least two tasks, its first task repeated at the end; nothing where there is none."""
    uses: Mapping[int, list[int]] = {
        task.number: [used for used in task.uses if used != task.number] for task in reversed(tasks)
    }
    finished: set[int] = set()
    for start in uses:
        line, waiting = [start], [iter(uses[start])]
        while line:
            used = next(waiting[-1], None)
            if used is None:
                finished.add(line.pop())
                waiting.pop()
            elif used in line:
                return [*line[line.index(used) :], used]
            elif used in uses and used not in finished:
                line.append(used)
                waiting.append(iter(uses[used]))
        finished.add(start)
    return []
