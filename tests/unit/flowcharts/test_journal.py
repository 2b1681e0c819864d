"""Resume, replay and fork: nothing finished is done twice, whatever journal it is kept in."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_charts import Scripted, ask, chart_of, chart_text, compute, execute

from menon.core.values import Completion
from menon.flowcharts.chart import Chart
from menon.flowcharts.check import require
from menon.flowcharts.document import Library
from menon.flowcharts.journal import Change, Done, Fork, Memory, Stored, fingerprint
from menon.flowcharts.sandbox import Sandbox
from menon.flowcharts.visiting import person_mark
from menon.store import EventLog

Opened = Callable[[], Any]


@pytest.fixture(params=["memory", "stored", "stored again"])
def journals(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Return what opens the journal: the same one for each session, or a new one on the same file."""
    if request.param == "memory":
        memory = Memory()
        yield lambda: memory
        return
    with EventLog(tmp_path) as log:
        logs = [log]
        kept = Stored(log)

        def again() -> Stored:
            for one in opened:
                one.flush()
            logs.append(EventLog(tmp_path))
            opened.append(Stored(logs[-1]))
            return opened[-1]

        opened: list[Stored] = []
        yield (lambda: kept) if request.param == "stored" else again
        for one in logs[1:]:
            one.close()


def story(**more: str) -> Chart:
    """Return a chart of four calls: a plan, two parts of it at once, and a decision that may go round."""
    sections = {
        "plan": ask("Plan for {question}", "writes: plan (text)"),
        "left": ask("Left of {plan}", "writes: l (text)"),
        "right": ask("Right of {plan}", "writes: r (text)", "n: 2"),
        "both": ask("Join {l} and {join(r)}", "writes: both (text)"),
        "good": ask("Is {both} good?"),
        "again": compute('question = question + "!"'),
        **more,
    }
    diagram = """start([q]) --> plan[plan] --> left[left] --> both[both] --> good{good?}
    plan --> right[right] --> both
    good -->|yes| done([a])
    good -->|no| again[/again/] --> plan"""
    return chart_of(diagram, "- takes: question (text)\n- returns: both", **sections)


def teller(better: str = "!") -> Scripted:
    """Return a model that finds a text good when `better` is in it."""

    def say(prompt: str, sample: int) -> str:
        if prompt.startswith("Is"):
            return "yes" if better in prompt else "no"
        return f"<{prompt}:{sample}>"

    return Scripted(say)


def addresses(journal: Any, execution: str) -> list[str]:
    """Return where an execution has been."""
    if isinstance(journal, Memory):
        return list(journal.events.get(execution, {}))
    journal.flush()
    return journal.addresses(execution)


class Noted(Memory):
    """A journal that notes the order in which calls were finished."""

    def keep(self, calls: Any) -> None:
        self.order = [*getattr(self, "order", []), *calls]
        super().keep(calls)


def test_a_second_run_asks_nothing(journals: Opened) -> None:
    model = teller()
    first = execute(story(), model, {"question": "q"}, journal=journals())
    assert first.status == "answered"
    assert len(model.asked) == 10
    again = execute(story(), model, {"question": "q"}, journal=journals())
    assert len(model.asked) == 10
    assert (again.answer, again.values, again.usage) == (first.answer, first.values, first.usage)


@pytest.mark.parametrize("finished", range(11))
def test_what_was_finished_before_a_kill_is_not_asked_again(journals: Opened, finished: int) -> None:
    noted, model = Noted(), teller()
    whole = execute(story(), model, {"question": "q"}, journal=noted)
    assert len(noted.order) == len(model.asked) == 10
    journals().keep(noted.order[:finished])
    journals().finished("k", {})
    missing = teller()
    outcome = execute(story(), missing, {"question": "q"}, journal=journals())
    assert (outcome.answer, outcome.values, outcome.usage) == (whole.answer, whole.values, whole.usage)
    assert sorted(missing.prompts) == sorted(model.prompts[finished:])


def test_a_replay_needs_no_model(journals: Opened) -> None:
    first = execute(story(), teller(), {"question": "q"}, journal=journals())
    replayed = execute(story(), None, {"question": "q"}, journal=journals(), replay=True)
    assert (replayed.status, replayed.answer) == ("answered", first.answer)


