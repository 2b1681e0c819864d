"""What the check finds in charts that are wrong, what it leaves alone in charts that are right."""

import itertools
import time

import pytest

from menon.flowcharts.chart import Chart, ChartError, Edge, Finding, Kind, Node, Variable
from menon.flowcharts.check import check, require
from menon.flowcharts.document import read_chart
from menon.flowcharts.expressions import compile_expression
from menon.flowcharts.functions import STANDARD

REFINE = """s([question]) --> draft[draft] --> review{good?}
review -->|yes| e([answer])
review -->|no| revise[revise] --> review"""
REFINING = {
    "draft": "- writes: text (text)\n\n```text\nAnswer: {question}\n```",
    "review": "- loop budget: 5 turns\n\n```text\nIs {text} right? yes or no\n```",
    "revise": "- writes: text (text)\n\n```text\nImprove {text}\n```",
}


def python(code: str, settings: str = "") -> str:
    return f"{settings}\n\n```python\n{code}\n```"


def found(chart: Chart) -> list[tuple[str, str]]:
    return [(finding.rule, finding.node) for finding in check(chart)]


def only(chart: Chart) -> Finding:
    (finding,) = check(chart)
    assert finding.mend
    return finding


def test_a_sound_chart_has_no_findings(drawn):
    chart = drawn(REFINE, REFINING, "- returns: text")
    assert check(chart) == []
    assert require(chart) is chart


def test_findings_name_file_line_and_mend(drawn):
    chart = drawn(REFINE, REFINING | {"revise": "- writes: text\n\n```text\nImprove {txt}\n```"}, "- returns: text")
    finding = only(chart)
    assert finding.line == chart.text.split("\n").index("## revise") + 1
    assert (finding.file, finding.rule, finding.level) == ("chart.md", "placeholder", "error")
    assert "did you mean `text`?" in finding.mend
    with pytest.raises(
        ChartError, match=r"chart\.md:\d+: error: 'revise' reads 'txt', which nothing sets \[placeholder\]"
    ):
        require(chart)


def test_notes_do_not_stop_a_chart(drawn):
    chart = drawn(REFINE, REFINING | {"review": "```text\nIs {text} right?\n```"}, "- returns: text")
    finding = only(chart)
    assert (finding.rule, finding.node, finding.level) == ("loop", "review", "note")
    assert "review → revise" in finding.problem
    assert "never says 'yes'" in finding.problem
    assert finding.mend == "add `- loop budget: 10 turns` to section `## review`"
    assert require(chart) is chart


@pytest.mark.parametrize("bound", ["- limit: 3", "- loop budget: 5 turns", "- budget: 900 tokens"])
def test_any_bound_in_the_loop_silences_the_note(drawn, bound: str):
    sections = REFINING | {
        "review": "```text\nRight?\n```",
        "revise": f"- writes: text\n{bound}\n\n```text\nImprove\n```",
    }
    assert check(drawn(REFINE, sections, "- returns: text")) == []


def test_a_budget_of_the_chart_silences_the_note_too(drawn):
    sections = REFINING | {"review": "```text\nRight?\n```"}
    assert check(drawn(REFINE, sections, "- returns: text\n- budget: 50 steps")) == []


@pytest.mark.parametrize(
    ("diagram", "expected"),
    [
        ("a[a] --> e([e])", [("start", "")]),
        ("s([s]) --> a[a]\na --> b[b] --> a", [("end", "")]),
        ("s([s]) --> a[a] --> e([e])\nr([r]) --> a", [("start", "r")]),
        ("s([s]) --> a[a] --> m([m]) --> b[b] --> e([e])", [("start", "m")]),
        ("s([s]) --> a[a] --> e([e])\nb[b] --> e", [("unreachable", "b")]),
        ("s([s]) --> a[a] --> e([e])\nb[b] --> c[c] --> b\nc --> e", [("unreachable", "b")]),
        ("s([s]) --> d{d} -->|yes| e([e])\nd -->|no| a[a]", [("no-way-out", "a")]),
        ("s([s]) --> d{d} -->|yes| e([e])\nd -->|no| a[a] --> b[b] --> a", [("loop", "a")]),
        ("s([s]) --> d{d} -->|yes| e([e])\nd -->|no| a[a] --> a", [("loop", "a")]),
    ],
)
def test_nodes_off_the_way(drawn, diagram: str, expected: list[tuple[str, str]]):
    assert found(drawn(diagram)) == expected


