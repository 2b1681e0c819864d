"""Quiet-STaR pages in a real browser: thoughts open by pointer and keys, nothing overlaps, nothing hostile runs."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sample_quiet import sample_quiet, sample_study

from menon.reports.quiet_page import render_quiet
from menon.reports.quiet_study import render_quiet_study

pytestmark = pytest.mark.browser

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
    "--virtual-time-budget=8000",
    "--window-size=1400,1000",
    "--dump-dom",
)
PROBE = """
<iframe id="frame" style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe><pre id="result"></pre>
<script>
document.getElementById("frame").addEventListener("load", (event) => {{
  const page = event.target.contentDocument, found = {{ clashes: [], outside: [], seen: [] }};
  for (const chart of page.querySelectorAll("svg.chart")) {{
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
  }}
  found.width = page.documentElement.scrollWidth;
  const reading = page.querySelector(".reading");
  if (reading) {{
    const box = reading.querySelector(".thinking"), tokens = [...reading.querySelectorAll(".t[tabindex]")];
    const look = () => found.seen.push([
      tokens.indexOf(page.activeElement), box.querySelector("h3").textContent,
      [...box.querySelectorAll("li")].map((item) => item.textContent),
    ]);
    const press = (key) => {{
      page.activeElement.dispatchEvent(new KeyboardEvent("keydown", {{ key, bubbles: true, cancelable: true }}));
      look();
    }};
    look();
    found.stops = tokens.filter((token) => token.tabIndex === 0).length;
    tokens[0].focus();
    look();
    press("ArrowRight");
    press("End");
    press("ArrowRight");
    tokens[3].dispatchEvent(new MouseEvent("mouseover", {{ bubbles: true }}));
    look();
    reading.dispatchEvent(new MouseEvent("mouseleave"));
    look();
  }}
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


def browse(chromium: str, folder: Path, page: str) -> tuple[str, str]:
    """Open a page in a new profile; return its document and what was logged."""
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    command = [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def probe(chromium: str, folder: Path, page: str, width: int) -> dict[str, Any]:
    dom, _ = browse(chromium, folder, PROBE.format(width=width, page=html.escape(page)))
    found = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert found
    return json.loads(html.unescape(found[1]))


def test_pointer_and_keys_show_the_thoughts_of_a_token(chromium: str, tmp_path: Path):
    report = sample_quiet()
    found = probe(chromium, tmp_path, render_quiet(report), 1280)
    entries = [e for e in report["texts"][0]["tokens"] if e["gain"] is not None]
    best = max(entries, key=lambda entry: round(entry["gain"], 3))
    last = len(entries) - 1

    def said(index: int) -> list[Any]:
        marks = str.maketrans({"\n": "↵", "\t": "⇥"})
        thoughts = [re.sub("^ ", "␣", t.translate(marks)) for t in entries[index]["thoughts"]]
        return [re.sub("^ ", "␣", entries[index]["text"].translate(marks)), thoughts]

    at = [entry[0] for entry in found["seen"]]
    assert found["stops"] == 1
    assert at == [-1, 0, 1, last, last, last, last]
    shown = [entry[1:] for entry in found["seen"]]
    assert shown == [said(i) for i in (entries.index(best), 0, 1, last, last, 3, last)]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["run", "study"])
def test_layout_fits_and_labels_do_not_overlap(chromium: str, tmp_path: Path, name: str, width: int):
    page = render_quiet(sample_quiet()) if name == "run" else render_quiet_study(sample_study())
    found = probe(chromium, tmp_path, page, width)
    assert found["width"] <= width
    assert found["clashes"] == []
    assert found["outside"] == []


def test_the_own_script_runs_under_the_policy_and_hostile_tokens_do_not(chromium: str, tmp_path: Path):
    report = sample_quiet()
    report["texts"] = report["texts"][1:]
    dom, log = browse(chromium, tmp_path, render_quiet(report))
    assert "reading has-box" in dom
    assert "<title>taken" not in dom
    assert "<img" not in dom
    assert not re.search(r"CONSOLE.*(Refused|violates|Error)", log)
