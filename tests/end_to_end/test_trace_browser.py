"""The page of a trace in a real browser: queries open by link, key and search, unpack, and nothing hostile runs."""

import html
import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from menon.reports import trace_page
from menon.reports.trace_page import render_trace

pytestmark = pytest.mark.browser

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "unit" / "reports" / "sample_trace.py"))
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
    "--window-size=1400,1000",
    "--dump-dom",
)
PROBE = """
<iframe id="frame" style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe><pre id="result"></pre>
<script>
document.getElementById("frame").addEventListener("load", async (event) => {{
  const inside = event.target.contentWindow, page = event.target.contentDocument;
  const found = {{ clashes: [], outside: [], seen: [] }};
  const settle = () => new Promise((done) => setTimeout(done, 150));
  const look = () => {{
    const open = [...page.querySelectorAll(".query")].filter((query) => !query.hidden);
    const title = open[0].querySelector("h3")?.textContent ?? "";
    found.seen.push([open.length, title, open[0].querySelectorAll(".document").length]);
  }};
  const press = async (key) => {{
    page.body.dispatchEvent(new KeyboardEvent("keydown", {{ key, bubbles: true, cancelable: true }}));
    await settle();
    look();
  }};
  await settle();
  look();
  for (const key of ["j", "j", "k", "k", "k"]) await press(key);
  page.querySelectorAll(".listing tbody tr")[2].querySelector("td").click();
  await settle();
  look();
  await press("o");
  const cards = () => [...page.querySelectorAll(".query:not([hidden]) .document")].filter((card) => card.open).length;
  found.opened = [cards()];
  const input = page.querySelector(".finder input");
  input.value = "Retrieved";
  input.dispatchEvent(new Event("input"));
  found.left = [...page.querySelectorAll(".listing tbody tr")].filter((row) => !row.hidden).length;
  found.said = page.querySelector(".found").textContent;
  input.value = "";
  input.dispatchEvent(new Event("input"));
  for (const inner of page.querySelectorAll(".query:not([hidden]) details")) inner.open = true;
  await settle();
  for (const chart of page.querySelectorAll(".query:not([hidden]) svg.chart")) {{
    const edge = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([name, box], i) => {{
      if (box.left < edge.left - 2 || box.right > edge.right + 10) found.outside.push(name);
      for (const [other, rival] of texts.slice(i + 1)) {{
        const across = Math.min(box.right, rival.right) - Math.max(box.left, rival.left);
        const down = Math.min(box.bottom, rival.bottom) - Math.max(box.top, rival.top);
        if (across > 1 && down > 3) found.clashes.push([name, other]);
      }}
    }});
    found.charts = (found.charts ?? 0) + 1;
  }}
  found.width = page.documentElement.scrollWidth;
  document.getElementById("result").textContent = JSON.stringify(found);
}});
</script>
"""


@pytest.fixture(scope="module")
def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium here (looked for {', '.join(names)}); `apt-get install chromium` brings one")
    return found


def browse(chromium: str, folder: Path, page: str, anchor: str = "") -> tuple[str, str]:
    """Open a page in a new profile; return its document and what was logged."""
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    command = [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", file.as_uri() + anchor]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


@pytest.mark.parametrize("width", [1280, 390])
def test_queries_open_by_key_click_and_search(
    chromium: str, tmp_path: Path, width: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trace_page, "PLAIN_BYTES", 0)  # all but the first are packed
    report: dict[str, Any] = SAMPLE["sample_trace"](4, hostile=False)
    dom, log = browse(chromium, tmp_path, PROBE.format(width=width, page=html.escape(render_trace(report))))
    text = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert text
    assert text[1], log[-2000:]
    found = json.loads(html.unescape(text[1]))
    names = [query["id"] for query in report["queries"]]
    shown = [next(i for i, name in enumerate(names) if name in title) for _, title, _ in found["seen"]]
    assert shown == [0, 1, 2, 1, 0, 0, 2, 2]
    assert {(count, cards) for count, _, cards in found["seen"]} == {(1, 24)}
    assert found["opened"] == [24]
    assert found["left"] == sum(query["verdict"]["label"] == "retrieved" for query in report["queries"])
    assert found["said"] == "1 of 4"
    assert found["charts"] == 4
    assert found["clashes"] == []
    assert found["outside"] == []
    assert found["width"] <= width


def test_a_link_opens_its_query(chromium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trace_page, "PLAIN_BYTES", 0)
    page = render_trace(SAMPLE["sample_trace"](3, hostile=False))
    dom, log = browse(chromium, tmp_path, page, "#query-fact-001")
    articles = dict(re.findall(r'<article class="query" id="([\w-]+)"( hidden="")?', dom))
    assert articles == {"query-two-step-000": ' hidden=""', "query-fact-001": "", "query-two-step-002": ' hidden=""'}
    assert dom.count('type="application/gzip"') == 1
    assert "Raised the answer most" in dom.split('id="query-fact-001"')[1].split("</article>")[0]
    assert not re.search(r"CONSOLE.*(Refused|violates|Error)", log)


@pytest.mark.parametrize("plain", [0, 10**9])
def test_hostile_texts_do_not_run(chromium: str, tmp_path: Path, plain: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trace_page, "PLAIN_BYTES", plain)
    report = SAMPLE["sample_trace"](1)
    anchor = trace_page._anchor(trace_page.read_report(report)["queries"][1]["id"], set())
    dom, log = browse(chromium, tmp_path, render_trace(report), f"#{anchor}")
    assert 'type="application/gzip"' not in dom
    assert "<title>trace: 2 answers traced" in dom
    assert "<title>taken" not in dom
    assert "<img" not in dom
    assert "⟨U+001B⟩" in dom
    assert not re.search(r"CONSOLE.*(Refused|violates|Error)", log)
