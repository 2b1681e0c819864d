"""What each kind of node does when it is executed, one at a time; forks and joins are in `test_executor_forks`."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from scripted_charts import Scripted, ask, chart_of, chart_text, compute, execute, text_of

from menon.core.errors import ConfigError, RunError
from menon.core.values import Completion, Problem
from menon.flowcharts.calling import Models
from menon.flowcharts.check import require
from menon.flowcharts.document import Library
from menon.flowcharts.executor import Executor
from menon.flowcharts.journal import Memory
from menon.flowcharts.sandbox import Sandbox
from menon.flowcharts.surroundings import Surroundings
from menon.problems.prompts import STYLES

QUESTION = "- takes: question (text)\n- returns: "


def asking(returns: str, *settings: str, prompt: str = "{question}", takes: str = "question (text)") -> Any:
    """Return a chart of one question."""
    head = f"- takes: {takes}\n- returns: {returns}"
    return chart_of("start([q]) --> one[ask] --> done([a])", head, one=ask(prompt, *settings))


def deciding(test: str, *labels: str, takes: str = "x", checked: bool = True) -> Any:
    """Return a chart of one decision that returns the label taken."""
    edges = "\n".join(f"pick{{?}} -->|{label}| n{i}[/{label}/] --> done" for i, label in enumerate(labels))
    nodes = {f"n{i}": compute(f'took = "{label}"') for i, label in enumerate(labels)}
    diagram = f"start([q]) --> pick\n{edges}\ndone([a])"
    return chart_of(diagram, f"- takes: {takes}\n- returns: took", checked=checked, pick=compute(test), **nodes)


def counting(limit: int = 10**6, test: str = "count < goal") -> Any:
    """Return a chart that counts up in a loop."""
    head = "- takes: goal (number)\n- returns: count"
    diagram = "start([q]) --> zero[/0/] --> up[/+1/] --> more{more?}\nmore -->|yes| up\nmore -->|no| done([a])"
    return chart_of(
        diagram, head, zero=compute("count = 0"), up=compute("count = count + 1", f"limit: {limit}"), more=compute(test)
    )


# Sequences, decisions, loops


def test_a_sequence_writes_one_variable_after_the_other() -> None:
    head = "- takes: x (number)\n- returns: [x, y, z]"
    diagram = "start([q]) --> a[/a/] --> b[/b/] --> done([a])"
    chart = chart_of(diagram, head, a=compute("y = x + 1"), b=compute("z = y * 10\ny = 0"))
    outcome = execute(chart, inputs={"x": 4})
    assert (outcome.status, outcome.answer) == ("answered", [4, 0, 50])
    assert outcome.values == {"x": 4, "y": 0, "z": 50}
    assert outcome.usage.steps == 4


@pytest.mark.parametrize(
    ("test", "labels", "x", "took"),
    [
        ("x > 3", ("yes", "no"), 4, "yes"),
        ("x > 3", ("yes", "no"), 3, "no"),
        ("x > 3", ("true", "false"), 4, "true"),
        ("x", ("red", "green", "else"), "green", "green"),
        ("x", ("red", "green", "else"), " Green ", "green"),
        ("x", ("1", "2", "else"), 2, "2"),
        ("x", ("1", "2", "else"), 2.0, "2"),
        ("x", ("1", "2", "else"), 3, "else"),
        ("x", ("0.5", "else"), 0.5, "0.5"),
        ("x", ("red", "else"), None, "else"),
        ("x > 0", ("yes", "else"), -1, "else"),
    ],
)
def test_a_decision_takes_the_branch_of_its_value(test: str, labels: tuple[str, ...], x: Any, took: str) -> None:
    assert execute(deciding(test, *labels), inputs={"x": x}).answer == took


def test_a_decision_without_a_branch_for_its_value_says_so() -> None:
    outcome = execute(deciding("x", "red", "green", checked=False), inputs={"x": "blue"})
    assert outcome.status == "failed"
    assert "'blue'" in outcome.error
    assert "'red', 'green'" in outcome.error
    assert "else" in outcome.error
    assert outcome.address == "pick"


def test_a_loop_runs_until_its_decision_leaves_it() -> None:
    outcome = execute(counting(), inputs={"goal": 7})
    assert (outcome.answer, outcome.usage.steps) == (7, 3 + 2 * 7)


def test_a_node_at_its_limit_takes_its_limit_edge() -> None:
    head = "- takes: goal (number)\n- returns: count"
    diagram = """start([q]) --> zero[/0/] --> up[/+1/] --> more{more?}
    up -->|limit| note[/enough/] --> done
    more -->|yes| up
    more -->|no| done([a])"""
    chart = chart_of(
        diagram,
        head,
        zero=compute("count = 0"),
        up=compute("count = count + 1", "limit: 3"),
        more=compute("count < goal"),
        note=compute("count = -count"),
    )
    assert execute(chart, inputs={"goal": 3}).answer == 3
    assert execute(chart, inputs={"goal": 4}).answer == -3


def test_the_limit_edge_of_an_inner_loop_may_come_round_in_the_outer_one() -> None:
    head = "- takes: goal (number)\n- returns: [outer, total]"
    diagram = """start([q]) --> zero[/0/] --> next[/outer/] --> again{done?}
    again -->|yes| done([a])
    again -->|no| work[/inner/] --> same{go on?}
    work -->|limit| next
    same -->|yes| work
    same -->|no| next"""
    chart = chart_of(
        diagram,
        head,
        zero=compute("outer = 0\ntotal = 0"),
        next=compute("outer = outer + 1", "loop budget: 4 turns"),
        again=compute("outer > goal"),
        work=compute("total = total + 1", "loop budget: 3 turns"),
        same=compute("total >= 0"),
    )
    assert execute(chart, inputs={"goal": 2}).answer == [3, 6]
    stopped = execute(chart, inputs={"goal": 100})
    assert stopped.status == "partial"
    assert stopped.exhausted is not None
    assert (stopped.exhausted.budget, stopped.exhausted.spent, stopped.answer) == ("turns", 4, [4, 12])


# Asking


def test_a_prompt_is_sent_as_it_is_with_what_the_node_sets() -> None:
    model = Scripted(lambda prompt, sample: "ok")
    settings = (
        "writes: reply (text)",
        "temperature: t",
        "top_p: 0.5",
        "max tokens: 2 * 8",
        'stop: ["\\n", "Q:"]',
        "n: k",
    )
    chart = asking(
        "reply", *settings, prompt="Q: {question}\n{{literal}}", takes="question (text), t (number), k (number)"
    )
    outcome = execute(chart, model, {"question": "why?", "t": 0.7, "k": 3})
    assert outcome.answer == ["ok", "ok", "ok"]
    (request,) = model.asked
    assert text_of(request) == "Q: why?\n{literal}"
    assert (request.temperature, request.top_p, request.max_tokens) == (0.7, 0.5, 16)
    assert (request.stop, request.n) == (("\n", "Q:"), 3)


def test_what_a_node_leaves_open_comes_from_the_surroundings() -> None:
    model = Scripted(lambda prompt, sample: "ok")
    execute(asking("reply", "writes: reply (text)"), model, {"question": "q"}, temperature=0.3, max_tokens=77)
    assert (model.asked[0].temperature, model.asked[0].max_tokens, model.asked[0].n) == (0.3, 77, 1)


def test_a_system_text_goes_before_the_prompt() -> None:
    model = Scripted(lambda prompt, sample: "ok")
    execute(asking("reply", "writes: reply (text)", "system: Be brief."), model, {"question": "q"})
    assert text_of(model.asked[0]) == "system: Be brief.\nuser: q"


def test_a_node_may_ask_a_model_of_its_own() -> None:
    judge, other = Scripted(lambda *_: "judge", name="judge"), Scripted(lambda *_: "default")
    chart = asking("reply", "writes: reply (text)", "model: judge")
    assert execute(chart, other, {"question": "q"}, named={"judge": judge}).answer == "judge"
    assert not other.asked
    unknown = execute(chart, other, {"question": "q"})
    assert unknown.status == "failed"
    assert "'judge'" in unknown.error


@pytest.mark.parametrize("form", ["worked", "direct"])
def test_a_question_is_put_in_the_models_own_form(form: str) -> None:
    model, style = Scripted(lambda *_: "#42"), STYLES.get("menon")
    chart = asking("answer", f"form: {form}", "writes: answer (answer)")
    assert execute(chart, model, {"question": "6*7"}, style=style).answer == "42"
    problem = Problem(family="question", question="6*7", answer="", grader="exact", split="asked")
    assert text_of(model.asked[0]) == style.prompt(problem, direct=form == "direct")
    assert model.asked[0].max_tokens == style.max_tokens


@pytest.mark.parametrize(
    ("kind", "said", "value"),
    [
        ("text", " a reply\n", "a reply"),
        ("any", "anything", "anything"),
        ("number", "I think it is 1,234.5", 1234.5),
        ("number", "The answer is 42.", 42),
        ("truth", "Yes, that is right.", True),
        ("truth", "no", False),
        ("list", "1. red\n2. green", ["red", "green"]),
        ("json", 'It is ```json\n{"a": [1, null]}\n```', {"a": [1, None]}),
        ("answer", "some working\n#17", "17"),
    ],
)
def test_a_completion_is_read_as_the_type_that_is_written(kind: str, said: str, value: Any) -> None:
    outcome = execute(asking("x", f"writes: x ({kind})"), Scripted(lambda *_: said), {"question": "q"})
    assert outcome.answer == value
    assert type(outcome.answer) is type(value)


def test_several_variables_are_read_from_one_completion() -> None:
    chart = asking("[plan, first]", "writes: plan (list), first (number)")
    assert execute(chart, Scripted(lambda *_: "1. take 12\n2. go"), {"question": "q"}).answer[0] == ["take 12", "go"]


def test_json_must_keep_to_its_schema() -> None:
    schema = '```json\n{"type": "object", "required": ["steps"], "properties": {"steps": {"type": "array"}}}\n```'
    body = ask("{question}", "writes: plan (json)", "retries: 1") + "\n\n" + schema
    chart = chart_of("start([q]) --> one[ask] --> done([a])", QUESTION + "plan", one=body)
    model = Scripted(lambda prompt, sample: '{"steps": [1]}' if "steps" in prompt else '{"step": 1}')
    assert execute(chart, model, {"question": "q"}).answer == {"steps": [1]}
    assert len(model.asked) == 2
    assert "steps" in model.prompts[1], "the second prompt says what was wrong"
    failed = execute(chart, Scripted(lambda *_: "{}"), {"question": "q"})
    assert failed.status == "failed"
    assert "steps" in failed.error


def test_a_reply_that_cannot_be_read_is_asked_for_again() -> None:
    replies = iter(["none", "no idea", "it is 3"])
    model = Scripted(lambda *_: next(replies))
    outcome = execute(asking("x", "writes: x (number)", "retries: 2"), model, {"question": "q"})
    assert (outcome.answer, outcome.usage.calls) == (3, 3)
    assert model.prompts[0] == "q"
    assert model.prompts[1].startswith("q\n\n(The last reply could not be used: ")
    assert len({request.seed for request in model.asked}) == 3


def test_a_reply_that_cannot_be_read_at_all_takes_the_failed_edge() -> None:
    diagram = "start([q]) --> one[ask] --> done([a])\none -->|failed| other[/other/] --> done"
    chart = chart_of(diagram, QUESTION + "x", one=ask("q", "writes: x (number)"), other=compute("was = x\nx = -1"))
    outcome = execute(chart, Scripted(lambda *_: "no idea"), {"question": "q"})
    assert (outcome.answer, outcome.values["was"]) == (-1, None), "what the failed node writes is unset"


def test_a_failed_request_is_not_retried_as_if_it_were_unreadable() -> None:
    model = Scripted(lambda *_: Completion(key="", sample=0, finish="error", error="the server is gone"))
    outcome = execute(asking("x", "writes: x (number)", "retries: 3"), model, {"question": "q"})
    assert outcome.status == "failed"
    assert "the server is gone" in outcome.error
    assert len(model.asked) == 1


def test_of_several_samples_those_that_cannot_be_read_are_none() -> None:
    said = ["1", "no idea", "3"]
    chart = asking("x", "writes: x (number)", "n: 3")
    assert execute(chart, Scripted(lambda prompt, sample: said[sample]), {"question": "q"}).answer == [1, None, 3]
    nothing = execute(chart, Scripted(lambda *_: "no idea"), {"question": "q"})
    assert nothing.status == "failed"


@pytest.mark.parametrize(("setting", "value"), [("n", 0), ("n", "many"), ("temperature", -1), ("max tokens", True)])
def test_a_setting_that_comes_out_wrong_is_told(setting: str, value: Any) -> None:
    chart = asking("x", "writes: x (text)", f"{setting}: v", takes="question (text), v (any)")
    outcome = execute(chart, inputs={"question": "q", "v": value})
    assert outcome.status == "failed"
    assert setting in outcome.error
    assert repr(value) in outcome.error


def test_a_decision_by_the_model_reads_one_of_its_labels() -> None:
    diagram = "start([q]) --> pick{which?}\npick -->|Red| r[/r/] --> done([a])\npick -->|Green| g[/g/] --> done"
    chart = chart_of(
        diagram,
        QUESTION + "[took, which]",
        pick=ask("{question}", "writes: which (choice)", "retries: 1"),
        r=compute("took = 1"),
        g=compute("took = 2"),
    )
    assert execute(chart, Scripted(lambda *_: "I say green."), {"question": "q"}).answer == [2, "Green"]
    model = Scripted(lambda prompt, sample: "red" if "could not be used" in prompt else "blue")
    assert execute(chart, model, {"question": "q"}).answer == [1, "Red"]
    assert execute(chart, Scripted(lambda *_: "blue"), {"question": "q"}).status == "failed"


# Calls


def library(folder: Path, **charts: str) -> Library:
    for name, text in charts.items():
        (folder / f"{name}.md").write_text(text)
    return Library([folder])


FACTORIAL = chart_text(
    "start([q]) --> small{small?}\nsmall -->|yes| one[/1/] --> done([a])\n"
    "small -->|no| below[[below]] --> times[/x/] --> done",
    "- takes: n (number)\n- returns: product",
    small=compute("n <= 1"),
    one=compute("product = 1"),
    below=compute("n = n - 1", "call: factorial", "depth: 20", "writes: rest (number)"),
    times=compute("product = n * rest"),
)


def test_a_called_chart_has_variables_of_its_own(tmp_path: Path) -> None:
    inner = chart_text(
        "start([q]) --> x[/x/] --> done([a])",
        "- takes: a (number), b (number) = 5\n- returns: y",
        x=compute("y = a * b\nz = 0"),
    )
    head = "- takes: a (number)\n- returns: [y, z]"
    outer = chart_text(
        "start([q]) --> z[/z/] --> go[[inner]] --> done([a])", head, z=compute("z = 7"), go="- call: inner\n- writes: y"
    )
    known = library(tmp_path, inner=inner, outer=outer)
    outcome = execute(require(known.load("outer")), inputs={"a": 3})
    assert outcome.answer == [15, 7]
    assert outcome.values == {"a": 3, "z": 7, "y": 15}
    assert outcome.usage.steps == 4 + 3


def test_recursion_goes_as_deep_as_it_may(tmp_path: Path) -> None:
    chart = require(library(tmp_path, factorial=FACTORIAL).load("factorial"))
    assert execute(chart, inputs={"n": 10}).answer == 3_628_800
    stopped = execute(chart, inputs={"n": 30})
    assert stopped.status == "partial"
    assert stopped.exhausted is not None
    assert (stopped.exhausted.budget, stopped.exhausted.limit) == ("depth", 20)
    assert stopped.exhausted.address.count("below/") == 20


def test_recursion_that_python_could_not_follow_is_stopped_before(tmp_path: Path) -> None:
    chart = require(library(tmp_path, factorial=FACTORIAL.replace("depth: 20", "depth: 5000")).load("factorial"))
    stopped = execute(chart, inputs={"n": 4000})
    assert stopped.status == "partial"
    assert stopped.exhausted is not None
    assert stopped.exhausted.budget == "depth"


def test_a_shared_call_is_executed_once_for_fifty_executions(tmp_path: Path) -> None:
    inner = chart_text(
        "start([q]) --> one[ask] --> done([a])",
        "- takes: topic (text)\n- returns: notes",
        one=ask("Notes on {topic}", "writes: notes (text)"),
    )
    outer = chart_text(
        "start([q]) --> go[[inner]] --> done([a])",
        "- takes: question (text), topic (text)\n- returns: notes",
        go="- call: inner\n- writes: notes\n- share: yes",
    )
    chart = require(library(tmp_path, inner=inner, outer=outer).load("outer"))
    model, journal = Scripted(lambda prompt, sample: prompt.upper()), Memory()

    async def work() -> list[Any]:
        models = Models(model, journal=journal)
        executor = Executor(chart, Surroundings(models=models))
        jobs = [(f"k{i}", {"question": str(i), "topic": "ab"[i % 2]}, None) for i in range(50)]
        return await executor.run_many(jobs)

    outcomes = asyncio.run(work())
    assert [outcome.answer for outcome in outcomes] == ["NOTES ON A", "NOTES ON B"] * 25
    assert sorted(model.prompts) == ["Notes on a", "Notes on b"]
    again = Scripted()
    assert execute(chart, again, {"question": "x", "topic": "a"}, key="later", journal=journal).answer == "NOTES ON A"
    assert not again.asked


def test_shared_charts_that_call_each_other_do_not_wait_for_themselves(tmp_path: Path) -> None:
    def text(other: str) -> str:
        return chart_text(
            "start([q]) --> stop{stop?}\nstop -->|yes| none[/0/] --> done([a])\nstop -->|no| go[[other]] --> done",
            "- takes: x (number)\n- returns: y",
            stop=compute("x > 1"),
            none=compute("y = 0"),
            go=f"- call: {other}\n- writes: y\n- share: yes\n- depth: 3",
        )

    for charts in ({"one": text("one")}, {"one": text("two"), "two": text("one")}):
        chart = require(library(tmp_path, **charts).load("one"))
        outcome = execute(chart, inputs={"x": 1}, within_s=10)
        assert outcome.status in ("partial", "failed")
        assert "depth" in outcome.error
        assert execute(chart, inputs={"x": 2}).answer == 0


def test_shared_executions_that_wait_for_each_other_do_not_hang(tmp_path: Path) -> None:
    def text(other: str) -> str:
        return chart_text(
            "start([q]) --> one[ask] --> stop{stop?}\nstop -->|yes| done([a])\nstop -->|no| go[[other]] --> done",
            "- takes: x (number)\n- returns: y",
            one=ask("{x}", "writes: y (number)"),
            stop=compute("x > 1"),
            go=f"- call: {other}\n- writes: y\n- share: yes\n- depth: 3",
        )

    outer = chart_text(
        "start([q]) --> f((f)) --> a[[one]] --> done([a])\nf --> b[[two]] --> done",
        "- takes: x (number)\n- returns: [y, z]",
        a="- call: one\n- writes: y\n- share: yes",
        b="- call: two\n- writes: z\n- share: yes",
    )
    chart = require(library(tmp_path, one=text("two"), two=text("one"), outer=outer).load("outer"))
    outcome = execute(chart, inputs={"x": 1}, within_s=10)
    assert outcome.status in ("partial", "failed")
    assert "depth" in outcome.error


def test_a_chart_that_is_a_text_is_read_checked_and_executed() -> None:
    head = "- takes: program (text), question (text)\n- returns: answer"
    diagram = "start([q]) --> go[[run it]] --> done([a])\ngo -->|failed| bad[/bad/] --> done"
    chart = chart_of(diagram, head, go="- text: program\n- writes: answer", bad=compute('answer = "bad chart"'))
    inner = chart_text("start([q]) --> x[/x/] --> done([a])", QUESTION + "z", x=compute("z = upper(question)"))
    assert execute(chart, inputs={"program": inner, "question": "why"}).answer == "WHY"
    for broken in ("no chart", inner.replace("done([a])", "nowhere"), inner.replace("upper(", "uper(")):
        assert execute(chart, inputs={"program": broken, "question": "why"}).answer == "bad chart"


def failing(tmp_path: Path, outer: str, head: str, **sections: str) -> Any:
    inner = chart_text(
        "start([q]) --> one[ask] --> done([a])", "- takes: item\n- returns: x", one=ask("{item}", "writes: x (number)")
    )
    return require(library(tmp_path, inner=inner, outer=chart_text(outer, head, **sections)).load("outer"))


def test_a_call_whose_chart_fails_takes_its_failed_edge(tmp_path: Path) -> None:
    diagram = "start([q]) --> go[[inner]] --> done([a])"
    head = "- takes: item\n- returns: y"
    chart = failing(tmp_path, diagram, head, go="- call: inner\n- writes: y")
    outcome = execute(chart, inputs={"item": "no number"})
    assert (outcome.status, outcome.address) == ("failed", "go/one")
    assert "'one'" in outcome.error
    edge = "\ngo -->|failed| bad[/bad/] --> done"
    chart = failing(tmp_path, diagram + edge, head, go="- call: inner\n- writes: y", bad=compute("y = -1"))
    assert execute(chart, inputs={"item": "no number"}).answer == -1


def test_a_map_of_calls_goes_on_where_one_of_them_fails(tmp_path: Path) -> None:
    diagram, head = "start([q]) --> go{{each}} --> done([a])", "- takes: items (list)\n- returns: y"
    chart = failing(tmp_path, diagram, head, go="- over: items\n- call: inner\n- writes: y")
    assert execute(chart, inputs={"items": ["1", "none", "3"]}).answer == [1, None, 3]


# Maps


def test_a_map_asks_for_every_item_in_order() -> None:
    chart = chart_of(
        "start([q]) --> go{{each}} --> done([a])",
        "- takes: items (list)\n- returns: x",
        go=ask("{position}: {word}", "over: items", "each: word", "writes: x (text)"),
    )
    assert execute(chart, inputs={"items": ["a", "b"]}).answer == ["1: a", "2: b"]
    assert execute(chart, inputs={"items": []}).answer == []
    wrong = execute(chart, inputs={"items": "ab"})
    assert wrong.status == "failed"
    assert "'ab'" in wrong.error
    assert "list" in wrong.error


def test_a_map_computes_and_repeats() -> None:
    diagram = "start([q]) --> go{{each}} --> again{{repeat}} --> done([a])"
    chart = chart_of(
        diagram,
        "- takes: items (list)\n- returns: [squares, rounds]",
        go=compute("squares = item * item", "over: items", "writes: squares"),
        again=compute("rounds = [round, position]", "times: len(items)"),
    )
    assert execute(chart, inputs={"items": [3, 4]}).answer == [[9, 16], [[1, 1], [2, 2]]]


def test_items_that_fail_give_none_and_all_of_them_fail_the_node() -> None:
    diagram = "start([q]) --> go{{each}} --> done([a])\ngo -->|failed| bad[/bad/] --> done"
    chart = chart_of(
        diagram,
        "- takes: items (list)\n- returns: x",
        go=ask("{item}", "over: items", "writes: x (number)", "retries: 1"),
        bad=compute('x = "none"'),
    )
    model = Scripted(lambda prompt, sample: prompt.partition("\n")[0])
    assert execute(chart, model, {"items": ["1", "a", "3"]}).answer == [1, None, 3]
    assert len(model.asked) == 4, "only the item that failed is asked for again"
    assert execute(chart, model, {"items": ["a", "b"]}).answer == "none"


def test_a_map_with_samples_gives_a_list_of_lists() -> None:
    chart = chart_of(
        "start([q]) --> go{{each}} --> done([a])",
        "- takes: items (list)\n- returns: x",
        go=ask("{item}", "over: items", "writes: x (text)", "n: 2"),
    )
    model = Scripted(lambda prompt, sample: f"{prompt}{sample}")
    assert execute(chart, model, {"items": ["a", "b"]}).answer == [["a0", "a1"], ["b0", "b1"]]


def test_a_map_of_maps_is_a_map_of_calls(tmp_path: Path) -> None:
    inner = chart_text(
        "start([q]) --> go{{each}} --> done([a])",
        "- takes: row (list)\n- returns: x",
        go=ask("{item}", "over: row", "writes: x (number)"),
    )
    outer = chart_text(
        "start([q]) --> go{{each}} --> done([a])",
        "- takes: rows (list)\n- returns: x",
        go="- over: rows\n- each: row\n- call: inner\n- writes: x\n- at once: 2",
    )
    model = Scripted()
    chart = require(library(tmp_path, inner=inner, outer=outer).load("outer"))
    assert execute(chart, model, {"rows": [["1", "2"], [], ["3"]]}).answer == [[1, 2], [], [3]]
    assert len(model.asked) == 3


class Together:
    """A model that answers only when so many requests are in flight; it notes the most there were."""

    name = "together"

    def __init__(self, needed: int):
        self.needed, self.waiting, self.most = needed, 0, 0
        self.gate: asyncio.Condition | None = None

    def open_conversation(self, **_: Any) -> Any:
        return _Nothing()

    async def ask_async(self, talk: Any, request: Any) -> list[Completion]:
        self.gate = self.gate or asyncio.Condition()
        async with self.gate:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            self.gate.notify_all()
            await self.gate.wait_for(lambda: self.most >= self.needed)
        await asyncio.sleep(0.001)
        self.waiting -= 1
        return [Completion(key=request.key, sample=i, text=text_of(request)) for i in range(request.n)]


class _Nothing:
    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


def test_the_items_of_a_map_are_asked_at_the_same_time() -> None:
    chart = chart_of(
        "start([q]) --> go{{each}} --> done([a])",
        "- takes: items (list), width (number)\n- returns: x",
        go=ask("{item}", "over: items", "writes: x (number)"),
    )
    model = Together(needed=20)
    assert execute(chart, model, {"items": list(range(20)), "width": 0}).answer == list(range(20))


def test_no_more_items_are_under_way_than_the_map_says() -> None:
    chart = chart_of(
        "start([q]) --> go{{each}} --> done([a])",
        "- takes: items (list)\n- returns: x",
        go=ask("{item}", "over: items", "at once: 3", "writes: x (number)"),
    )
    model = Together(needed=3)
    assert execute(chart, model, {"items": list(range(20))}).answer == list(range(20))
    assert model.most == 3


# Code, memory, places, persons


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with Sandbox() as box:
        yield box


def test_code_runs_in_the_sandbox(sandbox: Sandbox) -> None:
    chart = chart_of(
        "start([q]) --> go[/code/] --> done([a])",
        "- takes: n (number)\n- returns: [total, last]",
        go=compute("total = 0\nfor last in range(n):\n    total += last", "writes: total, last"),
    )
    assert execute(chart, inputs={"n": 5}, sandbox=sandbox).answer == [10, 4]
    nowhere = execute(chart, inputs={"n": 5})
    assert nowhere.status == "failed"
    assert "sandbox" in nowhere.error


def test_code_held_in_a_variable_is_run(sandbox: Sandbox) -> None:
    diagram = "start([q]) --> go[/run/] --> done([a])\ngo -->|failed| bad[/bad/] --> done"
    chart = chart_of(
        diagram,
        "- takes: program (any)\n- returns: value",
        go="- code: program\n- writes: value",
        bad=compute('value = "bad"'),
    )
    for program, value in [
        ("answer = sum(i * i for i in range(4))", 14),
        ("def solution():\n    return 'x' * 3", "xxx"),
        ("1 / 0", "bad"),
        ("import os\nanswer = os.getcwd()", "bad"),
        ("pass", "bad"),
        (17, "bad"),
    ]:
        assert execute(chart, inputs={"program": program}, sandbox=sandbox).answer == value, program


def test_code_in_a_map_sees_its_item(sandbox: Sandbox) -> None:
    chart = chart_of(
        "start([q]) --> go{{each}} --> done([a])",
        "- takes: items (list)\n- returns: out",
        go=compute("out = []\nfor i in range(item):\n    out.append(position)", "over: items", "writes: out"),
    )
    assert execute(chart, inputs={"items": [2, 0, 1]}, sandbox=sandbox).answer == [[1, 1], [], [3]]


def test_what_is_kept_in_memory_is_found_again() -> None:
    diagram = "start([q]) --> a[(keep)] --> b[(keep)] --> c[(find)] --> done([a])"
    chart = chart_of(
        diagram,
        QUESTION + "found",
        a='- keep: "the red house"',
        b='- keep: "a green tree"',
        c="- find: question\n- k: 1",
    )
    assert execute(chart, inputs={"question": "which tree is green?"}).answer == ["a green tree"]
    assert execute(chart, inputs={"question": "the red one"}, key="other").answer == ["the red house"]


def test_places_are_looked_up_and_a_missing_one_is_told() -> None:
    class Words:
        def find(self, query: str, k: int) -> list[str]:
            return [query.upper()] * k

    diagram = "start([q]) --> a[(find)] --> done([a])"
    chart = chart_of(
        diagram, QUESTION + "notes", a="- find: question\n- place: documents\n- k: 2\n- writes: notes (list)"
    )
    assert execute(chart, inputs={"question": "q"}, places={"documents": Words()}).answer == ["Q", "Q"]
    missing = execute(chart, inputs={"question": "q"})
    assert missing.status == "failed"
    assert "'documents'" in missing.error
    assert "--documents" in missing.error


def test_a_person_is_waited_for() -> None:
    diagram = "start([q]) --> p[/a person/] --> done([a])".replace("[/a person/]", "[/a person\\]")
    chart = chart_of(diagram, QUESTION + "reply", p=ask("Please decide: {question}", "writes: reply (text)"))
    outcome = execute(chart, inputs={"question": "now?"})
    assert outcome.status == "waiting"
    assert [(one.address, one.shown, one.choices) for one in outcome.waiting] == [("p", "Please decide: now?", ())]


# Inputs, returns, failures outside the chart


def test_inputs_have_defaults_and_unknown_ones_are_refused() -> None:
    chart = chart_of(
        "start([q]) --> a[/a/] --> done([a])",
        "- takes: x (number), y (number) = 3\n- returns: z",
        a=compute("z = x + y"),
    )
    assert execute(chart, inputs={"x": 1}).answer == 4
    with pytest.raises(ConfigError, match=r"needs the input 'x'.*x, y"):
        execute(chart)
    with pytest.raises(ConfigError, match=r"takes no 'w'.*x, y"):
        execute(chart, inputs={"x": 1, "w": 2})


def test_an_expression_without_a_value_ends_in_words() -> None:
    chart = chart_of("start([q]) --> a[/a/] --> done([a])", "- takes: x (number)\n- returns: z", a=compute("z = 1 / x"))
    outcome = execute(chart, inputs={"x": 0})
    assert outcome.status == "failed"
    assert "division by zero" in outcome.error
    assert outcome.address == "a"
    returned = chart_of("start([q]) --> done([a])", "- takes: x (number)\n- returns: 1 / x")
    assert execute(returned, inputs={"x": 0}).status == "failed"


def test_a_journal_that_cannot_write_ends_the_run_and_no_chart_goes_round_it() -> None:
    class Full(Memory):
        def keep(self, calls: Any) -> None:
            raise RunError("the disk is full")

    diagram = "start([q]) --> one[ask] --> done([a])\none -->|failed| other[/other/] --> done"
    chart = chart_of(diagram, QUESTION + "1", one=ask("{question}"), other=compute("x = 1"))

    async def work() -> None:
        executor = Executor(chart, Surroundings(models=Models(Scripted(), journal=Full())))
        await executor.run_many([(str(i), {"question": "q"}, None) for i in range(3)])

    with pytest.raises(RunError, match="the disk is full"):
        asyncio.run(work())


def test_many_executions_come_back_in_their_order() -> None:
    chart, model = asking("x", "writes: x (number)"), Together(needed=100)

    async def work() -> list[Any]:
        models = Models(cast("Any", model))
        try:
            executor = Executor(chart, Surroundings(models=models))
            return await executor.run_many([(f"k{i}", {"question": str(i)}, None) for i in range(100)])
        finally:
            await models.close()

    outcomes = asyncio.run(work())
    assert [(one.key, one.answer) for one in outcomes] == [(f"k{i}", i) for i in range(100)]
    assert model.most == 100
