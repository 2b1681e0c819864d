"""Forks: branches run at once and meet at the join, whatever lies between, in any order of their answers."""

import asyncio
import itertools
from typing import Any

import pytest
from scripted_charts import Scripted, ask, chart_of, compute, execute, text_of

from menon.core.values import Completion
from menon.flowcharts.journal import Memory

TAKES = "- takes: x (number)\n- returns: "


class Ordered:
    """A model that answers its prompts one after the other in a given order, once all of them are in flight."""

    name = "ordered"

    def __init__(self, order: tuple[str, ...]):
        self.order, self.pending = order, dict[str, asyncio.Event]()
        self.answered: list[str] = []

    def open_conversation(self, **_: Any) -> Any:
        return self

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None

    async def ask_async(self, talk: Any, request: Any) -> list[Completion]:
        prompt = text_of(request)
        self.pending[prompt] = asyncio.Event()
        if len(self.pending) == len(self.order):
            self.pending[self.order[0]].set()
        await self.pending[prompt].wait()
        self.answered.append(prompt)
        asyncio.get_running_loop().call_later(0.002, self._next)
        return [Completion(key=request.key, sample=0, text=prompt)]

    def _next(self) -> None:
        if len(self.answered) < len(self.order):
            self.pending[self.order[len(self.answered)]].set()


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_branches_are_asked_at_once_and_the_order_of_answers_changes_nothing(order: tuple[str, ...]) -> None:
    diagram = (
        "start([q]) --> f((fork)) --> a[a] --> join[/join/] --> done([a])\nf --> b[b] --> join\nf --> c[c] --> join"
    )
    sections = {one: ask(one, f"writes: of_{one} (text)") for one in "abc"}
    chart = chart_of(diagram, TAKES + "all", join=compute("all = [of_a, of_b, of_c]"), **sections)
    model = Ordered(order)
    outcome = execute(chart, model, {"x": 0})
    assert outcome.answer == ["a", "b", "c"]
    assert tuple(model.answered) == order
    assert outcome.usage.steps == 7


def test_a_node_waits_for_the_branches_that_lead_to_it_and_for_no_other() -> None:
    """Of three branches `ab` waits for two; it must run while the third has not answered."""
    diagram = """start([q]) --> f((fork)) --> a[a] --> ab[ab] --> join[/join/] --> done([a])
    f --> b[b] --> ab
    f --> c[c] --> join"""
    chart = chart_of(
        diagram,
        TAKES + "all",
        a=ask("a", "writes: va (text)"),
        b=ask("b", "writes: vb (text)"),
        c=ask("c", "writes: vc (text)"),
        ab=ask("{va}{vb}", "writes: vab (text)"),
        join=compute("all = [vab, vc]"),
    )

    class Late(Ordered):
        async def ask_async(self, talk: Any, request: Any) -> list[Completion]:
            prompt = text_of(request)
            here = self.pending.setdefault("ab", asyncio.Event())
            if prompt == "c":
                await here.wait()
            elif prompt == "ab":
                here.set()
            return [Completion(key=request.key, sample=0, text=prompt)]

    assert execute(chart, Late(()), {"x": 0}).answer == ["ab", "c"]


@pytest.mark.parametrize(("x", "path"), [(1, ["low", None]), (5, [None, "high"])])
def test_a_decision_in_a_fork_kills_the_path_not_taken(x: int, path: list[Any]) -> None:
    """`after` waits for both branches of the decision, of which one never comes, and `far` lies on a dead path only."""
    diagram = """start([q]) --> f[/init/] --> pick{x > 3?}
    f --> other[/other/] --> join
    pick -->|no| low[/low/] --> after[/after/] --> join[/join/] --> done([a])
    pick -->|yes| high[/high/] --> far[/far/] --> after"""
    chart = chart_of(
        diagram,
        TAKES + "path",
        f=compute("l = None\nh = None"),
        pick=compute("x > 3"),
        other=compute("o = 1"),
        low=compute('l = "low"'),
        high=compute('h = "high"'),
        far=compute("seen = 1"),
        after=compute("p = [l, h]"),
        join=compute("path = p"),
    )
    journal = Memory()
    outcome = execute(chart, inputs={"x": x}, journal=journal)
    assert outcome.answer == path
    assert ("far" in journal.events["k"]) is (x > 3)
    assert "after" in journal.events["k"]
    assert list(journal.events["k"]).count("join") == 1