def test_one_finding_speaks_for_all_unreachable_nodes_behind_it(drawn):
    finding = only(drawn("s([s]) --> a[a] --> e([e])\nb[b] --> c[c] --> d[d] --> e"))
    assert finding.problem == "no edges lead from the start to 'b', nor do any to the 2 behind it"


@pytest.mark.parametrize(
    ("diagram", "says"),
    [
        ("d{d} --> e([e])\nd -->|no| e", "has no label"),
        ("d{d} -->|yes| e([e])\nd -->|Yes| a[a] --> e", "two edges out of 'd' have the label"),
        ("d{d} -->|yes| e([e])", "has 1 choices"),
        ("d{d} -->|yes| e([e])\nd -->|else| a[a] --> e", "has 1 choices"),
        ("d[d] -->|yes| e([e])", "decides nothing"),
        ("d[d] -->|else| e([e])", "decides nothing"),
        ("d[d] -->|failed| e([e])", "no edge for when all goes well"),
        ("d[d] --> e([e])\nd --> e", "is drawn twice"),
        ("d[d] --> e([e])\nd -->|limit| g([g])", "has an edge `limit` and no limit"),
        ("d((d)) --> e([e])\nd -->|failed| g([g])", "cannot fail"),
    ],
)
def test_branches_that_leave_something_open(drawn, diagram: str, says: str):
    finding = only(drawn(f"s([s]) --> {diagram}"))
    assert (finding.rule, finding.node) == ("branches", "d")
    assert says in finding.problem


@pytest.mark.parametrize(
    ("test", "labels", "rule"),
    [
        ("size > 3", "yes no", ""),
        ("size > 3", "true false", ""),
        ("size > 3", "Yes else", ""),
        ("size > 3", "yes", "branches"),
        ("size > 3", "yes maybe", "branches"),
        ("size > 3", "else", "branches"),
        ("size", "1 2", "branches"),
        ("size", "1 2 else", ""),
        ("size", "one else", "type"),
        ("question", "a b", "branches"),
        ("question", "a else", ""),
        ("split(question)", "a else", "type"),
        ("anything", "yes no", ""),
        ("anything", "yes other", "branches"),
    ],
)
def test_branches_of_an_expression(drawn, test: str, labels: str, rule: str):
    edges = "\n".join(f"d -->|{label}| e" for label in labels.split())
    head = "- takes: question (text), size (number), anything\n- returns: 1"
    findings = found(drawn(f"s([s]) --> d{{d}}\ne([e])\n{edges}", {"d": python(test)}, head))
    assert findings == ([(rule, "d")] if rule else [])


def test_a_person_decides_between_several_answers(drawn):
    shown = {"p": "```text\nGo on?\n```"}
    assert check(drawn("s([s]) --> p[/p\\] -->|go| e([e])\np -->|stop| g([g])", shown)) == []
    assert check(drawn("s([s]) --> p[/p\\] --> e([e])", shown)) == []
    assert found(drawn("s([s]) --> p[/p\\] -->|go| e([e])", shown)) == [("branches", "p")]
    assert found(drawn("s([s]) --> p[/p\\] -->|go| e([e])\np -->|no| e\np --> e", shown)) == [("branches", "p")]


def test_a_variable_that_one_way_leaves_unset(drawn):
    chart = drawn(
        "s([s]) --> d{d} -->|yes| a[a] --> b[b] --> e([e])\nd -->|no| c[c] --> b",
        {"a": "- writes: plan\n\n```text\nx\n```", "b": "- writes: answer\n\n```text\n{plan}\n```"},
    )
    finding = only(chart)
    assert (finding.rule, finding.node) == ("unset", "b")
    assert "on the way s → d → c → b" in finding.problem
    assert "as 'a' does" in finding.mend


