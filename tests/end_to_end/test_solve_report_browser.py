"""The report of a solve run in a real browser: Mermaid draws it offline, the plain drawing stands in, nothing runs."""

import html
import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from menon.reports.solve_page import render_solve, write_solve_report

pytestmark = pytest.mark.browser

SAMPLE = Path(__file__).parents[1] / "unit" / "reports" / "sample_solve.py"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--virtual-time-budget=20000",
    "--dump-dom",
)
PROBE = """<!DOCTYPE html><meta charset="utf-8">
<iframe id="frame" {sandbox} style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe>
<pre id="result"></pre>
<script>
const frame = document.getElementById("frame"), result = document.getElementById("result");
const lit = (element) => Boolean(element && element.getClientRects().length);
const report = () => {{
  const page = frame.contentDocument, view = frame.contentWindow;
  const drawings = [...page.querySelectorAll(".executed")].map((chart) => ({{
    mermaid: lit(chart.querySelector(".by-mermaid svg")), plain: lit(chart.querySelector(".plain svg")),
    words: chart.querySelector(".by-mermaid").textContent, problem: chart.dataset.problem || "",
    unvisited: chart.querySelectorAll(".by-mermaid .node.unvisited").length,
    hot: chart.querySelectorAll(".by-mermaid .node.hot").length,
    badges: [...chart.querySelectorAll(".plain .badge")].filter(lit).map((badge) => badge.textContent),
    inside: [...chart.querySelectorAll(".by-mermaid .node")].every((node) => {{
      const box = node.getBoundingClientRect(), words = node.querySelector(".label, text")?.getBoundingClientRect();
      return !words || (words.left >= box.left - 1 && words.right <= box.right + 1);
    }}),
  }}));
  const open = () => [...page.querySelectorAll(".execution")].filter(lit).length;
  const counts = [open()];
  page.querySelector('button[data-show="status:partial"]')?.click();
  counts.push(open());
  const button = page.querySelector(".switch button");
  const before = button.textContent;
  button.click();
  const switched = lit(page.querySelector(".executed .plain svg")) && !lit(page.querySelector(".by-mermaid svg"));
  result.textContent = JSON.stringify({{
    drawings, counts, switched, before, width: page.documentElement.scrollWidth,
    loaded: view.performance.getEntriesByType("resource").map((entry) => entry.name), title: page.title,
  }});
}};
const drawn = () => frame.contentDocument.documentElement.dataset.drawn === "yes";
const wait = () => (drawn() || "{sandbox}" ? report() : setTimeout(wait, 50));
frame.addEventListener("load", wait);
</script>
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium here (looked for {', '.join(names)}); `apt-get install chromium` brings one")
    return found


@pytest.fixture(scope="session")
def sample() -> Any:
    return runpy.run_path(str(SAMPLE))


def browse(chromium: str, folder: Path, page: Path) -> tuple[str, str]:
    """Open `page` in a new profile; return its document afterwards and what the console said."""
    command = [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def probe(chromium: str, folder: Path, text: str, *, width: int = 1280, sandbox: str = "") -> tuple[Any, str]:
    page = folder / "probe.html"
    page.write_text(PROBE.format(width=width, sandbox=sandbox, page=html.escape(text)), encoding="utf-8")
    dom, log = browse(chromium, folder, page)
    found = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert found
    assert found[1], log
    return json.loads(html.unescape(found[1])), log


def test_the_file_is_drawn_by_mermaid_without_a_word_on_the_console(chromium: str, sample: Any, tmp_path: Path):
    page = write_solve_report(tmp_path, *sample["sample_solve"]())
    dom, log = browse(chromium, tmp_path, page)
    assert log == ""  # a request, an unknown style or script would break the policy and be told here
    assert dom.count('<svg id="mermaid-') == 2
    assert "<title>taken" not in dom
    assert "⟨U+001B⟩[31mred" in dom


@pytest.mark.parametrize("width", [1280, 390])
def test_mermaid_shows_counts_and_the_page_loads_nothing(chromium: str, sample: Any, tmp_path: Path, width: int):
    found, log = probe(chromium, tmp_path, render_solve(*sample["sample_solve"]()), width=width)
    assert log == ""
    assert found["loaded"] == []
    main, called = found["drawings"]
    assert main["problem"] == called["problem"] == ""
    assert (main["mermaid"], main["plain"]) == (True, False)
    for words in ("write a draft", "24×", "yes · 9×", "no · 12×", "revise <b>it</b>", "#quot;", '"so"', "`x`"):
        assert words in main["words"]
    assert main["inside"]
    assert (main["unvisited"], main["hot"]) == (1, 1)
    assert "12×" in called["words"]
    assert found["counts"] == [12, 3]
    assert found["before"] == "Show the plain drawing"
    assert found["switched"]
    assert found["width"] <= width


def test_without_scripts_the_plain_drawing_shows_the_counts(chromium: str, sample: Any, tmp_path: Path):
    text = render_solve(*sample["sample_solve"]())
    found, _ = probe(chromium, tmp_path, text, sandbox="sandbox='allow-same-origin'")
    main = found["drawings"][0]
    assert (main["mermaid"], main["plain"]) == (False, True)
    assert main["badges"] == ["12×", "12×", "24×", "12×", "9×"]
    assert found["counts"][0] == 12


def test_where_mermaid_fails_the_plain_drawing_stays(chromium: str, sample: Any, tmp_path: Path):
    text = render_solve(*sample["sample_solve"](2))
    broken = text.replace('<pre class="source" hidden>flowchart TD', '<pre class="source" hidden>flowchart TD ((((', 1)
    assert broken != text
    found, log = probe(chromium, tmp_path, broken)
    first, second = found["drawings"]
    assert (first["mermaid"], first["plain"]) == (False, True)
    assert "Parse error" in first["problem"]
    assert second["mermaid"]
    assert log == ""


def test_hostile_labels_do_not_run_in_mermaid(chromium: str, sample: Any, tmp_path: Path):
    report, executions = sample["sample_solve"](2)
    for node in report["chart"]["nodes"]:
        node["label"] = '<img src=x onerror="parent.document.title=1">"]; click n0 href "javascript:alert(1)"'
    for edge in report["chart"]["edges"]:
        edge["label"] = '"|<script>document.title="taken"</script>|end %%{init: {"securityLevel": "loose"}}%%'
    found, log = probe(chromium, tmp_path, render_solve(report, executions))
    assert log == ""
    assert found["drawings"][0]["problem"] == ""
    assert found["drawings"][0]["mermaid"]
    assert "<img" in found["drawings"][0]["words"]
    assert found["title"].startswith("Self-refine")
    assert found["loaded"] == []