def test_a_replay_tells_what_it_misses_and_no_failed_edge_is_taken_for_it(journals: Opened) -> None:
    execute(story(), teller(), {"question": "q"}, journal=journals())
    changed = story(both=ask("Put together {l} and {r}", "writes: both (text)"))
    outcome = execute(changed, None, {"question": "q"}, journal=journals(), replay=True)
    assert (outcome.status, outcome.address) == ("failed", "both")
    assert "no call 'both' of 'k'" in outcome.error
    assert "without --replay" in outcome.error
    edge = chart_of(
        "start([q]) --> one[ask] --> done([a])\none -->|failed| bad[/bad/] --> done",
        "- takes: question (text)\n- returns: 1",
        one=ask("{question}"),
        bad=compute("x = 1"),
    )
    assert execute(edge, None, {"question": "q"}, key="other", journal=journals(), replay=True).status == "failed"


def test_a_fork_with_a_changed_value_asks_what_depends_on_it(journals: Opened) -> None:
    execute(story(), teller(), {"question": "q"}, journal=journals())
    journals().fork("k~1", Fork(parent="k", change=Change(address="left", values={"l": "LEFT"})))
    model = teller()
    outcome = execute(story(), model, {"question": "q"}, key="k~1", journal=journals())
    right = "<Right of <Plan for q:0>:0>, <Right of <Plan for q:0>:1>"
    assert model.prompts == [f"Join LEFT and {right}", f"Is <Join LEFT and {right}:0> good?"]
    assert outcome.status == "answered"
    assert (
        execute(story(), None, {"question": "q"}, key="k~1", journal=journals(), replay=True).answer == outcome.answer
    )
    original = execute(story(), None, {"question": "q"}, journal=journals(), replay=True)
    assert "LEFT" not in original.answer, "the execution that was forked stays as it was"


def test_a_fork_with_a_changed_prompt_asks_it_and_what_depends_on_it(journals: Opened) -> None:
    execute(story(), teller("q"), {"question": "q"}, journal=journals())
    journals().fork("k~1", Fork(parent="k", change=Change(address="right", prompt="Only right")))
    model = teller("q")
    execute(story(), model, {"question": "q"}, key="k~1", journal=journals())
    assert [prompt[:10] for prompt in model.prompts] == ["Only right", "Join <Left", "Is <Join <"]


def test_a_fork_with_a_changed_branch_goes_the_other_way(journals: Opened) -> None:
    execute(story(), teller("q"), {"question": "q"}, journal=journals())
    journals().fork("k~1", Fork(parent="k", change=Change(address="good", values={"branch": "no"})))
    model = teller("q")
    outcome = execute(story(), model, {"question": "q"}, key="k~1", journal=journals())
    assert len(model.asked) == 5
    assert "q!" in outcome.answer
    assert "again" in addresses(journals(), "k~1")
    assert "again" not in addresses(journals(), "k")


def test_a_fork_that_changes_nothing_that_matters_asks_nothing(journals: Opened) -> None:
    first = execute(story(), teller("q"), {"question": "q"}, journal=journals())
    journals().fork("k~1", Fork(parent="k", change=Change(address="left", values={"l": "<Left of <Plan for q:0>:0>"})))
    model = teller("q")
    assert execute(story(), model, {"question": "q"}, key="k~1", journal=journals()).answer == first.answer
    assert not model.asked


def test_forks_of_forks_keep_what_their_parents_changed(journals: Opened) -> None:
    execute(story(), teller("Join"), {"question": "q"}, journal=journals())
    journals().fork("k~1", Fork(parent="k", change=Change(address="left", values={"l": "L"})))
    execute(story(), teller("Join"), {"question": "q"}, key="k~1", journal=journals())
    journals().fork("k~1~2", Fork(parent="k~1", change=Change(address="right", values={"r": ["R", "S"]})))
    model = teller("Join")
    outcome = execute(story(), model, {"question": "q"}, key="k~1~2", journal=journals())
    assert outcome.answer == "<Join L and R, S:0>"
    assert len(model.asked) == 2
    journals().fork("k~1~3", Fork(parent="k~1", change=Change(address="left", values={"l": "M"})))
    third = execute(story(), teller("Join"), {"question": "q"}, key="k~1~3", journal=journals())
    assert third.answer.startswith("<Join M and "), "the later change of one visit holds"
    journals().fork("k~1~4", Fork(parent="k~1", change=Change(address="good", values={"branch": "yes"})))
    fourth = teller("Join")
    kept = execute(story(), fourth, {"question": "q"}, key="k~1~4", journal=journals())
    assert kept.answer.startswith("<Join L and ")
    assert not fourth.asked