def test_both_ways_writing_it_is_enough(drawn):
    writing = "- writes: plan\n\n```text\nx\n```"
    chart = drawn(
        "s([s]) --> d{d} -->|yes| a[a] --> b[b] --> e([e])\nd -->|no| c[c] --> b",
        {"a": writing, "c": writing, "b": "```text\n{plan}\n```"},
    )
    assert check(chart) == []


def test_what_a_loop_writes_is_unset_on_its_first_turn(drawn):
    chart = drawn(REFINE, REFINING | {"draft": "```text\n{question}{text}\n```"}, "- returns: text")
    assert [finding.node for finding in check(chart)] == ["e", "draft", "review", "revise"]
    assert "s → draft" in check(chart)[1].problem


def test_the_value_returned_must_be_set_at_every_end(drawn):
    chart = drawn("s([s]) --> d{d} -->|yes| a[a] --> e([e])\nd -->|no| g([g])", head="- returns: of_a")
    finding = only(chart)
    assert (finding.rule, finding.node) == ("unset", "g")
    assert "the chart returns 'of_a' at 'g'" in finding.problem


def test_unknown_names_in_expressions_are_unset(drawn):
    finding = only(drawn("s([s]) --> c[/c/] --> e([e])", {"c": python("x = len(qestion)")}))
    assert (finding.rule, finding.node) == ("unset", "c")
    assert "did you mean `question`?" in finding.mend


def test_choices_can_be_taken(drawn):
    sections = {"a": "```text\n{question} {choices}\n```"}
    finding = only(drawn("s([s]) --> a[a] --> e([e])", sections))
    assert finding.mend == "let the chart take it: `- takes: choices (list)`"
    assert (
        check(drawn("s([s]) --> a[a] --> e([e])", sections, "- takes: question (text), choices (list)\n- returns: 1"))
        == []
    )


def test_the_names_of_a_map_hold_inside_it_only(drawn):
    diagram = "s([s]) --> m{{m}} --> a[a] --> e([e])"
    over = "- over: split(question)\n- each: part\n- writes: parts\n\n```text\n{part} {position}\n```"
    assert check(drawn(diagram, {"m": over})) == []
    assert found(drawn(diagram, {"m": over, "a": "```text\n{parts} {part}\n```"})) == [("placeholder", "a")]
    assert check(drawn(diagram, {"m": "- times: 3\n- writes: tries\n\n```text\n{round}\n```"})) == []


FORK = "s([s]) --> f((f)) --> a[a] --> j[j] --> e([e])\nf --> b[b] --> j"


def test_the_join_sees_what_all_branches_wrote(drawn):
    assert check(drawn(FORK, {"j": "```text\n{of_a} {of_b}\n```"})) == []


def test_a_branch_does_not_see_what_its_sibling_writes(drawn):
    findings = check(drawn(FORK, {"b": "- writes: of_b\n\n```text\n{of_a}\n```"}))
    assert {(finding.rule, finding.node) for finding in findings} == {("unset", "b")}
    assert any("another branch of the fork 'f'" in finding.problem for finding in findings)


def test_a_name_set_before_the_fork_is_not_read_beside_its_writer(drawn):
    chart = drawn(
        FORK, {"a": "- writes: question\n\n```text\nx\n```", "b": "- writes: of_b\n\n```text\n{question}\n```"}
    )
    finding = only(chart)
    assert (finding.rule, finding.node) == ("unset", "b")
    assert "draw `a --> b`" in finding.mend
    ordered = drawn(
        "s([s]) --> f((f)) --> a[a] --> b[b] --> j[j] --> e([e])\nf --> b",
        {"a": "- writes: question\n\n```text\nx\n```", "b": "- writes: of_b\n\n```text\n{question}\n```"},
    )
    assert check(ordered) == []


def test_two_branches_do_not_write_one_name(drawn):
    writing = dict.fromkeys("ab", "- writes: x\n\n```text\nx\n```")
    assert found(drawn(FORK, writing)) == [("fork", "b")]
    either = "s([s]) --> d{d} -->|yes| a[a] --> j[j] --> e([e])\nd -->|no| b[b] --> j"
    assert check(drawn(either, writing)) == []


