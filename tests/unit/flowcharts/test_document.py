"""Strategy files: what is read from them, and what is said of every slip, with its line and a mend."""

from pathlib import Path

import pytest
from scripted_charts import ask, chart_text, compute

from menon.core.errors import ConfigError
from menon.flowcharts.chart import Budget, Chart, ChartError, Finding, Kind
from menon.flowcharts.document import Library, digest, read_chart

HEAD = """- takes: question (text), n (number) = 3
- returns: [x, n]
- budget: 20 steps, 1_000 tokens, 1.5 seconds, 0.5 money
- cost: 1 call"""
EVERY = """start([q]) --> one[ask] --> test{n > 1?} -->|yes| pick{which?}
    test -->|no| calc
    pick -->|Red| calc[/compute/] --> code[/run/]
    pick -->|else| calc
    one -->|failed| calc
    code --> held[\\held\\] --> go[[inner]] --> each{{each}} --> again{{repeat}} --> meet((meet))
    meet --> find[(find)] --> keep[(keep)] --> who[/person\\] -->|go| last[\\person/] --> done([a])
    who -->|stop| over([stopped])"""
INNER = chart_text("start([q]) --> x[/x/] --> done([a])", "- takes: m (number)\n- returns: y", x=compute("y = m + 1"))
SECTIONS = {
    "one": ask(
        "Q: {question}",
        "writes: x (text), y (number)",
        "form: worked",
        "model: judge",
        "system: Be brief.",
        "n: n + 1",
        "temperature: 0.5",
        "top p: 0.9",
        "max_tokens: n * 10",
        'stop: ["\\n", "Q:"]',
        "grade: number",
        "retries: 2",
        "limit: 4",
        "budget: 5 steps, 1 second",
        "loop budget: 3 turns, 7 tokens",
    ),
    "test": compute("n > 1"),
    "pick": ask("Which? {x}", "retries: 1", "writes: chosen (choice)"),
    "calc": compute("x = 1\nz = x + n", "writes: z (number)"),
    "code": compute("for i in range(3):\n    w = i", "writes: w"),
    "held": "- code: x",
    "go": "- call: inner\n- depth: 4\n- share: yes\n- writes: v (number)\n\n```python\nm = n\n```",
    "each": ask("{word} {position}", "over: [1, 2]", "each: word", "at once: 2", "writes: parts (list)"),
    "again": compute("round * 2", "times: n", "writes: rounds"),
    "find": "- find: question\n- place: documents\n- k: 5",
    "keep": "- keep: x",
    "who": ask("Go on with {x}?"),
    "last": ask("Say something.", "writes: said (text)"),
}


@pytest.fixture
def known(tmp_path: Path) -> Library:
    (tmp_path / "inner.md").write_text(INNER)
    (tmp_path / "every.md").write_text(chart_text(EVERY, HEAD, **SECTIONS))
    return Library([tmp_path])


def findings(text: str, library: Library | None = None) -> tuple[Finding, ...]:
    """Return what is wrong with a chart that cannot be read."""
    with pytest.raises(ChartError) as caught:
        read_chart(text, file="chart.md", library=library)
    for finding in caught.value.findings:
        assert finding.file.endswith(".md")
        assert finding.problem
        assert finding.mend
        assert f"{finding.file}:{finding.line}: error: " in str(caught.value)
    return caught.value.findings


def test_the_head_of_a_file_is_read(known: Library) -> None:
    chart = known.load("every")
    assert (chart.title, chart.name, chart.cost, chart.source) == ("A chart", "every", "1 call", "")
    assert [(one.name, one.type, one.default, one.required) for one in chart.takes] == [
        ("question", "text", None, True),
        ("n", "number", 3, False),
    ]
    assert chart.returns.source == "[x, n]"
    assert chart.budget == Budget(steps=20, tokens=1000, seconds=1.5, money=0.5)
    assert (chart.start, chart.ends) == ("start", ("done", "over"))