def test_an_item_of_a_map_can_be_changed(journals: Opened) -> None:
    chart = chart_of(
        "start([q]) --> go{{each}} --> done([a])",
        "- takes: items (list)\n- returns: x",
        go=ask("{item}", "over: items", "writes: x (text)"),
    )
    inputs = {"items": ["a", "b", "c"]}
    execute(chart, Scripted(), inputs, journal=journals())
    journals().fork("k~1", Fork(parent="k", change=Change(address="go[2]", values={"x": "B"})))
    journals().fork("k~2", Fork(parent="k", change=Change(address="go[3]", prompt="C")))
    model = Scripted()
    assert execute(chart, model, inputs, key="k~1", journal=journals()).answer == ["a", "B", "c"]
    assert execute(chart, model, inputs, key="k~2", journal=journals()).answer == ["a", "b", "C"]
    assert model.prompts == ["C"]


def test_a_change_of_what_the_node_does_not_write_is_told(journals: Opened) -> None:
    execute(story(), teller(), {"question": "q"}, journal=journals())
    for address, values, allowed in [
        ("left", {"r": 1}, "l"),
        ("good", {"both": "x"}, "branch"),
        ("again", {"b": 1}, "question"),
    ]:
        journals().fork(f"k~{address}", Fork(parent="k", change=Change(address=address, values=values)))
        outcome = execute(story(), teller(), {"question": "q"}, key=f"k~{address}", journal=journals())
        assert outcome.status == "failed"
        assert outcome.error.endswith(f"what can be changed there: {allowed}")


def test_visits_of_a_way_not_taken_any_more_are_forgotten(journals: Opened) -> None:
    chart = chart_of(
        "start([q]) --> one[ask] --> done([a])\none -->|failed| bad[/bad/] --> done",
        "- takes: question (text)\n- returns: x",
        one=ask("{question}", "writes: x (text)"),
        bad=compute('x = "bad"'),
    )
    down = Scripted(lambda *_: Completion(key="", sample=0, finish="error", error="down"))
    journal = journals()
    assert execute(chart, down, {"question": "q"}, journal=journal).answer == "bad"
    assert "bad" in addresses(journal, "k")
    later = journals()
    assert execute(chart, Scripted(), {"question": "q"}, journal=later).answer == "q", "a failure is asked again"
    if journal is not later:
        assert addresses(later, "k") == ["start", "one", "done"]


def test_a_call_with_a_failed_sample_is_asked_again_as_a_whole(journals: Opened) -> None:
    chart = chart_of(
        "start([q]) --> one[ask] --> done([a])",
        "- takes: question (text)\n- returns: x",
        one=ask("{question}", "writes: x (text)", "n: 3"),
    )
    failing = Completion(key="", sample=0, finish="error", error="down")
    half = Scripted(lambda prompt, sample: failing if sample == 1 else "ok")
    assert execute(chart, half, {"question": "q"}, journal=journals()).answer == ["ok", None, "ok"]
    whole = Scripted(lambda prompt, sample: f"s{sample}")
    assert execute(chart, whole, {"question": "q"}, journal=journals()).answer == ["s0", "s1", "s2"]
    assert not execute(chart, whole, {"question": "q"}, journal=journals()).error
    assert len(whole.asked) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a lone \ud800 surrogate", "a lone \ufffd surrogate"),
        ("a long text with a \x00 NUL somewhere in it", "a long text with a  NUL somewhere in it"),
        ("\u2028 and \U0001f600", "and \U0001f600"),
        ('"quotes" \\ and \n lines', '"quotes" \\ and \n lines'),
    ],
)
def test_whatever_a_model_writes_is_kept(journals: Opened, text: str, value: str) -> None:
    chart = chart_of(
        "start([q]) --> one[ask] --> two[ask] --> done([a])",
        "- takes: question (text)\n- returns: y",
        one=ask("{question}", "writes: x (text)"),
        two=ask("{x}", "writes: y (text)"),
    )
    model = Scripted(lambda prompt, sample: text if prompt == "q" else prompt)
    first = execute(chart, model, {"question": "q"}, journal=journals())
    again = execute(chart, None, {"question": "q"}, journal=journals(), replay=True)
    assert first.answer == again.answer == value
    assert len(model.asked) == 2