@pytest.mark.parametrize(
    ("diagram", "node", "says"),
    [
        ("s([s]) --> f((f)) --> a[a] --> e([e])\nf --> b[b] --> g([g])", "f", "do not meet again"),
        (FORK + "\na -->|failed| g([g])", "f", "do not meet again"),
        (
            "s([s]) --> d{d} -->|yes| f((f)) --> a[a] --> j[j] --> e([e])\nf --> b[b] --> j\nd -->|no| a",
            "d",
            "leads into",
        ),
        (
            "s([s]) --> f((f)) --> d{d} -->|yes| j[j] --> e([e])\nf --> b[b] --> j\nd -->|no| f",
            "f",
            "comes back to it before",
        ),
        (
            "s([s]) --> f((f)) --> d{d} -->|x| a[a] --> c{c} -->|no| b[b] --> a\nd -->|y| b\nc -->|yes| j[j]\n"
            "f --> j --> e([e])",
            "",
            "several ways in",
        ),
    ],
)
def test_branches_that_leave_their_fork(drawn, diagram: str, node: str, says: str):
    chart = drawn(diagram, head="- returns: 1\n- budget: 90 steps")
    finding = next(finding for finding in check(chart) if finding.rule == "fork")
    assert says in finding.problem
    assert not node or finding.node == node


def test_an_edge_of_the_fork_itself_is_not_taken_for_having_run_its_branches(drawn):
    diagram = FORK.replace("f((f))", "f[f]") + "\nf -->|failed| j"
    finding = only(drawn(diagram, {"j": "```text\n{of_a}\n```"}))
    assert (finding.rule, finding.node) == ("unset", "j")
    assert "s → f → j" in finding.problem


def test_a_loop_that_leaves_and_goes_round_at_once(drawn):
    finding = only(drawn("s([s]) --> a[a] --> b[b] --> a\nb --> e([e])"))
    assert (finding.rule, finding.node) == ("loop", "a")
    assert finding.mend == "make 'b' a decision `{...}` with labelled branches"


def test_a_loop_that_only_a_failure_ends(drawn):
    finding = only(drawn("s([s]) --> a[a] --> b[b] --> a\nb -->|failed| e([e])"))
    assert finding.rule == "loop"
    assert "only a failure ends the loop a → b" in finding.problem


def test_a_loop_of_retries_wants_a_limit(drawn):
    diagram = "s([s]) --> a[a] --> e([e])\na -->|failed| a"
    findings = [finding for finding in check(drawn(diagram)) if finding.rule == "loop"]
    assert [(finding.level, finding.node) for finding in findings] == [("note", "a")]
    assert "if 'a' never succeeds" in findings[0].problem
    assert check(drawn(diagram, {"a": "- limit: 2\n\n```text\nx\n```"})) == []


def test_a_loop_budget_leaves_from_wherever_the_loop_comes_round(drawn):
    diagram = "s([s]) --> d{d} -->|a| p[p] --> d\nd -->|b| q[q] --> d\nq -->|limit| e([e])"
    bounded = {"q": "- writes: of_q\n- loop budget: 4 turns\n\n```text\nx\n```"}
    assert check(drawn(diagram, bounded)) == []
    finding = only(drawn(diagram, bounded, "- returns: of_q"))
    assert (finding.rule, finding.node) == ("unset", "e")
    assert "s → d → p → e" in finding.problem


def test_a_loop_budget_bounds_the_loop_it_lies_in_and_none_around_it(drawn):
    diagram = """s([s]) --> o[o] --> i[i] --> t{t} -->|again| i
    t -->|out| u{u} -->|more| o
    u -->|done| e([e])"""
    inner = {"i": "- writes: of_i\n- loop budget: 4 turns\n\n```text\nx\n```"}
    finding = only(drawn(diagram, inner))
    assert (finding.level, finding.node) == ("note", "u")
    assert "o → i → t → u" in finding.problem
    outer = {"u": "- loop budget: 4 turns\n\n```text\nx\n```"}
    assert check(drawn(diagram, inner | outer)) == []


