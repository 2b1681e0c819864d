"""The page of a solve run: every number is the report's, nothing hostile runs, and it stays small enough to open."""

import base64
import hashlib
import html
import html.parser
import json
import re
from pathlib import Path
from typing import Any

import pytest
from sample_solve import ATTACK, EDGES, NODES, completion, event, execution, sample_solve

from menon.reports import solve_figures
from menon.reports.chart_drawing import DrawnEdge, DrawnNode
from menon.reports.solve_executions import path_of, stopped, text_of, told
from menon.reports.solve_mermaid import MOST_NODES, hot_nodes, mermaid_text
from menon.reports.solve_page import branch_labels, mermaid_script, render_solve, write_solve_report

VENDOR = Path(__file__).parents[3] / "src/menon/reports/vendor"


class Page(html.parser.HTMLParser):
    """Tags, attributes, texts by the class of their element, and the sources of scripts."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[tuple[str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.open.append((tag, dict(attrs).get("class") or ""))
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1][0] == "script":
            self.scripts[-1] += data
        elif self.open:
            self.texts.append((self.open[-1][1], data))

    def of(self, name: str) -> list[str]:
        """Return the texts in elements of class `name`."""
        return [text for classes, text in self.texts if name in classes.split()]


@pytest.fixture(scope="module")
def page() -> str:
    return render_solve(*sample_solve())


def test_headline_numbers_are_those_of_the_report(page: str):
    parsed = Page(page)
    big = parsed.of("big")
    assert big[:3] == ["78\u202f%", "7 of 12", "48"]
    assert "Self-refine: 7 of 9 right" in page
    assert "95 % interval 45\u202f% to 93\u202f%, 9 graded" in page
    assert "3 partial, 2 failed" in page
    assert "Among those that are not right: 1 unparsed." in page
    assert "Prices of this model are not known." in page


def test_only_the_two_scripts_named_by_the_policy_stand_in_the_page(page: str):
    parsed = Page(page)
    policy = next(value or "" for key, value in parsed.attributes if key == "content" and "default-src" in str(value))
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    found = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in parsed.scripts]
    assert len(found) == 2
    assert set(found) == allowed
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]
    assert page.count(mermaid_script()[:2000]) == 1
    assert not re.search(r'(src|href)="(?!#)', page.replace(mermaid_script(), ""))


def test_hostile_text_is_shown_and_is_only_text():
    report, _ = sample_solve(3)
    clean = Page(render_solve(report, [execution(0)]))
    mean: Any = json.loads(json.dumps(report).replace("Self-refine", "@@").replace("review", "@@"))
    mean = json.loads(json.dumps(mean).replace("@@", json.dumps(ATTACK)[1:-1]))
    hostile = execution(3, text=ATTACK)
    hostile |= {"key": ATTACK, "question": ATTACK, "gold": ATTACK, "answer": ATTACK, "note": ATTACK, "verdict": ATTACK}
    hostile["exhausted"] |= {"loop": ATTACK, "node": ATTACK, "budget": ATTACK, "values": {ATTACK: ATTACK}}
    hostile["events"].append(
        event(ATTACK, ATTACK, ATTACK, ATTACK, chart=ATTACK, error=ATTACK, reads={ATTACK: [ATTACK]}, prompt=ATTACK)
        | {"completions": [completion(ATTACK, reasoning=ATTACK, finish=ATTACK, error=ATTACK)]}
    )
    text = render_solve(mean, [hostile, *[dict(hostile)] * 250])
    parsed = Page(text)
    assert len(parsed.scripts) == len(clean.scripts) == 2
    assert "img" not in parsed.tags
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text.replace(mermaid_script(), ""))
    assert "⟨U+001B⟩[31mred" in text
    assert "⟨U+0000⟩" in text


def test_the_path_names_branches_and_the_end_that_was_reached():
    report, executions = sample_solve(4)
    labels = branch_labels(report)
    assert path_of(executions[0], labels) == "start → draft → review[no] → revise → review[yes] → done"
    assert path_of(executions[3], labels) == "start → draft → review[no] → revise → review[no]"
    assert path_of({"events": []}, labels) == ""


def test_the_path_reads_a_pair_of_target_and_label_and_leaves_out_items_and_called_charts():
    steps = [
        event("ask#1", "ask", "ask", "") | {"took": ["each", ""]},
        event("each#1[1]", "each", "map", "") | {"took": None},
        event("each#1[2]/inner#1", "inner", "ask", "") | {"took": ["x", "no"]},
        event("each#1", "each", "map", "") | {"took": ["good", ""]},
        event("good#1", "good", "decide", "") | {"took": ["done", "yes"]},
    ]
    assert path_of({"events": steps, "status": "answered"}, {}) == "ask → each → good[yes] → done"


def test_a_long_path_lacks_its_middle_and_says_so():
    events = [event(f"a#{i}", f"a{i}", "ask", "") for i in range(1000)]
    path = path_of({"events": events}, {})
    assert path.startswith("a0 → a1 →")
    assert path.endswith("→ a998 → a999")
    assert "… 960 more …" in path
    assert path.count("→") == 40


@pytest.mark.parametrize(
    ("exhausted", "sentence"),
    [
        ({}, ""),
        (
            {"budget": "turns", "limit": 5, "spent": 5, "loop": "review", "node": "revise"},
            "The budget of the loop `review`, 5 turns, was used up (5 spent) at the node `revise`.",
        ),
        (
            {"budget": "tokens", "limit": 20000, "spent": 20417, "loop": None, "node": "draft"},
            "The budget of this execution, 20\u202f000 tokens, was used up (20\u202f417 spent) at the node `draft`.",
        ),
        (
            {"budget": "steps", "limit": 1, "spent": None, "loop": "", "node": ""},
            "The budget of this execution, 1 step, was used up.",
        ),
        (
            {"budget": "money", "limit": 0.5, "spent": 0.512, "loop": "", "node": "a"},
            "The budget of this execution, 0.5 money, was used up (0.512 spent) at the node `a`.",
        ),
        (
            {"budget": "state", "limit": 2, "spent": 3, "loop": "a, b", "node": "b"},
            "The loop `a, b` came round in the same state (3 times) at the node `b`.",
        ),
    ],
)
def test_a_partial_result_says_what_stopped_it(exhausted: dict[str, Any], sentence: str):
    assert stopped(exhausted) == sentence


def test_partial_executions_show_the_sentence_and_the_last_values(page: str):
    assert "The budget of the loop <code>review</code>, 1 turn, was used up (1 spent) at the node" in page
    assert page.count("Last values:") == 3


def test_every_prompt_completion_value_and_error_is_there(page: str):
    parsed = Page(page)
    shown = "\n".join(text for _, text in parsed.texts)
    for i in range(12):
        assert f"Answer the question.\nWhat is {i} + 4?" in shown
    assert shown.count("Write it again.") == 12
    assert parsed.of("reasoning").count("first think") == 6
    assert shown.count("the endpoint answered 500 three times") == 2
    assert '[1, {"a": null}]' in shown
    assert shown.count("replayed") >= 12
    assert "40 tokens in, 12 out" in shown


def test_node_table_lists_every_counted_node_and_leaves_out_columns_without_numbers():
    report, _ = sample_solve()
    parsed = Page(render_solve(report, []))
    assert "0.0123" in "".join(text for _, text in parsed.texts)
    for counts in report["nodes"].values():
        counts["money"] = None
    text = render_solve(report, []).replace(mermaid_script(), "")
    assert '<th scope="col">money</th>' not in text
    assert "self_refine/gave_up" in text
    assert "revise/rewrite" in text


def test_filters_count_what_they_show(page: str):
    buttons = dict(re.findall(r'data-show="([^"]+)"[^>]*>[^<]*<span>(\d+)</span>', page))
    assert buttons.pop("all") == "12"
    marked = [value.split(" ") for value in re.findall(r'data-is="([^"]+)"', page)]
    assert len(marked) == 12
    assert buttons == {name: str(sum(name in value for value in marked)) for name in buttons}
    assert set(buttons) == {"status:answered", "status:partial", "status:failed", "verdict:wrong"}


def test_the_first_two_hundred_open_the_next_are_listed_the_rest_counted():
    report, _ = sample_solve()
    small = {"question": "q", "status": "answered", "events": [], "totals": {}}
    text = render_solve(report, ({**small, "key": f"k{i}"} for i in range(2_500)))
    assert text.count('<details class="execution"') == 200
    assert text.count("<tr data-is=") == 2000
    assert "300 more executions are in the run's store." in text
    assert ">answered <span>2500</span>" in text
    assert "k0<" in text
    assert 'title="k200"' in text


def test_huge_texts_are_cut_until_the_file_is_small_and_their_length_is_told(tmp_path: Path):
    report, _ = sample_solve()
    runs = []
    for i in range(120):
        run = execution(i)
        run["events"] = [
            event("draft#1", "draft", "ask", "review", prompt="p" * 30_000, completions=[completion("<&>" * 20_000)])
            for _ in range(20)
        ]
        runs.append(run)
    file = write_solve_report(tmp_path, report, runs)
    assert file == tmp_path / "report.html"
    assert file.stat().st_size < 15_000_000
    text = file.read_text(encoding="utf-8")
    assert "of 60\u202f000 characters; the run&#39;s store has all" in text
    assert "are cut to keep this file small" in text


def test_an_execution_of_ten_thousand_visits_is_cut():
    run = execution(0) | {"events": [event(f"a#{i}", "a", "ask", "") for i in range(10_000)]}
    view = told(run, {}, 1000)
    assert len(view.visits) == 300
    assert view.left_out == 9_700


@pytest.mark.parametrize("limit", [0, 1, 10, 100])
def test_a_text_is_cut_before_it_is_made_visible(limit: int):
    shown = text_of("ab\x00" * 10, limit)
    assert len(shown.shown.replace("⟨U+0000⟩", "\x00")) == min(limit, 30)
    assert bool(shown.remark) == (limit < 30)
    assert limit >= 30 or "30 characters" in shown.remark


def test_mermaid_text_has_counts_classes_and_no_syntax_from_labels():
    nodes = [
        DrawnNode(id="s", kind="start", label='a"];click s call alert(1)', visits=2),
        DrawnNode(id="d", kind="decide", label="end", visits=5),
        DrawnNode(id="x y", kind="nonsense", label="<br>`$$x$$` #quot; %%{init}%%", visits=0),
    ]
    edges = [DrawnEdge(source="s", target="d", taken=2), DrawnEdge(source="d", target="x y", label='no|"', taken=0)]
    text = mermaid_text(nodes, [*edges, DrawnEdge(source="d", target="gone")], direction="LR; evil")
    lines = text.splitlines()
    assert lines[0] == "flowchart TD"
    assert '    n0(["a#34;#93;#59;click s call alert#40;1#41;<br/>2×"])' in lines
    assert '    n1{"end<br/>5×"}' in lines
    assert '    n2["#96;#36;#36;x#36;#36;#96; #35;quot#59; #37;#37;#123;init#125;#37;#37;"]' in lines
    assert '    n1 -.->|"no#124;#34;"| n2' in lines
    assert {"    class n0 visited", "    class n1 hot", "    class n2 unvisited"} <= set(lines)
    assert hot_nodes(nodes) == {"d"}
    assert text.count("-->") == 1


def test_a_large_chart_is_drawn_plainly_and_without_mermaid():
    report, _ = sample_solve()
    many = [{"id": f"n{i}", "kind": "ask", "label": f"step {i}"} for i in range(MOST_NODES + 1)]
    text = render_solve({**report, "chart": {**report["chart"], "nodes": many}, "charts": []}, [])
    assert mermaid_script()[:2000] not in text
    assert "With 301 boxes it is shown as a plain drawing." in text
    assert len(Page(text).scripts) == 1


def test_counts_reach_the_plain_drawing(page: str):
    counts = re.findall(r'class="pill"></rect><text[^>]*>([^<]+)</text>', page)
    assert counts == ["12×", "12×", "24×", "12×", "9×", "12×"]
    assert "no ·\u00a012×" in page
    assert page.count('class="flow" viewBox') == 2


@pytest.mark.parametrize("report", [{}, {"kind": "solve", "chart": None, "totals": None, "nodes": [], "accuracy": 3}])
def test_a_report_that_lacks_everything_still_gives_a_page(report: dict[str, Any]):
    text = render_solve(report, [{}, {"events": "none", "status": None, "totals": {"steps": "many"}}])
    assert "This run recorded no chart." in text
    assert text.count('<details class="execution"') == 2
    assert "No execution was recorded yet." in render_solve(report, [])


def test_pictures_hold_every_number():
    report, _ = sample_solve()
    curve, steps = solve_figures.curve(report), solve_figures.steps(report)
    assert curve is not None
    assert steps is not None
    assert "majority: 90 tokens, n = 1: 50\u202f% (40–60)" in html.unescape(str(curve))
    assert str(curve).count("<circle") == len(report["curve"])
    assert "oracle chart, predicted" in str(steps)
    assert solve_figures.curve_rows(report)[0] == ["majority", "1", "90", "50\u202f% (40–60)"]
    assert solve_figures.steps_rows(report)[5][:4] == ["oracle chart", "1", "95", "100"]
    assert solve_figures.curve({"curve": None}) is None
    assert solve_figures.steps({}) is None
    one = {"curve": [{"decoder": "d", "n": 1, "tokens": 5, "accuracy": 1.0, "low": 0.9, "high": 1.0}]}
    assert "5 tokens, n = 1" in str(solve_figures.curve(one))


def test_equal_input_gives_equal_bytes_and_the_input_is_left_alone():
    report, executions = sample_solve(3)
    before = json.dumps([report, executions])
    assert render_solve(report, executions) == render_solve(report, iter(executions))
    assert json.dumps([report, executions]) == before


def test_the_vendored_script_is_the_one_that_its_note_names():
    note = (VENDOR / "README.md").read_text(encoding="utf-8")
    script = (VENDOR / "mermaid.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() in note
    version = re.search(r"`mermaid` (\d+\.\d+\.\d+)", note)
    assert version
    assert f'version:"{version[1]}"'.encode() in script
    assert b"</script" not in script.lower()
    assert b"<script" not in script.lower()  # with `<!--` it would swallow the end of its own element
    assert not re.search(rb"XMLHttpRequest|new WebSocket|sendBeacon|importScripts|EventSource\(", script)
    assert "MIT License" in (VENDOR / "LICENSE.mermaid").read_text(encoding="utf-8")


def test_sample_is_consistent():
    ids = {node["id"] for node in NODES}
    assert all(edge["source"] in ids and edge["target"] in ids for edge in EDGES)