def test_code_effects_and_look_ups_are_done_once(journals: Opened) -> None:
    looked: list[str] = []

    class Words:
        def find(self, query: str, k: int) -> list[str]:
            looked.append(query)
            return [query.upper()]

    runs: list[str] = []

    class Counted(Sandbox):
        async def run_async(self, code: str, inputs: Any, *, wants: Any = ()) -> Any:
            runs.append(code)
            return await super().run_async(code, inputs, wants=wants)

    chart = chart_of(
        "start([q]) --> a[(find)] --> b[/code/] --> done([a])",
        "- takes: question (text)\n- returns: [found, n]",
        a="- find: question\n- place: documents",
        b=compute("n = 0\nfor c in question:\n    n += 1", "writes: n"),
    )
    with Counted() as box:
        around: dict[str, Any] = {"sandbox": box, "places": {"documents": Words()}}
        first = execute(chart, None, {"question": "abc"}, journal=journals(), **around)
        again = execute(chart, None, {"question": "abc"}, journal=journals(), replay=True, **around)
    assert first.answer == again.answer == [["ABC"], 3]
    assert (len(looked), len(runs)) == (1, 1)


def test_branches_that_fill_the_memory_in_another_order_ask_nothing_again(journals: Opened) -> None:
    diagram = """start([q]) --> f((f)) --> a[ask] --> ka[(keep)] --> look[(find)] --> tell[ask] --> done([a])
    f --> b[ask] --> kb[(keep)] --> look"""
    chart = chart_of(
        diagram,
        "- takes: question (text)\n- returns: told",
        a=ask("a {question}", "writes: va (text)"),
        ka="- keep: va",
        b=ask("b {question}", "writes: vb (text)"),
        kb="- keep: vb",
        look="- find: question\n- k: 2",
        tell=ask("{numbered(found)}", "writes: told (text)"),
    )

    class Backwards(Scripted):
        def sample(self, requests: Any, *, progress: Any = None) -> Iterator[Completion]:
            return super().sample(list(requests)[::-1])

    def late(prompt: str, sample: int) -> Any:
        return Completion(key="", sample=0, finish="error", error="down") if prompt.startswith("a") else prompt

    execute(chart, Scripted(late), {"question": "q"}, journal=journals())
    first = execute(chart, Backwards(), {"question": "q"}, journal=journals())
    model = Scripted()
    again = execute(chart, model, {"question": "q"}, journal=journals())
    assert again.answer == first.answer
    assert not model.asked


# Persons


def approval() -> Chart:
    diagram = """start([q]) --> draft[draft] --> p[/person\\] -->|approve| done([a])
    p -->|Send back| again[/again/] --> draft"""
    return chart_of(
        diagram,
        "- takes: question (text)\n- returns: draft",
        draft=ask("Draft {question}", "writes: draft (text)"),
        p=ask("May this go out? {draft}"),
        again=compute('question = question + "!"'),
    )


def reply(journal: Any, execution: str, waiting: Any, text: str) -> None:
    mark = person_mark(waiting.shown, waiting.choices)
    journal.keep([Done(execution=execution, address=waiting.address, fingerprint=mark, result=text)])


def test_a_persons_reply_survives_a_restart(journals: Opened) -> None:
    model = Scripted()
    first = execute(approval(), model, {"question": "q"}, journal=journals())
    assert first.status == "waiting"
    assert first.waiting[0].choices == ("approve", "Send back")
    assert execute(approval(), model, {"question": "q"}, journal=journals()).status == "waiting"
    reply(journals(), "k", first.waiting[0], "send back")
    second = execute(approval(), model, {"question": "q"}, journal=journals())
    assert second.status == "waiting"
    assert second.waiting[0].address == "p#2"
    reply(journals(), "k", second.waiting[0], "approve")
    last = execute(approval(), model, {"question": "q"}, journal=journals())
    assert (last.status, last.answer) == ("answered", "Draft q!")
    assert model.prompts == ["Draft q", "Draft q!"]


def two_persons() -> Chart:
    diagram = """start([q]) --> f((f)) --> a[/person\\] --> join[/join/] --> done([a])
    f --> b[/person\\] --> join
    f --> c[ask] --> join"""
    return chart_of(
        diagram,
        "- takes: question (text)\n- returns: all",
        a=ask("First: {question}", "writes: va (text)"),
        b=ask("Second: {question}", "writes: vb (text)"),
        c=ask("c", "writes: vc (text)"),
        join=compute("all = [va, vb, vc]"),
    )


