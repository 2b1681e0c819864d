"""The page of the procedural study: complete, alone, the baselines beside the influence, hostile text inert."""

import json
import re
import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from menon.reports.procedural import procedural_markdown, render_procedural, write_procedural
from menon.reports.procedural_words import METHODS, decimal, estimate

SAMPLE = runpy.run_path(str(Path(__file__).with_name("sample_procedural.py")))


@pytest.fixture(scope="module")
def report():
    return json.loads(json.dumps(SAMPLE["sample_procedural"](), allow_nan=False))


def test_the_page_stands_alone_and_shows_every_conclusion(report, tmp_path: Path):
    page = write_procedural(tmp_path, report).read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=[\"'](?!#)", page)
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    for row in report["conclusions"]:
        assert row["claim"] in page
        assert row["sentence"].split("[")[0] in page
    for name in ("F1", "F2", "F3", "F4", "F5", "verdicts", "sizes"):
        assert f'id="{name}"' in page


def test_every_picture_is_well_formed_and_named_for_its_model(report, tmp_path: Path):
    write_procedural(tmp_path, report)
    names = {path.name for path in tmp_path.glob("procedural-*.svg")}
    for picture in ("alike", "heat", "influence", "answers", "procedures", "sources"):
        assert f"procedural-{picture}-small.svg" in names
        assert f"procedural-{picture}-large.svg" in names
    assert "procedural-sizes.svg" in names
    for path in tmp_path.glob("*.svg"):
        root = ET.fromstring(path.read_text(encoding="utf-8"))
        assert root.tag.endswith("svg")
        assert "NaN" not in path.read_text(encoding="utf-8")


def test_tables_have_all_methods_side_by_side(report):
    text = procedural_markdown(report)
    methods = " | ".join(METHODS[method] for method in report["methods"])
    for caption in ("Mean correlation of scores", "Slope of the ranking", "Precision: share", "Recall: share"):
        heading = text.split(caption)[1].split("\n\n")[1].splitlines()[0]
        assert methods in heading


def test_a_number_of_the_report_stands_in_the_table(report):
    found = report["models"][0]["findings"]
    (row,) = [
        row for row in found["procedures"] if (row["group"], row["method"], row["k"]) == ("reasoning", "ekfac", 20)
    ]
    cell = f"{100 * row['precision']['value']:.0f}\u202f% ({100 * row['precision']['low']:.0f}"
    lines = procedural_markdown(report).split("Precision: share")[1].split("\n\n")[1].splitlines()
    (line,) = [line for line in lines if line.startswith("| reasoning | 20 |")]
    assert cell in line.split(" | ")[2]
    (pair,) = [r for r in found["alike"]["methods"]["bm25"]["pairs"] if r["pairs"] == "other task"]
    assert f"| {estimate(pair)} |" in procedural_markdown(report)


def test_hostile_text_of_a_model_stays_text(report):
    report = json.loads(json.dumps(report))
    report["models"][0]["queries"][0]["completion"] = "<script>alert(1)</script>|\n</td>"
    page = render_procedural(report)
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_an_unfinished_report_is_shown_as_one():
    assert "not measured anything yet" in render_procedural({"schema": 1, "study": "procedural"})
    assert "In numbers" in procedural_markdown({"schema": 1})


def test_the_verdict_table_has_the_errors_on_planted_cases(report):
    text = procedural_markdown(report)
    rule = report["verdict"]["calibration"]
    assert rule is not None, report["verdict"]["why_not"]
    assert f"| cases to make the rule, to measure it | {rule['fitted']}, {rule['checked']} |" in text
    assert "Verdicts on the answers of small" in text


@pytest.mark.parametrize(
    ("value", "said"), [(0.123, "0.12"), (-1.5, "−1.50"), (-0.001, "0"), (None, "–"), (1234.5, "1\u202f234")]
)
def test_numbers_are_written_with_two_digits(value, said: str):
    assert decimal(value) == said