def test_an_inner_loop_may_leave_by_coming_round_in_a_bounded_one(drawn):
    diagram = "s([s]) --> o[o] --> d{d} -->|again| d\nd -->|out| o\no -->|limit| e([e])"
    finding = only(drawn(diagram, {"o": "- writes: x\n- loop budget: 4 turns\n\n```text\nx\n```"}))
    assert (finding.level, finding.node) == ("note", "d")
    assert "never says 'out'" in finding.problem


def test_what_every_turn_writes_is_there_when_the_loop_budget_is_spent(drawn):
    ask = "- writes: x\n- loop budget: 3 turns\n\n```text\nx\n```"
    diagram = "s([s]) --> p[p] --> q[q] --> p\nq -->|limit| e([e])"
    assert check(drawn(diagram, {"q": ask}, "- returns: x")) == []
    assert check(drawn(diagram.replace("q -->|limit|", "p -->|limit|"), {"p": ask}, "- returns: of_q")) == []


def test_a_limit_ends_a_loop(drawn):
    sections = {"b": "- writes: x\n- limit: 3\n\n```text\nx\n```"}
    assert check(drawn("s([s]) --> a[a] --> b[b] --> a\nb -->|limit| e([e])", sections)) == []


@pytest.mark.parametrize(
    ("test", "writes", "rule"),
    [("len(x) > 3", "x", ""), ("len(x) > 3", "y", "loop"), ("true", "y", "loop"), ("len(question) > 3", "x", "loop")],
)
def test_the_test_of_a_loop_must_be_able_to_change(drawn, test: str, writes: str, rule: str):
    writing = f"- writes: {writes} (text)\n\n```text\nx\n```"
    chart = drawn(
        "s([s]) --> z[z] --> a[a] --> d{d} -->|no| a\nd -->|yes| e([e])",
        {"z": "- writes: x (text)\n\n```text\nx\n```", "a": writing, "d": python(test.replace("true", "1 < 2"))},
    )
    assert found(chart) == ([(rule, "d")] if rule else [])


def test_only_what_the_inner_loop_writes_can_end_the_inner_loop(drawn):
    chart = drawn(
        "s([s]) --> o[o] --> i[i] --> d{d} -->|no| i\nd -->|yes| t{t} -->|no| o\nt -->|yes| e([e])",
        {"o": "- writes: x (text)\n\n```text\nx\n```", "d": python("x == question"), "t": python("x == question")},
    )
    finding = only(chart)
    assert (finding.rule, finding.node) == ("loop", "d")
    assert "the loop i → d never changes" in finding.problem


def test_a_loop_budget_outside_of_loops_is_noted(drawn):
    finding = only(drawn("s([s]) --> a[a] --> e([e])", {"a": "- loop budget: 3 turns\n\n```text\nx\n```"}))
    assert (finding.level, finding.rule, finding.node) == ("note", "loop", "a")


def test_an_edge_failed_leaves_its_variables_empty_and_is_noted_once(drawn):
    diagram = "s([s]) --> a[a] --> b[b] --> e([e])\na -->|failed| b"
    finding = only(drawn(diagram, {"b": "```text\n{of_a}\n```"}, "- returns: of_a"))
    assert (finding.level, finding.rule, finding.node) == ("note", "unset", "b")
    assert "None at 'b' when 'a' has failed" in finding.problem


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"c": python("x = question * question")}, "at 'c' "),
        ({"c": python("x = len(question)", "- writes: x (text)")}, "declared text and computed as number"),
        ({"a": "- writes: y\n\n```text\n{len(x)}\n```", "c": python("x = 3")}, "at 'a' "),
        ({"a": "- writes: y\n- n: question\n\n```text\nx\n```", "c": python("x = 3")}, "`n` is `question`, a text"),
    ],
)
def test_types_that_clash(drawn, sections: dict[str, str], says: str):
    finding = only(drawn("s([s]) --> c[/c/] --> a[a] --> e([e])", sections))
    assert finding.rule == "type"
    assert says in finding.problem


def test_ways_that_bring_different_types_bring_any(drawn):
    diagram = "s([s]) --> d{d} -->|yes| b[/b/] --> c[/c/] --> e([e])\nd -->|no| a[/a/] --> c"
    use = {"c": python("y = x + 1")}
    assert check(drawn(diagram, {"a": python("x = 1"), "b": python("x = 2")} | use)) == []
    assert check(drawn(diagram, {"a": python("x = 1"), "b": python('x = "b"')} | use)) == []
    assert found(drawn(diagram, {"a": python('x = "a"'), "b": python('x = "b"')} | use)) == [("type", "c")]


