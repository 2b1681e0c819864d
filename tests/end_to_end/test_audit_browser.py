"""The page of an audit in a real browser: drawn, legible, fits screen and phone, prints, and nothing hostile runs."""

import html
import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from test_report_browser import browse, chromium, pixels  # noqa: F401  (a fixture)

from menon.reports import render, write_report

pytestmark = pytest.mark.browser

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "unit" / "reports" / "sample_audit.py"))
LAYOUT = """
<iframe id="frame" style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe><pre id="result"></pre>
<script>
document.getElementById("frame").addEventListener("load", (event) => {{
  const page = event.target.contentDocument, clashes = [], outside = [];
  const closed = page.documentElement.scrollWidth;
  for (const part of page.querySelectorAll("details")) part.open = true;
  for (const chart of page.querySelectorAll("svg.chart")) {{
    const edge = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
    texts.forEach(([name, box], i) => {{
      if (box.left < edge.left - 2 || box.right > edge.right + 10) outside.push(name);
      for (const [other, rival] of texts.slice(i + 1)) {{
        const across = Math.min(box.right, rival.right) - Math.max(box.left, rival.left);
        const down = Math.min(box.bottom, rival.bottom) - Math.max(box.top, rival.top);
        if (across > 1 && down > 3) clashes.push([name, other]);
      }}
    }});
  }}
  const seen = [...page.querySelectorAll(".card pre")].filter((t) => t.getBoundingClientRect().height > 10).length;
  const found = {{
    closed, open: page.documentElement.scrollWidth, charts: page.querySelectorAll("svg.chart").length,
    clashes, outside, seen, cards: page.querySelectorAll(".card pre").length,
    headline: page.querySelector("h1").innerText,
  }};
  document.getElementById("result").textContent = JSON.stringify(found);
}});
</script>
"""


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return SAMPLE["sample_audit"]()


def layout(chromium: str, folder: Path, report: dict[str, Any], width: int) -> dict[str, Any]:  # noqa: F811
    page = folder / "layout.html"
    page.write_text(LAYOUT.format(width=width, page=html.escape(render(report))), encoding="utf-8")
    dom, _ = browse(chromium, folder, page, "--window-size=1400,1000", "--dump-dom")
    found = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert found
    return json.loads(html.unescape(found[1]))


@pytest.mark.parametrize("width", [1280, 390])
def test_an_audit_fits_and_opens(chromium: str, report: dict[str, Any], tmp_path: Path, width: int):  # noqa: F811
    long = "arithmetic-4digit-with-a-very-long-name-" * 5
    report = {**report, "model": f"http://127.0.0.1:8000/v1#{long}", "verdicts": {long: {}, "m": {"label": "reasons"}}}
    report["items"]["worlds/arithmetic/base10"].append(
        SAMPLE["item"](9, text="9" * 3000, question="q" * 500, template=long)
    )
    found = layout(chromium, tmp_path, report, width)
    assert found["charts"] == 4
    assert found["closed"] <= width
    assert found["open"] <= width
    assert found["clashes"] == []
    assert found["outside"] == []
    assert found["seen"] == found["cards"] > 4
    assert long in found["headline"]


def test_an_audit_is_drawn_and_prints(chromium: str, report: dict[str, Any], tmp_path: Path):  # noqa: F811
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    page, shot, paper = write_report(tmp_path), tmp_path / "shot.png", tmp_path / "paper.pdf"
    _, log = browse(chromium, tmp_path, page, f"--screenshot={shot}", "--window-size=1280,2400")
    assert not re.search(r"CONSOLE.*(Refused|violates|Error)", log)
    width, height, rows = pixels(shot.read_bytes())
    assert (width, height) == (1280, 2400)
    bands = [rows[i * len(rows) // 5 : (i + 1) * len(rows) // 5] for i in range(5)]
    assert all(len(set(band)) > 60 for band in bands), "a part of the page is blank"
    browse(chromium, tmp_path, page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 6, "tables are open on paper, items are not"


def test_a_hostile_audit_does_not_run(chromium: str, tmp_path: Path):  # noqa: F811
    report = SAMPLE["sample_audit"]()
    attack = SAMPLE["HOSTILE"]
    report["items"]["worlds/arithmetic/base10"] = [
        SAMPLE["item"](1, text=attack, question=attack, note=attack, gold=attack)
    ]
    report["probes"][0] |= {"sentence": attack, "title": attack, "name": attack}
    report["forest"][0] |= {"label": attack, "group": attack, "note": attack}
    page = tmp_path / "report.html"
    page.write_text(render({**report, "model": attack, "notes": [attack], "command": attack}), encoding="utf-8")
    dom, _ = browse(chromium, tmp_path, page, "--dump-dom")
    assert "<title>taken" not in dom
    assert "<img" not in dom
    assert "⟨U+202E⟩" in dom