def test_two_persons_are_asked_at_once(journals: Opened) -> None:
    model = Scripted()
    first = execute(two_persons(), model, {"question": "q"}, journal=journals())
    assert [one.address for one in first.waiting] == ["a", "b"]
    assert len(model.asked) == 1
    reply(journals(), "k", first.waiting[1], "two")
    second = execute(two_persons(), model, {"question": "q"}, journal=journals())
    assert [one.address for one in second.waiting] == ["a"]
    reply(journals(), "k", second.waiting[0], "")
    last = execute(two_persons(), model, {"question": "q"}, journal=journals())
    assert last.answer == ["", "two", "c"]
    assert len(model.asked) == 1


def test_a_person_who_is_the_first_to_be_asked_is_heard(journals: Opened) -> None:
    chart = chart_of(
        "start([q]) --> p[/person\\] --> done([a])",
        "- takes: question (text)\n- returns: said",
        p=ask("{question}", "writes: said (text)"),
    )
    first = execute(chart, inputs={"question": "q"}, journal=journals())
    reply(journals(), "k", first.waiting[0], "yes")
    assert execute(chart, inputs={"question": "q"}, journal=journals()).answer == "yes"


def test_a_person_in_a_shared_call_is_waited_for(journals: Opened, tmp_path: Path) -> None:
    takes = "- takes: question (text)\n- returns: said"
    inner = chart_text("start([q]) --> p[/person\\] --> done([a])", takes, p=ask("{question}", "writes: said (text)"))
    outer = chart_text(
        "start([q]) --> go[[inner]] --> done([a])", takes, go="- call: inner\n- share: yes\n- writes: said"
    )
    for name, text in (("inner", inner), ("outer", outer)):
        (tmp_path / f"{name}.md").write_text(text)
    chart = require(Library([tmp_path]).load("outer"))
    first = execute(chart, inputs={"question": "q"}, journal=journals())
    assert first.status == "waiting"
    shared = f"shared-{fingerprint('shared', inner, {'question': 'q'})}"
    reply(journals(), shared, first.waiting[0], "yes")
    assert execute(chart, inputs={"question": "q"}, journal=journals()).answer == "yes"


# The journal itself


def test_the_first_result_of_a_call_stays(journals: Opened) -> None:
    for result in ("first", "second"):
        journals().keep([Done(execution="k", address="a", fingerprint="f", result=result)])
    journals().finished("k", {})
    assert journals().found("k", "a", "f") == "first"
    for other in (("k", "a", "g"), ("k", "b", "f"), ("l", "a", "f")):
        assert journals().found(*other) is None


def test_equal_questions_have_equal_fingerprints_and_others_have_others() -> None:
    parts: list[Any] = ["model", "prompt", 1, 1, 16, 0.0, 1.0, ["\n"]]
    assert fingerprint(*parts) == fingerprint(*json.loads(json.dumps(parts)))
    different = [[*parts[:i], other, *parts[i + 1 :]] for i, other in enumerate(["m", "p", 2, 2, 17, 0.1, 0.9, []])]
    assert len({fingerprint(*one) for one in [parts, *different]}) == 9


def test_who_waits_for_a_person_is_found_in_the_log(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        stored = Stored(log)
        for key in ("a", "b"):
            execute(approval(), Scripted(), {"question": key}, key=key, journal=stored)
        execute(story(), teller("q"), {"question": "q"}, key="c", journal=stored)
        stored.flush()
        found = {key: [one["shown"] for one in waiting] for key, waiting in Stored(log).waiting()}
    assert found == {key: [f"May this go out? Draft {key}"] for key in "ab"}


def test_visits_reach_the_log_in_groups_and_with_the_next_call(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        stored = Stored(log)
        stored.visits("k", [{"address": f"n#{i}", "position": i} for i in range(10)])
        assert log.visits("k") == {}
        stored.keep([Done(execution="k", address="a", fingerprint="f", result=1)])
        assert len(log.visits("k")) == 10
        stored.visits("k", [{"address": f"m#{i}", "position": i} for i in range(600)])
        assert len(log.visits("k")) == 610