def test_a_type_may_change_along_the_way(drawn):
    diagram = "s([s]) --> a[/a/] --> b[/b/] --> c[/c/] --> e([e])"
    right = {"a": python("x = 1"), "b": python("x = text(x + 1)"), "c": python("y = upper(x)")}
    assert check(drawn(diagram, right)) == []
    wrong = right | {"c": python("y = x + 1")}
    assert found(drawn(diagram, wrong)) == [("type", "c")]


@pytest.mark.parametrize("over", ["len(question)", "question", "1 < 2"])
def test_a_map_goes_over_a_list(drawn, over: str):
    chart = drawn("s([s]) --> m{{m}} --> e([e])", {"m": f"- over: {over}\n- writes: x\n\n```text\n{{item}}\n```"})
    assert found(chart) == [("type", "m")]


def test_several_samples_are_a_list(drawn):
    ask = "- writes: x (number)\n- n: 5\n\n```text\nx\n```"
    diagram = "s([s]) --> a[a] --> c[/c/] --> e([e])"
    assert check(drawn(diagram, {"a": ask, "c": python("y = most_common(x)")})) == []
    assert found(drawn(diagram, {"a": ask, "c": python("y = x + 1")})) == [("type", "c")]


def _calling(settings: str, diagram: str, block: str = "") -> Chart:
    text = f"# Me\n\n- returns: 1\n\n```mermaid\nflowchart TD\n{diagram}\n```\n"
    text += f"\n## c\n\n- call: me\n{settings}\n\n{block}\n"
    return read_chart(text + "\n## d\n\n```text\nMore?\n```\n", file="me.md", name="me")


ESCAPE = "s([s]) --> d{d} -->|yes| c[[c]] --> e([e])\nd -->|no| e"


def test_recursion_needs_a_bound_and_a_way_past_it():
    assert check(_calling("- depth: 4", ESCAPE)) == []
    finding = only(_calling("- writes: x", ESCAPE))
    assert (finding.rule, finding.node) == ("recursion", "c")
    assert finding.mend == "add `- depth: 5` to section `## c`"
    always = "s([s]) --> d{d} -->|yes| c[[c]] --> e([e])\nd -->|no| c"
    finding = only(_calling("- depth: 4", always))
    assert "every way through 'me' calls 'me' again" in finding.problem


def test_a_branch_of_a_fork_is_no_way_past_a_call():
    diagram = "s([s]) --> c[[c]] --> j((j)) --> e([e])\ns --> d{d} -->|yes| j\nd -->|no| j"
    assert "every way through" in only(_calling("- depth: 4", diagram)).problem


def test_charts_that_call_each_other_need_one_bound(tmp_path):
    from menon.flowcharts.document import Library

    def write(name: str, other: str, depth: str) -> None:
        text = (
            f"# {name}\n\n- returns: 1\n\n```mermaid\nflowchart TD\n{ESCAPE}\n```\n\n## c\n\n- call: {other}\n{depth}\n"
        )
        (tmp_path / f"{name}.md").write_text(text + "\n## d\n\n```text\nMore?\n```\n")

    write("ping", "pong", "")
    write("pong", "ping", "")
    finding = only(Library([tmp_path]).load("ping"))
    assert "'ping', 'pong' call each other" in finding.problem or "'pong', 'ping' call each other" in finding.problem
    write("pong", "ping", "- depth: 3")
    assert check(Library([tmp_path]).load("ping")) == []


def test_calls_give_what_is_taken():
    block = "```python\nquestion = 3\nquestoin = question\n```"
    findings = [(f.rule, f.problem) for f in check(_calling("- depth: 4", ESCAPE, block))]
    assert [rule for rule, _ in findings] == ["call", "type"]
    assert "gives 'questoin'" in findings[0][1]
    assert "takes 'question' as text and is given a number" in findings[1][1]
    lacking = check(_calling("- depth: 4", ESCAPE, "```python\nother = 1\n```"))
    assert {finding.rule for finding in lacking} == {"call", "unset"}