def test_every_shape_is_a_kind(known: Library) -> None:
    kinds = {key: node.kind for key, node in known.load("every").nodes.items()}
    assert kinds == {
        "start": Kind.START,
        "one": Kind.ASK,
        "test": Kind.DECIDE,
        "pick": Kind.DECIDE,
        "calc": Kind.COMPUTE,
        "code": Kind.COMPUTE,
        "held": Kind.COMPUTE,
        "go": Kind.CALL,
        "each": Kind.MAP,
        "again": Kind.MAP,
        "meet": Kind.CONNECTOR,
        "find": Kind.LOOKUP,
        "keep": Kind.LOOKUP,
        "who": Kind.PERSON,
        "last": Kind.PERSON,
        "done": Kind.END,
        "over": Kind.END,
    }


def test_every_setting_of_a_call_of_a_model_is_read(known: Library) -> None:
    node = known.load("every").nodes["one"]
    part = node.ask
    assert part is not None
    assert part.n
    assert part.temperature
    assert part.top_p
    assert part.max_tokens
    assert (part.form, part.model, part.system, part.grade, part.retries) == (
        "worked",
        "judge",
        "Be brief.",
        "number",
        2,
    )
    assert part.stop == ("\n", "Q:")
    assert part.choices == ()
    assert [one({"n": 4}) for one in (part.n, part.temperature, part.top_p, part.max_tokens)] == [5, 0.5, 0.9, 40]
    assert (node.limit, node.budget, node.loop_budget) == (4, Budget(steps=5, seconds=1.0), Budget(turns=3, tokens=7))
    assert [(one.name, one.type) for one in node.writes] == [("x", "text"), ("y", "number")]
    assert node.reads == {"question", "n"}
    assert part.prompt.render({"question": "why"}) == "Q: why"


def test_every_other_node_is_read(known: Library) -> None:
    nodes = known.load("every").nodes
    pick, call, each, again, find = (nodes[key] for key in ("pick", "go", "each", "again", "find"))
    assert nodes["test"].test is not None
    assert nodes["test"].ask is None
    assert pick.ask is not None
    assert (pick.ask.choices, pick.ask.retries) == (("Red",), 1)
    assert nodes["calc"].block is not None
    assert [(v.name, v.type) for v in nodes["calc"].writes] == [
        ("x", "any"),
        ("z", "number"),
    ]
    assert nodes["code"].code
    assert nodes["code"].block is None
    assert nodes["held"].code == ""
    assert nodes["held"].test is not None
    assert nodes["held"].writes[0].name == "result"
    assert call.call is not None
    assert (call.call.chart, call.call.depth, call.call.share) == ("inner", 4, True)
    assert call.call.give is not None
    assert call.call.give.run({"n": 7}) == {"m": 7}
    assert call.reads == {"n"}
    assert each.map is not None
    assert each.map.over is not None
    assert (each.map.each, each.map.at_once) == ("word", 2)
    assert each.ask is not None
    assert each.reads == set(), "its own item and position are no variables that it needs"
    assert again.map is not None
    assert again.map.times is not None
    assert (again.map.each, again.reads) == ("round", {"n"})
    assert find.lookup is not None
    assert (find.lookup.place, find.lookup.k, find.writes[0].name) == (
        "documents",
        5,
        "found",
    )
    assert nodes["keep"].lookup is not None
    assert nodes["keep"].lookup.place == "memory"
    assert nodes["keep"].writes == ()
    assert nodes["who"].show is not None
    assert nodes["last"].writes[0].type == "text"


