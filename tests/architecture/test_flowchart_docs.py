"""The guides to flowcharts and strategies hold: their charts pass the check, their Python runs, nothing is left out."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from menon.flowcharts.chart import Kind
from menon.flowcharts.check import check
from menon.flowcharts.document import read_chart
from menon.flowcharts.functions import STANDARD
from menon.flowcharts.settings import OF_CHART, OF_KIND
from menon.solving.functions import Workbench
from menon.solving.library import SHIPPED, library, load_strategy

ROOT = Path(__file__).parents[2]
FLOWCHARTS = (ROOT / "docs" / "flowcharts.md").read_text(encoding="utf-8")
ADDING = (ROOT / "docs" / "adding-a-strategy.md").read_text(encoding="utf-8")
PAPERS = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
WHOLE_FILE = re.compile(r"^````markdown\n(.*?)^````$", re.S | re.M)


def _charts(text: str) -> list[str]:
    return WHOLE_FILE.findall(text)


def _python(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", WHOLE_FILE.sub("", text), re.S | re.M)


def _run(program: str, folder: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ}, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("text", [*_charts(FLOWCHARTS), *_charts(ADDING)])
def test_whole_files_that_are_shown_pass_the_check(text: str):
    assert check(read_chart(text, library=library())) == []


def test_every_setting_of_every_kind_is_told():
    settings = FLOWCHARTS.partition("## Settings of nodes")[2].partition("\n## ")[0]
    named = {name for names in OF_KIND.values() for name in names}
    assert not [name for name in sorted(named) if f"`{name}`" not in settings]
    assert not [name for name in OF_CHART if f"| `{name}` |" not in FLOWCHARTS]
    shapes = FLOWCHARTS.partition("## Shapes")[2].partition("\n## ")[0]
    assert not [kind for kind in Kind if f"| {kind.value} |" not in shapes.replace("start, end", "start | end")]


def test_every_function_is_told_and_none_that_is_not_there():
    tables = FLOWCHARTS.partition("## Expressions")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`(\w+)\(", row)}
    known = Workbench().functions()
    assert told == set(known)
    assert set(STANDARD) < told
    marked = {name for row in rows for name in re.findall(r"`(\w+)\([^`]*\)`†", row)}
    assert marked == {name for name, function in known.items() if function.effect}


def test_every_rule_of_the_check_has_its_example():
    rules = set()
    for path in (ROOT / "src" / "menon" / "flowcharts").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        rules |= set(re.findall(r'rule(?:: str)? ?= ?"([a-z-]+)"', text))
        rules |= set(re.findall(r'finding\(\s*\w*\.?chart, [\w.\[\]" ]+, "([a-z-]+)"', text))
    table = FLOWCHARTS.partition("## What is checked")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `([a-z-]+)` \|", table, re.M))
    assert {"syntax", "unreachable", "loop", "fork"} <= rules <= told


def test_the_sandbox_example_says_what_it_says(tmp_path: Path):
    (sandbox,) = [block for block in _python(FLOWCHARTS) if "Sandbox(" in block]
    out = _run(sandbox, tmp_path).splitlines()
    assert out[0] == "{'total': 5}"
    assert "import of 'os' is not allowed" in out[1]
    assert out[2] == "the code ran longer than 1 s"


def test_the_executor_example_runs(tmp_path: Path):
    (example,) = [block for block in _python(FLOWCHARTS) if "run_many" in block]
    rows = [line.split() for line in _run(example, tmp_path).splitlines()]
    assert len(rows) == 4
    assert {row[2] for row in rows} == {"answered"}


def test_the_guide_to_strategies_runs_as_it_is_printed(tmp_path: Path):
    (tmp_path / "second_opinion.md").write_text(_charts(ADDING)[0], encoding="utf-8")
    tests, verifier, workbench = _python(ADDING)
    called = "\ntest_agreement_is_enough()\ntest_more_are_asked_where_two_disagree()\nprint('passed')"
    assert _run(tests + called, tmp_path) == "passed\n"
    used = dedent("""
        found = Short().judge("q", "one line\\nanother", None)
        assert 0 <= found.outcome <= 1 and len(found.steps) == 2
    """)
    _run(verifier + used, tmp_path)
    used = dedent("""
        assert known["use_tool"].call("price", "pen") == "3"
        assert known["use_tool"].call("calculate", "2*3") == "6"
        assert "price[thing]" in known["tool_help"].call()
        assert Notes().find("Friday", 1) == ["books are sold on Friday"]
        assert chart.name == "react"
    """)
    _run(workbench + used, tmp_path)


def test_every_strategy_has_its_papers():
    rows = [line for line in PAPERS.splitlines() if line.startswith("| ")]
    for name in SHIPPED:
        mine = [row for row in rows if f"`solving/strategies/{name}.md`" in row]
        assert mine, f"docs/papers.md has no row for {name}"
        for number in re.findall(r"arXiv:(\d{4}\.\d{5})", load_strategy(name).source):
            assert any(number in row for row in mine), f"{name} cites arXiv:{number}, docs/papers.md does not"
    files = re.findall(r"`(solving/strategies/\w+\.md)`", "\n".join(rows))
    assert not [path for path in files if not (ROOT / "src" / "menon" / path).is_file()]
