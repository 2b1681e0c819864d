"""The page, tables and pictures of the study of code in pre-training say what the report says."""

import copy
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from test_quiet_page import Page

from menon.core.errors import DataError
from menon.reports.code_mixture import (
    code_mixture_markdown,
    headline,
    render_code_mixture,
    sentences,
    write_code_mixture,
)
from menon.reports.code_mixture_figures import pictures

ATTACK = '<script>alert("1")</script>|'
TASKS = ("held_in", "facts", "finish")
ARMS = (("text", "text only", 0.0), ("code-25", "25 % code", 0.25), ("code-50", ATTACK, 0.5))


def cell(value: float, half: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half, "n": 3}


def sample() -> dict[str, Any]:
    """Return a report whose numbers can be told from each other."""
    arms = []
    for place, (name, title, code) in enumerate(ARMS):
        shares = {task: 0.31 + 0.2 * place + 0.07 * number for number, task in enumerate(TASKS)}
        arms.append(
            {
                "name": name, "title": title, "after": "", "code": code, "sweep": True,
                "tasks": {**{task: cell(share) for task, share in shares.items()}, "held_in_nats": cell(1.25 + place)},
                "against": {task: cell(0.2 * place + 0.01 * number) for number, task in enumerate(TASKS)},
                "relative": dict.fromkeys(TASKS, 12.0 * place),
                "audit": {"verdict": "mixed", "share": {**cell(0.43), "original": cell(0.9), "fresh": cell(0.52)}},
                "runs": [{"seed": seed, "loss": 0.5, **shares} for seed in (11, 12, 13)],
            }
        )  # fmt: skip
    return {
        "schema": 1,
        "study": "code-mixture",
        "command": "menon run code-mixture --out runs/x",
        "seeds": [11, 12, 13],
        "tokens": 350_000,
        "groups": {"held_in": ["sort"], "code_only": ["reverse"], "absent": ["slope"]},
        "guess": {"held_in": 0.17},
        "tasks": [*({"name": task, "title": task, "kind": "share"} for task in TASKS),
                  {"name": "held_in_nats", "title": "loss on solutions", "kind": "nats"}],
        "arms": arms,
        "kinds": [{"kind": "markup", "effects": {task: cell(0.02) for task in TASKS}, "helps": ["facts"], "harms": []}],
        "spread": {"common": 0.62, "expected": 1 / 3},
        "gained": [{"arm": "code-25", "better": 2, "worse": 1}, {"arm": "code-50", "better": 1, "worse": 0}],
        "contrasts": [{"title": "with - without", "tasks": {task: cell(-0.04) for task in TASKS}}],
        "shapes": [{"published": "25 % code helps (+3.4 %)", "task": "held_in", "difference": cell(0.11),
                    "relative": 8.0, "result": "found"}],
        "manifest": {"versions": {"torch": "2"}},
    }  # fmt: skip


def test_the_page_holds_every_table_and_every_number():
    page = Page(render_code_mixture(sample()))
    assert page.of("h1") == ["In place of text, no kind of document surely helps more than one of the 3 tasks."]
    captions = page.of("caption")
    assert len(captions) == 8
    cells = page.of("td")
    assert "31\u202f% (26–36)" in cells
    assert "+20 (+15 to +25); +12 %".replace("to +", "to ").replace("(+", "(") in cells
    assert "43\u202f% (38–48)" in cells
    assert "mixed" in cells
    assert cells.count("found") == 1


def test_the_answer_is_given_in_words_with_its_evidence():
    said = sentences(sample())
    assert said[0] == "Markup surely help: facts; surely harm: none."
    assert said[1].endswith("“25 % code”, has 2 in 3 tasks, and 1 clear losses.")
    assert "62\u202f% is common to all tasks" in said[2]
    assert "33\u202f%" in said[2]
    assert said[3] == "Of 1 published shapes: 1 found, 0 not found, 0 cannot tell."


@pytest.mark.parametrize(
    ("helps", "told"),
    [
        ([], "In place of text, no kind of document surely helps any of the 3 tasks."),
        (["facts"], "In place of text, no kind of document surely helps more than one of the 3 tasks."),
        (["facts", "finish"], "In place of text, markup surely help 2 of the 3 tasks."),
    ],
)
def test_the_headline_counts_the_tasks_that_one_kind_helps(helps: list[str], told: str):
    report = sample()
    report["kinds"][0]["helps"] = helps
    assert headline(report) == told
    assert headline(report | {"kinds": []}) == "No kind of document was compared with text yet."


def test_markdown_tables_are_whole():
    text = code_mixture_markdown(sample())
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 8
    for lines in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "<script>" not in text


def test_titles_are_shown_and_never_markup():
    page = render_code_mixture(sample())
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_pictures_show_every_arm_and_the_whole_sweep(tmp_path: Path):
    drawn = pictures(sample())
    assert set(drawn) == {"arms", "sweep"}
    said = {name: "".join(ET.fromstring(str(chart)).itertext()) for name, chart in drawn.items()}
    assert all("25 % code" in said["arms"] and task in said["arms"] for task in ("held-in in text", "facts"))
    assert "0: 31\u202f% (26–36), 25: 51\u202f% (46–56), 50: 71\u202f% (66–76)" in said["sweep"]
    page = write_code_mixture(tmp_path, sample())
    assert page == tmp_path / "report.html"
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html", "code-mixture.md", "code-mixture-arms.svg", "code-mixture-sweep.svg",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["arms", "kinds", "spread", "contrasts", "shapes", "gained", "tasks", "guess"])
def test_a_report_without_a_part_still_makes_a_page(name: str):
    report = copy.deepcopy(sample())
    del report[name]
    assert "</html>" in render_code_mixture(report)
    assert code_mixture_markdown(report)


def test_another_schema_is_refused():
    with pytest.raises(DataError, match="schema 2"):
        render_code_mixture(sample() | {"schema": 2})