def test_what_is_left_out_has_defaults() -> None:
    chart = read_chart(
        chart_text("start([q]) --> one[ask] --> done([a])", "Prose only.", one=ask("{question}")), file="chart.md"
    )
    assert [(one.name, one.type) for one in chart.takes] == [("question", "text")]
    assert chart.returns.source == "answer"
    node = chart.nodes["one"]
    assert [(one.name, one.type) for one in node.writes] == [("answer", "answer")]
    assert node.ask is not None
    assert (node.ask.form, node.ask.n, node.ask.temperature, node.ask.retries) == (
        "raw",
        None,
        None,
        0,
    )
    assert (node.limit, bool(node.budget), bool(node.loop_budget), bool(chart.budget)) == (None, False, False, False)


def test_a_schema_goes_with_the_json_that_is_written() -> None:
    body = (
        ask("{question}", "writes: plan (json), note (text)")
        + '\n\n```json\n{"type": "object", "required": ["a"]}\n```'
    )
    chart = read_chart(chart_text("start([q]) --> one[ask] --> done([a])", one=body), file="chart.md")
    plan, note = chart.nodes["one"].writes
    assert plan.schema == {"type": "object", "required": ["a"]}
    assert note.schema is None


# Slips


def line_of(text: str, part: str) -> int:
    return 1 + next(place for place, line in enumerate(text.splitlines()) if part in line)


DIAGRAM = "start([q]) --> one[ask] --> done([a])"


@pytest.mark.parametrize(
    ("kind", "setting", "said"),
    [
        ("ask", "temprature: 1", "did you mean 'temperature'"),
        ("ask", "over: x", "has no setting 'over'"),
        ("ask", "n:", "has no value"),
        ("ask", "n: 1 +", ""),
        ("ask", "n: import os", ""),
        ("ask", "retries: -1", "whole number from 0"),
        ("ask", "retries: 1.5", "whole number from 0"),
        ("ask", "limit: 0", "whole number from 1"),
        ("ask", "form: wroked", "did you mean 'worked'"),
        ("ask", "writes: 1x", "write names with types"),
        ("ask", "writes: x (nummer)", "type 'nummer' of 'x' is unknown"),
        ("ask", "writes: x, x", "names 'x' twice"),
        ("ask", "writes: x = 3", "only what a chart takes has defaults"),
        ("ask", "budget: 5", "amounts with units"),
        ("ask", "budget: 5 turns", "amounts with units"),
        ("ask", "budget: 1.5 steps", "whole numbers"),
        ("ask", "loop budget: 5 rounds", "amounts with units"),
        ("compute", "n: 3", "has no setting 'n'"),
        ("compute", "writes: nothing", "never sets 'nothing'"),
        ("decide", "n: 3", "has no setting 'n'"),
    ],
)
def test_a_wrong_setting_is_told_with_its_line(kind: str, setting: str, said: str) -> None:
    shape = {"ask": "[ask]", "compute": "[/c/]", "decide": "{?}"}[kind]
    body = ask("{question}", setting) if kind == "ask" else compute("x = 1" if kind == "compute" else "1 > 0", setting)
    text = chart_text(f"start([q]) --> one{shape} --> done([a])", one=body)
    (finding,) = findings(text)
    assert (finding.line, finding.node) == (line_of(text, f"- {setting}"), "one")
    assert said in str(finding)