@pytest.mark.parametrize("x", [1, 5])
def test_a_decision_may_lead_past_everything_to_the_join(x: int) -> None:
    diagram = """start([q]) --> f[/init/] --> pick{x > 3?} -->|yes| join[/join/] --> done([a])
    pick -->|no| a[/a/] --> b[/b/] --> join
    f --> c[/c/] --> join"""
    chart = chart_of(
        diagram,
        TAKES + "[va, vc]",
        f=compute("va = 0"),
        pick=compute("x > 3"),
        a=compute("va = 1"),
        b=compute("va = va + 1"),
        c=compute("vc = 7"),
        join=compute("joined = 1"),
    )
    assert execute(chart, inputs={"x": x}).answer == [0 if x > 3 else 2, 7]


def test_a_loop_in_a_branch_runs_on_its_own() -> None:
    diagram = """start([q]) --> f[/init/] --> up[/up/] --> more{more?}
    more -->|yes| up
    more -->|no| left[/left/] --> join[/join/] --> done([a])
    f --> down[/down/] --> again{again?}
    again -->|yes| down
    again -->|no| join"""
    chart = chart_of(
        diagram,
        TAKES + "[a, b, c]",
        f=compute("a = 0\nb = 10"),
        up=compute("a = a + 1"),
        more=compute("a < x"),
        left=compute("c = a * 2"),
        down=compute("b = b - 1"),
        again=compute("b > x"),
        join=compute("joined = 1"),
    )
    outcome = execute(chart, inputs={"x": 4})
    assert outcome.answer == [4, 4, 8]
    assert outcome.usage.steps == 2 + 2 * 4 + 1 + 2 * 6 + 2


def test_loops_within_a_loop_of_a_branch_and_a_fork_within_it() -> None:
    diagram = """start([q]) --> f[/init/] --> outer[/outer/] --> g((g)) --> p[/p/] --> meet[/meet/]
    g --> q[/q/] --> meet
    meet --> inner[/inner/] --> more{more?}
    more -->|yes| inner
    more -->|no| rounds{rounds?}
    rounds -->|yes| outer
    rounds -->|no| join[/join/] --> done([a])
    f --> c[/c/] --> join"""
    chart = chart_of(
        diagram,
        TAKES + "[i, vp, vq, k, vc]",
        f=compute("i = 0\nk = 0\nvp = 0\nvq = 0\nm = 0"),
        outer=compute("i = i + 1\nj = 0"),
        p=compute("vp = vp + 1"),
        q=compute("vq = vq + 2"),
        meet=compute("m = vp + vq"),
        inner=compute("j = j + 1\nk = k + 1"),
        more=compute("j < 3"),
        rounds=compute("i < x"),
        c=compute("vc = 1"),
        join=compute("joined = 1"),
    )
    assert execute(chart, inputs={"x": 4}).answer == [4, 4, 8, 12, 1]


def test_forks_within_forks_meet_from_the_inside_out() -> None:
    diagram = """start([q]) --> f((f)) --> a[/a/] --> join[/join/] --> done([a])
    f --> g((g)) --> b[/b/] --> inner[/inner/] --> join
    g --> h((h)) --> c[/c/] --> inmost[/inmost/] --> inner
    h --> d[/d/] --> inmost"""
    chart = chart_of(
        diagram,
        TAKES + "total",
        a=compute("va = x"),
        b=compute("vb = x * 10"),
        c=compute("vc = x * 100"),
        d=compute("vd = x * 1000"),
        inmost=compute("vi = vc + vd"),
        inner=compute("vn = vi + vb"),
        join=compute("total = vn + va"),
    )
    assert execute(chart, inputs={"x": 3}).answer == 3333


