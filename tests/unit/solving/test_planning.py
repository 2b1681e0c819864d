"""Plans: waves against a definition, every fault named, and the books of replanning."""

import copy
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menon.core.errors import ConfigError, DataError
from menon.grading.plans import Task
from menon.solving.planning import (
    parse_plan,
    plan_done,
    plan_mark,
    plan_new,
    plan_next,
    plan_replan,
    plan_state,
    ready,
    troubles,
    waves,
)


def numbered(text: str) -> list[list[int]]:
    return [[task.number for task in wave] for wave in waves(parse_plan(text).tasks)]


def test_waves_of_a_diamond():
    assert numbered("1. f(a)\n2. g($1)\n3. g($1)\n4. h($2, $3)\n5. f(b)") == [[1, 5], [2, 3], [4]]
    assert numbered("3. f($7)\n7. f(a)") == [[7], [3]]  # the order of writing is no dependency


@given(st.lists(st.sets(st.integers(1, 8), max_size=3), min_size=1, max_size=8))
def test_waves_are_longest_paths(uses: list[set[int]]):
    """The wave of a task is the length of the longest chain of tasks that it waits for."""
    tasks = [
        Task(number=at, tool="f", arguments=(), uses=tuple(sorted(used for used in before if used < at)))
        for at, before in enumerate(uses, start=1)
    ]
    depth: dict[int, int] = {}
    for task in tasks:
        depth[task.number] = max((depth[used] + 1 for used in task.uses), default=0)
    found = {task.number: at for at, wave in enumerate(waves(tasks)) for task in wave}
    assert found == depth


def test_ready_tasks():
    tasks = parse_plan("1. f(a)\n2. g($1)\n3. f(b)").tasks
    assert [task.number for task in ready(tasks, set())] == [1, 3]
    assert [task.number for task in ready(tasks, {1})] == [2, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1. f($1)", "task 1 uses its own result"),
        ("1. f($2)\n3. f(a)", "task 1 uses $2, and there is no task 2; tasks: 1, 3"),
        ("1. f(a)\n1. f(b)", "task 1 is there 2 times"),
        ("1. f($3)\n2. f(a)\n3. f($1)", "tasks wait for each other: 3 -> 1 -> 3"),
        ("1. f($2)\n2. f($3)\n3. f($1)\n4. f($3)", "tasks wait for each other:"),
        ("1. dance(a)", "task 1 calls 'dance'; tools: f, g"),
    ],
)
def test_faults_are_named(text: str, message: str):
    tasks = parse_plan(text).tasks
    assert any(message in found for found in troubles(tasks, {"f", "g"})), troubles(tasks)
    if "calls" not in message:
        with pytest.raises(DataError, match="the plan cannot be run"):
            waves(tasks)


def test_a_named_cycle_is_one():
    tasks = parse_plan("1. f($2)\n2. f($3, $4)\n3. f($1)\n4. f(a)\n5. f($1)").tasks
    line = next(found for found in troubles(tasks) if "each other" in found).partition(": ")[2].partition(";")[0]
    cycle = [int(number) for number in line.split(" -> ")]
    uses = {task.number: task.uses for task in tasks}
    assert cycle[0] == cycle[-1]
    assert len(cycle) == 4
    assert all(after in uses[before] for before, after in itertools.pairwise(cycle))


def test_long_chains_need_no_recursion():
    tasks = [Task(number=at, tool="f", arguments=(), uses=(at - 1,) if at else ()) for at in range(3000)]
    assert troubles(tasks) == []


def test_the_books_of_replanning():
    plan = plan_new(["look", "think", " ", "write"], max_replans=1)
    assert (plan_next(plan), plan_state(plan), len(plan["steps"])) == (0, "running", 3)
    plan = plan_mark(plan, 0, True, "found 7")
    before = copy.deepcopy(plan)
    failed = plan_mark(plan, 1, False, "no idea")
    assert plan == before
    assert (plan_next(failed), plan_state(failed), plan_done(failed)) == (None, "replan", False)
    again = plan_replan(failed, ["ask", "write"])
    assert [(step["text"], step["state"]) for step in again["steps"]] == [
        ("look", "done"),
        ("ask", "open"),
        ("write", "open"),
    ]
    assert again["past"] == [{"text": "think", "state": "failed", "note": "no idea", "replan": 0}]
    assert plan_next(again) == 1
    done = plan_mark(plan_mark(again, 1, True), 2, True)
    assert plan_done(done)
    assert plan_state(done) == "done"
    assert json.loads(json.dumps(done)) == done
    lost = plan_mark(again, 1, False)
    assert plan_state(lost) == "exhausted"
    with pytest.raises(ConfigError, match="allowed: 1"):
        plan_replan(lost, ["more"])


def test_what_is_refused():
    with pytest.raises(ConfigError, match="0 steps"):
        plan_new(["", " "])
    with pytest.raises(ConfigError, match="step 1; allowed: 0 to 0"):
        plan_mark(plan_new(["a"]), 1, True)
    with pytest.raises(ConfigError, match="step 0 is done already"):
        plan_mark(plan_mark(plan_new(["a"]), 0, True), 0, True)
    with pytest.raises(ConfigError, match="max_replans is -1"):
        plan_new(["a"], max_replans=-1)