@pytest.mark.parametrize(
    ("diagram", "sections", "where", "said"),
    [
        ("start([q]) --> one[ask] --> done([a])", {}, "one[ask]", "add a section `## one`"),
        (DIAGRAM, {"one": ask("x"), "two": ask("x")}, "## two", "belongs to no node"),
        (DIAGRAM, {"one": ask("x"), "onee": ask("x")}, "## onee", "did you mean 'one'"),
        (DIAGRAM, {"one": ask("x"), "start": ask("x")}, "## start", "the start 'start' does nothing"),
        (DIAGRAM, {"one": ask("x"), "done": ask("x")}, "## done", "the end 'done' does nothing"),
        (DIAGRAM, {"one": "Prose."}, "## one", "has no text"),
        (DIAGRAM, {"one": ask("a\nb {question\nc")}, "b {question", "not closed"),
        (DIAGRAM, {"one": ask("a\nb {1 +}\nc {question +}")}, "c {question", "question +"),
        (DIAGRAM, {"one": "- writes: x\n\n```text\nx\n```\n\n```json\n{}\n```"}, "{}", "writes no json"),
        (DIAGRAM, {"one": "- writes: x (json)\n\n```text\nx\n```\n\n```json\n{nope\n```"}, "{nope", "JSON"),
        (DIAGRAM, {"one": "```text\nnever closed"}, "```text", "has no end"),
        ("start([q]) --> one --> done([a])", {"one": ask("x")}, "start([q])", "has no shape"),
        ("start([q]) --> one>flag] --> done([a])", {"one": ask("x")}, "one>flag", "is drawn as"),
        ("start([q]) --> one[/c/] --> done([a])", {"one": "Prose."}, "## one", "nothing to compute"),
        ("start([q]) --> one[/c/] --> done([a])", {"one": compute("1 + 1")}, "1 + 1", "a bare value"),
        (
            "start([q]) --> one[/c/] --> done([a])",
            {"one": "- code: x\n\n```python\nx = 1\n```"},
            "x = 1",
            "both `code` and a block",
        ),
        ("start([q]) --> one[/c/] --> done([a])", {"one": compute("x = = 1")}, "x = = 1", ""),
        ("start([q]) --> one{?} --> done([a])", {"one": compute("x = 1")}, "x = 1", "no single expression"),
        ("start([q]) --> one[[c]] --> done([a])", {"one": "Prose."}, "## one", "names no chart"),
        ("start([q]) --> one[[c]] --> done([a])", {"one": "- call: nowhere"}, "## one", "no chart named 'nowhere'"),
        ("start([q]) --> one[[c]] --> done([a])", {"one": "- call: ./nowhere.md"}, "## one", "no chart file"),
        ("start([q]) --> one[[c]] --> done([a])", {"one": "- call: a\n- text: b"}, "## one", "both call and text"),
        ("start([q]) --> one[[c]] --> done([a])", {"one": "- call: a\n- share: maybe"}, "- share: maybe", "yes, no"),
        ("start([q]) --> one{{m}} --> done([a])", {"one": ask("x")}, "## one", "neither over and times"),
        (
            "start([q]) --> one{{m}} --> done([a])",
            {"one": ask("x", "over: a", "times: 3")},
            "## one",
            "both over and times",
        ),
        ("start([q]) --> one[(l)] --> done([a])", {"one": "Prose."}, "## one", "neither find and keep"),
        ("start([q]) --> one[ask --> done([a])", {"one": ask("x")}, "one[ask -->", ""),
    ],
)
def test_a_slip_is_told_where_it_is(diagram: str, sections: dict[str, str], where: str, said: str) -> None:
    text = chart_text(diagram, **sections)
    (finding,) = findings(text)
    assert finding.line == line_of(text, where)
    assert said in str(finding)


def test_all_slips_of_a_file_are_told_at_once() -> None:
    text = chart_text(
        "start([q]) --> one[ask] --> two[ask] --> three[ask] --> done([a])",
        one=ask("{question}", "x y: 1"),
        two=ask("{1x +}{y +}"),
        four=ask("x"),
    )
    assert [finding.line for finding in findings(text)] == [
        line_of(text, "## four"),
        line_of(text, "- x y: 1"),
        line_of(text, "{y +}"),
        line_of(text, "three[ask]"),
    ]


def test_a_file_without_a_flowchart_or_with_two_is_told() -> None:
    (none,) = findings("# Only prose\n\nNothing here.\n")
    assert none.line == 1
    assert "no mermaid block" in none.problem
    text = chart_text(DIAGRAM, one=ask("{question}")) + "\n```mermaid\nflowchart TD\n    a([b]) --> c([d])\n```\n"
    (second,) = findings(text)
    assert "a second mermaid block" in second.problem
    assert second.line > line_of(text, "## one")