def test_the_join_of_a_fork_may_be_the_head_of_the_loop_around_it() -> None:
    """The loop must come round once per fork: its budget counts it, and the same state is noticed."""
    diagram = """start([q]) --> top{go on?} -->|no| done([a])
    top -->|yes| f((f)) --> a[/a/] --> top
    f --> b[/b/] --> top"""
    head = "- takes: x (number), va (number) = 0, vb (number) = 0\n- returns: [va, vb]"
    parts = {"a": compute("va = va + 1"), "b": compute("vb = vb + 2", "loop budget: 5 turns"), "top": compute("va < x")}
    chart = chart_of(diagram, head, **parts)
    assert execute(chart, inputs={"x": 4}).answer == [4, 8]
    stopped = execute(chart, inputs={"x": 400})
    assert stopped.status == "partial"
    assert stopped.exhausted is not None
    assert (stopped.exhausted.budget, stopped.exhausted.spent, stopped.answer) == ("turns", 5, [5, 10])
    assert all(node in stopped.exhausted.loop for node in ("top", "f", "a", "b"))
    still = chart_of(diagram, head, **{**parts, "a": compute("va = 0"), "b": compute("vb = 0")})
    same = execute(still, inputs={"x": 4})
    assert same.exhausted is not None
    assert same.exhausted.budget == "state"
    assert same.usage.steps < 12


def test_a_failed_edge_within_a_branch_leads_on() -> None:
    diagram = """start([q]) --> f((f)) --> a[a] --> join[/join/] --> done([a])
    a -->|failed| mend[/mend/] --> join
    f --> b[/b/] --> join"""
    chart = chart_of(
        diagram,
        TAKES + "[va, vb]",
        a=ask("{x}", "writes: va (number)"),
        mend=compute("va = -1"),
        b=compute("vb = 2"),
        join=compute("joined = 1"),
    )
    assert execute(chart, Scripted(), {"x": 3}).answer == [3, 2]
    assert execute(chart, Scripted(lambda *_: "none"), {"x": 3}).answer == [-1, 2]


def test_a_branch_that_stops_lets_the_others_finish_what_they_began() -> None:
    diagram = """start([q]) --> f((f)) --> a[a] --> join[/join/] --> done([a])
    f --> b[b] --> c[c] --> join"""
    chart = chart_of(
        diagram,
        TAKES + "va",
        a=ask("a", "writes: va (number)"),
        b=ask("b 1", "writes: vb (number)"),
        c=ask("c 2", "writes: vc (number)"),
        join=compute("joined = 1"),
    )
    journal = Memory()
    outcome = execute(chart, Scripted(), {"x": 0}, journal=journal)
    assert (outcome.status, outcome.address) == ("failed", "a")
    assert {address for _, address, _ in journal.calls} == {"a", "b", "c"}
    assert outcome.values["vb"] == 1
    assert outcome.values["vc"] == 2


def test_a_fork_of_a_map_is_counted_once_in_the_events() -> None:
    diagram = "start([q]) --> go{{each}} --> a[/a/] --> done([a])\ngo --> b[/b/] --> done"
    chart = chart_of(
        diagram,
        TAKES + "y",
        go=compute("y = item", "over: [1, 2, 3]", "writes: y"),
        a=compute("va = 1"),
        b=compute("vb = 1"),
    )
    journal = Memory()
    execute(chart, inputs={"x": 1}, journal=journal)
    events = journal.events["k"]
    assert [address for address, event in events.items() if "forks" in event] == ["go"]
    assert [list(one) for one in events["go"]["forks"]] == [["a", ""], ["b", ""]]


def test_two_hundred_branches() -> None:
    lines = "\n".join(f"f --> n{i}[/n{i}/] --> join" for i in range(200))
    chart = chart_of(
        f"start([q]) --> f((f))\n{lines}\njoin[/join/] --> done([a])",
        TAKES + "total",
        **{f"n{i}": compute(f"v{i} = x + {i}") for i in range(200)},
        join=compute("total = sum([" + ", ".join(f"v{i}" for i in range(200)) + "])"),
    )
    assert execute(chart, inputs={"x": 1}).answer == 200 + 199 * 100