def _node(name: str, kind: Kind = Kind.COMPUTE, writes: str = "", reads: str = "", test: str = "") -> Node:
    return Node(
        id=name,
        kind=kind,
        line=1,
        test=compile_expression(test, STANDARD) if test else None,
        reads=frozenset(reads.split()),
        writes=tuple(Variable(name=one) for one in writes.split()),
    )


def _large(nodes: list[Node], arrows: list[tuple[str, str, str]]) -> Chart:
    small = read_chart("# C\n\n- returns: 1\n\n```mermaid\nflowchart TD\ns([s]) --> e([e])\n```\n", file="c.md")
    edges = tuple(Edge(source=source, target=target, label=label) for source, target, label in arrows)
    fields = {name: getattr(small, name) for name in ("name", "title", "source", "file", "text", "diagram", "returns")}
    kept = {node.id: node for node in (small.nodes["s"], *nodes, small.nodes["e"])}
    return Chart(nodes=kept, edges=edges, takes=small.takes, **fields)


def _chain(count: int) -> Chart:
    nodes = [_node(f"n{place}", writes=f"x{place}", reads=f"x{place - 1}" if place else "") for place in range(count)]
    names = ["s", *(node.id for node in nodes), "e"]
    return _large(nodes, [(one, other, "") for one, other in itertools.pairwise(names)])


def _ladder(count: int) -> Chart:
    nodes, arrows = [], [("s", "d0", "")]
    for place in range(count // 3):
        after = f"d{place + 1}" if place + 1 < count // 3 else "e"
        nodes.append(_node(f"d{place}", Kind.DECIDE, reads="question", test="len(question) > 3"))
        nodes += [_node(f"a{place}", writes="x"), _node(f"b{place}", writes=f"y{place}")]
        arrows += [(f"d{place}", f"a{place}", "yes"), (f"d{place}", f"b{place}", "no")]
        arrows += [(f"a{place}", after, ""), (f"b{place}", after, "")]
    return _large(nodes, arrows)


def _nested(count: int) -> Chart:
    nodes, arrows = [], [("s", "h0", "")]
    for place in range(count):
        nodes.append(_node(f"h{place}", writes="x"))
        nodes.append(_node(f"t{place}", Kind.DECIDE, reads="x", test="x == 1"))
        arrows.append((f"h{place}", f"h{place + 1}" if place + 1 < count else f"t{place}", ""))
        arrows += [(f"t{place}", f"h{place}", "no"), (f"t{place}", f"t{place - 1}" if place else "e", "yes")]
    return _large(nodes, arrows)


def test_large_charts_are_checked_in_seconds():
    charts = [_chain(10_000), _ladder(10_000), _nested(2_000)]
    begin = time.process_time()
    assert [check(chart) for chart in charts] == [[], [], []]
    assert time.process_time() - begin < 6  # about 1.5 on a free core; a quadratic step takes minutes


def test_forks_nested_out_of_all_bounds_are_refused():
    nodes, arrows = [], [("s", "f0", "")]
    for place in range(2_000):
        nodes += [_node(f"f{place}", Kind.CONNECTOR), _node(f"j{place}", Kind.CONNECTOR)]
        arrows += [(f"f{place}", f"f{place + 1}" if place < 1_999 else "x", ""), (f"f{place}", f"j{place}", "")]
        arrows.append((f"j{place}", f"j{place - 1}" if place else "e", ""))
    finding = only(_large([*nodes, _node("x")], [*arrows, ("x", "j1999", "")]))
    assert (finding.rule, finding.problem) == ("fork", "the forks of this chart nest too deeply to be followed")


def test_a_chart_wrong_at_every_node_is_told_so_in_seconds():
    nodes = [_node(f"n{place}", writes=f"x{place}", reads=f"y{place} x{place + 1}") for place in range(3_000)]
    names = ["s", *(node.id for node in nodes), "e"]
    chart = _large(nodes, [(one, other, "") for one, other in itertools.pairwise(names)])
    begin = time.process_time()
    assert len(check(chart)) == 6_000
    assert time.process_time() - begin < 5
