"""Whatever runs out, an execution ends in a partial result that names what, where and how far it came."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from scripted_charts import Scripted, ask, chart_of, chart_text, compute, execute

from menon.core.values import Completion
from menon.flowcharts.calling import Prices
from menon.flowcharts.chart import Budget
from menon.flowcharts.check import require
from menon.flowcharts.document import Library
from menon.flowcharts.outcome import Exhausted, Outcome

LOOP = "start([q]) --> draft[draft] --> review{good?}\nreview -->|no| draft\nreview -->|yes| done([a])"


def ran_out(outcome: Outcome) -> Exhausted:
    """Return what ran out of an execution that ended in a partial result."""
    assert outcome.status == "partial", outcome
    assert outcome.exhausted is not None
    assert str(outcome.exhausted) == outcome.error
    assert outcome.address == outcome.exhausted.address
    return outcome.exhausted


def loop(head: str = "", draft: str = "temperature: 1", review: str = "") -> Any:
    """Return a loop of two calls that its model never ends."""
    more = [review] if review else []
    return chart_of(
        LOOP,
        '- takes: question (text) = "q"\n- returns: draft' + (f"\n- budget: {head}" if head else ""),
        draft=ask("{question}", "writes: draft (text)", draft),
        review=ask("Is {draft} good?", *more),
    )


def endless(tokens: int = 10) -> Scripted:
    """Return a model that finds every draft bad; each draft is another one, and each call costs `tokens`."""
    numbers = iter(range(10**6))
    return Scripted(lambda prompt, _: "no" if prompt.startswith("Is") else f"draft {next(numbers)}", tokens=tokens)


class Hanging:
    """A model that answers its first `answers` calls and then never again."""

    name = "hanging"

    def __init__(self, answers: int = 0):
        self.left = answers

    def open_conversation(self, **_: Any) -> Any:
        return self

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None

    async def ask_async(self, talk: Any, request: Any) -> list[Completion]:
        self.left -= 1
        if self.left < 0:
            await asyncio.sleep(3600)
        return [Completion(key=request.key, sample=0, text=f"no {self.left}")]


@pytest.mark.parametrize(
    ("head", "budget", "limit", "spent", "calls"),
    [("9 steps", "steps", 9, 9, 8), ("95 tokens", "tokens", 95, 100, 10), ("0.001 money", "money", 0.001, 0.001, 5)],
)
def test_a_budget_of_the_chart_ends_it(head: str, budget: str, limit: float, spent: float, calls: int) -> None:
    outcome = execute(loop(head), endless(), prices=Prices(completion=20.0))
    what = ran_out(outcome)
    assert (what.budget, what.limit, what.spent, what.chart) == (budget, limit, spent, "chart")
    assert outcome.usage.calls == calls
    assert what.node in ("draft", "review")
    assert set(what.loop.split(" → ")) == {"draft", "review"}
    assert outcome.answer == what.values["draft"] == f"draft {(calls - 1) // 2}"
    assert f"{spent:g} of {limit:g} {budget}" in outcome.error


@pytest.mark.parametrize("bounds", [Budget(steps=9), Budget(tokens=95), Budget(money=0.001)])
def test_a_budget_of_the_execution_holds_beside_that_of_the_chart(bounds: Budget) -> None:
    outcome = execute(loop("100000 tokens"), endless(), budget=bounds, prices=Prices(completion=20.0))
    assert getattr(bounds, ran_out(outcome).budget) is not None


def test_ten_thousand_steps_are_the_most_where_nothing_is_said() -> None:
    chart = chart_of(
        "start([q]) --> up[/up/] --> more{more?}\nmore -->|yes| up\nmore -->|no| done([a])",
        "- takes: x (number) = 0\n- returns: x",
        up=compute("x = x + 1"),
        more=compute("x >= 0"),
    )
    outcome = execute(chart)
    what = ran_out(outcome)
    assert (what.budget, what.limit, outcome.answer) == ("steps", 10_000, 5_000)


def test_steps_may_reach_their_bound() -> None:
    chart = chart_of(
        "start([q]) --> a[/a/] --> done([a])", "- takes: x = 1\n- returns: y\n- budget: 3 steps", a=compute("y = x")
    )
    assert execute(chart).status == "answered"
    assert ran_out(execute(chart, budget=Budget(steps=2))).node == "done"


@pytest.mark.parametrize("head", ["0.2 seconds", ""])
def test_a_model_that_hangs_is_left_when_the_seconds_are_over(head: str) -> None:
    chart = loop(head)
    began = time.monotonic()
    outcome = execute(chart, Hanging(3), budget=None if head else Budget(seconds=0.2))
    what = ran_out(outcome)
    assert (what.budget, what.limit, what.node, what.address) == ("seconds", 0.2, "review", "review#2")
    assert 0.2 <= what.spent < 5
    assert time.monotonic() - began < 8
    assert outcome.answer == "no 0"


def test_a_model_that_hangs_in_a_map_loses_no_item_that_came() -> None:
    chart = chart_of(
        "start([q]) --> go{{each}} --> done([a])",
        "- takes: n (number)\n- returns: x\n- budget: 0.2 seconds",
        go=ask("{item}", "over: range(n)", "writes: x (text)"),
    )
    outcome = execute(chart, Hanging(3), {"n": 5})
    assert ran_out(outcome).budget == "seconds"
    assert outcome.usage.calls == 3


@pytest.mark.parametrize("sampled", [True, False])
def test_a_loop_budget_of_turns_counts_how_often_the_loop_comes_round(sampled: bool) -> None:
    outcome = execute(loop(review="loop budget: 4 turns", draft=f"temperature: {int(sampled)}"), endless())
    what = ran_out(outcome)
    assert (what.budget, what.limit, what.spent, outcome.usage.calls) == ("turns", 4, 4, 8)


@pytest.mark.parametrize(
    ("setting", "budget", "calls"), [("45 tokens", "tokens", 6), ("7 steps", "steps", 8), ("0.001 money", "money", 6)]
)
def test_other_loop_budgets_are_looked_at_when_the_loop_comes_round(setting: str, budget: str, calls: int) -> None:
    outcome = execute(loop(review=f"loop budget: {setting}"), endless(), prices=Prices(completion=20.0))
    assert ran_out(outcome).budget == budget
    assert outcome.usage.calls == calls
    assert set(ran_out(outcome).loop.split(" → ")) == {"draft", "review"}


def test_a_loop_budget_counts_from_where_the_loop_is_entered() -> None:
    head = "- takes: goal (number)\n- returns: [outer, total]"
    diagram = """start([q]) --> zero[/0/] --> next[/outer/] --> again{again?}
    again -->|no| done([a])
    again -->|yes| fresh[/fresh/] --> work[/inner/] --> more{more?}
    more -->|yes| work
    more -->|no| next"""
    chart = chart_of(
        diagram,
        head,
        zero=compute("outer = 0\ntotal = 0"),
        next=compute("outer = outer + 1"),
        again=compute("outer <= goal"),
        fresh=compute("inner = 0"),
        work=compute("inner = inner + 1\ntotal = total + 1", "loop budget: 4 turns"),
        more=compute("inner < 4"),
    )
    assert execute(chart, inputs={"goal": 20}).answer == [21, 80], "three turns in each of twenty stays"


def test_a_loop_budget_of_seconds_ends_a_model_that_hangs() -> None:
    outcome = execute(loop(review="loop budget: 0.2 seconds"), Hanging(2))
    what = ran_out(outcome)
    assert (what.budget, what.limit) == ("seconds", 0.2)
    assert set(what.loop.split(" → ")) == {"draft", "review"}
    assert outcome.answer == "no 1"


def test_a_loop_whose_seconds_end_takes_its_limit_edge() -> None:
    chart = chart_of(
        LOOP + "\nreview -->|limit| enough[/enough/] --> done",
        '- takes: question (text) = "q"\n- returns: draft',
        draft=ask("{question}", "writes: draft (text)"),
        review=ask("Is {draft} good?", "loop budget: 0.2 seconds"),
        enough=compute('draft = "enough of " + draft'),
    )
    outcome = execute(chart, Hanging(2))
    assert (outcome.status, outcome.answer) == ("answered", "enough of no 1")


@pytest.mark.parametrize(
    ("setting", "budget", "visits"), [("3 steps", "steps", 3), ("25 tokens", "tokens", 3), ("0.0005 money", "money", 3)]
)
def test_a_budget_of_a_node_holds_for_all_its_visits(setting: str, budget: str, visits: int) -> None:
    model = endless()
    outcome = execute(loop(draft=f"budget: {setting}"), model, prices=Prices(completion=20.0))
    what = ran_out(outcome)
    assert (what.budget, what.node, what.address) == (budget, "draft", f"draft#{visits + 1}")
    assert sum(not prompt.startswith("Is") for prompt in model.prompts) == visits


def test_a_budget_of_seconds_of_a_node_ends_a_model_that_hangs() -> None:
    outcome = execute(loop(draft="budget: 0.2 seconds"), Hanging(2))
    what = ran_out(outcome)
    assert (what.budget, what.limit, what.node, what.address) == ("seconds", 0.2, "draft", "draft#2")


def test_a_limit_without_an_edge_ends_in_a_partial_result() -> None:
    outcome = execute(loop(review="limit: 3"), endless())
    what = ran_out(outcome)
    assert (what.budget, what.limit, what.spent, what.node, what.address) == ("visits", 3, 3, "review", "review#4")


def nested(folder: Path, inner: str, outer: str = "", calling: str = "") -> Any:
    """Return a chart that calls a loop which its model never ends."""
    head = "- takes: question (text)\n- returns: draft"
    text = chart_text(
        LOOP,
        head + inner,
        draft=ask("{question}", "writes: draft (text)", "temperature: 1"),
        review=ask("Is {draft} good?"),
    )
    (folder / "inner.md").write_text(text)
    text = chart_text(
        "start([q]) --> before[/b/] --> go[[inner]] --> done([a])",
        "- takes: question (text)\n- returns: draft" + outer,
        before=compute('draft = "nothing yet"'),
        go="- call: inner\n- writes: draft" + calling,
    )
    (folder / "outer.md").write_text(text)
    return require(Library([folder]).load("outer"))


@pytest.mark.parametrize(
    ("inner", "outer", "calling", "chart", "budget", "limit"),
    [
        ("\n- budget: 7 steps", "", "", "inner", "steps", 7),
        ("\n- budget: 7 steps", "\n- budget: 5 steps", "", "outer", "steps", 5),
        ("\n- budget: 5 steps", "\n- budget: 50 steps", "", "inner", "steps", 5),
        ("", "\n- budget: 35 tokens", "", "outer", "tokens", 35),
        ("\n- budget: 25 tokens", "\n- budget: 35 tokens", "", "inner", "tokens", 25),
        ("", "", "\n- budget: 35 tokens", "outer", "tokens", 35),
        ("", "", "\n- budget: 9 steps", "outer", "steps", 9),
        ("", "", "\n- budget: 0.0005 money", "outer", "money", 0.0005),
    ],
)
def test_a_called_chart_keeps_within_every_budget_around_it(
    tmp_path: Path, inner: str, outer: str, calling: str, chart: str, budget: str, limit: float
) -> None:
    outcome = execute(
        nested(tmp_path, inner, outer, calling), endless(), {"question": "q"}, prices=Prices(completion=20.0)
    )
    what = ran_out(outcome)
    assert (what.chart, what.budget, what.limit) == (chart, budget, limit)
    assert what.limit <= what.spent <= what.limit + 10
    assert outcome.answer == "nothing yet", "the answer so far is that of the outer chart"
    assert what.address.startswith("go")


@pytest.mark.parametrize(("outer", "calling"), [("\n- budget: 0.2 seconds", ""), ("", "\n- budget: 0.2 seconds")])
def test_seconds_of_what_calls_a_chart_end_a_model_that_hangs_in_it(tmp_path: Path, outer: str, calling: str) -> None:
    outcome = execute(nested(tmp_path, "", outer, calling), Hanging(3), {"question": "q"})
    what = ran_out(outcome)
    assert (what.budget, what.limit, what.chart) == ("seconds", 0.2, "outer")


# Loops that come round in the state they had


def test_a_loop_without_sampling_stops_when_its_state_comes_again() -> None:
    model = Scripted(lambda prompt, _: "no" if prompt.startswith("Is") else "the same")
    what = ran_out(execute(loop(draft="temperature: 0"), model))
    assert (what.budget, what.spent) == ("state", 2)
    assert "2 times in the same state" in str(what)
    assert len(model.asked) == 4


@pytest.mark.parametrize(
    ("draft", "around"), [("temperature: 0.5", 0.0), ("max tokens: 9", 0.5), ("temperature: t", 0.0)]
)
def test_a_loop_that_samples_may_pass_the_same_state_several_times(draft: str, around: float) -> None:
    chart = chart_of(
        LOOP,
        '- takes: question (text) = "q", t (number) = 0.4\n- returns: draft',
        draft=ask("{question}", "writes: draft (text)", draft),
        review=ask("Is {draft} good?", "temperature: 0"),
    )
    model = Scripted(lambda prompt, _: "no" if prompt.startswith("Is") else "the same")
    what = ran_out(execute(chart, model, temperature=around))
    assert (what.budget, what.spent, len(model.asked)) == ("state", 8, 16)


def test_states_of_an_earlier_stay_are_forgotten() -> None:
    diagram = """start([q]) --> zero[/0/] --> next[/outer/] --> again{again?}
    again -->|no| done([a])
    again -->|yes| fresh[/fresh/] --> work[/inner/] --> more{more?}
    more -->|yes| work
    more -->|no| next"""
    chart = chart_of(
        diagram,
        "- takes: goal (number)\n- returns: outer",
        zero=compute("outer = 0"),
        next=compute("outer = outer + 1"),
        again=compute("outer <= goal"),
        fresh=compute("inner = 0"),
        work=compute("inner = inner + 1"),
        more=compute("inner < 3"),
    )
    assert execute(chart, inputs={"goal": 30}).answer == 31


def test_a_cycle_has_a_state_of_more_than_its_last_value() -> None:
    """x goes 1, 2, 3, 1, ...: the state comes again after three turns, not before."""
    chart = chart_of(
        "start([q]) --> up[/up/] --> more{more?}\nmore -->|yes| up\nmore -->|no| done([a])",
        "- takes: x (number) = 0\n- returns: x",
        up=compute("x = x % 3 + 1"),
        more=compute("x > 0"),
    )
    outcome = execute(chart)
    assert ran_out(outcome).budget == "state"
    assert outcome.usage.steps == 1 + 2 * 4
