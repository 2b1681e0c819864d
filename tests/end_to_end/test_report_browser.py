"""The report in a real browser: it is drawn, fits screen and phone, its filter works, and nothing hostile runs."""

import html
import json
import re
import runpy
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from menon.reports import render, write_report

pytestmark = pytest.mark.browser

SAMPLE = Path(__file__).parents[1] / "unit" / "reports" / "sample_report.py"
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
)
PROBE = """
<iframe id="frame" style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe><pre id="result"></pre>
<script>
document.getElementById("frame").addEventListener("load", (event) => {{
  const page = event.target.contentDocument, clashes = [], outside = [];
  for (const chart of page.querySelectorAll("svg.chart")) {{
    const edge = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([name, box], i) => {{
      if (box.left < edge.left - 2 || box.right > edge.right + 10) outside.push(name);
      for (const [other, rival] of texts.slice(i + 1)) {{
        const across = Math.min(box.right, rival.right) - Math.max(box.left, rival.left);
        const down = Math.min(box.bottom, rival.bottom) - Math.max(box.top, rival.top);
        if (across > 1 && down > 3) clashes.push([name, other]);
      }}
    }});
  }}
  const cards = () => [...page.querySelectorAll(".card")].filter((card) => !card.hidden).length, shown = [cards()];
  page.querySelector('button[data-outcome="gained"]')?.click();
  shown.push(cards());
  const width = page.documentElement.scrollWidth, charts = page.querySelectorAll("svg.chart").length;
  const found = {{ width, charts, clashes, outside, shown }};
  document.getElementById("result").textContent = JSON.stringify(found);
}});
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
def report() -> dict[str, Any]:
    return runpy.run_path(str(SAMPLE))["sample_report"]()


def browse(chromium: str, folder: Path, page: Path, *flags: str) -> tuple[str, str]:
    """Open `page` in a new profile; return what was printed and what was logged."""
    command = [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Return width, height and the inflated (still filtered) rows of a PNG."""
    width, height = struct.unpack(">II", png[16:24])
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    return width, height, zlib.decompress(data)


def probe(chromium: str, folder: Path, report: dict[str, Any], width: int) -> dict[str, Any]:
    page = folder / "probe.html"
    page.write_text(PROBE.format(width=width, page=html.escape(render(report))), encoding="utf-8")
    dom, _ = browse(chromium, folder, page, "--window-size=1400,1000", "--dump-dom")
    found = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert found
    return json.loads(html.unescape(found[1]))


def test_report_is_drawn(chromium: str, report: dict[str, Any], tmp_path: Path):
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    page, shot = write_report(tmp_path), tmp_path / "shot.png"
    dom, log = browse(chromium, tmp_path, page, "--dump-dom")
    assert "Taught by its own rationales" in dom
    assert dom.count('<svg class="chart"') >= 12
    assert '<p class="filters">' in dom, "the page's own script did not run"
    assert not re.search(r"CONSOLE.*(Refused|violates|Error)", log)
    browse(chromium, tmp_path, page, f"--screenshot={shot}", "--window-size=1280,3000")
    width, height, rows = pixels(shot.read_bytes())
    assert (width, height) == (1280, 3000)
    bands = [rows[i * len(rows) // 6 : (i + 1) * len(rows) // 6] for i in range(6)]
    assert all(len(set(band)) > 100 for band in bands), "a part of the page is blank"


@pytest.mark.parametrize("width", [1280, 390])
def test_layout_fits_and_labels_do_not_overlap(chromium: str, report: dict[str, Any], tmp_path: Path, width: int):
    found = probe(chromium, tmp_path, report, width)
    assert found["charts"] >= 12
    assert found["width"] <= width
    assert found["clashes"] == []
    assert found["outside"] == []
    gained = sum(r["before"]["verdict"] != "right" and r["after"]["verdict"] == "right" for r in report["transcripts"])
    assert found["shown"] == [20, gained]


def test_hostile_transcript_does_not_run(chromium: str, report: dict[str, Any], tmp_path: Path):
    attack = "</pre><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">\x00\x1b[2J"
    row = {**report["transcripts"][0], "question": attack, "after": {"text": attack, "verdict": "right", "sound": None}}
    page = tmp_path / "report.html"
    page.write_text(render({**report, "model": attack, "transcripts": [row]}), encoding="utf-8")
    dom, _ = browse(chromium, tmp_path, page, "--dump-dom")
    assert "<title>taken" not in dom
    assert "⟨U+001B⟩" in dom
    assert "<img" not in dom


def test_page_of_an_empty_report_is_not_empty(chromium: str, tmp_path: Path):
    page = tmp_path / "report.html"
    page.write_text(render({"schema": 1}), encoding="utf-8")
    dom, _ = browse(chromium, tmp_path, page, "--dump-dom")
    assert dom.count('class="missing"') >= 9
    assert "menon run quickstart" in dom