def test_sections_of_prose_are_left_alone() -> None:
    text = (
        chart_text(DIAGRAM, one=ask("{question}"))
        + "\n## Remarks\n\nSome `code`, and a list that is no settings:\n\n1. a\n\n```\nx\n```\n"
    )
    assert set(read_chart(text, file="chart.md").nodes) == {"start", "one", "done"}


# Charts that call charts


def calling(other: str, extra: str = "") -> str:
    return chart_text("start([q]) --> go[[other]] --> done([a])", go=f"- call: {other}{extra}")


def test_charts_that_call_each_other_are_read_once(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.md").write_text(calling(other))
    known = Library([tmp_path])
    a = known.load("a")
    b = a.calls["b"]
    assert b.calls["c"].calls["a"] is a
    assert known.load("b") is b
    (tmp_path / "self.md").write_text(calling("self"))
    itself = known.load("self")
    assert itself.calls["self"] is itself
    assert known.names() == ["a", "b", "c", "self"]


def test_a_path_is_relative_to_the_file_that_calls(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "outer.md").write_text(calling("deep/inner.md"))
    (tmp_path / "deep" / "inner.md").write_text(calling("../outer.md"))
    chart = Library().load(str(tmp_path / "outer.md"))
    inner = chart.calls["deep/inner.md"]
    assert inner.file == str(tmp_path / "deep" / "inner.md")
    assert inner.calls["../outer.md"] is chart


def test_a_slip_in_a_called_chart_is_told_with_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(calling("b"))
    (tmp_path / "b.md").write_text(chart_text(DIAGRAM, one=ask("{question}", "wrong: 1")))
    known = Library([tmp_path])
    for _ in range(2):
        with pytest.raises(ChartError) as caught:
            known.load("a")
        (finding,) = caught.value.findings
        assert finding.file == str(tmp_path / "b.md")
        assert "wrong" in finding.problem
    (tmp_path / "b.md").write_text(chart_text(DIAGRAM, one=ask("{question}")))
    assert known.load("a").calls["b"].nodes["one"].ask is not None


def test_charts_read_along_with_a_wrong_one_are_read_again(tmp_path: Path) -> None:
    """`b` calls `a`, which has a slip: once mended, `b` must not hold the `a` of before."""
    both = "start([q]) --> go[[b]] --> more[[missing]] --> done([a])"
    (tmp_path / "a.md").write_text(chart_text(both, go="- call: b", more="- call: missing"))
    (tmp_path / "b.md").write_text(calling("a"))
    known = Library([tmp_path])
    with pytest.raises(ChartError, match="no chart named 'missing'"):
        known.load("a")
    (tmp_path / "missing.md").write_text(INNER)
    a = known.load("b").calls["a"]
    assert set(a.calls) == {"b", "missing"}
    assert a is known.load("a")


def test_a_chart_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    known = Library([tmp_path])
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "long_name.md").write_text(INNER)
    with pytest.raises(ConfigError, match="UTF-8"):
        known.load("binary")
    with pytest.raises(ConfigError, match="did you mean 'long_name'"):
        known.load("long_nam")
    with pytest.raises(ConfigError, match="no chart file"):
        known.load("folder/none.md")


def test_the_digest_changes_with_the_text_and_with_every_callee(tmp_path: Path) -> None:
    def read(innermost: str = INNER, text: str = calling("b")) -> tuple[str, Chart]:
        (tmp_path / "a.md").write_text(text)
        (tmp_path / "b.md").write_text(calling("c"))
        (tmp_path / "c.md").write_text(innermost)
        chart = Library([tmp_path]).load("a")
        return digest(chart), chart

    first, _ = read()
    assert read()[0] == first
    assert read(INNER.replace("m + 1", "m + 2"))[0] != first
    assert read(text=calling("b") + "\nA remark.\n")[0] != first
    (tmp_path / "self.md").write_text(calling("self"))
    assert digest(Library([tmp_path]).load("self"))
